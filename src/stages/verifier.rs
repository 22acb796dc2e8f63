//! A reward model with what it needs to read text: trained by `train-reward`, asked by `score`.

use super::failure::{failed, failure, json};
use super::policy::{Asked, Policy};
use super::prompts::{Prompts, Sample};
use super::steps::Cutter;
use crate::data::table::{ResponseScores, Rollout};
use crate::engine::{Continued, Device, Reading, ReadingPack, RewardHead};
use crate::event::Unit;
use crate::plan::{Score, Scored};
use crate::recipe::{Aggregate, Dtype};
use crate::rewards::Aggregation;
use crate::run::{Context, Stop};
use crate::store::{Artifact, Folder};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Tokens that are read at once, about; the result depends on it in the last bits.
const TOKENS_AT_ONCE: usize = 4096;
/// Where the head lies in an artifact.
const HEAD: &str = "reward_head.safetensors";

/// What is known of a reward model besides its tensors: `reward.json`.
#[derive(Serialize, Deserialize)]
struct About {
    /// Where its head has learned to read.
    scored: Scored,
}

/// A reward model.
pub(super) struct Verifier {
    /// The model without its head.
    pub(super) policy: Policy,
    pub(super) head: RewardHead,
    pub(super) scored: Scored,
}

/// A response, and where the head reads it.
pub(super) struct Response<'a> {
    /// What it answers.
    pub(super) sample: &'a Sample,
    /// Its tokens.
    pub(super) drawn: &'a [u32],
    /// How many of them there are up to each place that is scored.
    pub(super) ends: Vec<usize>,
}

impl Response<'_> {
    /// Its tokens, as the engine reads them.
    pub(super) fn tokens(&self) -> Vec<i64> {
        self.drawn.iter().map(|&token| i64::from(token)).collect()
    }
}

impl Verifier {
    /// Loads the artifact of a `train-reward`, which looks up what the stage has features of.
    pub(super) fn load(
        artifact: &Artifact,
        dtype: Dtype,
        (prompts, device): (&mut Prompts, Device),
        context: &Context<'_>,
    ) -> Result<Self, Stop> {
        let mut policy = Policy::load(artifact, dtype, device)?;
        policy.look_up(dtype, prompts, context)?;
        let bytes = artifact.read(HEAD)?;
        let head = RewardHead::from_bytes(&policy.model, &bytes, HEAD).map_err(failed)?;
        let about: About =
            serde_json::from_slice(&artifact.read("reward.json")?).map_err(|error| {
                let reason = format!("`reward.json` of {} cannot be read: {error}", artifact.key());
                failure(reason, "it was written by another version of mstar: run again")
            })?;
        Ok(Self { policy, head, scored: about.scored })
    }

    /// Writes weights, head, configuration and tokenizer.
    pub(super) fn write(&self, folder: &Folder) -> Result<(), Stop> {
        self.policy.write(folder)?;
        folder.write(HEAD, &self.head.parameters().to_bytes())?;
        Ok(folder.write("reward.json", &json(&About { scored: self.scored }))?)
    }

    /// Scores rollouts, in their order; what is equal is read once.
    pub(super) fn score(
        &self,
        rollouts: &[Rollout],
        samples: &[Sample],
        options: &Score,
        context: &Context<'_>,
    ) -> Result<Vec<ResponseScores>, Stop> {
        let cutter = Cutter::of(&options.steps, context)?;
        let samples = by_id(samples);
        let mut distinct: BTreeMap<(u64, &[u32]), &Rollout> = BTreeMap::new();
        for rollout in rollouts {
            distinct.entry((rollout.prompt, &rollout.tokens)).or_insert(rollout);
        }
        let mut responses = Vec::with_capacity(distinct.len());
        for rollout in distinct.values() {
            if context.cancelled() {
                return Err(Stop::Cancelled);
            }
            let sample = sample_of(&samples, rollout.prompt)?;
            let ends = match self.scored {
                Scored::Outcome => vec![rollout.tokens.len()],
                Scored::Process => cutter.ends(&self.policy, rollout, sample)?,
            };
            responses.push(Response { sample, drawn: &rollout.tokens, ends });
        }
        let total = responses.len() as u64;
        let scores = self.scores(&responses.iter().collect::<Vec<_>>(), context, &|read| {
            context.progress(read as u64, total, Unit::Samples, &[]);
        })?;
        let scores: BTreeMap<_, _> = distinct.keys().zip(scores).collect();
        let aggregation = aggregation(options.aggregate);
        let row = |rollout: &Rollout| {
            let steps = scores[&(rollout.prompt, rollout.tokens.as_slice())].clone();
            let score = aggregation.of(&steps);
            ResponseScores { prompt: rollout.prompt, sample: rollout.sample, steps, score }
        };
        Ok(rollouts.iter().map(row).collect())
    }

