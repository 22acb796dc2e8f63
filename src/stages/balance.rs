//! `balance`: chooses the temperature of the next explorations from what a search measured.
//!
//! The objective is a number of each prompt, so candidates are compared prompt by prompt; the best one
//! is taken when the 95 % interval of its gain over the temperature in use excludes 0, and else the
//! temperature in use stays. What it is compared with is the candidate nearest to the one in use.

use super::failure::{failed, failure, json};
use crate::base::Seed;
use crate::data::table::{self, TallyRow};
use crate::plan::{Balance, Port};
use crate::recipe::Maximise;
use crate::rewards::{
    Chosen, Interval, Objective, Reason, Tally, Trial, Weighed, choose_temperature,
};
use crate::run::{Context, Stop};
use crate::store::Artifact;
use serde::Deserialize;
use serde_json::{Value, json};

/// File of the choice.
const CHOICE: &str = "temperature.json";

pub(super) fn run(options: &Balance, context: &Context<'_>) -> Result<(), Stop> {
    let before = match context.optional_input(Port::Temperature) {
        Some(artifact) => temperature(artifact)?,
        None => options.initial,
    };
    let bytes = context.input(Port::Search)?.read("tallies.parquet")?;
    let rows: Vec<TallyRow> = table::decode(&bytes).map_err(failed)?;
    let trials = trials(&rows, options.maximise)?;
    let seed = Seed(0).named("balance");
    let chosen = choose_temperature(&trials, before, seed).ok_or_else(|| {
        failure("the search measured nothing to choose from", "keep some with `data.validation`")
    })?;
    let told = told(options.maximise, before, &chosen);
    context.results().write(CHOICE, &json(&told))?;
    Ok(context.results().write("metrics.json", &json(&told))?)
}

/// The temperature that a balance chose.
pub(super) fn temperature(artifact: &Artifact) -> Result<f64, Stop> {
    #[derive(Deserialize)]
    struct Choice {
        temperature: f64,
    }
    let choice: Choice = serde_json::from_slice(&artifact.read(CHOICE)?).map_err(|error| {
        let reason = format!("`{CHOICE}` of {} cannot be read: {error}", artifact.key());
        failure(reason, "it was written by another version of mstar: run again in a new store")
    })?;
    Ok(choice.temperature)
}

/// The objective of each prompt at each temperature, in the order of the table.
fn trials(rows: &[TallyRow], maximise: Maximise) -> Result<Vec<Trial>, Stop> {
    let objective = match maximise {
        Maximise::Pass(k) => Objective::Pass(k),
        Maximise::RewardPass(k) => Objective::RewardPass(k),
        Maximise::Balance(wanted) => Objective::Balance(wanted),
    };
    let of_one = rows.chunk_by(|one, next| one.temperature == next.temperature);
    let trial = |rows: &[TallyRow]| {
        let values: Option<Vec<f64>> = rows.iter().map(|row| objective.of(&tally(row))).collect();
        let values = values.ok_or_else(|| {
            let what = name(maximise);
            failure(
                format!("the search does not say what {what} is"),
                "draw more with `temperature.samples`, or train a reward model",
            )
        })?;
        Ok(Trial { temperature: written(rows[0].temperature), values })
    };
    of_one.map(trial).collect()
}

fn tally(row: &TallyRow) -> Tally {
    let TallyRow { samples, right, rank, selected, selected_right, .. } = *row;
    Tally { samples, right, rank, selected, selected_right }
}

/// A temperature as it is written in recipes: tables hold it with 32 bits, candidates have at most six
/// decimals.
fn written(temperature: f32) -> f64 {
    (f64::from(temperature) * 1e6).round() / 1e6
}

/// Such as `reward-pass@2`.
fn name(maximise: Maximise) -> String {
    match maximise {
        Maximise::Pass(k) => format!("pass@{k}"),
        Maximise::RewardPass(k) => format!("reward-pass@{k}"),
        Maximise::Balance(wanted) => format!("balance@{wanted}"),
    }
}

fn told(maximise: Maximise, before: f64, chosen: &Chosen) -> Value {
    let ends = |interval: Interval| [interval.low, interval.high];
    let candidate = |it: &Weighed| {
        json!({
            "temperature": it.temperature,
            "value": it.mean,
            "interval": ends(it.interval),
            "difference": it.difference,
            "difference_interval": ends(it.difference_interval),
        })
    };
    json!({
        "objective": name(maximise),
        "temperature": chosen.temperature,
        "before": before,
        "compared_with": chosen.compared_with,
        "best": chosen.best,
        "moved": chosen.reason == Reason::Better,
        "reason": match chosen.reason {
            Reason::Best => "none is better than the one in use",
            Reason::WithinNoise => "the best is better within the noise",
            Reason::Better => "the best is better beyond the noise",
        },
        "candidates": chosen.weighed.iter().map(candidate).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(temperature: f32, prompt: u64, right: u32) -> TallyRow {
        TallyRow {
            temperature,
            prompt,
            samples: 4,
            right,
            rank: None,
            selected: 4,
            selected_right: right,
        }
    }

    #[test]
    fn trials_are_the_prompts_of_each_temperature() {
        let rows = [row(0.3, 1, 0), row(0.3, 2, 4), row(0.7, 1, 2), row(0.7, 2, 1)];
        let found = trials(&rows, Maximise::Pass(4)).unwrap();
        let values: Vec<_> = found.iter().map(|it| (it.temperature, it.values.clone())).collect();
        assert_eq!(values, [(0.3, vec![0.0, 1.0]), (0.7, vec![1.0, 1.0])]);
        // N = 4 of n = 4: min(2/4, 1) · 2/4 and min(1/4, 1) · 1/4.
        let found = trials(&rows, Maximise::Balance(4)).unwrap();
        assert_eq!(found[1].values, [0.25, 0.0625]);
    }

    #[test]
    fn an_objective_that_was_not_measured_fails_by_its_name() {
        for (maximise, told) in
            [(Maximise::RewardPass(2), "reward-pass@2"), (Maximise::Pass(5), "pass@5")]
        {
            let Err(Stop::Failed(failure)) = trials(&[row(0.5, 1, 1)], maximise) else {
                panic!("{told} is chosen by")
            };
            assert!(failure.reason.contains(told) && failure.hint.is_some(), "{failure:?}");
        }
    }
}
