//! SmolVLM, SmolVLM2 and Idefics3: the longest edge to a given length, then up to whole tiles, the
//! tiles row by row, and the whole picture once more as the last tile. Both resizings round to bytes.

use super::{Grid, LARGEST, Normalization, Processed, ProcessorError, ProcessorFiles};
use super::{check_affordable, check_resizes, cut, resample, resize, stacked};
use crate::data::picture::Resample;
use image::RgbImage;

/// No edge grows beyond this, whatever the files say.
const LONGEST: u32 = 4096;

/// The processor.
#[derive(Clone, Debug, PartialEq)]
pub struct SmolVlm {
    /// What the longest edge becomes.
    pub longest_edge: u32,
    /// The side of a tile.
    pub tile: u32,
    /// Whether there are tiles at all.
    pub splitting: bool,
    /// Tokens for each tile.
    pub tokens: usize,
    resample: Resample,
    normalization: Normalization,
}

impl SmolVlm {
    /// Reads it.
    ///
    /// # Errors
    /// [`ProcessorError::Settings`].
    pub fn new(files: &ProcessorFiles) -> Result<Self, ProcessorError> {
        let image = files.image()?;
        check_resizes(&image)?;
        let longest = image.object("size")?.count("longest_edge", 1..=LARGEST)?.unwrap_or(4 * 364);
        let tile = image.object("max_image_size")?.count("longest_edge", 1..=LARGEST)?;
        Ok(Self {
            longest_edge: longest as u32,
            tile: tile.unwrap_or(364) as u32,
            splitting: image.flag("do_image_splitting")?.unwrap_or(true),
            tokens: tokens(files)?,
            resample: resample(&image, Resample::Lanczos)?,
            normalization: Normalization::from_settings(&image, ([0.5; 3], [0.5; 3]))?,
        })
    }

    /// A picture as the model takes it.
    ///
    /// # Errors
    /// [`ProcessorError::TooMuch`].
    pub fn process(&self, image: &RgbImage) -> Result<Processed, ProcessorError> {
        let (width, height) = bounded(longest_edge(image.dimensions(), self.longest_edge));
        let tiled = self.splitting.then(|| whole_tiles((width, height), self.tile));
        let (tile, (wide, high)) = (u64::from(self.tile).pow(2), tiled.unwrap_or((0, 0)));
        let pixels = u64::from(wide) * u64::from(high);
        check_affordable(pixels / tile + 1, pixels + tile)?;
        let mut whole = resize(image, width, height, self.resample);
        let (mut tiles, mut grid) = (Vec::new(), Grid { rows: 0, columns: 0 });
        if let Some((width, height)) = tiled {
            whole = resize(&whole, width, height, self.resample);
            if width > self.tile || height > self.tile {
                tiles = cut(&whole, self.tile, self.tile);
                let (rows, columns) = (height / self.tile, width / self.tile);
                grid = Grid { rows: rows as usize, columns: columns as usize };
            }
        }
        tiles.push(resize(&whole, self.tile, self.tile, self.resample));
        let placeholders = tiles.len() * self.tokens;
        Ok(stacked(tiles, &self.normalization, grid, placeholders))
    }
}

/// Tokens for each tile: as `processor_config.json` says, or by the sizes of the vision tower.
fn tokens(files: &ProcessorFiles) -> Result<usize, ProcessorError> {
    if let Some(given) = files.shared_count("image_seq_len")? {
        return Ok(given as usize);
    }
    let vision = files.config.object("vision_config")?;
    let side = vision.count("image_size", 1..=LARGEST)?;
    let patch = vision.count("patch_size", 1..=LARGEST)?;
    let factor = files.config.count("scale_factor", 1..=LARGEST)?;
    let (Some(side), Some(patch), Some(factor)) = (side, patch, factor) else {
        return Ok(169);
    };
    Ok((((side / patch).pow(2)) / factor.pow(2)).max(1) as usize)
}

fn longest_edge((width, height): (u32, u32), longest: u32) -> (u32, u32) {
    let ratio = f64::from(width) / f64::from(height);
    let even = |length: f64| (length as u32).next_multiple_of(2);
    if width >= height {
        (longest, even(f64::from(longest) / ratio).max(1))
    } else {
        (even(f64::from(longest) * ratio).max(1), longest)
    }
}

fn bounded((width, height): (u32, u32)) -> (u32, u32) {
    let ratio = f64::from(width) / f64::from(height);
    if width >= height && width > LONGEST {
        (LONGEST, ((f64::from(LONGEST) / ratio) as u32).max(1))
    } else if height > width && height > LONGEST {
        (((f64::from(LONGEST) * ratio) as u32).max(1), LONGEST)
    } else {
        (width, height)
    }
}

fn whole_tiles((width, height): (u32, u32), tile: u32) -> (u32, u32) {
    let ratio = f64::from(width) / f64::from(height);
    if width >= height {
        let width = width.next_multiple_of(tile);
        (width, ((f64::from(width) / ratio) as u32).next_multiple_of(tile).max(tile))
    } else {
        let height = height.next_multiple_of(tile);
        (((f64::from(height) * ratio) as u32).next_multiple_of(tile).max(tile), height)
    }
}
