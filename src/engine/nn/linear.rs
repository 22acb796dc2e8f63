//! The affine map `y = x Wᵀ + b`, and several of them on one input.

use super::adapter::Adapter;
use crate::engine::weights::{Init, Path};
use tch::Tensor;

/// An affine map; `weight` is `[out, in]`, as in PyTorch.
pub struct Linear {
    /// `[out, in]`.
    pub weight: Tensor,
    /// `[out]`, if there is one.
    pub bias: Option<Tensor>,
    /// What is trained in its stead, if anything is.
    adapter: Option<Adapter>,
}

impl Linear {
    /// With a bias, fresh ones 0.
    pub fn with_bias(w: &Path<'_>, input: i64, output: i64, init: Init<'_>) -> Self {
        let bias = Some(w.leaf("bias", &[output], Init::Zeros));
        Self { bias, ..Self::without_bias(w, input, output, init) }
    }

    /// Without a bias.
    pub fn without_bias(w: &Path<'_>, input: i64, output: i64, init: Init<'_>) -> Self {
        let weight = w.leaf("weight", &[output, input], init);
        Self { weight, bias: None, adapter: Adapter::of(w, input, output) }
    }

    /// Applies it to the last dimension.
    pub fn forward(&self, xs: &Tensor) -> Tensor {
        let mapped = xs.linear(&self.weight, self.bias.as_ref());
        match &self.adapter {
            Some(adapter) => adapter.added(xs, &mapped),
            None => mapped,
        }
    }
}

/// Joining weights of up to this many numbers costs less than calling a kernel for each map.
const JOINED: usize = 1 << 18;

/// The outputs of several maps of one input side by side, by one multiplication where the maps are
/// small. Either all have a bias or none.
pub fn side_by_side(maps: &[&Linear], xs: &Tensor) -> Tensor {
    if let [map] = maps {
        return map.forward(xs);
    }
    let is_large = maps.iter().map(|map| map.weight.numel()).sum::<usize>() > JOINED;
    if is_large || maps.iter().any(|map| map.adapter.is_some()) {
        let outputs: Vec<Tensor> = maps.iter().map(|map| map.forward(xs)).collect();
        return Tensor::cat(&outputs, -1);
    }
    let weights: Vec<&Tensor> = maps.iter().map(|map| &map.weight).collect();
    let biases: Vec<&Tensor> = maps.iter().filter_map(|map| map.bias.as_ref()).collect();
    let bias = (!biases.is_empty()).then(|| Tensor::cat(&biases, 0));
    xs.linear(&Tensor::cat(&weights, 0), bias)
}
