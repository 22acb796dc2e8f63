//! Feed-forward blocks.

use super::linear::{Linear, side_by_side};
use crate::engine::weights::{Init, Path};
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// The activation between the two maps of an [`Mlp`], by Hugging Face's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// The exact Gaussian error linear unit.
    #[serde(rename = "gelu")]
    Gelu,
    /// Its tanh approximation.
    #[serde(rename = "gelu_pytorch_tanh")]
    GeluTanh,
    /// Another approximation, `x sigmoid(1.702 x)`, as in CLIP.
    #[serde(rename = "quick_gelu")]
    QuickGelu,
}

impl Activation {
    /// Applies it to each element.
    pub fn forward(self, xs: &Tensor) -> Tensor {
        match self {
            Self::Gelu => xs.gelu("none"),
            Self::GeluTanh => xs.gelu("tanh"),
            Self::QuickGelu => xs * (xs * 1.702).sigmoid(),
        }
    }
}

/// `fc2(activation(fc1(x)))`.
pub struct Mlp {
    fc1: Linear,
    fc2: Linear,
    activation: Activation,
}

impl Mlp {
    /// From `width` to `hidden` and back; `deviations` are those of fresh `fc1` and `fc2`.
    pub fn new(
        w: &Path<'_>,
        width: i64,
        hidden: i64,
        activation: Activation,
        deviations: (f64, f64),
    ) -> Self {
        Self::of((&(w / "fc1"), &(w / "fc2")), width, hidden, activation, deviations)
    }

    /// The same with the two maps at places of their own.
    pub fn of(
        w: (&Path<'_>, &Path<'_>),
        width: i64,
        hidden: i64,
        activation: Activation,
        deviations: (f64, f64),
    ) -> Self {
        let fc1 = Linear::with_bias(w.0, width, hidden, Init::Normal(deviations.0));
        let fc2 = Linear::with_bias(w.1, hidden, width, Init::Normal(deviations.1));
        Self { fc1, fc2, activation }
    }

    /// Applies it to the last dimension.
    pub fn forward(&self, xs: &Tensor) -> Tensor {
        self.fc2.forward(&self.activation.forward(&self.fc1.forward(xs)))
    }
}

/// SwiGLU (Shazeer 2020) as in Llama: `down_proj(silu(gate_proj(x)) * up_proj(x))`.
pub struct GatedMlp {
    /// Of gate and of up, or of both in one.
    rising: Vec<Linear>,
    down_proj: Linear,
    hidden: i64,
}

impl GatedMlp {
    /// From `width` to `hidden` and back without biases; `deviations` are those of fresh gate and
    /// up, and of down.
    pub fn new(w: &Path<'_>, width: i64, hidden: i64, deviations: (f64, f64)) -> Self {
        let rising =
            |name| Linear::without_bias(&(w / name), width, hidden, Init::Normal(deviations.0));
        let falling = Init::Normal(deviations.1);
        Self {
            rising: vec![rising("gate_proj"), rising("up_proj")],
            down_proj: Linear::without_bias(&(w / "down_proj"), hidden, width, falling),
            hidden,
        }
    }

    /// The same with one matrix for gate and up, as in Phi-3.
    pub fn joined(w: &Path<'_>, width: i64, hidden: i64, deviations: (f64, f64)) -> Self {
        let (rising, falling) = (Init::Normal(deviations.0), Init::Normal(deviations.1));
        let both = Linear::without_bias(&(w / "gate_up_proj"), width, 2 * hidden, rising);
        Self {
            rising: vec![both],
            down_proj: Linear::without_bias(&(w / "down_proj"), hidden, width, falling),
            hidden,
        }
    }

    /// The same with biases, and one deviation for all.
    pub fn with_biases(w: &Path<'_>, width: i64, hidden: i64, deviation: f64) -> Self {
        let linear = |name, input, output| {
            Linear::with_bias(&(w / name), input, output, Init::Normal(deviation))
        };
        Self {
            rising: vec![linear("gate_proj", width, hidden), linear("up_proj", width, hidden)],
            down_proj: linear("down_proj", hidden, width),
            hidden,
        }
    }

    /// Applies it to the last dimension.
    pub fn forward(&self, xs: &Tensor) -> Tensor {
        let maps: Vec<&Linear> = self.rising.iter().collect();
        let both = side_by_side(&maps, xs);
        let gate = both.narrow(-1, 0, self.hidden).silu();
        self.down_proj.forward(&(gate * both.narrow(-1, self.hidden, self.hidden)))
    }
}
