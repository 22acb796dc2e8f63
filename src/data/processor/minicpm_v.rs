//! MiniCPM-Llama3-V-2.5: a copy of the whole picture and, where it is larger than a slice, slices of
//! one size each with the proportions that suit the picture; sides are multiples of a patch.
//!
//! The tower takes each tile as a strip one patch high, patches in reading order.

use super::{Grid, LARGEST, Normalization, Processed, ProcessorError, ProcessorFiles};
use super::{check_affordable, cut, resize};
use crate::data::{picture::Resample, settings::SettingsError};
use image::RgbImage;

/// The processor.
#[derive(Clone, Debug, PartialEq)]
pub struct MiniCpmV {
    /// Slices at most.
    pub most: u32,
    /// The side of a square as large as a slice.
    pub resolution: u32,
    /// The side of a patch.
    pub patch: u32,
    /// Tokens for each tile.
    pub tokens: usize,
    pub(super) normalization: Normalization,
}

impl MiniCpmV {
    /// Reads it.
    ///
    /// # Errors
    /// [`ProcessorError::Settings`].
    pub fn new(files: &ProcessorFiles) -> Result<Self, ProcessorError> {
        let image = files.image()?;
        let version = image.number("version")?.unwrap_or(2.5);
        if version != 2.5 {
            let found = image.get("version").cloned().unwrap_or_default();
            return Err(image.wrong("version", "2.5", &found).into());
        }
        let count = |field: &str, default: u64| -> Result<u32, SettingsError> {
            Ok(image.count(field, 1..=LARGEST)?.unwrap_or(default) as u32)
        };
        let mean = image.colours("norm_mean")?.unwrap_or([0.5; 3]);
        let deviation = image.colours("norm_std")?.unwrap_or([0.5; 3]);
        if let (true, Some(found)) = (deviation.contains(&0.0), image.get("norm_std")) {
            return Err(image.wrong("norm_std", "three numbers other than 0", found).into());
        }
        Ok(Self {
            most: count("max_slice_nums", 9)?,
            resolution: count("scale_resolution", 448)?,
            patch: count("patch_size", 14)?,
            tokens: count("image_feature_size", 96)? as usize,
            normalization: Normalization::new(1.0 / 255.0, mean, deviation),
        })
    }

    /// Columns and rows of the slices; none where the whole picture is one tile.
    fn slices(&self, (width, height): (u32, u32)) -> Option<(u32, u32)> {
        let ratio = (f64::from(width) / f64::from(height)).ln();
        let area = f64::from(width) * f64::from(height);
        let wanted = (area / f64::from(self.resolution).powi(2)).ceil();
        let wanted = wanted.min(f64::from(self.most)) as u32;
        if wanted <= 1 {
            return None;
        }
        let (mut best, mut nearest) = ((1, 1), f64::INFINITY);
        for count in (wanted - 1..=wanted + 1).filter(|&count| count != 1 && count <= self.most) {
            for columns in (1..=count).filter(|columns| count % columns == 0) {
                let rows = count / columns;
                let distance = (ratio - (f64::from(columns) / f64::from(rows)).ln()).abs();
                if distance < nearest {
                    (best, nearest) = ((columns, rows), distance);
                }
            }
        }
        Some(best)
    }

    /// The size nearest to one with as many pixels as a slice, in whole patches.
    fn fitted(&self, (width, height): (f64, f64), enlarge: bool) -> (u32, u32) {
        let resolution = f64::from(self.resolution);
        let (mut width, mut height) = (width, height);
        if enlarge || width * height > resolution * resolution {
            let ratio = width / height;
            height = (resolution / ratio.sqrt()).trunc();
            width = (height * ratio).trunc();
        }
        (divisible(width, self.patch), divisible(height, self.patch))
    }

    /// A picture as the model takes it.
    ///
    /// # Errors
    /// [`ProcessorError::TooMuch`].
    pub fn process(&self, image: &RgbImage) -> Result<Processed, ProcessorError> {
        let slices = self.slices(image.dimensions());
        let size = (f64::from(image.width()), f64::from(image.height()));
        let (width, height) = self.fitted(size, slices.is_none());
        let pixels = u64::from(width) * u64::from(height);
        check_affordable(1, pixels)?;
        let mut tiles = vec![resize(image, width, height, Resample::Bicubic)];
        let mut grid = Grid { rows: 0, columns: 0 };
        if let Some((columns, rows)) = slices {
            let share = |side: f64, count: u32| f64::from(divisible(side, count) / count);
            let (width, height) = self.fitted((share(size.0, columns), share(size.1, rows)), true);
            let count = u64::from(columns * rows);
            check_affordable(count, pixels + count * u64::from(width) * u64::from(height))?;
            let refined = resize(image, width * columns, height * rows, Resample::Bicubic);
            tiles.extend(cut(&refined, width, height));
            grid = Grid { rows: rows as usize, columns: columns as usize };
        }
        let placeholders = tiles.len() * self.tokens;
        let (pixels, shape) = self.strips(&tiles);
        Ok(Processed { tiles, pixels, shape, grid, placeholders })
    }

    /// All tiles as strips, one after the other: `[3, patch, patch * patches]`.
    fn strips(&self, tiles: &[RgbImage]) -> (Vec<f32>, Vec<usize>) {
        let side = self.patch as usize;
        let patches =
            tiles.iter().map(|tile| tile.as_raw().len() / (3 * side * side)).sum::<usize>();
        let mut pixels = Vec::with_capacity(3 * side * side * patches);
        for channel in 0..3 {
            for y in 0..self.patch {
                for tile in tiles {
                    for top in (0..tile.height()).step_by(side) {
                        let row = (0..tile.width()).map(|x| tile.get_pixel(x, top + y).0[channel]);
                        pixels.extend(row.map(|byte| self.normalization.of(byte, channel)));
                    }
                }
            }
        }
        (pixels, vec![3, side, side * patches])
    }
}

/// The multiple of `step` nearest to a length, halves to the even one, and at least one step.
fn divisible(length: f64, step: u32) -> u32 {
    ((length / f64::from(step)).round_ties_even() as u32).max(1) * step
}
