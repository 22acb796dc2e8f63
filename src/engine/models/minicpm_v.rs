//! MiniCPM-Llama3-V-2.5 (Yao et al. 2024): the tower of Idefics2, a SigLIP, over slices of any
//! proportions, a perceiver resampler that makes the same number of tokens of each, and a Llama 3
//! decoder. After the code that was published with the checkpoint.
//!
//! Unusual, and reproduced because the weights were trained with it: a slice goes through the tower
//! as a strip one patch high, so that a patch knows how far along the strip it is, in steps of the
//! first row of the table of positions, and not where it is in the slice. Slices that are seen
//! together are padded to the longest with patches of zeros, and *the mask that should hide these is
//! true everywhere*: padding is attended like any patch, and the steps are those of the longest slice
//! for all. What is seen in a slice hence depends on what lies beside it. Seen together are here the
//! slices of one picture, its small copy among them: what the published code does for one question
//! with one picture, whatever else is in the batch. With `batch_vision_input = false` each slice is
//! seen alone, as there.
//!
//! | tensor | shape |
//! |---|---|
//! | patches of the slices of a picture | `N P V` |
//! | tokens of a slice | `Q D` |

use super::{
    config::{ConfigError, Keys},
    tower::{Block, DEVIATION, Shape, blocks, through},
};
use crate::engine::{
    nn::{LayerNorm, LearnedPositions, PatchConvolution, Resampler, mlp::Activation},
    pack::Images,
    pixels::Size,
    weights::Path,
};
use tch::{Device, Kind, Tensor};

/// What stands for keys of the tower that are not there.
const TOWER: Shape = Shape {
    side: 980,
    patch: 14,
    width: 1152,
    hidden: 4304,
    layers: 27,
    heads: 16,
    eps: 1e-6,
    activation: Activation::GeluTanh,
};

/// Features of a head of the resampler.
const RESAMPLER_HEAD: i64 = 128;

/// The tower and the resampler.
#[derive(Clone, Debug)]
pub(super) struct Config {
    tower: Shape,
    queries: i64,
    /// Whether the slices of a picture are seen together.
    together: bool,
    pub(super) token: i64,
}

impl Config {
    /// For a language model of this width and vocabulary.
    pub(super) fn read(
        top: &Keys<'_>,
        (width, vocabulary): (i64, i64),
    ) -> Result<Self, ConfigError> {
        if !top.is_or_absent("version", "2.5") {
            return Err(top.unsupported("version", "2.5"));
        }
        let vision = top.table(&["vision_config"])?.ok_or_else(|| top.missing("vision_config"))?;
        if !matches!(vision.text("model_type")?, None | Some("idefics2")) {
            return Err(vision.unsupported("model_type", "`idefics2`"));
        }
        let mut tower = Shape::read(&vision, &TOWER)?;
        if tower.grid() == 0 {
            return Err(vision.unsupported("patch_size", "at most `image_size`"));
        }
        if top.flag("drop_vision_last_layer")?.unwrap_or(true) {
            tower.layers -= 1;
        }
        let heads = (width / RESAMPLER_HEAD).max(1);
        if width < RESAMPLER_HEAD || width % 4 != 0 || width % heads != 0 {
            return Err(top.unsupported("hidden_size", "multiples of 128"));
        }
        Ok(Self {
            tower,
            queries: top.size("query_num", 64)?,
            together: top.flag("batch_vision_input")?.unwrap_or(true),
            token: top.token("image_token_id", Some(128_002), vocabulary)?,
        })
    }

    /// Pixels along a side of a patch.
    pub(super) fn patch(&self) -> usize {
        self.tower.patch as usize
    }

    pub(super) fn tokens(&self, size: Size) -> Option<usize> {
        let (height, width) = (size.height, size.width);
        let whole = [height, width].iter().all(|it| *it > 0 && it.is_multiple_of(self.patch()));
        whole.then_some(self.queries as usize)
    }
}

/// Tower and resampler.
pub(super) struct Vision {
    pub(super) config: Config,
    patch_embedding: PatchConvolution,
    position_embedding: LearnedPositions,
    layers: Vec<Block>,
    post_layernorm: LayerNorm,
    resampler: Resampler,
}

