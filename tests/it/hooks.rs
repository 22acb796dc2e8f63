//! Hooks: those of the cookbook, what is said of bad ones, and what a run makes of them.

use crate::sandbox::{RECIPE, Sandbox, assert_told, entries};
use mstar::hooks::{Moment, Script};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn home(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn hooks_of_the_cookbook_do_what_they_say_and_are_shown_as_they_are() {
    let page = fs::read_to_string(home("book/src/hooks.md")).unwrap();
    let files = entries(&home("tests/hooks"));
    let scripts: Vec<_> =
        files.iter().filter(|file| file.extension().is_some_and(|it| it == "rhai")).collect();
    assert!(scripts.len() >= 10, "{}", scripts.len());
    assert_eq!(page.matches("```rhai\n").count(), scripts.len());
    for file in scripts {
        let name = file.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(file).unwrap();
        assert!(page.contains(&format!("```rhai\n{text}```")), "{name} is not in the book");
        let script = Script::compile(name, &text).unwrap_or_else(|error| panic!("{error}"));
        let cases = fs::read_to_string(file.with_extension("json")).unwrap();
        let cases: Vec<Value> = serde_json::from_str(&cases).unwrap();
        for case in cases {
            let moment = Moment::named(case["moment"].as_str().unwrap()).unwrap();
            let given = script.call(moment, case["on"].as_array().unwrap());
            assert_eq!(given.as_ref(), Ok(&case["gives"]), "{name}: {case}");
        }
    }
}

#[test]
fn a_hook_is_tried_by_hand() {
    let sandbox = Sandbox::new();
    sandbox.write("a.rhai", "fn reward(response) { response.tokens * 2 }\nfn keep(c) { true }\n");
    sandbox.write("r.json", r#"{ "tokens": 4 }"#);
    sandbox.write("bad.json", "{");
    sandbox.write("same.rhai", "fn correct(answer, gold) { answer == gold }");
    sandbox.write("list.json", r#"[{ "tokens": 4 }]"#);
    sandbox.write("metric.rhai", "fn metric(responses) { #{ count: responses.len() } }");
    sandbox.write("helpers.rhai", "fn helper() { 1 }");
    sandbox.write("pair.json", r#"{ "answer": "7", "gold": "7" }"#);
    let mut told = String::new();
    for arguments in [
        &["hook", "a.rhai"][..],
        &["hook", "a.rhai", "--on", "r.json", "--moment", "reward"],
        &["hook", "a.rhai", "--on", "r.json"],
        &["hook", "a.rhai", "--on", "r.json", "--moment", "steps"],
        &["hook", "a.rhai", "--on", "bad.json", "--moment", "reward"],
        &["hook", "same.rhai", "--on", "pair.json"],
        &["hook", "same.rhai", "--on", "r.json"],
        &["hook", "a.rhai", "--on", "list.json", "--moment", "reward"],
        &["hook", "metric.rhai", "--on", "r.json"],
        &["hook", "helpers.rhai"],
        &["hook", "missing.rhai"],
    ] {
        told += &format!("# {}\n{}", arguments.join(" "), sandbox.mstar(arguments).told());
    }
    for (body, on) in [
        ("loop {}", "r.json"),
        ("\"x\".pad(100000000, \"y\")", "r.json"),
        ("response.token", "r.json"),
        ("\"good\"", "r.json"),
        ("throw \"no tokens\"", "r.json"),
    ] {
        sandbox.write("b.rhai", format!("fn reward(response) {{\n    {body}\n}}\n"));
        told += &format!("# {body}\n{}", sandbox.mstar(&["hook", "b.rhai", "--on", on]).told());
    }
    assert_told("hooks_tried", &told);
}

#[test]
fn bad_scripts_of_recipes_are_told() {
    let sandbox = Sandbox::new();
    let hooked = |keys: &str| format!("{RECIPE}\n[hooks]\nscript = \"s.rhai\"\n{keys}");
    let reward = "[reward]\nmodel = \"hook\"\n";
    sandbox.write("outside.rhai", "fn keep(c) { true }");
    fs::create_dir(sandbox.path("inside")).unwrap();
    std::os::unix::fs::symlink("../outside.rhai", sandbox.path("inside/s.rhai")).unwrap();
    sandbox.write("inside/r.toml", hooked(""));
    sandbox.write("missing.toml", hooked("").replace("s.rhai", "gone.rhai"));
    let mut told = String::new();
    for file in ["inside/r.toml", "missing.toml"] {
        told += &format!("# {file}\n{}", sandbox.mstar(&["check", file]).told());
    }
    for (keys, script) in [
        ("", "fn keep(c) { true"),
        ("", "fn keep(a, b) { true }"),
        ("", "fn extrct(r) { \"7\" }"),
        ("", "fn temperature(history) { 1.0 }"),
        ("", "fn reward(r) { 1.0 }"),
        ("", "fn pseudo_answer(c) { () }"),
        (reward, "fn keep(c) { true }"),
    ] {
        sandbox.write("r.toml", hooked(keys));
        sandbox.write("s.rhai", script);
        told += &format!("# {script}\n{}", sandbox.mstar(&["check", "r.toml"]).told());
    }
    let mixed = "[prompts]\nvariation = \"mixed\"\npseudo_answer = \"hook\"\n";
    sandbox.write("r.toml", hooked(mixed).replace("= 520\nval", "= 520\nlabelled = 0.5\nval"));
    sandbox.write("s.rhai", "fn keep(c) { true }");
    told += &format!("# no pseudo_answer\n{}", sandbox.mstar(&["check", "r.toml"]).told());
    assert_told("hooks_of_recipes", &told);
}

/// Keys of the stages of a plan, by name.
fn keys(sandbox: &Sandbox, file: &str) -> std::collections::BTreeMap<String, String> {
    let plan = sandbox.mstar(&["plan", file, "--format", "json"]).exits(0).json();
    let stages = plan["stages"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    stages.iter().map(|stage| (text(&stage["name"]), text(&stage["key"]))).collect()
}

#[test]
fn a_script_is_in_the_keys_of_what_calls_it() {
    let sandbox = Sandbox::new();
    sandbox.write("r.toml", format!("{RECIPE}\n[hooks]\nscript = \"s.rhai\"\n"));
    let plain = keys(&sandbox, "tiny.toml");
    let changed = |script: &str| {
        sandbox.write("s.rhai", script);
        let hooked = keys(&sandbox, "r.toml");
        plain.keys().filter(|name| hooked[*name] != plain[*name]).cloned().collect::<Vec<_>>()
    };
    assert_eq!(changed("fn helper() { 1 }"), Vec::<String>::new());
    let by_metric = changed("fn metric(responses) { #{} }");
    assert!(by_metric.iter().all(|name| name.starts_with("evaluate")), "{by_metric:?}");
    assert!(!by_metric.is_empty());
    let by_keep = changed("fn keep(candidate) { true }");
    assert!(by_keep.contains(&"select 1".into()) && by_keep.contains(&"train 1".into()));
    for name in ["warm-up select", "warm-up train", "explore 1", "evaluate warm-up"] {
        assert!(!by_keep.contains(&name.to_owned()), "{name}");
    }
    let by_prompt = changed("fn prompt(sample) { sample.question }");
    for name in ["warm-up explore", "warm-up train", "evaluate warm-up", "monitor warm-up"] {
        assert!(by_prompt.contains(&name.to_owned()), "{name}");
    }
    assert!(!by_prompt.contains(&"import".into()) && !by_prompt.contains(&"prepare".into()));
    let by_extract = changed("fn extract(response) { () }");
    assert!(by_extract.contains(&"warm-up explore".into()));
    assert!(!by_extract.contains(&"import".into()) && !by_extract.contains(&"prepare".into()));
    sandbox.write("t.rhai", "fn extract(response) { () }");
    sandbox.write("r2.toml", format!("{RECIPE}\n[hooks]\nscript = \"t.rhai\"\n"));
    assert_eq!(keys(&sandbox, "r.toml"), keys(&sandbox, "r2.toml"));
}

#[cfg(feature = "torch")]
mod runs {
    use super::*;
    use crate::sandbox::GROUND;
    use mstar::event::Event;

    const SCRIPT: &str = "\
fn extract(response) {
    let words = response.text.split(\" \");
    if response.finished && words.len() > 1 && words[-2] == \"answer\" { words[-1] } else { () }
}
fn correct(answer, gold) { answer == gold }
fn reward(response) { 0 - response.tokens }
fn keep(candidate) { candidate.kept_of_category < 3 && candidate.score < 0 }
fn metric(responses) { #{ right: responses.filter(|it| it.correct).len() } }
";

    #[test]
    fn a_run_asks_its_script() {
        let sandbox = Sandbox::with_only(GROUND);
        let recipe = RECIPE.replace("equal_steps = true\ndata = \"warmup\"", "equal_steps = false");
        let reward =
            "[reward]\nmodel = \"hook\"\nselect = { top = 1 }\n[hooks]\nscript = \"s.rhai\"\n";
        sandbox.write("r.toml", format!("{recipe}\n{reward}"));
        sandbox.write("s.rhai", SCRIPT);
        sandbox.mstar(&["run", "r.toml"]).exits(0);
        let metrics = |name: &str| -> Value {
            let file = sandbox.artifact_of(name).join("metrics.json");
            serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
        };
        let evaluated = metrics("evaluate 2 test");
        assert_eq!(evaluated["hook"]["right"], evaluated["correct"]);
        let selected = metrics("select 1");
        assert!(selected["kept"].as_u64().unwrap() > 0, "{selected}");
        assert_eq!(selected["kept"], selected["prompts_with_kept"]);
        let script = fs::read_to_string(sandbox.artifact_of("hooks").join("script.rhai")).unwrap();
        assert_eq!(script, SCRIPT);
    }

    #[test]
    fn a_hook_that_fails_fails_its_stage_with_line_and_sample() {
        let sandbox = Sandbox::with_only(&["import", "prepare", "explore", "train"]);
        sandbox.write("r.toml", format!("{RECIPE}\n[hooks]\nscript = \"s.rhai\"\n"));
        sandbox.write("s.rhai", "fn keep(candidate) {\n    throw \"never\"\n}\n");
        sandbox.mstar(&["run", "r.toml"]).exits(1);
        let failed = sandbox.records().into_iter().find_map(|event| match event {
            Event::StageFailed { reason, .. } => Some(reason),
            _ => None,
        });
        let reason = failed.expect("a stage failed");
        assert!(reason.starts_with("`keep` of sample "), "{reason}");
        assert!(reason.ends_with("s.rhai:2:5: it throws: never"), "{reason}");
    }
}
