//! From an RGB picture to what a vision tower takes: one file for each family of processors.
//!
//! A processor is read from the JSON files of a checkpoint and repeats the reference to the last bit
//! up to the bytes of the tiles (`tests/it/inputs`). Qwen's, SmolVLM's and InternVL's references are
//! transformers' processors with the Pillow backend; the others' and InternVL's original is the code
//! that was published with the checkpoints.

mod internvl;
mod minicpm_v;
mod normalization;
mod phi3_v;
mod qwen_vl;
mod set_order;
mod smolvlm;

pub use internvl::InternVl;
pub use minicpm_v::MiniCpmV;
pub use normalization::Normalization;
pub use phi3_v::Phi3V;
pub use qwen_vl::QwenVl;
pub use smolvlm::SmolVlm;

use super::{
    picture::{Resample, resize},
    pixels::Numbers,
    settings::{Settings, SettingsError},
};
use crate::base::Hint;
use image::RgbImage;

/// The largest side of a tile and the largest count of tiles that a file may ask for.
const LARGEST: u64 = 1 << 14;

/// Pixels that may be seen of one picture, all tiles together: 160 tiles of 448 x 448.
const MOST_PIXELS: u64 = 1 << 25;

/// Tiles of one picture.
const MOST_TILES: u64 = 1 << 12;

/// Pixels along a side of a picture, as JPEG has them at most.
const LONGEST_SIDE: u32 = 1 << 16;

/// A picture as a model takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Processed {
    /// What the model sees, before it becomes numbers; in the model's order.
    pub tiles: Vec<RgbImage>,
    /// The numbers, normalised, in row-major order of [`Processed::shape`].
    pub pixels: Vec<f32>,
    /// The shape of the numbers: `[tiles, 3, height, width]`; Qwen's `[patches, 3 * 2 * 14 * 14]`;
    /// MiniCPM's, whose tiles differ in size, `[3, 14, 14 * patches]`, tile after tile along the
    /// last axis.
    pub shape: Vec<usize>,
    /// The grid that the picture was cut by; for Qwen that of its patches. Zero by zero where
    /// SmolVLM and MiniCPM did not cut.
    pub grid: Grid,
    /// How many tokens of the prompt it fills.
    pub placeholders: usize,
}

/// What a prompt has to know of a picture that fills places in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// As [`Processed::grid`].
    pub grid: Grid,
    /// How many tokens of the prompt it fills.
    pub placeholders: usize,
}

/// How many rows and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// From top to bottom.
    pub rows: usize,
    /// From left to right.
    pub columns: usize,
}

/// The image processor of a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub enum Processor {
    /// SmolVLM, SmolVLM2 and Idefics3.
    SmolVlm(SmolVlm),
    /// Qwen2-VL, Qwen2.5-VL and Qwen3-VL.
    QwenVl(QwenVl),
    /// InternVL2, 2.5 and 3, both layouts.
    InternVl(InternVl),
    /// MiniCPM-Llama3-V-2.5.
    MiniCpmV(MiniCpmV),
    /// Phi-3-vision and Phi-3.5-vision.
    Phi3V(Phi3V),
}

/// The JSON files of a checkpoint that say how pictures are taken.
#[derive(Clone, Debug)]
pub struct ProcessorFiles {
    /// `config.json`.
    pub config: Settings,
    /// `preprocessor_config.json`, where there is one.
    pub preprocessor: Option<Settings>,
    /// `processor_config.json`, where there is one.
    pub processor: Option<Settings>,
}

impl ProcessorFiles {
    /// What describes the image processor: a file of its own, or a part of `processor_config.json`.
    fn image(&self) -> Result<Settings, SettingsError> {
        if let Some(own) = &self.preprocessor {
            return Ok(own.clone());
        }
        match &self.processor {
            Some(shared) if shared.get("image_processor").is_some() => {
                shared.object("image_processor")
            }
            _ => Ok(Settings::empty("preprocessor_config.json")),
        }
    }

    /// A count that `processor_config.json` holds, or else `config.json`.
    fn shared_count(&self, field: &str) -> Result<Option<u64>, SettingsError> {
        let own = match &self.processor {
            Some(shared) => shared.count(field, 1..=LARGEST)?,
            None => None,
        };
        Ok(own.or(self.config.count(field, 1..=LARGEST)?))
    }
}

