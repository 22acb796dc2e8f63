//! What is refused in a sentence instead of passed over: options of another thing, text that is none,
//! records that are damaged, and files with more faults than anybody reads.

use crate::index::four_runs;
use crate::sandbox::{Sandbox, assert_told, mstar_at_home};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;

/// What each command says, one below the other.
fn told(sandbox: &Sandbox, commands: &[&[&str]]) -> String {
    let said = |call: &&[&str]| format!("# {}\n{}", call.join(" "), sandbox.mstar(call).told());
    commands.iter().map(said).collect()
}

#[test]
fn options_of_another_thing_are_told() {
    let sandbox = Sandbox::new();
    std::os::unix::fs::symlink("loop.toml", sandbox.path("loop.toml")).unwrap();
    let text = told(
        &sandbox,
        &[
            &["show", "tiny.toml", "--member", "x"],
            &["show", "tiny.toml", "--member", "x", "--format", "json"],
            &["show", "tiny.toml", "--set", "seed=3"],
            &["data", "preview", "--columns", "question=a"],
            &["data", "preview", "mathvista"],
            &["data", "preview", "mathv360k"],
            &["data", "preview", "builtin:mini-vist"],
            &["data", "preview", "prose"],
            &["hook", "tiny.toml"],
            &["check", "tiny.toml/"],
            &["check", "loop.toml"],
        ],
    );
    assert_told("options_of_another_thing", &text);
}

#[test]
fn what_a_call_may_take_is_told_to_one_that_takes_more() {
    let sandbox = Sandbox::new();
    sandbox.write("long.rhai", "fn reward(response) { loop {} }\n");
    sandbox.write("given.json", "{}");
    let said = sandbox.mstar(&["hook", "long.rhai", "--on", "given.json"]).exits(2);
    let hint = "it takes too long\n1 | fn reward(response) { loop {} }";
    assert!(said.stderr.contains(hint), "{}", said.stderr);
    assert!(said.stderr.contains("hint: a call takes at most 1000000 operations\n"));
}

#[test]
fn arguments_are_not_echoed_whole() {
    let sandbox = Sandbox::new();
    let long = "x".repeat(100_000);
    let condition = format!("{long}=1");
    for call in [
        &["explain", &long][..],
        &["list", "--where", &long],
        &["list", "--where", &condition],
        &["data", "preview", &long],
        &["data", "check", &long],
    ] {
        let said = sandbox.mstar(call).exits(2).stderr;
        assert!(said.contains("xxx…`") && said.len() < 1000, "{said}");
    }
}

#[test]
fn variables_that_are_no_text_are_told_and_an_empty_store_is_none() {
    let sandbox = Sandbox::new();
    let check = |name: &str| {
        let mut command = sandbox.command(&["check", "tiny.toml"]);
        crate::sandbox::Said::of(
            command.env(name, OsString::from_vec(vec![0xff])).output().unwrap(),
        )
    };
    for name in ["MSTAR_TRAINING__INTERVAL", "MSTAR_SEED"] {
        let said = check(name).exits(2).stderr;
        let wanted = format!(
            "error: the variable `{name}` of the environment is not UTF-8 text\n\
             hint: write its value as UTF-8, or unset it\n"
        );
        assert_eq!(said, wanted);
    }
    check("MSTAR_UNKNOWN").exits(0);

    let list = |store: &str| {
        let mut command = crate::sandbox::program();
        command.current_dir(sandbox.path("")).args(["list"]).env("MSTAR_STORE", store);
        crate::sandbox::Said::of(command.output().unwrap())
    };
    assert!(list("").exits(0).stderr.starts_with("no runs yet"));
    assert!(list("tiny.toml").exits(2).stderr.contains("a part of that path is a file"));
}

#[test]
fn every_file_that_a_recipe_names_is_told_at_once() {
    let sandbox = Sandbox::new();
    let recipe = "format = 1\nname = \"a\"\npolicy.model = \"none/checkpoint/here\"\n\
        data.source = \"jsonl:none.jsonl\"\nhooks.script = \"none.rhai\"\n";
    sandbox.write("files.toml", recipe);
    assert_told("files_at_once", &told(&sandbox, &[&["check", "files.toml"]]));
}

