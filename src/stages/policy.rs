//! A policy: model, tokenizer and template out of an artifact, kept between stages.

use super::adapters;
use super::ahead::Ahead;
use super::failure::{self, failed, failure};
use super::features::StoredFeatures;
use super::prompts::{Prompts, Sample};
use crate::base::{Hint as _, Key, Seed};
use crate::data::checkpoint::Companions;
use crate::data::pixels::Numbers;
use crate::data::processor::Extent;
use crate::data::{Dialect, DialectError, Written};
use crate::engine::{self, Device, Model, Pixels, Precision, Prompt, Size, Weights};
use crate::plan::Port;
use crate::recipe::{Dtype, Lora};
use crate::rewards::Extraction;
use crate::run::{Context, Stop};
use crate::store::{Artifact, Folder};
use image::RgbImage;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// What a stage measured.
const METRICS: &str = "metrics.json";
/// Where a [`TrainerState`] lies.
pub(super) const TRAINER: &str = "trainer.json";

/// What a policy's training left besides weights.
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
        if !artifact.contains(TRAINER) {
            return Ok(Self::default());
        }
        let bytes = artifact.read(TRAINER)?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let reason = format!("`trainer.json` of {} cannot be read: {error}", artifact.key());
            failure(reason, "it was written by another version of mstar: run again in a new store")
        })
    }
}

/// Gives a policy on as what this stage makes, with all that lies beside it; gives what is left of its
/// training.
pub(super) fn hand_on(policy: &Artifact, context: &Context<'_>) -> Result<TrainerState, Stop> {
    let of_its_stage = [METRICS, TRAINER];
    let files = policy.manifest().files.keys().map(String::as_str);
    for name in files.filter(|name| !of_its_stage.contains(name)) {
        context.results().link(&policy.path(name)?, name)?;
    }
    let state = TrainerState { steps_of_stage: 0, ..TrainerState::of(policy)? };
    context.results().write(TRAINER, &failure::json(&state))?;
    Ok(state)
}