impl Vision {
    /// Walks `vpm` and `resampler` below `w`, to features of `width`.
    pub(super) fn new(w: &Path<'_>, config: Config, width: i64) -> Self {
        let (tower, shape) = (w / "vpm", &config.tower);
        let embeddings = &tower / "embeddings";
        Self {
            patch_embedding: PatchConvolution::new(
                &(&embeddings / "patch_embedding"),
                shape.patch,
                shape.width,
                DEVIATION,
            ),
            position_embedding: LearnedPositions::new(
                &(&embeddings / "position_embedding"),
                "weight",
                (shape.grid() * shape.grid(), shape.width),
                DEVIATION,
            ),
            layers: blocks(&tower, shape),
            post_layernorm: LayerNorm::new(&(&tower / "post_layernorm"), shape.width, shape.eps),
            resampler: Resampler::new(
                &(w / "resampler"),
                config.queries,
                (shape.width, width),
                width / RESAMPLER_HEAD,
            ),
            config,
        }
    }

    /// Patches of all slices, `[patches, V]`, without padding.
    pub(super) fn tower(&self, images: &Images) -> Tensor {
        let seen: Vec<Tensor> = match self.config.together {
            true => images.pictures().flat_map(|slices| self.slices(&slices)).collect(),
            false => images.each().flat_map(|slice| self.slices(&[slice])).collect(),
        };
        Tensor::cat(&seen, 0)
    }

    /// Patches of slices of these sizes to what is seen in them, `[tokens, D]`.
    pub(super) fn projected(&self, patches: &Tensor, sizes: &[Size]) -> Tensor {
        let patch = self.config.patch();
        let mut start = 0;
        let seen = sizes.iter().map(|size| {
            let (rows, columns) = ((size.height / patch) as i64, (size.width / patch) as i64);
            let own = patches.narrow(0, start, rows * columns);
            start += rows * columns;
            self.resampler.forward(&own, (rows, columns))
        });
        Tensor::cat(&seen.collect::<Vec<_>>(), 0)
    }

    /// Slices that are seen together, each `[height, width, 3]` to `[patches, V]`.
    fn slices(&self, slices: &[Tensor]) -> Vec<Tensor> {
        let patches: Vec<Tensor> =
            slices.iter().map(|it| self.patch_embedding.forward(&it.unsqueeze(0))).collect();
        let longest = patches.iter().map(|it| it.size()[1]).max().unwrap_or(0);
        let padded: Vec<Tensor> = patches
            .iter()
            .map(|strip| {
                let shape = [1, longest - strip.size()[1], self.config.tower.width];
                let padding = self.patch_embedding.blank().expand(shape, false);
                Tensor::cat(&[strip, &padding], 1)
            })
            .collect();
        let places = along_a_strip(longest, self.config.tower.grid(), padded[0].device());
        let xs = Tensor::cat(&padded, 0) + self.position_embedding.at(&places);
        let xs = self.post_layernorm.forward(&through(&self.layers, xs));
        let own = |(slice, strip): (i64, &Tensor)| xs.get(slice).narrow(0, 0, strip.size()[1]);
        (0..).zip(&patches).map(own).collect()
    }
}

/// The rows of the table of positions for a strip of patches: only those of the table's first row.
fn along_a_strip(patches: i64, grid: i64, device: Device) -> Tensor {
    let options = (Kind::Float, Device::Cpu);
    let edge = 1.0 / grid as f64;
    let boundaries = Tensor::arange_start_step(edge, 1.0, edge, options);
    // The reference divides in 32 bits, and then counts in steps of the rounded quotient.
    let step = f64::from(1.0 / patches as f32);
    let coordinates = Tensor::arange_start_step(0.0, 1.0 - 1e-6, step, options);
    coordinates.bucketize(&boundaries, false, true).to_device(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strip_spreads_over_the_first_row_of_the_table() {
        let places =
            |patches| Vec::<i64>::try_from(along_a_strip(patches, 4, Device::Cpu)).unwrap();
        assert_eq!(places(2), [0, 2]);
        assert_eq!(places(8), [0, 0, 1, 1, 2, 2, 3, 3]);
        for patches in 1..1200 {
            let found = places(patches);
            assert!(found.len() as i64 == patches && found.is_sorted() && found[0] == 0);
            assert!(*found.last().unwrap() <= 3);
        }
        // In 32 bits seven steps of a 49th are less than a seventh.
        let found = Vec::<i64>::try_from(along_a_strip(49, 70, Device::Cpu)).unwrap();
        assert_eq!(found[6..9], [8, 9, 11]);
    }
}
