//! InternVL2, 2.5 and 3: the picture stretched over the grid of tiles whose proportions are nearest
//! to its own, and, where there is more than one tile, a small copy of the whole as the last.
//!
//! Among equally near grids the original code lets the later win where the picture is large enough,
//! and goes through them in the order of a Python set, sorted by their number of tiles; transformers
//! goes by width and height instead. Both orders are kept.

use super::{Grid, LARGEST, Normalization, Processed, ProcessorError, ProcessorFiles};
use super::{
    check_affordable, check_resizes, cut, resample, resize, set_order::set_order, stacked,
};
use crate::data::picture::Resample;
use image::RgbImage;

/// ImageNet's.
const MEAN: [f64; 3] = [0.485, 0.456, 0.406];
/// ImageNet's.
const DEVIATION: [f64; 3] = [0.229, 0.224, 0.225];
/// Tiles that a file may ask for at most.
const MOST_TILES: u64 = 256;

/// The processor.
#[derive(Clone, Debug, PartialEq)]
pub struct InternVl {
    /// The side of a tile.
    pub tile: u32,
    /// The largest number of tiles, the copy of the whole not counted.
    pub most: u32,
    /// Tokens for each tile.
    pub tokens: usize,
    /// Whether the checkpoint has the layout of the original code.
    pub original: bool,
    thumbnail: bool,
    least: u32,
    /// Columns and rows of each grid, in the order in which they are tried.
    grids: Vec<(u32, u32)>,
    resample: Resample,
    normalization: Normalization,
}

impl InternVl {
    /// Reads transformers' layout.
    ///
    /// # Errors
    /// [`ProcessorError::Settings`].
    pub fn new(files: &ProcessorFiles) -> Result<Self, ProcessorError> {
        let image = files.image()?;
        check_resizes(&image)?;
        let size = image.object("size")?;
        let tile = size.count("height", 1..=LARGEST)?.unwrap_or(448);
        if let Some(width) = size.count("width", 1..=LARGEST)?
            && width != tile
        {
            let found = size.get("width").cloned().unwrap_or_default();
            return Err(size.wrong("width", "the same as `height`", &found).into());
        }
        let most = image.count("max_patches", 1..=MOST_TILES)?.unwrap_or(12) as u32;
        let least = image.count("min_patches", 1..=u64::from(most))?.unwrap_or(1) as u32;
        // The flag of the file is overruled by the processor above it, which always cuts.
        Ok(Self {
            tile: tile as u32,
            most,
            least,
            tokens: files.shared_count("image_seq_length")?.unwrap_or(256) as usize,
            original: false,
            thumbnail: true,
            grids: by_tiles(pairs(least, most)),
            resample: resample(&image, Resample::Bicubic)?,
            normalization: Normalization::from_settings(&image, (MEAN, DEVIATION))?,
        })
    }

    /// Reads the original layout, where `config.json` says how pictures are cut.
    ///
    /// # Errors
    /// [`ProcessorError::Settings`].
    pub fn original(files: &ProcessorFiles) -> Result<Self, ProcessorError> {
        let config = &files.config;
        let vision = config.object("vision_config")?;
        let tile = match config.count("force_image_size", 1..=LARGEST)? {
            Some(forced) => forced,
            None => vision.count("image_size", 1..=LARGEST)?.unwrap_or(448),
        };
        let most = config.count("max_dynamic_patch", 1..=MOST_TILES)?.unwrap_or(12) as u32;
        let least = config.count("min_dynamic_patch", 1..=u64::from(most))?.unwrap_or(1) as u32;
        let patch = vision.count("patch_size", 1..=LARGEST)?.unwrap_or(14);
        let ratio = config.number("downsample_ratio")?.unwrap_or(0.5);
        if let (false, Some(found)) = ((0.0..=1.0).contains(&ratio), config.get("downsample_ratio"))
        {
            return Err(config.wrong("downsample_ratio", "a number from 0 to 1", found).into());
        }
        let side = (tile / patch) as f64;
        let dynamic = config.flag("dynamic_image_size")?.unwrap_or(true);
        let grids =
            if dynamic { by_tiles(set_order(&insertions(least, most))) } else { vec![(1, 1)] };
        Ok(Self {
            tile: tile as u32,
            most,
            least,
            tokens: (side * side * ratio * ratio) as usize,
            original: true,
            thumbnail: config.flag("use_thumbnail")?.unwrap_or(true),
            grids,
            resample: Resample::Bicubic,
            normalization: Normalization::new(1.0 / 255.0, MEAN, DEVIATION),
        })
    }

    /// Cuts into at most so many tiles.
    pub(super) fn at_most(&mut self, most: u32) {
        if most >= self.most {
            return;
        }
        (self.most, self.least) = (most, self.least.min(most));
        // A single grid is that of a checkpoint which does not cut.
        if self.grids.len() > 1 {
            let all = match self.original {
                true => set_order(&insertions(self.least, most)),
                false => pairs(self.least, most),
            };
            self.grids = by_tiles(all);
        }
    }

    /// Columns and rows for a picture.
    pub fn grid(&self, width: u32, height: u32) -> (u32, u32) {
        let ratio = f64::from(width) / f64::from(height);
        let area = f64::from(width) * f64::from(height);
        let (mut best, mut nearest) = ((1, 1), f64::INFINITY);
        for &(columns, rows) in &self.grids {
            let distance = (ratio - f64::from(columns) / f64::from(rows)).abs();
            let covered = f64::from(self.tile * self.tile) * f64::from(columns * rows);
            if distance < nearest {
                (best, nearest) = ((columns, rows), distance);
            } else if distance == nearest && area > 0.5 * covered {
                best = (columns, rows);
            }
        }
        best
    }

    /// A picture as the model takes it.
    ///
    /// # Errors
    /// [`ProcessorError::TooMuch`].
    pub fn process(&self, image: &RgbImage) -> Result<Processed, ProcessorError> {
        let (columns, rows) = self.grid(image.width(), image.height());
        let side = self.tile;
        let tiles = u64::from(columns * rows) + 1;
        check_affordable(tiles, tiles * u64::from(side).pow(2))?;
        let stretched = resize(image, side * columns, side * rows, self.resample);
        let mut tiles = cut(&stretched, side, side);
        if self.thumbnail && tiles.len() > 1 {
            tiles.push(resize(image, side, side, self.resample));
        }
        let grid = Grid { rows: rows as usize, columns: columns as usize };
        let placeholders = tiles.len() * self.tokens;
        Ok(stacked(tiles, &self.normalization, grid, placeholders))
    }
}

/// Columns and rows by columns, then rows.
fn pairs(least: u32, most: u32) -> Vec<(u32, u32)> {
    let all = (1..=most).flat_map(|columns| (1..=most).map(move |rows| (columns, rows)));
    all.filter(|(columns, rows)| (least..=most).contains(&(columns * rows))).collect()
}

/// What the original code puts into its set, in order, with what it puts in again.
fn insertions(least: u32, most: u32) -> Vec<(u32, u32)> {
    let mut all = Vec::new();
    for bound in least..=most {
        for columns in 1..=bound {
            let rows = (1..=bound).filter(|rows| (least..=most).contains(&(columns * rows)));
            all.extend(rows.map(|rows| (columns, rows)));
        }
    }
    all
}

fn by_tiles(mut grids: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    grids.sort_by_key(|(columns, rows)| columns * rows);
    grids
}
