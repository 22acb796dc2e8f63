//! `train`: supervised fine-tuning on right responses: no negatives, no KL term, no weights.
//!
//! What differs between the training methods comes in by the ports: weights by `policy`, and, where
//! a method inherits them, optimizer state and schedule position by `optimizer`. A killed stage goes
//! on from its last checkpoint to the weights it would have had.

use super::checkpoint::{self, Checkpoints};
use super::examples::Examples;
use super::failure::{failed, failure, json};
use super::passes::{Passes, Sights};
use super::policy::{
    Policy, Resident, TRAINER, TrainerState, hand_on, with_looked_up, write_metrics,
};
use super::prompts::Prompts;
use super::stop;
use crate::base::Seed;
use crate::engine::{
    self, Curve, Device, Model, Optimizer, OptimizerSettings, Pixels, Schedule, backward,
    backward_recomputing, pack,
};
use crate::event::Unit;
use crate::plan::{Port, Train};
use crate::recipe::{OptimizerKind, Part, Rates, ScheduleKind};
use crate::run::{Context, Stop};
use crate::store::Artifact;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Points of the loss curve that are kept for figures.
const CURVE_POINTS: usize = 200;
/// Steps that the first and the last loss are means of, for one step's loss is mostly chance.
const LOSS_WINDOW: usize = 10;

/// What is known besides the tensors of a checkpoint.
#[derive(Default, Serialize, Deserialize)]
struct Position {
    /// Steps of this stage that are done.
    step: u64,
    /// The loss of each.
    losses: Vec<f64>,
    /// Tokens learned from, image and prompt included.
    tokens: u64,
    /// Pictures seen without the vision tower.
    #[serde(default)]
    looked_up: u64,
}

pub(super) fn run(
    options: &Train,
    (resident, prompts, device): (&mut Resident, &mut Prompts, Device),
    context: &Context<'_>,
) -> Result<(), Stop> {
    // What was explored with goes first: two models at a time need not fit.
    resident.let_go();
    let before = TrainerState::of(context.input(Port::Policy)?)?;
    let policy = to_train(options, (prompts, device), context)?;
    let mut optimizer = Optimizer::with_rates(
        policy.model.trainable(),
        optimizer_settings(options),
        Model::is_block_matrix,
        |name| rate(options.rates.as_ref()?, part_of(name)),
    );
    if let Some(artifact) = context.optional_input(Port::Optimizer) {
        let bytes = artifact.read("optimizer.safetensors")?;
        optimizer.restore(&bytes, "optimizer.safetensors").map_err(failed)?;
    }
    let examples = Examples::read(options, &policy, prompts, context)?;
    if examples.long > 0 {
        context.note(format!("{} examples are longer than allowed: left out", examples.long));
    }
    if examples.unreadable > 0 {
        let count = examples.unreadable;
        context.note(format!("{count} responses hold a placeholder of an image: left out"));
    }
    let iterations = steps_of_iterations(context)?;
    let total = total_steps(options, examples.len() as u64, iterations, context)?;
    if total == 0
        && let Some(last) = last_of_another_start(context)?
    {
        let state = hand_on(last, context)?;
        return write_metrics(context, &metrics(&Position::default(), &state, &examples, None));
    }
    let mut position: Position =
        checkpoint::restore(policy.model.trainable(), &mut optimizer, context).unwrap_or_default();
    let inherited = optimizer.steps() - position.step;
    let curve = schedule(options, total);
    let seed = Seed(options.seed);
    let steps_a_pass = steps_a_pass(options, examples.len() as u64);
    let mut passes = Passes::new(options.batch_size as usize, steps_a_pass);
    let mut checkpoints = Checkpoints::new(total, context);
    while position.step < total {
        let draw = (seed, passes.pass(position.step), position.step);
        let (batch, sights) = passes.batch(
            position.step,
            |pass| examples.order(seed, pass),
            |to_come| examples.sights(&policy, to_come, context),
        );
        let (loss, tokens) = gradients(&policy, &examples, (batch, sights), draw, options)?;
        let factor = curve.factor(inherited + position.step);
        let norm = optimizer.step(factor);
        if !(loss.is_finite() && norm.is_finite()) {
            return Err(diverged(loss, norm, &position, options, factor, &examples.ids(batch)));
        }
        position.step += 1;
        position.losses.push(loss);
        position.tokens += tokens;
        position.looked_up += policy.model.looked_up();
        context.progress(position.step, total, Unit::Steps, &[("loss", loss)]);
        let trained = (policy.model.trainable(), &optimizer);
        checkpoints.after(position.step, trained, &position, context)?;
    }
    let state = TrainerState {
        step: before.step + total,
        steps_of_iterations: iterations + total,
        steps_of_stage: total,
    };
    policy.write(context.results())?;
    context.results().write_parts("optimizer.safetensors", |sink| optimizer.write(sink))?;
    context.results().write(TRAINER, &json(&state))?;
    let rate = curve.factor((inherited + total).saturating_sub(1)) * options.learning_rate;
    let metrics = metrics(&position, &state, &examples, Some(rate));
    write_metrics(context, &with_looked_up(metrics, position.looked_up, context))?;
    resident.keep(context.key(), options.dtype, policy);
    Ok(())
}

