//! Which of a prompt's responses are kept to train on: the H of the objective.
//!
//! Wrong responses are dropped, then exact repetitions of a response to the same prompt (the lowest
//! sample stays), then the rule picks among what is left, at most `cap` a prompt. What is random
//! depends on the seed, the prompt and the sample alone, so that one response more or less does not
//! shuffle the others. Of every response it is said why it was kept or left.

use crate::base::{Hint, Seed};
use indexmap::IndexMap;
use rand::seq::SliceRandom as _;
use serde::{Deserialize, Serialize};
use std::{cmp::Reverse, collections::BTreeSet};

/// A response that may be kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate<'a> {
    /// The prompt's id.
    pub prompt: u64,
    /// Which of the prompt's samples it is.
    pub sample: u32,
    /// Its text.
    pub response: &'a str,
    /// What the answer reward says.
    pub correct: bool,
    /// What the reward model says, higher is better; needed by [`Rule::Top`] and [`Rule::Above`].
    pub score: Option<f64>,
}

/// How to pick among the right responses to one prompt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// All of them.
    All,
    /// So many, at random.
    Random(u32),
    /// So many with the highest scores; of equal scores the lower sample.
    Top(u32),
    /// Those with a score above this, strictly.
    Above(f64),
}

/// A rule needs a score that a candidate does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sample {sample} of prompt {prompt} has no score to select by")]
pub struct SelectError {
    /// The prompt's id.
    pub prompt: u64,
    /// The sample.
    pub sample: u32,
}

impl Hint for SelectError {
    fn hint(&self) -> Option<String> {
        Some("score the rollouts with a reward model, or select with `all` or `random`".into())
    }
}

/// What became of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is trained on.
    Kept,
    /// The answer reward refused it.
    WrongAnswer,
    /// Its prompt is unlabelled, and no pseudo answer was found.
    NoPseudoAnswer,
    /// A lower sample of the same prompt says exactly the same.
    Duplicate,
    /// The rule drew others.
    NotDrawn,
    /// The reward model preferred others, or the rule's threshold.
    LowScore,
    /// The script did not keep it.
    Hook,
    /// Its prompt has as many as it may have.
    OverPromptCap,
    /// There are as many as there may be in all.
    OverCap,
}

impl Verdict {
    /// Such as `wrong-answer`, as tables write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::WrongAnswer => "wrong-answer",
            Self::NoPseudoAnswer => "no-pseudo-answer",
            Self::Duplicate => "duplicate",
            Self::NotDrawn => "not-drawn",
            Self::LowScore => "low-score",
            Self::Hook => "hook",
            Self::OverPromptCap => "over-prompt-cap",
            Self::OverCap => "over-cap",
        }
    }
}

/// What was chosen, and why the rest was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Places of the kept candidates: prompts in the order in which they first appear, samples
    /// ascending within each.
    pub kept: Vec<usize>,
    /// Of each candidate, what became of it.
    pub verdicts: Vec<Verdict>,
}

impl Selection {
    /// Keeps at most `most` in all, drawn at random, in the order of the candidates.
    pub fn cut(&mut self, most: usize, seed: Seed) {
        if most >= self.kept.len() {
            return;
        }
        self.kept.shuffle(&mut seed.generator());
        for place in self.kept.drain(most..) {
            self.verdicts[place] = Verdict::OverCap;
        }
        self.kept.sort_unstable();
    }
}

