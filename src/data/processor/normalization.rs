//! Bytes to numbers: scaled, less a mean, over a deviation, each step rounded as NumPy rounds it.

use crate::data::pixels::Numbers;
use crate::data::settings::{Settings, SettingsError};
use image::RgbImage;

/// What each byte of each colour becomes.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalization {
    table: Vec<[f32; 3]>,
}

impl Normalization {
    /// From the fields of an image processor's file.
    ///
    /// # Errors
    /// [`SettingsError::Wrong`], also where a deviation is 0.
    pub fn from_settings(
        settings: &Settings,
        (mean, deviation): ([f64; 3], [f64; 3]),
    ) -> Result<Self, SettingsError> {
        let scale = match settings.flag("do_rescale")? {
            Some(false) => 1.0,
            _ => settings.number("rescale_factor")?.unwrap_or(1.0 / 255.0),
        };
        if settings.flag("do_normalize")? == Some(false) {
            return Ok(Self::new(scale, [0.0; 3], [1.0; 3]));
        }
        let mean = settings.colours("image_mean")?.unwrap_or(mean);
        let given = settings.colours("image_std")?;
        if let (Some([0.0, ..] | [_, 0.0, _] | [_, _, 0.0]), Some(found)) =
            (given, settings.get("image_std"))
        {
            return Err(settings.wrong("image_std", "three numbers other than 0", found));
        }
        Ok(Self::new(scale, mean, given.unwrap_or(deviation)))
    }

    /// From its numbers.
    pub fn new(scale: f64, mean: [f64; 3], deviation: [f64; 3]) -> Self {
        let number = |byte: u8, channel: usize| {
            let scaled = (f64::from(byte) * scale) as f32;
            (scaled - mean[channel] as f32) / deviation[channel] as f32
        };
        let table = (0..=255).map(|byte| [0, 1, 2].map(|channel| number(byte, channel))).collect();
        Self { table }
    }

    /// The number of a byte.
    pub fn of(&self, byte: u8, channel: usize) -> f32 {
        self.table[usize::from(byte)][channel]
    }

    /// A picture as `[height, width, 3]`.
    pub fn channels_last(&self, image: &RgbImage) -> Numbers {
        let (width, height) = image.dimensions();
        let values = image.pixels().flat_map(|pixel| {
            let [red, green, blue] = pixel.0;
            [self.of(red, 0), self.of(green, 1), self.of(blue, 2)]
        });
        Numbers { height: height as usize, width: width as usize, values: values.collect() }
    }

    /// Appends a picture as `[3, height, width]`.
    pub fn channels_first(&self, image: &RgbImage, out: &mut Vec<f32>) {
        for channel in 0..3 {
            out.extend(image.pixels().map(|pixel| self.of(pixel.0[channel], channel)));
        }
    }
}
