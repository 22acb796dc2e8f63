//! `train-reward`: binary cross-entropy of a scalar head at the ends of steps, or of responses.
//!
//! A part of the prompts is held out; what is said of the reward model is measured on those. Left
//! out: the exact step checker, but for one number of the report, how well scores tell right from
//! wrong reasoning among right answers. It is never trained on.

use super::checkpoint::{self, Checkpoints};
use super::failure::{failed, failure};
use super::measure::by_prompt;
use super::passes::{Passes, Sights};
use super::policy::{Policy, Resident, with_looked_up, write_metrics};
use super::prompts::{Prompts, Sample};
use super::train::part_of;
use super::verifier::{Response, Verifier, by_id, sample_of};
use crate::base::Seed;
use crate::data::table::{self, Rollout, StepLabel};
use crate::data::{Reference, mini_vista};
use crate::engine::{
    Continued, Curve, Device, Model, Optimizer, OptimizerSettings, Pixels, Reading, ReadingPack,
    RewardHead, Schedule, Target,
};
use crate::event::Unit;
use crate::plan::{Port, Scored, TrainReward};
use crate::recipe::RewardTargets;
use crate::rewards::{Aggregation, Judged, auc, auc_interval, auc_within, reliability, roc};
use crate::run::{Context, Stop};
use rand::seq::SliceRandom as _;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Points of the receiver operating characteristic that are kept for the figure.
const ROC_POINTS: usize = 50;
/// Bins of the reliability curve.
const BINS: usize = 10;
/// Steps that the first and the last loss are means of.
const LOSS_WINDOW: usize = 10;

/// A response with what its places are trained towards.
struct Example<'a> {
    rollout: &'a Rollout,
    prompt: Vec<i64>,
    response: Response<'a>,
    /// How good each place is, 0 to 1.
    truths: Vec<f64>,
}

/// What is known besides the tensors of a checkpoint.
#[derive(Default, Serialize, Deserialize)]
struct Position {
    /// Steps that are done.
    step: u64,
    /// The loss of each.
    losses: Vec<f64>,
    /// Pictures seen without the vision tower.
    #[serde(default)]
    looked_up: u64,
}

pub(super) fn run(
    options: &TrainReward,
    (resident, prompts, device): (&mut Resident, &mut Prompts, Device),
    context: &Context<'_>,
) -> Result<(), Stop> {
    resident.let_go();
    let mut policy = Policy::load(context.input(Port::Policy)?, options.dtype, device)?;
    policy.model.merge();
    policy.look_up(options.dtype, prompts, context)?;
    let parts = &options.parts;
    policy.model.parameters().train_only(|name| parts.contains(&part_of(name)));
    let seed = Seed(options.seed);
    let head = RewardHead::fresh(&policy.model, seed.named("head"));
    let verifier = Verifier { policy, head, scored: options.scored };

    let samples = prompts.samples(context, "train")?;
    let bytes = context.input(Port::Rollouts)?.read("rollouts.parquet")?;
    let rollouts: Vec<Rollout> = table::decode(&bytes).map_err(failed)?;
    let examples = examples(&verifier, &rollouts, &by_id(&samples), options, context)?;
    let apart = held_out(&examples, options.held_out, seed);
    let (held, learned): (Vec<Example<'_>>, Vec<Example<'_>>) =
        examples.into_iter().partition(|it| apart.contains(&it.rollout.prompt));
    if learned.is_empty() {
        let hint = "explore more prompts for it: raise `reward.training.prompts` or `labels`";
        return Err(failure("there is nothing to train a reward model on", hint));
    }
    let Position { losses, looked_up, .. } = train(&verifier, &learned, options, context)?;
    let references = prompts.references(context, "train")?;
    let mut metrics = measure(&verifier, &held, &by_prompt(&references), seed, context)?;
    let mean = |window: &[f64]| window.iter().sum::<f64>() / window.len() as f64;
    let window = LOSS_WINDOW.min(losses.len());
    metrics.insert("scored".into(), json!(options.scored));
    metrics.insert("samples".into(), json!(learned.len()));
    metrics.insert("labels".into(), json!(places(&learned)));
    metrics.insert("held_out".into(), json!(held.len()));
    metrics.insert("held_out_prompts".into(), json!(apart.len()));
    metrics.insert("held_out_labels".into(), json!(places(&held)));
    metrics.insert("steps".into(), json!(losses.len()));
    metrics.insert("loss_first".into(), json!(mean(&losses[..window])));
    metrics.insert("loss_last".into(), json!(mean(&losses[losses.len() - window..])));
    verifier.write(context.results())?;
    let looked_up = looked_up + verifier.policy.model.looked_up();
    write_metrics(context, &with_looked_up(metrics, looked_up, context))
}