/// Gradients of the mean loss over the response tokens of a batch, computed a micro-batch at a
/// time; gives the loss and how many tokens were read.
fn gradients(
    policy: &Policy,
    examples: &Examples,
    (batch, sights): (&[usize], &mut Sights),
    (seed, pass, step): (Seed, u64, u64),
    options: &Train,
) -> Result<(f64, u64), Stop> {
    let at_once = match options.micro_batch_size {
        0 => batch.len(),
        size => size as usize,
    };
    let backward = if options.gradient_checkpointing { backward_recomputing } else { backward };
    let dropout = seed.named("dropout").nth(step);
    let weight = examples.learned(batch, (seed, pass)) as f64;
    let (mut loss, mut tokens) = (0.0, 0);
    // The pictures of one micro-batch are in memory at a time, and those that are made ahead.
    for (index, indices) in (0..).zip(batch.chunks(at_once)) {
        let pixels: Vec<Pixels> = sights.by_ref().take(indices.len()).collect::<Result<_, _>>()?;
        let sequences = examples.sequences(indices, &pixels, (seed, pass));
        let model = &policy.model;
        let pack = pack(model, &sequences).map_err(failed)?;
        loss += model.while_dropping(dropout.nth(index), || backward(model, &pack, weight));
        tokens += pack.tokens() as u64;
    }
    Ok((loss, tokens))
}

/// The policy with what is trained of it free and the rest frozen.
fn to_train(
    options: &Train,
    (prompts, device): (&mut Prompts, Device),
    context: &Context<'_>,
) -> Result<Policy, Stop> {
    let artifact = context.input(Port::Policy)?;
    let seed = Seed(options.seed).named("adapters");
    let fresh = options.lora.as_ref().map(|lora| (lora, seed));
    let mut policy = Policy::load_adapted(artifact, options.dtype, device, fresh)?;
    policy.look_up(options.dtype, prompts, context)?;
    if options.lora.is_none() {
        let parts = &options.parts;
        policy.model.parameters().train_only(|name| parts.contains(&part_of(name)));
    }
    Ok(policy)
}

/// The learning rate of a part, if it has one of its own.
fn rate(rates: &Rates, part: Part) -> Option<f64> {
    match part {
        Part::Vision => rates.vision,
        Part::Projector => rates.projector,
        Part::Language => rates.language,
    }
}

fn diverged(
    loss: f64,
    norm: f64,
    position: &Position,
    options: &Train,
    factor: f64,
    prompts: &[u64],
) -> Stop {
    let what = if loss.is_finite() { "gradient" } else { "loss" };
    let value = if loss.is_finite() { norm } else { loss };
    let shown: Vec<String> = prompts.iter().take(8).map(u64::to_string).collect();
    failure(
        format!(
            "the {what} is {value} at step {} (batch of {}: prompts {}{}; learning rate {:e})",
            position.step + 1,
            prompts.len(),
            shown.join(", "),
            if prompts.len() > 8 { ", …" } else { "" },
            options.learning_rate * factor,
        ),
        "lower `training.learning_rate` or set `training.optimizer.clip`; the last checkpoint before \
         this step is kept",
    )
}

fn steps_a_pass(options: &Train, examples: u64) -> u64 {
    // What does not fill a batch is left to the next pass, whose order is another.
    (examples / u64::from(options.batch_size)).max(1)
}

fn total_steps(
    options: &Train,
    examples: u64,
    iterations: u64,
    context: &Context<'_>,
) -> Result<u64, Stop> {
    if examples == 0 {
        if !options.allow_empty {
            return Err(nothing_to_train_on(context)?);
        }
        context.note("there is nothing to train on: the policy stays as it is");
        return Ok(0);
    }
    let total = match context.optional_input(Port::StepsOf) {
        Some(artifact) => TrainerState::of(artifact)?.steps_of_stage,
        None if options.steps > 0 => options.steps,
        None => steps_a_pass(options, examples) * u64::from(options.epochs),
    };
    if options.steps_cap == 0 {
        return Ok(total);
    }
    let left = options.steps_cap.saturating_sub(iterations);
    if total > left && last_of_another_start(context)?.is_some() {
        context.note(format!(
            "{left} of {total} steps are left of `training.steps` = {}, too few to start over: the \
             policy stays as it is",
            options.steps_cap
        ));
        return Ok(0);
    }
    if total > left {
        context.note(format!(
            "{left} of {total} steps: `training.steps` = {} is reached",
            options.steps_cap
        ));
    }
    Ok(total.min(left))
}

