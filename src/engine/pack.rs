//! From sequences of plain numbers to one packed stream of tensors.

use super::{
    models::Model,
    nn::{Layout, attention::starts},
};
use crate::base::Hint;
use tch::{Kind, Tensor};

/// A sequence to learn from.
#[derive(Clone, Copy, Debug)]
pub struct Sequence<'a> {
    /// Prompt and response, with the image placeholders where images stand.
    pub tokens: &'a [i64],
    /// The images one after the other, RGB by rows, columns, channels, in -1..=1; empty if none.
    pub pixels: &'a [f32],
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
    /// Placeholders and pixels that do not belong together.
    #[error(
        "sequence {sequence} has {placeholders} image placeholders and {values} pixel values: the \
         model reads {tokens} and {image} for each image"
    )]
    Images {
        /// Its place in the batch, from 0.
        sequence: usize,
        /// Placeholders found.
        placeholders: usize,
        /// Numbers found.
        values: usize,
        /// Placeholders of one image.
        tokens: usize,
        /// Numbers of one image.
        image: usize,
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
            Self::Token { .. } | Self::Images { .. } => {
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
    /// The position of each token in its sequence, `[T]`.
    pub positions: Tensor,
}

/// The images of a stream.
pub struct Images {
    /// `[N, side, side, 3]` in -1..=1.
    pub pixels: Tensor,
    /// For each token of the stream its place in text embeddings followed by image features, `[T]`.
    pub order: Tensor,
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
        inputs: inputs(model, &streams),
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
    pixels: &[f32],
    more: usize,
) -> Result<(), PackError> {
    if tokens.is_empty() {
        return Err(PackError::Empty { sequence: index });
    }
    let vocabulary = model.vocabulary();
    if let Some(&token) = tokens.iter().find(|&&id| id < 0 || id >= vocabulary as i64) {
        return Err(PackError::Token { sequence: index, token, vocabulary });
    }
    let image = model.image();
    let placeholders = tokens.iter().filter(|&&token| token == image.token).count();
    let images = pixels.len() / image.values();
    if pixels.len() % image.values() != 0 || placeholders != images * image.tokens {
        return Err(PackError::Images {
            sequence: index,
            placeholders,
            values: pixels.len(),
            tokens: image.tokens,
            image: image.values(),
        });
    }
    let (tokens, positions) = (tokens.len() + more, model.positions());
    if tokens > positions {
        return Err(PackError::TooLong { sequence: index, tokens, positions });
    }
    Ok(())
}

/// The stream of sequences that have been checked.
pub(crate) fn inputs(model: &Model, sequences: &[(&[i64], &[f32])]) -> Inputs {
    let (image, device) = (model.image(), model.device());
    let (mut text, mut positions, mut pixels) = (Vec::new(), Vec::new(), Vec::new());
    for (tokens, images) in sequences {
        text.extend(tokens.iter().copied().filter(|&token| token != image.token));
        positions.extend(0..tokens.len() as i64);
        pixels.extend_from_slice(images);
    }
    let images = (!pixels.is_empty()).then(|| {
        let (mut next_text, mut next_image) = (0, text.len() as i64);
        let order = sequences.iter().flat_map(|(tokens, _)| *tokens).map(|&token| {
            let next = if token == image.token { &mut next_image } else { &mut next_text };
            *next += 1;
            *next - 1
        });
        let order = Tensor::from_slice(&order.collect::<Vec<i64>>()).to_device(device);
        let side = image.side as i64;
        let pixels = Tensor::from_slice(&pixels).view([-1, side, side, 3]);
        Images { pixels: pixels.to_device(device).to_kind(model.kind()), order }
    });
    Inputs {
        tokens: Tensor::from_slice(&text).to_device(device),
        images,
        positions: Tensor::from_slice(&positions).to_kind(Kind::Int64).to_device(device),
    }
}
