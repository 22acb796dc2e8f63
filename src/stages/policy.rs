//! A policy: model, tokenizer and template out of an artifact, kept between stages.

use super::adapters;
use super::failure::{failed, failure, json};
use crate::base::{Hint as _, Key, Seed};
use crate::data::{Sample, Template, Tokenizer, pixels};
use crate::engine::{self, Device, Model, Pixels, Precision, Prompt, Weights};
use crate::recipe::{Dtype, Lora};
use crate::run::{Context, Stop};
use crate::store::{Artifact, Folder};
use image::RgbImage;
use serde::{Deserialize, Serialize};

/// What a policy's training left besides weights: `trainer.json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TrainerState {
    /// Optimizer steps of this policy since the base model, the warm-up's included.
    pub(super) step: u64,
    /// Optimizer steps of all iterations so far, whatever they were restarted from: what the
    /// recipe's cap counts.
    pub(super) steps_of_iterations: u64,
    /// Optimizer steps of the stage that wrote this.
    pub(super) steps_of_stage: u64,
}

impl TrainerState {
    /// That of an artifact; zeros for a model that was not trained here.
    pub(super) fn of(artifact: &Artifact) -> Result<Self, Stop> {
        if !artifact.contains("trainer.json") {
            return Ok(Self::default());
        }
        let bytes = artifact.read("trainer.json")?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let reason = format!("`trainer.json` of {} cannot be read: {error}", artifact.key());
            failure(reason, "it was written by another version of mstar: run again in a new store")
        })
    }
}

/// A model with what it needs to read and write text.
pub(super) struct Policy {
    pub(super) model: Model,
    pub(super) tokenizer: Tokenizer,
    pub(super) template: Template,
    tokenizer_json: Vec<u8>,
}

impl Policy {
    /// Loads a policy artifact.
    pub(super) fn load(artifact: &Artifact, dtype: Dtype, device: Device) -> Result<Self, Stop> {
        Self::load_adapted(artifact, dtype, device, None)
    }

    /// The same with fresh adapters, if it has none and some are wanted.
    pub(super) fn load_adapted(
        artifact: &Artifact,
        dtype: Dtype,
        device: Device,
        fresh: Option<(&Lora, Seed)>,
    ) -> Result<Self, Stop> {
        let config = artifact.read("config.json")?;
        let tokenizer = artifact.read("tokenizer.json")?;
        let path = artifact.path("model.safetensors")?;
        let mut weights = Weights::open(&path, precision(dtype), device).map_err(failed)?;
        if let Some(adapters) = adapters::of(artifact, fresh, device)? {
            weights = weights.with_adapters(adapters);
        }
        Self::of_parts(weights, &String::from_utf8_lossy(&config), tokenizer)
    }

    /// Builds a policy from weights, `config.json` and `tokenizer.json`.
    pub(super) fn of_parts(
        weights: Weights,
        config: &str,
        tokenizer_json: Vec<u8>,
    ) -> Result<Self, Stop> {
        let kind = engine::kind_of(config).map_err(failed)?;
        let model = engine::load(&kind, config, weights).map_err(failed)?;
        let tokenizer = Tokenizer::from_bytes(&tokenizer_json).map_err(failed)?;
        let template = Template::mini(&tokenizer).map_err(failed)?;
        Ok(Self { model, tokenizer, template, tokenizer_json })
    }

    /// Writes weights, configuration and tokenizer.
    pub(super) fn write(&self, folder: &Folder) -> Result<(), Stop> {
        let weights = self.model.parameters().to_bytes();
        folder.write("model.safetensors", &weights)?;
        adapters::write(&self.model, folder)?;
        folder.write("config.json", self.model.config().as_bytes())?;
        Ok(folder.write("tokenizer.json", &self.tokenizer_json)?)
    }

    /// The tokens of what is asked about a sample, with placeholders where the picture stands.
    pub(super) fn prompt_tokens(&self, sample: &Sample) -> Result<Vec<i64>, Stop> {
        let tokens = self.template.prompt(&self.tokenizer, sample.asked()).map_err(|error| {
            let hint = error.hint().unwrap_or_default();
            failure(format!("prompt {} cannot be asked: {error}", sample.id), hint)
        })?;
        Ok(tokens.into_iter().map(i64::from).collect())
    }

    /// The tokens of a response, its end included.
    pub(super) fn response_tokens(&self, text: &str) -> Result<Vec<u32>, Stop> {
        self.template.response(&self.tokenizer, text).map_err(failed)
    }

    /// Whether drawn tokens can be read back: a placeholder of an image among them cannot.
    pub(super) fn can_read<T: Copy + Into<i64>>(&self, drawn: &[T]) -> bool {
        drawn.iter().all(|&token| token.into() != i64::from(self.template.image))
    }

    /// A sample as the engine reads it.
    pub(super) fn prompt(&self, sample: &Sample) -> Result<Prompt, Stop> {
        let tokens = self.prompt_tokens(sample)?;
        Ok(Prompt { id: sample.id, tokens, pixels: seen(&sample.image) })
    }
}

/// A picture as the engine reads it.
pub(super) fn seen(image: &RgbImage) -> Pixels {
    let (width, height) = image.dimensions();
    Pixels::one(height as usize, width as usize, pixels::channels_last(image))
}

/// The policy that the last stage used, which the next one often needs again.
#[derive(Default)]
pub(super) struct Resident(Option<(Key, Dtype, Policy)>);

impl Resident {
    /// The policy of an artifact, from memory if it is the last one used.
    pub(super) fn policy(
        &mut self,
        artifact: &Artifact,
        dtype: Dtype,
        device: Device,
    ) -> Result<&Policy, Stop> {
        let wanted = (artifact.key(), dtype);
        if !matches!(&self.0, Some((key, dtype, _)) if (*key, *dtype) == wanted) {
            self.0 = None;
            self.0 = Some((wanted.0, wanted.1, Policy::load(artifact, dtype, device)?));
        }
        let (_, _, policy) = self.0.as_ref().expect("it was put there a line above");
        Ok(policy)
    }

    /// Keeps what a training stage made under the stage's key.
    pub(super) fn keep(&mut self, key: Key, dtype: Dtype, policy: Policy) {
        self.0 = Some((key, dtype, policy));
    }
}

/// The engine's word for a type of weights.
pub(super) fn precision(dtype: Dtype) -> Precision {
    match dtype {
        Dtype::Fp32 => Precision::F32,
        Dtype::Bf16 => Precision::Bf16,
    }
}

/// Writes `metrics.json`.
pub(super) fn write_metrics(context: &Context<'_>, metrics: &impl Serialize) -> Result<(), Stop> {
    Ok(context.results().write("metrics.json", &json(metrics))?)
}
