//! How the next token is drawn: temperature, filters and the inverse of the cumulative distribution.

use serde::{Deserialize, Serialize};

/// What a response is drawn with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// Logits are divided by it; 0 takes the likeliest token.
    pub temperature: f64,
    /// Keep at most this many of the likeliest tokens.
    pub top_k: Option<usize>,
    /// Keep the likeliest tokens whose sum first reaches this share, in (0, 1].
    pub top_p: Option<f64>,
    /// Keep the tokens at least this share as likely as the likeliest, in [0, 1].
    pub min_p: Option<f64>,
    /// The longest response, in tokens, the stop token included; shorter where the model's positions
    /// end.
    pub max_new_tokens: usize,
    /// Tokens that end a response; the one that ended it is its last token.
    pub stop: Vec<i64>,
}

impl Sampling {
    /// The likeliest token at each position.
    pub fn greedy(max_new_tokens: usize, stop: &[i64]) -> Self {
        Self::at(0.0, max_new_tokens, stop)
    }

    /// Unfiltered draws at a temperature.
    pub fn at(temperature: f64, max_new_tokens: usize, stop: &[i64]) -> Self {
        let stop = stop.to_vec();
        Self { temperature, top_k: None, top_p: None, min_p: None, max_new_tokens, stop }
    }

    /// Whether the likeliest token is taken.
    pub fn is_greedy(&self) -> bool {
        self.temperature == 0.0
    }

    fn filters(&self) -> bool {
        self.top_k.is_some() || self.top_p.is_some() || self.min_p.is_some()
    }
}

/// Draws one token from probabilities that the temperature has already shaped. `uniform` in (0, 1)
/// is the only source of chance: the token is where the cumulative sum over the kept tokens, in
/// the order of the vocabulary, first exceeds that share of their sum.
pub fn draw(probabilities: &mut [f32], sampling: &Sampling, uniform: f64) -> usize {
    if sampling.filters() {
        filter(probabilities, sampling);
    }
    let total: f64 = probabilities.iter().map(|&p| f64::from(p)).sum();
    let target = uniform * total;
    let mut sum = 0.0;
    let mut last = 0;
    for (token, &probability) in probabilities.iter().enumerate() {
        if probability > 0.0 {
            sum += f64::from(probability);
            last = token;
            if sum > target {
                break;
            }
        }
    }
    last
}

/// Sets to 0 what the filters drop: `top_k`, then `top_p` of what is left, then `min_p`. Of equally
/// likely tokens the one with the lower number is kept first.
fn filter(probabilities: &mut [f32], sampling: &Sampling) {
    let last = match (sampling.top_k, sampling.top_p) {
        (Some(k), share) => last_of_top(probabilities, k, share),
        (None, Some(share)) => last_of_nucleus(probabilities, share),
        (None, None) => None,
    };
    if let Some(last) = last {
        for (token, probability) in probabilities.iter_mut().enumerate() {
            if rank(token, *probability) > last {
                *probability = 0.0;
            }
        }
    }
    if let Some(share) = sampling.min_p {
        let least = share * f64::from(probabilities.iter().copied().fold(0.0, f32::max));
        for probability in probabilities {
            if f64::from(*probability) < least {
                *probability = 0.0;
            }
        }
    }
}

/// A number that is the smaller the likelier a token is, and of equally likely ones the lower its
/// own: bits of floats are in the order of their values where none is negative.
fn rank(token: usize, probability: f32) -> u64 {
    (u64::from(!probability.to_bits()) << 32) | token as u64
}

/// The probability of the token of a rank.
fn probability(rank: u64) -> f64 {
    f64::from(f32::from_bits(!((rank >> 32) as u32)))
}

/// Ranks of the tokens that are at least so likely, in the order of the vocabulary.
fn ranks(probabilities: &[f32], least: f64) -> Vec<u64> {
    let tokens = probabilities.iter().enumerate();
    let likely = tokens.filter(|&(_, &probability)| f64::from(probability) >= least);
    likely.map(|(token, &probability)| rank(token, probability)).collect()
}

/// The last of the likeliest `k` tokens, or of those of them that first reach a share of their sum.
fn last_of_top(probabilities: &[f32], k: usize, share: Option<f64>) -> Option<u64> {
    let mut ranks = ranks(probabilities, 0.0);
    let kept = k.clamp(1, ranks.len());
    let (_, last, _) = ranks.select_nth_unstable(kept - 1);
    let last = *last;
    match share {
        Some(share) => last_in_order(&mut ranks[..kept], share),
        None => Some(last),
    }
}

/// The last of the likeliest tokens that first reach a share of the sum of all.
fn last_of_nucleus(probabilities: &[f32], share: f64) -> Option<u64> {
    // The sum is by definition that from the likeliest down. One in any order is within
    // (n - 1) * 2^-53 of the true one, relatively, so that the two are nearer than the slack, with
    // room for the few roundings below.
    let total: f64 = probabilities.iter().map(|&probability| f64::from(probability)).sum();
    let slack = 4.0 * f64::EPSILON * probabilities.len() as f64;
    let [low, high] = [1.0 - slack, 1.0 + slack].map(|part| share * (total * part));
    // What is less likely than this comes, n tokens at most, to less than 1 - share of the sum. The
    // others reach the share, so that the nucleus is among them.
    let least = (1.0 - share) * total / probabilities.len() as f64;
    let mut likely = ranks(probabilities, least);
    likely.sort_unstable();
    if let Some((last, sum)) = reached(&likely, low)
        && sum >= high
    {
        return Some(last);
    }
    // Too close for any sum but that of the definition.
    last_in_order(&mut ranks(probabilities, 0.0), share)
}

