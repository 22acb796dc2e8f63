//! Means with 95 % intervals: Student's t over members, the bootstrap over prompts.
//!
//! A resample of n prompts is drawn by how many of each distinct value it holds, which has the same
//! distribution as drawing prompt after prompt and costs no time for each of them.

use crate::base::Seed;
use rand::Rng as _;
use std::collections::BTreeMap;

/// Resamples of a bootstrap.
pub(super) const RESAMPLES: usize = 2000;

/// 97.5 % quantiles of Student's t for 1 to 30 degrees of freedom.
const STUDENT: [f64; 30] = [
    12.706_205, 4.302_653, 3.182_446, 2.776_445, 2.570_582, 2.446_912, 2.364_624, 2.306_004,
    2.262_157, 2.228_139, 2.200_985, 2.178_813, 2.160_369, 2.144_787, 2.131_450, 2.119_905,
    2.109_816, 2.100_922, 2.093_024, 2.085_963, 2.079_614, 2.073_873, 2.068_658, 2.063_899,
    2.059_539, 2.055_529, 2.051_831, 2.048_407, 2.045_230, 2.042_272,
];
/// The same quantile of the normal distribution.
const NORMAL: f64 = 1.959_964;

/// How an interval came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Student's t over the values of the members.
    Student,
    /// Percentiles of resampled prompts.
    Bootstrap,
    /// Wilson's interval of the evaluation itself.
    Wilson,
    /// The normal approximation as if the two sides had nothing in common, which is too wide.
    Unpaired,
    /// There is none.
    None,
}

/// A mean and how sure it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Its 95 % interval.
    pub interval: Option<[f64; 2]>,
    /// How the interval came about.
    pub method: Method,
    /// Members, or pairs of them, that it is the mean of.
    pub count: usize,
}

impl Estimate {
    /// Whether the interval leaves no room for zero.
    pub(super) fn excludes_zero(&self) -> bool {
        self.interval.is_some_and(|[low, high]| low > 0.0 || high < 0.0)
    }

    /// The same with an interval that leaves out what the value cannot be, such as shares above one:
    /// of few members Student's t would reach beyond.
    pub(super) fn within(mut self, [least, most]: [f64; 2]) -> Self {
        self.interval = self.interval.map(|it| it.map(|end| end.clamp(least, most)));
        self
    }

    /// A value with nothing to say how sure it is.
    pub(super) fn bare(mean: f64, count: usize) -> Self {
        Self { mean, interval: None, method: Method::None, count }
    }
}

/// The mean of values with the interval of Student's t; `None` for fewer than two.
pub(super) fn student(values: &[f64]) -> Option<Estimate> {
    let count = values.len();
    let freedom = count.checked_sub(1).filter(|freedom| *freedom > 0)?;
    let mean = values.iter().sum::<f64>() / count as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let half = quantile(freedom) * (squares / freedom as f64 / count as f64).sqrt();
    Some(Estimate {
        mean,
        interval: Some([mean - half, mean + half]),
        method: Method::Student,
        count,
    })
}

/// The 97.5 % quantile of Student's t; beyond the table by Cornish and Fisher's expansion.
fn quantile(freedom: usize) -> f64 {
    STUDENT.get(freedom - 1).copied().unwrap_or_else(|| {
        let (z, v) = (NORMAL, freedom as f64);
        let first = (z.powi(3) + z) / 4.0;
        let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
        let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
        z + first / v + second / v.powi(2) + third / v.powi(3)
    })
}

/// The mean over prompts with the percentile interval of the bootstrap; `None` without prompts.
/// Values are small whole numbers: 1 for a right answer, differences of such.
pub fn bootstrap(values: &[i32], seed: Seed) -> Option<Estimate> {
    let n = u32::try_from(values.len()).ok().filter(|n| *n > 0)?;
    let mut counts: BTreeMap<i32, u32> = BTreeMap::new();
    for value in values {
        *counts.entry(*value).or_default() += 1;
    }
    let mean = |sum: i64| sum as f64 / f64::from(n);
    let sum: i64 = values.iter().map(|value| i64::from(*value)).sum();
    let factorials = LogFactorials::up_to(n);
    let mut generator = seed.generator();
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let (mut left, mut mass, mut sum) = (n, n, 0);
            for (value, count) in &counts {
                let share = f64::from(*count) / f64::from(mass);
                let drawn = factorials.binomial(left, share, generator.random());
                sum += i64::from(*value) * i64::from(drawn);
                left -= drawn;
                mass -= count;
            }
            mean(sum)
        })
        .collect();
    means.sort_by(f64::total_cmp);
    Some(Estimate {
        mean: mean(sum),
        interval: Some([percentile(&means, 0.025), percentile(&means, 0.975)]),
        method: Method::Bootstrap,
        count: 1,
    })
}

/// A percentile of sorted values, between two of them where it falls so.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

/// Logarithms of 0!, 1!, 2!, …
struct LogFactorials(Vec<f64>);

