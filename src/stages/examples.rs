//! What a training stage learns from, as tokens.

use super::ahead::Ahead;
use super::failure::{failed, failure};
use super::policy::Policy;
use super::prompts::{Prompts, Sample};
use crate::base::Seed;
use crate::data::Reference;
use crate::data::table::{self, TrainingExample};
use crate::engine::{Pixels, Sequence};
use crate::plan::{Port, Train, TrainingSet};
use crate::recipe::Supervision;
use crate::run::{Context, Stop};
use std::collections::BTreeMap;
use std::rc::Rc;

/// One example: a prompt and the responses that are right for it, one of which is learned in each
/// pass.
struct Example {
    sample: usize,
    prompt: usize,
    variants: Vec<Vec<i64>>,
}

/// Everything a training stage learns from.
pub(super) struct Examples {
    samples: Rc<Vec<Sample>>,
    examples: Vec<Example>,
    /// Examples that were longer than allowed.
    pub(super) long: usize,
    /// Responses in which the policy drew a placeholder of an image, which it cannot read back.
    pub(super) unreadable: usize,
}

impl Examples {
    /// Reads what the stage's options say.
    pub(super) fn read(
        options: &Train,
        policy: &Policy,
        prompts: &mut Prompts,
        context: &Context<'_>,
    ) -> Result<Self, Stop> {
        let split = match options.set {
            TrainingSet::Demonstrations => "demonstrations",
            TrainingSet::Selected | TrainingSet::Given(_) => "train",
        };
        let samples = prompts.samples(context, split)?;
        let responses = match options.set {
            TrainingSet::Selected => selected(&samples, context)?,
            TrainingSet::Given(Supervision::Answer) => (0..samples.len())
                .take(options.labelled as usize)
                .map(|index| answer(policy, &samples[index]).map(|tokens| (index, vec![tokens])))
                .collect::<Result<_, _>>()?,
            TrainingSet::Given(Supervision::Solution) | TrainingSet::Demonstrations => {
                let references = prompts.references(context, split)?;
                let count = match options.set {
                    TrainingSet::Demonstrations => samples.len(),
                    _ => (options.labelled as usize).min(samples.len()),
                };
                solutions(policy, &samples[..count], &references)?
            }
        };
        Self { samples, examples: Vec::new(), long: 0, unreadable: 0 }
            .measured(responses, options, policy, context)
    }

    fn measured(
        mut self,
        responses: Responses,
        options: &Train,
        policy: &Policy,
        context: &Context<'_>,
    ) -> Result<Self, Stop> {
        let longest = (options.max_length as usize).min(policy.model.positions());
        let all = responses.len();
        let mut readable = responses;
        readable.retain(|(_, variants)| variants.iter().all(|it| policy.can_read(it)));
        self.unreadable = all - readable.len();
        let asked = readable.iter().map(|(sample, _)| &self.samples[*sample]);
        let prompts = policy.question_tokens(asked, context)?;
        for (sample, variants) in readable {
            let prompt = &prompts[&self.samples[sample].id];
            let whole = |response: Vec<i64>| [prompt.as_slice(), response.as_slice()].concat();
            let variants: Vec<Vec<i64>> = variants.into_iter().map(whole).collect();
            if variants.iter().any(|tokens| tokens.len() > longest) {
                self.long += 1;
                continue;
            }
            self.examples.push(Example { sample, prompt: prompt.len(), variants });
        }
        Ok(self)
    }

    pub(super) fn len(&self) -> usize {
        self.examples.len()
    }

    /// The order of a pass: a function of seed and pass alone.
    pub(super) fn order(&self, seed: Seed, pass: u64) -> Vec<usize> {
        use rand::seq::SliceRandom as _;
        let mut order: Vec<usize> = (0..self.examples.len()).collect();
        order.shuffle(&mut seed.named("order").nth(pass).generator());
        order
    }

