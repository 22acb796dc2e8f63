//! Architectures, one file each, behind one closed enum.

mod config;
mod decoder;
mod intern_vl;
pub mod mini_vlm;
mod minicpm_v;
mod names;
mod phi3_vision;
mod qwen_vl;
mod rope;
mod smol_vlm;
mod tower;
mod vision;

pub use config::ConfigError;

use crate::base::{Digest, Hint, Seed};
use crate::engine::{
    features::TowerOutputs,
    nn::{Attend, Heads, adapter::State, rotary::Angles},
    pack::{self, Given, Images, Inputs, PackError, given},
    pixels::{Pixels, Size},
    weights::{Adapted, Parameters, Spelling, Weights, WeightsError, digest_of},
};
use config::Keys;
use decoder::Decoder;
use mini_vlm::MiniVlm;
use std::cell::Cell;
use tch::{Device, Kind, Tensor};
use vision::{Seen, Vision};

/// The number that has to change when the arithmetic of any model changes on purpose.
pub const BEHAVIOUR: u32 = 1;

/// A model that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Not one of the architectures.
    #[error("no architecture claims the `model_type` `{0}`")]
    Architecture(String),
    /// `config.json` cannot be understood.
    #[error("config.json: {0}")]
    Syntax(#[from] serde_json::Error),
    /// `config.json` contradicts itself.
    #[error("config.json: {0}")]
    Config(#[from] ConfigError),
    /// The weights do not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

impl Hint for ModelError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Architecture(_) => {
                let known = [mini_vlm::KIND].into_iter().chain(vision::KINDS);
                let known: Vec<String> = known.map(|kind| format!("`{kind}`")).collect();
                Some(format!("it may be {}", known.join(", ")))
            }
            Self::Weights(error) => error.hint(),
            Self::Config(_) => Some("compare the file with the one the model came with".into()),
            Self::Syntax(_) => None,
        }
    }
}

enum Architecture {
    MiniVlm(Box<MiniVlm>),
    /// A decoder and what sees for it.
    Sighted(Box<Decoder>, Box<Vision>),
}

/// A part of a model that is trained or left alone as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The vision tower.
    Vision,
    /// What maps image features to token embeddings.
    Projector,
    /// The language model.
    Language,
}

/// Where the tokens of a sequence are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Time, height and width of each token; all the same in text.
    pub tokens: Vec<[i64; 3]>,
    /// Where the token after them is.
    pub next: i64,
}

impl Places {
    fn shifted(mut self, by: i64) -> Self {
        self.tokens.iter_mut().flatten().for_each(|place| *place += by);
        self.next += by;
        self
    }
}

/// A model with its parameters. Forward passes are `&self`: caches are arguments.
pub struct Model {
    architecture: Architecture,
    parameters: Parameters,
    adapted: Option<Adapted>,
    config: String,
    kind: Kind,
    device: Device,
    /// Pictures that were seen without the vision tower.
    looked_up: Cell<u64>,
}

/// The `model_type` of a `config.json`.
///
/// # Errors
/// When the text is not JSON; a missing key is an unknown architecture.
pub fn kind_of(config: &str) -> Result<String, ModelError> {
    let value: serde_json::Value = serde_json::from_str(config)?;
    let kind = value.get("model_type").and_then(serde_json::Value::as_str);
    Ok(kind.unwrap_or_default().to_owned())
}

/// Builds the architecture called `kind`, configured by the text of its `config.json`.
///
/// # Errors
/// When the kind is unknown, or configuration or weights do not fit.
pub fn load(kind: &str, config: &str, weights: Weights) -> Result<Model, ModelError> {
    let (architecture, mut weights) = build(kind, config, weights)?;
    let adapted = weights.adapted()?;
    let parameters = weights.finish()?;
    if adapted.is_some() {
        parameters.train_only(|_| false);
    }
    let first = parameters.iter().next().map(|(_, tensor)| (tensor.kind(), tensor.device()));
    let (kind, device) = first.unwrap_or((Kind::Float, Device::Cpu));
    let (config, looked_up) = (config.to_owned(), Cell::default());
    Ok(Model { architecture, parameters, adapted, config, kind, device, looked_up })
}

