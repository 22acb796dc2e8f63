//! The causal language model that the architectures share: Llama (Touvron et al. 2023) and what
//! follows it. RMSNorm, rotary positions, grouped queries, SwiGLU; biases on queries, keys and
//! values in Qwen2, normalised heads in Qwen3, positions with three axes in the Qwen-VL family, one
//! matrix for queries, keys and values and one for gate and up in Phi-3.
//!
//! | tensor | shape |
//! |---|---|
//! | stream of packed tokens | `T D` |
//! | queries, keys and values of a layer | `T (H + 2 G) W` |

use super::{
    config::{ConfigError, Keys},
    rope::Rope,
};
use crate::engine::{
    nn::{
        Attend, GatedMlp, Heads, Linear, Places, RmsNorm, Rotary, attention::attention_at,
        linear::side_by_side, rotary::Angles,
    },
    weights::{Init, Path},
};
use tch::{Kind, Tensor};

/// Standard deviation of fresh matrices, as in the reference.
const DEVIATION: f64 = 0.02;

/// Features of a head, far beyond any model.
const WIDEST_HEAD: i64 = 1 << 14;

/// What a decoder is like.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) vocabulary: i64,
    pub(super) width: i64,
    pub(super) hidden: i64,
    pub(super) layers: usize,
    pub(super) heads: Heads,
    pub(super) positions: i64,
    pub(super) eps: f64,
    pub(super) rope: Rope,
    /// Biases on queries, keys and values.
    pub(super) qkv_bias: bool,
    /// A bias on what attention gives.
    pub(super) output_bias: bool,
    /// Norms over each query and each key head.
    pub(super) normed_heads: bool,
    /// One matrix for queries, keys and values, and one for gate and up.
    pub(super) joined: bool,
    /// Whether the head is the embedding; a checkpoint without a head decides it, too.
    pub(super) tied: bool,
}

/// What a family of decoders takes for keys that are not there.
struct Family {
    vocabulary: i64,
    width: i64,
    hidden: i64,
    layers: i64,
    heads: i64,
    positions: i64,
    theta: f64,
    eps: f64,
    qkv_bias: bool,
    normed_heads: bool,
    joined: bool,
}

const LLAMA: Family = Family {
    vocabulary: 32_000,
    width: 4096,
    hidden: 11_008,
    layers: 32,
    heads: 32,
    positions: 2048,
    theta: 10_000.0,
    eps: 1e-6,
    qkv_bias: false,
    normed_heads: false,
    joined: false,
};

const QWEN2: Family =
    Family { vocabulary: 151_936, hidden: 22_016, positions: 32_768, qkv_bias: true, ..LLAMA };

const QWEN3: Family = Family { qkv_bias: false, normed_heads: true, ..QWEN2 };

const PHI3: Family = Family {
    vocabulary: 32_064,
    width: 3072,
    hidden: 8192,
    positions: 4096,
    eps: 1e-5,
    joined: true,
    ..LLAMA
};

impl Config {
    /// From the table of the language model; `top` is the whole configuration.
    pub(super) fn read(top: &Keys<'_>, text: &Keys<'_>) -> Result<Self, ConfigError> {
        let family = match text.text("model_type")?.unwrap_or("llama") {
            "llama" | "mistral" | "internlm2" | "minicpmv" => LLAMA,
            "phi3" | "phi3_v" => PHI3,
            "qwen2" | "qwen2_vl" | "qwen2_vl_text" | "qwen2_5_vl" | "qwen2_5_vl_text" => QWEN2,
            "qwen3" | "qwen3_vl_text" => QWEN3,
            _ => {
                let supported = "llama, internlm2, phi3, qwen2 or qwen3";
                return Err(text.unsupported("model_type", supported));
            }
        };
        if !matches!(text.text("hidden_act")?, None | Some("silu")) {
            return Err(text.unsupported("hidden_act", "`silu`"));
        }
        if text.flag("use_sliding_window")? == Some(true) {
            return Err(text.unsupported("use_sliding_window", "full attention"));
        }
        let width = text.size("hidden_size", family.width)?;
        let heads = heads(text, width, family.heads)?;
        let positions = text.size("max_position_embeddings", family.positions)?;
        // Up to the length of the window, attention in a window is attention.
        let window = match family.joined && text.has("sliding_window") {
            true => text.size("sliding_window", None)?,
            false => positions,
        };
        let bias = text.flag("attention_bias")?.or(text.flag("bias")?);
        let tied = match (top.flag("tie_word_embeddings")?, text.flag("tie_word_embeddings")?) {
            (Some(tied), _) | (None, Some(tied)) => tied,
            (None, None) => false,
        };
        Ok(Self {
            vocabulary: text.size("vocab_size", family.vocabulary)?,
            width,
            hidden: text.size("intermediate_size", family.hidden)?,
            layers: text.layers("num_hidden_layers", family.layers)?,
            heads,
            positions: positions.min(window),
            eps: text.number("rms_norm_eps", family.eps)?,
            rope: Rope::read(text, family.theta, (heads.width, positions))?,
            qkv_bias: bias.unwrap_or(family.qkv_bias),
            output_bias: bias.unwrap_or(false),
            normed_heads: family.normed_heads,
            joined: family.joined,
            tied,
        })
    }
}