/// The last of the likeliest tokens that first reach a share of the sum of these.
fn last_in_order(ranks: &mut [u64], share: f64) -> Option<u64> {
    ranks.sort_unstable();
    let total: f64 = ranks.iter().map(|&rank| probability(rank)).sum();
    reached(ranks, share * total).map(|(last, _)| last)
}

/// The first of these at which their sum reaches a target, and that sum.
fn reached(ranks: &[u64], target: f64) -> Option<(u64, f64)> {
    let mut sum = 0.0;
    let mut sums = ranks.iter().map(|&rank| {
        sum += probability(rank);
        (rank, sum)
    });
    sums.find(|(_, sum)| *sum >= target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HAND: [f32; 5] = [0.1, 0.4, 0.05, 0.25, 0.2];

    fn kept(change: impl Fn(&mut Sampling)) -> Vec<usize> {
        let mut sampling = Sampling::at(1.0, 1, &[]);
        change(&mut sampling);
        let draw_at = |i: usize| draw(&mut HAND.clone(), &sampling, (i as f64 + 0.5) / 1000.0);
        let mut tokens: Vec<usize> = (0..1000).map(draw_at).collect();
        tokens.dedup();
        tokens
    }

    #[test]
    fn without_filters_shares_equal_probabilities() {
        let sampling = Sampling::at(1.0, 1, &[]);
        let mut counts = [0; 5];
        for i in 0..1000 {
            counts[draw(&mut HAND.clone(), &sampling, (f64::from(i) + 0.5) / 1000.0)] += 1;
        }
        assert_eq!(counts, [100, 400, 50, 250, 200]);
    }

    #[test]
    fn filters_keep_the_right_tokens() {
        assert_eq!(kept(|s| s.top_k = Some(2)), [1, 3]);
        assert_eq!(kept(|s| s.top_k = Some(99)), [0, 1, 2, 3, 4]);
        assert_eq!(kept(|s| s.top_p = Some(0.64)), [1, 3]);
        assert_eq!(kept(|s| s.top_p = Some(0.66)), [1, 3, 4]);
        assert_eq!(kept(|s| s.top_p = Some(0.01)), [1]);
        assert_eq!(kept(|s| s.min_p = Some(0.5)), [1, 3, 4]);
        assert_eq!(kept(|s| s.min_p = Some(1.0)), [1]);
    }

    #[test]
    fn top_p_is_a_share_of_what_top_k_left() {
        // Of .4 and .25, .4 is a share of .615.
        assert_eq!(kept(|s| (s.top_k, s.top_p) = (Some(2), Some(0.61))), [1]);
        assert_eq!(kept(|s| (s.top_k, s.top_p) = (Some(2), Some(0.62))), [1, 3]);
    }

    #[test]
    fn a_token_without_probability_is_never_drawn() {
        let sampling = Sampling::at(1.0, 1, &[]);
        assert_eq!(draw(&mut [0.0, 1.0, 0.0], &sampling, 1e-17), 1);
        assert_eq!(draw(&mut [0.0, 1.0, 0.0], &sampling, 1.0 - 1e-17), 1);
    }

    /// What the filters are by definition: all tokens in their order, and how many of them are kept.
    fn filter_by_definition(probabilities: &mut [f32], sampling: &Sampling) {
        let mut order: Vec<usize> = (0..probabilities.len()).collect();
        order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]).then(a.cmp(&b)));
        let mut kept = sampling.top_k.unwrap_or(order.len()).clamp(1, order.len());
        if let Some(share) = sampling.top_p {
            let total: f64 =
                order[..kept].iter().map(|&token| f64::from(probabilities[token])).sum();
            let mut sum = 0.0;
            let reached = order[..kept].iter().position(|&token| {
                sum += f64::from(probabilities[token]);
                sum >= share * total
            });
            kept = reached.map_or(kept, |index| index + 1);
        }
        if let Some(share) = sampling.min_p {
            let least = share * f64::from(probabilities[order[0]]);
            kept = order[..kept].partition_point(|&token| f64::from(probabilities[token]) >= least);
        }
        for &token in &order[kept.max(1)..] {
            probabilities[token] = 0.0;
        }
    }

    /// Distributions without ties, with many of them, and some whose sums are exact, so that shares
    /// are met to the last bit.
    fn distributions() -> impl Strategy<Value = Vec<f32>> {
        let wide = prop::collection::vec((-60.0f32..0.0).prop_map(f32::exp), 1..200);
        let tied = prop::collection::vec(prop::sample::select(vec![0.0, 1e-7, 0.1, 0.3]), 1..60);
        let exact = prop::collection::vec((0u32..4).prop_map(|it| it as f32 / 64.0), 1..60);
        prop_oneof![wide, tied, exact]
    }

    fn shares() -> impl Strategy<Value = Option<f64>> {
        let exact = prop::sample::select(vec![0.125, 0.25, 0.5, 0.75, 0.9, 1.0]);
        prop::option::of(prop_oneof![1e-3..1.0, exact])
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn filters_keep_bit_for_bit_what_they_keep_by_definition(
            distribution in distributions(),
            top_k in prop::option::of(1usize..80),
            top_p in shares(),
            min_p in shares(),
        ) {
            let sampling = Sampling { top_k, top_p, min_p, ..Sampling::at(1.0, 1, &[]) };
            let (mut found, mut wanted) = (distribution.clone(), distribution);
            filter(&mut found, &sampling);
            filter_by_definition(&mut wanted, &sampling);
            let bits = |of: &[f32]| of.iter().map(|it| it.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&found), bits(&wanted));
        }
    }
}
