//! Disks that are full, read-only, or give back other bytes; and numbers that leave the numbers.

use crate::sandbox::{GROUND, RECIPE, Sandbox, artifacts, assert_same, assert_told, finished};
use std::fs;
use std::path::Path;

/// Turns one bit in the middle of a file.
fn turn_a_bit(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).unwrap();
}

const TOLD: &[&str] = &["failed", "skipped", "note", "error", "hint"];

#[test]
fn altered_artifacts_are_found_by_their_digest_and_made_again() {
    let wanted = artifacts(&finished().0.join(".mstar"));
    let mut told = String::new();
    for (file, of, below) in [
        ("selected.parquet", "select 1", "train 1"),
        ("model.safetensors", "warm-up train", "explore 1"),
        ("train.parquet", "prepare", "warm-up explore"),
    ] {
        let sandbox = Sandbox::finished();
        turn_a_bit(&sandbox.artifact_of(of).join(file));
        fs::remove_dir_all(sandbox.artifact_of(below)).unwrap();
        let said = sandbox.mstar(&["run", "tiny.toml", "--workers", "1"]).exits(0);
        told += &format!("# `{file}` of `{of}`, then `{below}` is made\n{}", said.talk(TOLD));
        assert_same(&sandbox.artifacts(), &wanted);
    }
    assert_told("altered", &told);
}

#[test]
fn a_run_whose_record_cannot_be_read_is_passed_over_and_named() {
    let sandbox = Sandbox::finished();
    sandbox.mstar(&["run", "tiny.toml"]).exits(0);
    sandbox.write(".mstar/run-v1/tiny-2/run.json", "{\"format\":");
    for arguments in [&["list"][..], &["plan", "tiny.toml"], &["run", "tiny.toml"]] {
        let said = sandbox.mstar(arguments).exits(0);
        let mut lines = said.stderr.lines();
        let warning = lines.next().unwrap();
        assert!(warning.starts_with("warning: the record of run `tiny-2` cannot be read: "));
        assert!(warning.ends_with(": it is passed over"), "{warning}");
        let hint = "hint: if that run does not matter, remove its folder `run-v1/tiny-2`";
        assert_eq!(lines.next(), Some(hint));
    }
    let said = sandbox.mstar(&["list"]).exits(0);
    let names: Vec<&str> = said.stdout.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["tiny-1", "tiny-3"]);
    let said = sandbox.mstar(&["gc"]).exits(2);
    assert!(said.stderr.contains("`tiny-2`"), "it may name anything: {}", said.stderr);
}

#[test]
fn torn_artifacts_are_found_before_anything_runs() {
    let wanted = artifacts(&finished().0.join(".mstar"));
    let sandbox = Sandbox::finished();
    let file = sandbox.artifact_of("train 1").join("model.safetensors");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    fs::write(sandbox.artifact_of("select 2").join("manifest.json"), "{").unwrap();
    fs::remove_file(sandbox.artifact_of("monitor 2").join("metrics.json")).unwrap();
    let said = sandbox.mstar(&["run", "tiny.toml"]).exits(0);
    let keys = ["train 1", "select 2", "monitor 2"].map(|name| sandbox.key_of(name));
    let mut talk = said.talk(TOLD);
    for key in keys {
        talk = talk.replace(&key[..12], "[key]").replace(&key[..8], "[key]");
    }
    assert_told("torn", &talk);
    assert_same(&sandbox.artifacts(), &wanted);
}

/// Runs a script in a mount namespace of its own; `None`, said, where that is not allowed.
#[expect(clippy::print_stderr, reason = "whoever runs the tests wants to know what did not run")]
fn with_mounts(sandbox: &Sandbox, script: &str) -> Option<std::process::Output> {
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c"]).current_dir(sandbox.path(""));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MSTAR_") {
            command.env_remove(name);
        }
    }
    let is_allowed = |script: &str| {
        let mut command = std::process::Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", script]);
        command.output().is_ok_and(|output| output.status.success())
    };
    if !is_allowed("mount -t tmpfs -o size=1m none /mnt") {
        eprintln!("left out: this user may not mount a small disk");
        return None;
    }
    command.env("OMP_NUM_THREADS", "1").env("MSTAR", env!("CARGO_BIN_EXE_mstar"));
    Some(command.arg(script).output().unwrap())
}

