//! `pretrain`: one phase of the embedded model's own training: perception, captions, reasoning.
//!
//! Samples are drawn as they are needed, from streams that no recipe evaluates on. Left out: any
//! look at validation prompts. Which of several bases is shipped is chosen from outside.

use super::checkpoint::{self, Checkpoints};
use super::failure::{failed, failure, json};
use super::policy::{Asked, Policy, TrainerState, precision, write_metrics};
use crate::base::Seed;
use crate::data::checkpoint::Companions;
use crate::data::mini_vista::{
    CAPTION_QUESTION, Example, MiniVista, PATCH_COLOURS, PATCH_KINDS, POOL_ONE_OPERATION, Stream,
    TOKENIZER_JSON,
};
use crate::data::{Sample, pixels};
use crate::engine::models::mini_vlm;
use crate::engine::{
    Device, Model, Optimizer, OptimizerSettings, PatchTarget, Perception, Pixels, Sequence,
    Weights, backward, pack,
};
use crate::event::Unit;
use crate::plan::{Lesson, Port, Pretrain};
use crate::recipe::PretrainingPhase;
use crate::run::{Context, Stop};
use image::RgbImage;
use rand::seq::SliceRandom as _;
use serde_json::json;

pub(super) fn run(options: &Pretrain, device: Device, context: &Context<'_>) -> Result<(), Stop> {
    let policy = match context.optional_input(Port::Policy) {
        Some(artifact) => Policy::load(artifact, options.dtype, device)?,
        None => {
            let seed = Seed(options.seed).named("weights");
            let weights = Weights::random(seed, precision(options.dtype), device);
            let files = [
                ("config.json", json(&mini_vlm::Config::builtin())),
                ("tokenizer.json", TOKENIZER_JSON.to_vec()),
            ];
            Policy::of_parts(weights, Companions::of(files))?
        }
    };
    let losses = match &options.lesson {
        Lesson::Perception => perceive(options, &policy, context)?,
        lesson => read_and_reason(options, lesson, &policy, context)?,
    };
    policy.write(context.results())?;
    let state = json(&TrainerState::default());
    context.results().write("trainer.json", &state)?;
    let window = &losses[losses.len().saturating_sub(50)..];
    write_metrics(
        context,
        &json!({
            "parameters": policy.model.parameters().count(),
            "steps": losses.len(),
            "loss_last": window.iter().sum::<f64>() / window.len().max(1) as f64,
        }),
    )
}

/// The learning rate's factor: up, level, down (see [`PretrainingPhase`]).
fn factor(phase: &PretrainingPhase, step: u64, total: u64) -> f64 {
    let rise = (step + 1) as f64 / phase.warmup_steps.max(1) as f64;
    let left = 1.0 - step as f64 / total as f64;
    let fall = left / (1.0 - phase.decay_from).max(f64::MIN_POSITIVE);
    rise.min(fall.max(phase.decay_to)).min(1.0)
}

fn perceive(options: &Pretrain, policy: &Policy, context: &Context<'_>) -> Result<Vec<f64>, Stop> {
    let phase = &options.phase;
    let task = MiniVista::new(Seed(options.data_seed), POOL_ONE_OPERATION);
    let ids = |words: &[&str]| -> Result<Vec<i64>, Stop> {
        words
            .iter()
            .map(|word| Ok(i64::from(policy.dialect.tokenizer().id(word).map_err(failed)?)))
            .collect()
    };
    let settings = OptimizerSettings {
        weight_decay: 0.01,
        betas: (0.9, 0.999),
        clip: f64::INFINITY,
        ..OptimizerSettings::adamw(phase.learning_rate)
    };
    let (kinds, colours) = (ids(&PATCH_KINDS)?, ids(&PATCH_COLOURS)?);
    let seed = Seed(options.seed).named("perception");
    let mut perception = Perception::new(&policy.model, &kinds, &colours, &settings, seed)
        .ok_or_else(|| failure("only `builtin:mini-vlm` has a patch stem to train", "use that"))?;
    let batch = u64::from(phase.batch_size);
    let total = phase.samples * u64::from(phase.epochs) / batch;
    let mut losses = Vec::with_capacity(total as usize);
    for step in 0..total {
        if context.cancelled() {
            return Err(Stop::Cancelled);
        }
        let first = step * batch;
        let indices = (first..first + batch).map(|index| index % phase.samples);
        let examples: Vec<Example> =
            indices.map(|index| task.example(Stream::Captions, index)).collect();
        let pixels: Vec<f32> = examples
            .iter()
            .flat_map(|example| pixels::channels_last(&example.sample().images[0]))
            .collect();
        let targets: Vec<PatchTarget> = examples.iter().flat_map(targets).collect();
        let loss = perception.step(&pixels, &targets, factor(phase, step, total));
        losses.push(loss);
        context.progress(step + 1, total, Unit::Steps, &[("loss", loss)]);
    }
    Ok(losses)
}

fn targets(example: &Example) -> [PatchTarget; 16] {
    example.patches().map(|patch| PatchTarget {
        kind: patch.kind,
        colour: patch.colour,
        rows: patch.rows,
        columns: patch.columns,
    })
}

/// One thing to learn: a caption, or a worked example on its so-manieth visit.
#[derive(Clone, Copy)]
enum Item {
    Caption(u64),
    Worked { index: u64, visit: u64 },
}

