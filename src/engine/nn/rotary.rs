//! Rotary position embedding (Su et al. 2021) in Hugging Face's layout: feature `i` of a head turns
//! together with feature `i + W / 2`.

use tch::{Device, Kind, Tensor};

/// A place from this on belongs to a sequence whose frequencies are those for long ones; where it is
/// in its sequence is so much less.
pub const LONG: i64 = 1 << 32;

/// The angles of every position.
pub struct Rotary {
    angles: Source,
    /// `[1, axes, 1, W]`: 1 where a feature turns with an axis, else 0; absent for one axis.
    axes: Option<Tensor>,
}

enum Source {
    /// Cosines and sines of every position, as in [`Angles`]: quick to look up in short sequences.
    Table(Angles),
    /// `[W / 2]`, for sequences so long that a table would not pay, and the number format.
    Frequencies(Tensor, Kind),
    /// Frequencies for short and for long sequences.
    Switched(Switched),
}

/// LongRoPE (Ding et al. 2024): frequencies for short and for long sequences, told apart by
/// [`LONG`], and longer vectors.
pub struct Switched {
    /// `[W / 2]`.
    pub short: Tensor,
    /// `[W / 2]`.
    pub long: Tensor,
    /// What cosines and sines are multiplied by.
    pub scale: f64,
    /// The number format.
    pub kind: Kind,
}

impl Switched {
    fn at(&self, positions: &Tensor) -> Angles {
        let is_long = positions.ge(LONG);
        let inside = positions - is_long.to_kind(Kind::Int64) * LONG;
        let inside = inside.to_kind(Kind::Float);
        let long = inside.outer(&self.long);
        let angles = long.where_self(&is_long.unsqueeze(1), &inside.outer(&self.short));
        Angles::scaled(&angles, self.scale, self.kind)
    }
}

impl Rotary {
    /// For heads of `width` features at positions below `positions`; frequencies are
    /// `theta^(-2i / width)`.
    pub fn new(width: i64, positions: i64, theta: f64, kind: Kind, device: Device) -> Self {
        let half = width / 2;
        let exponents = Tensor::arange(half, (Kind::Float, device)) * (2.0 / width as f64);
        let frequencies = (exponents * -theta.ln()).exp();
        let angles = Tensor::arange(positions, (Kind::Float, device)).outer(&frequencies);
        Self { angles: Source::Table(Angles::of(&angles, kind)), axes: None }
    }

    /// For given frequencies, `[W / 2]`, at any position.
    pub fn of_frequencies(frequencies: Tensor, kind: Kind) -> Self {
        Self { angles: Source::Frequencies(frequencies, kind), axes: None }
    }

    /// For short and long sequences, at any position.
    pub fn switched(switched: Switched) -> Self {
        Self { angles: Source::Switched(switched), axes: None }
    }

    /// Lets the frequency `i` turn with the axis `axis_of(i)` of positions `[T, axes]`.
    #[must_use]
    pub fn by_axis(self, axes: i64, axis_of: impl Fn(i64) -> i64) -> Self {
        let (half, kind, device) = match &self.angles {
            Source::Table(angles) => (angles.half, angles.cosines.kind(), angles.cosines.device()),
            Source::Frequencies(frequencies, kind) => {
                (frequencies.numel() as i64, *kind, frequencies.device())
            }
            Source::Switched(Switched { short, kind, .. }) => {
                (short.numel() as i64, *kind, short.device())
            }
        };
        let shares: Vec<f32> = (0..axes)
            .flat_map(|axis| (0..2 * half).map(move |i| (axis, i)))
            .map(|(axis, i)| f32::from(u8::from(axis_of(i % half) == axis)))
            .collect();
        let shares = Tensor::from_slice(&shares).view([1, axes, 1, 2 * half]);
        Self { axes: Some(shares.to_device(device).to_kind(kind)), ..self }
    }

    /// Cosines and sines of the given positions, `[T]` or `[T, axes]`, for all layers of one pass.
    pub fn at(&self, positions: &Tensor) -> Angles {
        let flat = positions.reshape([-1]);
        let all = match &self.angles {
            Source::Table(table) => Angles {
                cosines: table.cosines.index_select(0, &flat),
                sines: table.sines.index_select(0, &flat),
                half: table.half,
            },
            Source::Frequencies(frequencies, kind) => {
                Angles::of(&flat.to_kind(Kind::Float).outer(frequencies), *kind)
            }
            Source::Switched(switched) => switched.at(&flat),
        };
        let Some(shares) = &self.axes else { return all };
        let (_, axes, _, width) = shares.size4().expect("shares have four dimensions");
        let chosen = |of: &Tensor| {
            let shared = of.view([-1, axes, 1, width]) * shares;
            shared.sum_dim_intlist([1_i64].as_slice(), false, None)
        };
        Angles { cosines: chosen(&all.cosines), sines: chosen(&all.sines), half: all.half }
    }
}

