//! What the shipped recipes plan, and files that are made by a command and must not be stale.

use crate::sandbox::{Sandbox, assert_told, entries, mstar_at_home};
use std::fs;
use std::path::Path;

#[test]
fn shipped_recipes_are_good_and_plan_as_told() {
    let mut recipes = entries(&Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes"));
    // What `smol.toml` starts from has to be made: see `real_models`.
    let is_whole = |path: &Path| path.file_stem().is_some_and(|stem| stem != "smol");
    recipes.retain(|path| path.extension().is_some_and(|it| it == "toml") && is_whole(path));
    assert!(recipes.len() >= 2);
    for path in recipes {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let file = format!("recipes/{stem}.toml");
        let checked = mstar_at_home(&["check", &file]).exits(0);
        assert!(checked.stderr.starts_with(&format!("{file}: good, ")), "{}", checked.stderr);
        let plan = mstar_at_home(&["plan", &file]).exits(0);
        assert_told(&format!("plan_{stem}"), &plan.stdout);
    }
}

#[test]
fn the_schemas_in_the_repository_are_those_that_the_program_prints() {
    for name in ["recipe", "experiment"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/{name}.json"));
        let printed = mstar_at_home(&["schema", name]).exits(0).stdout;
        let stored = fs::read_to_string(file).unwrap();
        assert!(
            stored == printed,
            "`cargo run -- schema {name} >schemas/{name}.json` writes it anew"
        );
    }
}

#[test]
fn shipped_experiments_are_good() {
    let folders = entries(&Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments"));
    let files = folders.iter().flat_map(|folder| entries(folder));
    let files: Vec<_> =
        files.filter(|file| file.extension().is_some_and(|it| it == "toml")).collect();
    assert!(!files.is_empty());
    for file in files {
        mstar_at_home(&["check", &file.display().to_string()]).exits(0);
    }
}

#[test]
fn a_misspelt_variable_is_told() {
    let sandbox = Sandbox::new();
    let check = |name: &str| {
        let mut command = sandbox.command(&["check", "tiny.toml"]);
        let output = command.env(name, "3").output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(check("MSTAR_SEDE").contains("did you mean `MSTAR_SEED`?"));
    assert!(!check("MSTAR_SEED").contains("not read"));
    assert!(!check("MSTAR_ELSEWHERE").contains("not read"));
}

#[test]
fn what_would_be_passed_over_is_refused() {
    let sandbox = Sandbox::new();
    let said = sandbox.mstar(&["watch", "--once", "--port", "8080"]).exits(2);
    assert!(said.stderr.contains("cannot be used with"), "{}", said.told());
    // A duration as people write it is none of the faults.
    for (timeout, is_one) in [("5m", true), ("1.5h", true), ("90", true), ("5 weeks", false)] {
        let said = sandbox.mstar(&["run", "missing.toml", "--timeout", timeout]).exits(2);
        assert_eq!(said.stderr.contains("`missing.toml`"), is_one, "{}", said.told());
        assert_eq!(said.stderr.contains("`s`, `m`, `h` or `d`"), !is_one, "{}", said.told());
    }
}

#[test]
fn explains_every_key_that_it_lists() {
    let all = mstar_at_home(&["explain"]).exits(0).stdout;
    assert!(all.contains("training") && all.contains("temperature"), "{all}");
    let one = mstar_at_home(&["explain", "training.method"]).exits(0).stdout;
    for name in ["training.method", "continuous", "rest-em", "default \"continuous\""] {
        assert!(one.contains(name), "{one}");
    }
}

/// Loading libtorch takes a quarter of a second: what plans and reports must not be linked with it.
#[cfg(feature = "torch")]
#[test]
fn only_the_worker_is_linked_with_libtorch() {
    let is_linked = |program: &str| {
        let bytes = fs::read(program).unwrap();
        bytes.windows(b"libtorch_cpu.so".len()).any(|window| window == b"libtorch_cpu.so")
    };
    assert!(!is_linked(env!("CARGO_BIN_EXE_mstar")));
    assert!(is_linked(env!("CARGO_BIN_EXE_mstar-worker")));
}