/// Why a picture or a processor cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProcessorError {
    /// A file of the checkpoint is wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The model's type has no processor here.
    #[error("`model_type` of `{file}` is `{found}`, which has no image processor here")]
    Unknown {
        /// The file.
        file: String,
        /// The type.
        found: String,
    },
    /// The picture is too thin for the model.
    #[error("the picture is {width} x {height} pixels, {reason}")]
    Shape {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// Why that does not do.
        reason: &'static str,
    },
    /// The sizes of the files make more of a picture than can be seen.
    #[error("the picture becomes {tiles} tiles of {pixels} pixels together, which is too much")]
    TooMuch {
        /// Tiles.
        tiles: u64,
        /// Their pixels.
        pixels: u64,
    },
}

impl Hint for ProcessorError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Settings(error) => error.hint(),
            Self::Unknown { .. } => Some(format!("use a checkpoint of {}", FAMILIES.join(", "))),
            Self::Shape { .. } => Some("crop or pad the picture, or leave its sample out".into()),
            Self::TooMuch { .. } => {
                Some("lower the sizes in `preprocessor_config.json` and `config.json`".into())
            }
        }
    }
}

/// Every `model_type` that has a processor.
pub const FAMILIES: [&str; 9] = [
    "smolvlm",
    "idefics3",
    "qwen2_vl",
    "qwen2_5_vl",
    "qwen3_vl",
    "internvl",
    "internvl_chat",
    "minicpmv",
    "phi3_v",
];

impl Processor {
    /// The processor of the checkpoint that the files belong to, by its `model_type`.
    ///
    /// # Errors
    /// [`ProcessorError::Unknown`], [`ProcessorError::Settings`].
    pub fn new(files: &ProcessorFiles) -> Result<Self, ProcessorError> {
        let config = &files.config;
        let kind = config.text("model_type")?;
        let kind = kind.ok_or_else(|| config.missing("model_type", "the name of a family"))?;
        Ok(match kind {
            "smolvlm" | "idefics3" => Self::SmolVlm(SmolVlm::new(files)?),
            "qwen2_vl" | "qwen2_5_vl" | "qwen3_vl" => Self::QwenVl(QwenVl::new(files)?),
            "internvl" => Self::InternVl(InternVl::new(files)?),
            "internvl_chat" => Self::InternVl(InternVl::original(files)?),
            "minicpmv" => Self::MiniCpmV(MiniCpmV::new(files)?),
            "phi3_v" => Self::Phi3V(Phi3V::new(files)?),
            found => {
                let file = config.file().to_owned();
                return Err(ProcessorError::Unknown { file, found: found.to_owned() });
            }
        })
    }

    /// The same with pictures of at most so many pixels, as far as the family's own steps allow; at
    /// least one tile is left.
    #[must_use]
    pub fn within(mut self, pixels: u64) -> Self {
        let tiles = |side: u32| (pixels / u64::from(side).pow(2)).clamp(1, LARGEST) as u32;
        match &mut self {
            Self::SmolVlm(it) => {
                let along = f64::from(tiles(it.tile)).sqrt() as u32;
                it.longest_edge = it.longest_edge.min(along * it.tile);
                it.splitting &= along > 1;
            }
            Self::QwenVl(it) => it.at_most(pixels),
            Self::InternVl(it) => it.at_most(tiles(it.tile)),
            Self::MiniCpmV(it) => it.most = it.most.min(tiles(it.resolution)),
            Self::Phi3V(it) => it.most = it.most.min(tiles(phi3_v::SIDE)),
        }
        self
    }

    /// What is seen of a picture, image by image.
    pub fn images(&self, processed: &Processed) -> Vec<Numbers> {
        match self {
            Self::QwenVl(processor) => processed.images(&processor.normalization),
            Self::MiniCpmV(processor) => processed.images(&processor.normalization),
            Self::SmolVlm(_) | Self::InternVl(_) => processed.stacked_images(),
            Self::Phi3V(_) => processed.copy_and_whole(),
        }
    }

