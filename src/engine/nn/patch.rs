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

/// A convolution whose stride is the side of its kernel: one affine map of each patch.
pub struct PatchConvolution {
    /// `[width, 3, side, side]`, or `[width, 3, frames, side, side]`.
    weight: Tensor,
    bias: Option<Tensor>,
    side: i64,
}

impl PatchConvolution {
    /// Patches of `side` x `side` pixels with three channels to `width` features.
    pub fn new(w: &Path<'_>, side: i64, width: i64, deviation: f64) -> Self {
        let bias = Some(w.leaf("bias", &[width], Init::Zeros));
        Self { bias, ..Self::without_bias(w, side, width, deviation) }
    }

    /// The same without a bias.
    pub fn without_bias(w: &Path<'_>, side: i64, width: i64, deviation: f64) -> Self {
        let weight = w.leaf("weight", &[width, 3, side, side], Init::Normal(deviation));
        Self { weight, bias: None, side }
    }

    /// Of a video tower, for pictures that stand still: all `frames` see the same patch.
    pub fn of_frames(
        w: &Path<'_>,
        (side, frames): (i64, i64),
        width: i64,
        (bias, deviation): (bool, f64),
    ) -> Self {
        let shape = [width, 3, frames, side, side];
        let weight = w.leaf("weight", &shape, Init::Normal(deviation));
        let bias = bias.then(|| w.leaf("bias", &[width], Init::Zeros));
        Self { weight, bias, side }
    }

    /// What stands for a patch of zeros, `[width]`.
    pub fn blank(&self) -> Tensor {
        let nothing =
            || Tensor::zeros([self.weight.size()[0]], (self.weight.kind(), self.weight.device()));
        self.bias.as_ref().map_or_else(nothing, Tensor::shallow_clone)
    }

    /// `[N, height, width, 3]` to `[N, patches, width]`; pixels beyond the last whole patch are
    /// not seen.
    pub fn forward(&self, images: &Tensor) -> Tensor {
        let (_, height, width, _) = images.size4().expect("images have four dimensions");
        let whole = |length: i64| length / self.side * self.side;
        let images = images.narrow(1, 0, whole(height)).narrow(2, 0, whole(width));
        let weight = match self.weight.dim() {
            5 => self.weight.sum_dim_intlist([2_i64].as_slice(), false, None),
            _ => self.weight.shallow_clone(),
        };
        // Patches are cut with the channels last.
        let weight = weight.permute([0, 2, 3, 1]).flatten(1, -1);
        patches(&images.contiguous(), self.side).linear(&weight, self.bias.as_ref())
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

    #[test]
    fn a_convolution_is_one_map_of_each_patch() {
        let (weight, bias) = (
            Tensor::randn([5, 3, 2, 2], tch::kind::FLOAT_CPU),
            Tensor::ones([5], tch::kind::FLOAT_CPU),
        );
        let images = Tensor::randn([2, 5, 4, 3], tch::kind::FLOAT_CPU);
        let wanted = images.permute([0, 3, 1, 2]).conv2d(&weight, Some(&bias), 2, 0, 1, 1);
        let wanted = wanted.flatten(2, -1).transpose(1, 2);
        let found = PatchConvolution { weight, bias: Some(bias), side: 2 }.forward(&images);
        assert_eq!(found.size(), [2, 4, 5]);
        assert!((found - wanted).abs().max().double_value(&[]) < 1e-5);
    }
}
