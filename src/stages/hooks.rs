//! `hooks`: puts the script into the store; and the script as the stages that call it see it.
//!
//! Functions are given plain maps, whose fields the book lists. What one gives is looked at before
//! it is used; whatever goes wrong fails the stage with the script, the line and the sample.

use super::failure::{failed, failure};
use super::policy::write_metrics;
use crate::base::Hint as _;
use crate::data::{Sample, table::Finish, table::Rollout};
use crate::hooks::{HookError, Script};
use crate::plan;
use crate::recipe::Moment;
use crate::rewards::{Candidate, Selection, Verdict};
use crate::run::{Context, Stop};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The file of the artifact.
const FILE: &str = "script.rhai";

pub(super) fn run(options: &plan::Hooks, context: &Context<'_>) -> Result<(), Stop> {
    let script = Script::compile(FILE, &options.text).map_err(failed)?;
    context.results().write(FILE, options.text.as_bytes())?;
    write_metrics(context, &json!({ "functions": script.moments() }))
}

/// The functions that a stage calls.
pub(super) struct Hooks {
    script: Option<Script>,
    functions: Vec<Moment>,
}

impl Hooks {
    /// Those of the stage that is carried out; often there are none.
    pub(super) fn of(context: &Context<'_>) -> Result<Self, Stop> {
        let Some(calls) = context.stage().calls() else {
            return Ok(Self { script: None, functions: Vec::new() });
        };
        let bytes = context.input(plan::Port::Hooks)?.read(FILE)?;
        let text = String::from_utf8_lossy(&bytes);
        let script = Script::compile(&calls.script, &text).map_err(failed)?;
        Ok(Self { script: Some(script), functions: calls.functions.clone() })
    }

    /// Whether the stage calls this function.
    pub(super) fn calls(&self, moment: Moment) -> bool {
        self.functions.contains(&moment)
    }

    /// Calls a function about something.
    fn call(&self, moment: Moment, arguments: &[Value], about: &str) -> Result<Value, Stop> {
        let script = self.script.as_ref().expect("a stage calls only what its script has");
        script.call(moment, arguments).map_err(|error| told(moment, &error, about))
    }

    /// The answer of a response, and whether it is right, by the functions that there are.
    pub(super) fn judge(&self, sample: &Sample, rollout: &mut Rollout) -> Result<(), Stop> {
        let about = about(rollout.prompt, rollout.sample);
        let (extracts, compares) = (self.calls(Moment::Extract), self.calls(Moment::Correct));
        if extracts {
            let mut response = response(rollout, Some(sample));
            for later in ["answer", "gold", "correct"] {
                response.remove(later);
            }
            let answer = self.call(Moment::Extract, &[Value::Object(response)], &about)?;
            rollout.extracted = answer.as_str().filter(|it| !it.is_empty()).map(str::to_owned);
        }
        let gold = &sample.answer;
        rollout.correct = match &rollout.extracted {
            None => false,
            Some(answer) if compares => {
                let arguments = [json!(answer), json!(gold)];
                self.call(Moment::Correct, &arguments, &about)? == Value::Bool(true)
            }
            Some(answer) if extracts => crate::rewards::matches(answer, gold),
            Some(_) => rollout.correct,
        };
        Ok(())
    }

