//! Patches of an image and their embedding.

use super::{linear::Linear, mlp::Activation};
use crate::engine::weights::{Init, Path};
use tch::Tensor;

/// Cuts images `[N, height, width, channels]` into `[N, patches, side * side * channels]`; patches
/// by rows, inside a patch by rows, then columns, then channels.
pub fn patches(images: &Tensor, side: i64) -> Tensor {
    let (count, height, width, channels) = images.size4().expect("images have four dimensions");
    let (rows, columns) = (height / side, width / side);
    images.view([count, rows, side, columns, side, channels]).permute([0, 1, 3, 2, 4, 5]).reshape([
        count,
        rows * columns,
        side * side * channels,
    ])
}

/// A two-layer embedding of patches: `fc2(activation(fc1(x)))`.
pub struct PatchEmbedding {
    fc1: Linear,
    fc2: Linear,
    side: i64,
    activation: Activation,
}

impl PatchEmbedding {
    /// Patches of `side` x `side` pixels with three channels, through `hidden` to `width` features.
    /// Fresh weights have the variance of PyTorch's default, `1 / (3 fan_in)`.
    pub fn new(w: (&Path<'_>, &Path<'_>), side: i64, hidden: i64, width: i64) -> Self {
        let input = side * side * 3;
        let deviation = |fan_in: i64| Init::Normal((1.0 / (3.0 * fan_in as f64)).sqrt());
        Self {
            fc1: Linear::with_bias(w.0, input, hidden, deviation(input)),
            fc2: Linear::with_bias(w.1, hidden, width, deviation(hidden)),
            side,
            activation: Activation::GeluTanh,
        }
    }

    /// `[N, height, width, 3]` to `[N, patches, width]`.
    pub fn forward(&self, images: &Tensor) -> Tensor {
        let hidden = self.fc1.forward(&patches(images, self.side));
        self.fc2.forward(&self.activation.forward(&hidden))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn a_patch_holds_its_own_pixels_in_order() {
        let images = Tensor::arange(2 * 4 * 4 * 3, (Kind::Int64, Device::Cpu)).view([2, 4, 4, 3]);
        let cut = patches(&images, 2);
        assert_eq!(cut.size(), [2, 4, 12]);
        let second = Vec::<i64>::try_from(cut.get(0).get(1)).unwrap();
        assert_eq!(second, [6, 7, 8, 9, 10, 11, 18, 19, 20, 21, 22, 23]);
    }
}
