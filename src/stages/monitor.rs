//! `monitor`: what sampling finds on the validation prompts, at one temperature or several, and what
//! verifiers make of it.
//!
//! Every temperature has noise of its own, the same after every iteration, so that curves are paired;
//! that of the first is the option's seed itself, whatever temperatures stand beside it. Intervals
//! are of the bootstrap over prompts, by the same draws of prompts for all.

use super::failure::failed;
use super::hooks::Hooks;
use super::policy::{Policy, Resident, TrainerState, write_metrics};
use super::prompts::{Prompts, Sample};
use super::rollout::{Draw, respond_within};
use super::verifier::Verifier;
use crate::base::Seed;
use crate::data::table::{self, ResponseScores, Rollout, TableError, TallyRow};
use crate::engine::Device;
use crate::event::Unit;
use crate::plan::{Drawn, Monitor, Port, Slice};
use crate::rewards::{
    Bootstrap, Interval, Objective, SELECTED_ABOVE, Sampled, Subsets, Tally, Verified, mean, verify,
};
use crate::run::{Context, Stop};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub(super) fn run(
    options: &Monitor,
    (resident, prompts, device): (&mut Resident, &mut Prompts, Device),
    context: &Context<'_>,
) -> Result<(), Stop> {
    let artifact = context.input(Port::Policy)?;
    let step = TrainerState::of(artifact)?.step;
    let policy = resident.policy(context, options.dtype, (prompts, device))?;
    let split = if options.slice.is_some() { "train" } else { "validation" };
    let all = prompts.samples(context, split)?;
    let most = if options.prompts == 0 { usize::MAX } else { options.prompts as usize };
    let samples: Vec<&Sample> = match options.slice {
        None => all.iter().take(most).collect(),
        Some(Slice { from, count, labelled }) => {
            let places = (from..from + count).map(|at| (at % labelled.max(1)) as usize);
            places.take(most).filter_map(|place| all.get(place)).collect()
        }
    };
    let draws = options.draws();
    let mut rollouts = Vec::new();
    for place in 0..draws.len() {
        rollouts.extend(drawn(options, policy, &samples, (&draws, place), context)?);
    }
    context.results().write("rollouts.parquet", &table::encode(&rollouts).map_err(failed)?)?;

    // Draws that a killed attempt has kept count as well.
    let each = policy.stored_pictures(samples.iter().map(|sample| sample.id));
    let drawn = each.map(|each| each * draws.len() as u64);
    let (scores, read) = scores(options, (&rollouts, &all), (prompts, device), context)?;
    let each = rollouts.len() / draws.len();
    let bootstrap = Bootstrap::new(samples.len(), Seed(options.seed).named("bootstrap"));
    let (mut rows, mut measured) = (Vec::new(), Vec::new());
    for (place, &Drawn { temperature, .. }) in draws.iter().enumerate() {
        let here = place * each..(place + 1) * each;
        let scores = scores.as_ref().map(|scores| &scores[here.clone()]);
        let tallies = tallies(&rollouts[here.clone()], scores);
        let mut metrics = metrics(options, temperature, &tallies, &bootstrap);
        if let (true, Some(scores)) = (options.verifiers, scores) {
            let verified = verified(options, (&rollouts[here], scores), &bootstrap);
            metrics.insert("verifiers".to_owned(), verified);
        }
        measured.push(metrics);
        let row = |(prompt, tally): (&u64, &Tally)| row(temperature, *prompt, *tally);
        rows.extend(tallies.iter().map(row));
    }
    context.results().write("tallies.parquet", &table::encode(&rows).map_err(failed)?)?;
    let mut metrics = measured[0].clone();
    let whole = [
        ("split", json!(split)),
        ("step", json!(step)),
        ("k", json!(options.samples)),
        ("samples", json!(rollouts.len())),
        ("count", json!(samples.len())),
        ("temperatures", Value::from(measured)),
    ];
    metrics.extend(whole.map(|(name, value)| (name.to_owned(), value)));
    metrics.extend(drawn.map(|drawn| ("looked_up".to_owned(), json!(drawn + read))));
    write_metrics(context, &metrics)
}

