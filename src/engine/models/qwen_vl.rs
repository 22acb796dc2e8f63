//! Qwen2-VL (Wang et al. 2024), Qwen2.5-VL (Bai et al. 2025) and Qwen3-VL: a tower without a fixed
//! size, whose patches know their row and column by rotary positions, a merger of squares of patches,
//! and a Qwen decoder whose positions have three axes. After transformers' modules of these names.
//!
//! Unusual: patches come in the order in which they are merged; an image counts as two equal frames,
//! so that the two halves of the patch kernel are added once instead of being applied twice; 2.5
//! attends in windows except in some layers, which a list of groups says here where the reference
//! reorders the patches; 3 also adds learned positions, resampled to the grid of each image, and what
//! some layers see to the stream after the decoder's first ones (DeepStack, Meng et al. 2024); after
//! an image, text goes on at the larger of its sides.
//!
//! | tensor | shape |
//! |---|---|
//! | patches of all images | `T V` |
//! | image features | `T/m² D` |

use super::{
    Places,
    config::{ConfigError, Keys},
    decoder,
    vision::Seen,
};
use crate::engine::{
    nn::{
        GatedMlp, Heads, LayerNorm, Layout, LearnedPositions, Linear, Mlp, PatchConvolution,
        RmsNorm,
        attention::within_groups,
        mlp::Activation,
        rotary::{Angles, frequencies},
    },
    pack::Images,
    pixels::Size,
    weights::{Init, Path},
};
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};

/// Standard deviation of fresh matrices, as in the reference.
const DEVIATION: f64 = 0.02;
/// What all norms of the towers add.
const EPS: f64 = 1e-6;

/// Patches along a side, or frames, that are joined, far beyond any model.
const MOST_JOINED: i64 = 16;

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generation {
    Two,
    TwoAndAHalf,
    Three,
}

/// How a tower is made.
#[derive(Clone, Debug)]
enum Style {
    /// Qwen2-VL: LayerNorm, and two affine maps around an activation.
    Plain(Activation),
    /// Qwen2.5-VL: RMSNorm, SwiGLU, and windows of so many tokens along a side in all layers but
    /// the listed ones.
    Windowed { side: i64, full: Vec<i64> },
    /// Qwen3-VL: blocks as in the first, a table of so many places, and the layers whose output
    /// the decoder gets, too.
    Deep { activation: Activation, places: i64, from: Vec<i64> },
}

/// The tower and its merger.
#[derive(Clone, Debug)]
pub(super) struct Config {
    patch: i64,
    frames: i64,
    merge: i64,
    width: i64,
    hidden: i64,
    layers: usize,
    heads: Heads,
    theta: f64,
    style: Style,
    pub(super) token: i64,
}

