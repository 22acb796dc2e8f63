//! A response is a function of weights, prompt, seed and sample, and of nothing else.

use super::*;
use crate::engine::{
    models::{load, mini_vlm},
    pack::inputs,
    weights::{Precision, Weights},
};
use rand::Rng as _;

fn full_logits(model: &Model, tokens: &[i64]) -> Tensor {
    logits(model, tokens, &Pixels::none())
}

fn model(key_heads: i64) -> Model {
    crate::engine::set_threads(1);
    let mut config = mini_vlm::Config::builtin();
    config.num_key_value_heads = key_heads;
    let text = serde_json::to_string(&config).unwrap();
    let weights = Weights::random(Seed(5), Precision::F32, tch::Device::Cpu);
    load(mini_vlm::KIND, &text, weights).unwrap()
}

/// Prompts of 2 to 30 words, with no, one or two images.
fn prompts(count: u64) -> Vec<Prompt> {
    let prompt = |id| {
        let mut generator = Seed(11).nth(id).generator();
        let images = [1, 1, 0, 2][id as usize % 4];
        let mut tokens = vec![232; 16 * images];
        tokens.extend((0..2 + id as usize * 7 % 29).map(|_| generator.random_range(0..232_i64)));
        let pixels = (0..images * 3072).map(|_| generator.random_range(-1.0..1.0)).collect();
        Prompt { id, tokens, pixels: Pixels::squares(32, pixels) }
    };
    (0..count).map(prompt).collect()
}

fn settings(temperature: f64, samples: usize, slots: usize) -> Settings {
    // A fresh model stops by chance: one token in sixteen ends a response.
    let stop: Vec<i64> = (0..232).step_by(16).collect();
    let sampling = Sampling::at(temperature, 20, &stop);
    Settings { samples, first_sample: 0, sampling, seed: Seed(3), slots }
}

fn answers(model: &Model, prompts: &[Prompt], settings: &Settings) -> Vec<Response> {
    let generated = generate(model, prompts, settings, &mut |_| (), &|| false).unwrap();
    assert!(!generated.stopped);
    generated.responses
}

/// Logits after each of `tokens`, by one full pass.
fn logits(model: &Model, tokens: &[i64], pixels: &Pixels) -> Tensor {
    tch::no_grad(|| {
        let layout = Layout::new(&[tokens.len()], 1, tch::Device::Cpu);
        let inputs = inputs(model, &[(tokens, pixels)], 0);
        model.logits(&model.forward(&inputs, &mut Attend::Packed(&layout)))
    })
}

/// The logits that the next token of every row would be drawn from.
fn next_logits(batch: &mut Batch<'_>) -> Tensor {
    let rows = batch.table.used_rows().next_multiple_of(ROW_MULTIPLE);
    let (seats, seated) = batch.table.seating(rows);
    let (mut tokens, mut positions, mut lengths) = (vec![0; rows], vec![0; rows], vec![0; rows]);
    for (slot, row) in batch.table.iter() {
        let cached = row.tokens.len() - 1;
        (tokens[slot], lengths[slot]) = (row.tokens[cached], cached as i64);
        positions[slot] = (batch.prompts[row.prompt].tokens.len() + cached) as i64;
    }
    batch.cache.begin(&Step { seats: &seats, rows: &seated, lengths: &lengths });
    let (tokens, positions) = (Tensor::from_slice(&tokens), Tensor::from_slice(&positions));
    let inputs = Inputs { tokens, images: None, positions };
    let stream = batch.model.forward(&inputs, &mut Attend::Cached(&mut batch.cache));
    batch.model.logits(&stream)
}