    /// What the head says at the ends of responses, in their order. They are read by prompt, each
    /// prompt once for all its responses, and some prompts at a time; `progress` is told how many
    /// responses are read. What the model cannot read, since it holds a placeholder of an image,
    /// scores 0.
    pub(super) fn scores(
        &self,
        responses: &[&Response<'_>],
        context: &Context<'_>,
        progress: &dyn Fn(usize),
    ) -> Result<Vec<Vec<f32>>, Stop> {
        let mut prompts: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (place, response) in responses.iter().enumerate() {
            prompts.entry(response.sample.id).or_default().push(place);
        }
        let asked = prompts.values().map(|places| responses[places[0]].sample.clone()).collect();
        let questions = self.policy.questions(asked, context);
        let mut read = Vec::with_capacity(responses.len());
        let (mut batch, mut tokens) = (Vec::new(), 0);
        for (number, (places, question)) in (1..).zip(prompts.values().zip(questions)) {
            let question = question?;
            let own: Vec<&Response<'_>> = places.iter().map(|&place| responses[place]).collect();
            tokens += question.tokens.len() + own.iter().map(|it| it.drawn.len()).sum::<usize>();
            batch.push((question, own));
            if tokens >= TOKENS_AT_ONCE || number == prompts.len() {
                if context.cancelled() {
                    return Err(Stop::Cancelled);
                }
                read.append(&mut self.read(&batch)?);
                (batch, tokens) = (Vec::new(), 0);
                progress(read.len());
            }
        }
        let mut scores = vec![Vec::new(); responses.len()];
        for (&place, found) in prompts.values().flatten().zip(read) {
            scores[place] = found;
        }
        Ok(scores)
    }

    /// Scores of some questions' responses, by one forward pass.
    fn read(&self, batch: &[(Asked, Vec<&Response<'_>>)]) -> Result<Vec<Vec<f32>>, Stop> {
        let can_read = |it: &Response<'_>| self.policy.can_read(it.drawn);
        let tokens: Vec<Vec<Vec<i64>>> =
            batch.iter().map(|(_, own)| own.iter().map(|it| it.tokens()).collect()).collect();
        let mut readings = Vec::with_capacity(batch.len());
        for ((Asked { tokens: prompt, pixels }, own), tokens) in batch.iter().zip(&tokens) {
            let readable = own.iter().zip(tokens).filter(|(it, _)| can_read(it));
            let continued = readable.map(|(it, tokens)| Continued { tokens, ends: &it.ends });
            readings.push(Reading { prompt, pixels, responses: continued.collect() });
        }
        readings.retain(|reading| !reading.responses.is_empty());
        let mut found = Vec::new();
        if !readings.is_empty() {
            let pack = ReadingPack::new(&self.policy.model, &readings).map_err(failed)?;
            found = self.head.scores(&self.policy.model, &pack);
        }
        let mut found = found.into_iter();
        let scores = |it: &&Response<'_>| match can_read(it) {
            true => found.by_ref().take(it.ends.len()).collect(),
            false => vec![0.0; it.ends.len()],
        };
        Ok(batch.iter().flat_map(|(_, own)| own).map(scores).collect())
    }
}

fn aggregation(aggregate: Aggregate) -> Aggregation {
    match aggregate {
        Aggregate::Min => Aggregation::Min,
        Aggregate::Mean => Aggregation::Mean,
        Aggregate::Product => Aggregation::Product,
        Aggregate::Last => Aggregation::Last,
    }
}

/// Prompts by id.
pub(super) fn by_id(samples: &[Sample]) -> BTreeMap<u64, &Sample> {
    samples.iter().map(|sample| (sample.id, sample)).collect()
}

/// The prompt of a response.
pub(super) fn sample_of<'a>(
    samples: &BTreeMap<u64, &'a Sample>,
    id: u64,
) -> Result<&'a Sample, Stop> {
    samples
        .get(&id)
        .copied()
        .ok_or_else(|| failure(format!("a response answers the unknown prompt {id}"), "plan again"))
}