/// How it came that there is nothing, and what may be changed.
fn nothing_to_train_on(context: &Context<'_>) -> Result<Stop, Stop> {
    let Some(selected) = context.optional_input(Port::Selected) else {
        return Ok(failure(
            "there is nothing to train on",
            "take more prompts (`data.prompts`, `data.labelled`) or longer ones \
             (`training.max_length`)",
        ));
    };
    let metrics = stop::metrics(selected)?;
    let count = |name: &str| metrics[name].as_u64().unwrap_or(0);
    Ok(failure(
        format!(
            "there is nothing to train on: of {} responses {} were right, {} were kept",
            count("rollouts"),
            count("correct"),
            count("kept"),
        ),
        "draw more (`exploration.samples`, `warmup.samples`), loosen `reward.select`, allow longer \
         sequences (`training.max_length`), or let the policy stay as it is with \
         `training.allow_empty = true`",
    ))
}

/// The policy of the iteration before, where this one starts over from an earlier one: what stays when
/// there is nothing to do.
fn last_of_another_start<'c>(context: &'c Context<'_>) -> Result<Option<&'c Artifact>, Stop> {
    let from = context.input(Port::Policy)?.key();
    Ok(context.optional_input(Port::After).filter(|last| last.key() != from))
}

/// Steps of the iterations before this one.
fn steps_of_iterations(context: &Context<'_>) -> Result<u64, Stop> {
    match context.optional_input(Port::After) {
        Some(artifact) => Ok(TrainerState::of(artifact)?.steps_of_iterations),
        None => Ok(0),
    }
}

/// The recipe's word for the part that a parameter belongs to.
pub(super) fn part_of(name: &str) -> Part {
    match Model::part(name) {
        engine::Part::Vision => Part::Vision,
        engine::Part::Projector => Part::Projector,
        engine::Part::Language => Part::Language,
    }
}

fn optimizer_settings(options: &Train) -> OptimizerSettings {
    let optimizer = &options.optimizer;
    OptimizerSettings {
        learning_rate: options.learning_rate,
        muon_learning_rate: (optimizer.kind == OptimizerKind::Muon)
            .then_some(optimizer.muon_learning_rate),
        betas: (optimizer.beta1, optimizer.beta2),
        eps: 1e-8,
        weight_decay: optimizer.weight_decay,
        clip: if optimizer.clip == 0.0 { f64::INFINITY } else { optimizer.clip },
    }
}

fn schedule(options: &Train, total: u64) -> Schedule {
    let schedule = &options.schedule;
    Schedule {
        curve: match schedule.kind {
            ScheduleKind::Constant => Curve::Constant,
            ScheduleKind::Linear => Curve::Linear,
            ScheduleKind::Cosine => Curve::Cosine,
        },
        warmup: schedule.warmup_steps,
        to: schedule.to,
        over: if schedule.over == 0 { total } else { schedule.over },
    }
}

fn metrics(
    position: &Position,
    state: &TrainerState,
    examples: &Examples,
    learning_rate: Option<f64>,
) -> serde_json::Value {
    let losses = &position.losses;
    let mean = |window: &[f64]| match window.len() {
        0 => None,
        count => Some(window.iter().sum::<f64>() / count as f64),
    };
    let window = LOSS_WINDOW.min(losses.len());
    let stride = losses.len().div_ceil(CURVE_POINTS).max(1);
    let first = state.step - losses.len() as u64;
    let curve: Vec<(u64, f64)> = losses
        .chunks(stride)
        .enumerate()
        .filter_map(|(index, chunk)| Some((first + (index * stride + 1) as u64, mean(chunk)?)))
        .collect();
    json!({
        "steps": losses.len(),
        "step": state.step,
        "samples": examples.len(),
        "tokens": position.tokens,
        "loss_first": mean(&losses[..window]),
        "loss_last": mean(&losses[losses.len() - window..]),
        "losses": curve,
        "learning_rate_last": learning_rate,
        "dropped_long": examples.long,
        "dropped_unreadable": examples.unreadable,
    })
}