#[test]
fn a_response_does_not_depend_on_slots_order_or_shard() {
    let (model, prompts) = (model(4), prompts(40));
    let whole = answers(&model, &prompts, &settings(3.0, 3, 256));
    assert_eq!(whole.len(), 120);
    assert!(whole.iter().any(|response| response.finish == Finish::Stop));
    assert!(whole.iter().any(|response| response.finish == Finish::Length));
    for slots in [3, 17] {
        assert_eq!(answers(&model, &prompts, &settings(3.0, 3, slots)), whole, "{slots} slots");
    }
    let mut backwards: Vec<Prompt> = prompts.clone();
    backwards.reverse();
    let mut reversed = answers(&model, &backwards, &settings(3.0, 3, 64));
    reversed.sort_by_key(|response| (response.prompt, response.sample));
    assert_eq!(reversed, whole, "order");
    let shards = prompts.chunks(7).flat_map(|s| answers(&model, s, &settings(3.0, 3, 32)));
    assert_eq!(shards.collect::<Vec<_>>(), whole, "shards");
}

#[test]
fn logits_do_not_depend_on_neighbours_to_the_last_bit() {
    let (model, prompts) = (model(2), prompts(24));
    let greedy = |slots| settings(0.0, 1, slots);
    let record = |settings: &Settings, prompts: &[Prompt]| {
        tch::no_grad(|| {
            let mut batch = Batch::new(&model, prompts, settings);
            while !batch.waiting.is_empty() {
                batch.admit(batch.table.room().min(batch.waiting.len()));
            }
            (0..12).for_each(|_| drop(batch.step()));
            let logits = next_logits(&mut batch);
            let (slot, _) = batch.table.iter().find(|(_, row)| row.prompt == 0).unwrap();
            logits.get(slot as i64)
        })
    };
    let never = |mut s: Settings| {
        s.sampling.stop.clear();
        s
    };
    let alone = record(&never(greedy(1)), &prompts[..1]);
    assert_eq!(record(&never(greedy(24)), &prompts), alone);
}

#[test]
fn greedy_takes_the_likeliest_token_of_a_full_pass() {
    for key_heads in [4, 1] {
        let (model, prompts) = (model(key_heads), prompts(12));
        for response in answers(&model, &prompts, &settings(0.0, 1, 5)) {
            let prompt = &prompts[response.prompt as usize];
            let all = [&prompt.tokens[..], &response.tokens].concat();
            let logits = logits(&model, &all, &prompt.pixels);
            for (offset, &token) in response.tokens.iter().enumerate() {
                let before = logits.get((prompt.tokens.len() + offset) as i64 - 1);
                let (best, chosen) = (before.max(), before.get(token));
                assert!((best - chosen).double_value(&[]) < 1e-5, "token {offset}");
            }
        }
    }
}

#[test]
fn cached_logits_equal_those_of_a_full_pass() {
    for key_heads in [4, 2] {
        let (model, prompts) = (model(key_heads), prompts(9));
        let mut settings = settings(0.0, 2, 18);
        settings.sampling.stop.clear();
        tch::no_grad(|| {
            let mut batch = Batch::new(&model, &prompts, &settings);
            batch.admit(9);
            (0..15).for_each(|_| drop(batch.step()));
            let cached = next_logits(&mut batch);
            for (slot, row) in batch.table.iter() {
                let prompt = &prompts[row.prompt];
                let all = [&prompt.tokens[..], &row.tokens].concat();
                let full = logits(&model, &all, &prompt.pixels).get(all.len() as i64 - 1);
                let error = (cached.get(slot as i64) - full).abs().max().double_value(&[]);
                assert!(error < 1e-5, "row {slot}: {error}");
            }
        });
    }
}

#[test]
fn samples_differ_and_further_ones_can_be_drawn_elsewhere() {
    let (model, prompts) = (model(4), prompts(6));
    let whole = answers(&model, &prompts, &settings(1.0, 4, 24));
    assert!(whole.chunks(4).any(|samples| samples[0].tokens != samples[1].tokens));
    let mut later = settings(1.0, 2, 24);
    later.first_sample = 2;
    let wanted: Vec<_> = whole.iter().filter(|response| response.sample >= 2).cloned().collect();
    // Four rows of a prompt or two: the shapes of small matrices differ, so only nearly all agree.
    let same =
        answers(&model, &prompts, &later).iter().zip(&wanted).filter(|(a, b)| a == b).count();
    assert!(same >= wanted.len() - 1);
}

