//! Recipes whose features are stored: the results of those that compute them, one look of the vision
//! tower at each picture, and clear words where what is stored does not fit.

use crate::interruption::{has_left, kill, wait_until};
use crate::real_models::sandbox_with;
use crate::sandbox::{SMALL, Sandbox, assert_same};
use image::{Rgb, RgbImage};
use mstar::base::{Digest, digest_of_json};
use mstar::data::preview::png;
use serde_json::{Value, json};
use std::fs;

const FROZEN: &str = "policy.train=[\"projector\",\"language\"]";
const STORED: &str = "policy.features=\"stored\"";
const COMPUTED: &str = "policy.features=\"computed\"";

fn run<'a>(file: &'a str, sets: &[&'a str]) -> Vec<&'a str> {
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    [&["run", file, "--workers", "1"][..], &sets.collect::<Vec<_>>()].concat()
}

/// What evaluations and the like measured, without what differs by how pictures are seen.
fn measured(sandbox: &Sandbox) -> Value {
    let mut report = sandbox.mstar(&["report", "--format", "json"]).exits(0).json();
    report["members"].take()
}

#[test]
fn a_checkpoint_evolves_alike_whether_features_are_computed_or_stored() {
    for name in ["smolvlm", "qwen2.5-vl"] {
        let sandbox = sandbox_with(name);
        let process = [
            FROZEN,
            "reward.model=\"process\"",
            "reward.select={top=1}",
            "reward.steps=\"line\"",
            "reward.training.prompts=4",
            "reward.training.samples=2",
            "reward.training.completions=2",
            "evaluation.pass_samples=2",
        ];
        sandbox.mstar(&run("real.toml", &[&process[..], &[COMPUTED]].concat())).exits(0);
        let computed = measured(&sandbox);
        let stages = ["explore 1", "monitor 1", "evaluate 1 test"];
        let rollouts = |name: &str| sandbox.artifact_of(name).join("rollouts.parquet");
        let drawn = stages.map(|name| fs::read(rollouts(name)).unwrap());

        let stored = run("real.toml", &[&process[..], &[STORED]].concat());
        let said = sandbox.mstar(&stored).exits(0).told();
        assert_eq!(measured(&sandbox), computed, "{name}");
        assert_eq!(stages.map(|name| fs::read(rollouts(name)).unwrap()), drawn, "{name}");
        let metrics = |stage: &str| -> Value {
            let file = sandbox.artifact_of(stage).join("metrics.json");
            serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
        };
        let features = metrics("features train");
        assert_eq!((&features["samples"], &features["shown"]), (&json!(8), &json!(8)), "{name}");
        let weights = fs::metadata(sandbox.artifact_of("features train").join(PART)).unwrap();
        assert_eq!(features["bytes"], json!(weights.len()));
        // The rows share four pictures, and those of a split are looked at once.
        let ran = ["train", "validation", "test"].map(|split| {
            let pictures = metrics(&format!("features {split}"))["pictures"].as_u64().unwrap();
            assert!((1..=4).contains(&pictures), "{split}: {pictures}");
            pictures
        });
        let ran: u64 = ran.iter().sum();
        let words = format!("the vision tower ran {ran} times instead of ");
        assert!(said.contains(&words), "{said}");
        let report = sandbox.mstar(&["report", "--format", "json"]).exits(0).json();
        let stages = [
            "warm-up explore",
            "warm-up train",
            "reward explore",
            "train reward",
            "explore 1",
            "score 1",
            "train 1",
            "monitor 1",
            "evaluate 1",
            "evaluate 1 test",
        ];
        let seen: Vec<u64> =
            stages.iter().map(|name| metrics(name)["looked_up"].as_u64().expect(name)).collect();
        assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
        // As many prompts as there are, a picture each, once.
        assert_eq!((seen[0], seen[8], seen[9]), (8, 4, 4));
        let instead_of = report["vision_tower"]["instead_of"].as_u64().unwrap();
        assert!(instead_of >= seen.iter().sum() && report["vision_tower"]["ran"] == ran);
        sandbox.mstar(&["report", "--format", "html", "--output", "page.html"]).exits(0);
        let page = fs::read_to_string(sandbox.path("page.html")).unwrap();
        assert!(page.contains(&words));

        let again = sandbox.mstar(&stored).exits(0).told();
        assert!(again.contains("stages were stored"), "{again}");
        let all = ["evaluate 1", "features validation"].map(|name| sandbox.key_of(name));
        sandbox.forget(|_, key| all.contains(&key.to_owned()));
        sandbox.mstar(&stored).exits(0);
        assert_eq!(measured(&sandbox), computed, "{name}");
    }
}

const BEGUN: &str = "begun.safetensors";
const PART: &str = "features-00000.safetensors";

/// The embedded task with few stages and stored features.
const TINY: [&str; 5] = [
    FROZEN,
    STORED,
    "training.iterations=0",
    "control.equal_steps=false",
    "evaluation.pass_samples=0",
];

#[test]
fn a_killed_stage_of_features_goes_on_to_the_same_bytes() {
    let whole = Sandbox::new();
    let tiny = run("tiny.toml", &[&TINY[..], &["run.checkpoint_every_secs=0.02"]].concat());
    let said = whole.mstar(&tiny).exits(0).told();
    assert!(said.contains("the vision tower ran 552 times instead of"), "{said}");
    // Pictures of 520 prompts do not fit in two parts.
    let parts = |sandbox: &Sandbox| {
        let files = fs::read_dir(sandbox.artifact_of("features train")).unwrap();
        files.filter(|it| it.as_ref().unwrap().path().extension().unwrap() == "safetensors").count()
    };
    assert_eq!(parts(&whole), 3);
    for wanted in [BEGUN, PART, "features-00001.safetensors"] {
        let sandbox = Sandbox::new();
        let mut child = sandbox.start(&tiny, None);
        wait_until(&mut child, || has_left(&sandbox, "features train", wanted));
        assert!(kill(&mut child, true));
        // What is torn counts as none, with what was begun after it.
        if wanted != PART {
            let stage = sandbox.store().join("staging-v1").join(sandbox.key_of("features train"));
            let work = stage.join("work");
            if wanted != BEGUN {
                let later = whole.artifact_of("features train").join("features-00002.safetensors");
                fs::copy(later, work.join(BEGUN)).unwrap();
            }
            let torn = fs::OpenOptions::new().write(true).open(work.join(wanted));
            torn.unwrap().set_len(99).unwrap();
        }
        sandbox.mstar(&tiny).exits(0);
        assert_same(&sandbox.artifacts(), &whole.artifacts());
    }
}

#[test]
fn a_picture_that_the_model_does_not_read_is_told_by_its_prompt() {
    let sandbox = Sandbox::new();
    let row = |at: u8| {
        let picture = RgbImage::from_pixel(40, 40, Rgb([at; 3]));
        sandbox.write(&format!("data/{at}.png"), png(&picture).unwrap());
        json!({ "question": "how many?", "answer": "3", "image": format!("{at}.png") }).to_string()
    };
    fs::create_dir_all(sandbox.path("data")).unwrap();
    let rows: Vec<String> = (0..40).map(row).collect();
    sandbox.write("data/rows.jsonl", rows.join("\n"));
    let recipe = format!(
        r#"name = "large"
[policy]
model = "builtin:mini-vlm"
features = "stored"
train = ["projector", "language"]
[data]
source = "jsonl:data/rows.jsonl"
validation = 8
test = 8
{SMALL}"#
    );
    sandbox.write("large.toml", recipe);
    let said = sandbox.mstar(&["run", "large.toml", "--workers", "1"]).exits(1).told();
    assert!(said.contains("picture 1 of prompt "), "{said}");
    assert!(said.contains("an image of 40 x 40 pixels: the model reads 32 x 32"), "{said}");
    assert!(said.contains("hint: check that data and model use"), "{said}");
}

/// What becomes of `features.json`.
type Alteration<'a> = &'a dyn Fn(&mut Value);

/// Alters `features.json` of a stage, and makes its manifest agree.
fn alter(sandbox: &Sandbox, stage: &str, change: impl Fn(&mut Value)) {
    let folder = sandbox.artifact_of(stage);
    let read = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
    };
    let mut index = read("features.json");
    change(&mut index);
    let bytes = serde_json::to_vec(&index).unwrap();
    let mut manifest = read("manifest.json");
    let digest = Digest::of(&bytes).to_string();
    manifest["files"]["features.json"] = json!({ "bytes": bytes.len(), "digest": digest });
    manifest.as_object_mut().unwrap().remove("digest");
    manifest["digest"] = json!(digest_of_json(&manifest).to_string());
    fs::write(folder.join("features.json"), bytes).unwrap();
    fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
}

