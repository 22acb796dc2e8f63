//! How well scores rank: the area under the curve with its interval, the curve, and whether a score
//! means what it says.

use super::{Bootstrap, Interval, mean};
use crate::base::Seed;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Draws of the bootstrap.
const RESAMPLES: usize = 1000;

/// A score beside what turned out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// What the model said.
    pub score: f64,
    /// How good it was, 0 to 1; between, it counts as so much of a good one and the rest of a bad.
    pub truth: f64,
    /// What it was drawn with: the interval resamples groups, since what is of one prompt is alike.
    pub group: usize,
}

/// The probability that a good one has a higher score than a bad one, ties counting half (Hanley
/// and `McNeil` 1982). `None` when all are good or all are bad.
pub fn auc(judged: &[Judged]) -> Option<f64> {
    area(&by_score(judged), |_| 1.0)
}

/// The 95 % interval of [`auc`], by the bootstrap over groups: percentiles of 1000 resamples.
/// `None` where there is no area, or fewer than two groups.
pub fn auc_interval(judged: &[Judged], seed: Seed) -> Option<Interval> {
    let groups = judged.iter().map(|it| it.group + 1).max().unwrap_or(0);
    let sorted = by_score(judged);
    auc(judged).filter(|_| groups > 1)?;
    let mut generator = seed.named("bootstrap").generator();
    let mut areas: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            let mut times = vec![0.0; groups];
            (0..groups).for_each(|_| times[generator.random_range(0..groups)] += 1.0);
            area(&sorted, |group| times[group])
        })
        .collect();
    areas.sort_by(f64::total_cmp);
    let at = |share: f64| areas.get(((areas.len() as f64 - 1.0) * share).round() as usize);
    Some(Interval { low: *at(0.025)?, high: *at(0.975)? })
}

/// How well scores rank what is of one group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Within {
    /// The mean over groups of the area of each.
    pub auc: f64,
    /// Its 95 % interval, by the bootstrap over these groups; none for fewer than two.
    pub interval: Option<Interval>,
    /// Groups with something to tell apart.
    pub groups: usize,
}

/// The area among pairs of the same group, which is all that a choice within groups depends on: the
/// mean over the groups that have a good and a bad one. Nothing is compared with itself, so that
/// what counts as both makes no pair alone. `None` without such a group.
pub fn auc_within(judged: &[Judged], seed: Seed) -> Option<Within> {
    let mut groups: BTreeMap<usize, Vec<Judged>> = BTreeMap::new();
    for it in by_score(judged) {
        groups.entry(it.group).or_default().push(it);
    }
    let areas: Vec<f64> = groups.values().filter_map(|group| area_of_pairs(group)).collect();
    let bootstrap = Bootstrap::new(areas.len(), seed.named("within"));
    let interval = bootstrap.interval(&areas).filter(|_| areas.len() > 1);
    Some(Within { auc: mean(areas.iter().copied())?, interval, groups: areas.len() })
}

/// The area, without what each one would have against itself.
fn area_of_pairs(sorted: &[Judged]) -> Option<f64> {
    let (good, bad) = weights(sorted, |_| 1.0);
    let alone: f64 = sorted.iter().map(|it| it.truth * (1.0 - it.truth)).sum();
    let pairs = good * bad - alone;
    // Sums of shares leave a last bit where there is no pair.
    let wins = area(sorted, |_| 1.0).filter(|_| pairs > 1e-9)? * good * bad;
    Some(((wins - alone / 2.0) / pairs).clamp(0.0, 1.0))
}

/// By rising score.
fn by_score(judged: &[Judged]) -> Vec<Judged> {
    let mut sorted = judged.to_vec();
    sorted.sort_by(|one, other| one.score.total_cmp(&other.score));
    sorted
}

/// The area, with each group counted so many times.
fn area(sorted: &[Judged], times: impl Fn(usize) -> f64) -> Option<f64> {
    let (mut good, mut bad, mut wins) = (0.0, 0.0, 0.0);
    for tied in sorted.chunk_by(|one, other| one.score == other.score) {
        let (here_good, here_bad) = weights(tied, &times);
        wins += here_good * (bad + here_bad / 2.0);
        good += here_good;
        bad += here_bad;
    }
    (good > 0.0 && bad > 0.0).then(|| wins / (good * bad))
}

fn weights(judged: &[Judged], times: impl Fn(usize) -> f64) -> (f64, f64) {
    judged.iter().fold((0.0, 0.0), |(good, bad), it| {
        let times = times(it.group);
        (good + times * it.truth, bad + times * (1.0 - it.truth))
    })
}

