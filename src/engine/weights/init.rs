//! How fresh tensors are filled. Plain arithmetic on the CPU, so that a seed gives the same bits on
//! every machine.

use crate::base::Seed;
use rand::Rng as _;
use tch::Tensor;

/// How a tensor that is not read from a file is made.
pub enum Init<'a> {
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
    /// Normal with mean 0 and this standard deviation.
    Normal(f64),
    /// Uniform between this number and its negative.
    Uniform(f64),
    /// Values in row-major order, made from the seed of the whole model: for tensors that share
    /// their random numbers with others.
    Made(&'a dyn Fn(Seed) -> Vec<f32>),
}

impl Init<'_> {
    pub(super) fn values(&self, seed: Seed, name: &str, shape: &[i64]) -> Tensor {
        let count = shape.iter().product::<i64>() as usize;
        let values = match self {
            Self::Zeros => vec![0.0; count],
            Self::Ones => vec![1.0; count],
            Self::Normal(deviation) => normal(seed.named(name), count, *deviation),
            Self::Uniform(bound) => uniform(seed.named(name), count, *bound),
            Self::Made(make) => make(seed),
        };
        Tensor::from_slice(&values).reshape(shape)
    }
}

/// `count` independent normal numbers with mean 0 (Box and Muller's transform).
pub fn normal(seed: Seed, count: usize, deviation: f64) -> Vec<f32> {
    let mut generator = seed.generator();
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        let radius = (-2.0 * (1.0 - generator.random::<f64>()).ln()).sqrt();
        let angle = std::f64::consts::TAU * generator.random::<f64>();
        values.push((deviation * radius * angle.cos()) as f32);
        values.push((deviation * radius * angle.sin()) as f32);
    }
    values.truncate(count);
    values
}

/// `count` independent uniform numbers between `bound` and its negative.
fn uniform(seed: Seed, count: usize, bound: f64) -> Vec<f32> {
    let mut generator = seed.generator();
    (0..count).map(|_| (bound * (2.0 * generator.random::<f64>() - 1.0)) as f32).collect()
}

/// A random `size` x `size` matrix with orthonormal rows, row-major, uniform over all of them.
pub fn orthogonal(seed: Seed, size: usize) -> Vec<f32> {
    let gaussian = normal(seed, size * size, 1.0);
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(size);
    for row in gaussian.chunks(size) {
        let mut row: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
        // Gram and Schmidt's process, twice: once leaves rounding errors along earlier rows.
        for _ in 0..2 {
            for earlier in &rows {
                let along: f64 = row.iter().zip(earlier).map(|(a, b)| a * b).sum();
                row.iter_mut().zip(earlier).for_each(|(a, b)| *a -= along * b);
            }
        }
        let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        row.iter_mut().for_each(|x| *x /= length);
        rows.push(row);
    }
    rows.into_iter().flatten().map(|x| x as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_have_their_moments() {
        let values = normal(Seed(3), 20_001, 0.5);
        let mean = values.iter().sum::<f32>() / 20_001.0;
        let variance = values.iter().map(|x| x * x).sum::<f32>() / 20_001.0;
        assert_eq!(values.len(), 20_001);
        assert!(mean.abs() < 0.02 && (variance - 0.25).abs() < 0.01, "{mean} {variance}");
    }

    #[test]
    fn rows_of_an_orthogonal_matrix_are_orthonormal() {
        let matrix = Tensor::from_slice(&orthogonal(Seed(1), 16)).reshape([16, 16]);
        let product = matrix.matmul(&matrix.tr());
        let error = (product - Tensor::eye(16, (tch::Kind::Float, tch::Device::Cpu))).abs().max();
        assert!(error.double_value(&[]) < 1e-6);
    }
}
