//! Normalisation of the last dimension.

use crate::engine::weights::{Init, Path};
use tch::{Kind, Tensor};

/// Root-mean-square normalisation (Zhang and Sennrich 2019) as in Llama: in 32 bits, rounded to the
/// input's format before the weight.
pub struct RmsNorm {
    weight: Tensor,
    eps: f64,
}

impl RmsNorm {
    /// Over `width` features.
    pub fn new(w: &Path<'_>, width: i64, eps: f64) -> Self {
        Self { weight: w.leaf("weight", &[width], Init::Ones), eps }
    }

    /// Normalises the last dimension.
    pub fn forward(&self, xs: &Tensor) -> Tensor {
        let width = self.weight.size();
        if xs.kind() == Kind::Float {
            return xs.rms_norm(&width, Some(&self.weight), self.eps);
        }
        let normal = xs.to_kind(Kind::Float).rms_norm(&width, None::<&Tensor>, self.eps);
        normal.to_kind(xs.kind()) * &self.weight
    }
}

/// Layer normalisation with weight and bias.
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// Over `width` features.
    pub fn new(w: &Path<'_>, width: i64, eps: f64) -> Self {
        let weight = w.leaf("weight", &[width], Init::Ones);
        Self { weight, bias: w.leaf("bias", &[width], Init::Zeros), eps }
    }

    /// Normalises the last dimension.
    pub fn forward(&self, xs: &Tensor) -> Tensor {
        xs.layer_norm(self.weight.size(), Some(&self.weight), Some(&self.bias), self.eps, false)
    }
}

/// Layer normalisation without weight and bias.
pub fn standardise(xs: &Tensor, eps: f64) -> Tensor {
    let width = [*xs.size().last().expect("a tensor to normalise has a last dimension")];
    xs.layer_norm(width, None::<&Tensor>, None::<&Tensor>, eps, false)
}
