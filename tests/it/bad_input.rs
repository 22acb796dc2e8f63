//! Files, stores, devices and names that are not what they should be.

use crate::sandbox::{Sandbox, assert_told};
use std::fs;
use std::process::Stdio;

#[test]
fn recipes_that_cannot_be_read_are_told() {
    let sandbox = Sandbox::new();
    sandbox.write("prose.toml", "Take the model and train it well.\n");
    sandbox.write("latin.toml", b"format = 1\nname = \"caf\xe9\"\n");
    let large = fs::File::create(sandbox.path("large.toml")).unwrap();
    large.set_len(100 << 20).unwrap();
    fs::create_dir(sandbox.path("folder.toml")).unwrap();
    sandbox.write("empty.toml", "");
    let mut told = String::new();
    for file in ["prose", "latin", "large", "folder", "missing", "empty"] {
        let file = format!("{file}.toml");
        for command in ["check", "plan", "run"] {
            let said = sandbox.mstar(&[command, &file]);
            if command == "check" {
                told += &format!("# {file}\n{}", said.told());
            }
            assert_eq!(said.code, Some(2), "{command} {file}: {}", said.told());
        }
    }
    assert_told("unreadable_recipes", &told);
    assert!(!sandbox.store().exists(), "a wrong recipe leaves no store behind");
}

#[test]
fn what_has_no_end_or_is_too_large_is_not_read() {
    let sandbox = Sandbox::new();
    let pipe = |name: &str| {
        let made = std::process::Command::new("mkfifo").arg(sandbox.path(name)).status();
        assert!(made.unwrap().success());
    };
    ["pipe.toml", "pipe.jsonl", "pipe.rhai", "pipe.mstar", "pipe.txt"].into_iter().for_each(pipe);
    std::os::unix::fs::symlink("/dev/zero", sandbox.path("endless.toml")).unwrap();
    fs::File::create(sandbox.path("large.rhai")).unwrap().set_len(3 << 30).unwrap();
    let head = "format = 1\nname = \"a\"\n";
    sandbox.write("script.toml", format!("{head}hooks.script = \"pipe.rhai\"\n"));
    let response = "[[test]]\nresponse_file = \"pipe.txt\"\nexpect = { answer = \"7\" }\n";
    sandbox.write("tested.toml", format!("{head}{response}"));
    sandbox.write("above.toml", format!("{head}extends = \"pipe.toml\"\n"));
    sandbox.write("rows.toml", format!("{head}data.source = \"jsonl:pipe.jsonl\"\n"));
    sandbox.write(
        "rows.jsonl",
        "{\"index\": 1, \"question\": \"?\", \"answer\": \"A\", \"A\": \"1\", \"B\": \"2\"}\n",
    );
    sandbox.write("hook.rhai", "fn reward(response) { 1.0 }\n");
    let mut told = String::new();
    for arguments in [
        &["check", "/dev/zero"][..],
        &["check", "endless.toml"],
        &["check", "pipe.toml"],
        &["check", "above.toml"],
        &["check", "script.toml"],
        &["check", "rows.toml"],
        &["test", "tested.toml"],
        &["hook", "large.rhai"],
        &["hook", "hook.rhai", "--on", "pipe.jsonl"],
        &["data", "check", "jsonl:/dev/zero"],
        &["eval", "--benchmark", "mmstar", "--data", "pipe.jsonl", "--responses", "pipe.jsonl"],
        &["eval", "--benchmark", "mmstar", "--data", "rows.jsonl", "--responses", "pipe.jsonl"],
        &["eval", "--benchmark", "mmstar", "--data", "rows.jsonl", "--responses", "nope.jsonl"],
        &["eval", "--benchmark", "mmstar", "--data", "rows.jsonl", "--responses", "nope"],
        &["verify", "pipe.mstar"],
        &["diff", "pipe.toml", "tiny.toml"],
    ] {
        told += &format!("# {}\n{}", arguments.join(" "), sandbox.mstar(arguments).told());
    }
    assert_told("endless", &told);
}