impl Config {
    pub(super) fn read(
        top: &Keys<'_>,
        generation: Generation,
        language: &decoder::Config,
    ) -> Result<Self, ConfigError> {
        let vision = top.table(&["vision_config"])?.ok_or_else(|| top.missing("vision_config"))?;
        let side = if generation == Generation::Three { 16 } else { 14 };
        let (patch, merge) =
            (vision.side("patch_size", side)?, vision.size("spatial_merge_size", 2)?);
        let frames = vision.size("temporal_patch_size", 2)?;
        let (width_key, out_key, width) = match generation {
            Generation::Two => ("embed_dim", "hidden_size", 1280),
            Generation::TwoAndAHalf => ("hidden_size", "out_hidden_size", 3584),
            Generation::Three => ("hidden_size", "out_hidden_size", 1152),
        };
        for (key, value) in [("spatial_merge_size", merge), ("temporal_patch_size", frames)] {
            if value > MOST_JOINED {
                return Err(vision.unsupported(key, "at most 16"));
            }
        }
        let width = vision.size(width_key, width)?;
        if vision.size(out_key, 3584)? != language.width {
            return Err(vision.unsupported(out_key, "the width of the language model"));
        }
        let (style, hidden) = match generation {
            Generation::Two => {
                let activation = vision.activation("hidden_act", Activation::QuickGelu)?;
                (Style::Plain(activation), (width as f64 * vision.number("mlp_ratio", 4.0)?) as i64)
            }
            Generation::Three => {
                let activation = vision.activation("hidden_act", Activation::GeluTanh)?;
                let places = vision.size("num_position_embeddings", 2304)?;
                let from = vision.integers("deepstack_visual_indexes")?;
                let from = from.unwrap_or_else(|| vec![8, 16, 24]);
                if from.len() > language.layers || !from.is_sorted_by(|a, b| a < b) {
                    let supported = "an ascending list, no longer than the decoder";
                    return Err(vision.unsupported("deepstack_visual_indexes", supported));
                }
                let hidden = vision.size("intermediate_size", 4304)?;
                (Style::Deep { activation, places, from }, hidden)
            }
            Generation::TwoAndAHalf => {
                let side = vision.size("window_size", 112)? / merge / patch;
                if side == 0 {
                    return Err(vision.unsupported("window_size", "at least one merged patch"));
                }
                let full = vision.integers("fullatt_block_indexes")?;
                let full = full.unwrap_or_else(|| vec![7, 15, 23, 31]);
                (Style::Windowed { side, full }, vision.size("intermediate_size", 3420)?)
            }
        };
        let heads = vision.size("num_heads", 16)?;
        vision.divisible((width_key, width), ("4 x num_heads", 4 * heads))?;
        let theta = match vision.table(&["rope_parameters"])? {
            Some(rope) => rope.number("rope_theta", 10_000.0)?,
            None => 10_000.0,
        };
        Ok(Self {
            patch,
            frames,
            merge,
            width,
            hidden,
            layers: vision
                .layers("depth", if generation == Generation::Three { 27 } else { 32 })?,
            heads: Heads { queries: heads, keys: heads, width: width / heads },
            theta,
            style,
            token: top.token("image_token_id", Some(151_655), language.vocabulary)?,
        })
    }

    /// Pixels along a side of what becomes one token.
    pub(super) fn unit(&self) -> usize {
        (self.patch * self.merge) as usize
    }

    /// Tokens down and across an image.
    fn grid(&self, size: Size) -> (usize, usize) {
        (size.height / self.unit(), size.width / self.unit())
    }

    pub(super) fn tokens(&self, size: Size) -> Option<usize> {
        let (rows, columns) = self.grid(size);
        let whole = size.height == rows * self.unit() && size.width == columns * self.unit();
        (whole && rows * columns > 0).then_some(rows * columns)
    }

    /// Text goes on where it is; an image spreads over height and width at one time.
    pub(super) fn places(&self, tokens: &[i64], images: &[Size]) -> Places {
        let (mut places, mut next) = (Vec::with_capacity(tokens.len()), 0);
        let mut images = images.iter();
        while places.len() < tokens.len() {
            let size = (tokens[places.len()] == self.token).then(|| images.next()).flatten();
            let Some(&size) = size else {
                places.push([next; 3]);
                next += 1;
                continue;
            };
            let (rows, columns) = self.grid(size);
            for row in 0..rows as i64 {
                places.extend((0..columns as i64).map(|column| [next, next + row, next + column]));
            }
            next += rows.max(columns).max(1) as i64;
        }
        Places { tokens: places, next }
    }
}

enum Norm {
    Layer(LayerNorm),
    Rms(RmsNorm),
}

impl Norm {
    fn new(w: &Path<'_>, width: i64, style: &Style) -> Self {
        match style {
            Style::Plain(_) | Style::Deep { .. } => Self::Layer(LayerNorm::new(w, width, EPS)),
            Style::Windowed { .. } => Self::Rms(RmsNorm::new(w, width, EPS)),
        }
    }

    fn forward(&self, xs: &Tensor) -> Tensor {
        match self {
            Self::Layer(norm) => norm.forward(xs),
            Self::Rms(norm) => norm.forward(xs),
        }
    }
}

enum FeedForward {
    Plain(Mlp),
    Gated(GatedMlp),
}

