//! From the scores of steps to the score of a response.

use serde::{Deserialize, Serialize};

/// How scores of steps become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregation {
    /// The weakest step.
    Min,
    /// The average step.
    Mean,
    /// All steps together.
    Product,
    /// The last step.
    Last,
}

impl Aggregation {
    /// Every way, in the order of the recipe language.
    pub const ALL: [Self; 4] = [Self::Min, Self::Mean, Self::Product, Self::Last];

    /// Such as `min`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Min => "min",
            Self::Mean => "mean",
            Self::Product => "product",
            Self::Last => "last",
        }
    }

    /// The score of a response with at least one step; not a number without.
    pub fn of(self, steps: &[f32]) -> f32 {
        match self {
            Self::Min => steps.iter().copied().reduce(f32::min).unwrap_or(f32::NAN),
            Self::Mean => steps.iter().sum::<f32>() / steps.len() as f32,
            Self::Product if steps.is_empty() => f32::NAN,
            Self::Product => steps.iter().product(),
            Self::Last => steps.last().copied().unwrap_or(f32::NAN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_by_hand() {
        let of = |steps: &[f32]| Aggregation::ALL.map(|way| way.of(steps));
        assert_eq!(of(&[0.5, 0.25, 0.75]), [0.25, 0.5, 0.09375, 0.75]);
        assert_eq!(of(&[0.25]), [0.25; 4]);
        assert!(of(&[]).iter().all(|score| score.is_nan()));
    }
}