/// Chooses among candidates.
///
/// With `distinct`, of exact duplicates only the first sample counts. `cap` bounds what is kept of a
/// prompt. Where it has to choose, it does so as the rule does: by
/// score for `Top` and `Above`, at random for `All` and `Random`.
///
/// # Errors
/// [`SelectError`] when a rule needs a score and a right candidate has none, or one that is not a
/// number.
pub fn select(
    candidates: &[Candidate<'_>],
    rule: Rule,
    distinct: bool,
    cap: Option<u32>,
    seed: Seed,
) -> Result<Selection, SelectError> {
    let mut verdicts = vec![Verdict::WrongAnswer; candidates.len()];
    let mut kept = Vec::new();
    for (prompt, mut places) in right_by_prompt(candidates) {
        places.sort_by_key(|&place| (candidates[place].sample, place));
        let mut seen = BTreeSet::new();
        places.retain(|&place| {
            let stays = seen.insert(candidates[place].response) || !distinct;
            verdicts[place] = if stays { Verdict::Kept } else { Verdict::Duplicate };
            stays
        });
        let ranked = match rule {
            Rule::All | Rule::Random(_) => {
                let seed = seed.nth(prompt);
                let mut ranked = places.clone();
                ranked.sort_by_key(|&place| seed.nth(candidates[place].sample.into()));
                ranked
            }
            Rule::Top(_) | Rule::Above(_) => by_score(candidates, &places)?,
        };
        let cap = cap.map_or(usize::MAX, |cap| cap as usize);
        for (rank, place) in ranked.into_iter().enumerate() {
            verdicts[place] = match rule {
                Rule::Random(count) if rank >= count as usize => Verdict::NotDrawn,
                Rule::Top(count) if rank >= count as usize => Verdict::LowScore,
                Rule::Above(threshold)
                    if ordered(score_of(&candidates[place])?) <= ordered(threshold) =>
                {
                    Verdict::LowScore
                }
                _ if rank >= cap => Verdict::OverPromptCap,
                _ => Verdict::Kept,
            };
        }
        kept.extend(places.into_iter().filter(|&place| verdicts[place] == Verdict::Kept));
    }
    Ok(Selection { kept, verdicts })
}

/// Places of the right candidates by prompt, prompts in the order in which they first appear.
fn right_by_prompt(candidates: &[Candidate<'_>]) -> IndexMap<u64, Vec<usize>> {
    let mut prompts: IndexMap<u64, Vec<usize>> = IndexMap::new();
    for (place, candidate) in candidates.iter().enumerate() {
        let right = prompts.entry(candidate.prompt).or_default();
        if candidate.correct {
            right.push(place);
        }
    }
    prompts
}

/// Places by falling score; of equal scores the earlier place first.
fn by_score(candidates: &[Candidate<'_>], places: &[usize]) -> Result<Vec<usize>, SelectError> {
    let mut scored = Vec::with_capacity(places.len());
    for &place in places {
        scored.push((Reverse(ordered(score_of(&candidates[place])?)), place));
    }
    scored.sort_by_key(|&(score, _)| score);
    Ok(scored.into_iter().map(|(_, place)| place).collect())
}

fn score_of(candidate: &Candidate<'_>) -> Result<f64, SelectError> {
    let Candidate { prompt, sample, .. } = *candidate;
    candidate.score.filter(|score| !score.is_nan()).ok_or(SelectError { prompt, sample })
}

/// An integer that orders as the number does; both zeros are equal.
fn ordered(score: f64) -> i64 {
    let bits = (score + 0.0).to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidate(prompt: u64, sample: u32, response: &str, score: f64) -> Candidate<'_> {
        Candidate { prompt, sample, response, correct: true, score: Some(score) }
    }

    fn samples(candidates: &[Candidate<'_>], rule: Rule, cap: Option<u32>) -> Vec<(u64, u32)> {
        let chosen = select(candidates, rule, true, cap, Seed(5)).unwrap();
        chosen.kept.into_iter().map(|at| (candidates[at].prompt, candidates[at].sample)).collect()
    }

    fn two_prompts() -> Vec<Candidate<'static>> {
        let mut candidates = vec![
            candidate(9, 2, "c", 0.5),
            candidate(9, 0, "a", 0.5),
            candidate(9, 1, "b", 0.9),
            candidate(9, 3, "a", 0.5),
            candidate(9, 4, "wrong", 1.0),
            candidate(2, 0, "a", -1.0),
            candidate(2, 1, "b", 0.0),
        ];
        candidates[4].correct = false;
        candidates
    }

    #[test]
    fn rules_pick_what_they_say() {
        let candidates = two_prompts();
        let all = [(9, 0), (9, 1), (9, 2), (2, 0), (2, 1)];
        assert_eq!(samples(&candidates, Rule::All, None), all);
        assert_eq!(samples(&candidates, Rule::Top(2), None), [(9, 0), (9, 1), (2, 0), (2, 1)]);
        assert_eq!(samples(&candidates, Rule::Top(1), None), [(9, 1), (2, 1)]);
        assert_eq!(samples(&candidates, Rule::Top(2), Some(1)), [(9, 1), (2, 1)]);
        assert_eq!(samples(&candidates, Rule::Above(0.5), None), [(9, 1)]);
        assert_eq!(samples(&candidates, Rule::Above(-0.0), None), [(9, 0), (9, 1), (9, 2)]);
        assert_eq!(samples(&candidates, Rule::Above(-2.0), Some(1)), [(9, 1), (2, 1)]);
        assert_eq!(samples(&candidates, Rule::All, Some(0)), []);
        assert_eq!(samples(&candidates, Rule::All, Some(2)).len(), 4);
    }

    #[test]
    fn every_response_is_told_why() {
        use Verdict::{Duplicate, Kept, LowScore, NotDrawn, OverCap, OverPromptCap, WrongAnswer};
        let candidates = two_prompts();
        let why = |rule, cap| select(&candidates, rule, true, cap, Seed(5)).unwrap().verdicts;
        let all = [Kept, Kept, Kept, Duplicate, WrongAnswer, Kept, Kept];
        assert_eq!(why(Rule::All, None), all);
        let top = [LowScore, LowScore, Kept, Duplicate, WrongAnswer, LowScore, Kept];
        assert_eq!(why(Rule::Top(1), Some(1)), top);
        let above = [LowScore, LowScore, Kept, Duplicate, WrongAnswer, LowScore, LowScore];
        assert_eq!(why(Rule::Above(0.5), None), above);
        let count = |verdicts: &[Verdict], of| verdicts.iter().filter(|it| **it == of).count();
        let random = why(Rule::Random(2), Some(1));
        assert_eq!((count(&random, NotDrawn), count(&random, OverPromptCap)), (1, 2));
        let mut chosen = select(&candidates, Rule::All, true, None, Seed(5)).unwrap();
        chosen.cut(2, Seed(1));
        assert_eq!((chosen.kept.len(), count(&chosen.verdicts, OverCap)), (2, 3));
        assert!(chosen.kept.iter().all(|&place| chosen.verdicts[place] == Kept));
    }

    #[test]
    fn a_rule_by_score_needs_scores_of_right_responses_only() {
        let mut candidates = two_prompts();
        candidates[4].score = None;
        assert!(select(&candidates, Rule::Top(1), true, None, Seed(1)).is_ok());
        candidates[0].score = None;
        assert!(select(&candidates, Rule::Random(1), true, None, Seed(1)).is_ok());
        let missing = SelectError { prompt: 9, sample: 2 };
        assert_eq!(select(&candidates, Rule::Top(1), true, None, Seed(1)), Err(missing));
        candidates[0].score = Some(f64::NAN);
        assert_eq!(select(&candidates, Rule::Above(0.0), true, None, Seed(1)), Err(missing));
    }

    #[test]
    fn random_is_even_and_stays_when_others_leave() {
        let texts: Vec<String> = (0..4).map(|sample| sample.to_string()).collect();
        let candidates: Vec<Candidate<'_>> = (0..4000)
            .map(|at| candidate(at / 4, (at % 4) as u32, &texts[(at % 4) as usize], 0.0))
            .collect();
        let mut counts = [0; 4];
        let kept = samples(&candidates, Rule::Random(2), None);
        for &(_, sample) in &kept {
            counts[sample as usize] += 1;
        }
        assert_eq!(kept.len(), 2000);
        assert!(counts.iter().all(|&count| (440..560).contains(&count)), "{counts:?}");
        let fewer: Vec<Candidate<'_>> =
            candidates.iter().copied().filter(|c| kept.contains(&(c.prompt, c.sample))).collect();
        assert_eq!(samples(&fewer, Rule::Random(2), None), kept);
    }

    #[test]
    fn rules_are_written_as_in_a_recipe() {
        let text = |rule: Rule| serde_json::to_string(&rule).unwrap();
        assert_eq!(text(Rule::All), r#""all""#);
        assert_eq!(text(Rule::Top(2)), r#"{"top":2}"#);
        assert_eq!(text(Rule::Above(0.5)), r#"{"above":0.5}"#);
        assert_eq!(serde_json::from_str::<Rule>(r#"{"random":3}"#).unwrap(), Rule::Random(3));
    }

    proptest! {
        #[test]
        fn top_is_the_best_distinct_right_ones(
            drawn in prop::collection::vec((0_u64..4, 0_u8..6, any::<bool>(), -3_i8..3), 0..60),
            count in 0_u32..4,
        ) {
            let texts: Vec<String> = (0..6).map(|text| text.to_string()).collect();
            let candidates: Vec<Candidate<'_>> = drawn.iter().zip(0..).map(
                |(&(prompt, text, correct, score), sample)| Candidate {
                    prompt, sample, response: &texts[text as usize], correct,
                    score: Some(f64::from(score)),
                }).collect();
            let kept = select(&candidates, Rule::Top(count), true, None, Seed(0)).unwrap().kept;
            for prompt in 0..4 {
                let of = |at: &&usize| candidates[**at].prompt == prompt;
                let kept: Vec<usize> = kept.iter().filter(of).copied().collect();
                let distinct: BTreeSet<&str> = candidates.iter()
                    .filter(|c| c.prompt == prompt && c.correct).map(|c| c.response).collect();
                prop_assert_eq!(kept.len(), distinct.len().min(count as usize));
                prop_assert!(kept.iter().all(|&at| candidates[at].correct));
                prop_assert!(kept.is_sorted());
            }
        }

        #[test]
        fn ordering_of_scores_is_that_of_numbers(one in any::<f64>(), other in any::<f64>()) {
            prop_assume!(!one.is_nan() && !other.is_nan());
            prop_assert_eq!(Some(ordered(one).cmp(&ordered(other))), one.partial_cmp(&other));
        }
    }

    #[test]
    fn duplicates_stay_when_they_are_wanted() {
        let candidates = [candidate(1, 0, "same", 0.0), candidate(1, 1, "same", 0.0)];
        let kept = |distinct| select(&candidates, Rule::All, distinct, None, Seed(0)).unwrap().kept;
        assert_eq!(kept(true), vec![0]);
        assert_eq!(kept(false), vec![0, 1]);
    }
}
