//! Counting right answers: by category, with intervals, and with the checker's view of the steps.

use crate::data::{Reference, mini_vista, table::Rollout};
use crate::rewards::wilson;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// `count`, `correct`, `accuracy`, `interval`, `unanswered` and `categories` of greedy responses.
pub(super) fn accuracy(rollouts: &[Rollout]) -> Map<String, Value> {
    let mut categories: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for rollout in rollouts {
        let (correct, count) = categories.entry(&rollout.category).or_default();
        *correct += u64::from(rollout.correct);
        *count += 1;
    }
    let total = categories.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let mut metrics = share(total);
    let categories: Map<String, Value> = categories
        .into_iter()
        .map(|(name, counts)| (name.to_owned(), Value::Object(share(counts))))
        .collect();
    metrics.insert("categories".into(), Value::Object(categories));
    metrics.insert("unanswered".into(), json!(unanswered(rollouts)));
    metrics
}

/// Responses in which no answer was found; they count as wrong.
pub(super) fn unanswered(rollouts: &[Rollout]) -> usize {
    rollouts.iter().filter(|rollout| rollout.extracted.is_none()).count()
}

pub(super) fn share((correct, count): (u64, u64)) -> Map<String, Value> {
    let interval = wilson(correct, count);
    let accuracy = if count == 0 { 0.0 } else { correct as f64 / count as f64 };
    let value = json!({
        "count": count,
        "correct": correct,
        "accuracy": accuracy,
        "interval": [interval.low, interval.high],
    });
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// What the step checker says; for figures only, nothing is ever selected by it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StepShares {
    /// Responses that were looked at.
    pub(super) count: u64,
    /// Those with the right answer.
    pub(super) right_answers: u64,
    /// Those with the right answer and nothing but right steps.
    pub(super) right_steps: u64,
}

impl StepShares {
    /// Checks responses whose reference is known.
    pub(super) fn of<'r>(
        rollouts: impl Iterator<Item = &'r Rollout>,
        references: &BTreeMap<u64, &Reference>,
    ) -> Self {
        let mut shares = Self::default();
        for rollout in rollouts {
            let Some(reference) = references.get(&rollout.prompt) else { continue };
            shares.count += 1;
            if rollout.correct {
                shares.right_answers += 1;
                let gold = rollout.gold.as_deref().unwrap_or_default();
                let verdict = mini_vista::judge(reference, gold, &rollout.response);
                shares.right_steps += u64::from(verdict.all);
            }
        }
        shares
    }

    /// Of right answers, the share with a wrong step; null without right answers.
    pub(super) fn wrong_steps_share(self) -> Value {
        match self.right_answers {
            0 => Value::Null,
            right => json!(1.0 - self.right_steps as f64 / right as f64),
        }
    }

    /// Of all responses, the share with right answer and right steps; null without references.
    pub(super) fn steps_right(self) -> Value {
        match self.count {
            0 => Value::Null,
            count => json!(self.right_steps as f64 / count as f64),
        }
    }
}

/// References by prompt.
pub(super) fn by_prompt(references: &[Reference]) -> BTreeMap<u64, &Reference> {
    references.iter().map(|reference| (reference.id, reference)).collect()
}
