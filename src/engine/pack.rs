//! From sequences of plain numbers to one packed stream of tensors.

use super::{
    features,
    models::Model,
    nn::{Layout, attention::starts},
    pixels::{Pixels, Size},
};
use crate::base::Hint;
use tch::Tensor;

/// A sequence to learn from.
#[derive(Clone, Copy, Debug)]
pub struct Sequence<'a> {
    /// Prompt and response, with the image placeholders where images stand.
    pub tokens: &'a [i64],
    /// The images, in the order of their placeholders.
    pub pixels: &'a Pixels,
    /// How many tokens belong to the prompt and are not learned; at least 1.
    pub prompt: usize,
    /// The weight of each token after the prompt in the loss; all 1 if absent.
    pub weights: Option<&'a [f32]>,
}

/// A sequence that the model cannot read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// No token at all, or nothing before the first token to learn.
    #[error("sequence {sequence} has no prompt")]
    Empty {
        /// Its place in the batch, from 0.
        sequence: usize,
    },
    /// A prompt longer than its sequence, or weights of another length than the response.
    #[error(
        "sequence {sequence} has {tokens} tokens: no room for {prompt} of prompt and {weights} weights"
    )]
    Parts {
        /// Its place in the batch, from 0.
        sequence: usize,
        /// Its length.
        tokens: usize,
        /// Tokens of the prompt.
        prompt: usize,
        /// Weights given.
        weights: usize,
    },
    /// A token id that the model does not have.
    #[error("sequence {sequence} has token {token}, outside the vocabulary of {vocabulary}")]
    Token {
        /// Its place in the batch, from 0.
        sequence: usize,
        /// The token.
        token: i64,
        /// Number of token ids.
        vocabulary: usize,
    },
    /// Placeholders and images that do not belong together.
    #[error(
        "sequence {sequence} has {placeholders} image placeholders: its images, {images}, need \
         {wanted}"
    )]
    Images {
        /// Its place in the batch, from 0.
        sequence: usize,
        /// Placeholders found.
        placeholders: usize,
        /// Images found.
        images: usize,
        /// Placeholders of these images.
        wanted: usize,
    },
    /// An image of a size that the model does not read.
    #[error(
        "sequence {sequence} has an image of {} x {} pixels: the model reads {wanted}",
        .found.width,
        .found.height
    )]
    ImageSize {
        /// Its place in the batch, from 0.
        sequence: usize,
        /// Its size.
        found: Size,
        /// What the model reads.
        wanted: String,
    },
    /// More tokens than positions.
    #[error("sequence {sequence} needs {tokens} positions: the model has {positions}")]
    TooLong {
        /// Its place in the batch, from 0.
        sequence: usize,
        /// Its length, with the longest response where one is to be generated.
        tokens: usize,
        /// Positions of the model.
        positions: usize,
    },
}

impl Hint for PackError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::TooLong { .. } => {
                Some("shorten the prompt, or lower `max_new_tokens`".to_owned())
            }
            Self::Token { .. } | Self::Images { .. } | Self::ImageSize { .. } => {
                Some("check that data and model use the same tokenizer and image size".to_owned())
            }
            Self::Empty { .. } | Self::Parts { .. } => None,
        }
    }
}

/// What a forward pass reads: a stream of `T` tokens.
pub struct Inputs {
    /// The tokens that are no image placeholders, `[text]`.
    pub tokens: Tensor,
    /// Images, if there are any.
    pub images: Option<Images>,
    /// The position of each token in its sequence, `[T]`, or `[T, 3]` for time, height and width
    /// where the model has these axes.
    pub positions: Tensor,
}

/// What is given of images.
pub enum Given {
    /// Their numbers one after the other.
    Pixels(Tensor),
    /// What the vision tower made of them: each of its outputs, `[patches, V]`.
    Tower(Vec<Tensor>),
}

/// The images of a stream.
pub struct Images {
    /// Numbers, or what a tower made of them.
    pub given: Given,
    /// Their sizes.
    pub sizes: Vec<Size>,
    /// How many of them each picture consists of.
    pub tiles: Vec<usize>,
    /// For each token of the stream its place in text embeddings followed by image features, `[T]`.
    pub order: Tensor,
}

