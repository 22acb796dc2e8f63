//! How far an accuracy can be trusted.

use serde::{Deserialize, Serialize};

/// An interval of shares, or of differences between them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The 95 % interval of a probability of which `hits` of `count` independent trials came true, after
/// Wilson (1927): unlike the normal approximation it stays within 0 and 1 and is right for few
/// trials. Nothing is known without trials: 0 to 1.
pub fn wilson(hits: u64, count: u64) -> Interval {
    const Z: f64 = 1.959_963_984_540_054;
    if count == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let trials = count as f64;
    let share = hits.min(count) as f64 / trials;
    let scale = 1.0 + Z * Z / trials;
    let middle = (share + Z * Z / (2.0 * trials)) / scale;
    let spread = (share * (1.0 - share) / trials + Z * Z / (4.0 * trials * trials)).sqrt();
    let half = Z * spread / scale;
    Interval { low: (middle - half).max(0.0), high: (middle + half).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(interval: Interval, low: f64, high: f64) {
        let near = |one: f64, other: f64| (one - other).abs() < 5e-5;
        assert!(near(interval.low, low) && near(interval.high, high), "{interval:?}");
    }

    #[test]
    fn known_intervals() {
        close(wilson(8, 10), 0.4902, 0.9433);
        close(wilson(0, 10), 0.0, 0.2775);
        close(wilson(10, 10), 0.7225, 1.0);
        close(wilson(721, 1000), 0.6924, 0.7479);
        close(wilson(0, 0), 0.0, 1.0);
    }

    #[test]
    fn ends_are_just_compatible_with_the_share() {
        // Wilson's definition: at each end, the share lies 1.96 standard errors away.
        for (hits, count) in [(3, 17), (40, 50), (499, 1000)] {
            let share = hits as f64 / count as f64;
            let interval = wilson(hits, count);
            for end in [interval.low, interval.high] {
                let error = (end * (1.0 - end) / count as f64).sqrt();
                assert!(((share - end).abs() / error - 1.959_964).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn an_interval_holds_its_share_and_shrinks() {
        for hits in 0..=20 {
            let few = wilson(hits, 20);
            let many = wilson(hits * 50, 1000);
            let share = hits as f64 / 20.0;
            assert!(few.low <= share && share <= few.high);
            assert!(many.high - many.low < few.high - few.low);
        }
    }
}