/// What a checkpoint calls the tensors of the model that it holds, without reading them.
///
/// # Errors
/// As [`load`].
pub fn spelling(config: &str, weights: Weights) -> Result<Spelling, ModelError> {
    let (_, weights) = build(&kind_of(config)?, config, weights.unread())?;
    let spelling = weights.spelling();
    weights.finish()?;
    Ok(spelling)
}

fn build(
    kind: &str,
    config: &str,
    weights: Weights,
) -> Result<(Architecture, Weights), ModelError> {
    Ok(match kind {
        mini_vlm::KIND => {
            let config: mini_vlm::Config = serde_json::from_str(config)?;
            config.check()?;
            (Architecture::MiniVlm(Box::new(MiniVlm::new(&weights.root(), config))), weights)
        }
        kind if vision::KINDS.contains(&kind) => {
            let value: serde_json::Value = serde_json::from_str(config)?;
            let (decoder, vision, weights) = vision::build(kind, &Keys::new(&value), weights)?;
            (Architecture::Sighted(Box::new(decoder), Box::new(vision)), weights)
        }
        other => return Err(ModelError::Architecture(other.to_owned())),
    })
}

impl Model {
    /// Its tensors, without adapters.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// What can be trained: its adapters if it has any, else its tensors.
    pub fn trainable(&self) -> &Parameters {
        self.adapted.as_ref().map_or(&self.parameters, Adapted::parameters)
    }

    /// Its adapters, if it has any.
    pub fn adapted(&self) -> Option<&Adapted> {
        self.adapted.as_ref()
    }

    /// The text of `adapter_config.json` and the bytes of `adapter_model.safetensors`, as PEFT reads
    /// them for a model that lies at `base`; nothing if there are no adapters.
    pub fn adapter_files(&self, base: &str) -> Option<(String, Vec<u8>)> {
        let kind = kind_of(&self.config).unwrap_or_default();
        Some(self.adapted.as_ref()?.to_files(base, |name| names::in_memory(&kind, name)))
    }

    /// Does something while adapters drop a share of their inputs by a seed.
    pub fn while_dropping<T>(&self, seed: Seed, act: impl FnOnce() -> T) -> T {
        let noise = self.adapted.as_ref().map(Adapted::noise);
        noise.into_iter().for_each(|noise| noise.set(State::Dropping(seed)));
        let done = act();
        noise.into_iter().for_each(|noise| noise.set(State::Whole));
        done
    }

    /// Lets the weights take up the adapters, if there are any; what is computed stays the same.
    pub fn merge(&mut self) {
        let Some(adapted) = self.adapted.take() else { return };
        adapted.merge_into(&self.parameters);
        self.parameters.train_only(|_| true);
    }

    /// The text of the `config.json` it was built from.
    pub fn config(&self) -> &str {
        &self.config
    }

