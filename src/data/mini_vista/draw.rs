//! Random draws whose values stay the same on every machine and with every version of `rand`: only
//! the bits of `ChaCha8` are used, with integer arithmetic and exactly rounded float operations.

use crate::base::Seed;
use rand::RngCore as _;
use rand_chacha::ChaCha8Rng;

/// A sequence of draws.
pub(super) struct Draw {
    generator: ChaCha8Rng,
}

impl Draw {
    pub(super) fn new(seed: Seed) -> Self {
        Self { generator: seed.generator() }
    }

    /// An integer in `0..count`. The bias of the multiplication, `count` / 2^32, is out of sight here.
    pub(super) fn below(&mut self, count: u32) -> u32 {
        ((u64::from(self.generator.next_u32()) * u64::from(count)) >> 32) as u32
    }

    /// An integer in `low..=high`.
    pub(super) fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high - low + 1)
    }

    /// A float in `low..high`, one of 2^24.
    pub(super) fn uniform(&mut self, low: f32, high: f32) -> f32 {
        let unit = (self.generator.next_u32() >> 8) as f32 / (1_u32 << 24) as f32;
        low + (high - low) * unit
    }

    /// True with the given probability.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        f64::from(self.generator.next_u32()) < probability * 2_f64.powi(32)
    }

    /// One of the items.
    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u32) as usize]
    }

    /// Takes one of the items out of the list.
    pub(super) fn take<T>(&mut self, items: &mut Vec<T>) -> T {
        items.remove(self.below(items.len() as u32) as usize)
    }

    /// Puts the items into a random order (Fisher and Yates).
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u32 + 1) as usize);
        }
    }
}

/// Adds noise of mean 0 and the given standard deviation to each value.
///
/// A value's noise is the standardised sum of eight random bytes: Gaussian but for an excess
/// kurtosis of -0.15, and without the logarithms and cosines whose last bits differ between
/// machines.
pub(super) fn add_noise(seed: Seed, deviation: f32, values: &mut [f32]) {
    const MEAN: f32 = 8.0 * 255.0 / 2.0;
    // The variance of a uniform byte is (256^2 - 1) / 12; the root of eight times that follows.
    const DEVIATION: f32 = 209.021_53;
    let mut generator = seed.generator();
    let mut bytes = [0; 8 * 256];
    for chunk in values.chunks_mut(256) {
        generator.fill_bytes(&mut bytes);
        for (value, eight) in chunk.iter_mut().zip(bytes.chunks_exact(8)) {
            let sum: u32 = eight.iter().map(|&byte| u32::from(byte)).sum();
            *value += (sum as f32 - MEAN) * (deviation / DEVIATION);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_its_moments() {
        let mut values = vec![0.0; 40_000];
        add_noise(Seed(3), 0.5, &mut values);
        let count = values.len() as f32;
        let mean = values.iter().sum::<f32>() / count;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / count;
        let within = values.iter().filter(|v| v.abs() < 0.5).count() as f32 / count;
        assert!(mean.abs() < 0.01, "mean {mean}");
        assert!((variance.sqrt() - 0.5).abs() < 0.01, "deviation {}", variance.sqrt());
        assert!((within - 0.683).abs() < 0.015, "within one deviation {within}");
    }

    #[test]
    fn draws_cover_their_ranges_evenly() {
        let mut draw = Draw::new(Seed(1));
        let mut counts = [0; 5];
        for _ in 0..5000 {
            counts[draw.between(2, 6) as usize - 2] += 1;
        }
        assert!(counts.iter().all(|&count| (850..1150).contains(&count)), "{counts:?}");
        let mut items = vec![1, 2, 3, 4];
        draw.shuffle(&mut items);
        let taken = draw.take(&mut items);
        assert_eq!(items.len(), 3);
        assert!(!items.contains(&taken));
        let hits = (0..4000).filter(|_| draw.chance(0.2)).count();
        assert!((680..920).contains(&hits), "{hits}");
    }
}
