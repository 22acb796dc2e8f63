//! `balance`: chooses the temperature of the next explorations from what a search measured, and what
//! is balanced beside it.
//!
//! The objective is a number of each prompt, so candidates are compared prompt by prompt; the best one
//! is taken when the 95 % interval of its gain over the setting in use excludes 0, and else the setting
//! in use stays. What it is compared with is the candidate nearest to the one in use. A script that
//! chooses has the last word, among the candidates.

use super::failure::{failed, failure, json};
use super::hooks::Hooks;
use super::stop;
use crate::base::Seed;
use crate::data::table::{self, ResponseScores, Rollout, TallyRow};
use crate::plan::{Balance, Drawn, Knobs, Port, Setting};
use crate::recipe::{Maximise, Moment};
use crate::rewards::{
    Chosen, Interval, Objective, Reason, SELECTED_ABOVE, Tally, Trial, Weighed, choose, mean,
    normalise,
};
use crate::run::{Context, Stop};
use crate::store::Artifact;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// File of the choice.
const CHOICE: &str = "temperature.json";

/// What later stages read of the choice.
#[derive(Deserialize)]
struct Choice {
    temperature: f64,
    /// What was chosen beside it.
    #[serde(default)]
    setting: Option<Setting>,
    /// What the script was told before.
    #[serde(default)]
    history: Vec<Value>,
}

/// A choice, as it is told.
struct Told<'a> {
    /// Candidates, each with its setting.
    settings: &'a [Setting],
    chosen: &'a Chosen,
    /// What is in use from now on, and what was before.
    now: Setting,
    before: Setting,
    reason: &'static str,
}

pub(super) fn run(options: &Balance, context: &Context<'_>) -> Result<(), Stop> {
    let earlier = context.optional_input(Port::Temperature).map(choice).transpose()?;
    let drawn = |temperature| Drawn { temperature, top_p: 1.0, top_k: 0, min_p: 0.0 };
    let initial = Setting { drawn: drawn(options.initial), samples: 0, threshold: None };
    let initial = options.also.as_ref().map_or(initial, |also| also.initial);
    let before = earlier.as_ref().map_or(initial, |it| it.over(initial));
    let search = context.input(Port::Search)?;
    let rows: Vec<TallyRow> = table::decode(&search.read("tallies.parquet")?).map_err(failed)?;
    let (settings, trials) = match &options.also {
        Some(also) => candidates(also, options.maximise, search)?,
        None => {
            let trials = trials(&rows, options.maximise)?;
            let setting = |it: &Trial| Setting { drawn: drawn(it.knobs[0]), ..initial };
            (trials.iter().map(setting).collect(), trials)
        }
    };
    let knobs = before.knobs();
    let in_use = &knobs[..trials.first().map_or(0, |trial| trial.knobs.len())];
    let seed = Seed(0).named("balance");
    let chosen = choose(&trials, in_use, seed).ok_or_else(|| {
        failure("the search measured nothing to choose from", "keep some with `data.validation`")
    })?;
    let mut told = Told {
        now: chosen.taken.map_or(before, |taken| settings[taken]),
        before,
        reason: match chosen.reason {
            Reason::Best => "none is better than the one in use",
            Reason::WithinNoise => "the best is better within the noise",
            Reason::Better => "the best is better beyond the noise",
        },
        settings: &settings,
        chosen: &chosen,
    };
    let hooks = Hooks::of(context)?;
    let mut history = earlier.map(|it| it.history).unwrap_or_default();
    if hooks.calls(Moment::Temperature) {
        let rollouts = table::decode(&search.read("rollouts.parquet")?).map_err(failed)?;
        history.push(entry(&told, &rows, &rollouts, context)?);
        told.now = by_script(&hooks, &mut history, &settings)?;
        told.reason = "the script chose";
    }
    let metrics = told.json(options);
    let mut choice = metrics.clone();
    if !history.is_empty() {
        choice["history"] = json!(history);
    }
    context.results().write(CHOICE, &json(&choice))?;
    Ok(context.results().write("metrics.json", &json(&metrics))?)
}

fn choice(artifact: &Artifact) -> Result<Choice, Stop> {
    serde_json::from_slice(&artifact.read(CHOICE)?).map_err(|error| {
        let reason = format!("`{CHOICE}` of {} cannot be read: {error}", artifact.key());
        failure(reason, "it was written by another version of mstar: run again in a new store")
    })
}

impl Choice {
    /// What it chose, and for the rest what was said before.
    fn over(&self, said: Setting) -> Setting {
        let drawn = Drawn { temperature: self.temperature, ..said.drawn };
        self.setting.unwrap_or(Setting { drawn, ..said })
    }
}

