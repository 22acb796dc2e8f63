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
