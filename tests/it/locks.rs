//! Locks: what decides a result, pinned beside its recipe.

use crate::sandbox::{Sandbox, assert_told};
use std::fs;

#[test]
fn a_lock_agrees_until_something_that_decides_the_result_changes() {
    let sandbox = Sandbox::new();
    let mut told = String::new();
    let mut tell = |sandbox: &Sandbox, arguments: &[&str]| {
        told += &format!("# {}\n{}", arguments.join(" "), sandbox.mstar(arguments).told());
    };
    let lock = |more: &[&'static str]| [&["lock", "tiny.toml", "--device", "cpu"], more].concat();
    tell(&sandbox, &lock(&["--check"]));
    tell(&sandbox, &lock(&[]));
    tell(&sandbox, &lock(&["--check"]));
    let first = fs::read_to_string(sandbox.path("tiny.lock")).unwrap();
    let recipe = fs::read_to_string(sandbox.path("tiny.toml")).unwrap();
    // What does not decide the result is not pinned.
    sandbox.write("tiny.toml", recipe.replace("\"tiny\"", "\"renamed\""));
    tell(&sandbox, &lock(&["--check"]));
    sandbox.write(
        "tiny.toml",
        recipe.replace("7e-4", "1e-3").replace("iterations = 2", "iterations = 1"),
    );
    tell(&sandbox, &lock(&["--check"]));
    sandbox.write("tiny.toml", &recipe);
    let later = first.replace("mstar = \"0.1.0\"", "mstar = \"0.0.9\"");
    sandbox.write("tiny.lock", later.replace("device = \"cpu\"", "device = \"cuda\""));
    tell(&sandbox, &lock(&["--check"]));
    for (what, text) in [
        ("later", first.replace("format = 1", "format = 2")),
        ("torn", first[..first.find("[made_by]").expect("it says so") + 5].to_owned()),
        ("none", "seed = 3\n".to_owned()),
        ("more", first.replace("[made_by]", "[made_by]\nwho = \"x\"")),
    ] {
        sandbox.write("tiny.lock", text);
        let said = sandbox.mstar(&lock(&["--check"])).told();
        told += &format!("# {what}\n{said}");
    }
    let told = told.replace("libtorch = \"2.11.0\"\n", "");
    assert_told("locks", &told);
    sandbox.mstar(&lock(&["--output", "other.lock"])).exits(0);
    assert_eq!(fs::read_to_string(sandbox.path("other.lock")).unwrap(), first);
}

#[test]
fn members_are_pinned_by_what_they_do_not_share() {
    let sandbox = Sandbox::new();
    let grid = "name = \"grid\"\nbase = \"tiny.toml\"\n[axis]\nseed = [1, 2]\n";
    sandbox.write("grid.toml", grid);
    sandbox.mstar(&["lock", "grid.toml", "--device", "cpu"]).exits(0);
    let lock = fs::read_to_string(sandbox.path("grid.lock")).unwrap();
    assert!(
        lock.contains("[[member]]\nname = \"seed=1\"\n\n[member.values]\nseed = 1\n"),
        "{lock}"
    );
    sandbox.write("grid.toml", grid.replace("[1, 2]", "[2, 3]"));
    let said = sandbox.mstar(&["lock", "grid.toml", "--check", "--device", "cpu"]).exits(2);
    assert!(said.stdout.contains("member `seed=1`: locked, now gone"), "{}", said.stdout);
    assert!(said.stdout.contains("member `seed=3`: not locked"), "{}", said.stdout);
}

#[cfg(feature = "torch")]
#[test]
fn a_run_beside_a_lock_tells_what_no_longer_agrees() {
    let sandbox = Sandbox::finished();
    sandbox.mstar(&["lock", "tiny.toml", "--device", "cpu"]).exits(0);
    let run = ["run", "tiny.toml", "--device", "cpu"];
    let said = sandbox.mstar(&run).exits(0);
    assert!(!said.stderr.contains("pins something else"), "{}", said.stderr);
    let lock = fs::read_to_string(sandbox.path("tiny.lock")).unwrap();
    sandbox.write(
        "tiny.lock",
        lock.replace("\"training.iterations\" = 2", "\"training.iterations\" = 3"),
    );
    let said = sandbox.mstar(&run).exits(0);
    let warning =
        "warning: `tiny.lock` pins something else:\n  `training.iterations`: locked `3`, now `2`";
    assert!(said.stderr.contains(warning), "{}", said.stderr);
    sandbox.write("tiny.lock", lock.replace("format = 1", "format = 2"));
    let said = sandbox.mstar(&run).exits(2);
    assert!(
        said.stderr.contains("its lock has format 2, and this mstar knows 1"),
        "{}",
        said.stderr
    );
}

#[cfg(feature = "torch")]
#[test]
fn a_lock_is_the_same_from_wherever_it_is_made() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path("studies/models/mine")).unwrap();
    fs::create_dir_all(sandbox.path("studies/scripts")).unwrap();
    for entry in fs::read_dir(crate::real_models::checkpoint("smolvlm")).unwrap() {
        let entry = entry.unwrap();
        if !entry.file_type().unwrap().is_file() {
            continue;
        }
        let to = sandbox.path("studies/models/mine").join(entry.file_name());
        fs::copy(entry.path(), to).unwrap();
    }
    sandbox.write("studies/scripts/keep.rhai", "fn keep(candidate) { true }\n");
    let row = |at| format!("{{\"question\": \"{at}?\", \"answer\": \"{at}\", \"image\": null}}\n");
    sandbox.write("studies/rows.jsonl", (0..8).map(row).collect::<String>());
    let recipe = "name = \"own\"\n[policy]\nmodel = \"./models/mine\"\n[hooks]\n\
                  script = \"./scripts/keep.rhai\"\n[data]\nsource = \"jsonl:./rows.jsonl\"\n\
                  prompts = 6\nvalidation = 1\ntest = 1\n";
    sandbox.write("studies/own.toml", recipe);
    let lock = ["--device", "cpu"];
    sandbox.mstar(&[&["lock", "studies/own.toml"], &lock[..]].concat()).exits(0);
    let text = fs::read_to_string(sandbox.path("studies/own.lock")).unwrap();
    for words in ["\"models/mine\"", "\"scripts/keep.rhai\""] {
        assert!(text.contains(words), "{words} is not in {text}");
    }
    let inside = |arguments: &[&str]| {
        let mut command = sandbox.command(arguments);
        command.current_dir(sandbox.path("studies"));
        crate::sandbox::Said::of(command.output().unwrap())
    };
    inside(&[&["lock", "own.toml", "--check"], &lock[..]].concat()).exits(0);
    inside(&[&["lock", "./own.toml", "--check"], &lock[..]].concat()).exits(0);
    let whole = sandbox.path("studies/own.toml").display().to_string();
    inside(&[&["lock", &whole, "--check"], &lock[..]].concat()).exits(0);
    // Also where the recipe says from the root on where the model lies.
    let model = sandbox.path("studies/models/mine").display().to_string();
    sandbox.write("studies/own.toml", recipe.replace("./models/mine", &model));
    inside(&[&["lock", "own.toml", "--check"], &lock[..]].concat()).exits(0);
    inside(&[&["lock", &whole, "--check"], &lock[..]].concat()).exits(0);
    // Another checkpoint is still another one.
    let config = sandbox.path("studies/models/mine/config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text} ")).unwrap();
    inside(&[&["lock", "own.toml", "--check"], &lock[..]].concat()).exits(2);
}
