//! Means with 95 % intervals, each way in one place: Student's t over members, the bootstrap over
//! prompts, Wilson's where a bootstrap has nothing to draw from.
//!
//! A resample of n prompts is drawn by how many of each distinct value it holds, which has the same
//! distribution as drawing prompt after prompt and costs no time for each of them. Of two values that
//! number is binomial, so that no draw is needed at all.

use crate::base::Seed;
use crate::rewards::wilson;
use rand::Rng as _;
use std::collections::{BTreeMap, BTreeSet};

/// Resamples of a bootstrap.
const RESAMPLES: usize = 2000;
/// What the bootstrap draws with: the same everywhere, so that equal numbers have equal intervals
/// wherever they are shown.
const SEED: Seed = Seed(0);

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
    /// Wilson's, because all prompts came out alike and resamples of them would too.
    Wilson,
    /// Both sides' intervals together as if they had nothing in common, which is too wide.
    Unpaired,
    /// There is none, because all members have the same value.
    Equal,
    /// There is none.
    None,
}

impl Method {
    /// For people, such as `bootstrap over prompts`. `members` is what a mean is taken over, such as
    /// `seeds`.
    pub fn words(self, members: &str) -> String {
        match self {
            Self::Student => format!("Student's t over {members}"),
            Self::Bootstrap => "bootstrap over prompts".to_owned(),
            Self::Wilson => "Wilson, since all prompts came out alike".to_owned(),
            Self::Unpaired => "prompts not paired, wider than need be".to_owned(),
            Self::Equal => format!("none, since all {members} are equal"),
            Self::None => "none".to_owned(),
        }
    }

    /// Several in one sentence, such as `95 % intervals: bootstrap over prompts`; empty where there is
    /// no interval.
    pub fn sentence(methods: &BTreeSet<Self>, members: &str) -> String {
        let said = methods.iter().filter(|method| **method != Self::None);
        let said: Vec<String> = said.map(|method| method.words(members)).collect();
        if said.is_empty() { said.concat() } else { format!("95 % intervals: {}", said.join("; ")) }
    }
}

/// A mean and how sure it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Its 95 % interval; never of no width.
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
    pub fn bare(mean: f64, count: usize) -> Self {
        Self { mean, interval: None, method: Method::None, count }
    }

    /// A share of prompts, each 0 to 1, with the interval that a stage's bootstrap found for it.
    pub(super) fn measured(mean: f64, interval: Option<[f64; 2]>, prompts: u64) -> Self {
        match interval {
            None => Self::bare(mean, 1),
            Some([low, high]) if high - low < NOTHING => alike(mean, prompts, [0.0, 1.0]),
            Some(_) => Self { mean, interval, method: Method::Bootstrap, count: 1 },
        }
    }
}

/// A width that is only what rounding leaves of none.
const NOTHING: f64 = 1e-12;

/// An interval, unless it has no width, which would say that a measurement is certain.
pub(super) fn of_some_width(interval: [f64; 2]) -> Option<[f64; 2]> {
    Some(interval).filter(|[low, high]| high - low >= NOTHING)
}

/// The share of prompts that came out right, with the percentile interval of the bootstrap: how many
/// of a resample are right is binomial. `None` without prompts.
pub(super) fn share(right: u64, prompts: u64) -> Option<Estimate> {
    if prompts == 0 {
        return None;
    }
    let mean = right as f64 / prompts as f64;
    if right == 0 || right >= prompts {
        return Some(alike(mean, prompts, [0.0, 1.0]));
    }
    let interval = Some(binomial_ends(right, prompts).map(|end| end as f64 / prompts as f64));
    Some(Estimate { mean, interval, method: Method::Bootstrap, count: 1 })
}

/// A mean of prompts that all have this value, of which a resample would say that it is certain: by
/// Wilson, any other prompt may still be another with some probability, and have any value.
fn alike(mean: f64, prompts: u64, [least, most]: [f64; 2]) -> Estimate {
    let others = wilson(0, prompts).high;
    let interval = Some([mean - others * (mean - least), mean + others * (most - mean)]);
    Estimate { mean, interval, method: Method::Wilson, count: 1 }
}

