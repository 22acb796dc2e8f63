//! Qwen2-VL, Qwen2.5-VL and Qwen3-VL: one picture whose sides are multiples of two patches and whose
//! area lies between two bounds; patches in the order in which they are merged, each twice in time.

use super::{Grid, Normalization, Processed, ProcessorError, ProcessorFiles};
use super::{check_affordable, check_resizes, resample, resize, shape};
use crate::data::picture::Resample;
use image::RgbImage;

const MEAN: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const DEVIATION: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];
/// Pixels that a file may ask for at most.
const MOST_PIXELS: u64 = 1 << 28;

/// The processor.
#[derive(Clone, Debug, PartialEq)]
pub struct QwenVl {
    /// The smallest area.
    pub min_pixels: u64,
    /// The largest area; lower it to spend fewer tokens on a picture.
    pub max_pixels: u64,
    /// The side of a patch.
    pub patch: usize,
    /// How many patches in each direction become one token.
    pub merge: usize,
    /// How often each patch is repeated in time.
    pub temporal: usize,
    resample: Resample,
    pub(super) normalization: Normalization,
}

impl QwenVl {
    /// Reads it.
    ///
    /// # Errors
    /// [`ProcessorError::Settings`].
    pub fn new(files: &ProcessorFiles) -> Result<Self, ProcessorError> {
        let image = files.image()?;
        check_resizes(&image)?;
        let size = image.object("size")?;
        let pixels = |old: &str, new: &str, default: u64| {
            let given = image.count(old, 1..=MOST_PIXELS)?;
            let given = given.or(size.count(new, 1..=MOST_PIXELS)?);
            Ok::<u64, ProcessorError>(given.unwrap_or(default))
        };
        let count = |field: &str, default: u64| {
            Ok::<usize, ProcessorError>(image.count(field, 1..=64)?.unwrap_or(default) as usize)
        };
        let patch = match image.get("patch_size") {
            None => {
                files.config.object("vision_config")?.count("patch_size", 1..=64)?.unwrap_or(14)
            }
            Some(_) => count("patch_size", 14)? as u64,
        };
        Ok(Self {
            min_pixels: pixels("min_pixels", "shortest_edge", 56 * 56)?,
            max_pixels: pixels("max_pixels", "longest_edge", 28 * 28 * 1280)?,
            patch: patch as usize,
            merge: count("merge_size", 2)?,
            temporal: count("temporal_patch_size", 2)?,
            resample: resample(&image, Resample::Bicubic)?,
            normalization: Normalization::from_settings(&image, (MEAN, DEVIATION))?,
        })
    }

    /// Takes pictures of at most so many pixels, and at least one token.
    pub(super) fn at_most(&mut self, pixels: u64) {
        let token = ((self.patch * self.merge) as u64).pow(2);
        self.max_pixels = self.max_pixels.min(pixels.max(token));
        self.min_pixels = self.min_pixels.min(self.max_pixels);
    }

    /// The size that a picture gets: the nearest multiples of a token's side within the bounds.
    ///
    /// # Errors
    /// [`ProcessorError::Shape`] when one side is more than 200 times the other.
    pub fn smart_size(&self, image: &RgbImage) -> Result<(u32, u32), ProcessorError> {
        let (width, height) = (f64::from(image.width()), f64::from(image.height()));
        if width.max(height) / width.min(height) > 200.0 {
            return Err(shape(image, "one side more than 200 times the other"));
        }
        let factor = (self.patch * self.merge) as f64;
        // Python's `round` takes halves to the even number.
        let near = |side: f64| (side / factor).round_ties_even() * factor;
        let area = near(width) * near(height);
        let least = |side: f64| factor.max((side / factor).floor() * factor);
        let (width, height) = if area > self.max_pixels as f64 {
            let shrink = (height * width / self.max_pixels as f64).sqrt();
            (least(width / shrink), least(height / shrink))
        } else if area < self.min_pixels as f64 {
            let grow = (self.min_pixels as f64 / (height * width)).sqrt();
            let up = |side: f64| (side * grow / factor).ceil() * factor;
            (up(width), up(height))
        } else {
            (near(width), near(height))
        };
        Ok((width as u32, height as u32))
    }

    /// A picture as the model takes it.
    ///
    /// # Errors
    /// [`ProcessorError::Shape`] when one side is more than 200 times the other.
    pub fn process(&self, image: &RgbImage) -> Result<Processed, ProcessorError> {
        let (width, height) = self.smart_size(image)?;
        check_affordable(1, u64::from(width) * u64::from(height) * self.temporal as u64)?;
        let resized = resize(image, width, height, self.resample);
        let (rows, columns) = (height as usize / self.patch, width as usize / self.patch);
        let features = 3 * self.temporal * self.patch * self.patch;
        let pixels = self.patches(&resized, rows, columns);
        Ok(Processed {
            shape: vec![rows * columns, features],
            pixels,
            tiles: vec![resized],
            grid: Grid { rows, columns },
            placeholders: rows * columns / (self.merge * self.merge),
        })
    }

    fn patches(&self, image: &RgbImage, rows: usize, columns: usize) -> Vec<f32> {
        let (patch, merge) = (self.patch, self.merge);
        let mut out = Vec::with_capacity(image.as_raw().len() * self.temporal);
        let mut append = |row: usize, column: usize| {
            for channel in 0..3 {
                for _ in 0..self.temporal {
                    for y in row * patch..(row + 1) * patch {
                        for x in column * patch..(column + 1) * patch {
                            let byte = image.get_pixel(x as u32, y as u32).0[channel];
                            out.push(self.normalization.of(byte, channel));
                        }
                    }
                }
            }
        };
        for top in (0..rows).step_by(merge) {
            for left in (0..columns).step_by(merge) {
                for row in top..top + merge {
                    for column in left..left + merge {
                        append(row, column);
                    }
                }
            }
        }
        out
    }
}