/// Draws at one of the temperatures, or takes up what a killed attempt had drawn.
fn drawn(
    options: &Monitor,
    policy: &Policy,
    samples: &[&Sample],
    (draws, place): (&[Drawn], usize),
    context: &Context<'_>,
) -> Result<Vec<Rollout>, Stop> {
    let Drawn { temperature, top_p, top_k, min_p } = draws[place];
    let name = format!("temperature-{place:03}.parquet");
    let before: Option<Result<Vec<Rollout>, TableError>> =
        context.work().read(&name)?.map(|bytes| table::decode(&bytes));
    if let Some(Ok(rollouts)) = before {
        return Ok(rollouts);
    }
    let seed = Seed(options.seed);
    // An exploration takes over what it would draw itself, so that its noise is that of all.
    let is_first = temperature == draws[0].temperature || options.slice.is_some();
    let draw = Draw {
        samples: options.samples,
        temperature,
        top_p,
        top_k,
        min_p,
        seed: if is_first { seed } else { seed.nth((temperature + 0.0).to_bits()) },
        ..Draw::greedy(options.max_new_tokens)
    };
    let mut progress = |done: u64, of: u64| {
        let (done, of) = (done + of * place as u64, of * draws.len() as u64);
        context.progress(done, of, Unit::Samples, &[("temperature", temperature)]);
    };
    let rollouts = respond_within(policy, samples, &draw, &mut progress, context)?;
    if draws.len() > 1 {
        context.work().write(&name, &table::encode(&rollouts).map_err(failed)?)?;
    }
    Ok(rollouts)
}

/// How the reward model or the script scores each rollout, `None` without either; and how many
/// pictures the reward model saw without its vision tower.
fn scores(
    options: &Monitor,
    (rollouts, samples): (&[Rollout], &[Sample]),
    (prompts, device): (&mut Prompts, Device),
    context: &Context<'_>,
) -> Result<(Option<Vec<f64>>, u64), Stop> {
    let (scores, read) = match (&options.score, context.optional_input(Port::RewardModel)) {
        (Some(score), Some(artifact)) => {
            let verifier = Verifier::load(artifact, options.dtype, (prompts, device), context)?;
            let scores = verifier.score(rollouts, samples, score, context)?;
            (scores, verifier.policy.model.looked_up())
        }
        _ => match Hooks::of(context)?.ranks(rollouts, samples)? {
            Some(ranks) if options.keep_scores => (ranked(rollouts, &ranks), 0),
            ranks => return Ok((ranks, 0)),
        },
    };
    if options.keep_scores {
        let bytes = table::encode(&scores).map_err(failed)?;
        context.results().write("scores.parquet", &bytes)?;
    }
    Ok((Some(scores.into_iter().map(|it| f64::from(it.score)).collect()), read))
}

/// Scores of a script, which sees no steps, as they are kept: what is measured goes by them as well,
/// so that whoever reads them finds the same.
fn ranked(rollouts: &[Rollout], ranks: &[f64]) -> Vec<ResponseScores> {
    let row = |(rollout, &rank): (&Rollout, &f64)| {
        let Rollout { prompt, sample, .. } = *rollout;
        ResponseScores { prompt, sample, steps: Vec::new(), score: rank as f32 }
    };
    rollouts.iter().zip(ranks).map(row).collect()
}

/// What the responses at one temperature come to, by prompt.
fn tallies(rollouts: &[Rollout], scores: Option<&[f64]>) -> BTreeMap<u64, Tally> {
    let mut responses: BTreeMap<u64, Vec<(bool, Option<f64>)>> = BTreeMap::new();
    for (place, rollout) in rollouts.iter().enumerate() {
        let score = scores.map(|scores| scores[place]);
        responses.entry(rollout.prompt).or_default().push((rollout.correct, score));
    }
    responses
        .into_iter()
        .map(|(prompt, responses)| (prompt, Tally::of(&responses, SELECTED_ABOVE)))
        .collect()
}

fn row(temperature: f64, prompt: u64, tally: Tally) -> TallyRow {
    let Tally { samples, right, rank, selected, selected_right } = tally;
    let temperature = temperature as f32;
    TallyRow { temperature, prompt, samples, right, rank, selected, selected_right }
}

/// Means over prompts with their intervals, at one temperature.
fn metrics(
    options: &Monitor,
    temperature: f64,
    tallies: &BTreeMap<u64, Tally>,
    bootstrap: &Bootstrap,
) -> Map<String, Value> {
    let every_k = every_k(options.samples);
    let mean_of = |objective: Objective| {
        let values: Vec<f64> = tallies.values().filter_map(|tally| objective.of(tally)).collect();
        let interval = bootstrap.interval(&values);
        (json!(mean(values)), json!(interval.map(|Interval { low, high }| [low, high])))
    };
    let by_k = |objective: fn(u32) -> Objective| {
        let measured = every_k.iter().map(|&k| {
            let (value, interval) = mean_of(objective(k));
            ((k.to_string(), value), (k.to_string(), interval))
        });
        let (means, intervals): (Map<String, Value>, Map<String, Value>) = measured.unzip();
        (Value::from(means), Value::from(intervals))
    };
    let mut metrics = Map::from_iter([("temperature".to_owned(), json!(temperature))]);
    let mut add = |name: &str, (value, interval)| {
        metrics.insert(name.to_owned(), value);
        metrics.insert(format!("{name}_interval"), interval);
    };
    add("mean", mean_of(Objective::Pass(1)));
    add("pass", by_k(Objective::Pass));
    if tallies.values().any(|tally| tally.rank.is_some()) {
        add("reward_pass", by_k(Objective::RewardPass));
    }
    metrics
}

