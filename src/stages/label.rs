//! `label`: Monte Carlo labels of steps.
//!
//! From the end of each step but the last the policy completes the response several times; the share
//! of completions that reach the right answer is the step's label. The last step's is whether the
//! answer is right. Equal beginnings of responses to one prompt are completed once, and their noise
//! depends on what they say, so that no label depends on which other rollouts were drawn.
//!
//! Left out: the exact step checker. A label knows answers, never right steps.

use super::failure::failed;
use super::hooks::Hooks;
use super::policy::{Asked, Policy, Resident, with_looked_up, write_metrics};
use super::prompts::{Prompts, Sample};
use super::rollout::{Draw, judge, next_prompts};
use super::steps::Cutter;
use super::verifier::{by_id, sample_of};
use crate::base::Seed;
use crate::data::table::{self, Rollout, StepLabel};
use crate::engine::{self, Device, Finish, Settings, generate};
use crate::event::Unit;
use crate::plan::{Label, Port};
use crate::rewards::mean;
use crate::run::{Context, Stop};
use rand::seq::SliceRandom as _;
use serde_json::json;
use std::collections::BTreeMap;

/// Prefixes that are completed between two checkpoints.
const PREFIXES_AT_ONCE: usize = 2048;

/// The beginning of a response: prompt and tokens. Equal ones are one.
type Prefix<'a> = (u64, &'a [u32]);

pub(super) fn run(
    options: &Label,
    (resident, prompts, device): (&mut Resident, &mut Prompts, Device),
    context: &Context<'_>,
) -> Result<(), Stop> {
    let policy = resident.policy(context, options.dtype, (prompts, device))?;
    let samples = prompts.samples(context, "train")?;
    let bytes = context.input(Port::Rollouts)?.read("rollouts.parquet")?;
    let mut rollouts: Vec<Rollout> = table::decode(&bytes).map_err(failed)?;
    rollouts.retain(|rollout| policy.can_read(&rollout.tokens));
    let rollouts = drawn(&rollouts, options);
    let cutter = Cutter::of(&options.steps, context)?;
    let by_id = by_id(&samples);
    let steps: Vec<Vec<usize>> = rollouts
        .iter()
        .map(|rollout| cutter.ends(policy, rollout, sample_of(&by_id, rollout.prompt)?))
        .collect::<Result<_, _>>()?;
    let mut right: BTreeMap<Prefix<'_>, u32> = BTreeMap::new();
    for (rollout, ends) in rollouts.iter().zip(&steps) {
        for &end in &ends[..ends.len() - 1] {
            right.insert((rollout.prompt, &rollout.tokens[..end]), 0);
        }
    }
    let (tokens, looked_up) = complete(&mut right, policy, &by_id, options, context)?;

    let (mut labels, mut shares) = (Vec::new(), Vec::new());
    for (rollout, ends) in rollouts.iter().zip(&steps) {
        for (step, &end) in ends.iter().enumerate() {
            let is_last = step + 1 == ends.len();
            let (completions, right) = match is_last {
                true => (1, u32::from(rollout.correct)),
                false => (options.completions, right[&(rollout.prompt, &rollout.tokens[..end])]),
            };
            let Rollout { prompt, sample, .. } = **rollout;
            let (step, end) = (step as u32, end as u32);
            let label = StepLabel { prompt, sample, step, end, completions, right };
            shares.extend((!is_last).then(|| label.share()));
            labels.push(label);
        }
    }
    context.results().write("labels.parquet", &table::encode(&labels).map_err(failed)?)?;
    let correct = rollouts.iter().filter(|rollout| rollout.correct).count();
    let metrics = json!({
        "rollouts": rollouts.len(),
        "steps": labels.len(),
        "prefixes": right.len(),
        "samples": right.len() * options.completions as usize,
        "tokens": tokens,
        "mean_share": mean(shares),
        "mean_correct": (!rollouts.is_empty()).then(|| correct as f64 / rollouts.len() as f64),
    });
    write_metrics(context, &with_looked_up(metrics, looked_up, context))
}

/// Rollouts drawn at random, in their order.
fn drawn<'a>(rollouts: &'a [Rollout], options: &Label) -> Vec<&'a Rollout> {
    let mut places: Vec<usize> = (0..rollouts.len()).collect();
    if options.rollouts > 0 {
        places.shuffle(&mut Seed(options.seed).named("rollouts").generator());
        places.truncate(options.rollouts as usize);
        places.sort_unstable();
    }
    places.into_iter().map(|place| &rollouts[place]).collect()
}

