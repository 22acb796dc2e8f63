//! Which responses are kept: scores, the recipe's rule, the script, and the caps.

use super::{Hooks, JudgingError};
use crate::base::Seed;
use crate::data::{Pictures, Sample, table::Rollout};
use crate::recipe;
use crate::rewards::{Candidate, Rule, Selection, Verdict, select};
use std::collections::BTreeMap;

/// How responses are chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// The rule.
    pub rule: Rule,
    /// Whether an exact repetition of a response to the same prompt is left out.
    pub distinct: bool,
    /// Most that are kept of a prompt; 0 for all.
    pub keep_per_prompt: u32,
    /// Most that are kept in all; 0 for all.
    pub keep: u64,
    /// Seed of what is drawn.
    pub seed: Seed,
}

/// The rule that a recipe names.
pub fn rule(rule: recipe::Select) -> Rule {
    match rule {
        recipe::Select::All => Rule::All,
        recipe::Select::Top(count) => Rule::Top(count),
        recipe::Select::Random(count) => Rule::Random(count),
        recipe::Select::Above(threshold) => Rule::Above(threshold),
    }
}

/// Responses with the scores that a reward model gave them, by prompt and sample.
pub fn candidates<'a>(
    rollouts: &'a [Rollout],
    scores: &BTreeMap<(u64, u32), f64>,
) -> Vec<Candidate<'a>> {
    let candidate = |rollout: &'a Rollout| Candidate {
        prompt: rollout.prompt,
        sample: rollout.sample,
        response: &rollout.response,
        correct: rollout.correct,
        score: scores.get(&(rollout.prompt, rollout.sample)).copied(),
    };
    rollouts.iter().map(candidate).collect()
}

impl Hooks {
    /// Scores the right responses, where the script does, and chooses among them.
    ///
    /// # Errors
    /// When the script fails, or a rule needs a score that is not there.
    pub fn select(
        &self,
        rollouts: &[Rollout],
        samples: &[Sample<impl Pictures>],
        candidates: &mut [Candidate<'_>],
        terms: Terms,
    ) -> Result<Selection, JudgingError> {
        self.score(rollouts, samples, candidates)?;
        let cap = (terms.keep_per_prompt > 0).then_some(terms.keep_per_prompt);
        let mut selection = select(candidates, terms.rule, terms.distinct, cap, terms.seed)?;
        self.keep(rollouts, samples, candidates, &mut selection)?;
        if terms.keep > 0 {
            selection.cut(terms.keep as usize, terms.seed.named("keep"));
        }
        Ok(selection)
    }
}

/// Whether some of what was left out was left out by chance.
pub fn is_drawn(rule: Rule, selection: &Selection) -> bool {
    let by_chance = matches!(rule, Rule::All | Rule::Random(_));
    selection.verdicts.iter().any(|verdict| match verdict {
        Verdict::NotDrawn | Verdict::OverCap => true,
        Verdict::OverPromptCap => by_chance,
        _ => false,
    })
}