/// Points of the receiver operating characteristic, from (0, 0) to (1, 1): of the bad ones, the
/// share above a threshold; of the good ones, the share above it. At most `most` points; none where
/// there is no area.
pub fn roc(judged: &[Judged], most: usize) -> Vec<[f64; 2]> {
    let sorted = by_score(judged);
    let (good, bad) = weights(&sorted, |_| 1.0);
    if good <= 0.0 || bad <= 0.0 {
        return Vec::new();
    }
    let mut points = vec![[0.0, 0.0]];
    let (mut above_good, mut above_bad) = (0.0, 0.0);
    for tied in sorted.chunk_by(|one, other| one.score == other.score).rev() {
        let (here_good, here_bad) = weights(tied, |_| 1.0);
        above_good += here_good;
        above_bad += here_bad;
        // Sums in another order may be above the whole in the last bit.
        points.push([(above_bad / bad).min(1.0), (above_good / good).min(1.0)]);
    }
    let stride = points.len().saturating_sub(1).div_ceil(most.saturating_sub(1).max(1)).max(1);
    let last = points.len() - 1;
    points
        .into_iter()
        .enumerate()
        .filter(|(at, _)| at % stride == 0 || *at == last)
        .map(|(_, point)| point)
        .collect()
}

/// Scores that are alike, and what turned out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// The mean of the scores.
    pub score: f64,
    /// The mean of what turned out: the same, if scores are probabilities.
    pub truth: f64,
    /// How many.
    pub count: u64,
}