    /// A picture as the model takes it.
    ///
    /// # Errors
    /// [`ProcessorError::Shape`] when it is empty or too thin.
    pub fn process(&self, image: &RgbImage) -> Result<Processed, ProcessorError> {
        if image.width() == 0 || image.height() == 0 {
            return Err(shape(image, "which is empty"));
        }
        if image.width().max(image.height()) > LONGEST_SIDE {
            return Err(shape(image, "one side longer than 65536"));
        }
        match self {
            Self::SmolVlm(processor) => processor.process(image),
            Self::QwenVl(processor) => processor.process(image),
            Self::InternVl(processor) => processor.process(image),
            Self::MiniCpmV(processor) => processor.process(image),
            Self::Phi3V(processor) => processor.process(image),
        }
    }
}

impl Processed {
    /// What a prompt has to know of it.
    pub fn extent(&self) -> Extent {
        Extent { grid: self.grid, placeholders: self.placeholders }
    }

    /// Its tiles, each as an image of its own.
    fn images(&self, normalization: &Normalization) -> Vec<Numbers> {
        self.tiles.iter().map(|tile| normalization.channels_last(tile)).collect()
    }

    /// Numbers of shape `[tiles, 3, height, width]`, each tile as an image of its own.
    fn stacked_images(&self) -> Vec<Numbers> {
        let &[_, channels, height, width] = &self.shape[..] else { return Vec::new() };
        let plane = height * width;
        let tile = |tile: &[f32]| {
            let values = (0..plane).flat_map(|at| (0..channels).map(move |it| it * plane + at));
            Numbers { height, width, values: values.map(|at| tile[at]).collect() }
        };
        self.pixels.chunks_exact(channels * plane).map(tile).collect()
    }

    /// Phi's: the small copy, and the whole that its crops were cut from.
    fn copy_and_whole(&self) -> Vec<Numbers> {
        let mut images = self.stacked_images();
        let crops = images.split_off(1);
        let side = images[0].height;
        let Grid { rows, columns } = self.grid;
        let mut values = Vec::with_capacity(crops.iter().map(|crop| crop.values.len()).sum());
        for (crops, y) in crops.chunks(columns).flat_map(|row| (0..side).map(move |y| (row, y))) {
            for crop in crops {
                values.extend_from_slice(&crop.values[y * side * 3..][..side * 3]);
            }
        }
        images.push(Numbers { height: rows * side, width: columns * side, values });
        images
    }
}

fn shape(image: &RgbImage, reason: &'static str) -> ProcessorError {
    ProcessorError::Shape { width: image.width(), height: image.height(), reason }
}

/// Fails where `tiles` of so many pixels together are more than memory should be spent on.
fn check_affordable(tiles: u64, pixels: u64) -> Result<(), ProcessorError> {
    match tiles <= MOST_TILES && pixels <= MOST_PIXELS {
        true => Ok(()),
        false => Err(ProcessorError::TooMuch { tiles, pixels }),
    }
}

/// The filter that a file names by number.
fn resample(settings: &Settings, default: Resample) -> Result<Resample, SettingsError> {
    let Some(value) = settings.get("resample") else { return Ok(default) };
    value
        .as_u64()
        .and_then(Resample::from_number)
        .ok_or_else(|| settings.wrong("resample", "1, 2 or 3", value))
}

/// Refuses files that switch resizing off: what the model would see is then no longer known.
fn check_resizes(settings: &Settings) -> Result<(), SettingsError> {
    match settings.flag("do_resize")? {
        Some(false) => Err(settings.wrong("do_resize", "`true`", &serde_json::Value::Bool(false))),
        _ => Ok(()),
    }
}

/// Cuts a picture into tiles of one size, row by row.
fn cut(image: &RgbImage, width: u32, height: u32) -> Vec<RgbImage> {
    let mut tiles = Vec::new();
    for top in (0..image.height()).step_by(height as usize) {
        for left in (0..image.width()).step_by(width as usize) {
            tiles.push(image::imageops::crop_imm(image, left, top, width, height).to_image());
        }
    }
    tiles
}

/// Tiles of one size as `[tiles, 3, height, width]`.
fn stacked(
    tiles: Vec<RgbImage>,
    normalization: &Normalization,
    grid: Grid,
    placeholders: usize,
) -> Processed {
    let (width, height) = tiles.first().map_or((0, 0), RgbImage::dimensions);
    let mut pixels = Vec::with_capacity(tiles.len() * 3 * width as usize * height as usize);
    for tile in &tiles {
        normalization.channels_first(tile, &mut pixels);
    }
    let shape = vec![tiles.len(), 3, height as usize, width as usize];
    Processed { tiles, pixels, shape, grid, placeholders }
}
