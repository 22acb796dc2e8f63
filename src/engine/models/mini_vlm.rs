//! The embedded vision-language model, small enough to evolve in minutes on one CPU thread.
//!
//! Vision tower as in SigLIP (Zhai et al. 2023): pre-norm blocks with biases and tanh GELU. Decoder
//! as in Llama (Touvron et al. 2023): RMSNorm, rotary positions, grouped queries, SwiGLU, no biases.
//! Unusual: the patch stem has two layers and ends in a norm without weights; positions of patches
//! are sums of a row and a column embedding; embeddings are scaled by `embedding_multiplier`, which
//! the tied head is not; fresh queries equal fresh keys and fresh outputs undo fresh values
//! (Trockman and Kolter 2023), which makes attention useful from the first step.
//!
//! | tensor | shape |
//! |---|---|
//! | pixels | `N side side 3` |
//! | patches, image features | `N 16 D` |
//! | stream of packed tokens | `T D` |
//! | queries, keys and values of a layer | `T (H + 2 G) W` |

use super::{
    config::{ConfigError, LARGEST, MOST_LAYERS},
    decoder, tower,
};
use crate::base::Seed;
use crate::engine::{
    nn::{
        Attend, GatedMlp, Heads, LayerNorm, LearnedPositions, Linear, Mlp, PatchEmbedding,
        Projector, RmsNorm, Rotary, mlp::Activation, norm::standardise, rotary::Angles,
    },
    pack::{Given, Inputs},
    weights::{Init, Path, normal, orthogonal},
};
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Its `model_type`.
pub const KIND: &str = "mstar_mini_vlm";

/// Standard deviations of fresh block matrices.
const RISING_DEVIATION: f64 = 0.02;
const FALLING_DEVIATION: f64 = 0.01;
/// Scale of fresh orthogonal value and output matrices.
const VALUE_SCALE: f32 = 0.7;
/// Standard deviation of fresh row and column embeddings.
const PLACE_DEVIATION: f64 = 0.7;

/// `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// [`KIND`].
    pub model_type: String,
    /// Number of token ids, the image placeholder included.
    pub vocab_size: i64,
    /// Width `D` of the stream.
    pub hidden_size: i64,
    /// Hidden features of the decoder's feed-forward blocks.
    pub intermediate_size: i64,
    /// Decoder blocks.
    pub num_hidden_layers: i64,
    /// Query heads `H`.
    pub num_attention_heads: i64,
    /// Key heads `G`, a divisor of `H`.
    pub num_key_value_heads: i64,
    /// The longest sequence, image tokens included.
    pub max_position_embeddings: i64,
    /// The base of the rotary frequencies.
    pub rope_theta: f64,
    /// Added to the mean square in norms.
    pub rms_norm_eps: f64,
    /// What token embeddings are multiplied by on their way in.
    pub embedding_multiplier: f64,
    /// The placeholder that image features replace.
    pub image_token_id: i64,
    /// What ends a response.
    pub eos_token_id: i64,
    /// What fills batches elsewhere; never part of a sequence here.
    pub pad_token_id: i64,
    /// Whether the head is the embedding; always.
    pub tie_word_embeddings: bool,
    /// The vision tower.
    pub vision_config: VisionConfig,
}

/// `vision_config` of `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VisionConfig {
    /// Height and width of an image in pixels.
    pub image_size: i64,
    /// Height and width of a patch in pixels.
    pub patch_size: i64,
    /// Hidden features of the patch stem.
    pub stem_size: i64,
    /// Width of the tower.
    pub hidden_size: i64,
    /// Hidden features of its feed-forward blocks.
    pub intermediate_size: i64,
    /// Bidirectional blocks.
    pub num_hidden_layers: i64,
    /// Heads of a block.
    pub num_attention_heads: i64,
    /// Added to the variance in norms.
    pub layer_norm_eps: f64,
}

impl Config {
    /// The embedded model: 236,096 parameters, 232 words and the image placeholder.
    pub fn builtin() -> Self {
        Self {
            model_type: KIND.to_owned(),
            vocab_size: 233,
            hidden_size: 64,
            intermediate_size: 176,
            num_hidden_layers: 2,
            num_attention_heads: 4,
            num_key_value_heads: 4,
            max_position_embeddings: 256,
            rope_theta: 10_000.0,
            rms_norm_eps: 1e-6,
            embedding_multiplier: 8.0,
            image_token_id: 232,
            eos_token_id: 2,
            pad_token_id: 0,
            tie_word_embeddings: true,
            vision_config: VisionConfig {
                image_size: 32,
                patch_size: 8,
                stem_size: 256,
                hidden_size: 64,
                intermediate_size: 256,
                num_hidden_layers: 1,
                num_attention_heads: 4,
                layer_norm_eps: 1e-6,
            },
        }
    }