impl LogFactorials {
    fn up_to(n: u32) -> Self {
        let mut sum = 0.0;
        let rest = (1..=n).map(|k| {
            sum += f64::from(k).ln();
            sum
        });
        Self(std::iter::once(0.0).chain(rest).collect())
    }

    /// How many of `n` draws succeed, from one uniform number: the inverse of the distribution,
    /// searched from its mode outwards.
    fn binomial(&self, n: u32, share: f64, uniform: f64) -> u32 {
        if share >= 1.0 || n == 0 {
            return n;
        }
        let odds = share / (1.0 - share);
        let mode = ((f64::from(n) + 1.0) * share) as u32;
        let log = |k: u32| self.0[k as usize];
        let chosen = log(n) - log(mode) - log(n - mode);
        let at_mode =
            chosen + f64::from(mode) * share.ln() + f64::from(n - mode) * (1.0 - share).ln();
        let mut left = uniform - at_mode.exp();
        let (mut up, mut up_mass) = (mode, at_mode.exp());
        let (mut down, mut down_mass) = (mode, at_mode.exp());
        while left > 0.0 && (up < n || down > 0) {
            if up < n {
                up_mass *= odds * f64::from(n - up) / f64::from(up + 1);
                up += 1;
                left -= up_mass;
                if left <= 0.0 {
                    return up;
                }
            }
            if down > 0 {
                down_mass *= f64::from(down) / (odds * f64::from(n - down + 1));
                down -= 1;
                left -= down_mass;
                if left <= 0.0 {
                    return down;
                }
            }
            // What rounding left over belongs to tails that nobody could see.
            if up_mass.max(down_mass) < 1e-300 {
                break;
            }
        }
        mode
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(found: f64, wanted: f64, tolerance: f64) {
        assert!((found - wanted).abs() < tolerance, "{found} is not {wanted}");
    }

    #[test]
    fn mean_has_the_interval_of_student() {
        assert_eq!(student(&[]), None);
        assert_eq!(student(&[0.5]), None);
        // s = .011240, t = 4.302653, n = 3.
        let estimate = student(&[0.721, 0.743, 0.728]).unwrap();
        close(estimate.mean, 0.730_666_7, 1e-6);
        close(estimate.interval.unwrap()[1] - estimate.mean, 0.027_921, 1e-5);
        // s = 1.5811388, t = 2.776445, n = 5.
        let estimate = student(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        close(estimate.interval.unwrap()[0], 3.0 - 1.963_243, 1e-5);
        assert_eq!((estimate.method, estimate.count), (Method::Student, 5));
    }

    #[test]
    fn an_interval_of_a_share_ends_where_shares_do() {
        let estimate = student(&[0.9, 1.0, 1.0]).unwrap();
        assert!(estimate.interval.unwrap()[1] > 1.0);
        let estimate = estimate.within([0.0, 1.0]);
        close(estimate.interval.unwrap()[1], 1.0, 1e-12);
        assert!(estimate.interval.unwrap()[0] < 0.9);
    }

    #[test]
    fn quantiles_go_on_where_the_table_ends() {
        // From the printed tables of the distribution.
        for (freedom, wanted) in [(31, 2.039_513), (40, 2.021_075), (100, 1.983_972)] {
            close(quantile(freedom), wanted, 1e-5);
        }
        close(quantile(100_000), NORMAL, 1e-4);
    }

    #[test]
    fn bootstrap_of_shares_has_the_width_of_the_binomial() {
        let values: Vec<i32> = (0..1000).map(|index| i32::from(index % 4 == 0)).collect();
        let estimate = bootstrap(&values, Seed(3)).unwrap();
        assert_eq!(estimate.mean, 0.25);
        let [low, high] = estimate.interval.unwrap();
        // 1.96 · √(.25 · .75 / 1000) = .02684.
        close(0.25 - low, 0.026_84, 2.5e-3);
        close(high - 0.25, 0.026_84, 2.5e-3);
        assert_eq!(bootstrap(&values, Seed(3)), Some(estimate.clone()));
        assert_ne!(bootstrap(&values, Seed(4)), Some(estimate));
        assert_eq!(bootstrap(&[], Seed(3)), None);
        assert_eq!(bootstrap(&[1; 40], Seed(3)).unwrap().interval, Some([1.0, 1.0]));
    }

    #[test]
    fn bootstrap_of_differences_has_the_width_of_its_variance() {
        let values: Vec<i32> = (0..900).map(|index| [1, 0, -1, 1, 0, 0][index % 6]).collect();
        let estimate = bootstrap(&values, Seed(3)).unwrap();
        close(estimate.mean, 1.0 / 6.0, 1e-12);
        // The variance of a value is 3/6 - 1/36.
        let half = 1.96 * ((0.5 - 1.0 / 36.0) / 900.0_f64).sqrt();
        let [low, high] = estimate.interval.unwrap();
        close((high - low) / 2.0, half, 0.06 * half);
        assert!(estimate.excludes_zero());
    }
}
