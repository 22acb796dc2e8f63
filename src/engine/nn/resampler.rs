//! The perceiver resampler of MiniCPM-V and Qwen-VL (Bai et al. 2023): learned queries read an image
//! of any size into a fixed number of tokens by one cross attention.

use super::{LayerNorm, Linear};
use crate::engine::weights::{Init, Path};
use tch::{Device, Kind, Tensor};

/// What its norms add.
const EPS: f64 = 1e-6;
/// Standard deviation of fresh matrices, as in the reference.
const DEVIATION: f64 = 0.02;
/// The longest wave of the positions.
const LONGEST_WAVE: f64 = 10_000.0;

/// Learned queries and what they read with.
pub struct Resampler {
    query: Tensor,
    /// Absent where what is read has the width already.
    kv_proj: Option<Linear>,
    ln_q: LayerNorm,
    ln_kv: LayerNorm,
    in_proj_weight: Tensor,
    in_proj_bias: Tensor,
    out_proj: Linear,
    ln_post: LayerNorm,
    proj: Tensor,
    heads: i64,
}

impl Resampler {
    /// So many queries of `width` features and `heads` heads, reading `input` features.
    pub fn new(w: &Path<'_>, queries: i64, (input, width): (i64, i64), heads: i64) -> Self {
        let attention = w / "attn";
        let norm = |name| LayerNorm::new(&(w / name), width, EPS);
        let fresh = || Init::Normal(DEVIATION);
        Self {
            query: w.leaf("query", &[queries, width], fresh()),
            kv_proj: (input != width)
                .then(|| Linear::without_bias(&(w / "kv_proj"), input, width, fresh())),
            ln_q: norm("ln_q"),
            ln_kv: norm("ln_kv"),
            in_proj_weight: attention.leaf("in_proj_weight", &[3 * width, width], fresh()),
            in_proj_bias: attention.leaf("in_proj_bias", &[3 * width], Init::Zeros),
            out_proj: Linear::with_bias(&(&attention / "out_proj"), width, width, fresh()),
            ln_post: norm("ln_post"),
            proj: w.leaf("proj", &[width, width], Init::Normal((width as f64).powf(-0.5))),
            heads,
        }
    }

    /// The patches of one image, `[rows * columns, input]`, to `[queries, width]`. Keys know their
    /// place, values do not.
    pub fn forward(&self, patches: &Tensor, (rows, columns): (i64, i64)) -> Tensor {
        let read = match &self.kv_proj {
            Some(map) => self.ln_kv.forward(&map.forward(patches)),
            None => self.ln_kv.forward(patches),
        };
        let width = self.proj.size()[0];
        let places = places((rows, columns), width, read.device()).to_kind(read.kind());
        let inputs = [self.ln_q.forward(&self.query), &read + places, read];
        let parts = inputs.iter().zip(self.in_proj_weight.chunk(3, 0));
        let mut by_head = parts.zip(self.in_proj_bias.chunk(3, 0)).map(|((xs, weight), bias)| {
            let heads = xs.linear(&weight, Some(&bias)).view([-1, self.heads, width / self.heads]);
            heads.transpose(0, 1).unsqueeze(0)
        });
        let mut next = || by_head.next().expect("queries, keys and values are three");
        let (query, key, value) = (next(), next(), next());
        let no_mask = None::<&Tensor>;
        let mixed = Tensor::scaled_dot_product_attention(
            &query, &key, &value, no_mask, 0.0, false, None, false,
        );
        let mixed = mixed.squeeze_dim(0).transpose(0, 1).reshape([-1, width]);
        self.ln_post.forward(&self.out_proj.forward(&mixed)).matmul(&self.proj)
    }
}

/// Sines and cosines of the column, then of the row, of each place of a grid: `[rows * columns,
/// width]` in 32 bits.
fn places((rows, columns): (i64, i64), width: i64, device: Device) -> Tensor {
    let quarter = width / 4;
    let options = (Kind::Float, device);
    let exponents = Tensor::arange(quarter, options) / quarter as f64;
    let frequencies = Tensor::pow_scalar(LONGEST_WAVE, &exponents).reciprocal();
    let along = |length: i64| {
        let angles = Tensor::arange(length, options).outer(&frequencies);
        Tensor::cat(&[angles.sin(), angles.cos()], 1)
    };
    let shape = [rows, columns, 2 * quarter];
    let of_column = along(columns).unsqueeze(0).expand(shape, false);
    let of_row = along(rows).unsqueeze(1).expand(shape, false);
    Tensor::cat(&[of_column, of_row], -1).view([rows * columns, 4 * quarter])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_its_column_then_its_row() {
        let table = places((2, 3), 8, Device::Cpu);
        assert_eq!(table.size(), [6, 8]);
        let found = Vec::<f32>::try_from(table.get(5)).unwrap();
        let wave =
            |place: f32| [place.sin(), (place / 100.0).sin(), place.cos(), (place / 100.0).cos()];
        let expected = [wave(2.0), wave(1.0)].concat();
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
    }
}