/// The 2.5th and the 97.5th percentile of how many of `prompts` draws are right when `right` of
/// `prompts` are; summed from the mode outwards, as far as there is anything.
fn binomial_ends(right: u64, prompts: u64) -> [u64; 2] {
    const NO_MASS: f64 = 1e-12;
    let (n, mode) = (prompts as f64, right as f64);
    let odds = mode / (n - mode);
    let below = (1..=right).rev().scan(1.0, |mass, k| {
        *mass *= k as f64 / ((n - k as f64 + 1.0) * odds);
        Some(*mass).filter(|mass| *mass > NO_MASS)
    });
    let above = (right..prompts).scan(1.0, |mass, k| {
        *mass *= (n - k as f64) * odds / (k as f64 + 1.0);
        Some(*mass).filter(|mass| *mass > NO_MASS)
    });
    let mut masses: Vec<f64> = below.collect();
    let first = right - masses.len() as u64;
    masses.reverse();
    masses.push(1.0);
    masses.extend(above);
    let total: f64 = masses.iter().sum();
    [0.025, 0.975].map(|share| {
        let mut sum = 0.0;
        let reaches = |mass: &f64| {
            sum += mass;
            sum >= share * total
        };
        first + masses.iter().position(reaches).map_or(masses.len() as u64 - 1, |at| at as u64)
    })
}

/// The difference of two values as if they had nothing in common: each side's distance to its ends,
/// squared and added, after Newcombe (1998).
pub fn unpaired(own: &Estimate, base: &Estimate) -> Estimate {
    let mean = own.mean - base.mean;
    let Some(([own_low, own_high], [low, high])) = own.interval.zip(base.interval) else {
        return Estimate::bare(mean, 1);
    };
    let down = (own.mean - own_low).hypot(high - base.mean);
    let up = (own_high - own.mean).hypot(base.mean - low);
    let interval = of_some_width([mean - down, mean + up]);
    Estimate { mean, interval, method: Method::Unpaired, count: 1 }
}

