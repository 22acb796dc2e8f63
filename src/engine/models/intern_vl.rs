//! InternVL2, 2.5 and 3 (Chen et al. 2024): InternViT over square tiles, pixel shuffle, two affine
//! maps, and an InternLM2, Qwen2 or Llama decoder. After transformers' `internvl`; the layout of the
//! original repositories is read, too.
//!
//! Unusual: a class token is carried along and dropped; what a block adds is scaled by learned
//! vectors (`lambda_1`, `lambda_2`); there is no norm after the tower.
//!
//! | tensor | shape |
//! |---|---|
//! | tiles | `N side side 3` |
//! | class token and patches | `N 1+P V` |
//! | image features | `N P/s² D` |

use super::{
    config::{ConfigError, Keys},
    tower::{DEVIATION, Shape},
};
use crate::engine::{
    nn::{
        Heads, LayerNorm, Linear, Mlp, PatchConvolution, RmsNorm, attention::attention,
        mlp::Activation, pixel_shuffle,
    },
    pixels::Size,
    weights::{Init, Path},
};
use tch::Tensor;

/// What stands for keys of the tower that are not there.
const TOWER: Shape = Shape {
    side: 448,
    patch: 14,
    width: 1024,
    hidden: 4096,
    layers: 24,
    heads: 16,
    eps: 1e-6,
    activation: Activation::Gelu,
};
/// What the norms of queries and keys add.
const HEAD_EPS: f64 = 1e-6;
/// What the norm of the projector adds.
const PROJECTOR_EPS: f64 = 1e-5;

/// The tower and its projector.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) tower: Shape,
    /// RMSNorm instead of LayerNorm, as in the tower of 6B.
    root_mean_square: bool,
    qkv_bias: bool,
    normed_heads: bool,
    /// Patches along a side that become one token.
    factor: i64,
    projector: Activation,
    pub(super) token: i64,
}

impl Config {
    pub(super) fn read(top: &Keys<'_>, vocabulary: i64) -> Result<Self, ConfigError> {
        let vision = top.table(&["vision_config"])?.ok_or_else(|| top.missing("vision_config"))?;
        for key in ["vision_feature_layer", "select_layer"] {
            if !matches!(top.integer(key)?, None | Some(-1)) {
                return Err(top.unsupported(key, "-1"));
            }
        }
        if !matches!(top.text("ps_version")?, None | Some("v2")) {
            return Err(top.unsupported("ps_version", "`v2`"));
        }
        if !matches!(top.text("vision_feature_select_strategy")?, None | Some("default")) {
            return Err(top.unsupported("vision_feature_select_strategy", "`default`"));
        }
        for key in ["use_mean_pooling", "use_absolute_position_embeddings"] {
            if vision.flag(key)? == Some(false) {
                return Err(vision.unsupported(key, "true"));
            }
        }
        let root_mean_square = match vision.text("norm_type")? {
            None | Some("layer_norm") => false,
            Some("rms_norm") => true,
            Some(_) => return Err(vision.unsupported("norm_type", "`layer_norm` or `rms_norm`")),
        };
        let ratio = top.number("downsample_ratio", 0.5)?;
        let factor = if ratio > 0.0 { (1.0 / ratio) as i64 } else { 0 };
        let config = Self {
            tower: Shape::read(&vision, &TOWER)?,
            root_mean_square,
            qkv_bias: vision.flag("attention_bias")?.or(vision.flag("qkv_bias")?).unwrap_or(false),
            normed_heads: vision
                .flag("use_qk_norm")?
                .or(vision.flag("qk_normalization")?)
                .unwrap_or(false),
            factor,
            projector: top.activation("projector_hidden_act", Activation::Gelu)?,
            token: match top.integer("img_context_token_id")? {
                Some(_) => top.token("img_context_token_id", None, vocabulary)?,
                None => top.token("image_token_id", None, vocabulary)?,
            },
        };
        if !config.tower.joins(factor) {
            let supported = "a share that divides the patches along a side";
            return Err(top.unsupported("downsample_ratio", supported));
        }
        Ok(config)
    }

    pub(super) fn tokens(&self, size: Size) -> Option<usize> {
        self.tower.tokens(size, self.factor)
    }
}

enum Norm {
    Layer(LayerNorm),
    Rms(RmsNorm),
}

impl Norm {
    fn new(w: &Path<'_>, config: &Config) -> Self {
        match config.root_mean_square {
            false => Self::Layer(LayerNorm::new(w, config.tower.width, config.tower.eps)),
            true => Self::Rms(RmsNorm::new(w, config.tower.width, config.tower.eps)),
        }
    }

    fn forward(&self, xs: &Tensor) -> Tensor {
        match self {
            Self::Layer(norm) => norm.forward(xs),
            Self::Rms(norm) => norm.forward(xs),
        }
    }
}

/// A pre-norm block whose additions are scaled.
struct Block {
    layernorm_before: Norm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    /// Of queries and of keys, over all heads together.
    head_norms: Option<(RmsNorm, RmsNorm)>,
    projection_layer: Linear,
    lambda_1: Tensor,
    layernorm_after: Norm,
    mlp: Mlp,
    lambda_2: Tensor,
    heads: Heads,
}

