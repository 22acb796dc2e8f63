//! From image features to the width of the language model.

use super::linear::Linear;
use crate::engine::weights::{Init, Path};
use tch::Tensor;

/// One affine map; fresh, it passes features through unchanged.
pub struct Projector {
    linear: Linear,
}

impl Projector {
    /// From `input` to `output` features.
    pub fn new(w: &Path<'_>, input: i64, output: i64) -> Self {
        let identity = |_| {
            let cell = |index: i64| f32::from(u8::from(index / input == index % input));
            (0..input * output).map(cell).collect()
        };
        Self { linear: Linear::with_bias(w, input, output, Init::Made(&identity)) }
    }

    /// Applies it to the last dimension.
    pub fn forward(&self, features: &Tensor) -> Tensor {
        self.linear.forward(features)
    }
}