    /// The device of its parameters.
    pub fn device(&self) -> Device {
        self.device
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The placeholder of images in the token stream.
    pub fn image_token(&self) -> i64 {
        match &self.architecture {
            Architecture::MiniVlm(model) => model.config().image_token_id,
            Architecture::Sighted(_, vision) => vision.token(),
        }
    }

    /// Whether a token is a placeholder of images. Where those are numbered, as in Phi-3-vision,
    /// images come in the order of their placeholders all the same.
    pub fn is_image(&self, token: i64) -> bool {
        match &self.architecture {
            Architecture::MiniVlm(model) => token == model.config().image_token_id,
            Architecture::Sighted(_, vision) => vision.is_token(token),
        }
    }

    /// Placeholders for a picture of images of these sizes, or `None` if it cannot be read.
    pub fn image_tokens(&self, picture: &[Size]) -> Option<usize> {
        match &self.architecture {
            Architecture::MiniVlm(model) => {
                let side = model.config().vision_config.image_size as usize;
                let square = Size { height: side, width: side };
                let fits = picture.iter().all(|&size| size == square);
                fits.then(|| picture.len() * model.image_tokens())
            }
            Architecture::Sighted(_, vision) => vision.tokens(picture),
        }
    }

    /// Which sizes of images can be read, in words.
    pub fn image_sizes(&self) -> String {
        match &self.architecture {
            Architecture::MiniVlm(model) => {
                let side = model.config().vision_config.image_size;
                format!("{side} x {side}")
            }
            Architecture::Sighted(_, vision) => vision.sizes(),
        }
    }

    /// Where the tokens of a sequence are, whose images have these sizes, and which `more` tokens may
    /// follow.
    pub fn places(&self, tokens: &[i64], images: &[Size], more: usize) -> Places {
        match &self.architecture {
            Architecture::Sighted(decoder, vision) => {
                let shift = decoder.config.rope.shift(tokens.len() + more);
                vision.places(tokens, images).shifted(shift)
            }
            Architecture::MiniVlm(_) => in_line(tokens.len()),
        }
    }

    /// The positions of tokens as a forward pass reads them.
    pub(crate) fn positions_of(&self, places: &[[i64; 3]]) -> Tensor {
        let axes = match &self.architecture {
            Architecture::Sighted(decoder, _) if decoder.config.rope.sections.is_some() => 3,
            _ => 1,
        };
        let flat: Vec<i64> = places.iter().flat_map(|place| &place[..axes]).copied().collect();
        let positions = Tensor::from_slice(&flat).to_device(self.device);
        if axes == 3 { positions.view([-1, 3]) } else { positions }
    }

    /// Number of token ids.
    pub fn vocabulary(&self) -> usize {
        match &self.architecture {
            Architecture::MiniVlm(model) => model.config().vocab_size as usize,
            Architecture::Sighted(decoder, _) => decoder.config.vocabulary as usize,
        }
    }

    /// The longest sequence, in tokens.
    pub fn positions(&self) -> usize {
        match &self.architecture {
            Architecture::MiniVlm(model) => model.config().max_position_embeddings as usize,
            Architecture::Sighted(decoder, _) => decoder.config.positions as usize,
        }
    }

    /// Decoder layers and their heads, for a cache.
    pub fn layers(&self) -> (usize, Heads) {
        match &self.architecture {
            Architecture::MiniVlm(model) => model.layers(),
            Architecture::Sighted(decoder, _) => (decoder.config.layers, decoder.config.heads),
        }
    }

    /// To which part the parameter `name` belongs.
    pub fn part(name: &str) -> Part {
        names::part(name)
    }

    /// Whether `name` is a matrix inside a block, which Muon may train.
    pub fn is_block_matrix(name: &str) -> bool {
        names::is_block_matrix(name)
    }

    /// What the vision tower makes of pictures, before the projector.
    ///
    /// # Errors
    /// [`PackError::ImageSize`], for a picture that the model cannot read.
    pub fn tower(&self, pictures: &Pixels) -> Result<TowerOutputs, PackError> {
        pack::image_tokens(self, 0, pictures)?;
        let (sizes, tiles) = (pictures.sizes().to_vec(), pictures.tiles().to_vec());
        let order = Tensor::empty([0], (Kind::Int64, self.device));
        let images = Images { given: given(self, pictures), sizes, tiles, order };
        let outputs = tch::no_grad(|| match &self.architecture {
            Architecture::MiniVlm(model) => {
                let side = model.config().vision_config.image_size as usize;
                vec![model.tower(&images.squares(side)).flatten(0, 1)]
            }
            Architecture::Sighted(_, vision) => vision.tower(&images),
        });
        Ok(TowerOutputs { about: Vec::new(), sizes: images.sizes, outputs })
    }

    /// How many pictures were seen without the vision tower since this was asked last.
    pub fn looked_up(&self) -> u64 {
        self.looked_up.take()
    }

    /// The digest of the vision tower's weights in their number format.
    pub fn tower_digest(&self) -> Digest {
        let tower = self.parameters.iter().filter(|(name, _)| Self::part(name) == Part::Vision);
        digest_of(tower)
    }

    /// Whether adapters change what the vision tower makes of pictures.
    pub fn has_adapted_tower(&self) -> bool {
        let names = self.adapted.iter().flat_map(|adapted| adapted.parameters().iter());
        names.map(|(name, _)| Self::part(name)).any(|part| part == Part::Vision)
    }

    /// The stream before the first layer, and what is added to it after each of the first ones.
    pub(crate) fn embedded(&self, inputs: &Inputs) -> (Tensor, Vec<Tensor>) {
        if let Some(Images { given: Given::Tower(_), tiles, .. }) = &inputs.images {
            self.looked_up.set(self.looked_up.get() + tiles.len() as u64);
        }
        match &self.architecture {
            Architecture::MiniVlm(model) => (model.embedded(inputs), Vec::new()),
            Architecture::Sighted(decoder, vision) => {
                let text = decoder.embed(&inputs.tokens);
                let Some(images) = &inputs.images else { return (text, Vec::new()) };
                let Seen { features, deep } = vision.features(images);
                let placed = |text: &Tensor, features: &Tensor| {
                    Tensor::cat(&[text, features], 0).index_select(0, &images.order)
                };
                let nothing = text.zeros_like();
                let deep = deep.iter().map(|it| placed(&nothing, it)).collect();
                (placed(&text, &features), deep)
            }
        }
    }

    /// What turns queries and keys at the positions of a stream.
    pub(crate) fn angles(&self, inputs: &Inputs) -> Angles {
        match &self.architecture {
            Architecture::MiniVlm(model) => model.angles(&inputs.positions),
            Architecture::Sighted(decoder, _) => decoder.angles(&inputs.positions),
        }
    }

    /// The stream after one layer, `[T, D]` to the same, or to `[P, D]` where only `P` places look:
    /// what the layer does for each token by itself is done for these alone.
    pub(crate) fn layer(
        &self,
        layer: usize,
        xs: &Tensor,
        angles: &Angles,
        attend: &mut Attend<'_>,
    ) -> Tensor {
        match &self.architecture {
            Architecture::MiniVlm(model) => model.layer(layer, xs, angles, attend),
            Architecture::Sighted(decoder, _) => decoder.layer(layer, xs, angles, attend),
        }
    }

    /// The stream after the last layer, before the final norm: `[T, D]`, or `[P, D]` where only `P`
    /// places look, for a head that reads nowhere else.
    pub fn forward(&self, inputs: &Inputs, attend: &mut Attend<'_>) -> Tensor {
        let (mut xs, deep) = self.embedded(inputs);
        let angles = self.angles(inputs);
        let last = self.layers().0.saturating_sub(1);
        for layer in 0..=last {
            xs = match attend {
                Attend::At(layout, _) if layer < last => {
                    self.layer(layer, &xs, &angles, &mut Attend::Packed(layout))
                }
                _ => self.layer(layer, &xs, &angles, attend),
            };
            match (deep.get(layer), &attend) {
                (Some(more), Attend::At(_, places)) if layer == last => {
                    xs += more.index_select(0, &places.index);
                }
                (Some(more), _) => xs += more,
                (None, _) => {}
            }
        }
        xs
    }

    /// The width `D` of the stream.
    pub fn width(&self) -> i64 {
        match &self.architecture {
            Architecture::MiniVlm(model) => model.config().hidden_size,
            Architecture::Sighted(decoder, _) => decoder.config.width,
        }
    }

    /// The stream after the final norm, as heads read it: `[T, D]` to the same.
    pub fn normed(&self, stream: &Tensor) -> Tensor {
        match &self.architecture {
            Architecture::MiniVlm(model) => model.normed(stream),
            Architecture::Sighted(decoder, _) => decoder.normed(stream),
        }
    }

    /// Final norm and head, in 32 bits: `[T, D]` to `[T, vocabulary]`.
    pub fn logits(&self, stream: &Tensor) -> Tensor {
        match &self.architecture {
            Architecture::MiniVlm(model) => model.logits(stream),
            Architecture::Sighted(decoder, _) => decoder.logits(stream),
        }
    }

    /// The embedded model, for what only it has: pre-training.
    pub fn as_mini_vlm(&self) -> Option<&MiniVlm> {
        match &self.architecture {
            Architecture::MiniVlm(model) => Some(model),
            Architecture::Sighted(..) => None,
        }
    }
}

/// Tokens one after the other.
fn in_line(count: usize) -> Places {
    let count = count as i64;
    Places { tokens: (0..count).map(|at| [at; 3]).collect(), next: count }
}