fn places<'a>(examples: impl IntoIterator<Item = &'a Example<'a>>) -> usize {
    examples.into_iter().map(|example| example.response.ends.len()).sum()
}

/// What can be learned from: labelled responses, or all of them where only the outcome counts.
fn examples<'a>(
    verifier: &Verifier,
    rollouts: &'a [Rollout],
    samples: &BTreeMap<u64, &'a Sample>,
    options: &TrainReward,
    context: &Context<'_>,
) -> Result<Vec<Example<'a>>, Stop> {
    let longest = (options.max_length as usize).min(verifier.policy.model.positions());
    let mut labels = labels_by_response(options, context)?;
    let mut examples = Vec::new();
    for rollout in rollouts.iter().filter(|it| verifier.policy.can_read(&it.tokens)) {
        let (ends, truths) = match options.scored {
            Scored::Outcome => {
                (vec![rollout.tokens.len()], vec![f64::from(u8::from(rollout.correct))])
            }
            Scored::Process => match labels.remove(&(rollout.prompt, rollout.sample)) {
                Some(labels) => labels,
                None => continue,
            },
        };
        let sample = sample_of(samples, rollout.prompt)?;
        let response = Response { sample, drawn: &rollout.tokens, ends };
        examples.push(Example { rollout, prompt: Vec::new(), response, truths });
    }
    let asked = examples.iter().map(|it| it.response.sample);
    let prompts = verifier.policy.question_tokens(asked, context)?;
    let all = examples.len();
    examples.iter_mut().for_each(|it| it.prompt.clone_from(&prompts[&it.rollout.prompt]));
    examples.retain(|it| it.prompt.len() + it.response.drawn.len() <= longest);
    let dropped = all - examples.len();
    if dropped > 0 {
        context.note(format!("{dropped} responses are longer than allowed: left out"));
    }
    Ok(examples)
}

/// Ends and truths of the steps of each labelled response.
type Labels = BTreeMap<(u64, u32), (Vec<usize>, Vec<f64>)>;

fn labels_by_response(options: &TrainReward, context: &Context<'_>) -> Result<Labels, Stop> {
    let mut by_response = Labels::new();
    let Some(artifact) = context.optional_input(Port::Labels) else { return Ok(by_response) };
    let labels: Vec<StepLabel> =
        table::decode(&artifact.read("labels.parquet")?).map_err(failed)?;
    for label in labels {
        let truth = match options.targets {
            RewardTargets::Soft => label.share(),
            RewardTargets::Hard => f64::from(u8::from(label.right > 0)),
        };
        let (ends, truths) = by_response.entry((label.prompt, label.sample)).or_default();
        ends.push(label.end as usize);
        truths.push(truth);
    }
    Ok(by_response)
}