impl Block {
    fn new(w: &Path<'_>, config: &Config) -> Self {
        let Shape { width, hidden, heads, activation, .. } = config.tower;
        let attention = w / "attention";
        let linear = |name: &str, bias: bool| match bias {
            true => Linear::with_bias(&(&attention / name), width, width, Init::Normal(DEVIATION)),
            false => {
                Linear::without_bias(&(&attention / name), width, width, Init::Normal(DEVIATION))
            }
        };
        let norm = |name| RmsNorm::new(&(&attention / name), width, HEAD_EPS);
        let mlp = w / "mlp";
        Self {
            layernorm_before: Norm::new(&(w / "layernorm_before"), config),
            q_proj: linear("q_proj", config.qkv_bias),
            k_proj: linear("k_proj", config.qkv_bias),
            v_proj: linear("v_proj", config.qkv_bias),
            head_norms: config.normed_heads.then(|| (norm("q_norm"), norm("k_norm"))),
            projection_layer: linear("projection_layer", true),
            lambda_1: w.leaf("lambda_1", &[width], Init::Ones),
            layernorm_after: Norm::new(&(w / "layernorm_after"), config),
            mlp: Mlp::new(&mlp, width, hidden, activation, (DEVIATION, DEVIATION)),
            lambda_2: w.leaf("lambda_2", &[width], Init::Ones),
            heads: Heads { queries: heads, keys: heads, width: width / heads },
        }
    }

    fn forward(&self, xs: &Tensor) -> Tensor {
        let (count, patches, width) = xs.size3().expect("patches have three dimensions");
        let normal = self.layernorm_before.forward(xs);
        let (mut queries, mut keys) = (self.q_proj.forward(&normal), self.k_proj.forward(&normal));
        if let Some((of_queries, of_keys)) = &self.head_norms {
            (queries, keys) = (of_queries.forward(&queries), of_keys.forward(&keys));
        }
        let qkv = Tensor::cat(&[queries, keys, self.v_proj.forward(&normal)], -1);
        let qkv = qkv.view([count, patches, -1, self.heads.width]);
        let mixed = attention(&qkv, self.heads, false).view([count, patches, width]);
        let xs = xs + self.projection_layer.forward(&mixed) * &self.lambda_1;
        &xs + self.mlp.forward(&self.layernorm_after.forward(&xs)) * &self.lambda_2
    }
}

/// Tower and projector.
pub(super) struct Vision {
    pub(super) config: Config,
    cls_token: Tensor,
    patch_embeddings: PatchConvolution,
    position_embeddings: Tensor,
    layer: Vec<Block>,
    layer_norm: LayerNorm,
    linear_1: Linear,
    linear_2: Linear,
}

impl Vision {
    /// Walks the tower and the projector below `w`, to features of `width`.
    pub(super) fn new(w: &Path<'_>, config: Config, width: i64) -> Self {
        let tower = w / "vision_tower";
        let embeddings = &tower / "embeddings";
        let projector = w / "multi_modal_projector";
        let shape = &config.tower;
        let shuffled = shape.width * config.factor * config.factor;
        let linear = |name: &str, input| {
            Linear::with_bias(&(&projector / name), input, width, Init::Normal(DEVIATION))
        };
        let positions = [1, shape.grid() * shape.grid() + 1, shape.width];
        Self {
            cls_token: embeddings.leaf("cls_token", &[1, 1, shape.width], Init::Zeros),
            patch_embeddings: PatchConvolution::new(
                &(&embeddings / "patch_embeddings" / "projection"),
                shape.patch,
                shape.width,
                DEVIATION,
            ),
            position_embeddings: embeddings.leaf(
                "position_embeddings",
                &positions,
                Init::Normal(DEVIATION),
            ),
            layer: (0..shape.layers)
                .map(|layer| Block::new(&(&tower / "encoder" / "layer" / layer), &config))
                .collect(),
            layer_norm: LayerNorm::new(&(&projector / "layer_norm"), shuffled, PROJECTOR_EPS),
            linear_1: linear("linear_1", shuffled),
            linear_2: linear("linear_2", width),
            config,
        }
    }

    /// Tiles `[N, side, side, 3]` to patches `[N, P, V]`, without the class token.
    pub(super) fn tower(&self, tiles: &Tensor) -> Tensor {
        let patches = self.patch_embeddings.forward(tiles);
        let (count, places, width) = patches.size3().expect("patches have three dimensions");
        let class = self.cls_token.expand([count, 1, width], false);
        let mut xs = Tensor::cat(&[class, patches], 1) + &self.position_embeddings;
        for block in &self.layer {
            xs = block.forward(&xs);
        }
        xs.narrow(1, 1, places).contiguous()
    }

    /// These to features `[N, tokens, D]`.
    pub(super) fn projected(&self, patches: &Tensor) -> Tensor {
        let merged = self.layer_norm.forward(&pixel_shuffle(patches, self.config.factor));
        let hidden = self.config.projector.forward(&self.linear_1.forward(&merged));
        self.linear_2.forward(&hidden)
    }
}
