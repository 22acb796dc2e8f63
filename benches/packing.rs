//! Real tokens per second of training: packed sequences against sequences padded to the longest of
//! their batch, on log-normal lengths from 32 to 512; and the time of a step of the embedded task.

#![expect(clippy::print_stdout, reason = "a benchmark reports to who runs it")]

use mstar::base::Seed;
use mstar::engine::{
    Model, Optimizer, OptimizerSettings, Pixels, Precision, Sequence, Weights, load, loss,
    models::mini_vlm, pack, set_threads, weights::normal,
};
use std::time::Instant;

const BATCH: usize = 32;

fn main() {
    set_threads(1);
    let mut config = mini_vlm::Config::builtin();
    config.max_position_embeddings = 512;
    let config = serde_json::to_string(&config).expect("plain data");
    let weights = Weights::random(Seed(1), Precision::F32, tch::Device::Cpu);
    let model = load(mini_vlm::KIND, &config, weights).expect("a fresh model fits itself");

    let draws = normal(Seed(2), 4 * BATCH, 0.8);
    let length = |x: &f32| ((4.4 + f64::from(*x)).exp() as usize).clamp(32, 512);
    let lengths: Vec<usize> = draws.iter().map(length).collect();
    let padded: Vec<usize> = lengths
        .chunks(BATCH)
        .flat_map(|batch| vec![batch.iter().copied().max().unwrap_or(0); batch.len()])
        .collect();
    let real: usize = lengths.iter().sum();
    let packed_rate = real as f64 / epoch_seconds(&model, &lengths, &lengths);
    let padded_rate = real as f64 / epoch_seconds(&model, &padded, &lengths);
    let ratio = packed_rate / padded_rate;
    println!("packed {packed_rate:.0}, padded {padded_rate:.0} real tokens/s: {ratio:.2} times");

    let task: Vec<usize> = (0..4 * BATCH).map(|index| 37 + index * 7 % 17).collect();
    let seconds = epoch_seconds(&model, &task, &task) / 4.0;
    println!("one step of {BATCH} sequences of the embedded task: {:.1} ms", seconds * 1e3);
}

/// Seconds for four steps. Sequences have one image and `lengths` tokens, of which the first `real`
/// count; the rest is padding, without weight in the loss.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn epoch_seconds(model: &Model, lengths: &[usize], real: &[usize]) -> f64 {
    let settings = OptimizerSettings::muon(1e-3, 1e-3);
    let mut optimizer = Optimizer::new(model.parameters(), settings, Model::is_block_matrix);
    let pixels = Pixels::one(32, 32, vec![0.5; 3072]);
    let data: Vec<(Vec<i64>, Vec<f32>)> = lengths
        .iter()
        .zip(real)
        .map(|(&length, &real)| {
            let mut tokens = vec![232; 16];
            tokens.extend((16..length.max(26) as i64).map(|i| i % 232));
            let counts = |index| f32::from(u8::from(index + 24 < real));
            let weights = (0..tokens.len() - 24).map(counts).collect();
            (tokens, weights)
        })
        .collect();
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let start = Instant::now();
        for batch in data.chunks(BATCH) {
            let sequences: Vec<Sequence<'_>> = batch
                .iter()
                .map(|(tokens, weights)| Sequence {
                    tokens,
                    pixels: &pixels,
                    prompt: 24,
                    weights: Some(weights),
                })
                .collect();
            let pack = pack(model, &sequences).expect("the sequences fit the model");
            loss::backward(model, &pack, pack.weight());
            optimizer.step(1.0);
        }
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}