/// The usual frequencies `theta^(-2i / width)`, `[width / 2]`, by the same operations as
/// transformers, so that they have the same bits.
pub fn frequencies(width: i64, theta: f64, device: Device) -> Tensor {
    wave_lengths(width, theta, device).reciprocal()
}

/// Their reciprocals, `theta^(2i / width)`.
pub fn wave_lengths(width: i64, theta: f64, device: Device) -> Tensor {
    let exponents = Tensor::arange_start_step(0, width, 2, (Kind::Float, device)) / width as f64;
    Tensor::pow_scalar(theta, &exponents)
}

/// Cosines and sines to turn heads by.
pub struct Angles {
    /// `[T, 1, W]`, the cosines twice.
    cosines: Tensor,
    /// `[T, 1, W]`, the sines, negative in the first half.
    sines: Tensor,
    half: i64,
}

impl Angles {
    /// Of given angles, `[T, W / 2]`.
    pub fn of(angles: &Tensor, kind: Kind) -> Self {
        Self::scaled(angles, 1.0, kind)
    }

    /// The same with cosines and sines multiplied by `scale`.
    pub fn scaled(angles: &Tensor, scale: f64, kind: Kind) -> Self {
        let half = *angles.size().last().expect("angles have two dimensions");
        let angles = angles.unsqueeze(1);
        let (cosine, sine) = match scale {
            1.0 => (angles.cos(), angles.sin()),
            _ => (angles.cos() * scale, angles.sin() * scale),
        };
        Self {
            cosines: Tensor::cat(&[&cosine, &cosine], -1).to_kind(kind),
            sines: Tensor::cat(&[&-&sine, &sine], -1).to_kind(kind),
            half,
        }
    }

    /// Those of some places alone, `[P]`.
    pub fn at(&self, places: &Tensor) -> Self {
        Self {
            cosines: self.cosines.index_select(0, places),
            sines: self.sines.index_select(0, places),
            half: self.half,
        }
    }

    /// Turns heads `[T, H, W]`.
    pub fn turn(&self, heads: &Tensor) -> Tensor {
        let kind = heads.kind();
        let heads = heads.to_kind(self.cosines.kind());
        let (first, second) =
            (heads.narrow(-1, 0, self.half), heads.narrow(-1, self.half, self.half));
        let swapped = Tensor::cat(&[&second, &first], -1);
        (&heads * &self.cosines).addcmul_(&swapped, &self.sines).to_kind(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_depend_on_the_distance_of_positions() {
        let rotary = Rotary::new(8, 64, 10_000.0, Kind::Float, Device::Cpu);
        let head = |features: [f32; 8]| Tensor::from_slice(&features).view([1, 1, 8]);
        let q = head([0.9, 0.1, 0.4, 0.7, 0.2, 0.8, 0.3, 0.6]);
        let k = head([0.5, 0.2, 0.9, 0.1, 0.7, 0.4, 0.8, 0.3]);
        let product = |i: i64, j: i64| {
            let (i, j) = (Tensor::from_slice(&[i]), Tensor::from_slice(&[j]));
            (rotary.at(&i).turn(&q) * rotary.at(&j).turn(&k)).sum(Kind::Float).double_value(&[])
        };
        assert!((product(3, 1) - product(50, 48)).abs() < 1e-5);
        assert!((product(3, 1) - product(50, 40)).abs() > 1e-4);
    }

    #[test]
    fn a_feature_turns_with_its_axis_alone() {
        let rotary = Rotary::new(4, 16, 100.0, Kind::Float, Device::Cpu);
        let by_axis = Rotary::new(4, 16, 100.0, Kind::Float, Device::Cpu).by_axis(2, |i| i);
        let head = Tensor::rand([1, 1, 4], tch::kind::FLOAT_CPU);
        let turned = by_axis.at(&Tensor::from_slice(&[3_i64, 7]).view([1, 2])).turn(&head);
        let at = |position: i64| rotary.at(&Tensor::from_slice(&[position])).turn(&head);
        for (feature, position) in [(0, 3), (1, 7), (2, 3), (3, 7)] {
            let error = (turned.narrow(2, feature, 1) - at(position).narrow(2, feature, 1)).abs();
            assert!(error.double_value(&[0, 0, 0]) < 1e-6, "feature {feature}");
        }
    }
}