impl Images {
    fn pixels(&self) -> &Tensor {
        match &self.given {
            Given::Pixels(pixels) => pixels,
            Given::Tower(_) => panic!("a tower reads numbers, not what a tower made"),
        }
    }

    /// Images that all are squares of one size, `[N, side, side, 3]`.
    pub fn squares(&self, side: usize) -> Tensor {
        let side = side as i64;
        self.pixels().view([-1, side, side, 3])
    }

    /// Each image, `[height, width, 3]`.
    pub fn each(&self) -> impl Iterator<Item = Tensor> {
        self.sizes.iter().scan(0, |start, size| {
            let values = size.values() as i64;
            let image = self.pixels().narrow(0, *start, values);
            *start += values;
            Some(image.view([size.height as i64, size.width as i64, 3]))
        })
    }

    /// The images of each picture.
    pub fn pictures(&self) -> impl Iterator<Item = Vec<Tensor>> {
        let mut each = self.each();
        self.tiles.iter().map(move |&tiles| each.by_ref().take(tiles).collect())
    }
}

/// A batch to learn from.
pub struct Pack {
    pub(crate) inputs: Inputs,
    pub(crate) layout: Layout,
    /// Where in the stream the next token is learned.
    pub(crate) places: Tensor,
    /// Which token that is.
    pub(crate) targets: Tensor,
    /// How much it counts.
    pub(crate) weights: Tensor,
    tokens: usize,
    weight: f64,
}

impl Pack {
    /// Tokens of the stream, without padding.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// The sum of the weights of all tokens to learn: what a mean loss divides by. It may be 0.
    pub fn weight(&self) -> f64 {
        self.weight
    }
}

