//! The learning rate over the steps of a run, as a factor of its peak; a pure function.

use serde::{Deserialize, Serialize};

/// How the factor falls after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Curve {
    /// It stays 1.
    Constant,
    /// A straight line from 1 to `to`.
    #[default]
    Linear,
    /// Half a cosine from 1 to `to`.
    Cosine,
}

/// A learning-rate schedule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// The shape after the warm-up.
    pub curve: Curve,
    /// Steps over which the factor rises from near 0 to 1.
    pub warmup: u64,
    /// The factor at the end, a share of the peak in 0..=1.
    pub to: f64,
    /// The horizon in steps, warm-up included; after it the factor stays `to`.
    pub over: u64,
}

impl Schedule {
    /// The factor for optimizer step `step`, counted from 0: always the peak.
    pub const CONSTANT: Self = Self { curve: Curve::Constant, warmup: 0, to: 1.0, over: 0 };

    /// The factor for optimizer step `step`, counted from 0.
    pub fn factor(&self, step: u64) -> f64 {
        if step < self.warmup {
            return (step + 1) as f64 / (self.warmup + 1) as f64;
        }
        let span = self.over.saturating_sub(self.warmup);
        let done =
            if span == 0 { 1.0 } else { ((step - self.warmup) as f64 / span as f64).min(1.0) };
        match self.curve {
            Curve::Constant => 1.0,
            Curve::Linear => 1.0 + (self.to - 1.0) * done,
            Curve::Cosine => {
                self.to + (1.0 - self.to) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_from_one_to_its_end_and_stays() {
        let line = Schedule { curve: Curve::Linear, warmup: 0, to: 0.15, over: 100 };
        assert_eq!(line.factor(0), 1.0);
        assert!((line.factor(50) - 0.575).abs() < 1e-12);
        assert!((line.factor(100) - 0.15).abs() < 1e-12);
        assert_eq!(line.factor(1000), line.factor(100));
    }

    #[test]
    fn warm_up_rises_to_the_peak_under_every_curve() {
        for curve in [Curve::Constant, Curve::Linear, Curve::Cosine] {
            let schedule = Schedule { curve, warmup: 9, to: 0.0, over: 100 };
            assert!((schedule.factor(0) - 0.1).abs() < 1e-12);
            assert!((schedule.factor(8) - 0.9).abs() < 1e-12);
            assert_eq!(schedule.factor(9), 1.0);
        }
    }

    #[test]
    fn a_cosine_is_half_way_in_the_middle() {
        let cosine = Schedule { curve: Curve::Cosine, warmup: 10, to: 0.2, over: 110 };
        assert!((cosine.factor(60) - 0.6).abs() < 1e-12);
        assert!((cosine.factor(110) - 0.2).abs() < 1e-12);
    }
}