/// What a balance chose, over what the recipe says.
pub(super) fn setting(artifact: &Artifact, said: Setting) -> Result<Setting, Stop> {
    Ok(choice(artifact)?.over(said))
}

/// The threshold that a balance chose.
pub(super) fn threshold(artifact: &Artifact) -> Result<Option<f64>, Stop> {
    Ok(choice(artifact)?.setting.and_then(|setting| setting.threshold))
}

fn objective(maximise: Maximise, samples: u32) -> Objective {
    match maximise {
        Maximise::Pass(k) => Objective::Pass(k),
        Maximise::RewardPass(k) => Objective::RewardPass(k),
        Maximise::Balance(wanted) => Objective::Balance(wanted),
        // What is shown beside a choice that a script makes.
        Maximise::Hook => Objective::Pass(samples),
    }
}

/// The objective of each prompt at each temperature, in the order of the table.
fn trials(rows: &[TallyRow], maximise: Maximise) -> Result<Vec<Trial>, Stop> {
    let of_one = rows.chunk_by(|one, next| one.temperature == next.temperature);
    let trial = |rows: &[TallyRow]| {
        let values = rows.iter().map(|row| (objective(maximise, row.samples), tally(row)));
        let values = valued(maximise, values)?;
        Ok(Trial { knobs: vec![written(rows[0].temperature)], values })
    };
    of_one.map(trial).collect()
}

fn valued(
    maximise: Maximise,
    tallies: impl Iterator<Item = (Objective, Tally)>,
) -> Result<Vec<f64>, Stop> {
    let values: Option<Vec<f64>> = tallies.map(|(objective, tally)| objective.of(&tally)).collect();
    values.ok_or_else(|| {
        failure(
            format!("the search does not say what {} is", name(maximise)),
            "draw more with `temperature.samples`, or train a reward model",
        )
    })
}

/// A response of a search: its number, whether it is right, and its score.
type Response = (u32, bool, Option<f64>);

/// Every candidate and its trial, from the responses themselves: counts of samples and thresholds
/// cost no other ones.
fn candidates(
    also: &Knobs,
    maximise: Maximise,
    search: &Artifact,
) -> Result<(Vec<Setting>, Vec<Trial>), Stop> {
    let rollouts: Vec<Rollout> =
        table::decode(&search.read("rollouts.parquet")?).map_err(failed)?;
    let mut scores = vec![None; rollouts.len()];
    if search.contains("scores.parquet") {
        let rows: Vec<ResponseScores> =
            table::decode(&search.read("scores.parquet")?).map_err(failed)?;
        scores = rows.iter().map(|row| Some(f64::from(row.score))).collect();
    }
    let each = rollouts.len() / also.draws.len().max(1);
    let mut draws: Vec<BTreeMap<u64, Vec<Response>>> = Vec::new();
    for (place, (rollout, score)) in rollouts.iter().zip(scores).enumerate() {
        if place.is_multiple_of(each) {
            draws.push(BTreeMap::new());
        }
        let prompts = draws.last_mut().expect("the first response begins one");
        let response = (rollout.sample, rollout.correct, score);
        prompts.entry(rollout.prompt).or_default().push(response);
    }
    let settings = also.candidates();
    let of_one_draw = settings.len() / also.draws.len().max(1);
    let trial = |(place, setting): (usize, &Setting)| {
        let prompts = draws.get(place / of_one_draw).into_iter().flat_map(BTreeMap::values);
        let tally = |responses: &Vec<Response>| {
            let seen = |it: &&Response| also.samples.is_empty() || it.0 < setting.samples;
            let responses: Vec<(bool, Option<f64>)> =
                responses.iter().filter(seen).map(|&(_, right, score)| (right, score)).collect();
            let tally = Tally::of(&responses, setting.threshold.unwrap_or(SELECTED_ABOVE));
            (objective(maximise, tally.samples), tally)
        };
        let values = valued(maximise, prompts.map(tally))?;
        Ok(Trial { knobs: setting.knobs(), values })
    };
    let trials = settings.iter().enumerate().map(trial).collect::<Result<Vec<_>, Stop>>()?;
    Ok((settings, trials))
}

