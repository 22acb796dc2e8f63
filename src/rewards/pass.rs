//! Pass@K of one prompt, the rank that decides its Reward-Pass@K, and means over prompts.

/// The probability that some of `k` responses, drawn without replacement from `count` of which
/// `correct` are right, is right: 1 - C(count - correct, k) / C(count, k), the unbiased estimate of
/// Pass@K (Chen et al., 2021, arXiv 2107.03374, equation 1). `None` when there are fewer than `k`
/// responses or more right ones than responses.
pub fn pass_at_k(count: u32, correct: u32, k: u32) -> Option<f64> {
    if k > count || correct > count {
        return None;
    }
    if count - correct < k {
        return Some(1.0);
    }
    let wrong = (count - correct + 1..=count).map(|of| 1.0 - f64::from(k) / f64::from(of));
    Some(1.0 - wrong.product::<f64>())
}

/// How many of a prompt's responses, right or wrong, score better than the best right one; `None` when
/// none is right. Of equal scores the earlier response comes first, and what is not a number comes
/// last.
pub fn rank_of_right(responses: &[(f64, bool)]) -> Option<usize> {
    best_first(responses, |(score, _)| *score).iter().position(|(_, correct)| *correct)
}

/// The highest score first; of equal scores the earlier one, and what is not a number last.
pub(super) fn best_first<T>(scored: &[T], score: impl Fn(&T) -> f64) -> Vec<&T> {
    let rank = |it: &T| match score(it) {
        score if score.is_nan() => f64::NEG_INFINITY,
        // The two zeros are equal.
        score => score + 0.0,
    };
    let mut order: Vec<&T> = scored.iter().collect();
    order.sort_by(|one, other| rank(other).total_cmp(&rank(one)));
    order
}

/// The mean; `None` of nothing.
pub fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0_u64);
    for value in values {
        sum += value;
        count += 1;
    }
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The share of all subsets of size `k` that hold a right response, by counting them.
    fn by_counting(count: u32, correct: u32, k: u32) -> f64 {
        let subsets = (0_u32..1 << count).filter(|subset| subset.count_ones() == k);
        let right = (1_u32 << correct) - 1;
        let (mut hits, mut all) = (0.0, 0.0);
        for subset in subsets {
            all += 1.0;
            hits += f64::from(u8::from(subset & right != 0));
        }
        hits / all
    }

    #[test]
    fn the_estimate_is_the_share_of_subsets() {
        for count in 1..=8 {
            for correct in 0..=count {
                for k in 1..=count {
                    let estimate = pass_at_k(count, correct, k).unwrap();
                    let counted = by_counting(count, correct, k);
                    assert!((estimate - counted).abs() < 1e-12, "{count} {correct} {k}");
                }
            }
        }
        assert_eq!(pass_at_k(4, 2, 5), None);
        assert_eq!(pass_at_k(4, 5, 2), None);
        assert_eq!(pass_at_k(16, 16, 16), Some(1.0));
    }

    #[test]
    fn the_best_right_response_is_ranked_among_all() {
        let responses = [(0.2, true), (0.9, false), (0.5, true), (0.5, false)];
        assert_eq!(rank_of_right(&responses), Some(1));
        assert_eq!(rank_of_right(&[(0.5, false), (0.5, true)]), Some(1));
        assert_eq!(rank_of_right(&[(0.5, true), (0.5, false)]), Some(0));
        assert_eq!(rank_of_right(&[(f64::NAN, true), (-1.0, false)]), Some(1));
        assert_eq!(rank_of_right(&[(0.9, false)]), None);
        assert_eq!(rank_of_right(&[]), None);
    }

    #[test]
    fn mean_of_nothing_is_nothing() {
        assert_eq!(mean([]), None);
        assert_eq!(mean([1.0, 0.0, 0.5]), Some(0.5));
    }
}
