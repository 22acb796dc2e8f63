//! Machines that give less than is needed: no memory, and a libtorch of another version.

use crate::sandbox::{Said, Sandbox, artifacts, assert_same, finished};
use std::fs;
use std::process::Command;

/// Carries out the recipe with that much address space for each process.
fn run_within(sandbox: &Sandbox, kibibytes: u64) -> Said {
    let mstar = env!("CARGO_BIN_EXE_mstar");
    let script = format!("ulimit -v {kibibytes} && exec {mstar} run tiny.toml --workers 1");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(sandbox.path("")).env("OMP_NUM_THREADS", "1");
    Said::of(command.output().unwrap())
}

#[test]
fn without_memory_a_stage_fails_with_its_reason_and_a_later_run_completes() {
    let sandbox = Sandbox::new();
    let mut said = Vec::new();
    // How much the libraries alone take differs between builds of libtorch, so the limit is raised
    // until one run gets through; what came before it must have failed in an orderly way.
    for kibibytes in (0..).map(|step| 300_000 + 50_000 * step) {
        let run = run_within(&sandbox, kibibytes);
        assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
        if run.code == Some(0) {
            break;
        }
        let run = run.exits(1);
        let talk = run.talk(&["failed", "hint"]);
        assert!(talk.starts_with("failed   "), "at {kibibytes} KiB: {}", run.stderr);
        assert!(talk.contains("hint: "), "at {kibibytes} KiB: {}", run.stderr);
        said.push(talk);
    }
    let ran_out = |talk: &String| talk.contains("allocate memory") || talk.contains("bad_alloc");
    assert!(said.iter().any(ran_out), "{said:#?}");
    assert_same(&sandbox.artifacts(), &artifacts(&finished().0.join(".mstar")));
}

#[test]
fn a_libtorch_of_another_version_is_refused_before_anything_is_built() {
    let folder = tempfile::tempdir().unwrap();
    let headers = folder.path().join("include/torch/headeronly");
    fs::create_dir_all(&headers).unwrap();
    let versions = [("MAJOR", 2), ("MINOR", 4), ("PATCH", 1)];
    let lines = versions.map(|(part, number)| format!("#define TORCH_VERSION_{part} {number}\n"));
    fs::write(headers.join("version.h"), lines.concat()).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/libtorch");
    let said = Command::new(script).env("LIBTORCH", folder.path()).output().unwrap();
    let said = Said::of(said).exits(1);
    assert_eq!(said.stdout, "");
    assert!(
        said.stderr.contains("holds libtorch 2.4.1, and mstar needs 2.11.0"),
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains("hint: unset LIBTORCH"), "{}", said.stderr);
}
