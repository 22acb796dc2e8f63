//! Phi-3-vision and Phi-3.5-vision: the picture as wide as whole crops (as high, where it is upright),
//! filled up with white along the other side, after a small copy of itself.
//!
//! The small copy is made of the normalised numbers with PyTorch's bicubic filter, which does not
//! widen when it shrinks.

use super::{Grid, Normalization, Processed, ProcessorError, ProcessorFiles};
use super::{cut, resize, shape};
use crate::data::picture::{Resample, bicubic_plane};
use image::{Rgb, RgbImage, imageops};

const MEAN: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const DEVIATION: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];
/// The side of a crop.
pub(super) const SIDE: u32 = 336;

/// The processor.
#[derive(Clone, Debug, PartialEq)]
pub struct Phi3V {
    /// Crops at most.
    pub most: u32,
    normalization: Normalization,
}

impl Phi3V {
    /// Reads it.
    ///
    /// # Errors
    /// [`ProcessorError::Settings`].
    pub fn new(files: &ProcessorFiles) -> Result<Self, ProcessorError> {
        let image = files.image()?;
        Ok(Self {
            most: image.count("num_crops", 1..=64)?.unwrap_or(4) as u32,
            normalization: Normalization::from_settings(&image, (MEAN, DEVIATION))?,
        })
    }

    /// A picture as the model takes it: the small copy, then the crops row by row.
    ///
    /// # Errors
    /// [`ProcessorError::Shape`] when nothing is left of one side.
    pub fn process(&self, image: &RgbImage) -> Result<Processed, ProcessorError> {
        let upright = image.width() < image.height();
        let lying = if upright { transposed(image) } else { image.clone() };
        let padded = self.padded(&lying).ok_or_else(|| {
            shape(image, "so thin that nothing would be left of its shorter side")
        })?;
        let whole = if upright { transposed(&padded) } else { padded };

        let tiles = cut(&whole, SIDE, SIDE);
        let mut pixels = self.small_copy(&whole);
        tiles.iter().for_each(|tile| self.normalization.channels_first(tile, &mut pixels));
        let side = SIDE as usize;
        let (rows, columns) = (whole.height() as usize / side, whole.width() as usize / side);
        Ok(Processed {
            shape: vec![tiles.len() + 1, 3, side, side],
            tiles,
            pixels,
            grid: Grid { rows, columns },
            placeholders: (rows * columns + 1) * 144 + 1 + (rows + 1) * 12,
        })
    }

    fn padded(&self, image: &RgbImage) -> Option<RgbImage> {
        let ratio = f64::from(image.width()) / f64::from(image.height());
        let fits = |scale: u32| scale * (f64::from(scale) / ratio).ceil() as u32 <= self.most;
        let scale = (1..=self.most).take_while(|&scale| fits(scale)).last()?;
        let width = scale * SIDE;
        let height = (f64::from(width) / ratio) as u32;
        if height == 0 {
            return None;
        }
        let resized = resize(image, width, height, Resample::Bilinear);
        let full = height.next_multiple_of(SIDE);
        let mut padded = RgbImage::from_pixel(width, full, Rgb([255; 3]));
        imageops::replace(&mut padded, &resized, 0, i64::from((full - height) / 2));
        Some(padded)
    }

    fn small_copy(&self, whole: &RgbImage) -> Vec<f32> {
        let (width, height) = (whole.width() as usize, whole.height() as usize);
        let mut planes = Vec::with_capacity(whole.as_raw().len());
        self.normalization.channels_first(whole, &mut planes);
        let side = SIDE as usize;
        let small = |plane: &[f32]| bicubic_plane(plane, (width, height), (side, side));
        planes.chunks_exact(width * height).flat_map(small).collect()
    }
}

fn transposed(image: &RgbImage) -> RgbImage {
    RgbImage::from_fn(image.height(), image.width(), |x, y| *image.get_pixel(y, x))
}
