//! Rounds in which nothing is right: they stop the evolution, unless the recipe lets it go on. And
//! responses that were right and cannot be read back: they are left out.

use crate::sandbox::{GROUND, Sandbox};
use std::fs;

/// Responses of one token hold no answer.
const SET: &[&str] = &[
    "--set",
    "exploration.max_new_tokens=1",
    "--set",
    "warmup.enabled=false",
    "--set",
    "control.equal_steps=false",
];

#[test]
fn a_round_that_selects_nothing_stops_with_what_to_change() {
    let sandbox = Sandbox::with_only(GROUND);
    let run = [&["run", "tiny.toml", "--workers", "1"], SET].concat();
    let said = sandbox.mstar(&run).exits(1);
    let talk = said.talk(&["failed", "hint"]);
    let reason = "there is nothing to train on: of 52 responses 0 were right, 0 were kept";
    assert!(talk.starts_with(&format!("failed   train 1: {reason}\n")), "{talk}");
    let hint = "hint: draw more (`exploration.samples`, `warmup.samples`), loosen `reward.select`";
    assert!(talk.contains(hint) && talk.contains("`training.allow_empty = true`"), "{talk}");
}

#[test]
fn a_recipe_may_let_the_policy_stay_as_it_is_and_answers_that_are_missing_are_counted() {
    let sandbox = Sandbox::with_only(GROUND);
    let allow = ["--set", "training.allow_empty=true"];
    let said = sandbox.mstar(&[&["run", "tiny.toml", "--workers", "1"], SET, &allow].concat());
    let said = said.exits(0);
    let note = "there is nothing to train on: the policy stays as it is";
    assert!(said.stderr.contains(note), "{}", said.stderr);
    assert!(said.stdout.contains("16 prompts (16 without an answer)"), "{}", said.stdout);
    let report = sandbox.mstar(&["report", "--format", "json"]).exits(0).json();
    let evaluations = report["members"][0]["evaluations"].as_array().unwrap();
    assert!(!evaluations.is_empty());
    for evaluation in evaluations {
        assert_eq!(evaluation["unanswered"], evaluation["count"], "{evaluation}");
        assert_eq!(evaluation["step"], 0, "{evaluation}");
    }
}

#[test]
fn responses_that_cannot_be_read_back_are_left_out_of_training() {
    let sandbox = Sandbox::with_only(GROUND);
    // So hot that placeholders of images are drawn, and whatever is drawn is right.
    sandbox.write("right.rhai", "fn extract(r) { \"x\" }\nfn correct(answer, gold) { true }\n");
    let recipe = fs::read_to_string(sandbox.path("tiny.toml")).unwrap();
    sandbox.write("tiny.toml", format!("{recipe}\n[hooks]\nscript = \"right.rhai\"\n"));
    let hot = ["--set", "temperature.value=3.0", "--set", "reward.select=\"all\""];
    sandbox.mstar(&[&["run", "tiny.toml", "--workers", "1"][..], &hot].concat()).exits(0);
    let metrics = fs::read(sandbox.artifact_of("train 1").join("metrics.json")).unwrap();
    let metrics: serde_json::Value = serde_json::from_slice(&metrics).unwrap();
    assert!(metrics["dropped_unreadable"].as_u64().unwrap() > 0, "{metrics}");
    assert!(metrics["samples"].as_u64().unwrap() > 0, "{metrics}");
}
