//! Tokens per second of sampling and of training on a checkpoint in a folder, for
//! `benches/beside_transformers.py`, which takes the same measurements of transformers in the same run.
//!
//! Reads a question in JSON from standard input, as that script writes it, and prints the rates:
//!
//! `{"checkpoint": …, "image": …, "questions": […], "answers": […], "samples": 8, "tokens": 128,
//! "batch": 8, "threads": 2, "precision": "f32", "repeats": 3}`

#![expect(clippy::print_stdout, reason = "a benchmark reports to who runs it")]

use image::RgbImage;
use mstar::base::Seed;
use mstar::data::loaders::CheckpointFolder;
use mstar::data::picture::{PictureLimits, decode};
use mstar::data::{Dialect, Written};
use mstar::engine::{
    Model, Pixels, Precision, Prompt, Sampling, Sequence, Settings, Size, Weights, backward,
    generate, kind_of, load, pack, set_threads,
};
use serde::Deserialize;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Instant;

#[derive(Deserialize)]
struct Asked {
    checkpoint: PathBuf,
    image: PathBuf,
    questions: Vec<String>,
    answers: Vec<String>,
    samples: usize,
    tokens: usize,
    batch: usize,
    threads: usize,
    precision: Precision,
    repeats: usize,
}

fn main() {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).expect("a question in JSON");
    if text.trim().is_empty() {
        println!("nothing is asked: run benches/beside_transformers.py, which asks");
        return;
    }
    let asked: Asked = serde_json::from_str(&text).expect("a question in JSON");
    set_threads(asked.threads);
    let folder = CheckpointFolder::open(&asked.checkpoint).expect("a checkpoint");
    let files = folder.companions().expect("its files");
    let dialect = Dialect::new(&files).expect("it can be asked");
    let config = String::from_utf8_lossy(files.get("config.json").unwrap_or_default());
    let weights = Weights::open(&asked.checkpoint, asked.precision, tch::Device::Cpu);
    let kind = kind_of(&config).expect("a known model");
    let model = load(&kind, &config, weights.expect("weights")).expect("a model");
    let bytes = std::fs::read(&asked.image).expect("a picture");
    let picture = decode(&bytes, &PictureLimits::default()).expect("a picture");

    let prompts: Vec<Prompt> = asked
        .questions
        .iter()
        .zip(0..)
        .map(|(question, id)| prompt(&model, &dialect, question, &picture, id))
        .collect();
    let sampled = sampling(&asked, &model, &dialect, &prompts);
    let trained = training(&asked, &model, &dialect, &prompts);
    println!("{}", serde_json::json!({ "sampled": sampled, "trained": trained }));
}

fn prompt(model: &Model, dialect: &Dialect, question: &str, seen: &RgbImage, id: u64) -> Prompt {
    let Written { tokens, slots, pictures } =
        dialect.question(question, &[seen]).expect("a question");
    let mut tokens: Vec<i64> = tokens.into_iter().map(i64::from).collect();
    slots.into_iter().for_each(|slot| tokens[slot] = model.image_token());
    let mut pixels = Pixels::none();
    for images in pictures {
        let sized = images.into_iter();
        let sized = sized.map(|it| (Size { height: it.height, width: it.width }, it.values));
        pixels.extend(&Pixels::picture(sized));
    }
    Prompt { id, tokens, pixels }
}

/// Tokens drawn in a second, the best of several tries.
fn sampling(asked: &Asked, model: &Model, dialect: &Dialect, prompts: &[Prompt]) -> f64 {
    let ends: Vec<i64> = dialect.ends().iter().copied().map(i64::from).collect();
    let settings = Settings {
        samples: asked.samples,
        first_sample: 0,
        sampling: Sampling::at(1.0, asked.tokens, &ends),
        seed: Seed(0),
        slots: 512,
    };
    best(asked.repeats, || {
        let all = generate(model, prompts, &settings, &mut |_| {}, &|| false).expect("answers");
        all.responses.iter().map(|response| response.tokens.len()).sum()
    })
}

/// Tokens read in a second of forward and backward passes, padding not counted.
fn training(asked: &Asked, model: &Model, dialect: &Dialect, prompts: &[Prompt]) -> f64 {
    let whole: Vec<Vec<i64>> = prompts
        .iter()
        .zip(&asked.answers)
        .map(|(prompt, answer)| {
            let answer = dialect.answer(answer).expect("an answer").into_iter().map(i64::from);
            prompt.tokens.iter().copied().chain(answer).collect()
        })
        .collect();
    best(asked.repeats, || {
        let mut read = 0;
        for (prompts, whole) in prompts.chunks(asked.batch).zip(whole.chunks(asked.batch)) {
            let sequences: Vec<Sequence<'_>> = prompts
                .iter()
                .zip(whole)
                .map(|(prompt, tokens)| Sequence {
                    tokens,
                    pixels: &prompt.pixels,
                    prompt: prompt.tokens.len(),
                    weights: None,
                })
                .collect();
            let pack = pack(model, &sequences).expect("they fit");
            backward(model, &pack, pack.weight());
            model.parameters().iter().for_each(|(_, parameter)| {
                let mut gradient = parameter.grad();
                if gradient.defined() {
                    drop(gradient.zero_());
                }
            });
            read += pack.tokens();
        }
        read
    })
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn best(repeats: usize, mut work: impl FnMut() -> usize) -> f64 {
    let rate = |_| {
        let start = Instant::now();
        let tokens = work();
        tokens as f64 / start.elapsed().as_secs_f64()
    };
    (0..repeats).map(rate).fold(0.0, f64::max)
}