/// Counts, of each prefix, the completions that reach the right answer; gives the tokens drawn, and
/// the pictures seen without the vision tower. A killed stage goes on at the first part that it has
/// not kept.
fn complete(
    right: &mut BTreeMap<Prefix<'_>, u32>,
    policy: &Policy,
    samples: &BTreeMap<u64, &Sample>,
    options: &Label,
    context: &Context<'_>,
) -> Result<(u64, u64), Stop> {
    let judge = Judge { policy, options, hooks: Hooks::of(context)? };
    let prefixes: Vec<Prefix<'_>> = right.keys().copied().collect();
    let total = (prefixes.len() * options.completions as usize) as u64;
    let (mut all_tokens, mut all_looked_up) = (0, 0);
    for (part, prefixes) in prefixes.chunks(PREFIXES_AT_ONCE).enumerate() {
        let name = format!("part-{part:05}.json");
        let kept =
            context.work().read(&name)?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let (counts, tokens, looked_up): (Vec<u32>, u64, u64) = match kept {
            Some(kept) => kept,
            None => {
                let before = part * PREFIXES_AT_ONCE * options.completions as usize;
                let (counts, tokens) =
                    judge.counts(prefixes, samples, context, &|done: usize| {
                        context.progress((before + done) as u64, total, Unit::Samples, &[]);
                        context.cancelled()
                    })?;
                let counted = (counts, tokens, policy.model.looked_up());
                let bytes = super::failure::json(&counted);
                context.work().write(&name, &bytes)?;
                counted
            }
        };
        all_tokens += tokens;
        all_looked_up += looked_up;
        right.extend(prefixes.iter().copied().zip(counts));
    }
    Ok((all_tokens, all_looked_up))
}

/// Who completes prefixes, and says what comes of it.
struct Judge<'a> {
    policy: &'a Policy,
    options: &'a Label,
    hooks: Hooks,
}

impl Judge<'_> {
    /// Completes some prefixes; `report` is told of completions and says whether to stop.
    fn counts(
        &self,
        prefixes: &[Prefix<'_>],
        samples: &BTreeMap<u64, &Sample>,
        context: &Context<'_>,
        report: &dyn Fn(usize) -> bool,
    ) -> Result<(Vec<u32>, u64), Stop> {
        let Self { policy, options, .. } = self;
        let asked: Vec<Sample> = prefixes
            .iter()
            .map(|(id, _)| sample_of(samples, *id).cloned())
            .collect::<Result<_, _>>()?;
        let prompt = |(&(id, prefix), asked): (&Prefix<'_>, Result<Asked, Stop>)| {
            let mut asked = asked?;
            asked.tokens.extend(prefix.iter().map(|&token| i64::from(token)));
            Ok(asked.named(name_of(id, prefix)))
        };
        let draw = Draw {
            samples: options.completions,
            temperature: options.temperature,
            seed: Seed(options.seed),
            ..Draw::greedy(options.max_new_tokens)
        };
        let (mut counts, mut tokens) = (Vec::with_capacity(prefixes.len()), 0);
        let questions = policy.questions(asked, context);
        let mut waiting = prefixes.iter().zip(questions).map(prompt).peekable();
        while let Some(asked) = prefixes.get(counts.len()..).filter(|asked| !asked.is_empty()) {
            let prompts = next_prompts(&mut waiting)?;
            let done = counts.len() * options.completions as usize;
            let stop = std::cell::Cell::new(false);
            let mut progress = |it: engine::Progress| stop.set(report(done + it.responses));
            let settings: Settings = draw.settings(policy, &prompts);
            let generated =
                generate(&policy.model, &prompts, &settings, &mut progress, &|| stop.get())
                    .map_err(failed)?;
            if generated.stopped {
                return Err(Stop::Cancelled);
            }
            let completions = generated.responses.chunks(options.completions as usize);
            for (&(id, prefix), completions) in asked.iter().zip(completions) {
                let sample = sample_of(samples, id)?;
                let mut right = 0;
                for completion in completions {
                    tokens += completion.tokens.len() as u64;
                    right += u32::from(self.reaches(sample, prefix, completion)?);
                }
                counts.push(right);
            }
        }
        Ok((counts, tokens))
    }

    /// Whether a prefix with its completion is a response with the right answer.
    fn reaches(
        &self,
        sample: &Sample,
        prefix: &[u32],
        completion: &engine::Response,
    ) -> Result<bool, Stop> {
        let begun = prefix.iter().map(|&token| i64::from(token));
        let tokens: Vec<i64> = begun.chain(completion.tokens.iter().copied()).collect();
        // The policy could not have drawn more than that from the prompt.
        let fits = tokens.len() <= self.options.max_new_tokens as usize;
        let finish = if fits { completion.finish } else { Finish::Length };
        let response = engine::Response { prompt: sample.id, tokens, finish, ..*completion };
        let mut rollout = judge(self.policy, sample, response, self.options.temperature)?;
        self.hooks.judge(sample, &mut rollout)?;
        Ok(rollout.correct)
    }
}

/// The name of a prefix, on which its noise depends: a function of what it says.
fn name_of(prompt: u64, prefix: &[u32]) -> u64 {
    prefix.iter().fold(Seed(prompt), |name, &token| name.nth(u64::from(token))).0
}
