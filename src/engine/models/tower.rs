//! The tower that CLIP (Radford et al. 2021), SigLIP (Zhai et al. 2023) and Idefics2 share but for
//! what comes before and after: pre-norm blocks over the patches of each image.
//!
//! | tensor | shape |
//! |---|---|
//! | patches | `N P V` |

use super::config::{ConfigError, Keys};
use crate::engine::{
    nn::{
        Heads, LayerNorm, Linear, Mlp, attention::attention, linear::side_by_side, mlp::Activation,
    },
    pixels::Size,
    weights::{Init, Path},
};
use tch::Tensor;

/// Standard deviation of fresh matrices, as in the reference.
pub(super) const DEVIATION: f64 = 0.02;

/// What a tower is like.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// Pixels along a side of an image that fills the table of positions.
    pub(super) side: i64,
    pub(super) patch: i64,
    pub(super) width: i64,
    pub(super) hidden: i64,
    pub(super) layers: usize,
    pub(super) heads: i64,
    pub(super) eps: f64,
    pub(super) activation: Activation,
}

impl Shape {
    /// From the table of the tower; `family` says what stands for keys that are not there.
    pub(super) fn read(vision: &Keys<'_>, family: &Self) -> Result<Self, ConfigError> {
        let shape = Self {
            side: vision.side("image_size", family.side)?,
            patch: vision.side("patch_size", family.patch)?,
            width: vision.size("hidden_size", family.width)?,
            hidden: vision.size("intermediate_size", family.hidden)?,
            layers: vision.layers("num_hidden_layers", family.layers as i64)?,
            heads: vision.size("num_attention_heads", family.heads)?,
            eps: vision.number("layer_norm_eps", family.eps)?,
            activation: vision.activation("hidden_act", family.activation)?,
        };
        vision.divisible(("hidden_size", shape.width), ("num_attention_heads", shape.heads))?;
        Ok(shape)
    }

    /// Patches along a side.
    pub(super) fn grid(&self) -> i64 {
        self.side / self.patch
    }

    /// Whether squares of `factor` patches along a side leave no patch over.
    pub(super) fn joins(&self, factor: i64) -> bool {
        factor > 0 && self.grid() > 0 && self.grid() % factor == 0
    }

    /// Tokens of an image that fills the table of positions, joined so; no other is read.
    pub(super) fn tokens(&self, size: Size, factor: i64) -> Option<usize> {
        (size == self.square()).then(|| (self.grid() / factor).pow(2) as usize)
    }

    /// An image that fills the table of positions.
    pub(super) fn square(&self) -> Size {
        Size { height: self.side as usize, width: self.side as usize }
    }
}

/// A pre-norm block over the patches of each image.
pub(super) struct Block {
    pub(super) layer_norm1: LayerNorm,
    pub(super) q_proj: Linear,
    pub(super) k_proj: Linear,
    pub(super) v_proj: Linear,
    pub(super) out_proj: Linear,
    pub(super) layer_norm2: LayerNorm,
    pub(super) mlp: Mlp,
    pub(super) heads: Heads,
}

impl Block {
    fn new(w: &Path<'_>, shape: &Shape) -> Self {
        let (width, eps) = (shape.width, shape.eps);
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
            mlp: Mlp::new(&mlp, width, shape.hidden, shape.activation, (DEVIATION, DEVIATION)),
            heads: Heads { queries: shape.heads, keys: shape.heads, width: width / shape.heads },
        }
    }

    /// `[N, P, V]` to the same.
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

/// All blocks of a tower.
pub(super) fn blocks(w: &Path<'_>, shape: &Shape) -> Vec<Block> {
    (0..shape.layers).map(|layer| Block::new(&(w / "encoder" / "layers" / layer), shape)).collect()
}

/// Patches through blocks, one after the other.
pub(super) fn through(blocks: &[Block], mut xs: Tensor) -> Tensor {
    for block in blocks {
        xs = block.forward(&xs);
    }
    xs
}
