//! Tokens per second of exploration: continuous batching with shared prompts against one prompt at a
//! time, where every sample prefills the prompt again and runs until the longest has ended.
//!
//! Both draw from the same fresh model with the same noise, so they draw the same tokens.

#![expect(clippy::print_stdout, reason = "a benchmark reports to who runs it")]

use mstar::base::Seed;
use mstar::engine::{
    Model, Pixels, Precision, Prompt, Sampling, Weights, generate, generate::Settings, load,
    models::mini_vlm, set_threads,
};
use rand::Rng as _;
use std::time::Instant;

const SAMPLES: usize = 8;

fn main() {
    set_threads(1);
    let config = serde_json::to_string(&mini_vlm::Config::builtin()).expect("plain data");
    let weights = Weights::random(Seed(1), Precision::F32, tch::Device::Cpu);
    let model = load(mini_vlm::KIND, &config, weights).expect("a fresh model fits itself");
    let prompts = prompts(1024);

    let few = &prompts[..64];
    let (naive, naive_seconds) = timed(|| one_at_a_time(&model, few));
    let naive_rate = naive as f64 / naive_seconds;
    println!("one prompt at a time: {naive_rate:.0} tokens/s");
    let mut best: f64 = 0.0;
    for slots in [256, 512, 1024, 2048, 4096] {
        let (tokens, seconds) = timed(|| explore(&model, &prompts, slots, SAMPLES));
        let rate = tokens as f64 / seconds;
        println!("{slots} slots: {rate:.0} tokens/s, {:.1} times as many", rate / naive_rate);
        best = best.max(rate);
    }
    assert!(best >= 4.0 * naive_rate, "continuous batching has to give at least 4 times as many");
}

/// One image and 3 to 10 words each, as in the embedded task.
fn prompts(count: u64) -> Vec<Prompt> {
    let prompt = |id| {
        let mut generator = Seed(2).nth(id).generator();
        let words = generator.random_range(3..=10);
        let mut tokens = vec![232; 16];
        tokens.extend((0..words).map(|_| generator.random_range(3..232_i64)));
        let pixels = (0..3072).map(|_| generator.random_range(-1.0..1.0)).collect();
        Prompt { id, tokens, pixels: Pixels::one(32, 32, pixels) }
    };
    (0..count).map(prompt).collect()
}

/// Draws flat enough for a fresh model to end responses after about 20 tokens.
fn explore(model: &Model, prompts: &[Prompt], slots: usize, samples: usize) -> u64 {
    let sampling = Sampling::at(4.0, 28, &(0..232).step_by(40).collect::<Vec<i64>>());
    let settings = Settings { samples, first_sample: 0, sampling, seed: Seed(3), slots };
    let generated = generate(model, prompts, &settings, &mut |_| (), &|| false)
        .expect("the prompts fit the model");
    generated.responses.iter().map(|response| response.tokens.len() as u64).sum()
}

/// What a plain loop does: every sample is a prompt of its own, a prompt's samples form a batch, and
/// the next batch starts when the longest sample has ended.
fn one_at_a_time(model: &Model, prompts: &[Prompt]) -> u64 {
    let tokens = prompts.iter().map(|prompt| {
        let copies: Vec<Prompt> = vec![prompt.clone(); SAMPLES];
        explore(model, &copies, SAMPLES, 1)
    });
    tokens.sum()
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn timed(work: impl Fn() -> u64) -> (u64, f64) {
    work();
    let start = Instant::now();
    let tokens = work();
    (tokens, start.elapsed().as_secs_f64())
}
