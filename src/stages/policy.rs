//! A policy: model, tokenizer and template out of an artifact, kept between stages.

use super::adapters;
use super::ahead::Ahead;
use super::failure::{failed, failure, json};
use super::prompts::Sample;
use crate::base::{Hint as _, Key, Seed};
use crate::data::checkpoint::Companions;
use crate::data::pixels::Numbers;
use crate::data::{Dialect, DialectError, Written};
use crate::engine::{self, Device, Model, Pixels, Precision, Prompt, Size, Weights};
use crate::recipe::{Dtype, Lora};
use crate::rewards::Extraction;
use crate::run::{Context, Stop};
use crate::store::{Artifact, Folder};
use image::RgbImage;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

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
    pub(super) dialect: Arc<Dialect>,
    companions: Companions,
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
        let companions = Companions::read(|name| match artifact.contains(name) {
            true => artifact.read(name).map(Some),
            false => Ok(None),
        })?;
        let mut weights =
            Weights::open(weights_of(artifact)?, precision(dtype), device).map_err(failed)?;
        if let Some(adapters) = adapters::of(artifact, fresh, device)? {
            weights = weights.with_adapters(adapters);
        }
        Self::of_parts(weights, companions)
    }

    /// Builds a policy from weights and the files beside them.
    pub(super) fn of_parts(weights: Weights, companions: Companions) -> Result<Self, Stop> {
        let dialect = Arc::new(Dialect::new(&companions).map_err(failed)?);
        let config = companions.get("config.json").unwrap_or_default();
        let config = String::from_utf8_lossy(config);
        let kind = engine::kind_of(&config).map_err(failed)?;
        let model = engine::load(&kind, &config, weights).map_err(failed)?;
        Ok(Self { model, dialect, companions })
    }

    /// Writes weights and the files beside them.
    pub(super) fn write(&self, folder: &Folder) -> Result<(), Stop> {
        let weights = self.model.parameters().to_bytes();
        folder.write("model.safetensors", &weights)?;
        adapters::write(&self.model, folder)?;
        for (name, bytes) in self.companions.iter() {
            folder.write(name, bytes)?;
        }
        Ok(())
    }

    /// A question about pictures as the engine reads it.
    pub(super) fn asked(&self, text: &str, pictures: &[&RgbImage]) -> Result<Asked, DialectError> {
        asked(&self.dialect, self.model.image_token(), text, pictures)
    }

    /// What is asked about samples, one after the other, made ahead of need on other threads.
    pub(super) fn questions(
        &self,
        samples: Vec<Sample>,
        context: &Context<'_>,
    ) -> Ahead<Result<Asked, Stop>> {
        let (dialect, image_token) = (Arc::clone(&self.dialect), self.model.image_token());
        let size = |it: &Result<Asked, Stop>| it.as_ref().map_or(0, |it| bytes_of(&it.pixels));
        let (count, threads) = (samples.len(), context.threads() as usize);
        Ahead::new(count, threads, size, move |at| question(&dialect, image_token, &samples[at]))
    }

    /// What is seen of samples, in the same way.
    pub(super) fn sights(
        &self,
        samples: Vec<Sample>,
        context: &Context<'_>,
    ) -> Ahead<Result<Pixels, Stop>> {
        let dialect = Arc::clone(&self.dialect);
        let size = |it: &Result<Pixels, Stop>| it.as_ref().map_or(0, bytes_of);
        let (count, threads) = (samples.len(), context.threads() as usize);
        Ahead::new(count, threads, size, move |at| seen(&dialect, &samples[at]))
    }

    /// The tokens of a response to learn from, its end included.
    pub(super) fn response_tokens(&self, text: &str) -> Result<Vec<i64>, Stop> {
        let tokens = self.dialect.answer(text).map_err(failed)?;
        Ok(tokens.into_iter().map(i64::from).collect())
    }

    /// The tokens that end a response.
    pub(super) fn ends(&self) -> Vec<i64> {
        self.dialect.ends().iter().copied().map(i64::from).collect()
    }

    /// The text of a response, or of its beginning.
    pub(super) fn text(&self, tokens: &[u32]) -> Result<String, Stop> {
        self.dialect.tokenizer().decode(tokens).map_err(failed)
    }

    /// Where in its responses the answer is.
    pub(super) fn extraction(&self) -> Extraction {
        match self.dialect.is_embedded() {
            true => Extraction::AnswerWord,
            false => Extraction::AnswerHeader,
        }
    }

    /// Whether drawn tokens can be read back: a placeholder of an image among them cannot.
    pub(super) fn can_read<T: Copy + Into<i64>>(&self, drawn: &[T]) -> bool {
        drawn.iter().all(|&token| token.into() != self.model.image_token())
    }
}

fn asked(
    dialect: &Dialect,
    image_token: i64,
    text: &str,
    pictures: &[&RgbImage],
) -> Result<Asked, DialectError> {
    let Written { tokens, slots, pictures } = dialect.question(text, pictures)?;
    let mut tokens: Vec<i64> = tokens.into_iter().map(i64::from).collect();
    for slot in slots {
        tokens[slot] = image_token;
    }
    Ok(Asked { tokens, pixels: pixels(pictures) })
}

fn question(dialect: &Dialect, image_token: i64, sample: &Sample) -> Result<Asked, Stop> {
    let images = sample.images.read().map_err(failed)?;
    let images: Vec<&RgbImage> = images.iter().collect();
    let asked = asked(dialect, image_token, sample.asked(), &images);
    asked.map_err(|error| unseen(sample, &error))
}

fn seen(dialect: &Dialect, sample: &Sample) -> Result<Pixels, Stop> {
    let images = sample.images.read().map_err(failed)?;
    let seen = dialect.see(&images.iter().collect::<Vec<_>>());
    Ok(pixels(seen.map_err(|error| unseen(sample, &error))?))
}

/// Bytes that the numbers of pictures take.
fn bytes_of(pixels: &Pixels) -> usize {
    size_of_val(pixels.values())
}

fn unseen(sample: &Sample, error: &DialectError) -> Stop {
    let reason = format!("prompt {} cannot be asked: {error}", sample.id);
    failure(reason, error.hint().unwrap_or_default())
}

/// The folder with the weights of an artifact, which are as they were committed.
pub(super) fn weights_of(artifact: &Artifact) -> Result<&Path, Stop> {
    let is_whole = artifact.contains("model.safetensors");
    Ok(artifact.folder(|name| match is_whole {
        true => name == "model.safetensors",
        false => name.contains(".safetensors"),
    })?)
}

/// Pictures as the engine reads them.
fn pixels(pictures: Vec<Vec<Numbers>>) -> Pixels {
    let mut pixels = Pixels::none();
    let sized = |it: Numbers| (Size { height: it.height, width: it.width }, it.values);
    for images in pictures {
        pixels.extend(&Pixels::picture(images.into_iter().map(sized)));
    }
    pixels
}

/// A question as the engine reads it.
pub(super) struct Asked {
    /// With placeholders where pictures stand.
    pub(super) tokens: Vec<i64>,
    pub(super) pixels: Pixels,
}

impl Asked {
    /// The same as the engine answers it; noise depends on the name.
    pub(super) fn named(self, id: u64) -> Prompt {
        let Self { tokens, pixels } = self;
        Prompt { id, tokens, pixels }
    }
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
