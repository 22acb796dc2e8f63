//! Responses of a policy to samples, with what the answer reward says of each.

use super::failure::failed;
use super::hooks::Hooks;
use super::policy::Policy;
use crate::base::Seed;
use crate::data::Sample;
use crate::data::table::{Finish, Rollout};
use crate::engine::{self, Sampling, Settings, generate};
use crate::event::Unit;
use crate::judging::first_judgement;
use crate::rewards::Extraction;
use crate::run::{Context, Stop};
use std::collections::BTreeMap;

/// Responses that grow at a time. More fill the processor better and take more memory; the result
/// does not depend on it.
const SLOTS: usize = 512;

/// How to draw.
pub(super) struct Draw {
    pub(super) samples: u32,
    /// Number of the first one; its noise depends on it.
    pub(super) first_sample: u32,
    pub(super) temperature: f64,
    pub(super) top_p: f64,
    pub(super) top_k: u32,
    pub(super) min_p: f64,
    pub(super) max_new_tokens: u32,
    pub(super) seed: Seed,
    /// Whether the gold answer is put before the separator as a hint.
    pub(super) hint: bool,
}

impl Draw {
    /// The likeliest token, once.
    pub(super) fn greedy(max_new_tokens: u32) -> Self {
        Self {
            samples: 1,
            first_sample: 0,
            temperature: 0.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            max_new_tokens,
            seed: Seed(0),
            hint: false,
        }
    }

    pub(super) fn settings(&self, policy: &Policy) -> Settings {
        let sampling = Sampling {
            temperature: self.temperature,
            top_k: (self.top_k > 0).then_some(self.top_k as usize),
            top_p: (self.top_p < 1.0).then_some(self.top_p),
            min_p: (self.min_p > 0.0).then_some(self.min_p),
            max_new_tokens: self.max_new_tokens as usize,
            stop: vec![i64::from(policy.template.end)],
        };
        Settings {
            samples: self.samples as usize,
            first_sample: u64::from(self.first_sample),
            sampling,
            seed: self.seed,
            slots: SLOTS,
        }
    }
}

/// Draws responses and compares their answers with the gold ones.
///
/// # Errors
/// When a prompt cannot be read, or the run was cancelled.
pub(super) fn respond(
    policy: &Policy,
    samples: &[&Sample],
    draw: &Draw,
    context: &Context<'_>,
) -> Result<Vec<Rollout>, Stop> {
    let mut progress = |done, of| context.progress(done, of, Unit::Samples, &[]);
    respond_within(policy, samples, draw, &mut progress, context)
}

/// The same as a part of more; `progress` is told how many of these responses are done.
///
/// # Errors
/// As [`respond`].
pub(super) fn respond_within(
    policy: &Policy,
    samples: &[&Sample],
    draw: &Draw,
    progress: &mut dyn FnMut(u64, u64),
    context: &Context<'_>,
) -> Result<Vec<Rollout>, Stop> {
    let prompts: Vec<engine::Prompt> = samples
        .iter()
        .map(|sample| match &sample.answer {
            Some(answer) if draw.hint => {
                let prompt = Some(format!("{} {answer}", sample.asked()));
                policy.prompt(&Sample { prompt, ..(*sample).clone() })
            }
            _ => policy.prompt(sample),
        })
        .collect::<Result<_, _>>()?;
    let mut progress = |now: engine::Progress| progress(now.responses as u64, now.of as u64);
    let settings = draw.settings(policy);
    let stop = || context.cancelled();
    let generated =
        generate(&policy.model, &prompts, &settings, &mut progress, &stop).map_err(failed)?;
    if generated.stopped {
        return Err(Stop::Cancelled);
    }
    let by_id: BTreeMap<u64, &Sample> = samples.iter().map(|sample| (sample.id, *sample)).collect();
    let hooks = Hooks::of(context)?;
    let rollout = |response: engine::Response| {
        let sample = by_id[&response.prompt];
        let mut rollout = judge(policy, sample, response, draw.temperature)?;
        hooks.judge(sample, &mut rollout)?;
        Ok(rollout)
    };
    generated.responses.into_iter().map(rollout).collect()
}

/// A response with what the answer reward says of it.
pub(super) fn judge(
    policy: &Policy,
    sample: &Sample,
    response: engine::Response,
    temperature: f64,
) -> Result<Rollout, Stop> {
    let tokens: Vec<u32> = response.tokens.iter().map(|&token| token as u32).collect();
    let text = policy.tokenizer.decode(&tokens).map_err(failed)?;
    let finish = match response.finish {
        engine::Finish::Stop => Finish::Stop,
        engine::Finish::Length => Finish::Length,
    };
    let gold = sample.answer.as_deref();
    // Whatever runs today is built in: see `judging::extraction`.
    let (extracted, correct) = first_judgement(Extraction::AnswerWord, &text, finish, gold);
    Ok(Rollout {
        prompt: sample.id,
        sample: response.sample as u32,
        category: sample.category.clone(),
        response: text,
        tokens,
        finish,
        extracted,
        gold: sample.answer.clone(),
        correct,
        temperature: temperature as f32,
        kept: None,
    })
}