#[cfg(feature = "torch")]
#[test]
fn a_picture_that_is_none_is_named() {
    let sandbox = Sandbox::new();
    image::RgbImage::new(3, 5).save(sandbox.path("small.png")).unwrap();
    sandbox.write("prose.png", "no picture");
    fs::File::create(sandbox.path("large.png")).unwrap().set_len(3 << 30).unwrap();
    let mut told = String::new();
    for picture in ["small.png", "prose.png", "large.png", "/dev/zero", "none.png"] {
        let call = ["sample", "builtin:mini-vlm", "bar red ?", "--image", picture];
        told += &format!("# {picture}\n{}", sandbox.mstar(&call).told());
    }
    assert_told("pictures_refused", &told);
}

#[test]
fn stores_that_are_none_are_told() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "no store");
    fs::create_dir(sandbox.path("letters")).unwrap();
    sandbox.write("letters/mother.txt", "Dear mother");
    fs::create_dir(sandbox.path("newer")).unwrap();
    sandbox.write("newer/version", "2\n");
    let mut told = String::new();
    for store in ["file", "file/inside", "letters", "newer", "/proc/mstar"] {
        let said = sandbox.mstar(&["--store", store, "run", "tiny.toml"]);
        told += &format!("# run --store {store}\n{}", said.told());
    }
    for command in ["list", "report", "gc", "doctor"] {
        let said = sandbox.mstar(&["--store", "newer", command]);
        told += &format!("# {command} --store newer\n{}", said.told());
    }
    assert_told("stores", &told);
    assert_eq!(fs::read_to_string(sandbox.path("file")).unwrap(), "no store");
    assert_eq!(fs::read_dir(sandbox.path("letters")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(sandbox.path("newer")).unwrap().count(), 1);
}

#[test]
fn devices_and_runs_that_are_not_there_are_told() {
    let sandbox = Sandbox::new();
    let mut told = String::new();
    for arguments in [
        &["run", "tiny.toml", "--device", "cuda:97"][..],
        &["run", "tiny.toml", "--device", "tpu"],
        &["run", "tiny.toml", "--workers", "0"],
        &["run", "tiny.toml", "--set", "training.learning_rat=1"],
        &["run", "tiny.toml", "--set", "seed"],
        &["report"],
        &["report", "tiny-1"],
        &["show", "no-such-run"],
        &["explain", "training.methd"],
        &["list"],
        &["gc"],
    ] {
        told += &format!("# {}\n{}", arguments.join(" "), sandbox.mstar(arguments).told());
    }
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"there are \d+ CUDA devices", "there are [count] CUDA devices");
    settings.bind(|| assert_told("not_there", &told));
    assert!(!sandbox.store().exists());
}

#[cfg(feature = "torch")]
#[test]
fn runs_are_named_where_one_was_not_found() {
    let sandbox = Sandbox::finished();
    let mut told = String::new();
    for arguments in [
        &["report", "tiny-7"][..],
        &["show", "tiny-7"],
        &["show", "../tiny-1"],
        &["sample", "tiny-7", "how many circles are there"],
        &["sample", "tiny-1", "how many circles are there", "--image", "missing.png"],
        &["sample", "tiny-1", "how many circles are there", "--image", "tiny.toml"],
    ] {
        told += &format!("# {}\n{}", arguments.join(" "), sandbox.mstar(arguments).told());
    }
    assert_told("unknown_runs", &told);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let sandbox = Sandbox::new();
    for arguments in [&["plan", "tiny.toml", "--format", "svg"][..], &["schema"], &["--help"]] {
        let mut command = sandbox.command(arguments);
        let mut program =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        drop(program.stdout.take());
        let output = program.wait_with_output().unwrap();
        let talk = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), talk.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn commands_that_are_none_exit_with_2() {
    let sandbox = Sandbox::new();
    let mut told = String::new();
    for arguments in [
        &["evolve"][..],
        &["run"],
        &["run", "tiny.toml", "--fast"],
        &["plan", "tiny.toml", "--format", "pdf"],
        &["run", "tiny.toml", "--workers", "many"],
    ] {
        let said = sandbox.mstar(arguments).exits(2);
        told += &format!("# {}\n{}", arguments.join(" "), said.told());
    }
    assert_told("no_such_command", &told);
    let bare = sandbox.mstar(&[]).exits(2);
    assert!(bare.stderr.contains("Usage: mstar") && bare.stderr.contains("Carry out a recipe"));
    let help = sandbox.mstar(&["--help"]).exits(0);
    assert!(help.stdout.contains("Usage: mstar") && !help.stdout.contains("worker"));
}