    /// Whether sizes fit each other.
    ///
    /// # Errors
    /// With the first that does not.
    pub fn check(&self) -> Result<(), ConfigError> {
        let vision = &self.vision_config;
        for (key, value) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("max_position_embeddings", self.max_position_embeddings),
            ("vision_config.image_size", vision.image_size),
            ("vision_config.patch_size", vision.patch_size),
            ("vision_config.stem_size", vision.stem_size),
            ("vision_config.hidden_size", vision.hidden_size),
            ("vision_config.intermediate_size", vision.intermediate_size),
            ("vision_config.num_hidden_layers", vision.num_hidden_layers),
            ("vision_config.num_attention_heads", vision.num_attention_heads),
        ] {
            let most = if key.ends_with("layers") { MOST_LAYERS } else { LARGEST };
            if value < 1 {
                return Err(ConfigError::TooSmall { key: key.to_owned(), value });
            }
            if value > most {
                let (expected, found) = ("a size that a model can have", value.to_string());
                return Err(ConfigError::Type { key: key.to_owned(), expected, found });
            }
        }
        for (key, value, of, divisor) in [
            ("hidden_size", self.hidden_size, "2 x num_attention_heads", {
                2 * self.num_attention_heads
            }),
            ("num_attention_heads", self.num_attention_heads, "num_key_value_heads", {
                self.num_key_value_heads
            }),
            ("vision_config.image_size", vision.image_size, "patch_size", vision.patch_size),
            ("vision_config.hidden_size", vision.hidden_size, "num_attention_heads", {
                vision.num_attention_heads
            }),
        ] {
            if value % divisor != 0 {
                let (key, of) = (key.to_owned(), of.to_owned());
                return Err(ConfigError::NotDivisible { key, value, of, divisor });
            }
        }
        for (key, value) in
            [("image_token_id", self.image_token_id), ("eos_token_id", self.eos_token_id)]
        {
            if !(0..self.vocab_size).contains(&value) {
                let (key, vocabulary) = (key.to_owned(), self.vocab_size);
                return Err(ConfigError::Token { key, value, vocabulary });
            }
        }
        if !self.tie_word_embeddings {
            return Err(ConfigError::Untied);
        }
        Ok(())
    }

    fn heads(&self) -> Heads {
        Heads {
            queries: self.num_attention_heads,
            keys: self.num_key_value_heads,
            width: self.hidden_size / self.num_attention_heads,
        }
    }
}

impl VisionConfig {
    fn heads(&self) -> Heads {
        let heads = self.num_attention_heads;
        Heads { queries: heads, keys: heads, width: self.hidden_size / heads }
    }

    fn grid(&self) -> i64 {
        self.image_size / self.patch_size
    }
}

/// Fresh attention matrices of the block called `block`: keys equal queries, outputs undo values.
/// With grouped queries a key head starts as the first query head of its group, and its value head
/// is undone by every query head of the group.
struct Mimetic {
    block: String,
    heads: Heads,
}

impl Mimetic {
    fn new(w: &Path<'_>, heads: Heads) -> Self {
        Self { block: w.name().to_owned(), heads }
    }

    /// A `D` x `D` orthogonal matrix, named after the block.
    fn matrix(&self, seed: Seed, purpose: &str) -> Vec<f32> {
        let size = (self.heads.queries * self.heads.width) as usize;
        orthogonal(seed.named(&format!("{}.{purpose}", self.block)), size)
    }

    fn queries(&self, seed: Seed) -> Vec<f32> {
        self.matrix(seed, "query")
    }

    fn keys(&self, seed: Seed) -> Vec<f32> {
        self.first_of_groups(&self.matrix(seed, "query"))
    }

    fn values(&self, seed: Seed) -> Vec<f32> {
        self.first_of_groups(&self.matrix(seed, "value")).iter().map(|x| x * VALUE_SCALE).collect()
    }

    fn outputs(&self, seed: Seed) -> Vec<f32> {
        let Heads { queries, keys, width } = self.heads;
        let (size, width) = ((queries * width) as usize, width as usize);
        let repeats = (queries / keys) as usize;
        let values = self.matrix(seed, "value");
        let mut outputs = vec![0.0; size * size];
        for column in 0..size {
            let source = (column / width / repeats * repeats) * width + column % width;
            for row in 0..size {
                outputs[row * size + column] = VALUE_SCALE * values[source * size + row];
            }
        }
        outputs
    }

