//! What sampling at a setting is worth, and which setting is taken: a temperature, or several knobs
//! of which the temperature is the first.

use super::{Bootstrap, Interval, mean, pass_at_k, rank_of_right};
use crate::base::Seed;
use std::cmp::Ordering;

/// From which score on a response counts as selected by a reward model, where the balance score asks:
/// what the model holds for more likely right than wrong.
pub const SELECTED_ABOVE: f64 = 0.5;

/// What sampling found for one prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Responses.
    pub samples: u32,
    /// Right ones.
    pub right: u32,
    /// How many responses, right or wrong, score better than the best right one: the largest K at
    /// which Reward-Pass@K is still missed. `samples` when none is right, `None` without scores.
    pub rank: Option<u32>,
    /// Responses that score above a threshold; all of them without scores.
    pub selected: u32,
    /// Right ones among the selected.
    pub selected_right: u32,
}

impl Tally {
    /// Counts the responses to one prompt: whether each is right and how it scores, if it does. What
    /// scores above the threshold counts as selected.
    pub fn of(responses: &[(bool, Option<f64>)], threshold: f64) -> Self {
        let (mut right, mut selected, mut selected_right) = (0, 0, 0);
        for &(is_right, score) in responses {
            let is_selected = score.is_none_or(|score| score > threshold);
            right += u32::from(is_right);
            selected += u32::from(is_selected);
            selected_right += u32::from(is_right && is_selected);
        }
        let scored: Option<Vec<(f64, bool)>> =
            responses.iter().map(|&(right, score)| Some((score?, right))).collect();
        let samples = responses.len() as u32;
        let rank = scored.map(|it| rank_of_right(&it).map_or(samples, |rank| rank as u32));
        Self { samples, right, rank, selected, selected_right }
    }
}

/// What a temperature is chosen by: each is a number of a prompt, averaged over the prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objective {
    /// Pass@K.
    Pass(u32),
    /// Reward-Pass@K.
    RewardPass(u32),
    /// The balance score of B-STaR (arXiv 2412.17256): with n responses selected, n' of them right,
    /// min(n' / K, 1) · n' / n; 0 when none is selected.
    Balance(u32),
}

impl Objective {
    /// Of one prompt; `None` when it needs more samples than there are, or scores that are not.
    pub fn of(self, tally: &Tally) -> Option<f64> {
        match self {
            Self::Pass(k) => pass_at_k(tally.samples, tally.right, k),
            Self::RewardPass(k) if k > tally.samples => None,
            Self::RewardPass(k) => Some(f64::from(u8::from(tally.rank? < k))),
            Self::Balance(wanted) => {
                let (selected, right) =
                    (f64::from(tally.selected), f64::from(tally.selected_right));
                let enough = (right / f64::from(wanted)).min(1.0);
                Some(if tally.selected == 0 { 0.0 } else { enough * right / selected })
            }
        }
    }
}

/// The objective at one setting.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// The value of each knob, the temperature first.
    pub knobs: Vec<f64>,
    /// The objective of each prompt, in the same order for all candidates.
    pub values: Vec<f64>,
}

/// What became of a candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weighed {
    /// Mean of the objective.
    pub mean: f64,
    /// Its 95 % interval.
    pub interval: Interval,
    /// How much better it is than the setting in use.
    pub difference: f64,
    /// The 95 % interval of that, paired by prompt.
    pub difference_interval: Interval,
}

/// Why a setting was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// None is better than the setting in use.
    Best,
    /// The best is better, and the interval of the difference holds 0.
    WithinNoise,
    /// The best is better beyond the noise.
    Better,
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The place of the candidate that is taken; none where the setting in use stays.
    pub taken: Option<usize>,
    /// The candidate that stands for the setting in use: the nearest.
    pub compared_with: usize,
    /// The candidate with the highest mean; of equal ones the nearest to the one in use.
    pub best: usize,
    /// Why.
    pub reason: Reason,
    /// The candidates, in their order.
    pub weighed: Vec<Weighed>,
}

