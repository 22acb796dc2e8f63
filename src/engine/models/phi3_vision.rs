//! Phi-3-vision and Phi-3.5-vision (Abdin et al. 2024): CLIP's tower over the crops of a picture and a
//! small copy of all of it, squares of patches joined, two affine maps, and a Phi-3 decoder. After the
//! code that was published with the checkpoints.
//!
//! Unusual: the tower's last block and its norm are in the checkpoint and see nothing, because what is
//! read comes before them; the crops are put together again, and a learned vector ends each row of the
//! whole and of the copy, another one stands between the two; placeholders are negative, the first
//! picture's -1, the second's -2, and so on. The decoder turns heads by LongRoPE: other frequencies
//! in sequences longer than `original_max_position_embeddings`. The reference computes its cache anew
//! when a response grows beyond that; here a sequence turns by the length that it may reach (prompt
//! and `max_new_tokens`) from its first token on.
//!
//! | tensor | shape |
//! |---|---|
//! | small copy and crops of a picture | `1+R C side side 3` |
//! | class token and patches | `1+R C 1+P V` |
//! | image features | `T D` |

use super::{
    config::{ConfigError, Keys},
    tower::{Block, DEVIATION, Shape, blocks, through},
};
use crate::engine::{
    nn::{LayerNorm, LearnedPositions, Linear, PatchConvolution, mlp::Activation, pixel_shuffle},
    pack::Images,
    pixels::Size,
    weights::{Init, Path},
};
use tch::{Device, Kind, Tensor};

/// CLIP ViT-L/14 at 336 pixels, which the published code builds whatever the checkpoint says; a
/// `vision_config` may say otherwise here.
const TOWER: Shape = Shape {
    side: 336,
    patch: 14,
    width: 1024,
    hidden: 4096,
    layers: 24,
    heads: 16,
    eps: 1e-5,
    activation: Activation::QuickGelu,
};

/// Patches along a side that are joined.
const FACTOR: i64 = 2;
/// Negative tokens from here on are placeholders.
const LOWEST: i64 = -1_000_000_000;

/// The tower and what follows it.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) tower: Shape,
}

impl Config {
    pub(super) fn read(top: &Keys<'_>) -> Result<Self, ConfigError> {
        let tower = match top.table(&["vision_config"])? {
            Some(vision) => {
                let tower = Shape::read(&vision, &TOWER)?;
                if !tower.joins(FACTOR) || tower.side % tower.patch != 0 {
                    let supported = "a side of whole pairs of patches";
                    return Err(vision.unsupported("image_size", supported));
                }
                tower
            }
            None => TOWER,
        };
        let projector = top.table(&["embd_layer"])?.ok_or_else(|| top.missing("embd_layer"))?;
        for key in ["use_hd_transform", "with_learnable_separator"] {
            if projector.flag(key)? != Some(true) {
                return Err(projector.unsupported(key, "true"));
            }
        }
        for (key, supported) in [("hd_transform_order", "`sub_glb`"), ("projection_cls", "`mlp`")] {
            if projector.text(key)? != Some(supported.trim_matches('`')) {
                return Err(projector.unsupported(key, supported));
            }
        }
        let processor =
            top.table(&["img_processor"])?.ok_or_else(|| top.missing("img_processor"))?;
        if processor.size("image_dim_out", tower.width)? != tower.width {
            return Err(processor.unsupported("image_dim_out", "the width of the tower"));
        }
        if !matches!(processor.integer("layer_idx")?, None | Some(-2)) {
            return Err(processor.unsupported("layer_idx", "-2"));
        }
        if !matches!(processor.text("type_feature")?, None | Some("patch")) {
            return Err(processor.unsupported("type_feature", "`patch`"));
        }
        Ok(Self { tower })
    }

    /// Of a picture: a small copy, and the whole in crops.
    pub(super) fn tokens(&self, picture: &[Size]) -> Option<usize> {
        let &[copy, whole] = picture else { return None };
        let side = self.tower.side as usize;
        let (rows, columns) = (whole.height / side, whole.width / side);
        let fits = whole == Size { height: rows * side, width: columns * side };
        if copy != self.tower.square() || !fits || rows * columns == 0 {
            return None;
        }
        // A vector ends each row of the whole and of the copy, and one stands between the two.
        let along = (self.tower.grid() / FACTOR) as usize;
        Some((rows * columns + 1) * along * along + (rows + 1) * along + 1)
    }
}

/// Whether a token stands for a picture.
pub(super) fn is_placeholder(token: i64) -> bool {
    (LOWEST + 1..0).contains(&token)
}

/// Tower and projector.
pub(super) struct Vision {
    pub(super) config: Config,
    class_embedding: Tensor,
    patch_embedding: PatchConvolution,
    position_embedding: LearnedPositions,
    pre_layrnorm: LayerNorm,
    layers: Vec<Block>,
    /// What ends a row.
    sub_gn: Tensor,
    /// What stands between the whole and the copy.
    glb_gn: Tensor,
    rise: Linear,
    fall: Linear,
    /// The places of the class token and the patches.
    places: Tensor,
}

