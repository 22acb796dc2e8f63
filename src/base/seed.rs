//! Seeds: every random number of a run is a function of one, a name and a counter.

use crate::base::Digest;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// A 64-bit seed. Derive one for each purpose with [`Seed::named`] and [`Seed::nth`], so that adding
/// a consumer never shifts the numbers of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(pub u64);

impl Seed {
    /// The seed of a named purpose, independent of that of any other name.
    pub fn named(self, purpose: &str) -> Self {
        let mut bytes = self.0.to_le_bytes().to_vec();
        bytes.extend_from_slice(purpose.as_bytes());
        Self(Digest::of(&bytes).leading_u64())
    }

    /// The seed of the `index`-th member of a family.
    pub fn nth(self, index: u64) -> Self {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.0.to_le_bytes());
        bytes[8..].copy_from_slice(&index.to_le_bytes());
        Self(Digest::of(&bytes).leading_u64())
    }

    /// A sequential generator, for shuffles and for drawing data.
    pub fn generator(self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.0)
    }

    /// The `position`-th uniform number in (0, 1) of the stream `sample`: a pure function of its
    /// arguments, so that what is drawn for a token does not depend on what else is in the batch.
    pub fn uniform_at(self, sample: u64, position: u64) -> f64 {
        let mut generator = self.generator();
        generator.set_stream(sample);
        generator.set_word_pos(u128::from(position) * 2);
        // 53 random bits at the middle of their cell, hence never 0 and never 1.
        ((generator.random::<u64>() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_is_a_function_of_its_arguments() {
        let seed = Seed(7);
        assert_eq!(seed.uniform_at(3, 5), seed.uniform_at(3, 5));
        assert_ne!(seed.uniform_at(3, 5), seed.uniform_at(3, 6));
        assert_ne!(seed.uniform_at(3, 5), seed.uniform_at(4, 5));
        assert_ne!(seed.uniform_at(3, 5), Seed(8).uniform_at(3, 5));
    }

    #[test]
    fn uniform_has_the_moments_of_the_uniform_distribution() {
        let draws: Vec<f64> = (0..4000).map(|i| Seed(1).uniform_at(i / 50, i % 50)).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|u| (u - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!((mean - 0.5).abs() < 0.02, "mean {mean}");
        assert!((variance - 1.0 / 12.0).abs() < 0.005, "variance {variance}");
    }

    #[test]
    fn names_and_indices_give_independent_seeds() {
        assert_ne!(Seed(1).named("explore"), Seed(1).named("train"));
        assert_ne!(Seed(1).nth(0), Seed(1).nth(1));
        assert_ne!(Seed(1).nth(0), Seed(1));
    }
}
