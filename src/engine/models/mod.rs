//! Architectures, one file each, behind one closed enum.

pub mod mini_vlm;

use crate::base::Hint;
use crate::engine::{
    nn::{Attend, Heads},
    pack::Inputs,
    weights::{Parameters, Weights, WeightsError},
};
use mini_vlm::MiniVlm;
use tch::{Device, Kind, Tensor};

/// The number that has to change when the arithmetic of any model changes on purpose.
pub const BEHAVIOUR: u32 = 1;

/// How images enter a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageShape {
    /// The placeholder in the token stream.
    pub token: i64,
    /// Placeholders for one image.
    pub tokens: usize,
    /// Height and width in pixels; values are RGB by rows, columns, channels, in -1..=1.
    pub side: usize,
}

impl ImageShape {
    /// Numbers of one image.
    pub fn values(&self) -> usize {
        self.side * self.side * 3
    }
}

/// A model that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Not one of the architectures.
    #[error("unknown architecture `{0}`")]
    Architecture(String),
    /// `config.json` cannot be understood.
    #[error("config.json: {0}")]
    Syntax(#[from] serde_json::Error),
    /// `config.json` contradicts itself.
    #[error("config.json: {0}")]
    Config(#[from] mini_vlm::ConfigError),
    /// The weights do not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

impl Hint for ModelError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Architecture(_) => Some(format!("`model_type` may be `{}`", mini_vlm::KIND)),
            Self::Weights(error) => error.hint(),
            Self::Syntax(_) | Self::Config(_) => None,
        }
    }
}

enum Architecture {
    MiniVlm(MiniVlm),
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

/// A model with its parameters. Forward passes are `&self`: caches are arguments.
pub struct Model {
    architecture: Architecture,
    parameters: Parameters,
    config: String,
    kind: Kind,
    device: Device,
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
    let architecture = match kind {
        mini_vlm::KIND => {
            let config: mini_vlm::Config = serde_json::from_str(config)?;
            config.check()?;
            Architecture::MiniVlm(MiniVlm::new(&weights.root(), config))
        }
        other => return Err(ModelError::Architecture(other.to_owned())),
    };
    let parameters = weights.finish()?;
    let first = parameters.iter().next().map(|(_, tensor)| (tensor.kind(), tensor.device()));
    let (kind, device) = first.unwrap_or((Kind::Float, Device::Cpu));
    Ok(Model { architecture, parameters, config: config.to_owned(), kind, device })
}

impl Model {
    /// Its trainable tensors.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
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

    /// How images enter it.
    pub fn image(&self) -> ImageShape {
        match &self.architecture {
            Architecture::MiniVlm(model) => model.image(),
        }
    }

    /// Number of token ids.
    pub fn vocabulary(&self) -> usize {
        match &self.architecture {
            Architecture::MiniVlm(model) => model.config().vocab_size as usize,
        }
    }

    /// The longest sequence, in tokens.
    pub fn positions(&self) -> usize {
        match &self.architecture {
            Architecture::MiniVlm(model) => model.config().max_position_embeddings as usize,
        }
    }

    /// Decoder layers and their heads, for a cache.
    pub fn layers(&self) -> (usize, Heads) {
        match &self.architecture {
            Architecture::MiniVlm(model) => model.layers(),
        }
    }

    /// To which part the parameter `name` belongs.
    pub fn part(name: &str) -> Part {
        mini_vlm::part(name)
    }

    /// Whether `name` is a matrix inside a block, which Muon may train.
    pub fn is_block_matrix(name: &str) -> bool {
        mini_vlm::is_block_matrix(name)
    }

    /// The stream after the last layer, `[T, D]`, before the final norm.
    pub fn forward(&self, inputs: &Inputs, attend: &mut Attend<'_>) -> Tensor {
        match &self.architecture {
            Architecture::MiniVlm(model) => model.forward(inputs, attend),
        }
    }

    /// The width `D` of the stream.
    pub fn width(&self) -> i64 {
        match &self.architecture {
            Architecture::MiniVlm(model) => model.config().hidden_size,
        }
    }

    /// The stream after the final norm, as heads read it: `[T, D]` to the same.
    pub fn normed(&self, stream: &Tensor) -> Tensor {
        match &self.architecture {
            Architecture::MiniVlm(model) => model.normed(stream),
        }
    }

    /// Final norm and head, in 32 bits: `[T, D]` to `[T, vocabulary]`.
    pub fn logits(&self, stream: &Tensor) -> Tensor {
        match &self.architecture {
            Architecture::MiniVlm(model) => model.logits(stream),
        }
    }

    /// The embedded model, for what only it has: pre-training.
    pub fn as_mini_vlm(&self) -> Option<&MiniVlm> {
        match &self.architecture {
            Architecture::MiniVlm(model) => Some(model),
        }
    }
}