/// The heads of a stream of `width` features; `queries` where no key says how many.
fn heads(text: &Keys<'_>, width: i64, queries: i64) -> Result<Heads, ConfigError> {
    let queries = text.size("num_attention_heads", queries)?;
    let keys = text.size("num_key_value_heads", queries)?;
    text.divisible(("num_attention_heads", queries), ("num_key_value_heads", keys))?;
    if !text.has("head_dim") {
        text.divisible(("hidden_size", width), ("num_attention_heads", queries))?;
    }
    let head = text.size("head_dim", width / queries)?;
    if head % 2 != 0 || head > WIDEST_HEAD {
        return Err(text.unsupported("head_dim", "an even width of at most 16384"));
    }
    Ok(Heads { queries, keys, width: head })
}

/// A pre-norm block.
pub(super) struct Block {
    pub(super) input_layernorm: RmsNorm,
    /// Of queries, of keys and of values, or of all in one.
    pub(super) qkv: Vec<Linear>,
    pub(super) o_proj: Linear,
    /// Of queries and of keys.
    pub(super) head_norms: Option<(RmsNorm, RmsNorm)>,
    pub(super) post_attention_layernorm: RmsNorm,
    pub(super) mlp: GatedMlp,
    pub(super) heads: Heads,
}

fn linear(w: &Path<'_>, input: i64, output: i64, bias: bool) -> Linear {
    match bias {
        true => Linear::with_bias(w, input, output, Init::Normal(DEVIATION)),
        false => Linear::without_bias(w, input, output, Init::Normal(DEVIATION)),
    }
}

impl Block {
    fn new(w: &Path<'_>, config: &Config) -> Self {
        let (width, eps, heads) = (config.width, config.eps, config.heads);
        let (queries, keys) = (heads.queries * heads.width, heads.keys * heads.width);
        let attention = w / "self_attn";
        let norm = |name| RmsNorm::new(&(&attention / name), heads.width, eps);
        let rising =
            |name: &str, height| linear(&(&attention / name), width, height, config.qkv_bias);
        let (mlp, deviations) = (w / "mlp", (DEVIATION, DEVIATION));
        Self {
            input_layernorm: RmsNorm::new(&(w / "input_layernorm"), width, eps),
            qkv: match config.joined {
                true => vec![rising("qkv_proj", queries + 2 * keys)],
                false => {
                    vec![rising("q_proj", queries), rising("k_proj", keys), rising("v_proj", keys)]
                }
            },
            o_proj: linear(&(&attention / "o_proj"), queries, width, config.output_bias),
            head_norms: config.normed_heads.then(|| (norm("q_norm"), norm("k_norm"))),
            post_attention_layernorm: RmsNorm::new(&(w / "post_attention_layernorm"), width, eps),
            mlp: match config.joined {
                true => GatedMlp::joined(&mlp, width, config.hidden, deviations),
                false => GatedMlp::new(&mlp, width, config.hidden, deviations),
            },
            heads,
        }
    }

    /// `[T, D]` to the same, or to `[P, D]` where only `P` places look.
    pub(super) fn forward(
        &self,
        layer: usize,
        xs: &Tensor,
        angles: &Angles,
        attend: &mut Attend<'_>,
    ) -> Tensor {
        let normal = self.input_layernorm.forward(xs);
        let xs = match attend {
            Attend::At(layout, places) => {
                let (query, keys_values) = self.apart(&normal, angles, places);
                let mixed = attention_at((&query, &keys_values), self.heads, (*layout, *places));
                xs.index_select(0, &places.index) + self.o_proj.forward(&mixed)
            }
            _ => {
                let maps: Vec<&Linear> = self.qkv.iter().collect();
                let qkv = self.heads.split(&side_by_side(&maps, &normal));
                let mixed = attend.forward(layer, self.heads, &self.turned(&qkv, angles));
                xs + self.o_proj.forward(&mixed)
            }
        };
        &xs + self.mlp.forward(&self.post_attention_layernorm.forward(&xs))
    }

