//! Pixel shuffle: fewer image tokens with more features each, before a projector.

use tch::Tensor;

/// Merges each `factor` x `factor` square of `[N, height * width, D]`, a square grid, into one token:
/// `[N, tokens / factor², D * factor²]`. InternVL since `ps_version = "v2"`, Idefics3 and SmolVLM
/// all order features so: by the square's rows, then its columns, then channels.
pub fn pixel_shuffle(features: &Tensor, factor: i64) -> Tensor {
    let (count, tokens, width) = features.size3().expect("features have three dimensions");
    let side = tokens.isqrt();
    let small = side / factor;
    features
        .view([count, small, factor, small, factor, width])
        .permute([0, 1, 3, 2, 4, 5])
        .reshape([count, small * small, width * factor * factor])
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn a_square_becomes_one_token_by_rows() {
        let grid = Tensor::arange(16, (Kind::Int64, Device::Cpu)).view([1, 16, 1]);
        let merged = pixel_shuffle(&grid, 2);
        assert_eq!(merged.size(), [1, 4, 4]);
        assert_eq!(Vec::<i64>::try_from(merged.get(0).get(0)).unwrap(), [0, 1, 4, 5]);
        assert_eq!(Vec::<i64>::try_from(merged.get(0).get(3)).unwrap(), [10, 11, 14, 15]);
    }
}