    /// The score of each right response.
    pub(super) fn score(
        &self,
        rollouts: &[Rollout],
        samples: &[Sample],
        candidates: &mut [Candidate<'_>],
    ) -> Result<(), Stop> {
        if !self.calls(Moment::Reward) {
            return Ok(());
        }
        let samples = by_id(samples);
        for (rollout, candidate) in rollouts.iter().zip(candidates) {
            if rollout.correct {
                let response = response(rollout, samples.get(&rollout.prompt).copied());
                let about = about(rollout.prompt, rollout.sample);
                let score = self.call(Moment::Reward, &[Value::Object(response)], &about)?;
                candidate.score = score.as_f64();
            }
        }
        Ok(())
    }

    /// Leaves out of a selection what the script does not keep.
    pub(super) fn keep(
        &self,
        rollouts: &[Rollout],
        samples: &[Sample],
        candidates: &[Candidate<'_>],
        selection: &mut Selection,
    ) -> Result<(), Stop> {
        if !self.calls(Moment::Keep) {
            return Ok(());
        }
        let samples = by_id(samples);
        let mut solved: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
        for rollout in rollouts {
            let (right, count) = solved.entry(rollout.prompt).or_default();
            (*right, *count) = (*right + u32::from(rollout.correct), *count + 1);
        }
        let (mut of_prompt, mut of_category) = (BTreeMap::<u64, u64>::new(), BTreeMap::new());
        let mut kept = Vec::new();
        for &place in &selection.kept {
            let rollout = &rollouts[place];
            let (right, count) = solved[&rollout.prompt];
            let in_prompt = of_prompt.entry(rollout.prompt).or_default();
            let in_category = of_category.entry(rollout.category.as_str()).or_insert(0_u64);
            let mut map = response(rollout, samples.get(&rollout.prompt).copied());
            map.insert("score".into(), json!(candidates[place].score));
            map.insert("solve_rate".into(), json!(f64::from(right) / f64::from(count)));
            map.insert("kept".into(), json!(kept.len()));
            map.insert("kept_of_prompt".into(), json!(in_prompt));
            map.insert("kept_of_category".into(), json!(in_category));
            let about = about(rollout.prompt, rollout.sample);
            if self.call(Moment::Keep, &[Value::Object(map)], &about)? == Value::Bool(true) {
                (*in_prompt, *in_category) = (*in_prompt + 1, *in_category + 1);
                kept.push(place);
            } else {
                selection.verdicts[place] = Verdict::Hook;
            }
        }
        selection.kept = kept;
        Ok(())
    }

    /// The score of every response, right or wrong.
    pub(super) fn scores(
        &self,
        rollouts: &[Rollout],
        samples: &[Sample],
    ) -> Result<Option<Vec<f64>>, Stop> {
        if !self.calls(Moment::Reward) {
            return Ok(None);
        }
        let samples = by_id(samples);
        let score = |rollout: &Rollout| {
            let response = response(rollout, samples.get(&rollout.prompt).copied());
            let about = about(rollout.prompt, rollout.sample);
            let score = self.call(Moment::Reward, &[Value::Object(response)], &about)?;
            Ok(score.as_f64().unwrap_or(0.0))
        };
        rollouts.iter().map(score).collect::<Result<_, Stop>>().map(Some)
    }

    /// The temperature that the script chooses.
    pub(super) fn temperature(&self, history: &[Value]) -> Result<f64, Stop> {
        let about = format!("search {}", history.len());
        let history = [Value::Array(history.to_vec())];
        let chosen = self.call(Moment::Temperature, &history, &about)?;
        Ok(chosen.as_f64().unwrap_or(f64::NAN))
    }

    /// Whether the script ends the evolution after an iteration; never before the first.
    pub(super) fn stops(&self, history: &[Value], iteration: u32) -> Result<bool, Stop> {
        if iteration == 0 || !self.calls(Moment::Stop) {
            return Ok(false);
        }
        let about = format!("iteration {iteration}");
        let history = [Value::Array(history.to_vec())];
        Ok(self.call(Moment::Stop, &history, &about)? == Value::Bool(true))
    }

    /// The numbers that the script makes of an evaluation.
    pub(super) fn metrics(
        &self,
        rollouts: &[Rollout],
        samples: &[Sample],
        split: &str,
    ) -> Result<Option<Value>, Stop> {
        if !self.calls(Moment::Metric) {
            return Ok(None);
        }
        let samples = by_id(samples);
        let of = |rollout: &Rollout| response(rollout, samples.get(&rollout.prompt).copied());
        let responses: Vec<Value> = rollouts.iter().map(|it| Value::Object(of(it))).collect();
        let about = format!("the {split} split");
        self.call(Moment::Metric, &[Value::Array(responses)], &about).map(Some)
    }
}

fn by_id(samples: &[Sample]) -> BTreeMap<u64, &Sample> {
    samples.iter().map(|sample| (sample.id, sample)).collect()
}

fn about(prompt: u64, sample: u32) -> String {
    format!("sample {sample} of prompt {prompt}")
}

fn told(moment: Moment, error: &HookError, about: &str) -> Stop {
    let reason = format!("`{}` of {about}: {error}", moment.name());
    let hint = error.hint();
    failure(reason, hint.unwrap_or_else(|| "try it by hand: `mstar hook FILE --on JSON`".into()))
}

/// A response as functions see it.
fn response(rollout: &Rollout, sample: Option<&Sample>) -> Map<String, Value> {
    let map = json!({
        "prompt": rollout.prompt,
        "sample": rollout.sample,
        "category": rollout.category,
        "question": sample.map(|sample| &sample.question),
        "text": rollout.response,
        "tokens": rollout.tokens.len(),
        "finished": rollout.finish == Finish::Stop,
        "temperature": rollout.temperature,
        "answer": rollout.extracted,
        "gold": rollout.gold,
        "correct": rollout.correct,
    });
    match map {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