/// The order of a phase's items: a function of the options alone.
fn items(options: &Pretrain, lesson: &Lesson) -> Vec<Item> {
    let phase = &options.phase;
    let mut generator = Seed(options.seed).named("order").generator();
    match lesson {
        Lesson::Perception => Vec::new(),
        Lesson::Captions => {
            let epochs = 0..u64::from(phase.epochs);
            epochs.flat_map(|_| (0..phase.samples).map(Item::Caption)).collect()
        }
        Lesson::Reasoning { caption_share, captions_from, .. } => {
            let mut worked = Vec::new();
            for visit in 0..u64::from(phase.epochs) {
                let mut pass: Vec<Item> =
                    (0..phase.samples).map(|index| Item::Worked { index, visit }).collect();
                pass.shuffle(&mut generator);
                worked.extend(pass);
            }
            let captions = (worked.len() as f64 * caption_share).round() as u64;
            worked.extend((0..captions).map(|index| Item::Caption(captions_from + index)));
            worked.shuffle(&mut generator);
            worked
        }
    }
}

fn read_and_reason(
    options: &Pretrain,
    lesson: &Lesson,
    policy: &Policy,
    context: &Context<'_>,
) -> Result<Vec<f64>, Stop> {
    let phase = &options.phase;
    let numbers = number_tokens(policy)?;
    // Before the optimizer, which has copies of low-precision weights; a checkpoint replaces both.
    place_numbers(options, lesson, policy, &numbers);
    let mut optimizer = Optimizer::new(
        policy.model.parameters(),
        OptimizerSettings {
            weight_decay: 0.01,
            betas: (0.9, 0.98),
            muon_learning_rate: (phase.muon_learning_rate > 0.0)
                .then_some(phase.muon_learning_rate),
            ..OptimizerSettings::adamw(phase.learning_rate)
        },
        Model::is_block_matrix,
    );
    let easy = match lesson {
        Lesson::Reasoning { easy_share, .. } => *easy_share,
        _ => POOL_ONE_OPERATION,
    };
    let source = Source {
        captions: MiniVista::new(Seed(options.data_seed), POOL_ONE_OPERATION),
        worked: MiniVista::new(Seed(options.data_seed), easy),
        numbers_only: matches!(lesson, Lesson::Captions).then_some(numbers.as_slice()),
    };
    let items = items(options, lesson);
    let batches: Vec<&[Item]> = items.chunks_exact(phase.batch_size as usize).collect();
    let total = batches.len() as u64;
    let mut losses: Vec<f64> =
        checkpoint::restore(policy.model.parameters(), &mut optimizer, context).unwrap_or_default();
    let mut checkpoints = Checkpoints::new(batches.len() as u64, context);
    while losses.len() < batches.len() {
        let step = losses.len() as u64;
        let loss = learn(policy, &source, batches[losses.len()])?;
        optimizer.step(factor(phase, step, total));
        if !loss.is_finite() {
            let reason = format!("the loss is {loss} at step {}", step + 1);
            return Err(failure(reason, "lower the phase's learning rates"));
        }
        losses.push(loss);
        context.progress(step + 1, total, Unit::Steps, &[("loss", loss)]);
        let trained = (policy.model.parameters(), &optimizer);
        checkpoints.after(step + 1, trained, &losses, context)?;
    }
    Ok(losses)
}

fn number_tokens(policy: &Policy) -> Result<Vec<i64>, Stop> {
    (0..200)
        .map(|number: u32| {
            Ok(i64::from(policy.dialect.tokenizer().id(&number.to_string()).map_err(failed)?))
        })
        .collect()
}

fn place_numbers(options: &Pretrain, lesson: &Lesson, policy: &Policy, numbers: &[i64]) {
    if let (Lesson::Reasoning { number_factor, .. }, Some(mini)) =
        (lesson, policy.model.as_mini_vlm())
        && *number_factor > 0.0
    {
        mini.place_numbers(numbers, *number_factor, Seed(options.seed).named("numbers"));
    }
}

/// Where items come from.
struct Source<'a> {
    captions: MiniVista,
    worked: MiniVista,
    /// The tokens that the loss is taken on; all of the response if absent.
    numbers_only: Option<&'a [i64]>,
}

struct Learned {
    tokens: Vec<i64>,
    pixels: Pixels,
    prompt: usize,
    weights: Option<Vec<f32>>,
}

impl Source<'_> {
    fn item(&self, policy: &Policy, item: Item) -> Result<Learned, Stop> {
        let (sample, response): (Sample, String) = match item {
            Item::Caption(index) => {
                let example = self.captions.example(Stream::Captions, index);
                let sample = Sample { question: CAPTION_QUESTION.into(), ..example.sample() };
                (sample, example.caption(0))
            }
            Item::Worked { index, visit } => {
                let example = self.worked.example(Stream::Demonstrations, index);
                (example.sample(), example.demonstration(visit))
            }
        };
        let pictures: Vec<&RgbImage> = sample.images.iter().collect();
        let asked = policy.asked(sample.asked(), &pictures).map_err(failed)?;
        let Asked { mut tokens, pixels } = asked;
        let prompt = tokens.len();
        let response = policy.response_tokens(&response)?;
        tokens.extend(response);
        let weights = self.numbers_only.map(|numbers| {
            let weight = |token: &i64| f32::from(u8::from(numbers.contains(token)));
            tokens[prompt..].iter().map(weight).collect()
        });
        Ok(Learned { tokens, pixels, prompt, weights })
    }
}

fn learn(policy: &Policy, source: &Source<'_>, batch: &[Item]) -> Result<f64, Stop> {
    let learned: Vec<Learned> =
        batch.iter().map(|item| source.item(policy, *item)).collect::<Result<_, _>>()?;
    let sequences: Vec<Sequence<'_>> = learned
        .iter()
        .map(|learned| Sequence {
            tokens: &learned.tokens,
            pixels: &learned.pixels,
            prompt: learned.prompt,
            weights: learned.weights.as_deref(),
        })
        .collect();
    let pack = pack(&policy.model, &sequences).map_err(failed)?;
    Ok(backward(&policy.model, &pack, pack.weight()))
}
