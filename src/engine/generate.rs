//! Generation by continuous batching: many prompts, several samples of each, rows that leave when
//! they stop and make room for the next.
//!
//! A prompt and its images are prefilled once for all its samples. The noise of a token is a pure
//! function of (seed, prompt, sample, position), and on the CPU a row's logits do not depend on its
//! neighbours to the last bit (see [`super::nn::cache`]); so a response is the same whatever the
//! number of slots, the order of the prompts, or the shard.

mod rows;

use super::{
    models::Model,
    nn::{
        Attend, Cache, CacheShape, Layout,
        cache::{LENGTH_MULTIPLE, ROW_MULTIPLE, Step},
    },
    pack::{Inputs, PackError, check_readable, inputs},
    pixels::Pixels,
    sampling::{Sampling, draw},
};
use crate::base::Seed;
use rows::{Row, Table};
use std::collections::VecDeque;
use tch::{Kind, Tensor};

/// Tokens of prompts that are read together, about.
const PREFILLED: usize = 1 << 13;

/// Something to answer.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// Its name in the whole run: noise depends on it.
    pub id: u64,
    /// The prompt, with the image placeholders where images stand.
    pub tokens: Vec<i64>,
    /// The images, in the order of their placeholders.
    pub pixels: Pixels,
}

/// How to answer.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Responses to each prompt, at least 1.
    pub samples: usize,
    /// The number of the first sample, where others of the same prompt are drawn elsewhere.
    pub first_sample: u64,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Where the noise comes from.
    pub seed: Seed,
    /// How many responses grow at a time; raised to `samples`. It changes speed and memory only.
    pub slots: usize,
}

/// Why a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// With a stop token.
    Stop,
    /// At its longest.
    Length,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The id of its prompt.
    pub prompt: u64,
    /// Its number among those of its prompt.
    pub sample: u64,
    /// What came after the prompt, the stop token included.
    pub tokens: Vec<i64>,
    /// Why it ended.
    pub finish: Finish,
}

/// How far a generation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Responses that have ended.
    pub responses: usize,
    /// Responses asked for.
    pub of: usize,
    /// Tokens drawn so far, those of unfinished responses included.
    pub tokens: u64,
}

/// What came of a generation.
#[derive(Clone, Debug)]
pub struct Generated {
    /// The responses that ended, by the order of their prompts, then by sample.
    pub responses: Vec<Response>,
    /// Whether it was told to stop before all had ended.
    pub stopped: bool,
}

/// Answers every prompt. `progress` is told after each token of all rows; when `should_stop` says
/// so, the responses that have ended by then are returned.
///
/// # Errors
/// For the first prompt that the model cannot read, or that leaves no room for a response.
pub fn generate(
    model: &Model,
    prompts: &[Prompt],
    settings: &Settings,
    progress: &mut dyn FnMut(Progress),
    should_stop: &dyn Fn() -> bool,
) -> Result<Generated, PackError> {
    let more = settings.sampling.max_new_tokens;
    for (index, prompt) in prompts.iter().enumerate() {
        check_readable(model, index, &prompt.tokens, &prompt.pixels, more.min(1))?;
    }
    let mut responses: Vec<Option<Response>> = Vec::new();
    responses.resize_with(prompts.len() * settings.samples, || None);
    let mut stopped = false;
    if more > 0 && !responses.is_empty() {
        tch::no_grad(|| {
            let mut batch = Batch::new(model, prompts, settings);
            let mut state = Progress { responses: 0, of: responses.len(), tokens: 0 };
            while batch.is_busy() && !stopped {
                for (place, response) in batch.advance() {
                    state.responses += 1;
                    responses[place] = Some(response);
                }
                state.tokens = batch.drawn;
                progress(state);
                stopped = should_stop();
            }
        });
    }
    let responses: Vec<Response> = responses.into_iter().flatten().collect();
    let stopped = stopped && responses.len() < prompts.len() * settings.samples;
    Ok(Generated { responses, stopped })
}

/// Answers one prompt once; `hear` is given each token as it is drawn.
///
/// # Errors
/// As [`generate`].
pub fn stream(
    model: &Model,
    prompt: Prompt,
    settings: &Settings,
    hear: &mut dyn FnMut(i64),
) -> Result<Vec<i64>, PackError> {
    let settings = Settings { samples: 1, ..settings.clone() };
    check_readable(model, 0, &prompt.tokens, &prompt.pixels, 1)?;
    let prompts = [prompt];
    let mut heard = 0;
    let mut tell = |tokens: &[i64]| {
        tokens[heard..].iter().for_each(|&token| hear(token));
        heard = tokens.len();
    };
    tch::no_grad(|| {
        let mut batch = Batch::new(model, &prompts, &settings);
        while batch.is_busy() {
            if let Some((_, response)) = batch.advance().pop() {
                tell(&response.tokens);
                return Ok(response.tokens);
            }
            if let Some((_, row)) = batch.table.iter().next() {
                tell(&row.tokens);
            }
        }
        Ok(Vec::new())
    })
}