    /// Pixels of some examples in their order, to be borrowed by [`Examples::sequences`].
    pub(super) fn sights(
        &self,
        policy: &Policy,
        indices: &[usize],
        context: &Context<'_>,
    ) -> Ahead<Result<Pixels, Stop>> {
        let of = |index: &usize| self.samples[self.examples[*index].sample].clone();
        policy.sights(indices.iter().map(of).collect(), context)
    }

    /// Some examples as the engine learns them, in the variant of a pass.
    pub(super) fn sequences<'a>(
        &'a self,
        indices: &[usize],
        pixels: &'a [Pixels],
        (seed, pass): (Seed, u64),
    ) -> Vec<Sequence<'a>> {
        let sequence = |(index, pixels): (&usize, &'a Pixels)| {
            let (tokens, prompt) = self.variant(*index, (seed, pass));
            Sequence { tokens, pixels, prompt, weights: None }
        };
        indices.iter().zip(pixels).map(sequence).collect()
    }

    /// Tokens of responses that are learned from some examples in a pass.
    pub(super) fn learned(&self, indices: &[usize], draw: (Seed, u64)) -> usize {
        let of = |index: &usize| {
            let (tokens, prompt) = self.variant(*index, draw);
            tokens.len() - prompt
        };
        indices.iter().map(of).sum()
    }

    /// What an example is in a pass, and how much of it is its prompt.
    fn variant(&self, index: usize, (seed, pass): (Seed, u64)) -> (&[i64], usize) {
        let example = &self.examples[index];
        let draw = seed.named("variant").uniform_at(index as u64, pass);
        let variant = (draw * example.variants.len() as f64) as usize;
        (&example.variants[variant], example.prompt)
    }

    /// Ids of the prompts of some examples.
    pub(super) fn ids(&self, indices: &[usize]) -> Vec<u64> {
        indices.iter().map(|index| self.samples[self.examples[*index].sample].id).collect()
    }
}

type Responses = Vec<(usize, Vec<Vec<i64>>)>;

fn selected(samples: &[Sample], context: &Context<'_>) -> Result<Responses, Stop> {
    let bytes = context.input(Port::Selected)?.read("selected.parquet")?;
    let selected: Vec<TrainingExample> = table::decode(&bytes).map_err(failed)?;
    let places: BTreeMap<u64, usize> =
        samples.iter().enumerate().map(|(index, sample)| (sample.id, index)).collect();
    let response = |example: TrainingExample| {
        let place = places.get(&example.prompt).ok_or_else(|| {
            let reason = format!("the response {} answers no known prompt", example.id);
            failure(reason, "it was selected from other prompts; plan again")
        })?;
        Ok((*place, vec![example.tokens.into_iter().map(i64::from).collect()]))
    };
    selected.into_iter().map(response).collect()
}

fn answer(policy: &Policy, sample: &Sample) -> Result<Vec<i64>, Stop> {
    policy.response_tokens(&policy.extraction().written(visible(sample)?))
}

/// The answer of a labelled prompt.
fn visible(sample: &Sample) -> Result<&str, Stop> {
    sample.answer.as_deref().ok_or_else(|| {
        let reason = format!("the answer of prompt {} is hidden", sample.id);
        failure(reason, "label more of the prompts: raise `data.labelled`")
    })
}

fn solutions(
    policy: &Policy,
    samples: &[Sample],
    references: &[Reference],
) -> Result<Responses, Stop> {
    let by_id = super::measure::by_prompt(references);
    let mut responses = Vec::with_capacity(samples.len());
    for (index, sample) in samples.iter().enumerate() {
        let Some(reference) = by_id.get(&sample.id) else {
            let reason = format!("prompt {} has no worked solution", sample.id);
            return Err(failure(reason, "train on answers: `training.supervision = \"answer\"`"));
        };
        let mut variants = Vec::with_capacity(reference.gold.len());
        for steps in &reference.gold {
            let steps: String = steps.iter().map(|step| format!("{step} ; ")).collect();
            let text = format!("{steps}answer {}", visible(sample)?);
            variants.push(policy.response_tokens(&text)?);
        }
        responses.push((index, variants));
    }
    Ok(responses)
}
