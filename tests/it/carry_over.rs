//! What each training method carries from one iteration to the next, by digest. The cap on steps ends
//! the evolution with the first iteration, so that the second one's training leaves what it began
//! with: weights, optimizer moments, schedule position, step counter. A method that starts over hands
//! on what the first one made; what it starts from is told by its ports (`dynamics.rs`).

use crate::interruption::{has_left, kill, wait_until};
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
    /// The rate that the schedule gives where it stands; none where a policy was handed on.
    rate: Option<f64>,
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
        rate: json(sandbox, stage, "metrics.json")["learning_rate_last"].as_f64(),
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
    let rate = two.rate.unwrap();
    assert!((rate - 7e-4 / 3.0).abs() < 1e-9, "the schedule begins anew: {rate}");
    assert_eq!(slices, continuous);

    // Where no step is left, what starts over leaves the policy before it.
    let ([warm, one, two], slices) = method("rest-em");
    assert_eq!(two, Left { rate: None, ..one });
    assert_ne!(two.weights, warm.weights);
    assert_eq!(slices, continuous);
    let once_more = ["--set", "training.method=rest-em", "--set", "training.steps=9"];
    let said = sandbox.mstar(&[&RUN[..], &once_more].concat()).exits(0);
    let note = "4 of 5 steps are left of `training.steps` = 9, too few to start over";
    assert!(said.stderr.contains(note), "{}", said.stderr);
    assert_eq!(left(&sandbox, "train 2").weights, left(&sandbox, "train 1").weights);
    let whole = ["--set", "training.method=rest-em", "--set", "training.steps=10"];
    sandbox.mstar(&[&RUN[..], &whole].concat()).exits(0);
    let [one, two] = ["train 1", "train 2"].map(|stage| left(&sandbox, stage));
    assert_eq!((two.step, two.rate), (one.step, one.rate), "counter and schedule begin anew");
    assert_ne!(two.weights, one.weights);
}

const LORA: &str = "policy.lora={ rank = 4, alpha = 8.0, dropout = 0.1 }";

#[test]
fn adapters_go_on_as_weights_of_the_policy() {
    let sandbox = Sandbox::new();
    let tiny = fs::read_to_string(sandbox.path("tiny.toml")).unwrap();
    sandbox.write("tiny.toml", tiny.replace("data = \"warmup\"\n", ""));
    let base = |stage: &str| digest(&sandbox, stage, "model.safetensors");
    let method = |name: &str| {
        let set = format!("training.method={name}");
        sandbox.mstar(&[&RUN[..], &["--set", &set, "--set", LORA]].concat()).exits(0);
        for stage in ["warm-up train", "train 1", "train 2"] {
            assert_eq!(base(stage), base("import"), "{stage} leaves the weights below alone");
            let config = json(&sandbox, stage, "adapter_config.json");
            assert_eq!((&config["r"], &config["lora_dropout"]), (&4.into(), &0.1.into()));
            assert_eq!(config["target_modules"].as_array().unwrap().len(), 2 * 7);
        }
        let of = |stage: &str| {
            let digest = |file: &str| digest(&sandbox, stage, file);
            (digest("adapter_model.safetensors"), digest("optimizer.safetensors"))
        };
        ["warm-up train", "train 1", "train 2"].map(of)
    };
    let [warm, one, two] = method("continuous");
    assert_eq!(two, one, "adapters and their moments go on");
    assert_ne!(one, warm);
    let [_, one, two] = method("iterative-rft");
    assert_eq!(two.0, one.0, "adapters go on");
    assert_ne!(two.1, one.1, "the moments are new");
    let [warm, one, two] = method("rest-em");
    assert_eq!(two, one, "adapters and all stay where nothing is left to do");
    assert_ne!(two.0, warm.0);
}

#[test]
fn a_reward_model_takes_adapters_up_into_its_weights() {
    let sandbox = Sandbox::new();
    let set =
        ["--set", LORA, "--set", "reward.model=outcome", "--set", "reward.select={ top = 1 }"];
    let more = ["--set", "reward.training={ from = \"warm-up\", samples = 2 }"];
    sandbox.mstar(&[&RUN[..], &set, &more].concat()).exits(0);
    let reward = sandbox.artifact_of("train reward");
    assert!(!reward.join("adapter_model.safetensors").exists());
    let weights = |stage: &str| digest(&sandbox, stage, "model.safetensors");
    assert_ne!(weights("train reward"), weights("warm-up train"));
}

#[test]
fn layers_computed_twice_and_rates_of_parts_train_as_they_say() {
    let sandbox = Sandbox::new();
    let loss = |more: &[&str]| {
        let sft = ["run", "tiny.toml", "--set", "control.equal_steps=false", "--set"];
        sandbox.mstar(&[&sft[..], &["training.iterations=1"], &RUN[4..], more].concat()).exits(0);
        json(&sandbox, "train 1", "metrics.json")["loss_last"].as_f64().unwrap()
    };
    let plain = loss(&[]);
    let twice = loss(&["--set", "training.gradient_checkpointing=true"]);
    assert!((plain - twice).abs() < 1e-4 * plain, "{plain} and {twice}");
    let frozen = "training.rates={ vision = 0.0, projector = 0.0, language = 0.0 }";
    let _loss = loss(&["--set", frozen, "--set", "training.optimizer.weight_decay=0.0"]);
    let weights = |stage: &str| digest(&sandbox, stage, "model.safetensors");
    assert_eq!(weights("train 1"), weights("import"), "a rate of 0 for each part moves nothing");
}

#[test]
fn a_killed_stage_goes_on_to_the_adapters_that_it_would_have_had() {
    let run = ["run", "tiny.toml", "--set", "run.checkpoint_every_secs=0", "--set", LORA, "--set"];
    let run = [&run[..], &["training.iterations=1", "--set", "control.equal_steps=false"]].concat();
    let undisturbed = Sandbox::new();
    undisturbed.mstar(&run).exits(0);
    let sandbox = Sandbox::new();
    let mut child = sandbox.start(&run, None);
    wait_until(&mut child, || has_left(&sandbox, "train 1", "checkpoint.json"));
    assert!(kill(&mut child, true), "the run was still going on");
    sandbox.mstar(&run).exits(0);
    for file in ["adapter_model.safetensors", "optimizer.safetensors", "model.safetensors"] {
        let of = |sandbox: &Sandbox| digest(sandbox, "train 1", file);
        assert_eq!(of(&sandbox), of(&undisturbed), "{file}");
    }
}