/// A pre-norm block over the patches of all images.
struct Block {
    norm1: Norm,
    qkv: Linear,
    proj: Linear,
    norm2: Norm,
    mlp: FeedForward,
    heads: Heads,
}

impl Block {
    fn new(w: &Path<'_>, config: &Config) -> Self {
        let (width, hidden, style) = (config.width, config.hidden, &config.style);
        let attention = w / "attn";
        let linear = |name, output| {
            Linear::with_bias(&(&attention / name), width, output, Init::Normal(DEVIATION))
        };
        let mlp = w / "mlp";
        Self {
            norm1: Norm::new(&(w / "norm1"), width, style),
            qkv: linear("qkv", 3 * width),
            proj: linear("proj", width),
            norm2: Norm::new(&(w / "norm2"), width, style),
            mlp: match style {
                Style::Plain(activation) => FeedForward::Plain(Mlp::new(
                    &mlp,
                    width,
                    hidden,
                    *activation,
                    (DEVIATION, DEVIATION),
                )),
                Style::Deep { activation, .. } => FeedForward::Plain(Mlp::of(
                    (&(&mlp / "linear_fc1"), &(&mlp / "linear_fc2")),
                    width,
                    hidden,
                    *activation,
                    (DEVIATION, DEVIATION),
                )),
                Style::Windowed { .. } => {
                    FeedForward::Gated(GatedMlp::with_biases(&mlp, width, hidden, DEVIATION))
                }
            },
            heads: config.heads,
        }
    }

    fn forward(&self, xs: &Tensor, angles: &Angles, layout: &Layout) -> Tensor {
        let qkv = self.heads.split(&self.qkv.forward(&self.norm1.forward(xs)));
        let turned = angles.turn(&qkv.narrow(1, 0, 2 * self.heads.queries));
        let values = qkv.narrow(1, 2 * self.heads.queries, self.heads.queries);
        let qkv = Tensor::cat(&[turned, values], 1);
        let xs = xs + self.proj.forward(&within_groups(&qkv, self.heads, layout));
        let normal = self.norm2.forward(&xs);
        xs + match &self.mlp {
            FeedForward::Plain(mlp) => mlp.forward(&normal),
            FeedForward::Gated(mlp) => mlp.forward(&normal),
        }
    }
}

/// Joins squares of patches into tokens.
struct Merger {
    norm: Norm,
    /// Whether the norm is over the joined patches instead of each.
    joined: bool,
    rise: Linear,
    fall: Linear,
    width: i64,
}

impl Merger {
    /// With the norm and the two maps at these places, from `width` joined features to `output`.
    fn new(w: [&Path<'_>; 3], (config, joined): (&Config, bool), output: i64) -> Self {
        let width = config.width * config.merge * config.merge;
        let normed = if joined { width } else { config.width };
        let linear =
            |w: &Path<'_>, output| Linear::with_bias(w, width, output, Init::Normal(DEVIATION));
        Self {
            norm: Norm::new(w[0], normed, &config.style),
            joined,
            rise: linear(w[1], width),
            fall: linear(w[2], output),
            width,
        }
    }

    fn forward(&self, xs: &Tensor) -> Tensor {
        let joined = match self.joined {
            true => self.norm.forward(&xs.view([-1, self.width])),
            false => self.norm.forward(xs).view([-1, self.width]),
        };
        self.fall.forward(&Activation::Gelu.forward(&self.rise.forward(&joined)))
    }
}

/// Tower and mergers.
pub(super) struct Vision {
    pub(super) config: Config,
    patch_embed: PatchConvolution,
    pos_embed: Option<LearnedPositions>,
    blocks: Vec<Block>,
    merger: Merger,
    deepstack_merger_list: Vec<Merger>,
    frequencies: Tensor,
}

impl Vision {
    /// Walks the tower at `w`, to features of `width`.
    pub(super) fn new(w: &Path<'_>, config: Config, width: i64) -> Self {
        let (_, device) = w.options();
        let third = |w: &Path<'_>, joined| {
            let places = [&(w / "norm"), &(w / "linear_fc1"), &(w / "linear_fc2")];
            Merger::new(places, (&config, joined), width)
        };
        let merger = w / "merger";
        let (pos_embed, merger, deepstack_merger_list) = match &config.style {
            Style::Deep { places, from, .. } => {
                let shape = (*places, config.width);
                let table = LearnedPositions::new(&(w / "pos_embed"), "weight", shape, DEVIATION);
                let list = w / "deepstack_merger_list";
                let deep = (0..from.len()).map(|at| third(&(&list / at), true)).collect();
                (Some(table), third(&merger, false), deep)
            }
            Style::Plain(_) | Style::Windowed { .. } => {
                let mlp = &merger / "mlp";
                let places = [&(&merger / "ln_q"), &(&mlp / "0"), &(&mlp / "2")];
                (None, Merger::new(places, (&config, false), width), Vec::new())
            }
        };
        Self {
            patch_embed: PatchConvolution::of_frames(
                &(w / "patch_embed" / "proj"),
                (config.patch, config.frames),
                config.width,
                (pos_embed.is_some(), DEVIATION),
            ),
            pos_embed,
            blocks: (0..config.layers)
                .map(|layer| Block::new(&(w / "blocks" / layer), &config))
                .collect(),
            merger,
            deepstack_merger_list,
            frequencies: frequencies(config.heads.width / 2, config.theta, device),
            config,
        }
    }

