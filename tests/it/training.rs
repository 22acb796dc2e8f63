//! Training on the tiny checkpoints below `MSTAR_PARITY_DIR`: a packed batch, or one whose layers
//! are computed twice, has the loss and the gradients of its samples one by one.

use crate::model_parity::{Case, cases, folder, goldens, opened};
use mstar::base::Seed;
use mstar::engine::{
    Adapters, Device, Lora, Model, Pack, Precision, Weights, backward, backward_recomputing,
    kind_of, load, pack,
};
use std::{collections::BTreeMap, fs, path::PathBuf};
use tch::Tensor;

type Backward = fn(&Model, &Pack, f64) -> f64;

/// Loss and gradients of several packs as one step.
fn step(
    model: &Model,
    batches: &[Vec<&Case>],
    backward: Backward,
) -> (f64, BTreeMap<String, Tensor>) {
    let packs: Vec<Pack> = batches
        .iter()
        .map(|batch| {
            let sequences: Vec<_> = batch.iter().map(|case| case.sequence()).collect();
            pack(model, &sequences).unwrap()
        })
        .collect();
    let weight: f64 = packs.iter().map(Pack::weight).sum();
    let loss = packs.iter().map(|pack| backward(model, pack, weight)).sum();
    let gradients = model.trainable().iter().map(|(name, parameter)| {
        let gradient = parameter.grad();
        let gradient =
            if gradient.defined() { gradient.copy() } else { parameter.zeros_like().detach() };
        parameter.shallow_clone().zero_grad();
        (name.to_owned(), gradient)
    });
    (loss, gradients.collect())
}

type Step = (f64, BTreeMap<String, Tensor>);

/// Within 1e-5 of the largest of each tensor, or of a thousandth of the largest of all.
fn assert_same(name: &str, (loss, gradients): &Step, (other_loss, others): &Step) {
    assert!((loss - other_loss).abs() < 1e-5 * loss.abs(), "{name}: {loss} and {other_loss}");
    let largest = |tensor: &Tensor| tensor.abs().max().double_value(&[]);
    let scale = gradients.values().map(largest).fold(0.0, f64::max);
    assert!(scale > 0.0, "{name} has no gradients");
    for (tensor, gradient) in gradients {
        let error = largest(&(gradient - &others[tensor]));
        let share = error / largest(gradient).max(1e-3 * scale);
        assert!(share < 2e-5, "{name}: the gradient of `{tensor}` is {share:e} apart");
    }
}

fn checkpoints() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder()).expect("goldens of models");
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("a folder").path()).collect();
    found.sort();
    found
}

#[test]
fn a_packed_batch_with_images_is_its_samples_one_by_one() {
    for at in checkpoints() {
        let (name, cases) = (at.display().to_string(), cases(&goldens(&at)));
        assert!(cases.iter().any(|case| !case.pixels.sizes().is_empty()), "{name}: no image");
        let model = opened(&at, Precision::F32);
        let packed = step(&model, &[cases.iter().collect()], backward);
        let alone: Vec<Vec<&Case>> = cases.iter().map(|case| vec![case]).collect();
        assert_same(&name, &packed, &step(&model, &alone, backward));
    }
}

#[test]
fn layers_that_are_computed_twice_have_the_same_gradients() {
    for at in checkpoints() {
        let (name, cases) = (at.display().to_string(), cases(&goldens(&at)));
        let batch: Vec<Vec<&Case>> = vec![cases.iter().collect()];
        let model = opened(&at, Precision::F32);
        let kept = step(&model, &batch, backward);
        assert_same(&name, &kept, &step(&model, &batch, backward_recomputing));
        model.parameters().train_only(|name| name.contains(".layers.1."));
        let kept = step(&model, &batch, backward);
        assert_same(&name, &kept, &step(&model, &batch, backward_recomputing));
    }
}

#[test]
fn a_layer_that_is_computed_twice_drops_the_same_inputs() {
    let at = folder().join("smolvlm");
    let cases = cases(&goldens(&at));
    let config = fs::read_to_string(at.join("config.json")).unwrap();
    let lora = Lora { rank: 4, alpha: 8.0, dropout: 0.5, targets: Vec::new() };
    let adapters = Adapters::fresh(lora, Seed(1), Device::Cpu);
    let weights = Weights::open(&at, Precision::F32, Device::Cpu).unwrap();
    let model = load(&kind_of(&config).unwrap(), &config, weights.with_adapters(adapters)).unwrap();
    let batch: Vec<Vec<&Case>> = vec![cases.iter().collect()];
    let dropping = |seed, backward: Backward| {
        model.while_dropping(Seed(seed), || step(&model, &batch, backward))
    };
    let kept = dropping(3, backward);
    assert_same("smolvlm", &kept, &dropping(3, backward_recomputing));
    let name = kept.1.keys().find(|name| name.ends_with("lora_B.weight")).unwrap();
    assert_ne!(kept.1[name], dropping(4, backward).1[name], "another seed drops others");
}
