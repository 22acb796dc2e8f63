//! The low-rank update of a linear map (Hu et al. 2021, LoRA): `y + scale B A drop(x)`, in 32 bits
//! whatever the map is in, as PEFT computes it.

use crate::base::Seed;
use crate::engine::weights::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tch::{Kind, Tensor};

/// An update of a linear map.
pub struct Adapter {
    /// `[rank, in]`.
    a: Tensor,
    /// `[out, rank]`.
    b: Tensor,
    scale: f64,
    dropout: f64,
    name: String,
    noise: Noise,
}

impl Adapter {
    /// That of the map at `w`, if it is to have one.
    pub fn of(w: &Path<'_>, input: i64, output: i64) -> Option<Self> {
        let (lora, [a, b], noise) = w.adapter(input, output)?;
        let (scale, dropout) = (lora.scale(), lora.dropout);
        Some(Self { a, b, scale, dropout, name: w.name().to_owned(), noise })
    }

    /// What the map makes of `xs` and the update of it together, in the map's number format.
    pub fn added(&self, xs: &Tensor, mapped: &Tensor) -> Tensor {
        let state = self.noise.state();
        if state == State::Merged {
            return mapped.shallow_clone();
        }
        let xs = state.dropped(&xs.to_kind(Kind::Float), self.dropout, &self.name);
        let low = xs.linear(&self.a, None::<&Tensor>);
        let update = low.linear(&self.b, None::<&Tensor>) * self.scale;
        (mapped.to_kind(Kind::Float) + update).to_kind(mapped.kind())
    }
}

/// What adapters do at the moment; all of a model share it.
#[derive(Clone, Debug, Default)]
pub struct Noise(Arc<Mutex<State>>);

/// What adapters do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// They read all of their inputs.
    #[default]
    Whole,
    /// They drop a share of their inputs by this seed: a model is trained.
    Dropping(Seed),
    /// Nothing, since the weights have taken them up.
    Merged,
}

impl Noise {
    /// What they do from now on.
    pub fn set(&self, state: State) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn state(&self) -> State {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A share of the numbers set to 0 and the rest enlarged by as much. Which ones is a function of
    /// the seed, the name and the place alone, so that a layer that is computed again drops the same.
    fn dropped(self, xs: &Tensor, share: f64, name: &str) -> Tensor {
        match self {
            Self::Dropping(seed) if share > 0.0 => {
                let kept = uniform(seed.named(name), xs).ge(share).to_kind(Kind::Float);
                xs * kept / (1.0 - share)
            }
            _ => xs.shallow_clone(),
        }
    }
}

/// A uniform number in `0..1` for each place of a tensor, by splitmix64 (Steele et al. 2014) on the
/// tensor's device.
fn uniform(seed: Seed, of: &Tensor) -> Tensor {
    const WORD: i64 = 0x9e37_79b9_7f4a_7c15_u64.cast_signed();
    const FIRST: i64 = 0xbf58_476d_1ce4_e5b9_u64.cast_signed();
    const SECOND: i64 = 0x94d0_49bb_1331_11eb_u64.cast_signed();
    // Shifts of signed numbers draw the sign in, which the mask takes away.
    let mixed = |bits: &Tensor, shift: u32| {
        let shifted = bits.bitwise_right_shift_tensor_scalar(i64::from(shift));
        bits.bitwise_xor_tensor(&shifted.bitwise_and((1_i64 << (64 - shift)) - 1))
    };
    let count = of.numel() as i64;
    let bits = Tensor::arange(count, (Kind::Int64, of.device())) * WORD + seed.0.cast_signed();
    let bits = mixed(&bits, 30) * FIRST;
    let bits = mixed(&bits, 27) * SECOND;
    let top = mixed(&bits, 31).bitwise_and((1_i64 << 24) - 1);
    (top.to_kind(Kind::Float) / f64::from(1 << 24)).view_as(of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn dropped(seed: u64, name: &str) -> Tensor {
        let xs = Tensor::ones([200, 50], (Kind::Float, Device::Cpu));
        State::Dropping(Seed(seed)).dropped(&xs, 0.25, name)
    }

    #[test]
    fn a_share_is_dropped_and_the_mean_is_kept() {
        let xs = dropped(1, "a");
        let mean = xs.mean(Kind::Float).double_value(&[]);
        let zeros = f64::from((xs.eq(0.0)).mean(Kind::Float).double_value(&[]) as f32);
        assert!((mean - 1.0).abs() < 0.02 && (zeros - 0.25).abs() < 0.015, "{mean} {zeros}");
        let rows = xs.mean_dim([1_i64].as_slice(), false, Kind::Float);
        assert!(rows.std(true).double_value(&[]) < 0.12, "rows depend on their place");
    }

    #[test]
    fn what_is_dropped_depends_on_seed_and_name_only() {
        assert_eq!(dropped(1, "a"), dropped(1, "a"));
        assert_ne!(dropped(1, "a"), dropped(2, "a"));
        assert_ne!(dropped(1, "a"), dropped(1, "b"));
        let xs = Tensor::ones([3], (Kind::Float, Device::Cpu));
        assert_eq!(State::Whole.dropped(&xs, 0.9, "a"), xs, "nothing is dropped outside training");
    }
}