/// How long the response to a prompt may become: as long as is asked for, and as long as the model
/// has positions for it.
fn longest_response(model: &Model, prompt: &Prompt, settings: &Settings) -> usize {
    settings.sampling.max_new_tokens.min(model.positions() - prompt.tokens.len())
}

/// A response that ended, with its place in the result.
type Ended = (usize, Response);

/// The rows that grow and what they need.
struct Batch<'a> {
    model: &'a Model,
    prompts: &'a [Prompt],
    settings: &'a Settings,
    waiting: VecDeque<usize>,
    /// For each prompt the position after it.
    next: Vec<i64>,
    cache: Cache,
    table: Table,
    drawn: u64,
}

impl<'a> Batch<'a> {
    fn new(model: &'a Model, prompts: &'a [Prompt], settings: &'a Settings) -> Self {
        let samples = settings.samples;
        let wanted = settings.slots.min(prompts.len() * samples).max(samples);
        let rows = wanted.next_multiple_of(ROW_MULTIPLE);
        // A group stays until its last row has ended, so there are more groups than full ones.
        let groups = (rows / samples * 3 / 2 + 1).min(rows).min(prompts.len().max(1));
        let (layers, heads) = model.layers();
        let longest = prompts.iter().map(|prompt| prompt.tokens.len()).max().unwrap_or(1);
        let shape = CacheShape {
            layers,
            heads,
            groups,
            samples,
            rows,
            prompt_length: longest,
            response_length: prompts
                .iter()
                .map(|prompt| longest_response(model, prompt, settings))
                .max()
                .unwrap_or(0),
        };
        Self {
            model,
            prompts,
            settings,
            waiting: (0..prompts.len()).collect(),
            next: prompts
                .iter()
                .map(|prompt| model.places(&prompt.tokens, prompt.pixels.sizes()).next)
                .collect(),
            cache: Cache::new(shape, model.kind(), model.device()),
            table: Table::new(rows, groups, samples),
            drawn: 0,
        }
    }

    fn is_busy(&self) -> bool {
        !self.waiting.is_empty() || self.table.live() > 0
    }

    /// Lets new prompts in if there is room for a good number of them, else draws one more token of
    /// every row.
    fn advance(&mut self) -> Vec<Ended> {
        let most = self.readable_at_once();
        let room = self.table.room().min(self.waiting.len()).min(most);
        let wave = (self.table.capacity() / 8).clamp(1, self.waiting.len().max(1)).min(most);
        if room >= wave || (room > 0 && self.table.live() == 0) {
            return self.admit(room);
        }
        if self.waiting.is_empty() && self.table.is_sparse() {
            let (rows, groups) = self.table.compact();
            self.cache.keep(&rows, &groups);
        }
        self.step()
    }

    /// How many of the waiting prompts fit into one prefill; at least one.
    fn readable_at_once(&self) -> usize {
        let lengths = self.waiting.iter().map(|&index| self.prompts[index].tokens.len());
        let until = lengths.scan(0, |tokens, length| {
            *tokens += length;
            Some(*tokens)
        });
        until.take_while(|&tokens| tokens <= PREFILLED).count().max(1)
    }

    /// Prefills `count` prompts together and draws the first token of their samples.
    fn admit(&mut self, count: usize) -> Vec<Ended> {
        let prompts = self.prompts;
        let indices: Vec<usize> = self.waiting.drain(..count).collect();
        let mut sequences: Vec<(&[i64], &Pixels)> = indices
            .iter()
            .map(|&index| (&prompts[index].tokens[..], &prompts[index].pixels))
            .collect();
        // Small matrices go through other kernels; repeating a prompt keeps the bits of the others.
        let tokens = |sequences: &[(&[i64], &Pixels)]| -> usize {
            sequences.iter().map(|(tokens, _)| tokens.len()).sum()
        };
        while sequences.len() < ROW_MULTIPLE && tokens(&sequences) < ROW_MULTIPLE {
            sequences.push(sequences[0]);
        }
        let lengths: Vec<usize> = sequences.iter().map(|(tokens, _)| tokens.len()).collect();
        let layout = Layout::new(&lengths, LENGTH_MULTIPLE, self.model.device());
        let mut kept = Vec::new();
        let inputs = inputs(self.model, &sequences);
        let stream = self.model.forward(&inputs, &mut Attend::Prefill(&layout, &mut kept));
        let logits = self.model.logits(&stream.index_select(0, &last_tokens(&lengths, &stream)));

        let groups: Vec<i64> = indices.iter().map(|_| self.table.take_group()).collect();
        self.cache.store_prompts(&kept, &lengths, &groups);
        let mut chances = self.chances(&logits);
        let vocabulary = self.model.vocabulary();
        let (mut ended, mut seated, mut prompt_lengths) = (Vec::new(), Vec::new(), Vec::new());
        for ((&prompt, &group), chances) in
            indices.iter().zip(&groups).zip(chances.chunks_mut(vocabulary))
        {
            let noise = self.settings.seed.nth(prompts[prompt].id);
            for seat in 0..self.settings.samples {
                let mut row = Row { prompt, seat, noise, tokens: Vec::new() };
                match self.draw(&mut row, &mut chances.to_vec()) {
                    Some(finish) => ended.push(self.end(row, finish)),
                    None => {
                        prompt_lengths.push(prompts[prompt].tokens.len());
                        seated.push(self.table.seat(group, row));
                    }
                }
            }
            self.table.close_if_empty(group);
        }
        if !seated.is_empty() {
            self.cache.seat_rows(&seated, &prompt_lengths);
        }
        ended
    }