#[test]
fn features_that_do_not_fit_are_told_and_torn_ones_made_again() {
    let sandbox = Sandbox::new();
    let tiny = run("tiny.toml", &TINY);
    sandbox.mstar(&tiny).exits(0);
    let whole = sandbox.artifacts();
    let evaluate = || sandbox.forget(|_, key| key == sandbox.key_of("evaluate warm-up test"));
    let part = sandbox.artifact_of("features test").join(PART);
    let mut bytes = fs::read(&part).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&part, &bytes).unwrap();
    evaluate();
    sandbox.mstar(&tiny).exits(0);
    assert_same(&sandbox.artifacts(), &whole);

    let before: Value =
        serde_json::from_slice(&fs::read(part.with_file_name("features.json")).unwrap()).unwrap();
    let prompt = before["prompts"].as_object().unwrap().keys().next().unwrap().clone();
    let faults: [(&str, Alteration<'_>); 4] = [
        ("of another vision tower", &|index| index["tower"] = json!(Digest::of(b"other"))),
        ("in another number format", &|index| index["dtype"] = json!("bf16")),
        (&format!("have no pictures of prompt {prompt}"), &|index| {
            index["prompts"].as_object_mut().unwrap().remove(&prompt);
        }),
        ("have no pictures of prompt", &|index| index["parts"] = json!([[]])),
    ];
    for (words, change) in faults {
        alter(&sandbox, "features test", change);
        evaluate();
        let said = sandbox.mstar(&tiny).exits(1).told();
        assert!(said.contains(words) && said.contains("hint:"), "{words}: {said}");
        alter(&sandbox, "features test", |index| index.clone_from(&before));
    }
    sandbox.mstar(&tiny).exits(0);
}