    /// Patches of all images, `[T, V]`, and what they were after each layer that the decoder gets.
    pub(super) fn tower(&self, images: &Images) -> Vec<Tensor> {
        let seen: Vec<Tensor> = images.each().map(|image| self.patches(&image)).collect();
        let mut xs = Tensor::cat(&seen, 0);
        if let (Some(table), Style::Deep { places, .. }) = (&self.pos_embed, &self.config.style) {
            xs = &xs + self.resampled(table, places.isqrt(), &images.sizes).to_kind(xs.kind());
        }
        let angles = self.angles(&images.sizes, xs.device());
        let total = xs.size()[0] as usize;
        let whole = Layout::groups(self.groups(&images.sizes, None), total, xs.device());
        let windows = match &self.config.style {
            Style::Plain(_) | Style::Deep { .. } => None,
            Style::Windowed { side, full } => {
                let groups = self.groups(&images.sizes, Some(*side as usize));
                Some((full, Layout::groups(groups, total, xs.device())))
            }
        };
        let mut outputs = Vec::new();
        for (layer, block) in self.blocks.iter().enumerate() {
            let layout = match &windows {
                Some((full, layout)) if !full.contains(&(layer as i64)) => layout,
                _ => &whole,
            };
            xs = block.forward(&xs, &angles, layout);
            if let Style::Deep { from, .. } = &self.config.style
                && from.contains(&(layer as i64))
            {
                outputs.push(xs.shallow_clone());
            }
        }
        outputs.insert(0, xs);
        outputs
    }

    /// These to what is seen in all images.
    pub(super) fn projected(&self, outputs: &[Tensor]) -> Seen {
        let deep = self.deepstack_merger_list.iter().zip(&outputs[1..]);
        Seen {
            features: self.merger.forward(&outputs[0]),
            deep: deep.map(|(merger, xs)| merger.forward(xs)).collect(),
        }
    }

    /// The learned positions of a square of `side` places, resampled bilinearly to each image with
    /// the corners in place: `[T, V]` in 32 bits.
    fn resampled(&self, table: &LearnedPositions, side: i64, sizes: &[Size]) -> Tensor {
        let merge = self.config.merge as usize;
        let along = |at: usize, length: usize| {
            let place = at as f32 * (side - 1) as f32 / (length.max(2) - 1) as f32;
            let first = place.floor();
            let share = place - first;
            [(first as i64, 1.0 - share), ((first as i64 + 1).min(side - 1), share)]
        };
        let (mut places, mut shares) = (Vec::new(), Vec::new());
        for (row, column, size) in self.in_merge_order(sizes) {
            let (rows, columns) = self.config.grid(size);
            for (row, row_share) in along(row, rows * merge) {
                for (column, column_share) in along(column, columns * merge) {
                    places.push(row * side + column);
                    shares.push(row_share * column_share);
                }
            }
        }
        let device = self.frequencies.device();
        let places = Tensor::from_slice(&places).to_device(device).view([-1, 4]);
        let shares = Tensor::from_slice(&shares).to_device(device).view([-1, 4, 1]);
        (table.at(&places) * shares).sum_dim_intlist([1_i64].as_slice(), false, None)
    }