/// Prompts that are kept apart: some of them, but never all.
fn held_out(examples: &[Example<'_>], share: f64, seed: Seed) -> BTreeSet<u64> {
    let distinct: BTreeSet<u64> = examples.iter().map(|it| it.rollout.prompt).collect();
    let mut prompts: Vec<u64> = distinct.into_iter().collect();
    prompts.shuffle(&mut seed.named("held out").generator());
    let count = (prompts.len() as f64 * share).ceil() as usize;
    prompts.truncate(count.min(prompts.len().saturating_sub(1)));
    prompts.into_iter().collect()
}

/// The weights of good and bad outcomes: alike, or so that both count as much in all.
fn class_weights(examples: &[Example<'_>], balance: bool) -> (f64, f64) {
    let all = places(examples) as f64;
    let good: f64 = examples.iter().flat_map(|example| &example.truths).sum();
    match balance && good > 0.0 && good < all {
        true => (all / (2.0 * good), all / (2.0 * (all - good))),
        false => (1.0, 1.0),
    }
}

/// Trains head and parts; gives what is known of the last step.
fn train(
    verifier: &Verifier,
    examples: &[Example<'_>],
    options: &TrainReward,
    context: &Context<'_>,
) -> Result<Position, Stop> {
    let parameters = verifier.policy.model.parameters().joined(verifier.head.parameters());
    let settings = OptimizerSettings::adamw(options.learning_rate);
    let mut optimizer = Optimizer::new(&parameters, settings, |_| false);
    let mut position: Position =
        checkpoint::restore(&parameters, &mut optimizer, context).unwrap_or_default();
    let batch_size = options.batch_size as usize;
    let at_once = match options.micro_batch_size {
        0 => batch_size,
        size => size as usize,
    };
    // What does not fill a batch is left to the next pass, whose order is another.
    let steps_a_pass = (examples.len() / batch_size).max(1) as u64;
    let total = steps_a_pass * u64::from(options.epochs);
    let curve = Schedule { curve: Curve::Linear, warmup: 0, to: 0.0, over: total };
    let weights = class_weights(examples, options.balance);
    let seed = Seed(options.seed).named("order");
    let mut passes = Passes::new(batch_size, steps_a_pass);
    let mut checkpoints = Checkpoints::new(total, context);
    while position.step < total {
        let (batch, sights) = passes.batch(
            position.step,
            |pass| shuffled(examples.len(), seed.nth(pass)),
            |to_come| sights(verifier, to_come.iter().map(|&at| &examples[at]), context),
        );
        let batch: Vec<&Example<'_>> = batch.iter().map(|&at| &examples[at]).collect();
        let loss = gradients(verifier, (&batch, sights), weights, at_once)?;
        let norm = optimizer.step(curve.factor(position.step));
        if !(loss.is_finite() && norm.is_finite()) {
            let reason = format!("the loss of the reward model is {loss}, its gradient {norm}");
            return Err(failure(reason, "lower `reward.training.learning_rate`"));
        }
        position.step += 1;
        position.losses.push(loss);
        position.looked_up += verifier.policy.model.looked_up();
        context.progress(position.step, total, Unit::Steps, &[("loss", loss)]);
        checkpoints.after(position.step, (&parameters, &optimizer), &position, context)?;
    }
    Ok(position)
}

fn shuffled(count: usize, seed: Seed) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(&mut seed.generator());
    order
}

/// Gradients of the mean loss over the places of a batch, computed `at_once` responses at a time.
fn gradients(
    verifier: &Verifier,
    (batch, sights): (&[&Example<'_>], &mut Sights),
    (good, bad): (f64, f64),
    at_once: usize,
) -> Result<f64, Stop> {
    let model = &verifier.policy.model;
    let target =
        |&truth: &f64| Target { good: (good * truth) as f32, bad: (bad * (1.0 - truth)) as f32 };
    let count = places(batch.iter().copied()) as f64;
    let mut loss = 0.0;
    for batch in batch.chunks(at_once) {
        let pixels: Vec<Pixels> = sights.by_ref().take(batch.len()).collect::<Result<_, _>>()?;
        let truths = batch.iter().flat_map(|example| &example.truths);
        let targets: Vec<Target> = truths.map(target).collect();
        loss += verifier.head.backward(model, &pack(model, batch, &pixels)?, &targets, count);
    }
    Ok(loss)
}

/// What is seen of examples, in their order.
fn sights<'a>(
    verifier: &Verifier,
    examples: impl Iterator<Item = &'a Example<'a>>,
    context: &Context<'_>,
) -> Sights {
    let samples = examples.map(|example| example.response.sample.clone());
    verifier.policy.sights(samples.collect(), context)
}

fn pack(model: &Model, batch: &[&Example<'_>], pixels: &[Pixels]) -> Result<ReadingPack, Stop> {
    let tokens: Vec<Vec<i64>> = batch.iter().map(|example| example.response.tokens()).collect();
    let mut readings = Vec::with_capacity(batch.len());
    for ((example, pixels), tokens) in batch.iter().zip(pixels).zip(&tokens) {
        let Example { prompt, response, .. } = example;
        let responses = vec![Continued { tokens, ends: &response.ends }];
        readings.push(Reading { prompt, pixels, responses });
    }
    ReadingPack::new(model, &readings).map_err(failed)
}

/// What the reward model is worth on what was held out.
fn measure(
    verifier: &Verifier,
    held: &[Example<'_>],
    references: &BTreeMap<u64, &Reference>,
    seed: Seed,
    context: &Context<'_>,
) -> Result<Map<String, Value>, Stop> {
    let responses: Vec<&Response<'_>> = held.iter().map(|it| &it.response).collect();
    let scores = verifier.scores(&responses, context, &|_| ())?;
    let prompts: BTreeSet<u64> = held.iter().map(|it| it.rollout.prompt).collect();
    let groups: BTreeMap<u64, usize> = prompts.into_iter().zip(0..).collect();
    let group = |example: &Example<'_>| groups[&example.rollout.prompt];

    let mut steps = Vec::new();
    for (example, scores) in held.iter().zip(&scores) {
        let judged = scores.iter().zip(&example.truths);
        steps.extend(judged.map(|(&score, &truth)| Judged {
            score: f64::from(score),
            truth,
            group: group(example),
        }));
    }
    let whole = |is_meant: &dyn Fn(&Example<'_>) -> Option<bool>, way: Aggregation| {
        let judged = held.iter().zip(&scores).filter_map(|(example, scores)| {
            let truth = f64::from(u8::from(is_meant(example)?));
            Some(Judged { score: f64::from(way.of(scores)), truth, group: group(example) })
        });
        judged.collect::<Vec<Judged>>()
    };
    let by_way = |is_meant: &dyn Fn(&Example<'_>) -> Option<bool>| {
        let each =
            Aggregation::ALL.map(|way| (way.name().to_owned(), area(&whole(is_meant, way), seed)));
        Value::Object(each.into_iter().collect())
    };
    let answers = |example: &Example<'_>| Some(example.rollout.correct);
    let reasoning = |example: &Example<'_>| {
        let reference = references.get(&example.rollout.prompt)?;
        let rollout = example.rollout;
        let gold = example.response.sample.answer.as_deref()?;
        let verdict = mini_vista::judge(reference, gold, &rollout.response);
        rollout.correct.then_some(verdict.all)
    };
    let mut metrics = Map::new();
    let mut say = |name: &str, value: Value| metrics.insert(name.to_owned(), value);
    say("places", area(&steps, seed));
    say("roc", json!(roc(&steps, ROC_POINTS)));
    say("reliability", json!(reliability(&steps, BINS)));
    say("answers", by_way(&answers));
    say("reasoning", by_way(&reasoning));
    Ok(metrics)
}

/// The area under the curve with its interval, and of what; beside it that of pairs of the same
/// prompt, where there are any.
fn area(judged: &[Judged], seed: Seed) -> Value {
    let interval = auc_interval(judged, seed).map(|it| [it.low, it.high]);
    let good: f64 = judged.iter().map(|it| it.truth).sum();
    let within = auc_within(judged, seed).map(|it| {
        let interval = it.interval.map(|it| [it.low, it.high]);
        json!({ "auc": it.auc, "interval": interval, "prompts": it.groups })
    });
    json!({
        "auc": auc(judged),
        "interval": interval,
        "count": judged.len(),
        "good": good,
        "within": within,
    })
}