#[test]
fn stopping_keeps_what_has_ended() {
    let (model, prompts) = (model(4), prompts(30));
    let calls = std::cell::Cell::new(0);
    let stop = || {
        calls.set(calls.get() + 1);
        calls.get() == 30
    };
    let mut last = 0;
    let generated =
        generate(&model, &prompts, &settings(1.0, 2, 16), &mut |p| last = p.responses, &stop);
    let generated = generated.unwrap();
    assert!(generated.stopped);
    assert_eq!(generated.responses.len(), last);
    assert!(last > 0 && last < 60);
}

/// Phi-3-vision with other frequencies in sequences of more than 16 tokens.
fn switching() -> Model {
    crate::engine::set_threads(1);
    let config = serde_json::json!({
        "vocab_size": 60, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2,
        "num_attention_heads": 2, "max_position_embeddings": 64,
        "original_max_position_embeddings": 16,
        "rope_scaling": {
            "type": "longrope", "short_factor": [1, 1, 1.5, 2], "long_factor": [4, 6, 8, 9],
        },
        "embd_layer": {
            "hd_transform_order": "sub_glb", "projection_cls": "mlp", "use_hd_transform": true,
            "with_learnable_separator": true,
        },
        "img_processor": {"image_dim_out": 8},
        "vision_config": {
            "image_size": 8, "patch_size": 4, "hidden_size": 8, "intermediate_size": 8,
            "num_hidden_layers": 2, "num_attention_heads": 2,
        },
    });
    let weights = Weights::random(Seed(5), Precision::F32, tch::Device::Cpu);
    load("phi3_v", &config.to_string(), weights).unwrap()
}

#[test]
fn a_sequence_turns_by_the_length_that_it_may_reach() {
    let model = switching();
    let tokens: Vec<i64> = (0..10).map(|at| at * 7 % 60).collect();
    let first = |more| model.places(&tokens, &[], more).tokens[0];
    assert_eq!((first(0), first(6)), ([0; 3], [0; 3]));
    assert_ne!(first(7), [0; 3]);
    let short = full_logits(&model, &[tokens.clone(), vec![3; 6]].concat());
    let long = full_logits(&model, &[tokens.clone(), vec![3; 7]].concat());
    let apart = (short.narrow(0, 9, 1) - long.narrow(0, 9, 1)).abs().max().double_value(&[]);
    assert!(apart > 1e-5, "the frequencies are the same: {apart:e}");

    // Up to the switch, and over it from the first token on.
    for longest in [6, 30] {
        let prompts = [Prompt { id: 0, tokens: tokens.clone(), pixels: Pixels::none() }];
        let sampling = Sampling::greedy(longest, &[]);
        let settings = Settings { sampling, ..settings(0.0, 2, 16) };
        for response in answers(&model, &prompts, &settings) {
            let whole = [&tokens[..], &response.tokens].concat();
            let all = full_logits(&model, &whole).narrow(0, 9, longest as i64);
            assert_eq!(Vec::<i64>::try_from(all.argmax(-1, false)).unwrap(), response.tokens);
        }
    }
}

#[test]
fn prompts_that_the_model_cannot_read_are_errors() {
    let model = model(4);
    let read = |tokens: Vec<i64>, pixels: Vec<f32>| {
        let prompts = [Prompt { id: 0, tokens, pixels: Pixels::squares(32, pixels) }];
        generate(&model, &prompts, &settings(1.0, 1, 1), &mut |_| (), &|| false).unwrap_err()
    };
    assert!(matches!(read(vec![], vec![]), PackError::Empty { .. }));
    assert!(matches!(read(vec![233], vec![]), PackError::Token { token: 233, .. }));
    assert!(matches!(read(vec![232; 16], vec![]), PackError::Images { .. }));
    assert!(matches!(read(vec![1], vec![0.0; 3072]), PackError::Images { .. }));
    assert!(matches!(read(vec![1; 256], vec![]), PackError::TooLong { tokens: 257, .. }));
}
