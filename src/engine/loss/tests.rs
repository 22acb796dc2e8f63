//! Packing changes the cost of a step and nothing else.

use super::*;
use crate::base::Seed;
use crate::engine::{
    Pixels,
    models::{load, mini_vlm},
    pack::{Sequence, pack},
    weights::{Precision, Weights},
};
use rand::Rng as _;
use std::collections::BTreeMap;

fn model() -> Model {
    crate::engine::set_threads(1);
    let text = serde_json::to_string(&mini_vlm::Config::builtin()).unwrap();
    let weights = Weights::random(Seed(5), Precision::F32, tch::Device::Cpu);
    load(mini_vlm::KIND, &text, weights).unwrap()
}

/// Tokens, pixels, length of the prompt, weights.
type Datum = (Vec<i64>, Pixels, usize, Vec<f32>);

/// Five sequences with 0 to 2 images and 3 to 60 words, half of them prompt.
fn data() -> Vec<Datum> {
    let mut generator = Seed(1).generator();
    let shapes = [(1, 20), (0, 3), (2, 33), (1, 60), (1, 21)];
    let mut make = |(images, words): (usize, usize)| {
        let mut tokens = vec![232; 16 * images];
        tokens.extend((0..words).map(|_| generator.random_range(0..232_i64)));
        let pixels = (0..images * 3072).map(|_| generator.random_range(-1.0..1.0)).collect();
        let response = words - words / 2;
        let weights = (0..response).map(|i| [1.0, 0.0, 0.5][i % 3]).collect();
        (tokens, Pixels::squares(32, pixels), 16 * images + words / 2, weights)
    };
    shapes.map(&mut make).to_vec()
}

fn gradients(model: &Model) -> BTreeMap<String, Tensor> {
    let take = |(name, parameter): (&str, &Tensor)| {
        let gradient = parameter.grad();
        let taken = if gradient.defined() { gradient.copy() } else { parameter.zeros_like() };
        parameter.shallow_clone().zero_grad();
        (name.to_owned(), taken)
    };
    model.parameters().iter().map(take).collect()
}

fn assert_same(one: &BTreeMap<String, Tensor>, two: &BTreeMap<String, Tensor>) {
    for (name, gradient) in one {
        let error = (gradient - &two[name]).abs().max().double_value(&[]);
        assert!(error < 1e-5, "{name}: {error}");
        // A bias on all keys shifts all scores of a query alike, which its softmax ignores.
        let reached = gradient.abs().max().double_value(&[]) > 1e-7;
        assert!(reached || name.ends_with("k_proj.bias"), "{name} has no gradient");
    }
}

#[test]
fn packed_losses_and_gradients_equal_those_of_single_sequences() {
    let (model, data) = (model(), data());
    for weighted in [false, true] {
        let sequences: Vec<Sequence<'_>> = data
            .iter()
            .map(|d| Sequence {
                tokens: &d.0,
                pixels: &d.1,
                prompt: d.2,
                weights: weighted.then_some(&d.3[..]),
            })
            .collect();
        let together = pack(&model, &sequences).unwrap();
        let total = together.weight();
        let loss = backward(&model, &together, total);
        let packed = gradients(&model);
        let single: f64 = sequences
            .iter()
            .map(|&sequence| backward(&model, &pack(&model, &[sequence]).unwrap(), total))
            .sum();
        assert!((loss - single).abs() < 1e-5, "{loss} {single}");
        assert!((loss - evaluate(&model, &together)).abs() < 1e-5);
        assert_same(&packed, &gradients(&model));
    }
}

#[test]
fn chunks_of_logits_change_nothing() {
    let (model, data) = (model(), data());
    let sequences: Vec<_> = data
        .iter()
        .map(|d| Sequence { tokens: &d.0, pixels: &d.1, prompt: d.2, weights: None })
        .collect();
    let pack = pack(&model, &sequences).unwrap();
    let whole = (backward(&model, &pack, 7.0), gradients(&model));
    let chunked = (backward_in_chunks(&model, &pack, 7.0, 9), gradients(&model));
    assert!((whole.0 - chunked.0).abs() < 1e-5);
    assert_same(&whole.1, &chunked.1);
}

#[test]
fn nothing_to_learn_costs_nothing() {
    let model = model();
    let none =
        Sequence { tokens: &[5, 6], pixels: &Pixels::none(), prompt: 1, weights: Some(&[0.0]) };
    let pack = pack(&model, &[none]).unwrap();
    assert_eq!(backward(&model, &pack, 1.0), 0.0);
}