    fn first_of_groups(&self, matrix: &[f32]) -> Vec<f32> {
        let Heads { queries, keys, width } = self.heads;
        let head = (width * queries * width) as usize;
        let repeats = (queries / keys) as usize;
        matrix.chunks(head).step_by(repeats).flatten().copied().collect()
    }
}

/// A bidirectional pre-norm block over the patches of each image.
fn vision_block(w: &Path<'_>, config: &VisionConfig) -> tower::Block {
    let (width, eps) = (config.hidden_size, config.layer_norm_eps);
    let fresh = Mimetic::new(w, config.heads());
    let linear = |name: &str, init: &dyn Fn(Seed) -> Vec<f32>| {
        Linear::with_bias(&(w / name), width, width, Init::Made(init))
    };
    tower::Block {
        layer_norm1: LayerNorm::new(&(w / "layer_norm1"), width, eps),
        q_proj: linear("q_proj", &|seed| fresh.queries(seed)),
        k_proj: linear("k_proj", &|seed| fresh.keys(seed)),
        v_proj: linear("v_proj", &|seed| fresh.values(seed)),
        out_proj: linear("out_proj", &|seed| fresh.outputs(seed)),
        layer_norm2: LayerNorm::new(&(w / "layer_norm2"), width, eps),
        mlp: Mlp::new(
            w,
            width,
            config.intermediate_size,
            Activation::GeluTanh,
            (RISING_DEVIATION, FALLING_DEVIATION),
        ),
        heads: config.heads(),
    }
}

/// A causal Llama block.
fn decoder_block(w: &Path<'_>, config: &Config) -> decoder::Block {
    let (width, eps, heads) = (config.hidden_size, config.rms_norm_eps, config.heads());
    let keys = heads.keys * heads.width;
    let fresh = Mimetic::new(w, heads);
    let linear = |name: &str, output: i64, init: &dyn Fn(Seed) -> Vec<f32>| {
        Linear::without_bias(&(w / name), width, output, Init::Made(init))
    };
    decoder::Block {
        input_layernorm: RmsNorm::new(&(w / "input_layernorm"), width, eps),
        qkv: vec![
            linear("q_proj", width, &|seed| fresh.queries(seed)),
            linear("k_proj", keys, &|seed| fresh.keys(seed)),
            linear("v_proj", keys, &|seed| fresh.values(seed)),
        ],
        o_proj: linear("o_proj", width, &|seed| fresh.outputs(seed)),
        head_norms: None,
        post_attention_layernorm: RmsNorm::new(&(w / "post_attention_layernorm"), width, eps),
        mlp: GatedMlp::new(
            w,
            width,
            config.intermediate_size,
            (RISING_DEVIATION, FALLING_DEVIATION),
        ),
        heads,
    }
}

/// The whole model.
pub struct MiniVlm {
    config: Config,
    patch: PatchEmbedding,
    row_embed: LearnedPositions,
    col_embed: LearnedPositions,
    vision: Vec<tower::Block>,
    projector: Projector,
    embed_tokens: Tensor,
    layers: Vec<decoder::Block>,
    norm: RmsNorm,
    rotary: Rotary,
}