    /// Feeds every row its last token and draws the next.
    fn step(&mut self) -> Vec<Ended> {
        let rows = self.table.used_rows().next_multiple_of(ROW_MULTIPLE);
        let (mut tokens, mut places) = (vec![0; rows], vec![[0; 3]; rows]);
        let mut lengths = vec![0; rows];
        for (slot, row) in self.table.iter() {
            let cached = row.tokens.len() - 1;
            tokens[slot] = row.tokens[cached];
            lengths[slot] = cached as i64;
            places[slot] = [self.next[row.prompt] + cached as i64; 3];
        }
        let (seats, seated) = self.table.seating(rows);
        self.cache.begin(&Step { seats: &seats, rows: &seated, lengths: &lengths });
        let tokens = Tensor::from_slice(&tokens).to_device(self.model.device());
        let positions = self.model.positions_of(&places);
        let inputs = Inputs { tokens, images: None, positions };
        let stream = self.model.forward(&inputs, &mut Attend::Cached(&mut self.cache));
        let mut chances = self.chances(&self.model.logits(&stream));
        let mut ended = Vec::new();
        for (slot, chances) in chances.chunks_mut(self.model.vocabulary()).enumerate() {
            if let Some(mut row) = self.table.take(slot) {
                match self.draw(&mut row, chances) {
                    Some(finish) => {
                        self.table.leave(slot);
                        ended.push(self.end(row, finish));
                    }
                    None => self.table.put_back(slot, row),
                }
            }
        }
        ended
    }

    /// What [`Batch::draw`] draws from: probabilities shaped by the temperature, or the logits.
    fn chances(&self, logits: &Tensor) -> Vec<f32> {
        let sampling = &self.settings.sampling;
        let chances = match sampling.is_greedy() {
            true => logits.shallow_clone(),
            false => (logits / sampling.temperature).softmax(-1, Kind::Float),
        };
        let mut values = vec![0.0; chances.numel()];
        let count = values.len();
        chances.to_device(tch::Device::Cpu).contiguous().copy_data(&mut values, count);
        values
    }

    /// Draws the next token of a row; says so if it was the last.
    fn draw(&mut self, row: &mut Row, chances: &mut [f32]) -> Option<Finish> {
        let sampling = &self.settings.sampling;
        let sample = self.settings.first_sample + row.seat as u64;
        let token = match sampling.is_greedy() {
            true => likeliest(chances),
            false => draw(chances, sampling, row.noise.uniform_at(sample, row.tokens.len() as u64)),
        } as i64;
        row.tokens.push(token);
        self.drawn += 1;
        if sampling.stop.contains(&token) {
            return Some(Finish::Stop);
        }
        let longest = longest_response(self.model, &self.prompts[row.prompt], self.settings);
        (row.tokens.len() == longest).then_some(Finish::Length)
    }

    fn end(&self, row: Row, finish: Finish) -> Ended {
        let place = row.prompt * self.settings.samples + row.seat;
        let sample = self.settings.first_sample + row.seat as u64;
        let prompt = self.prompts[row.prompt].id;
        (place, Response { prompt, sample, tokens: row.tokens, finish })
    }
}

/// The index of the largest number, the first of equals.
fn likeliest(logits: &[f32]) -> usize {
    let mut best = 0;
    for (index, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = index;
        }
    }
    best
}

/// Where the sequences of a stream end, repeated so that there are enough rows for the usual kernels.
fn last_tokens(lengths: &[usize], stream: &Tensor) -> Tensor {
    let mut ends: Vec<i64> = super::nn::attention::starts(lengths)
        .zip(lengths)
        .map(|(s, l)| (s + l - 1) as i64)
        .collect();
    ends.resize(ends.len().max(ROW_MULTIPLE), 0);
    Tensor::from_slice(&ends).to_device(stream.device())
}

#[cfg(test)]
mod tests;
