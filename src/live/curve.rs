//! The newest values of what a stage watches, as many as a curve needs.

/// Points kept of a curve; of more, every other one is left out.
const MOST: usize = 512;

/// A curve that grows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Curve {
    points: Vec<(u64, f64)>,
    /// Of how many values one is kept.
    stride: usize,
    /// Values since the last that was kept.
    passed: usize,
}

impl Default for Curve {
    fn default() -> Self {
        Self { points: Vec::new(), stride: 1, passed: 0 }
    }
}

impl Curve {
    pub(super) fn add(&mut self, at: u64, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.passed += 1;
        if self.passed < self.stride && !self.points.is_empty() {
            return;
        }
        self.passed = 0;
        self.points.push((at, value));
        if self.points.len() > MOST {
            let mut index = 0;
            self.points.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride *= 2;
        }
    }

    pub(super) fn points(&self) -> &[(u64, f64)] {
        &self.points
    }
}

/// Values as one line of blocks, no longer than `width`; empty for fewer than two. `scale` says what
/// the lowest and the highest block stand for.
pub(super) fn spark(values: &[f64], width: usize, scale: Option<[f64; 2]>) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    if values.len() < 2 || width == 0 {
        return String::new();
    }
    let length = values.len().min(width);
    // Each block is the mean of the values that share its place.
    let place = |index: usize| index * values.len() / length;
    let means: Vec<f64> = (0..length)
        .map(|index| {
            let part = &values[place(index)..place(index + 1)];
            part.iter().sum::<f64>() / part.len() as f64
        })
        .collect();
    let low = means.iter().copied().fold(f64::INFINITY, f64::min);
    let high = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let [low, high] = scale.unwrap_or([low, high]);
    let block = |value: f64| {
        let share = if high > low { (value - low) / (high - low) } else { 0.5 };
        BLOCKS[((share * 8.0) as usize).min(7)]
    };
    means.into_iter().map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_curve_keeps_its_ends_and_stays_short() {
        let mut curve = Curve::default();
        for step in 0..100_000 {
            curve.add(step, step as f64);
        }
        curve.add(100_000, f64::NAN);
        let points = curve.points();
        assert!(points.len() <= MOST && points.len() > MOST / 3, "{}", points.len());
        assert_eq!(points[0], (0, 0.0));
        assert!(points[points.len() - 1].0 > 99_000, "{:?}", points.last());
        assert!(points.is_sorted());
    }

    #[test]
    fn a_spark_line_rises_with_its_values() {
        assert_eq!(spark(&[0.0, 1.0, 2.0, 3.0], 4, None), "▁▃▆█");
        assert_eq!(spark(&[5.0, 5.0], 9, None), "▅▅");
        assert_eq!(spark(&[0.0, 0.5], 9, Some([0.0, 1.0])), "▁▅");
        assert_eq!(spark(&[1.0], 9, None), "");
        assert_eq!(spark(&(0..90).map(f64::from).collect::<Vec<_>>(), 9, None).chars().count(), 9);
    }
}
