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

use super::config::{ConfigError, Keys};
use crate::engine::{
    nn::{
        Heads, LayerNorm, LearnedPositions, Linear, Mlp, PatchConvolution, attention::attention,
        linear::side_by_side, mlp::Activation, pixel_shuffle,
    },
    pixels::Size,
    weights::{Init, Path},
};
use tch::{Device, Kind, Tensor};

/// Standard deviation of fresh matrices, as in the reference.
const DEVIATION: f64 = 0.02;

/// The tower and what follows it.
#[derive(Clone, Debug)]
pub(super) struct Config {
    side: i64,
    patch: i64,
    width: i64,
    hidden: i64,
    layers: usize,
    heads: i64,
    eps: f64,
    activation: Activation,
    /// Patches along a side that become one token.
    factor: i64,
    pub(super) token: i64,
}

impl Config {
    pub(super) fn read(top: &Keys<'_>, vocabulary: i64) -> Result<Self, ConfigError> {
        let vision = top.table(&["vision_config"])?.ok_or_else(|| top.missing("vision_config"))?;
        let config = Self {
            side: vision.side("image_size", 224)?,
            patch: vision.side("patch_size", 32)?,
            width: vision.size("hidden_size", 1152)?,
            hidden: vision.size("intermediate_size", 3072)?,
            layers: vision.layers("num_hidden_layers", 12)?,
            heads: vision.size("num_attention_heads", 16)?,
            eps: vision.number("layer_norm_eps", 1e-6)?,
            activation: vision.activation("hidden_act", Activation::GeluTanh)?,
            factor: top.size("scale_factor", 2)?,
            token: top.token("image_token_id", Some(128_257), vocabulary)?,
        };
        vision.divisible(("hidden_size", config.width), ("num_attention_heads", config.heads))?;
        let grid = config.side / config.patch;
        if grid == 0 || grid % config.factor != 0 {
            let supported = "a number that divides the patches along a side";
            return Err(top.unsupported("scale_factor", supported));
        }
        Ok(config)
    }

    fn grid(&self) -> i64 {
        self.side / self.patch
    }

    pub(super) fn side(&self) -> usize {
        self.side as usize
    }

    pub(super) fn tokens(&self, size: Size) -> Option<usize> {
        let side = self.side as usize;
        let tokens = (self.grid() / self.factor).pow(2) as usize;
        (size == Size { height: side, width: side }).then_some(tokens)
    }
}

/// A pre-norm block over the patches of each tile.
struct Block {
    layer_norm1: LayerNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    layer_norm2: LayerNorm,
    mlp: Mlp,
    heads: Heads,
}

impl Block {
    fn new(w: &Path<'_>, config: &Config) -> Self {
        let (width, eps) = (config.width, config.eps);
        let linear = |name: &str| {
            Linear::with_bias(&(w / "self_attn" / name), width, width, Init::Normal(DEVIATION))
        };
        let mlp = w / "mlp";
        Self {
            layer_norm1: LayerNorm::new(&(w / "layer_norm1"), width, eps),
            q_proj: linear("q_proj"),
            k_proj: linear("k_proj"),
            v_proj: linear("v_proj"),
            out_proj: linear("out_proj"),
            layer_norm2: LayerNorm::new(&(w / "layer_norm2"), width, eps),
            mlp: Mlp::new(&mlp, width, config.hidden, config.activation, (DEVIATION, DEVIATION)),
            heads: Heads { queries: config.heads, keys: config.heads, width: width / config.heads },
        }
    }

    fn forward(&self, xs: &Tensor) -> Tensor {
        let (count, patches, width) = xs.size3().expect("patches have three dimensions");
        let normal = self.layer_norm1.forward(xs);
        let qkv = side_by_side(&[&self.q_proj, &self.k_proj, &self.v_proj], &normal);
        let qkv = qkv.view([count, patches, -1, self.heads.width]);
        let mixed = attention(&qkv, self.heads, false).view([count, patches, width]);
        let xs = xs + self.out_proj.forward(&mixed);
        &xs + self.mlp.forward(&self.layer_norm2.forward(&xs))
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
        let grid = config.grid();
        let shuffled = config.width * config.factor * config.factor;
        let projection = w / "connector" / "modality_projection" / "proj";
        let (_, device) = w.options();
        Self {
            patch_embedding: PatchConvolution::new(
                &(&embeddings / "patch_embedding"),
                config.patch,
                config.width,
                DEVIATION,
            ),
            position_embedding: LearnedPositions::new(
                &(&embeddings / "position_embedding"),
                "weight",
                (grid * grid, config.width),
                DEVIATION,
            ),
            layers: (0..config.layers)
                .map(|layer| Block::new(&(&tower / "encoder" / "layers" / layer), &config))
                .collect(),
            post_layernorm: LayerNorm::new(&(&tower / "post_layernorm"), config.width, config.eps),
            projection: Linear::without_bias(&projection, shuffled, width, Init::Normal(DEVIATION)),
            places: places(grid, device),
            config,
        }
    }

    /// Tiles `[N, side, side, 3]` to features `[N, tokens, D]`.
    pub(super) fn features(&self, tiles: &Tensor) -> Tensor {
        let mut xs = self.patch_embedding.forward(tiles) + self.position_embedding.at(&self.places);
        for block in &self.layers {
            xs = block.forward(&xs);
        }
        let xs = self.post_layernorm.forward(&xs);
        self.projection.forward(&pixel_shuffle(&xs, self.config.factor))
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
