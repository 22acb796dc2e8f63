//! A reward model: an architecture with a scalar head, which reads the stream after the final norm
//! where steps end (Lightman et al. 2023; labels after Wang et al. 2024, Math-Shepherd).
//!
//! One forward pass over a prompt and its responses gives the scores of all their steps. What the
//! responses have in common is read once, the prompt and every beginning that several begin with;
//! what comes after the last score of a response is not read.

use super::{
    models::Model,
    nn::{Attend, Layout, Linear, Places},
    pack::{Inputs, PackError, check_readable, inputs_at},
    pixels::Pixels,
    weights::{Init, Parameters, Precision, Weights, WeightsError},
};
use crate::base::Seed;
use std::collections::BTreeMap;
use tch::{Kind, Tensor};

/// Standard deviation of a fresh head: scores begin near one half.
const HEAD_DEVIATION: f64 = 0.02;

/// The scalar head that makes a reward model of a model; always of 32 bits.
pub struct RewardHead {
    linear: Linear,
    parameters: Parameters,
}

/// A prompt and responses to it.
#[derive(Clone, Debug)]
pub struct Reading<'a> {
    /// The prompt, with the image placeholders where images stand.
    pub prompt: &'a [i64],
    /// The images, in the order of their placeholders.
    pub pixels: &'a Pixels,
    /// What goes on from it, at least one.
    pub responses: Vec<Continued<'a>>,
}

/// A response, and where it is scored.
#[derive(Clone, Copy, Debug)]
pub struct Continued<'a> {
    /// Its tokens, at least one.
    pub tokens: &'a [i64],
    /// How many of them there are up to each place that is scored, at least 1.
    pub ends: &'a [usize],
}

/// What a score is trained towards: `-(good ln p + bad ln (1 - p))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// The weight of a good outcome.
    pub good: f32,
    /// The weight of a bad one.
    pub bad: f32,
}

/// Readings as tensors.
pub struct ReadingPack {
    inputs: Inputs,
    layout: Layout,
    /// Where in the stream the head reads.
    places: Places,
    /// Which of these places each end is.
    ends: Tensor,
    tokens: usize,
}

impl ReadingPack {
    /// Packs readings for one pass.
    ///
    /// # Errors
    /// For the first reading that the model cannot read.
    pub fn new(model: &Model, readings: &[Reading<'_>]) -> Result<Self, PackError> {
        let device = model.device();
        let (mut streams, mut rows) = (Vec::new(), Vec::new());
        let (mut stream_places, mut ends, mut places_read) = (Vec::new(), Vec::new(), Vec::new());
        let mut read = BTreeMap::new();
        for (index, reading) in readings.iter().enumerate() {
            let longest = reading.responses.iter().map(|it| it.tokens.len()).max().unwrap_or(0);
            let places = model.places(reading.prompt, reading.pixels.sizes(), longest);
            let mut branches = Branches::of(reading.prompt, stream_places.len());
            stream_places.extend(places.tokens);
            for response in &reading.responses {
                let whole = [reading.prompt, response.tokens].concat();
                check_readable(model, index, &whole, reading.pixels, 0)?;
                let last = response.ends.iter().max().copied().unwrap_or(0);
                let path = branches.grow(&response.tokens[..last], |depth| {
                    stream_places.push([places.next + depth as i64; 3]);
                });
                ends.extend(response.ends.iter().map(|&end| {
                    *read.entry(path[end - 1]).or_insert_with_key(|&place| {
                        places_read.push(place);
                        places_read.len() as i64 - 1
                    })
                }));
            }
            rows.extend(branches.rows());
            streams.push((branches.stream, reading.pixels));
        }
        let streams: Vec<(&[i64], &Pixels)> =
            streams.iter().map(|(stream, pixels)| (&stream[..], *pixels)).collect();
        let tokens = stream_places.len();
        let inputs = inputs_at(model, &streams, &stream_places);
        let (layout, places) = Layout::branching(rows, tokens, &places_read, device);
        let ends = Tensor::from_slice(&ends).to_device(device);
        Ok(Self { inputs, layout, places, ends, tokens })
    }

    /// Tokens of the stream.
    pub fn tokens(&self) -> usize {
        self.tokens
    }
}

/// A prompt and what goes on from it as a tree, each token of which lies in the stream once.
struct Branches {
    /// Where the prompt begins in the stream of all readings.
    start: usize,
    prompt: usize,
    stream: Vec<i64>,
    /// The place after a place, by the token there.
    next: BTreeMap<(usize, i64), usize>,
    /// The places of each response, by the last of them.
    paths: BTreeMap<usize, Vec<usize>>,
}

impl Branches {
    fn of(prompt: &[i64], start: usize) -> Self {
        Self {
            start,
            prompt: prompt.len(),
            stream: prompt.to_vec(),
            next: BTreeMap::new(),
            paths: BTreeMap::new(),
        }
    }

