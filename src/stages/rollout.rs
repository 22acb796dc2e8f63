//! Responses of a policy to samples, with what the answer reward says of each.

use super::failure::failed;
use super::hooks::Hooks;
use super::policy::Policy;
use super::prompts::Sample;
use crate::base::Seed;
use crate::data::table::{Finish, Rollout};
use crate::engine::{self, Device, Model, Prompt, Sampling, Settings, generate};
use crate::event::Unit;
use crate::judging::first_judgement;
use crate::run::{Context, Stop};
use std::collections::BTreeMap;
use std::iter::Peekable;

/// Responses that grow at a time. More fill the processor better and take more memory; the result
/// does not depend on it.
const SLOTS: usize = 512;
/// Bytes of keys and values that growing responses and their prompts may take, on the CPU and on a
/// GPU: fewer grow at a time where a model is large.
const CACHE: (usize, usize) = (4 << 30, 32 << 30);
/// Numbers of pictures that are held at a time; prompts beyond wait until others are answered.
const PICTURED: usize = 1 << 28;

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

    /// The engine's settings for some prompts.
    pub(super) fn settings(&self, policy: &Policy, prompts: &[Prompt]) -> Settings {
        let sampling = Sampling {
            temperature: self.temperature,
            top_k: (self.top_k > 0).then_some(self.top_k as usize),
            top_p: (self.top_p < 1.0).then_some(self.top_p),
            min_p: (self.min_p > 0.0).then_some(self.min_p),
            max_new_tokens: self.max_new_tokens as usize,
            stop: policy.ends(),
        };
        Settings {
            samples: self.samples as usize,
            first_sample: u64::from(self.first_sample),
            sampling,
            seed: self.seed,
            slots: self.slots(&policy.model, prompts),
        }
    }

    /// How many responses may grow at a time.
    fn slots(&self, model: &Model, prompts: &[Prompt]) -> usize {
        let (layers, heads) = model.layers();
        // Keys and values, at four bytes a number at most.
        let token = layers * 8 * (heads.keys * heads.width) as usize;
        let asked = prompts.iter().map(|prompt| prompt.tokens.len()).max().unwrap_or(0);
        // A prompt is shared by its responses, and stays until the last of them has ended.
        let row =
            token * (self.max_new_tokens as usize + asked * 3 / 2 / self.samples.max(1) as usize);
        let room = if model.device() == Device::Cpu { CACHE.0 } else { CACHE.1 };
        SLOTS.min(room / row.max(1)).max(1)
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
    let hooks = Hooks::of(context)?;
    let by_id: BTreeMap<u64, &Sample> = samples.iter().map(|sample| (sample.id, *sample)).collect();
    let of = samples.len() as u64 * u64::from(draw.samples);
    let asked = |sample: &&Sample| match &sample.answer {
        Some(answer) if draw.hint => {
            let prompt = Some(format!("{} {answer}", sample.asked()));
            Sample { prompt, ..(*sample).clone() }
        }
        _ => (*sample).clone(),
    };
    let questions = policy.questions(samples.iter().map(asked).collect(), context);
    let ids = samples.iter().map(|sample| sample.id);
    let mut waiting = ids.zip(questions).map(|(id, asked)| asked.map(|it| it.named(id))).peekable();
    let mut rollouts = Vec::with_capacity(of as usize);
    while waiting.peek().is_some() {
        let prompts = next_prompts(&mut waiting)?;
        let settings = draw.settings(policy, &prompts);
        let done = rollouts.len() as u64;
        let mut progress = |now: engine::Progress| progress(done + now.responses as u64, of);
        let stop = || context.cancelled();
        let generated =
            generate(&policy.model, &prompts, &settings, &mut progress, &stop).map_err(failed)?;
        if generated.stopped {
            return Err(Stop::Cancelled);
        }
        for response in generated.responses {
            let sample = by_id[&response.prompt];
            let mut rollout = judge(policy, sample, response, draw.temperature)?;
            hooks.judge(sample, &mut rollout)?;
            rollouts.push(rollout);
        }
    }
    Ok(rollouts)
}

/// As many of the prompts that wait as their pictures leave room for, and at least one. No result
/// depends on how they are parted.
///
/// # Errors
/// When a prompt cannot be made.
pub(super) fn next_prompts(
    waiting: &mut Peekable<impl Iterator<Item = Result<Prompt, Stop>>>,
) -> Result<Vec<Prompt>, Stop> {
    let (mut prompts, mut pictured) = (Vec::new(), 0);
    let mut has_room = |next: &Result<Prompt, Stop>| {
        pictured += next.as_ref().map_or(0, |prompt| prompt.pixels.values().len());
        pictured <= PICTURED
    };
    while let Some(next) = waiting.peek() {
        if !has_room(next) && !prompts.is_empty() {
            break;
        }
        prompts.extend(waiting.next().transpose()?);
    }
    Ok(prompts)
}

/// A response with what the answer reward says of it.
pub(super) fn judge(
    policy: &Policy,
    sample: &Sample,
    response: engine::Response,
    temperature: f64,
) -> Result<Rollout, Stop> {
    let tokens: Vec<u32> = response.tokens.iter().map(|&token| token as u32).collect();
    let text = policy.text(&tokens)?;
    let finish = match response.finish {
        engine::Finish::Stop => Finish::Stop,
        engine::Finish::Length => Finish::Length,
    };
    let gold = sample.answer.as_deref();
    let (extracted, correct) = first_judgement(policy.extraction(), &text, finish, gold);
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