    /// Row and column of every patch, and the size of its image.
    fn in_merge_order(&self, sizes: &[Size]) -> impl Iterator<Item = (usize, usize, Size)> {
        let merge = self.config.merge as usize;
        sizes.iter().flat_map(move |&size| {
            let (rows, columns) = self.config.grid(size);
            let units = (0..rows * columns).map(move |unit| (unit / columns, unit % columns));
            units.flat_map(move |(row, column)| {
                (0..merge * merge)
                    .map(move |at| (row * merge + at / merge, column * merge + at % merge, size))
            })
        })
    }

    /// An image `[height, width, 3]` to patches `[T, V]` in the order in which they are merged.
    fn patches(&self, image: &Tensor) -> Tensor {
        let (height, width, _) = image.size3().expect("images have three dimensions");
        let (merge, unit) = (self.config.merge, self.config.unit() as i64);
        self.patch_embed
            .forward(&image.unsqueeze(0))
            .view([height / unit, merge, width / unit, merge, -1])
            .transpose(1, 2)
            .reshape([-1, self.config.width])
    }

    /// Half of each head turns with the row of a patch, half with its column.
    fn angles(&self, sizes: &[Size], device: Device) -> Angles {
        let places: Vec<f32> = self
            .in_merge_order(sizes)
            .flat_map(|(row, column, _)| [row as f32, column as f32])
            .collect();
        let places = Tensor::from_slice(&places).to_device(device).view([-1, 2, 1]);
        Angles::of(&(places * &self.frequencies).flatten(1, 2), Kind::Float)
    }

    /// Which patches see each other: those of an image, or of a window of `side` x `side` tokens.
    fn groups(&self, sizes: &[Size], side: Option<usize>) -> Vec<Vec<usize>> {
        let patches = (self.config.merge * self.config.merge) as usize;
        let (mut groups, mut start) = (Vec::new(), 0);
        for &size in sizes {
            let (rows, columns) = self.config.grid(size);
            let side = side.unwrap_or(rows.max(columns));
            let mut windows = BTreeMap::<(usize, usize), Vec<usize>>::new();
            for unit in 0..rows * columns {
                let window = (unit / columns / side, unit % columns / side);
                let first = start + unit * patches;
                windows.entry(window).or_default().extend(first..first + patches);
            }
            groups.extend(windows.into_values());
            start += rows * columns * patches;
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            patch: 2,
            frames: 2,
            merge: 2,
            width: 8,
            hidden: 8,
            layers: 1,
            heads: Heads { queries: 2, keys: 2, width: 4 },
            theta: 100.0,
            style: Style::Windowed { side: 2, full: vec![] },
            token: 9,
        }
    }

    #[test]
    fn text_goes_on_after_the_larger_side_of_an_image() {
        let images = [Size { height: 8, width: 12 }];
        let tokens = [1, 9, 9, 9, 9, 9, 9, 2, 3];
        let Places { tokens: places, next } = config().places(&tokens, &images);
        assert_eq!(places[0], [0; 3]);
        assert_eq!(
            places[1..7],
            [[1, 1, 1], [1, 1, 2], [1, 1, 3], [1, 2, 1], [1, 2, 2], [1, 2, 3]]
        );
        assert_eq!((places[7], places[8], next), ([4; 3], [5; 3], 6));
    }

    #[test]
    fn images_are_whole_numbers_of_merged_patches() {
        let tokens = |height, width| config().tokens(Size { height, width });
        assert_eq!((tokens(8, 12), tokens(8, 10), tokens(0, 4)), (Some(6), None, None));
    }
}
