//! Rotary position embedding (Su et al. 2021) in Hugging Face's layout: feature `i` of a head turns
//! together with feature `i + W / 2`.

use tch::{Device, Kind, Tensor};

/// The angles of every position.
pub struct Rotary {
    /// `[positions, 1, W]`, the cosines twice.
    cosines: Tensor,
    /// `[positions, 1, W]`, the sines, negative in the first half.
    sines: Tensor,
    half: i64,
}

impl Rotary {
    /// For heads of `width` features at positions below `positions`; frequencies are
    /// `theta^(-2i / width)`.
    pub fn new(width: i64, positions: i64, theta: f64, kind: Kind, device: Device) -> Self {
        let half = width / 2;
        let exponents = Tensor::arange(half, (Kind::Float, device)) * (2.0 / width as f64);
        let frequencies = (exponents * -theta.ln()).exp();
        let angles = Tensor::arange(positions, (Kind::Float, device)).outer(&frequencies);
        let angles = angles.unsqueeze(1);
        let (cosine, sine) = (angles.cos(), angles.sin());
        Self {
            cosines: Tensor::cat(&[&cosine, &cosine], -1).to_kind(kind),
            sines: Tensor::cat(&[&-&sine, &sine], -1).to_kind(kind),
            half,
        }
    }

    /// Cosines and sines of the given positions, for all layers of one pass.
    pub fn at(&self, positions: &Tensor) -> Angles {
        Angles {
            cosines: self.cosines.index_select(0, positions),
            sines: self.sines.index_select(0, positions),
            half: self.half,
        }
    }
}

/// What [`Rotary::at`] looked up: `[T, 1, W]`.
pub struct Angles {
    cosines: Tensor,
    sines: Tensor,
    half: i64,
}

impl Angles {
    /// Turns heads `[T, H, W]`.
    pub fn turn(&self, heads: &Tensor) -> Tensor {
        let (first, second) =
            (heads.narrow(-1, 0, self.half), heads.narrow(-1, self.half, self.half));
        let swapped = Tensor::cat(&[&second, &first], -1);
        (heads * &self.cosines).addcmul(&swapped, &self.sines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_depend_on_the_distance_of_positions() {
        let rotary = Rotary::new(8, 64, 10_000.0, Kind::Float, Device::Cpu);
        let (q, k) = (
            Tensor::rand([1, 1, 8], tch::kind::FLOAT_CPU),
            Tensor::rand([1, 1, 8], tch::kind::FLOAT_CPU),
        );
        let product = |i: i64, j: i64| {
            let (i, j) = (Tensor::from_slice(&[i]), Tensor::from_slice(&[j]));
            (rotary.at(&i).turn(&q) * rotary.at(&j).turn(&k)).sum(Kind::Float).double_value(&[])
        };
        assert!((product(3, 1) - product(50, 48)).abs() < 1e-5);
        assert!((product(3, 1) - product(50, 40)).abs() > 1e-4);
    }
}