    /// Adds a response, and gives the places of its tokens; `added` is told how far after the prompt
    /// each token stands that was not there.
    fn grow(&mut self, tokens: &[i64], mut added: impl FnMut(usize)) -> Vec<usize> {
        let mut last = (self.start + self.prompt).saturating_sub(1);
        let mut path = Vec::with_capacity(tokens.len());
        for (depth, &token) in tokens.iter().enumerate() {
            let fresh = self.start + self.stream.len();
            last = *self.next.entry((last, token)).or_insert(fresh);
            if last == fresh {
                self.stream.push(token);
                added(depth);
            }
            path.push(last);
        }
        self.paths.entry(last).or_insert_with(|| path.clone());
        path
    }

    /// The places of each sequence that no other goes on from, the prompt's first.
    fn rows(&self) -> impl Iterator<Item = Vec<usize>> {
        let goes_on = |last: usize| self.next.range((last, i64::MIN)..=(last, i64::MAX)).next();
        let prompt = self.start..self.start + self.prompt;
        self.paths
            .iter()
            .filter(move |(last, _)| goes_on(**last).is_none())
            .map(move |(_, path)| prompt.clone().chain(path.iter().copied()).collect())
    }
}

impl RewardHead {
    /// A fresh head for a model.
    pub fn fresh(model: &Model, seed: Seed) -> Self {
        let weights = Weights::random(seed, Precision::F32, model.device());
        Self::of_weights(model, weights).expect("fresh weights have every tensor")
    }

    /// The head in the bytes of a safetensors file; `name` stands for it in errors.
    ///
    /// # Errors
    /// When the bytes are no safetensors file, or hold no head of the model's width.
    pub fn from_bytes(model: &Model, bytes: &[u8], name: &str) -> Result<Self, WeightsError> {
        let weights = Weights::from_bytes(bytes, name, Precision::F32, model.device())?;
        Self::of_weights(model, weights)
    }

    fn of_weights(model: &Model, weights: Weights) -> Result<Self, WeightsError> {
        let place = weights.root() / "reward_head";
        let linear = Linear::with_bias(&place, model.width(), 1, Init::Normal(HEAD_DEVIATION));
        drop(place);
        Ok(Self { linear, parameters: weights.finish()? })
    }

    /// Its tensors, `reward_head.weight` and `reward_head.bias`.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// What the head says, before the sigmoid, in the order of readings, responses and ends.
    fn logits(&self, model: &Model, pack: &ReadingPack) -> Tensor {
        let mut attend = Attend::At(&pack.layout, &pack.places);
        let read = model.normed(&model.forward(&pack.inputs, &mut attend)).to_kind(Kind::Float);
        self.linear.forward(&read).squeeze_dim(-1).index_select(0, &pack.ends)
    }

    /// The probabilities of being good, in the order of readings, responses and ends.
    pub fn scores(&self, model: &Model, pack: &ReadingPack) -> Vec<f32> {
        let scores = tch::no_grad(|| self.logits(model, pack).sigmoid());
        let mut values = vec![0.0; scores.numel()];
        let count = values.len();
        scores.to_device(tch::Device::Cpu).contiguous().copy_data(&mut values, count);
        values
    }

    /// The sum of the losses divided by `denominator`; gradients are added to those of the
    /// parameters. `targets` are in the order of readings, responses and ends. The result may be
    /// infinite or not a number; whoever steps has to look.
    pub fn backward(
        &self,
        model: &Model,
        pack: &ReadingPack,
        targets: &[Target],
        denominator: f64,
    ) -> f64 {
        let loss = self.loss(model, pack, targets) / denominator;
        loss.backward();
        loss.double_value(&[])
    }

    fn loss(&self, model: &Model, pack: &ReadingPack, targets: &[Target]) -> Tensor {
        let logits = self.logits(model, pack);
        let weights = |of: fn(&Target) -> f32| {
            let weights: Vec<f32> = targets.iter().map(of).collect();
            Tensor::from_slice(&weights).to_device(model.device())
        };
        let good = weights(|it| it.good) * (-&logits).softplus();
        let bad = weights(|it| it.bad) * logits.softplus();
        (good + bad).sum(None)
    }
}

#[cfg(test)]
mod tests;
