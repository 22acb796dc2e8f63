//! Rounds in which nothing is right: they stop the evolution, unless the recipe lets it go on.

use crate::sandbox::{GROUND, Sandbox};

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