/// The mean of values with the interval of Student's t, which equal values do not have; `None` for
/// fewer than two.
pub(super) fn student(values: &[f64]) -> Option<Estimate> {
    let count = values.len();
    let freedom = count.checked_sub(1).filter(|freedom| *freedom > 0)?;
    let mean = values.iter().sum::<f64>() / count as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let half = quantile(freedom) * (squares / freedom as f64 / count as f64).sqrt();
    let interval = of_some_width([mean - half, mean + half]);
    let method = if interval.is_some() { Method::Student } else { Method::Equal };
    Some(Estimate { mean, interval, method, count })
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

/// The mean over prompts of values between two others, with the percentile interval of the
/// bootstrap; `None` without prompts. Values are small whole numbers: 1 for a right answer,
/// differences of such.
pub(super) fn bootstrap(values: &[i32], range: [f64; 2]) -> Option<Estimate> {
    let n = u32::try_from(values.len()).ok().filter(|n| *n > 0)?;
    let mut counts: BTreeMap<i32, u32> = BTreeMap::new();
    for value in values {
        *counts.entry(*value).or_default() += 1;
    }
    if let [value] = counts.keys().collect::<Vec<_>>()[..] {
        return Some(alike(f64::from(*value), u64::from(n), range));
    }
    let mean = |sum: i64| sum as f64 / f64::from(n);
    let sum: i64 = values.iter().map(|value| i64::from(*value)).sum();
    let factorials = LogFactorials::up_to(n);
    let mut generator = SEED.generator();
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
        let estimate = bootstrap(&values, [0.0, 1.0]).unwrap();
        assert_eq!(estimate.mean, 0.25);
        let [low, high] = estimate.interval.unwrap();
        // 1.96 · √(.25 · .75 / 1000) = .02684.
        close(0.25 - low, 0.026_84, 2.5e-3);
        close(high - 0.25, 0.026_84, 2.5e-3);
        assert_eq!(bootstrap(&values, [0.0, 1.0]), Some(estimate));
        assert_eq!(bootstrap(&[], [0.0, 1.0]), None);
    }

    #[test]
    fn a_share_has_the_bootstrap_that_draws_would_find() {
        for (right, prompts) in [(250, 1000), (1, 40), (39, 40), (3, 7), (1, 2)] {
            let values: Vec<i32> = (0..prompts).map(|index| i32::from(index < right)).collect();
            let drawn = bootstrap(&values, [0.0, 1.0]).unwrap();
            let known = share(right, prompts).unwrap();
            assert_eq!((known.mean, known.method), (drawn.mean, Method::Bootstrap));
            let ends = known.interval.unwrap().into_iter().zip(drawn.interval.unwrap());
            // A step of one prompt apart at most.
            ends.for_each(|(known, drawn)| close(known, drawn, 1.01 / prompts as f64));
        }
        // Of 20 draws at a half, from 6 to 14: P(X <= 5) = .0207, P(X <= 14) = .9793.
        assert_eq!(share(10, 20).unwrap().interval, Some([0.3, 0.7]));
        assert_eq!(share(0, 0), None);
    }

    #[test]
    fn prompts_that_are_all_alike_do_not_make_certain() {
        let interval = |estimate: Option<Estimate>| {
            let estimate = estimate.unwrap();
            assert_eq!(estimate.method, Method::Wilson);
            estimate.interval.unwrap()
        };
        // Wilson's interval for 10 of 10 and for 0 of 10.
        close(interval(share(10, 10))[0], 0.722_5, 5e-5);
        close(interval(share(0, 10))[1], 0.277_5, 5e-5);
        assert_eq!(interval(share(10, 10)), interval(bootstrap(&[1; 10], [0.0, 1.0])));
        let [low, high] = interval(bootstrap(&[0; 10], [-1.0, 1.0]));
        close(low, -0.277_5, 5e-5);
        close(high, 0.277_5, 5e-5);
        let measured = Estimate::measured(1.0, Some([1.0, 1.0]), 10);
        close(interval(Some(measured))[0], 0.722_5, 5e-5);
    }

    #[test]
    fn equal_members_have_no_interval() {
        for values in [vec![0.5; 3], vec![0.1; 3], vec![0.5 - 0.3, 0.4 - 0.2]] {
            let estimate = student(&values).unwrap();
            assert_eq!((estimate.interval, estimate.method), (None, Method::Equal));
        }
    }

    #[test]
    fn a_difference_of_strangers_adds_their_widths() {
        let of = |mean: f64, down: f64, up: f64| Estimate {
            mean,
            interval: Some([mean - down, mean + up]),
            method: Method::Bootstrap,
            count: 1,
        };
        let difference = unpaired(&of(0.7, 0.03, 0.06), &of(0.5, 0.08, 0.04));
        let [low, high] = difference.interval.unwrap();
        close(difference.mean, 0.2, 1e-12);
        close(low, 0.15, 1e-12);
        close(high, 0.3, 1e-12);
        assert!(difference.excludes_zero());
    }

    #[test]
    fn bootstrap_of_differences_has_the_width_of_its_variance() {
        let values: Vec<i32> = (0..900).map(|index| [1, 0, -1, 1, 0, 0][index % 6]).collect();
        let estimate = bootstrap(&values, [-1.0, 1.0]).unwrap();
        close(estimate.mean, 1.0 / 6.0, 1e-12);
        // The variance of a value is 3/6 - 1/36.
        let half = 1.96 * ((0.5 - 1.0 / 36.0) / 900.0_f64).sqrt();
        let [low, high] = estimate.interval.unwrap();
        close((high - low) / 2.0, half, 0.06 * half);
        assert!(estimate.excludes_zero());
    }
}
