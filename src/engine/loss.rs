//! Cross entropy over the tokens to learn, without ever holding the logits of a whole batch.

use super::{
    models::Model,
    nn::{Attend, Layout, rotary::Angles},
    pack::{Pack, PackError, check_readable, inputs},
    pixels::Pixels,
};
use tch::{Reduction, Tensor};

/// Logits of this many numbers exist at a time (64 MiB of 32-bit floats).
const LOGITS_AT_A_TIME: usize = 1 << 24;

/// The weighted sum of `-log p(token)` over the tokens to learn, divided by `denominator`. Gradients
/// are added to those of the parameters.
///
/// For the mean over the tokens of one batch `denominator` is [`Pack::weight`]; when several packs
/// make one step, it is the sum of theirs. A pack without tokens to learn costs nothing and gives 0.
/// The result may be infinite or not a number; whoever steps has to look.
pub fn backward(model: &Model, pack: &Pack, denominator: f64) -> f64 {
    backward_in_chunks(model, pack, denominator, LOGITS_AT_A_TIME / model.vocabulary())
}

fn backward_in_chunks(model: &Model, pack: &Pack, denominator: f64, chunk: usize) -> f64 {
    if pack.weight() == 0.0 {
        return 0.0;
    }
    let stream = model.forward(&pack.inputs, &mut Attend::Packed(&pack.layout));
    backward_from(&stream, model, pack, denominator, chunk)
}

/// From the end of the stream to wherever its graph leads.
fn backward_from(
    stream: &Tensor,
    model: &Model,
    pack: &Pack,
    denominator: f64,
    chunk: usize,
) -> f64 {
    let learned = stream.index_select(0, &pack.places);
    let total = learned.size()[0];
    if total <= chunk as i64 {
        let loss = chunk_loss(model, pack, &learned, 0) / denominator;
        loss.backward();
        return loss.double_value(&[]);
    }
    // Each chunk goes forward and backward on its own; what it leaves at the end of the stream is
    // collected and sent on through the model in one go.
    let (mut loss, mut gradients) = (0.0, Vec::new());
    for start in (0..total).step_by(chunk.max(1)) {
        let length = (total - start).min(chunk.max(1) as i64);
        let part = learned.narrow(0, start, length).detach().set_requires_grad(true);
        let part_loss = chunk_loss(model, pack, &part, start) / denominator;
        part_loss.backward();
        loss += part_loss.double_value(&[]);
        gradients.push(part.grad());
    }
    (learned * Tensor::cat(&gradients, 0)).sum(None).backward();
    loss
}

/// [`backward`] with the activations of one decoder layer at a time (Chen et al. 2016): the stream
/// between layers is kept, and each layer is computed a second time on the way back. The same sums
/// in the same order, for a third more arithmetic.
pub fn backward_recomputing(model: &Model, pack: &Pack, denominator: f64) -> f64 {
    if pack.weight() == 0.0 {
        return 0.0;
    }
    let layer = |layer: usize, xs: &Tensor, angles: &Angles| {
        model.layer(layer, xs, angles, &mut Attend::Packed(&pack.layout))
    };
    let (first, deep) = model.embedded(&pack.inputs);
    let angles = model.angles(&pack.inputs);
    let (inputs, end) = tch::no_grad(|| {
        let (mut inputs, mut xs) = (Vec::new(), first.detach());
        for index in 0..model.layers().0 {
            let next = layer(index, &xs, &angles);
            inputs.push(xs);
            xs = match deep.get(index) {
                Some(more) => next + more,
                None => next,
            };
        }
        (inputs, xs)
    });
    let end = end.detach().set_requires_grad(true);
    let chunk = LOGITS_AT_A_TIME / model.vocabulary();
    let loss = backward_from(&end, model, pack, denominator, chunk);
    let mut gradient = end.grad();
    let mut onward = Vec::new();
    for (index, input) in inputs.into_iter().enumerate().rev() {
        if let Some(more) = deep.get(index) {
            onward.push((more, gradient.shallow_clone()));
        }
        let input = input.detach().set_requires_grad(true);
        (layer(index, &input, &angles) * &gradient).sum(None).backward();
        gradient = input.grad();
    }
    onward.push((&first, gradient));
    let onward = onward.into_iter().filter(|(xs, _)| xs.requires_grad());
    let onward: Vec<Tensor> = onward.map(|(xs, gradient)| (xs * gradient).sum(None)).collect();
    if !onward.is_empty() {
        Tensor::stack(&onward, 0).sum(None).backward();
    }
    loss
}

/// The mean loss of a batch without gradients.
pub fn evaluate(model: &Model, pack: &Pack) -> f64 {
    tch::no_grad(|| {
        let stream = model.forward(&pack.inputs, &mut Attend::Packed(&pack.layout));
        let learned = stream.index_select(0, &pack.places);
        let chunk = (LOGITS_AT_A_TIME / model.vocabulary()).max(1) as i64;
        let total = learned.size()[0];
        let losses = (0..total).step_by(chunk as usize).map(|start| {
            let part = learned.narrow(0, start, (total - start).min(chunk));
            chunk_loss(model, pack, &part, start).double_value(&[])
        });
        losses.sum::<f64>() / pack.weight().max(f64::MIN_POSITIVE)
    })
}

/// The logits after every token of sequences of tokens and images, one after the other in one pass,
/// `[T, vocabulary]`.
///
/// # Errors
/// For the first sequence that the model cannot read.
pub fn logits(model: &Model, sequences: &[(&[i64], &Pixels)]) -> Result<Tensor, PackError> {
    for (index, (tokens, pixels)) in sequences.iter().enumerate() {
        check_readable(model, index, tokens, pixels, 0)?;
    }
    let lengths: Vec<usize> = sequences.iter().map(|(tokens, _)| tokens.len()).collect();
    let layout = Layout::new(&lengths, 1, model.device());
    Ok(tch::no_grad(|| {
        let stream = model.forward(&inputs(model, sequences, 0), &mut Attend::Packed(&layout));
        model.logits(&stream)
    }))
}

fn chunk_loss(model: &Model, pack: &Pack, learned: &Tensor, start: i64) -> Tensor {
    let length = learned.size()[0];
    let targets = pack.targets.narrow(0, start, length);
    let weights = pack.weights.narrow(0, start, length);
    let losses = model.logits(learned).cross_entropy_loss(
        &targets,
        None::<&Tensor>,
        Reduction::None,
        -100,
        0.0,
    );
    (losses * weights).sum(None)
}

#[cfg(test)]
mod tests;
