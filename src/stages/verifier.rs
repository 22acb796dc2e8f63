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

/// A response as the head reads it.
struct Response<'a> {
    drawn: &'a [u32],
    tokens: Vec<i64>,
    ends: Vec<usize>,
}

/// Scores of steps, by prompt and by what was drawn.
type Scores<'a> = BTreeMap<(u64, &'a [u32]), Vec<f32>>;

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

    /// Scores rollouts, in their order, by a forward pass over what is distinct; a prompt is read
    /// once for all its responses. What the model cannot read, since it holds a placeholder of an
    /// image, scores 0.
    pub(super) fn score(
        &self,
        rollouts: &[Rollout],
        samples: &[Sample],
        options: &Score,
        context: &Context<'_>,
    ) -> Result<Vec<ResponseScores>, Stop> {
        let cutter = Cutter::of(&options.steps, context)?;
        let samples = by_id(samples);
        let mut prompts: BTreeMap<u64, BTreeMap<&[u32], &Rollout>> = BTreeMap::new();
        for rollout in rollouts {
            let distinct = prompts.entry(rollout.prompt).or_default();
            distinct.entry(&rollout.tokens).or_insert(rollout);
        }
        let total: u64 = prompts.values().map(|distinct| distinct.len() as u64).sum();
        let mut scores = Scores::new();
        let (mut batch, mut tokens) = (Vec::new(), 0);
        let last = prompts.last_key_value().map(|(id, _)| *id);
        let asked: Vec<Sample> =
            prompts.keys().map(|&id| sample_of(&samples, id).cloned()).collect::<Result<_, _>>()?;
        let questions = self.policy.questions(asked, context);
        for ((&id, distinct), question) in prompts.iter().zip(questions) {
            let (sample, question) = (sample_of(&samples, id)?, question?);
            let responses: Vec<Response<'_>> = distinct
                .values()
                .map(|rollout| self.response(rollout, sample, &cutter))
                .collect::<Result<_, _>>()?;
            tokens += question.tokens.len()
                + responses.iter().map(|response| response.tokens.len()).sum::<usize>();
            batch.push((id, question, responses));
            if tokens >= TOKENS_AT_ONCE || last == Some(id) {
                if context.cancelled() {
                    return Err(Stop::Cancelled);
                }
                scores.append(&mut self.read(&batch)?);
                (batch, tokens) = (Vec::new(), 0);
                context.progress(scores.len() as u64, total, Unit::Samples, &[]);
            }
        }
        let aggregation = aggregation(options.aggregate);
        let row = |rollout: &Rollout| {
            let steps = scores[&(rollout.prompt, rollout.tokens.as_slice())].clone();
            let score = aggregation.of(&steps);
            ResponseScores { prompt: rollout.prompt, sample: rollout.sample, steps, score }
        };
        Ok(rollouts.iter().map(row).collect())
    }

    fn response<'a>(
        &self,
        rollout: &'a Rollout,
        sample: &Sample,
        cutter: &Cutter,
    ) -> Result<Response<'a>, Stop> {
        let drawn = rollout.tokens.as_slice();
        let ends = match self.scored {
            Scored::Outcome => vec![drawn.len()],
            Scored::Process => cutter.ends(&self.policy, rollout, sample)?,
        };
        Ok(Response { drawn, tokens: drawn.iter().map(|&it| i64::from(it)).collect(), ends })
    }

    /// Scores of a batch, by prompt and response.
    fn read<'a>(&self, batch: &[(u64, Asked, Vec<Response<'a>>)]) -> Result<Scores<'a>, Stop> {
        let is_read = |it: &&Response<'_>| self.policy.can_read(it.drawn);
        let mut readings = Vec::with_capacity(batch.len());
        for (_, question, responses) in batch {
            let continued = responses.iter().filter(is_read);
            let continued = continued.map(|it| Continued { tokens: &it.tokens, ends: &it.ends });
            let Asked { tokens: prompt, pixels } = question;
            readings.push(Reading { prompt, pixels, responses: continued.collect() });
        }
        readings.retain(|reading| !reading.responses.is_empty());
        let mut found = Vec::new();
        if !readings.is_empty() {
            let pack = ReadingPack::new(&self.policy.model, &readings).map_err(failed)?;
            found = self.head.scores(&self.policy.model, &pack);
        }
        let mut found = found.into_iter();
        let mut scores = Scores::new();
        for (id, _, responses) in batch {
            for response in responses {
                let count = response.ends.len();
                let steps = match is_read(&response) {
                    true => found.by_ref().take(count).collect(),
                    false => vec![0.0; count],
                };
                scores.insert((*id, response.drawn), steps);
            }
        }
        Ok(scores)
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
