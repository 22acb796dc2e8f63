//! What two recipes and two runs have and have not in common.

use crate::index::four_runs;
use crate::sandbox::{Sandbox, assert_told};
use serde_json::json;
use std::fs;

#[test]
fn recipes_are_compared_by_value_and_by_stage() {
    let sandbox = Sandbox::new();
    let recipe = fs::read_to_string(sandbox.path("tiny.toml")).unwrap();
    let other = recipe.replace("iterations = 2", "iterations = 3").replace("7e-4", "1e-3");
    sandbox.write("other.toml", &other);
    sandbox.write("bad.toml", recipe.replace("iterations = 2", "iteration = 2"));
    sandbox.write("bundle.zip", "PK");
    fs::create_dir(sandbox.path("bundle")).unwrap();
    let mut told = String::new();
    for arguments in [
        &["tiny.toml", "tiny.toml"][..],
        &["tiny.toml", "other.toml"],
        &["tiny.toml", "bad.toml"],
        &["tiny.toml", "missing.toml"],
        &["tiny.toml", "tiny-1"],
        &["tiny.toml", "bundle"],
        &["bundle.zip", "tiny.toml"],
        &["tiny.toml"],
        &["a", "b/c", "--member", "d"],
    ] {
        let arguments = [&["diff"][..], arguments].concat();
        told += &format!("# {}\n{}", arguments.join(" "), sandbox.mstar(&arguments).told());
    }
    assert_told("diff_recipes", &told);
    let said = sandbox.mstar(&["diff", "tiny.toml", "other.toml", "--format", "json"]).exits(0);
    let diff = said.json();
    assert_eq!((&diff["format"], &diff["same"]), (&json!(1), &json!(false)));
    let stages = &diff["members"][0]["stages"];
    assert!(stages["equal"].as_u64().unwrap() >= 3, "the ground is the same: {stages}");
    assert_eq!(diff["members"][0]["values"].as_array().unwrap().len(), 2);
}

#[test]
fn members_are_compared_by_name() {
    let sandbox = four_runs();
    let mut told = String::new();
    for arguments in [
        &["grid", "grid"][..],
        &["grid/brief", "grid/long"],
        &["grid", "mini-1"],
        &["mini-1", "grid", "--member", "long"],
        &["mini-1", "grid/long"],
        &["grid/none", "mini-1"],
        &["grid/long", "mini-1", "--member", "long"],
        &["mini-1", "mini"],
    ] {
        let arguments = [&["diff"][..], arguments].concat();
        told += &format!("# {}\n{}", arguments.join(" "), sandbox.mstar(&arguments).told());
    }
    assert_told("diff_members", &told);
}

#[cfg(feature = "torch")]
#[test]
fn runs_are_compared_prompt_by_prompt() {
    let sandbox = Sandbox::finished();
    let shorter = ["run", "tiny.toml", "--set", "training.iterations=1"];
    sandbox.mstar(&shorter).exits(0);
    let same = sandbox.mstar(&["diff", "tiny-1", "tiny-1"]).exits(0);
    assert_eq!(same.stdout, "tiny-1 and tiny-1 are the same\n");
    let same = sandbox.mstar(&["diff", "tiny-1", "tiny.toml"]).exits(0);
    assert_eq!(same.stdout, "tiny-1 and tiny.toml are the same\n");
    let diff =
        sandbox.mstar(&["diff", "tiny-1", "tiny-2/tiny", "--format", "json"]).exits(0).json();
    let pair = &diff["members"][0];
    assert_eq!(pair["values"].as_array().unwrap().len(), 1);
    let value = &pair["values"][0];
    assert_eq!((&value["a"], &value["b"]), (&json!(2), &json!(1)));
    assert_eq!(value["key"], "training.iterations");
    assert!(value["a_origin"].as_str().unwrap().starts_with("tiny.toml:"), "{value}");
    // A plan of one iteration is the beginning of a plan of two.
    assert_eq!(pair["stages"]["changed"], json!([]));
    assert!(pair["stages"]["only_a"].as_array().unwrap().len() >= 5, "{}", pair["stages"]);
    let metric = &pair["metrics"]["test.accuracy"];
    let difference = &metric["difference"];
    assert_eq!((&difference["method"], &difference["prompts"]), (&json!("paired"), &json!(16)));
    let expected = metric["b"]["value"].as_f64().unwrap() - metric["a"]["value"].as_f64().unwrap();
    assert!((difference["value"].as_f64().unwrap() - expected).abs() < 1e-9, "{metric}");
    // What both begin with is one evaluation, which differs from itself by nothing.
    let start = &pair["metrics"]["test.start"]["difference"];
    assert_eq!((&start["value"], &start["interval"]), (&json!(0.0), &json!(null)));
    let text = sandbox.mstar(&["diff", "tiny-1", "tiny-2"]).exits(0).stdout;
    let line = text.lines().find(|line| line.starts_with("test.start")).unwrap();
    assert!(line.ends_with("0.000, of the same stages"), "{text}");
    // A gain has the interval of its pairs wherever it is shown.
    let gain = &pair["metrics"]["test.gain"]["a"];
    assert_ne!(gain["estimated"], "unpaired");
    let json = |arguments: &[&str]| sandbox.mstar(arguments).exits(0).json();
    let show = json(&["show", "tiny-1", "--member", "tiny", "--format", "json"]);
    assert_eq!(show["metrics"]["test.gain"]["interval"], gain["interval"]);
    let report = json(&["report", "tiny-1", "--values", "test.gain", "--format", "json"]);
    let cell = &report["table"]["cells"][0]["values"]["test.gain"];
    assert_eq!((&cell["interval"], &cell["method"]), (&gain["interval"], &gain["estimated"]));
    // Without the responses the prompts cannot be paired, which is said.
    sandbox.forget(|kind, _| kind == "evaluate");
    let text = sandbox.mstar(&["diff", "tiny-1", "tiny-2"]).exits(0).stdout;
    let line = text.lines().find(|line| line.starts_with("test.accuracy")).unwrap();
    assert!(line.ends_with(", unpaired"), "{text}");
    fs::remove_file(sandbox.store().join("run-v1/tiny-2/graph.json")).unwrap();
    let said = sandbox.mstar(&["diff", "tiny-1", "tiny-2"]).exits(0);
    assert!(said.stderr.contains("the record of `tiny-2` has no `graph.json`"), "{}", said.stderr);
}