#[test]
fn a_full_disk_loses_nothing() {
    let sandbox = Sandbox::with_only(GROUND);
    // Room for what is there and half of a megabyte: the first trained policy does not fit.
    let script = r#"
        mkdir small && mount -t tmpfs -o size=200m none small && cp -r .mstar small/store
        used=$(du -s --apparent-size -k small/store | cut -f1)
        mount -o remount,size=$((used + 900))k small
        "$MSTAR" --store small/store run tiny.toml --workers 1 >stdout 2>stderr
        echo $? >code
        mount -o remount,size=200m small
        "$MSTAR" --store small/store run tiny.toml --workers 1 >stdout.2 2>stderr.2
        echo $? >code.2
        cp -r small/store again
    "#;
    let Some(output) = with_mounts(&sandbox, script) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| fs::read_to_string(sandbox.path(name)).unwrap();
    let talk = read("stderr");
    assert_eq!(read("code"), "1\n", "{talk}");
    assert!(talk.contains("hint: the disk is full (") && talk.contains("`mstar gc`"), "{talk}");
    assert!(talk.contains("No space left on device"), "{talk}");
    assert!(!talk.contains("panicked"), "{talk}");
    assert_eq!(read("code.2"), "0\n", "{}", read("stderr.2"));
    assert_same(&artifacts(&sandbox.path("again")), &artifacts(&finished().0.join(".mstar")));
}

#[test]
fn a_disk_that_may_only_be_read_is_told() {
    let sandbox = Sandbox::new();
    let script = r#"
        mkdir fixed && mount -t tmpfs -o ro none fixed
        "$MSTAR" --store fixed/store run tiny.toml >stdout 2>stderr
        echo $? >>stderr
    "#;
    if with_mounts(&sandbox, script).is_some() {
        assert_told("read_only", &fs::read_to_string(sandbox.path("stderr")).unwrap());
    }
}

#[test]
fn a_loss_that_is_no_number_fails_its_stage_and_leaves_the_last_good_checkpoint() {
    let sandbox = Sandbox::with_only(GROUND);
    let (policy_and_data, _) = RECIPE.split_once("[warmup]").unwrap();
    let diverging = r#"
[warmup]
enabled = false

[training]
method = "sft"
supervision = "solution"
batch_size = 8
learning_rate = 1.0
optimizer = { beta2 = 0.0, clip = 0.0 }

[exploration]
max_new_tokens = 28
"#;
    sandbox.write("diverging.toml", format!("{policy_and_data}{diverging}"));
    let set = ["--set", "run.checkpoint_every_secs=0"];
    let said = sandbox.mstar(&[&["run", "diverging.toml"], &set[..]].concat()).exits(1);
    let talk = said.talk(TOLD);
    let mut lines = talk.lines();
    let failed = lines.next().unwrap();
    let rest = failed.strip_prefix("failed   train 1: the ").expect(failed);
    assert!(
        rest.starts_with("loss is NaN at step ") || rest.starts_with("gradient is "),
        "{failed}"
    );
    assert!(
        rest.contains("(batch of 8: prompts ") && rest.ends_with("; learning rate 1e0)"),
        "{failed}"
    );
    assert!(lines.next().unwrap().contains("lower `training.learning_rate`"), "{talk}");
    let (_, step) = rest.split_once(" at step ").unwrap();
    let step: u64 = step.split(' ').next().unwrap().parse().unwrap();
    assert!(step > 1, "the first step starts from a good policy");

    let work = sandbox.store().join("staging-v1").join(sandbox.key_of("train 1")).join("work");
    let kept = work.join(format!("model-{}.safetensors", step - 1));
    let tensors = fs::read(&kept).expect("the checkpoint before is kept");
    let tensors = safetensors::SafeTensors::deserialize(&tensors).unwrap();
    for (name, tensor) in tensors.tensors() {
        let numbers = tensor.data().as_chunks::<4>().0.iter().map(|it| f32::from_le_bytes(*it));
        assert!(numbers.clone().count() > 0 && numbers.into_iter().all(f32::is_finite), "{name}");
    }
    // Asked again, it fails at the same step, from the checkpoint.
    let again = sandbox.mstar(&[&["run", "diverging.toml"], &set[..]].concat()).exits(1);
    assert!(again.stderr.contains(failed), "{}", again.stderr);
}
