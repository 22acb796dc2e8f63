//! Trying a test: what the recipe makes of what is given, beside what is expected.

use super::{Finding, Tried};
use crate::{
    base::{Hint, Seed},
    data::{
        Sample, Template, Tokenizer,
        mini_vista::TOKENIZER_JSON,
        table::{Finish, Rollout},
    },
    hooks::{Moment, Script},
    judging::{self, Hooks, JudgingError, Terms, extraction, first_judgement},
    recipe::{Recipe, WrittenTrial, moments_called},
    rewards::Verdict,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A test that is ready to be tried.
#[derive(Clone, Debug)]
pub struct Case {
    pub(super) written: WrittenTrial,
    pub(super) sample: Sample,
    pub(super) response: Option<String>,
}

/// The functions of a script that a run of the recipe calls.
pub fn hooks(recipe: &Recipe, script: Option<Script>) -> Hooks {
    let called = moments_called(recipe);
    let served = script.as_ref().map(Script::moments).unwrap_or_default();
    Hooks::new(script, called.intersection(&served).copied().collect())
}

impl Case {
    /// The test's name.
    pub fn name(&self) -> &str {
        &self.written.trial.name
    }

    /// Tries the test.
    pub fn run(&self, recipe: &Recipe, hooks: &Hooks) -> Tried {
        let mut trying = Trying { case: self, recipe, hooks, model: None, findings: Vec::new() };
        let failure = trying.all().err().map(|error| (error.to_string(), error.hint()));
        Tried {
            name: self.name().to_owned(),
            place: self.written.place(""),
            findings: trying.findings,
            failure,
        }
    }
}

/// A test while it is tried.
struct Trying<'a> {
    case: &'a Case,
    recipe: &'a Recipe,
    hooks: &'a Hooks,
    /// Words and frame of the built-in model, once they were needed.
    model: Option<(Tokenizer, Template)>,
    findings: Vec<Finding>,
}

