//! Samples, walked through: which stage, which responses, what was kept and why.

use crate::sandbox::{Sandbox, assert_told};
use serde_json::{Value, json};
use std::fs;

fn walk(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    let arguments = [&["rollouts"][..], arguments, &["--format", "json"]].concat();
    sandbox.mstar(&arguments).exits(0).json()
}

fn responses(walk: &Value) -> Vec<&Value> {
    let prompts = walk["prompts"].as_array().unwrap();
    prompts.iter().flat_map(|prompt| prompt["responses"].as_array().unwrap()).collect()
}

#[test]
fn samples_are_told_with_what_was_kept_and_why() {
    let sandbox = Sandbox::finished();
    let last = walk(&sandbox, &[]);
    assert_eq!((&last["split"], &last["iteration"]), (&json!("test"), &json!(2)));
    assert_eq!((&last["prompt_count"], &last["response_count"]), (&json!(16), &json!(16)));
    let train =
        walk(&sandbox, &["tiny-1", "--iteration", "1", "--split", "train", "--limit", "99"]);
    assert_eq!((&train["stage"], &train["kind"]), (&json!("explore 1"), &json!("explore")));
    let all = responses(&train);
    assert_eq!(all.len() as u64, train["response_count"].as_u64().unwrap());
    for it in &all {
        let why = it["why"].as_str().unwrap();
        assert_eq!(it["kept"], why == "kept");
        assert_eq!(it["correct"] == false, why == "wrong-answer", "{it}");
        assert!(it["steps"].as_array().unwrap().iter().all(|step| step["right"].is_boolean()));
    }
    let metrics = fs::read_to_string(sandbox.artifact_of("select 1").join("metrics.json")).unwrap();
    let metrics: Value = serde_json::from_str(&metrics).unwrap();
    let count = |word: &str| all.iter().filter(|it| it["why"] == word).count();
    assert_eq!(metrics["kept"], count("kept"));
    assert_eq!(metrics["duplicates"], count("duplicate"));
    for (flag, is_it) in [
        ("--right", &(|it: &Value| it["correct"] == true) as &dyn Fn(&Value) -> bool),
        ("--wrong", &|it| it["correct"] == false),
        ("--kept", &|it| it["kept"] == true),
        ("--dropped", &|it| it["kept"] == false),
    ] {
        let some = walk(&sandbox, &["--stage", "explore 1", flag, "--limit", "99"]);
        let found = responses(&some);
        assert!(found.iter().all(|it| is_it(it)), "{flag}");
        assert_eq!(found.len(), all.iter().filter(|it| is_it(it)).count(), "{flag}");
    }
    let drawn = |seed: &str| walk(&sandbox, &["--seed", seed, "--limit", "5"])["prompts"].clone();
    assert_eq!(drawn("1"), drawn("1"));
    assert_ne!(drawn("1"), drawn("2"));
}

#[test]
fn samples_are_readable_and_pictures_are_written() {
    let sandbox = Sandbox::finished();
    let arguments =
        ["rollouts", "--split", "train", "--limit", "2", "--iteration", "2", "--images", "a/b"];
    let said = sandbox.mstar(&arguments).exits(0);
    // What a policy answers may differ from machine to machine.
    let (answers, known): (Vec<&str>, Vec<&str>) =
        said.stdout.lines().partition(|line| line.starts_with([' ', 'r']));
    assert_told("rollouts", &known.join("\n"));
    let heads = answers.iter().filter(|line| line.starts_with("response "));
    let heads: Vec<&&str> = heads.collect();
    assert_eq!(heads.len(), 4);
    for head in heads {
        let is_right = head.contains(": right");
        assert!(is_right != head.contains("; not kept: wrong answer"), "{head}");
        assert!(is_right != head.contains(": wrong"), "{head}");
    }
    assert_eq!(said.stderr, "explore 2 of tiny-1: 52 responses to 26 prompts, 2 shown\n");
    let written = walk(&sandbox, &["--limit", "3", "--images", "c"]);
    let mut files = 0;
    for prompt in written["prompts"].as_array().unwrap() {
        let bytes = fs::read(sandbox.path(prompt["image"]["file"].as_str().unwrap())).unwrap();
        assert!(bytes.starts_with(b"\x89PNG"));
        files += 1;
    }
    assert_eq!(files, 3);
    assert_eq!(fs::read_dir(sandbox.path("a/b")).unwrap().count(), 2);
}

#[test]
fn in_a_terminal_there_is_one_prompt_a_screen() {
    let sandbox = Sandbox::finished();
    let walk = ["rollouts", "--split", "train", "--limit", "3"];
    let Some(shown) = sandbox.in_terminal(&walk, "n\np\nq\n", true) else { return };
    let places: Vec<&str> = shown.lines().filter_map(|line| line.split(" · ").nth(4)).collect();
    let places: Vec<&str> = places.into_iter().map(str::trim_end).collect();
    assert_eq!(places, ["1 of 3", "2 of 3", "1 of 3"], "{shown}");
    assert!(shown.contains("\x1b[38;2;") && shown.contains('▀'));
    let plain = sandbox.in_terminal(&walk, "\n\n\n", false).unwrap();
    assert!(plain.contains("3 of 3") && plain.contains("32 x 32 pixels, not shown"), "{plain}");
    assert!(!plain.contains('▀') && !plain.contains("\x1b["), "{plain}");
}

#[test]
fn samples_that_are_not_there_are_told() {
    let sandbox = Sandbox::finished();
    sandbox.write("file", "");
    let mut told = String::new();
    let mut tell = |arguments: &[&str]| {
        let arguments = [&["rollouts"][..], arguments].concat();
        let said = sandbox.mstar(&arguments);
        assert_ne!(said.code, Some(0), "{arguments:?}");
        told += &format!("# {}\n{}", arguments.join(" "), said.told());
    };
    tell(&["tiny-7"]);
    tell(&["--member", "other"]);
    tell(&["--iteration", "9"]);
    tell(&["--iteration", "last"]);
    tell(&["--stage", "train 1"]);
    tell(&["--stage", "explore"]);
    tell(&["--split", "benchmark"]);
    tell(&["--right", "--wrong"]);
    tell(&["--stage", "evaluate 1 test", "--kept"]);
    tell(&["--images", "file/inside"]);
    let file = sandbox.artifact_of("explore 2").join("rollouts.parquet");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, &bytes).unwrap();
    tell(&["--stage", "explore 2"]);
    sandbox.forget(|kind, _| kind == "evaluate");
    tell(&["--stage", "evaluate 1 test"]);
    fs::remove_file(sandbox.store().join("run-v1/tiny-1/graph.json")).unwrap();
    tell(&[]);
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"artifact(-v1/[0-9a-f]{2}/| )[0-9a-f]{12,}", "artifact [key]");
    settings.bind(|| assert_told("rollouts_not_there", &told));
    let nothing = Sandbox::new();
    nothing.mstar(&["rollouts"]).exits(2);
}