/// Chooses a setting: the best candidate, if the interval of its difference to the setting in use
/// excludes 0; else the one in use stays, also when it is no candidate itself. What is near is decided
/// by the first knob, among equals by the next. `None` without candidates or without prompts.
pub fn choose(candidates: &[Trial], in_use: &[f64], seed: Seed) -> Option<Chosen> {
    // To six decimals, so that 0.6 and 1.0 are equally far from 0.8.
    let far = |(knob, in_use): (&f64, &f64)| ((knob - in_use).abs() * 1e6).round();
    let compare = |one: &[f64], other: &[f64]| {
        let pairs = one.iter().zip(other);
        pairs.map(|(a, b)| a.total_cmp(b)).find(|it| it.is_ne()).unwrap_or(Ordering::Equal)
    };
    let nearer = |one: usize, other: usize| {
        let (one, other) = (&candidates[one].knobs, &candidates[other].knobs);
        let from = |knobs: &[f64]| knobs.iter().zip(in_use).map(far).collect::<Vec<f64>>();
        compare(&from(one), &from(other)).then_with(|| compare(one, other))
    };
    let reference = (0..candidates.len()).min_by(|&a, &b| nearer(a, b))?;
    let values_in_use = &candidates[reference].values;
    let bootstrap = Bootstrap::new(values_in_use.len(), seed);
    let weigh = |candidate: &Trial| {
        let pairs = candidate.values.iter().zip(values_in_use);
        let differences: Vec<f64> = pairs.map(|(value, in_use)| value - in_use).collect();
        Some(Weighed {
            mean: mean(candidate.values.iter().copied())?,
            interval: bootstrap.interval(&candidate.values)?,
            difference: mean(differences.iter().copied())?,
            difference_interval: bootstrap.interval(&differences)?,
        })
    };
    let weighed: Vec<Weighed> = candidates.iter().map(weigh).collect::<Option<_>>()?;
    let best = (0..weighed.len()).max_by(|&a, &b| {
        weighed[a].difference.total_cmp(&weighed[b].difference).then_with(|| nearer(b, a))
    })?;
    let reason = if weighed[best].difference <= 0.0 {
        Reason::Best
    } else if weighed[best].difference_interval.low > 0.0 {
        Reason::Better
    } else {
        Reason::WithinNoise
    };
    let taken = (reason == Reason::Better).then_some(best);
    Some(Chosen { taken, compared_with: reference, best, reason, weighed })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(temperature: f64, right: usize, of: usize) -> Trial {
        let value = |at| f64::from(u8::from(at < right));
        Trial { knobs: vec![temperature], values: (0..of).map(value).collect() }
    }

    fn chosen(candidates: &[Trial], in_use: f64) -> (f64, Reason) {
        let choice = choose(candidates, &[in_use], Seed(1)).unwrap();
        (choice.taken.map_or(in_use, |taken| candidates[taken].knobs[0]), choice.reason)
    }

    #[test]
    fn tallies_count_what_is_right_and_what_a_model_would_take() {
        let plain = Tally::of(&[(true, None), (false, None), (true, None)], SELECTED_ABOVE);
        let expected = Tally { samples: 3, right: 2, rank: None, selected: 3, selected_right: 2 };
        assert_eq!(plain, expected);
        let scored = [(false, 0.9), (true, 0.2), (true, 0.6), (false, 0.5)];
        let scored = scored.map(|(right, score)| (right, Some(score)));
        let expected =
            Tally { samples: 4, right: 2, rank: Some(1), selected: 2, selected_right: 1 };
        assert_eq!(Tally::of(&scored, SELECTED_ABOVE), expected);
        let lower = Tally::of(&scored, 0.1);
        assert_eq!((lower.selected, lower.selected_right), (4, 2));
        let wrong = [(false, Some(0.9)), (false, Some(0.1))];
        assert_eq!(Tally::of(&wrong, SELECTED_ABOVE).rank, Some(2));
        assert_eq!(Tally::of(&[], SELECTED_ABOVE).rank, Some(0));
    }

    #[test]
    fn objectives_of_hand_made_tallies() {
        let tally = Tally { samples: 8, right: 2, rank: Some(3), selected: 4, selected_right: 2 };
        assert_eq!(Objective::Pass(8).of(&tally), Some(1.0));
        assert_eq!(Objective::Pass(1).of(&tally), Some(0.25));
        assert_eq!(Objective::Pass(9).of(&tally), None);
        assert_eq!(Objective::RewardPass(3).of(&tally), Some(0.0));
        assert_eq!(Objective::RewardPass(4).of(&tally), Some(1.0));
        assert_eq!(Objective::RewardPass(9).of(&tally), None);
        assert_eq!(Objective::RewardPass(1).of(&Tally { rank: None, ..tally }), None);
        // min(2/8, 1) · 2/4, then enough of them, then purity alone, then nothing selected.
        assert_eq!(Objective::Balance(8).of(&tally), Some(0.125));
        assert_eq!(Objective::Balance(2).of(&tally), Some(0.5));
        let pure = Tally { selected: 2, ..tally };
        assert_eq!(Objective::Balance(1).of(&pure), Some(1.0));
        let none = Tally { selected: 0, selected_right: 0, ..tally };
        assert_eq!(Objective::Balance(8).of(&none), Some(0.0));
    }

    #[test]
    fn a_clear_gain_moves_and_noise_does_not() {
        let low = candidate(0.5, 40, 100);
        assert_eq!(chosen(&[low.clone(), candidate(1.0, 70, 100)], 0.5), (1.0, Reason::Better));
        // Of prompts that differ, as many got better as got worse but one.
        let mut mixed = low.clone();
        mixed.knobs = vec![1.0];
        (30..40).for_each(|at| mixed.values[at] = 0.0);
        (40..51).for_each(|at| mixed.values[at] = 1.0);
        assert_eq!(chosen(&[low, mixed], 0.5), (0.5, Reason::WithinNoise));
    }

    #[test]
    fn prompts_are_paired() {
        // Seven prompts of a hundred got better and none worse: sure, though the means lie close.
        let candidates = [candidate(0.5, 40, 100), candidate(1.0, 47, 100)];
        let choice = choose(&candidates, &[0.5], Seed(1)).unwrap();
        assert_eq!((choice.taken, choice.reason), (Some(1), Reason::Better));
        assert!(choice.weighed[0].interval.high > choice.weighed[1].interval.low);
    }

    #[test]
    fn ties_go_to_the_temperature_in_use_and_then_to_the_nearest() {
        let same = [0.3, 0.5, 0.7].map(|temperature| candidate(temperature, 5, 10));
        assert_eq!(chosen(&same, 0.5), (0.5, Reason::Best));
        let better = [
            candidate(0.3, 1, 40),
            candidate(0.6, 30, 40),
            candidate(1.0, 30, 40),
            candidate(1.4, 30, 40),
        ];
        assert_eq!(chosen(&better, 0.3).0, 0.6);
        // From a reference outside, the nearest candidate stands for it; equally near, the lower.
        let choice = choose(&better[1..], &[0.8], Seed(1)).unwrap();
        assert_eq!((choice.compared_with, choice.best), (0, 0));
        assert_eq!((choice.taken, choice.reason), (None, Reason::Best));
    }

    #[test]
    fn a_temperature_that_is_no_candidate_is_left_only_for_a_better_one() {
        let candidates = [candidate(0.5, 20, 40), candidate(2.5, 0, 40)];
        let choice = choose(&candidates, &[3.0], Seed(1)).unwrap();
        assert_eq!((choice.taken, choice.compared_with), (Some(0), 1));
        assert_eq!(chosen(&candidates, 0.4), (0.4, Reason::Best));
    }

    #[test]
    fn nothing_measured_chooses_nothing() {
        assert_eq!(choose(&[], &[1.0], Seed(1)), None);
        assert_eq!(choose(&[candidate(1.0, 0, 0)], &[1.0], Seed(1)), None);
    }

    #[test]
    fn of_settings_that_are_equally_good_the_one_with_most_knobs_in_place_is_taken() {
        let setting = |knobs: [f64; 2], right| Trial {
            knobs: knobs.to_vec(),
            values: candidate(0.0, right, 40).values,
        };
        let candidates = [
            setting([0.5, 0.1], 5),
            setting([0.5, 0.9], 30),
            setting([1.0, 0.1], 30),
            setting([1.0, 0.4], 30),
        ];
        let choice = choose(&candidates, &[0.5, 0.2], Seed(1)).unwrap();
        assert_eq!((choice.compared_with, choice.taken), (0, Some(1)));
        let choice = choose(&candidates, &[1.0, 0.2], Seed(1)).unwrap();
        assert_eq!((choice.compared_with, choice.taken, choice.reason), (2, None, Reason::Best));
    }
}
