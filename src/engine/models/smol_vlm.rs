//! Idefics3 (Laurençon et al. 2024), SmolVLM and SmolVLM2 (Marafioti et al. 2025): a SigLIP tower
//! over square tiles, pixel shuffle, one affine map, a Llama decoder. After transformers' Idefics3.
//!
//! Unusual: the place of a patch is found by counting boundaries below its fractional coordinate,
//! which in 32 bits is not always its own index. Tiles of nothing but zeros, which the reference
//! drops as padding, are seen here like any other.
//!
//! | tensor | shape |
//! |---|---|
//! | tiles | `N side side 3` |
//! | patches | `N P V` |
//! | image features | `N P/s² D` |

use super::{
    config::{ConfigError, Keys},
    tower::{Block, DEVIATION, Shape, blocks, through},
};
use crate::engine::{
    nn::{LayerNorm, LearnedPositions, Linear, PatchConvolution, mlp::Activation, pixel_shuffle},
    pixels::Size,
    weights::{Init, Path},
};
use tch::{Device, Kind, Tensor};

/// What stands for keys of the tower that are not there.
const TOWER: Shape = Shape {
    side: 224,
    patch: 32,
    width: 1152,
    hidden: 3072,
    layers: 12,
    heads: 16,
    eps: 1e-6,
    activation: Activation::GeluTanh,
};

/// The tower and what follows it.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) tower: Shape,
    /// Patches along a side that become one token.
    factor: i64,
    pub(super) token: i64,
}

impl Config {
    pub(super) fn read(top: &Keys<'_>, vocabulary: i64) -> Result<Self, ConfigError> {
        let vision = top.table(&["vision_config"])?.ok_or_else(|| top.missing("vision_config"))?;
        let config = Self {
            tower: Shape::read(&vision, &TOWER)?,
            factor: top.size("scale_factor", 2)?,
            token: top.token("image_token_id", Some(128_257), vocabulary)?,
        };
        if !config.tower.joins(config.factor) {
            let supported = "a number that divides the patches along a side";
            return Err(top.unsupported("scale_factor", supported));
        }
        Ok(config)
    }

    pub(super) fn tokens(&self, size: Size) -> Option<usize> {
        self.tower.tokens(size, self.factor)
    }
}

/// Tower and projector.
pub(super) struct Vision {
    pub(super) config: Config,
    patch_embedding: PatchConvolution,
    position_embedding: LearnedPositions,
    layers: Vec<Block>,
    post_layernorm: LayerNorm,
    projection: Linear,
    /// The row of the position table that each patch adds, `[P]`.
    places: Tensor,
}

impl Vision {
    /// Walks the tower and the connector below `w`, to features of `width`.
    pub(super) fn new(w: &Path<'_>, config: Config, width: i64) -> Self {
        let tower = w / "vision_model";
        let embeddings = &tower / "embeddings";
        let (grid, tower_width) = (config.tower.grid(), config.tower.width);
        let shuffled = tower_width * config.factor * config.factor;
        let projection = w / "connector" / "modality_projection" / "proj";
        let (_, device) = w.options();
        Self {
            patch_embedding: PatchConvolution::new(
                &(&embeddings / "patch_embedding"),
                config.tower.patch,
                tower_width,
                DEVIATION,
            ),
            position_embedding: LearnedPositions::new(
                &(&embeddings / "position_embedding"),
                "weight",
                (grid * grid, tower_width),
                DEVIATION,
            ),
            layers: blocks(&tower, &config.tower),
            post_layernorm: LayerNorm::new(
                &(&tower / "post_layernorm"),
                tower_width,
                config.tower.eps,
            ),
            projection: Linear::without_bias(&projection, shuffled, width, Init::Normal(DEVIATION)),
            places: places(grid, device),
            config,
        }
    }

    /// Tiles `[N, side, side, 3]` to patches `[N, P, V]`.
    pub(super) fn tower(&self, tiles: &Tensor) -> Tensor {
        let xs = self.patch_embedding.forward(tiles) + self.position_embedding.at(&self.places);
        self.post_layernorm.forward(&through(&self.layers, xs))
    }

    /// These to features `[N, tokens, D]`.
    pub(super) fn projected(&self, patches: &Tensor) -> Tensor {
        self.projection.forward(&pixel_shuffle(patches, self.config.factor))
    }
}

/// The rows of the position table for a grid of patches as large as the table's own.
fn places(grid: i64, device: Device) -> Tensor {
    let step = 1.0 / grid as f64;
    let boundaries = Tensor::arange_start_step(step, 1.0, step, (Kind::Float, Device::Cpu));
    let share = Tensor::from(1.0_f32) / grid as f64;
    let coordinates = Tensor::arange(grid, (Kind::Float, Device::Cpu)) * share;
    let coordinates = coordinates.clamp_max(1.0 - 1e-6);
    let along = coordinates.bucketize(&boundaries, false, true);
    (along.unsqueeze(1) * grid + along.unsqueeze(0)).flatten(0, 1).to_device(device)
}
