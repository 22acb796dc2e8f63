//! How sure a difference between two policies is that answered the same prompts.

use crate::base::Seed;
use rand::Rng as _;

/// Resamples of the prompts.
const RESAMPLES: usize = 2000;

/// The mean of differences by prompt (1, 0 or -1 for each) with its 95 % interval: percentiles of the
/// means of resampled prompts. The same differences give the same interval.
pub fn paired_difference(differences: &[i32]) -> Option<(f64, [f64; 2])> {
    let count = differences.len();
    if count == 0 {
        return None;
    }
    let mean = |sum: i32| f64::from(sum) / count as f64;
    let mut generator = Seed(0).named("paired difference").generator();
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| mean((0..count).map(|_| differences[generator.random_range(0..count)]).sum()))
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[(share * (RESAMPLES - 1) as f64).round() as usize];
    Some((mean(differences.iter().sum()), [at(0.025), at(0.975)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_has_the_width_of_its_variance() {
        let differences: Vec<i32> = (0..600).map(|index| [1, 0, -1, 1, 0, 0][index % 6]).collect();
        let (mean, [low, high]) = paired_difference(&differences).unwrap();
        assert!((mean - 1.0 / 6.0).abs() < 1e-12);
        // The variance of one difference is 3/6 - 1/36.
        let half = 1.96 * ((0.5 - 1.0 / 36.0) / 600.0_f64).sqrt();
        assert!(((high - low) / 2.0 - half).abs() < 0.08 * half, "{low} {high}");
        assert_eq!(paired_difference(&differences), paired_difference(&differences));
        assert_eq!(paired_difference(&[0; 9]), Some((0.0, [0.0, 0.0])));
        assert_eq!(paired_difference(&[]), None);
    }
}