/// A model with what it needs to read and write text.
pub(super) struct Policy {
    pub(super) model: Model,
    pub(super) dialect: Arc<Dialect>,
    companions: Companions,
    /// What the vision tower makes of pictures, where it need not look at them again.
    features: Option<Arc<StoredFeatures>>,
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
        Ok(Self { model, dialect, companions, features: None })
    }

    /// Writes weights and the files beside them.
    pub(super) fn write(&self, folder: &Folder) -> Result<(), Stop> {
        let weights = self.model.parameters();
        folder.write_parts("model.safetensors", |sink| weights.write(sink))?;
        adapters::write(&self.model, folder)?;
        for (name, bytes) in self.companions.iter() {
            folder.write(name, bytes)?;
        }
        Ok(())
    }

    /// A question about pictures as the engine reads it.
    pub(super) fn asked(&self, text: &str, pictures: &[&RgbImage]) -> Result<Asked, DialectError> {
        self.reader().asked(text, pictures)
    }

    /// From here on pictures are looked up in the stage's features, if it reads any.
    pub(super) fn look_up(
        &mut self,
        dtype: Dtype,
        prompts: &mut Prompts,
        context: &Context<'_>,
    ) -> Result<(), Stop> {
        let features = prompts.features(context)?;
        if features.as_ref().map(Arc::as_ptr) != self.features.as_ref().map(Arc::as_ptr) {
            features.iter().try_for_each(|features| features.check(&self.model, dtype))?;
            self.features = features;
        }
        self.model.looked_up();
        Ok(())
    }

    /// How many pictures some prompts have; none where no features are read.
    pub(super) fn stored_pictures(&self, prompts: impl Iterator<Item = u64>) -> Option<u64> {
        let features = self.features.as_ref()?;
        Some(prompts.map(|prompt| features.count(prompt)).sum())
    }

    /// What is asked about samples, one after the other, made ahead of need on other threads.
    pub(super) fn questions(
        &self,
        samples: Vec<Sample>,
        context: &Context<'_>,
    ) -> Ahead<Result<Asked, Stop>> {
        let size = |it: &Result<Asked, Stop>| {
            it.as_ref().map_or(0, |it| size_of_val(&*it.tokens) + bytes_of(&it.pixels))
        };
        self.ahead(samples, size, Reader::question, context)
    }

    /// The tokens alone, by prompt; each prompt is asked once, however often it is among them.
    pub(super) fn question_tokens<'s>(
        &self,
        samples: impl Iterator<Item = &'s Sample>,
        context: &Context<'_>,
    ) -> Result<BTreeMap<u64, Vec<i64>>, Stop> {
        let mut known = BTreeSet::new();
        let asked: Vec<Sample> = samples.filter(|it| known.insert(it.id)).cloned().collect();
        let ids: Vec<u64> = asked.iter().map(|it| it.id).collect();
        let size = |it: &Result<Vec<i64>, Stop>| it.as_ref().map_or(0, |it| size_of_val(&**it));
        let questions = self.ahead(asked, size, Reader::question_tokens, context);
        let heeding = |(id, question): (u64, Result<Vec<i64>, Stop>)| match context.cancelled() {
            true => Err(Stop::Cancelled),
            false => Ok((id, question?)),
        };
        ids.into_iter().zip(questions).map(heeding).collect()
    }

    /// What is seen of samples, in the same way.
    pub(super) fn sights(
        &self,
        samples: Vec<Sample>,
        context: &Context<'_>,
    ) -> Ahead<Result<Pixels, Stop>> {
        let size = |it: &Result<Pixels, Stop>| it.as_ref().map_or(0, bytes_of);
        self.ahead(samples, size, Reader::seen, context)
    }

    fn ahead<T: Send + 'static>(
        &self,
        samples: Vec<Sample>,
        size: fn(&T) -> usize,
        make: fn(&Reader, &Sample) -> T,
        context: &Context<'_>,
    ) -> Ahead<T> {
        let (reader, count) = (self.reader(), samples.len());
        let threads = context.threads() as usize;
        Ahead::new(count, threads, size, move |at| make(&reader, &samples[at]))
    }

    fn reader(&self) -> Reader {
        Reader {
            dialect: Arc::clone(&self.dialect),
            features: self.features.clone(),
            image_token: self.model.image_token(),
        }
    }

    /// What is seen in one picture of a sample, and what a question has to know of it.
    pub(super) fn look(
        &self,
        picture: &RgbImage,
        sample: &Sample,
    ) -> Result<(Pixels, Extent), Stop> {
        let (images, extent) =
            self.dialect.look(picture).map_err(|error| unseen(sample, &error))?;
        Ok((pixels(vec![images]), extent))
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

/// What makes of samples what the engine reads, on any thread.
struct Reader {
    dialect: Arc<Dialect>,
    features: Option<Arc<StoredFeatures>>,
    image_token: i64,
}

impl Reader {
    fn asked(&self, text: &str, pictures: &[&RgbImage]) -> Result<Asked, DialectError> {
        let written = self.dialect.question(text, pictures)?;
        Ok(Asked { tokens: self.tokens(&written), pixels: pixels(written.pictures) })
    }

    /// What is asked about a sample.
    fn question(&self, sample: &Sample) -> Result<Asked, Stop> {
        if let Some(features) = &self.features {
            let tokens = self.question_tokens(sample)?;
            return Ok(Asked { tokens, pixels: features.of_prompt(sample.id)? });
        }
        let images = sample.images.read().map_err(failed)?;
        let asked = self.asked(sample.asked(), &images.iter().collect::<Vec<_>>());
        asked.map_err(|error| unseen(sample, &error))
    }

    /// The tokens of what is asked about a sample.
    fn question_tokens(&self, sample: &Sample) -> Result<Vec<i64>, Stop> {
        let Some(features) = &self.features else { return Ok(self.question(sample)?.tokens) };
        let written = self.dialect.question_on(sample.asked(), &features.extents(sample.id)?);
        Ok(self.tokens(&written.map_err(|error| unseen(sample, &error))?))
    }

    /// What is seen of a sample.
    fn seen(&self, sample: &Sample) -> Result<Pixels, Stop> {
        if let Some(features) = &self.features {
            return features.of_prompt(sample.id);
        }
        let images = sample.images.read().map_err(failed)?;
        let seen = self.dialect.see(&images.iter().collect::<Vec<_>>());
        Ok(pixels(seen.map_err(|error| unseen(sample, &error))?))
    }

    fn tokens(&self, written: &Written) -> Vec<i64> {
        let mut tokens: Vec<i64> = written.tokens.iter().copied().map(i64::from).collect();
        for &slot in &written.slots {
            tokens[slot] = self.image_token;
        }
        tokens
    }
}

/// Bytes that pictures take, of which little is in memory where they are looked up.
fn bytes_of(pixels: &Pixels) -> usize {
    size_of_val(pixels.values()) + size_of_val(pixels.sizes()) + size_of_val(pixels.tiles())
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
    /// The policy that a stage reads, from memory if it is the last one used.
    pub(super) fn policy(
        &mut self,
        context: &Context<'_>,
        dtype: Dtype,
        (prompts, device): (&mut Prompts, Device),
    ) -> Result<&Policy, Stop> {
        let artifact = context.input(Port::Policy)?;
        let wanted = (artifact.key(), dtype);
        if !matches!(&self.0, Some((key, dtype, _)) if (*key, *dtype) == wanted) {
            self.0 = None;
            self.0 = Some((wanted.0, wanted.1, Policy::load(artifact, dtype, device)?));
        }
        let (_, _, policy) = self.0.as_mut().expect("it was put there a line above");
        policy.look_up(dtype, prompts, context)?;
        Ok(policy)
    }

    /// Lets it go, before a stage loads a model of its own.
    pub(super) fn let_go(&mut self) {
        self.0 = None;
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

/// What a stage measured, with how many pictures it saw without the vision tower if it reads features.
pub(super) fn with_looked_up(
    metrics: impl Into<Value>,
    pictures: u64,
    context: &Context<'_>,
) -> Value {
    let mut metrics = metrics.into();
    if context.optional_input(Port::Features).is_some() {
        metrics["looked_up"] = json!(pictures);
    }
    metrics
}

/// Writes `metrics.json`.
pub(super) fn write_metrics(context: &Context<'_>, metrics: &impl Serialize) -> Result<(), Stop> {
    Ok(context.results().write(METRICS, &failure::json(metrics))?)
}
