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
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]).then(a.cmp(&b)));
    let mut kept = sampling.top_k.unwrap_or(order.len()).clamp(1, order.len());
    if let Some(share) = sampling.top_p {
        let total: f64 = order[..kept].iter().map(|&token| f64::from(probabilities[token])).sum();
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