#[test]
fn of_a_file_gone_wrong_the_first_faults_are_told() {
    let sandbox = Sandbox::new();
    let keys: String = (0..1000).map(|number| format!("key{number} = 1\n")).collect();
    sandbox.write("keys.toml", &keys);
    sandbox.write("syntax.toml", keys.replace('=', "= ="));
    for file in ["keys.toml", "syntax.toml"] {
        let said = sandbox.mstar(&["check", file]).exits(2).stderr;
        assert_eq!(said.matches(&format!("{file}:")).count(), 100, "{said}");
        assert!(said.contains("100 faults told, and there are 900 more; "), "{said}");
    }
    let deep = format!("format = 1\n[{}]\n", ["a"; 20_000].join("."));
    sandbox.write("deep.toml", deep);
    let said = sandbox.mstar(&["check", "deep.toml"]).exits(2).stderr;
    assert!(said.starts_with("deep.toml:2:1: too many dots\n"), "{said}");
}

#[test]
fn numbers_beyond_any_key_are_told_as_they_were_written() {
    let many = format!("seed={}", "9".repeat(39));
    let sets = [&many, "data.prompts=1e30", "data.prompts=100.0", "training.interval=1e-300"];
    let check =
        |set: &&str| mstar_at_home(&["plan", "recipes/star.toml", "--set", set]).exits(2).stderr;
    let text: String = sets.iter().map(check).collect();
    assert_told("large_numbers", &text);
}

#[test]
fn a_key_that_members_set_is_chosen_by_their_name() {
    let plan = |experiment: &str, set: &str| {
        let path = format!("experiments/{experiment}/experiment.toml");
        mstar_at_home(&["plan", &path, "--set", set]).exits(2).stderr
    };
    let said = plan("selection", "reward.select={ top = 4 }");
    assert!(said.contains("it is set by members: `--only 'top-4,*'` chooses one\n"), "{said}");
    let said = plan("selection", "reward.select={ top = 3 }");
    assert!(said.contains("it is set by members: `--only 'all,*'` chooses one\n"), "{said}");
    let said = plan("dynamics", "temperature.value=0.3");
    assert!(said.contains("`--only '*value=…*'` chooses members\n"), "{said}");
}

#[test]
fn records_that_are_damaged_are_told_by_their_name() {
    let sandbox = four_runs();
    let runs = sandbox.store().join("run-v1");
    fs::write(runs.join("mini-1/run.json"), "{").unwrap();
    fs::remove_file(runs.join("mini-2/events.jsonl")).unwrap();
    fs::write(runs.join("other-3/events.jsonl"), "no record\nnor this\n").unwrap();
    fs::remove_file(runs.join("grid-4/events.jsonl")).unwrap();
    fs::create_dir(runs.join("grid-4/events.jsonl")).unwrap();
    let mut text = String::new();
    for run in ["mini-1", "mini-2", "other-3", "grid-4"] {
        for call in [&["show", run][..], &["report", run], &["watch", "--once", run]] {
            let said = sandbox.mstar(call).exits(2);
            text += &format!("# {}\n{}", call.join(" "), said.told());
        }
        for call in [&["rollouts", run][..], &["bundle", run], &["diff", run, "tiny.toml"]] {
            let said = sandbox.mstar(call).exits(2).stderr;
            assert!(!said.contains("no run is called"), "{call:?}: {said}");
        }
    }
    text += &told(&sandbox, &[&["list"]]);
    sandbox.mstar(&["plan", "tiny.toml"]).exits(0);
    let store = sandbox.store().display().to_string();
    assert_told("damaged_records", &text.replace(&store, "[store]"));

    for run in ["mini-2", "other-3", "grid-4"] {
        fs::remove_dir_all(runs.join(run)).unwrap();
    }
    let said = sandbox.mstar(&["list"]).exits(0);
    assert!(said.stderr.starts_with("warning: the record of run `mini-1` cannot be read"));
    assert!(!said.stderr.contains("no runs yet"), "{}", said.stderr);
    assert!(sandbox.mstar(&["report"]).exits(2).stderr.contains("the record of run `mini-1`"));
}

#[cfg(feature = "torch")]
#[test]
fn a_log_that_is_lost_is_begun_again() {
    let sandbox = Sandbox::finished();
    let log = sandbox.store().join("run-v1/tiny-1/events.jsonl");
    fs::remove_file(&log).unwrap();
    let said = sandbox.mstar(&["report", "tiny-1"]).exits(2).stderr;
    assert!(said.contains("the log of run `tiny-1` is missing"), "{said}");
    sandbox.mstar(&["run", "--resume", "tiny-1"]).exits(0);
    sandbox.mstar(&["report", "tiny-1"]).exits(0);
}
