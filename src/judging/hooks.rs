//! A script as those see it who judge by it.
//!
//! Functions are given plain maps, whose fields the book lists. What one gives is looked at before
//! it is used; whatever goes wrong names the function, the script, the line and the sample.

use super::JudgingError;
use crate::base::Hint as _;
use crate::data::{Pictures, Sample, table::Finish, table::Rollout};
use crate::hooks::{HookError, Moment, Script};
use crate::rewards::{Candidate, Cuts, CutsError, Selection, Verdict};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The functions that a stage calls.
#[derive(Debug, Default)]
pub struct Hooks {
    script: Option<Script>,
    functions: BTreeSet<Moment>,
}

impl Hooks {
    /// Those of a script that are called; without a script there are none.
    pub fn new(script: Option<Script>, functions: BTreeSet<Moment>) -> Self {
        Self { script, functions }
    }

    /// Whether the stage calls this function.
    pub fn calls(&self, moment: Moment) -> bool {
        self.functions.contains(&moment)
    }

    /// Calls a function about something.
    fn call(
        &self,
        moment: Moment,
        arguments: &[Value],
        about: &str,
    ) -> Result<Value, JudgingError> {
        let script = self.script.as_ref().expect("a stage calls only what its script has");
        script.call(moment, arguments).map_err(|error| told(moment, &error, about))
    }

    /// The answer of a response, and whether it is right, by the functions that there are.
    pub fn judge(
        &self,
        sample: &Sample<impl Pictures>,
        rollout: &mut Rollout,
    ) -> Result<(), JudgingError> {
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
        if extracts || compares {
            rollout.correct = self.agrees(rollout)?;
        }
        Ok(())
    }

    /// Whether the answer of a response agrees with what it is compared with.
    pub fn agrees(&self, rollout: &Rollout) -> Result<bool, JudgingError> {
        match (&rollout.extracted, &rollout.gold) {
            (Some(answer), Some(gold)) => {
                self.compare(answer, gold, &about(rollout.prompt, rollout.sample))
            }
            _ => Ok(false),
        }
    }

    /// Whether an answer agrees with the gold one.
    pub fn compare(&self, answer: &str, gold: &str, about: &str) -> Result<bool, JudgingError> {
        if !self.calls(Moment::Correct) {
            return Ok(crate::rewards::matches(answer, gold));
        }
        let arguments = [json!(answer), json!(gold)];
        Ok(self.call(Moment::Correct, &arguments, about)? == Value::Bool(true))
    }

    /// Samples with what the script asks about them.
    pub fn asked<I: Pictures>(
        &self,
        samples: &[Sample<I>],
    ) -> Result<Vec<Sample<I>>, JudgingError> {
        let asked = |sample: &Sample<I>| {
            let about = format!("prompt {}", sample.id);
            let given = json!({
                "id": sample.id,
                "category": sample.category,
                "question": sample.question,
                "images": sample.images.count(),
            });
            let prompt = self.call(Moment::Prompt, &[given], &about)?;
            Ok(Sample { prompt: prompt.as_str().map(str::to_owned), ..sample.clone() })
        };
        samples.iter().map(asked).collect()
    }