impl Vision {
    /// Walks the tower and the projector at `w`, to features of `width`.
    pub(super) fn new(w: &Path<'_>, config: Config, width: i64) -> Self {
        let (tower, shape) = (w / "img_processor" / "vision_model", &config.tower);
        let embeddings = &tower / "embeddings";
        let projection = w / "img_projection";
        let joined = shape.width * FACTOR * FACTOR;
        let places = shape.grid() * shape.grid() + 1;
        let norm = |name| LayerNorm::new(&(&tower / name), shape.width, shape.eps);
        let linear = |name: &str, input| {
            Linear::with_bias(&(&projection / name), input, width, Init::Normal(DEVIATION))
        };
        // It sees nothing, and belongs to the checkpoint.
        drop(norm("post_layernorm"));
        Self {
            class_embedding: embeddings.leaf(
                "class_embedding",
                &[shape.width],
                Init::Normal(DEVIATION),
            ),
            patch_embedding: PatchConvolution::without_bias(
                &(&embeddings / "patch_embedding"),
                shape.patch,
                shape.width,
                DEVIATION,
            ),
            position_embedding: LearnedPositions::new(
                &(&embeddings / "position_embedding"),
                "weight",
                (places, shape.width),
                DEVIATION,
            ),
            pre_layrnorm: norm("pre_layrnorm"),
            layers: blocks(&tower, shape),
            sub_gn: w.leaf("sub_GN", &[1, 1, 1, joined], Init::Zeros),
            glb_gn: w.leaf("glb_GN", &[1, 1, joined], Init::Zeros),
            rise: linear("0", joined),
            fall: linear("2", width),
            places: Tensor::arange(places, (Kind::Int64, Device::Cpu)).to_device(w.options().1),
            config,
        }
    }

    /// Patches of the small copies and crops of all pictures, `[(1+R C) P, V]` of each.
    pub(super) fn tower(&self, images: &Images) -> Tensor {
        let seen: Vec<Tensor> = images.pictures().map(|tiles| self.cut(&tiles)).collect();
        Tensor::cat(&seen, 0)
    }

    /// These to what is seen in all images, `[T, D]`.
    pub(super) fn projected(&self, patches: &Tensor, images: &Images) -> Tensor {
        let Shape { side, width, .. } = self.config.tower;
        let places = self.config.tower.grid() * self.config.tower.grid();
        let mut start = 0;
        let wholes = images.sizes.iter().skip(1).step_by(2);
        let seen = wholes.map(|whole| {
            let (rows, columns) = (whole.height as i64 / side, whole.width as i64 / side);
            let crops = 1 + rows * columns;
            let own = patches.narrow(0, start, crops * places).view([crops, places, width]);
            start += crops * places;
            self.picture(&own, (rows, columns))
        });
        let hidden = self.rise.forward(&Tensor::cat(&seen.collect::<Vec<_>>(), 0));
        self.fall.forward(&Activation::Gelu.forward(&hidden))
    }

    /// A small copy and the whole of a picture to the patches of its crops, `[(1+R C) P, V]`.
    fn cut(&self, tiles: &[Tensor]) -> Tensor {
        let [copy, whole] = tiles else { panic!("a picture has a copy and a whole") };
        let side = self.config.tower.side;
        let (rows, columns) = (whole.size()[0] / side, whole.size()[1] / side);
        let crops = whole.view([rows, side, columns, side, 3]).transpose(1, 2);
        let crops = crops.reshape([rows * columns, side, side, 3]);
        self.blocks(&Tensor::cat(&[copy.unsqueeze(0), crops], 0)).flatten(0, 1)
    }

    /// Patches of a small copy and the crops of a whole, `[1+R C, P, V]`, to `[T, 4 V]`.
    fn picture(&self, seen: &Tensor, (rows, columns): (i64, i64)) -> Tensor {
        let joined = pixel_shuffle(seen, FACTOR);
        Tensor::cat(
            &[
                self.with_row_ends(&joined.narrow(0, 1, rows * columns), (rows, columns)),
                self.glb_gn.squeeze_dim(0),
                self.with_row_ends(&joined.narrow(0, 0, 1), (1, 1)),
            ],
            0,
        )
    }

    /// Crops `[N, side, side, 3]` to what the last block but one makes of their patches, `[N, P, V]`.
    fn blocks(&self, crops: &Tensor) -> Tensor {
        let patches = self.patch_embedding.forward(crops);
        let (count, places, width) = patches.size3().expect("patches have three dimensions");
        let class = self.class_embedding.expand([count, 1, width], false);
        let xs = Tensor::cat(&[class, patches], 1) + self.position_embedding.at(&self.places);
        let read = &self.layers[..self.layers.len() - 1];
        through(read, self.pre_layrnorm.forward(&xs)).narrow(1, 1, places).contiguous()
    }

    /// Joined patches of crops, `[R C, tokens, 4 V]`, by the rows of the whole, each with its end.
    fn with_row_ends(&self, crops: &Tensor, (rows, columns): (i64, i64)) -> Tensor {
        let (_, tokens, width) = crops.size3().expect("joined patches have three dimensions");
        let along = tokens.isqrt();
        let whole = crops.view([rows, columns, along, along, width]).transpose(1, 2);
        let whole = whole.reshape([rows * along, columns * along, width]);
        let ends = self.sub_gn.squeeze_dim(0).expand([rows * along, 1, width], false);
        Tensor::cat(&[whole, ends], 1).flatten(0, 1)
    }
}
