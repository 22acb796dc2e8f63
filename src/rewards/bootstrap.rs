//! Intervals of means over prompts, by drawing the prompts again.

use super::Interval;
use crate::base::Seed;
use rand::Rng as _;

/// Times that the prompts are drawn.
const RESAMPLES: usize = 2000;

/// The percentile bootstrap (Efron, 1979) of means over prompts. All means are resampled by the same
/// draws of prompts, so that an interval of a difference is that of paired measurements.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// Places of the prompts that were drawn, `prompts` for each resample.
    drawn: Vec<u32>,
    prompts: usize,
}

impl Bootstrap {
    /// Draws from so many prompts.
    pub fn new(prompts: usize, seed: Seed) -> Self {
        let mut generator = seed.generator();
        let most = u32::try_from(prompts).expect("prompts are numbered by 32 bits");
        let drawn = match prompts {
            0 => Vec::new(),
            _ => (0..RESAMPLES * prompts).map(|_| generator.random_range(0..most)).collect(),
        };
        Self { drawn, prompts }
    }

    /// The 95 % interval of the mean of one value a prompt; `None` without prompts, or for another
    /// number of values.
    pub fn interval(&self, values: &[f64]) -> Option<Interval> {
        if self.prompts == 0 || values.len() != self.prompts {
            return None;
        }
        let mean = |places: &[u32]| {
            places.iter().map(|&place| values[place as usize]).sum::<f64>() / places.len() as f64
        };
        let mut means: Vec<f64> = self.drawn.chunks_exact(self.prompts).map(mean).collect();
        means.sort_by(f64::total_cmp);
        Some(Interval { low: percentile(&means, 0.025), high: percentile(&means, 0.975) })
    }
}

/// A percentile of sorted values, between two of them where it falls so.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_share_is_as_wide_as_the_binomial() {
        let values: Vec<f64> = (0..1000).map(|at| f64::from(u8::from(at % 4 == 0))).collect();
        let interval = Bootstrap::new(1000, Seed(3)).interval(&values).unwrap();
        // 1.96 · √(.25 · .75 / 1000) = .02684.
        assert!((0.25 - interval.low - 0.026_84).abs() < 2.5e-3, "{interval:?}");
        assert!((interval.high - 0.25 - 0.026_84).abs() < 2.5e-3, "{interval:?}");
    }

    #[test]
    fn what_is_the_same_for_all_prompts_is_certain() {
        let bootstrap = Bootstrap::new(40, Seed(3));
        assert_eq!(bootstrap.interval(&[0.5; 40]), Some(Interval { low: 0.5, high: 0.5 }));
        assert_eq!(bootstrap.interval(&[0.5; 39]), None);
        assert_eq!(Bootstrap::new(0, Seed(3)).interval(&[]), None);
    }

    #[test]
    fn a_paired_difference_is_surer_than_its_parts() {
        // Prompts differ much, and one measurement is a little better on each.
        let one: Vec<f64> = (0..100).map(|at| f64::from(at) / 100.0).collect();
        let other: Vec<f64> = one.iter().map(|value| value + 0.01).collect();
        let difference: Vec<f64> = one.iter().zip(&other).map(|(one, other)| other - one).collect();
        let bootstrap = Bootstrap::new(100, Seed(3));
        assert!(bootstrap.interval(&difference).unwrap().low > 0.0);
        let [one, other] = [one, other].map(|values| bootstrap.interval(&values).unwrap());
        assert!(one.high > other.low, "{one:?} {other:?}");
    }

    #[test]
    fn the_seed_decides() {
        let values: Vec<f64> = (0..50).map(|at| f64::from(at * at % 7)).collect();
        let at = |seed| Bootstrap::new(50, Seed(seed)).interval(&values);
        assert_eq!(at(1), at(1));
        assert_ne!(at(1), at(2));
    }
}