/// Equally wide bins of scores in 0 to 1, those without scores left out.
pub fn reliability(judged: &[Judged], bins: usize) -> Vec<Bin> {
    let mut sums = vec![(0.0, 0.0, 0_u64); bins];
    for it in judged {
        let bin = ((it.score * bins as f64) as usize).min(bins.saturating_sub(1));
        let (score, truth, count) = &mut sums[bin];
        *score += it.score;
        *truth += it.truth;
        *count += 1;
    }
    let bin = |(score, truth, count): (f64, f64, u64)| Bin {
        score: score / count as f64,
        truth: truth / count as f64,
        count,
    };
    sums.into_iter().filter(|(_, _, count)| *count > 0).map(bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(pairs: &[(f64, f64)]) -> Vec<Judged> {
        let judge = |(group, &(score, truth))| Judged { score, truth, group };
        pairs.iter().enumerate().map(judge).collect()
    }

    #[test]
    fn the_area_counts_pairs() {
        assert_eq!(auc(&judged(&[(0.9, 1.0), (0.1, 0.0)])), Some(1.0));
        assert_eq!(auc(&judged(&[(0.1, 1.0), (0.9, 0.0)])), Some(0.0));
        assert_eq!(auc(&judged(&[(0.5, 1.0), (0.5, 0.0)])), Some(0.5));
        // Of two good and two bad, three pairs of four are in order.
        let mixed = judged(&[(0.8, 1.0), (0.6, 0.0), (0.4, 1.0), (0.2, 0.0)]);
        assert_eq!(auc(&mixed), Some(0.75));
        assert_eq!(auc(&judged(&[(0.5, 1.0)])), None);
        assert_eq!(auc(&[]), None);
    }

    #[test]
    fn a_share_counts_as_so_many_good_and_bad_ones() {
        let shares = judged(&[(0.9, 0.75), (0.1, 0.25)]);
        let apart: Vec<(f64, f64)> = [(0.9, 3), (0.1, 1)]
            .into_iter()
            .flat_map(|(score, good)| (0..4).map(move |at| (score, f64::from(u8::from(at < good)))))
            .collect();
        assert_eq!(auc(&shares), auc(&judged(&apart)));
    }

    #[test]
    fn the_interval_holds_the_area_and_shrinks() {
        let of = |count: usize| {
            let pairs: Vec<(f64, f64)> = (0..count)
                .map(|at| {
                    let noise = Seed(1).uniform_at(at as u64, 0);
                    let truth = (at % 2) as f64;
                    (0.6 * noise + 0.2 * truth, truth)
                })
                .collect();
            let judged = judged(&pairs);
            (auc(&judged).unwrap(), auc_interval(&judged, Seed(2)).unwrap())
        };
        let ((few, wide), (many, narrow)) = (of(40), of(1000));
        assert!(wide.low < few && few < wide.high, "{few} {wide:?}");
        assert!(narrow.low < many && many < narrow.high, "{many} {narrow:?}");
        assert!(narrow.high - narrow.low < (wide.high - wide.low) / 2.0);
        assert_eq!(of(40), of(40));
        // One prompt tells nothing of others.
        let alone =
            [(0.9, 1.0), (0.1, 0.0)].map(|(score, truth)| Judged { score, truth, group: 0 });
        assert_eq!(auc_interval(&alone, Seed(2)), None);
    }

    #[test]
    fn only_pairs_of_a_prompt_are_compared_within() {
        let of = |each: &[(f64, f64, usize)]| {
            let judge = |&(score, truth, group)| Judged { score, truth, group };
            each.iter().map(judge).collect::<Vec<Judged>>()
        };
        // The first prompt's pair is in order, the second's is not; good ones of the first are far
        // above the bad one of the second.
        let two = of(&[(0.9, 1.0, 0), (0.8, 0.0, 0), (0.1, 1.0, 1), (0.2, 0.0, 1)]);
        let within = auc_within(&two, Seed(1)).unwrap();
        assert_eq!((within.auc, within.groups), (0.5, 2));
        assert_eq!(within.interval, Some(Interval { low: 0.0, high: 1.0 }));
        // Prompts count alike, however many pairs they have: 3 of 4 in one, 0 of 1 in the other.
        let uneven = of(&[
            (0.8, 1.0, 4),
            (0.6, 0.0, 4),
            (0.4, 1.0, 4),
            (0.2, 0.0, 4),
            (0.1, 1.0, 7),
            (0.2, 0.0, 7),
            (0.99, 1.0, 8),
        ]);
        let within = auc_within(&uneven, Seed(1)).unwrap();
        assert_eq!((within.auc, within.groups), (0.375, 2));
        // A score that knows the prompt alone ranks well over all, and tells nothing within.
        let prompts = (0..20).flat_map(|group| {
            let easy = group % 2 == 0;
            let truths = if easy { [1.0, 1.0, 1.0, 0.0] } else { [1.0, 0.0, 0.0, 0.0] };
            truths.map(|truth| (if easy { 0.8 } else { 0.3 }, truth, group))
        });
        let blind = of(&prompts.collect::<Vec<_>>());
        // Of 40 good and 40 bad, 30 · 30 pairs in order and 2 · 30 · 10 ties.
        assert_eq!(auc(&blind), Some(0.75));
        let within = auc_within(&blind, Seed(1)).unwrap();
        assert_eq!((within.auc, within.groups), (0.5, 20));
        assert_eq!(within.interval, Some(Interval { low: 0.5, high: 0.5 }));
    }

    #[test]
    fn nothing_is_compared_with_itself() {
        let of = |each: &[(f64, f64)]| -> Vec<Judged> {
            each.iter().map(|&(score, truth)| Judged { score, truth, group: 3 }).collect()
        };
        assert_eq!(auc_within(&of(&[(0.7, 0.5)]), Seed(1)), None);
        assert_eq!(auc_within(&of(&[(0.7, 1.0), (0.2, 1.0)]), Seed(1)), None);
        assert_eq!(auc_within(&[], Seed(1)), None);
        // Good above bad with .75 · .75, the other way round with .25 · .25.
        let shares = auc_within(&of(&[(0.9, 0.75), (0.1, 0.25)]), Seed(1)).unwrap();
        assert!((shares.auc - 0.9).abs() < 1e-12, "{shares:?}");
        assert_eq!((shares.interval, shares.groups), (None, 1));
    }

    #[test]
    fn the_curve_goes_from_corner_to_corner() {
        let mixed = judged(&[(0.8, 1.0), (0.6, 0.0), (0.4, 1.0), (0.2, 0.0)]);
        assert_eq!(roc(&mixed, 50), [[0.0, 0.0], [0.0, 0.5], [0.5, 0.5], [0.5, 1.0], [1.0, 1.0]]);
        let many: Vec<(f64, f64)> = (0..999).map(|at| (f64::from(at), f64::from(at % 2))).collect();
        let curve = roc(&judged(&many), 50);
        assert!(curve.len() <= 50 && curve[0] == [0.0, 0.0], "{}", curve.len());
        assert_eq!(curve.last(), Some(&[1.0, 1.0]));
        assert_eq!(roc(&judged(&[(0.5, 1.0)]), 50), Vec::<[f64; 2]>::new());
    }

    #[test]
    fn bins_hold_means() {
        let bins = reliability(&judged(&[(0.05, 0.0), (0.15, 1.0), (0.95, 1.0), (1.0, 0.5)]), 5);
        assert_eq!(bins.len(), 2);
        assert!((bins[0].score - 0.1).abs() < 1e-12 && bins[0].truth == 0.5);
        assert_eq!((bins[1].truth, bins[1].count), (0.75, 2));
    }
}