/// What a script is told of a search.
fn entry(
    told: &Told<'_>,
    rows: &[TallyRow],
    rollouts: &[Rollout],
    context: &Context<'_>,
) -> Result<Value, Stop> {
    let of_one: Vec<&[TallyRow]> =
        rows.chunk_by(|one, next| one.temperature == next.temperature).collect();
    let each = rollouts.len() / of_one.len().max(1);
    let mean_of = |rows: &[TallyRow], objective: Objective| {
        mean(rows.iter().filter_map(|row| objective.of(&tally(row))))
    };
    let candidates: Vec<Value> = of_one
        .iter()
        .zip(rollouts.chunks(each.max(1)))
        .map(|(rows, rollouts)| {
            let samples = rows[0].samples;
            json!({
                "temperature": written(rows[0].temperature),
                "mean": mean_of(rows, Objective::Pass(1)),
                "pass": mean_of(rows, Objective::Pass(samples)),
                "reward_pass": mean_of(rows, Objective::RewardPass(samples.min(2))),
                "entropy": entropy(rollouts),
            })
        })
        .collect();
    let greedy = match context.optional_input(Port::Evaluated) {
        Some(evaluated) => stop::metrics(evaluated)?["accuracy"].clone(),
        None => Value::Null,
    };
    let mut entry = candidates[told.chosen.compared_with].clone();
    entry["temperature"] = json!(told.before.drawn.temperature);
    entry["greedy"] = greedy;
    entry["k"] = json!(rows.first().map(|row| row.samples));
    entry["candidates"] = json!(candidates);
    entry["chosen"] = Value::Null;
    Ok(entry)
}

/// How much the answers to a prompt differ, in bits: the mean over prompts of the entropy of their
/// shares. What has no answer counts as one answer.
fn entropy(rollouts: &[Rollout]) -> Option<f64> {
    let mut prompts: BTreeMap<u64, BTreeMap<String, f64>> = BTreeMap::new();
    for rollout in rollouts {
        let answer = rollout.extracted.as_deref().map(normalise).unwrap_or_default();
        *prompts.entry(rollout.prompt).or_default().entry(answer).or_default() += 1.0;
    }
    mean(prompts.values().map(|answers| {
        let all: f64 = answers.values().sum();
        answers.values().map(|count| -count / all * (count / all).log2()).sum::<f64>() + 0.0
    }))
}

/// The candidate that the script chooses.
fn by_script(hooks: &Hooks, history: &mut [Value], settings: &[Setting]) -> Result<Setting, Stop> {
    for (place, entry) in history.iter_mut().enumerate() {
        entry["search"] = json!(place + 1);
    }
    let temperature = hooks.temperature(history)?;
    let is_it = |it: &&Setting| (it.drawn.temperature - temperature).abs() < 1e-9;
    let found = settings.iter().find(is_it).copied().ok_or_else(|| {
        let known: Vec<String> =
            settings.iter().map(|it| it.drawn.temperature.to_string()).collect();
        failure(
            format!("`temperature` gives {temperature}, which was not searched"),
            format!("give one of the candidates: {}", known.join(", ")),
        )
    })?;
    if let Some(last) = history.last_mut() {
        last["chosen"] = json!(temperature);
    }
    Ok(found)
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
        Maximise::Hook => "hook".to_owned(),
    }
}

impl Told<'_> {
    /// The choice with its reasons. Of several candidates at one temperature the best is told.
    fn json(&self, options: &Balance) -> Value {
        let ends = |interval: Interval| [interval.low, interval.high];
        let mut best: Vec<usize> = Vec::new();
        for (place, weighed) in self.chosen.weighed.iter().enumerate() {
            let temperature = |place: usize| self.settings[place].drawn.temperature;
            match best.iter_mut().find(|other| temperature(**other) == temperature(place)) {
                None => best.push(place),
                Some(other) if self.chosen.weighed[*other].difference < weighed.difference => {
                    *other = place;
                }
                Some(_) => {}
            }
        }
        let candidate = |&place: &usize| {
            let it: &Weighed = &self.chosen.weighed[place];
            let mut candidate = json!({
                "temperature": self.settings[place].drawn.temperature,
                "value": it.mean,
                "interval": ends(it.interval),
                "difference": it.difference,
                "difference_interval": ends(it.difference_interval),
            });
            if options.also.is_some() {
                candidate["setting"] = json!(self.settings[place]);
            }
            candidate
        };
        let temperature = |place: usize| self.settings[place].drawn.temperature;
        let mut told = json!({
            "objective": name(options.maximise),
            "temperature": self.now.drawn.temperature,
            "before": self.before.drawn.temperature,
            "compared_with": temperature(self.chosen.compared_with),
            "best": temperature(self.chosen.best),
            "moved": self.now != self.before,
            "reason": self.reason,
            "candidates": best.iter().map(candidate).collect::<Vec<_>>(),
        });
        if options.also.is_some() {
            told["setting"] = json!(self.now);
            told["setting_before"] = json!(self.before);
        }
        told
    }
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
        let values: Vec<_> = found.iter().map(|it| (it.knobs[0], it.values.clone())).collect();
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