/// Packs sequences for a training step. The last token of each is only learned, never read.
///
/// # Errors
/// For the first sequence that the model cannot read.
pub fn pack(model: &Model, sequences: &[Sequence<'_>]) -> Result<Pack, PackError> {
    for (index, sequence) in sequences.iter().enumerate() {
        check_parts(index, sequence)?;
        check_readable(model, index, sequence.tokens, sequence.pixels, 0)?;
    }
    let read = |sequence: &Sequence<'_>| sequence.tokens.len() - 1;
    let lengths: Vec<usize> = sequences.iter().map(read).collect();
    let (mut places, mut targets, mut weights) = (Vec::new(), Vec::new(), Vec::new());
    for (start, sequence) in starts(&lengths).zip(sequences) {
        for (offset, &target) in sequence.tokens[sequence.prompt..].iter().enumerate() {
            let weight = sequence.weights.map_or(1.0, |weights| weights[offset]);
            if weight != 0.0 {
                places.push((start + sequence.prompt + offset - 1) as i64);
                targets.push(target);
                weights.push(weight);
            }
        }
    }
    let streams: Vec<_> = sequences
        .iter()
        .map(|sequence| (&sequence.tokens[..read(sequence)], sequence.pixels))
        .collect();
    let device = model.device();
    Ok(Pack {
        inputs: inputs(model, &streams, 1),
        layout: Layout::new(&lengths, 1, device),
        places: Tensor::from_slice(&places).to_device(device),
        targets: Tensor::from_slice(&targets).to_device(device),
        weights: Tensor::from_slice(&weights).to_device(device),
        tokens: lengths.iter().sum(),
        weight: weights.iter().map(|&weight| f64::from(weight)).sum(),
    })
}

fn check_parts(index: usize, sequence: &Sequence<'_>) -> Result<(), PackError> {
    let tokens = sequence.tokens.len();
    if sequence.prompt == 0 || tokens < 2 {
        return Err(PackError::Empty { sequence: index });
    }
    let response = tokens.checked_sub(sequence.prompt);
    let weights = sequence.weights.map(<[f32]>::len);
    if response.is_none() || weights.is_some_and(|weights| Some(weights) != response) {
        let (prompt, weights) = (sequence.prompt, weights.unwrap_or(0));
        return Err(PackError::Parts { sequence: index, tokens, prompt, weights });
    }
    Ok(())
}

/// Whether the model can read a sequence and `more` tokens after it.
///
/// # Errors
/// When it cannot; `index` names the sequence.
pub(crate) fn check_readable(
    model: &Model,
    index: usize,
    tokens: &[i64],
    pixels: &Pixels,
    more: usize,
) -> Result<(), PackError> {
    if tokens.is_empty() {
        return Err(PackError::Empty { sequence: index });
    }
    let vocabulary = model.vocabulary();
    let is_known = |id: i64| (0..vocabulary as i64).contains(&id) || model.is_image(id);
    if let Some(&token) = tokens.iter().find(|&&id| !is_known(id)) {
        return Err(PackError::Token { sequence: index, token, vocabulary });
    }
    let placeholders = tokens.iter().filter(|&&token| model.is_image(token)).count();
    let wanted = image_tokens(model, index, pixels)?;
    if placeholders != wanted {
        let images = pixels.sizes().len();
        return Err(PackError::Images { sequence: index, placeholders, images, wanted });
    }
    let (tokens, positions) = (tokens.len() + more, model.positions());
    if tokens > positions {
        return Err(PackError::TooLong { sequence: index, tokens, positions });
    }
    Ok(())
}

/// Placeholders for the pictures of a sequence.
///
/// # Errors
/// [`PackError::ImageSize`], where the model cannot read one; `index` names the sequence.
pub(in crate::engine) fn image_tokens(
    model: &Model,
    index: usize,
    pixels: &Pixels,
) -> Result<usize, PackError> {
    let of_picture = |picture: &[Size]| {
        model.image_tokens(picture).ok_or_else(|| {
            let (wanted, found) = (model.image_sizes(), largest(picture));
            PackError::ImageSize { sequence: index, found, wanted }
        })
    };
    pixels.pictures().map(of_picture).sum()
}

fn largest(picture: &[Size]) -> Size {
    let largest = picture.iter().max_by_key(|size| size.values());
    largest.copied().unwrap_or(Size { height: 0, width: 0 })
}

/// The stream of sequences that have been checked, each of which `more` tokens may follow.
pub(crate) fn inputs(model: &Model, sequences: &[(&[i64], &Pixels)], more: usize) -> Inputs {
    let places: Vec<[i64; 3]> = sequences
        .iter()
        .flat_map(|(tokens, pixels)| model.places(tokens, pixels.sizes(), more).tokens)
        .collect();
    inputs_at(model, sequences, &places)
}

/// The same with each token at a given place.
pub(crate) fn inputs_at(
    model: &Model,
    sequences: &[(&[i64], &Pixels)],
    places: &[[i64; 3]],
) -> Inputs {
    let device = model.device();
    let (mut text, mut all) = (Vec::new(), Pixels::none());
    for (tokens, images) in sequences {
        text.extend(tokens.iter().copied().filter(|&token| !model.is_image(token)));
        all.extend(images);
    }
    let images = (!all.sizes().is_empty()).then(|| {
        let (mut next_text, mut next_image) = (0, text.len() as i64);
        let order = sequences.iter().flat_map(|(tokens, _)| *tokens).map(|&token| {
            let next = if model.is_image(token) { &mut next_image } else { &mut next_text };
            *next += 1;
            *next - 1
        });
        let order = Tensor::from_slice(&order.collect::<Vec<i64>>()).to_device(device);
        let (sizes, tiles) = (all.sizes().to_vec(), all.tiles().to_vec());
        Images { given: given(model, &all), sizes, tiles, order }
    });
    Inputs {
        tokens: Tensor::from_slice(&text).to_device(device),
        images,
        positions: model.positions_of(places),
    }
}

/// Images as a model reads them, in its number format and on its device.
pub(crate) fn given(model: &Model, images: &Pixels) -> Given {
    let (device, kind) = (model.device(), model.kind());
    match images.features() {
        [] => Given::Pixels(Tensor::from_slice(images.values()).to_device(device).to_kind(kind)),
        features => Given::Tower(features::outputs(features, device)),
    }
}