impl Trying<'_> {
    fn all(&mut self) -> Result<(), JudgingError> {
        self.prompt()?;
        self.response()?;
        self.selection()
    }

    /// Notes what was found; `found` was computed and `why` is told where the two differ.
    fn note(&mut self, what: &'static str, expected: Value, found: Value, why: Option<String>) {
        let agrees = match (expected.as_f64(), found.as_f64()) {
            (Some(one), Some(other)) => (one - other).abs() <= 1e-9 * one.abs().max(1.0),
            _ => expected == found,
        };
        let why = why.filter(|_| !agrees);
        let place = self.case.written.place(&format!("expect.{what}"));
        self.findings.push(Finding { what, expected, found, agrees, why, place });
    }

    fn prompt(&mut self) -> Result<(), JudgingError> {
        let Some(expected) = &self.case.written.trial.expect.prompt else { return Ok(()) };
        let asked = match self.hooks.calls(Moment::Prompt) {
            true => self.hooks.asked(std::slice::from_ref(&self.case.sample))?,
            false => vec![self.case.sample.clone()],
        };
        let found = asked.first().map_or("", Sample::asked).to_owned();
        self.note("prompt", json!(expected), json!(found), None);
        let unreadable = self.model().and_then(|(tokenizer, template)| {
            template.prompt(tokenizer, &found).err().map(|error| error.to_string())
        });
        if let (Some(why), Some(finding)) = (unreadable, self.findings.last_mut()) {
            finding.agrees = false;
            finding.why = Some(format!("the model cannot read it: {why}"));
        }
        Ok(())
    }

    fn response(&mut self) -> Result<(), JudgingError> {
        let trial = &self.case.written.trial;
        let Some(text) = &self.case.response else { return Ok(()) };
        let rollout = self.rollout(0, text, trial.finished, trial.tokens)?;
        if let Some(expected) = &trial.expect.answer {
            let found = rollout.extracted.clone().unwrap_or_default();
            let why = found.is_empty().then(|| "no answer is found in the response".to_owned());
            self.note("answer", json!(expected), json!(found), why);
        }
        if let Some(expected) = trial.expect.correct {
            let gold = rollout.gold.as_deref().unwrap_or_default();
            let why = match &rollout.extracted {
                Some(answer) => format!("the answer `{answer}` is compared with `{gold}`"),
                None => "no answer is found in the response".to_owned(),
            };
            self.note("correct", json!(expected), json!(rollout.correct), Some(why));
        }
        if let Some(expected) = trial.expect.reward {
            let found = self.hooks.reward(&rollout, Some(&self.case.sample))?;
            self.note("reward", json!(expected), json!(found), None);
        }
        Ok(())
    }

    fn selection(&mut self) -> Result<(), JudgingError> {
        let trial = &self.case.written.trial;
        let mut rollouts = Vec::with_capacity(trial.candidate.len());
        let mut scores = BTreeMap::new();
        for (number, candidate) in (0..).zip(&trial.candidate) {
            let rollout = self.rollout(number, &candidate.response, candidate.finished, None)?;
            scores.extend(candidate.score.map(|score| ((rollout.prompt, number), score)));
            rollouts.push(rollout);
        }
        let reward = &self.recipe.reward;
        let terms = Terms {
            rule: judging::rule(reward.select),
            distinct: reward.distinct,
            keep_per_prompt: reward.keep_per_prompt,
            keep: 0,
            seed: Seed(self.recipe.seed),
        };
        let samples = std::slice::from_ref(&self.case.sample);
        let mut candidates = judging::candidates(&rollouts, &scores);
        let selection = self.hooks.select(&rollouts, samples, &mut candidates, terms)?;
        let told = |(number, verdict): (usize, &Verdict)| format!("{number} {}", verdict.name());
        let told: Vec<String> = selection.verdicts.iter().enumerate().map(told).collect();
        let told = told.join(", ");
        if let Some(expected) = &trial.expect.kept {
            let kept: Vec<u32> = selection.kept.iter().map(|&place| place as u32).collect();
            let mut expected = expected.clone();
            expected.sort_unstable();
            self.note("kept", json!(expected), json!(kept), Some(told.clone()));
            if let Some(finding) = self.findings.last_mut()
                && judging::is_drawn(terms.rule, &selection)
            {
                finding.agrees = false;
                finding.why = Some(
                    "which of the right responses are drawn is chance: expect `kept_count`".into(),
                );
            }
        }
        if let Some(expected) = trial.expect.kept_count {
            self.note("kept_count", json!(expected), json!(selection.kept.len()), Some(told));
        }
        Ok(())
    }

    /// A response as a stage would have it, judged.
    fn rollout(
        &mut self,
        number: u32,
        text: &str,
        finished: bool,
        tokens: Option<u32>,
    ) -> Result<Rollout, JudgingError> {
        let tokens = tokens.map_or_else(|| self.count(text, finished), |count| count as usize);
        let finish = if finished { Finish::Stop } else { Finish::Length };
        let sample = &self.case.sample;
        let gold = sample.answer.as_deref();
        let rule = extraction(&self.recipe.policy.model);
        let (extracted, correct) = first_judgement(rule, text, finish, gold);
        let mut rollout = Rollout {
            prompt: sample.id,
            sample: number,
            category: sample.category.clone(),
            response: text.to_owned(),
            tokens: vec![0; tokens],
            finish,
            extracted,
            gold: sample.answer.clone(),
            correct,
            temperature: self.recipe.temperature.value as f32,
            kept: None,
        };
        self.hooks.judge(sample, &mut rollout)?;
        Ok(rollout)
    }

    /// Tokens of a response with its end: those of the built-in model, or as many as it has words.
    fn count(&mut self, text: &str, finished: bool) -> usize {
        let known = self.model().and_then(|(tokenizer, _)| tokenizer.encode(text).ok());
        let count = known.map_or_else(|| text.split_whitespace().count(), |tokens| tokens.len());
        count + usize::from(finished)
    }

    /// Words and frame of the built-in model, where it is the policy.
    fn model(&mut self) -> Option<&(Tokenizer, Template)> {
        if self.model.is_none() && self.recipe.policy.model.starts_with("builtin:") {
            let tokenizer = Tokenizer::from_bytes(TOKENIZER_JSON).ok()?;
            let template = Template::mini(&tokenizer).ok()?;
            self.model = Some((tokenizer, template));
        }
        self.model.as_ref()
    }
}
