//! Early stopping: how long a measure has not got better.

/// Where a measure stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Place of the best value: the last that was better than the best before it by more than what
    /// has to be gained.
    pub best: usize,
    /// Values since then.
    pub since: usize,
}

/// Where a measure stands after some values; `None` without any.
pub fn standing(values: &[f64], min_delta: f64) -> Option<Standing> {
    let mut best = 0;
    let first = *values.first()?;
    let mut high = first;
    for (place, &value) in values.iter().enumerate() {
        if value > high + min_delta {
            (best, high) = (place, value);
        }
    }
    Some(Standing { best, since: values.len() - 1 - best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_gain_beyond_the_least_counts() {
        let at =
            |values: &[f64], min_delta| standing(values, min_delta).map(|it| (it.best, it.since));
        assert_eq!(at(&[], 0.0), None);
        assert_eq!(at(&[0.5], 0.0), Some((0, 0)));
        assert_eq!(at(&[0.5, 0.6, 0.6, 0.55], 0.0), Some((1, 2)));
        // Small gains add up once they are enough over the best that counted.
        assert_eq!(at(&[0.5, 0.51, 0.52, 0.53], 0.025), Some((3, 0)));
        assert_eq!(at(&[0.5, 0.51, 0.52], 0.025), Some((0, 2)));
    }
}