    /// Queries, keys and values `[T, queries + 2 keys, width]` with queries and keys turned.
    fn turned(&self, qkv: &Tensor, angles: &Angles) -> Tensor {
        let Heads { queries, keys, .. } = self.heads;
        let turned = match &self.head_norms {
            None => angles.turn(&qkv.narrow(1, 0, queries + keys)),
            Some((of_queries, of_keys)) => {
                let queries_normed = of_queries.forward(&qkv.narrow(1, 0, queries));
                let keys_normed = of_keys.forward(&qkv.narrow(1, queries, keys));
                angles.turn(&Tensor::cat(&[queries_normed, keys_normed], 1))
            }
        };
        Tensor::cat(&[turned, qkv.narrow(1, queries + keys, keys)], 1)
    }

    /// The queries of some places, `[P, queries, width]`, and the keys and values of all, `[T, 2
    /// keys, width]`, with queries and keys turned.
    fn apart(&self, normal: &Tensor, angles: &Angles, places: &Places) -> (Tensor, Tensor) {
        let Heads { queries, keys, width } = self.heads;
        let heads = |flat: Tensor| flat.view([flat.size()[0], -1, width]);
        let at = &places.index;
        let (query, keys_values) = match &self.qkv[..] {
            [of_queries, of_keys, of_values] => (
                heads(of_queries.forward(&normal.index_select(0, at))),
                heads(side_by_side(&[of_keys, of_values], normal)),
            ),
            joined => {
                let maps: Vec<&Linear> = joined.iter().collect();
                let qkv = heads(side_by_side(&maps, normal));
                (qkv.narrow(1, 0, queries).index_select(0, at), qkv.narrow(1, queries, 2 * keys))
            }
        };
        let key = keys_values.narrow(1, 0, keys);
        let (query, key) = match &self.head_norms {
            None => (query, key),
            Some((of_queries, of_keys)) => (of_queries.forward(&query), of_keys.forward(&key)),
        };
        let values = keys_values.narrow(1, keys, keys);
        (angles.at(at).turn(&query), Tensor::cat(&[angles.turn(&key), values], 1))
    }
}

/// The whole decoder.
pub(super) struct Decoder {
    pub(super) config: Config,
    embed_tokens: Tensor,
    layers: Vec<Block>,
    norm: RmsNorm,
    /// Absent where the head is the embedding.
    lm_head: Option<Tensor>,
    rotary: Rotary,
}

impl Decoder {
    /// Walks `w`, and the head below `head`.
    pub(super) fn new(w: &Path<'_>, head: &Path<'_>, config: Config) -> Self {
        let shape = [config.vocabulary, config.width];
        let matrix = |w: Path<'_>| w.leaf("weight", &shape, Init::Normal(DEVIATION));
        let embed_tokens = matrix(w / "embed_tokens");
        let lm_head = (!config.tied).then(|| matrix(head / "lm_head"));
        let (kind, device) = w.options();
        Self {
            embed_tokens,
            layers: (0..config.layers)
                .map(|layer| Block::new(&(w / "layers" / layer), &config))
                .collect(),
            norm: RmsNorm::new(&(w / "norm"), config.width, config.eps),
            lm_head,
            rotary: config.rope.rotary(config.heads.width, kind, device),
            config,
        }
    }

    /// Token embeddings, `[T]` to `[T, D]`.
    pub(super) fn embed(&self, tokens: &Tensor) -> Tensor {
        Tensor::embedding(&self.embed_tokens, tokens, -1, false, false)
    }

    /// What turns queries and keys at positions `[T]`, or `[T, 3]` where they have axes.
    pub(super) fn angles(&self, positions: &Tensor) -> Angles {
        self.rotary.at(positions)
    }

    /// The stream after one layer, `[T, D]` to the same, or to `[P, D]` where only `P` places look.
    pub(super) fn layer(
        &self,
        layer: usize,
        xs: &Tensor,
        angles: &Angles,
        attend: &mut Attend<'_>,
    ) -> Tensor {
        self.layers[layer].forward(layer, xs, angles, attend)
    }

    /// The stream after the final norm.
    pub(super) fn normed(&self, stream: &Tensor) -> Tensor {
        self.norm.forward(stream)
    }

    /// Final norm and head, in 32 bits.
    pub(super) fn logits(&self, stream: &Tensor) -> Tensor {
        let head = self.lm_head.as_ref().unwrap_or(&self.embed_tokens);
        self.normed(stream).linear(head, None::<&Tensor>).to_kind(Kind::Float)
    }
}