    /// Where the script cuts a response into steps; nothing said of its answer is known to it.
    pub fn steps(
        &self,
        rollout: &Rollout,
        sample: &Sample<impl Pictures>,
    ) -> Result<Cuts, JudgingError> {
        let mut response = response(rollout, Some(sample));
        for later in ["gold", "correct"] {
            response.remove(later);
        }
        let about = about(rollout.prompt, rollout.sample);
        let given = self.call(Moment::Steps, &[Value::Object(response)], &about)?;
        let items = given.as_array().map(Vec::as_slice).unwrap_or_default();
        let offsets: Option<Vec<u64>> = items.iter().map(Value::as_u64).collect();
        Ok(offsets.map_or_else(
            || Cuts::Texts(items.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
            Cuts::Offsets,
        ))
    }

    /// A failure of what [`Hooks::steps`] gave.
    pub fn bad_steps(&self, rollout: &Rollout, error: &CutsError) -> JudgingError {
        let script = self.script.as_ref().map_or("", Script::name);
        let about = about(rollout.prompt, rollout.sample);
        let told = format!("{script}: {error}");
        JudgingError::Hook { moment: Moment::Steps.name(), about, told, hint: error.hint() }
    }

    /// The script's answer of an unlabelled prompt, from its responses with their scores.
    pub fn pseudo_answer(
        &self,
        sample: Option<&Sample<impl Pictures>>,
        responses: &[(&Rollout, Option<f64>)],
    ) -> Result<Option<String>, JudgingError> {
        let candidate = |(rollout, score): &(&Rollout, Option<f64>)| {
            let mut map = response(rollout, sample);
            for hidden in ["gold", "correct"] {
                map.remove(hidden);
            }
            map.insert("score".into(), json!(score));
            Value::Object(map)
        };
        let candidates: Vec<Value> = responses.iter().map(candidate).collect();
        let prompt = responses.first().map_or(0, |(rollout, _)| rollout.prompt);
        let about = format!("prompt {prompt}");
        let answer = self.call(Moment::PseudoAnswer, &[Value::Array(candidates)], &about)?;
        Ok(answer.as_str().filter(|it| !it.is_empty()).map(str::to_owned))
    }

    /// The script's score of a response; none where it gives none.
    pub fn reward(
        &self,
        rollout: &Rollout,
        sample: Option<&Sample<impl Pictures>>,
    ) -> Result<Option<f64>, JudgingError> {
        if !self.calls(Moment::Reward) {
            return Ok(None);
        }
        let about = about(rollout.prompt, rollout.sample);
        let response = Value::Object(response(rollout, sample));
        Ok(self.call(Moment::Reward, &[response], &about)?.as_f64())
    }

    /// The score of every response, as if nobody knew which are right; `None` where the script has no
    /// say.
    pub fn ranks(
        &self,
        rollouts: &[Rollout],
        samples: &[Sample<impl Pictures>],
    ) -> Result<Option<Vec<f64>>, JudgingError> {
        if !self.calls(Moment::Reward) {
            return Ok(None);
        }
        let samples = by_id(samples);
        let score = |rollout: &Rollout| {
            let blind = Rollout { gold: None, correct: false, ..rollout.clone() };
            let score = self.reward(&blind, samples.get(&rollout.prompt).copied())?;
            Ok(score.unwrap_or_default())
        };
        rollouts.iter().map(score).collect::<Result<_, _>>().map(Some)
    }

    /// The score of each right response.
    pub(super) fn score(
        &self,
        rollouts: &[Rollout],
        samples: &[Sample<impl Pictures>],
        candidates: &mut [Candidate<'_>],
    ) -> Result<(), JudgingError> {
        if !self.calls(Moment::Reward) {
            return Ok(());
        }
        let samples = by_id(samples);
        for (rollout, candidate) in rollouts.iter().zip(candidates) {
            if rollout.correct {
                let sample = samples.get(&rollout.prompt).copied();
                candidate.score = self.reward(rollout, sample)?;
            }
        }
        Ok(())
    }

    /// Leaves out of a selection what the script does not keep.
    pub(super) fn keep(
        &self,
        rollouts: &[Rollout],
        samples: &[Sample<impl Pictures>],
        candidates: &[Candidate<'_>],
        selection: &mut Selection,
    ) -> Result<(), JudgingError> {
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

    /// The temperature that the script chooses.
    pub fn temperature(&self, history: &[Value]) -> Result<f64, JudgingError> {
        let about = format!("search {}", history.len());
        let history = [Value::Array(history.to_vec())];
        let chosen = self.call(Moment::Temperature, &history, &about)?;
        Ok(chosen.as_f64().unwrap_or(f64::NAN))
    }

    /// Whether the script ends the evolution after an iteration; never before the first.
    pub fn stops(&self, history: &[Value], iteration: u32) -> Result<bool, JudgingError> {
        if iteration == 0 || !self.calls(Moment::Stop) {
            return Ok(false);
        }
        let about = format!("iteration {iteration}");
        let history = [Value::Array(history.to_vec())];
        Ok(self.call(Moment::Stop, &history, &about)? == Value::Bool(true))
    }

    /// The numbers that the script makes of an evaluation.
    pub fn metrics(
        &self,
        rollouts: &[Rollout],
        samples: &[Sample<impl Pictures>],
        split: &str,
    ) -> Result<Option<Value>, JudgingError> {
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

fn by_id<I>(samples: &[Sample<I>]) -> BTreeMap<u64, &Sample<I>> {
    samples.iter().map(|sample| (sample.id, sample)).collect()
}

fn about(prompt: u64, sample: u32) -> String {
    format!("sample {sample} of prompt {prompt}")
}

fn told(moment: Moment, error: &HookError, about: &str) -> JudgingError {
    let by_hand = || "try it by hand: `mstar hook FILE --on JSON`".to_owned();
    JudgingError::Hook {
        moment: moment.name(),
        about: about.to_owned(),
        told: error.to_string(),
        hint: Some(error.hint().unwrap_or_else(by_hand)),
    }
}

/// A response as functions see it.
fn response(rollout: &Rollout, sample: Option<&Sample<impl Pictures>>) -> Map<String, Value> {
    let map = json!({
        "prompt": rollout.prompt,
        "sample": rollout.sample,
        "category": rollout.category,
        "question": sample.map(|sample| &sample.question),
        "images": sample.map(|sample| sample.images.count()),
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