/// 1, 2, 4, … and all samples.
fn every_k(samples: u32) -> Vec<u32> {
    let powers = (0..).map(|power| 1 << power).take_while(|k| *k < samples);
    powers.chain([samples]).collect()
}

/// What verifiers make of so many responses, with intervals: by verifier, then by N.
fn verified(
    options: &Monitor,
    (rollouts, scores): (&[Rollout], &[f64]),
    bootstrap: &Bootstrap,
) -> Value {
    let mut prompts: BTreeMap<u64, Vec<Sampled>> = BTreeMap::new();
    for (rollout, &score) in rollouts.iter().zip(scores) {
        let Rollout { extracted, correct, .. } = rollout;
        let response = Sampled { answer: extracted.clone(), correct: *correct, score };
        prompts.entry(rollout.prompt).or_default().push(response);
    }
    let seed = Seed(options.seed).named("verifiers");
    let mut told: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for n in every_k(options.samples) {
        let size = n as usize;
        let subsets = Subsets::new(options.samples as usize, size, seed.nth(u64::from(n)));
        let verified: Vec<Verified> =
            prompts.values().filter_map(|of| verify(of, size, &subsets)).collect();
        let of = |way: fn(&Verified) -> f64| verified.iter().map(way).collect::<Vec<f64>>();
        for (name, values) in [
            ("best_of_n", of(|it| it.best_of_n)),
            ("majority", of(|it| it.majority)),
            ("weighted", of(|it| it.weighted)),
        ] {
            let interval = bootstrap.interval(&values).map(|it| [it.low, it.high]);
            let value = json!({ "value": mean(values), "interval": interval });
            told.entry(name).or_default().insert(n.to_string(), value);
        }
    }
    json!(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::table::Finish;
    use crate::recipe::Dtype;

    fn options(samples: u32) -> Monitor {
        Monitor {
            samples,
            temperature: 1.0,
            max_new_tokens: 8,
            temperatures: Vec::new(),
            draws: Vec::new(),
            slice: None,
            prompts: 0,
            score: None,
            keep_scores: false,
            verifiers: false,
            dtype: Dtype::Fp32,
            hooks: None,
            seed: 0,
        }
    }

    fn rollout(prompt: u64, sample: u32, correct: bool) -> Rollout {
        Rollout {
            prompt,
            sample,
            category: "FQA".into(),
            response: "answer 1".into(),
            tokens: vec![1],
            finish: Finish::Stop,
            extracted: None,
            gold: None,
            correct,
            temperature: 1.0,
            kept: None,
        }
    }

    /// Two prompts, three samples: the first is right once, the second never.
    fn rollouts() -> Vec<Rollout> {
        let right = [(7, 1)];
        let places = [7, 9].into_iter().flat_map(|prompt| (0..3).map(move |at| (prompt, at)));
        places.map(|at| rollout(at.0, at.1, right.contains(&at))).collect()
    }

    fn measured(scores: Option<&[f64]>) -> Map<String, Value> {
        let bootstrap = Bootstrap::new(2, Seed(0));
        metrics(&options(3), 1.0, &tallies(&rollouts(), scores), &bootstrap)
    }

    #[test]
    fn pass_is_measured_at_powers_of_two_and_at_all_samples() {
        let metrics = measured(None);
        let pass = metrics["pass"].as_object().unwrap();
        let third = 1.0 / 3.0 / 2.0;
        assert_eq!(pass.keys().collect::<Vec<_>>(), ["1", "2", "3"]);
        assert!((pass["1"].as_f64().unwrap() - third).abs() < 1e-12);
        assert_eq!((&pass["3"], &metrics["pass_interval"]["3"]), (&json!(0.5), &json!([0.0, 1.0])));
        assert_eq!(metrics["mean"], pass["1"]);
        assert!(!metrics.contains_key("reward_pass"));
    }

    #[test]
    fn reward_pass_looks_for_the_right_response_among_the_best_by_score() {
        let metrics = measured(Some(&[0.9, 0.5, 0.1, 0.9, 0.5, 0.1]));
        assert_eq!(metrics["reward_pass"], json!({"1": 0.0, "2": 0.5, "3": 0.5}));
        let metrics = measured(Some(&[0.1, 0.5, 0.2, 0.9, 0.5, 0.1]));
        assert_eq!(metrics["reward_pass"]["1"], 0.5);
        assert_eq!(metrics["reward_pass_interval"]["1"], json!([0.0, 1.0]));
    }
}