impl MiniVlm {
    /// Walks `w`; the configuration has been checked.
    pub fn new(w: &Path<'_>, config: Config) -> Self {
        let (vision, width) = (&config.vision_config, config.hidden_size);
        let places = (vision.grid(), vision.hidden_size);
        let embedding = Init::Normal((width as f64).powf(-0.5));
        let embed_tokens =
            (w / "embed_tokens").leaf("weight", &[config.vocab_size, width], embedding);
        let rotary = Rotary::new(
            config.heads().width,
            config.max_position_embeddings,
            config.rope_theta,
            embed_tokens.kind(),
            embed_tokens.device(),
        );
        Self {
            patch: PatchEmbedding::new(
                (&(w / "patch_fc1"), &(w / "patch_fc2")),
                vision.patch_size,
                vision.stem_size,
                vision.hidden_size,
            ),
            row_embed: LearnedPositions::new(w, "row_embed", places, PLACE_DEVIATION),
            col_embed: LearnedPositions::new(w, "col_embed", places, PLACE_DEVIATION),
            vision: (0..vision.num_hidden_layers as usize)
                .map(|layer| vision_block(&(w / "vision" / layer), vision))
                .collect(),
            projector: Projector::new(&(w / "projector"), vision.hidden_size, width),
            embed_tokens,
            layers: (0..config.num_hidden_layers as usize)
                .map(|layer| decoder_block(&(w / "layers" / layer), &config))
                .collect(),
            norm: RmsNorm::new(&(w / "norm"), width, config.rms_norm_eps),
            rotary,
            config,
        }
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Placeholders of one image.
    pub fn image_tokens(&self) -> usize {
        (self.config.vision_config.grid() * self.config.vision_config.grid()) as usize
    }

    /// Decoder layers and their heads.
    pub fn layers(&self) -> (usize, Heads) {
        (self.layers.len(), self.config.heads())
    }

    /// Patches before any of them knows its place or its neighbours: pixels `[N, side, side, 3]` in
    /// -1..=1 to `[N, patches, D]` of mean 0 and variance 1.
    pub fn patch_features(&self, pixels: &Tensor) -> Tensor {
        standardise(&self.patch.forward(pixels), 1e-5)
    }

    /// What the tower makes of images: `[N, side, side, 3]` to `[N, patches, V]`.
    pub(super) fn tower(&self, pixels: &Tensor) -> Tensor {
        let places = LearnedPositions::grid(&self.row_embed, &self.col_embed);
        tower::through(&self.vision, self.patch_features(pixels) + places)
    }

    /// The stream before the first layer, `[T, D]`.
    pub(super) fn embedded(&self, inputs: &Inputs) -> Tensor {
        let text = Tensor::embedding(&self.embed_tokens, &inputs.tokens, -1, false, false)
            * self.config.embedding_multiplier;
        match &inputs.images {
            None => text,
            Some(images) => {
                let VisionConfig { image_size, hidden_size, .. } = self.config.vision_config;
                let patches = match &images.given {
                    Given::Pixels(_) => self.tower(&images.squares(image_size as usize)),
                    Given::Tower(outputs) => {
                        outputs[0].view([-1, self.image_tokens() as i64, hidden_size])
                    }
                };
                let features = self.projector.forward(&patches).flatten(0, 1);
                Tensor::cat(&[text, features], 0).index_select(0, &images.order)
            }
        }
    }

    /// What turns queries and keys at positions.
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

    /// The stream after the final norm, as heads read it.
    pub fn normed(&self, stream: &Tensor) -> Tensor {
        self.norm.forward(stream)
    }

    /// Final norm and tied head, in 32 bits.
    pub fn logits(&self, stream: &Tensor) -> Tensor {
        self.normed(stream).linear(&self.embed_tokens, None::<&Tensor>).to_kind(Kind::Float)
    }

    /// The token embeddings, `[vocabulary, D]`.
    pub fn embed_tokens(&self) -> &Tensor {
        &self.embed_tokens
    }

    /// Gives numbers of two and more digits a place in the embedding that tells their digits:
    /// `numbers[n]`, the token of the number `n`, becomes `mean + spread * (unit(n % 10) +
    /// ten(n / 10))` for every `n` from 10 on. `mean` and the units are those of the digits as they
    /// have been learned; the tens are random directions of the same norm.
    pub fn place_numbers(&self, numbers: &[i64], spread: f64, seed: Seed) {
        tch::no_grad(|| {
            let (kind, device) = (self.embed_tokens.kind(), self.embed_tokens.device());
            let digits = self.embed_tokens.index_select(0, &index(&numbers[..10], device));
            let digits = digits.to_kind(Kind::Float);
            let mean = digits.mean_dim([0_i64].as_slice(), true, None);
            let units = digits - &mean;
            let norm = units.norm_scalaropt_dim(2, [-1_i64].as_slice(), true).mean(None);
            let width = self.config.hidden_size;
            let tens = numbers.len().div_ceil(10) as i64;
            let tens = Tensor::from_slice(&normal(seed, (tens * width) as usize, 1.0));
            let tens = tens.view([-1, width]).to_device(device);
            let lengths = tens.norm_scalaropt_dim(2, [-1_i64].as_slice(), true);
            let tens = tens / lengths * norm;
            let all: Vec<i64> = (10..numbers.len() as i64).collect();
            let of =
                |part: fn(&i64) -> i64| index(&all.iter().map(part).collect::<Vec<i64>>(), device);
            let placed = mean
                + (units.index_select(0, &of(|n| n % 10)) + tens.index_select(0, &of(|n| n / 10)))
                    * spread;
            drop(self.embed_tokens.shallow_clone().index_copy_(
                0,
                &index(&numbers[10..], device),
                &placed.to_kind(kind),
            ));
        });
    }
}

fn index(values: &[i64], device: tch::Device) -> Tensor {
    Tensor::from_slice(values).to_device(device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{
        Pixels,
        generate::{Prompt, Settings, generate},
        models::{ModelError, load},
        sampling::Sampling,
        weights::{Precision, Weights},
    };
    use tch::Device;

    fn model(precision: Precision) -> crate::engine::Model {
        let config = serde_json::to_string(&Config::builtin()).unwrap();
        load(KIND, &config, Weights::random(Seed(1), precision, Device::Cpu)).unwrap()
    }

    #[test]
    fn the_embedded_model_has_its_size_and_block_matrices() {
        let model = model(Precision::F32);
        assert_eq!(model.parameters().count(), 236_096);
        let matrices = model.parameters().iter();
        let matrices = matrices
            .filter(|(name, p)| crate::engine::Model::is_block_matrix(name) && p.dim() == 2)
            .count();
        assert_eq!(matrices, 6 + 2 * 7);
    }

    #[test]
    fn fresh_outputs_undo_fresh_values_of_every_head() {
        let heads = Heads { queries: 4, keys: 2, width: 8 };
        let fresh = Mimetic { block: "layers.0".into(), heads };
        let values = Tensor::from_slice(&fresh.values(Seed(1))).view([16, 32]);
        let outputs = Tensor::from_slice(&fresh.outputs(Seed(1))).view([32, 32]);
        // What queries 0 and 1 write of key head 0 is what it read, at .7 x .7.
        for head in [0, 8] {
            let undone = values.narrow(0, 0, 8).matmul(&outputs.narrow(1, head, 8));
            let error = undone - Tensor::eye(8, tch::kind::FLOAT_CPU) * 0.49;
            assert!(error.abs().max().double_value(&[]) < 1e-5);
        }
    }

    #[test]
    fn sizes_that_do_not_fit_are_errors() {
        let wrong = |change: fn(&mut Config)| {
            let mut config = Config::builtin();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert_eq!(wrong(|c| c.vocab_size = 0), "`vocab_size` must be at least 1, found 0");
        assert_eq!(
            wrong(|c| c.vision_config.num_hidden_layers = -1),
            "`vision_config.num_hidden_layers` must be at least 1, found -1"
        );
        assert_eq!(
            wrong(|c| c.num_attention_heads = i64::MAX),
            "`num_attention_heads` must be a size that a model can have, found 9223372036854775807"
        );
        assert_eq!(
            wrong(|c| c.num_key_value_heads = 3),
            "`num_attention_heads` (4) must be a multiple of `num_key_value_heads` (3)"
        );
        assert!(wrong(|c| c.image_token_id = 233).contains("outside the vocabulary of 233"));
        assert_eq!(wrong(|c| c.tie_word_embeddings = false), "`tie_word_embeddings` must be true");
    }

    #[test]
    fn an_unknown_architecture_is_an_error() {
        let weights = Weights::random(Seed(1), Precision::F32, Device::Cpu);
        let error = load("gpt", "{}", weights).err().unwrap();
        assert!(matches!(error, ModelError::Architecture(_)));
    }

    #[test]
    fn numbers_share_the_directions_of_their_digits() {
        let model = model(Precision::F32);
        let model = model.as_mini_vlm().unwrap();
        let numbers: Vec<i64> = (3..203).collect();
        model.place_numbers(&numbers, 0.7, Seed(2));
        let row = |number: i64| model.embed_tokens().get(number + 3).detach();
        let apart = |a: i64, b: i64| row(a) - row(b);
        let error = (apart(57, 52) - apart(137, 132)).abs().max();
        assert!(error.double_value(&[]) < 1e-5);
        let unit = (apart(57, 52) - apart(7, 2) * 0.7).abs().max();
        assert!(unit.double_value(&[]) < 1e-5);
    }

    #[test]
    fn bfloat16_generates_like_32_bits_at_first() {
        let prompts = [Prompt { id: 0, tokens: vec![5, 9, 40], pixels: Pixels::none() }];
        let settings = Settings {
            samples: 1,
            first_sample: 0,
            sampling: Sampling::greedy(3, &[]),
            seed: Seed(0),
            slots: 1,
        };
        let first = |precision| {
            let model = model(precision);
            let generated = generate(&model, &prompts, &settings, &mut |_| (), &|| false).unwrap();
            generated.responses[0].tokens[0]
        };
        assert_eq!(first(Precision::Bf16), first(Precision::F32));
    }
}
