//! What each training method carries from one iteration to the next, by digest. The cap on steps ends
//! the evolution with the first iteration, so that the second one's training leaves what it began
//! with: weights, optimizer moments, schedule position, step counter.

use crate::sandbox::Sandbox;
use mstar::base::Digest;
use mstar::data::table::{self, Rollout};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

/// What a training stage left.
#[derive(Debug, PartialEq)]
struct Left {
    weights: Digest,
    optimizer: Digest,
    /// Optimizer steps behind the weights.
    step: u64,
    /// The rate that the schedule gives where it stands.
    rate: f64,
}

fn json(sandbox: &Sandbox, stage: &str, file: &str) -> Value {
    serde_json::from_slice(&fs::read(sandbox.artifact_of(stage).join(file)).unwrap()).unwrap()
}

fn digest(sandbox: &Sandbox, stage: &str, file: &str) -> Digest {
    Digest::of(&fs::read(sandbox.artifact_of(stage).join(file)).unwrap())
}

fn left(sandbox: &Sandbox, stage: &str) -> Left {
    Left {
        weights: digest(sandbox, stage, "model.safetensors"),
        optimizer: digest(sandbox, stage, "optimizer.safetensors"),
        step: json(sandbox, stage, "trainer.json")["step"].as_u64().unwrap(),
        rate: json(sandbox, stage, "metrics.json")["learning_rate_last"].as_f64().unwrap(),
    }
}

/// Prompts that an iteration explored.
fn slice(sandbox: &Sandbox, iteration: u32) -> BTreeSet<u64> {
    let path = sandbox.artifact_of(&format!("explore {iteration}")).join("rollouts.parquet");
    let rollouts: Vec<Rollout> = table::decode(&fs::read(path).unwrap()).unwrap();
    rollouts.into_iter().map(|rollout| rollout.prompt).collect()
}

const RUN: [&str; 18] = [
    "run",
    "tiny.toml",
    "--set",
    "control.equal_steps=false",
    "--set",
    "evaluation.pass_samples=0",
    "--set",
    "data.test=0",
    "--set",
    "data.validation=4",
    "--set",
    "training.steps_per_iteration=5",
    "--set",
    "training.steps=5",
    "--set",
    "training.schedule={ kind = \"linear\", warmup_steps = 2, to = 0.1, over = 40 }",
    "--set",
    "training.interval=0.05",
];

#[test]
fn methods_differ_in_what_they_inherit() {
    let sandbox = Sandbox::new();
    let tiny = fs::read_to_string(sandbox.path("tiny.toml")).unwrap();
    sandbox.write("tiny.toml", tiny.replace("data = \"warmup\"\n", ""));
    let method = |name: &str| {
        let set = format!("training.method={name}");
        sandbox.mstar(&[&RUN[..], &["--set", &set]].concat()).exits(0);
        let stages = ["warm-up train", "train 1", "train 2"].map(|stage| left(&sandbox, stage));
        (stages, [slice(&sandbox, 1), slice(&sandbox, 2)])
    };

    let ([warm, one, two], slices) = method("continuous");
    assert_eq!(two, one, "everything goes on: weights, moments, position, counter");
    assert_eq!(one.step, warm.step + 5);
    assert_ne!((one.weights, one.optimizer), (warm.weights, warm.optimizer));
    // 26 of 520 prompts, one slice after the other, each new.
    assert_eq!((slices[0].len(), slices[1].len()), (26, 26));
    assert!(slices[0].is_disjoint(&slices[1]));
    let continuous = slices;

    let ([_, one, two], slices) = method("iterative-rft");
    assert_eq!((two.weights, two.step), (one.weights, one.step), "weights and counter go on");
    assert_ne!(two.optimizer, one.optimizer, "the moments are new");
    assert!((two.rate - 7e-4 / 3.0).abs() < 1e-9, "the schedule begins anew: {}", two.rate);
    assert_eq!(slices, continuous);
    let new = two.optimizer;

    let ([warm, one, two], slices) = method("rest-em");
    assert_eq!((two.weights, two.step), (warm.weights, warm.step), "back to the warm-up");
    assert_ne!(two.weights, one.weights);
    assert_eq!(two.optimizer, new, "and nothing of the moments");
    assert!((two.rate - 7e-4 / 3.0).abs() < 1e-9, "{}", two.rate);
    assert_eq!(slices, continuous);
}
