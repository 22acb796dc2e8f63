//! A run handed over: bundled, verified, reproduced, compared; and locks.

use crate::sandbox::{Sandbox, assert_told};
use mstar::bundle::{self, Content, Limits, Member};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;

/// Files of a bundle by name.
type Files = BTreeMap<String, Vec<u8>>;

fn files(bytes: &[u8]) -> Files {
    let contents = bundle::contents(bytes, &Limits::default()).unwrap();
    contents.files().map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect()
}

/// A bundle of these files whose digests all agree.
fn packed(files: Files) -> Vec<u8> {
    let member = |(path, bytes)| Member { path, content: Content::Bytes(bytes) };
    let mut packed = Vec::new();
    let members = files.into_iter().map(member).collect();
    bundle::write(&mut packed, ("tiny", "tiny-1"), members).unwrap();
    packed
}

fn json_of(files: &Files, name: &str) -> Value {
    serde_json::from_slice(&files[name]).unwrap()
}

/// With one thing in a file written otherwise.
fn replaced(files: &Files, name: &str, old: &str, new: &str) -> Files {
    let text = String::from_utf8(files[name].clone()).unwrap();
    assert!(text.contains(old), "`{name}` has no {old}");
    let mut files = files.clone();
    files.insert(name.to_owned(), text.replacen(old, new, 1).into_bytes());
    files
}

#[test]
fn a_run_is_bundled_to_the_same_bytes_and_verified() {
    let sandbox = Sandbox::finished();
    let said = sandbox.mstar(&["bundle"]).exits(0);
    assert_eq!(said.stdout, "tiny-1.mstar\n");
    sandbox.mstar(&["bundle", "tiny-1", "--output", "again.mstar", "--quiet"]).exits(0);
    let bytes = fs::read(sandbox.path("tiny-1.mstar")).unwrap();
    assert_eq!(bytes, fs::read(sandbox.path("again.mstar")).unwrap());
    assert!(bytes.len() < 100 << 10, "{} bytes", bytes.len());
    let files = files(&bytes);
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "artifacts.json",
            "events.jsonl",
            "graph.json",
            "lock.toml",
            "recipe/recipe.toml",
            "recipe/resolved.toml",
            "report/report.json",
            "report/table.md",
        ]
    );
    let report = sandbox.mstar(&["report", "--format", "json"]).exits(0).json();
    assert_eq!(json_of(&files, "report/report.json"), report);
    let said = sandbox.mstar(&["verify", "tiny-1.mstar"]).exits(0).stdout;
    for words in ["8 files, ", "28 stages follow from the recipe", "25 metrics can be read"] {
        assert!(said.contains(words), "{said}");
    }
    let said = sandbox.mstar(&["verify", "tiny-1.mstar", "--format", "json"]).exits(0).json();
    assert_eq!((&said["run"], &said["stages"]), (&json!("tiny-1"), &json!(28)));

    sandbox.mstar(&["bundle", "--weights", "--output", "w.mstar"]).exits(0);
    sandbox.mstar(&["verify", "w.mstar"]).exits(0);
    let mut weights = Vec::new();
    let file = fs::File::open(sandbox.path("w.mstar")).unwrap();
    bundle::read(file, &Limits::default(), &mut |entry, piece| {
        if entry.path == "weights/tiny/model.safetensors" {
            weights.extend_from_slice(piece);
        }
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    let stored = sandbox.artifact_of("train 2").join("model.safetensors");
    assert_eq!(weights, fs::read(stored).unwrap());

    let mut told = String::new();
    for arguments in [
        &["bundle", "none"][..],
        &["bundle", "--output", "no/such/folder.mstar"],
        &["verify", "missing.mstar"],
        &["verify", "."],
        &["verify", "tiny.toml"],
        &["reproduce", "tiny-1.mstar", "--folder", ".mstar", "--quiet"],
        &["reproduce", "tiny-1.mstar", "--device", "gpu"],
        &["diff", "tiny-1.mstar", "tiny-1"],
        &["diff", "tiny-1.mstar", "tiny.toml"],
        &["diff", "tiny.toml", "w.mstar"],
        &["diff", "tiny-1.mstar", "w.mstar"],
    ] {
        told += &format!("# {}\n{}", arguments.join(" "), sandbox.mstar(arguments).told());
    }
    assert_told("sharing_commands", &told);
}

#[test]
fn a_run_that_is_not_finished_or_was_recorded_without_its_recipes_is_not_bundled() {
    let sandbox = Sandbox::finished();
    let folder = sandbox.store().join("run-v1/tiny-1");
    let log = fs::read_to_string(folder.join("events.jsonl")).unwrap();
    let of_stage = log.lines().rfind(|line| line.contains("stage-finished")).unwrap();
    let end = log.find(of_stage).unwrap();
    fs::write(folder.join("events.jsonl"), &log[..end]).unwrap();
    let open = sandbox.mstar(&["bundle"]).exits(2).told();
    fs::write(folder.join("events.jsonl"), &log).unwrap();
    let graph = fs::read_to_string(folder.join("graph.json")).unwrap();
    let mut graph: Value = serde_json::from_str(&graph).unwrap();
    graph.as_object_mut().unwrap().remove("recipes");
    fs::write(folder.join("graph.json"), graph.to_string()).unwrap();
    let old = sandbox.mstar(&["bundle"]).exits(2).told();
    assert_told("sharing_not_bundled", &format!("{open}{old}"));
    sandbox.mstar(&["run", "tiny.toml", "-q"]).exits(0);
    sandbox.mstar(&["bundle"]).exits(0);
}

/// Which stages ended first, and which last, and so are missing from a log that was cut, differs from
/// run to run.
fn without_name_of_stage(said: &str) -> String {
    for (end, name) in
        [("` has no result", "one of the last"), ("`: the report", "one of the first")]
    {
        if let Some((rest, after)) = said.split_once(end) {
            let (start, _) = rest.rsplit_once('`').unwrap();
            return format!("{start}`[{name}]{end}{after}");
        }
    }
    said.to_owned()
}

#[test]
fn what_was_altered_is_told_even_where_the_digests_were_made_to_agree() {
    let sandbox = Sandbox::finished();
    sandbox.mstar(&["bundle"]).exits(0);
    let good = files(&fs::read(sandbox.path("tiny-1.mstar")).unwrap());
    let with = |name: &str, bytes: &[u8]| {
        let mut files = good.clone();
        files.insert(name.to_owned(), bytes.to_vec());
        files
    };
    let without = |name: &str| {
        let mut files = good.clone();
        files.remove(name);
        files
    };
    let recipe = |pointer: &str, value: Value| {
        let mut graph = json_of(&good, "graph.json");
        let whole = format!("/recipes/first{pointer}");
        *graph.pointer_mut(&whole).unwrap() = value;
        with("graph.json", graph.to_string().as_bytes())
    };
    let digest = "2a7c8c639a7bdbe0ca289ce52635b453e2cb029b26eb697472bd447561433165";
    let other = digest.replace("2a7c", "2a7d");
    let log = String::from_utf8(good["events.jsonl"].clone()).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    let short = lines[..lines.len() - 9].join("\n") + "\n";
    let mut told = String::new();
    for (what, files) in [
        ("another stage", replaced(&good, "graph.json", "0.0007", "0.0008")),
        ("another seed", recipe("/seed", json!(1))),
        ("another rate", recipe("/training/learning_rate", json!(0.0008))),
        ("fewer iterations", recipe("/training/iterations", json!(1))),
        ("endless", recipe("/training/iterations", json!(4_000_000_000_u32))),
        ("another model", replaced(&good, "graph.json", digest, &other)),
        ("no recipe", replaced(&good, "graph.json", r#""first":{"#, r#""first":{"x":1,"#)),
        ("no graph", with("graph.json", b"[]")),
        ("value for people", replaced(&good, "recipe/resolved.toml", "0.0007", "0.0008")),
        (
            "metric in the log",
            replaced(&good, "events.jsonl", r#""accuracy":0."#, r#""accuracy":1."#),
        ),
        (
            "metric that is none",
            replaced(&good, "events.jsonl", r#""accuracy":0."#, r#""accuracy":"x","y":0."#),
        ),
        ("log that is torn inside", replaced(&good, "events.jsonl", "\n{", "\n")),
        ("log that ends early", with("events.jsonl", short.as_bytes())),
        ("no log", with("events.jsonl", b"")),
        ("report", replaced(&good, "report/report.json", r#""accuracy": 0."#, r#""accuracy": 1."#)),
        ("lock of another seed", replaced(&good, "lock.toml", "seed = 0", "seed = 7")),
        ("later lock", replaced(&good, "lock.toml", "format = 1", "format = 2")),
        ("no lock", without("lock.toml")),
        ("no text", with("recipe/recipe.toml", b"\xff\xfe")),
        ("a stranger", with("recipe/run-me.sh", b"rm -r x")),
    ] {
        sandbox.write("bad.mstar", packed(files));
        let said = sandbox.mstar(&["verify", "bad.mstar"]).exits(2);
        told += &format!("# {what}\n{}", without_name_of_stage(&said.stderr));
        sandbox.mstar(&["reproduce", "bad.mstar", "--folder", "new"]).exits(2);
        assert!(!sandbox.path("new").exists());
    }
    assert_told("sharing_altered", &told);
}

/// A number that the log and the report agree on, and that no run will have.
fn with_another_result(good: &Files) -> Files {
    let mut files = good.clone();
    let log = String::from_utf8(files["events.jsonl"].clone()).unwrap();
    let lines = log.lines().map(|line| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        let metrics = &mut record["metrics"];
        let is_last = metrics["split"] == "test" && metrics["step"] == 27;
        if is_last {
            metrics["accuracy"] = json!(0.625);
            metrics["interval"] = json!([0.6, 0.65]);
        }
        record.to_string()
    });
    let log: String = lines.map(|line| line + "\n").collect();
    let records = mstar::event::Record::read_log(&log).unwrap();
    let study = mstar::report::Study::read(&records);
    let report = mstar::report::to_json(&study, None);
    files.insert("events.jsonl".into(), log.into_bytes());
    files.insert("report/report.json".into(), report.to_string().into_bytes());
    files
}

#[test]
fn a_bundle_is_reproduced_and_one_with_another_result_is_not() {
    let sandbox = Sandbox::finished();
    sandbox.mstar(&["bundle"]).exits(0);
    let run = ["reproduce", "tiny-1.mstar", "--folder", "again", "--quiet"];
    let said = sandbox.mstar(&run).exits(0);
    let (metrics, end) = said.stdout.split_once("\n\n").unwrap();
    assert_eq!(metrics.lines().skip(1).filter(|line| line.ends_with("  equal")).count(), 25);
    let end: Vec<&str> = end.lines().collect();
    assert_eq!(end, ["91 of 91 files of stages are equal", "equal: all 25 metrics of tiny-1"]);
    let own = fs::read(sandbox.path("again/recipe/recipe.toml")).unwrap();
    assert_eq!(own, fs::read(sandbox.path("tiny.toml")).unwrap());
    // A bundle of what was reproduced says the same again; its own files are not run from.
    let again = ["--store", "again/.mstar", "bundle", "--output", "second.mstar"];
    sandbox.mstar(&again).exits(0);
    sandbox.mstar(&["verify", "second.mstar"]).exits(0);
    let same = sandbox.mstar(&["diff", "tiny-1.mstar", "second.mstar"]).exits(0);
    assert_eq!(same.stdout, "tiny-1.mstar and second.mstar are the same\n");

    let good = files(&fs::read(sandbox.path("tiny-1.mstar")).unwrap());
    sandbox.write("false.mstar", packed(with_another_result(&good)));
    sandbox.mstar(&["verify", "false.mstar"]).exits(0);
    // In a store that has the stages nothing is computed again, and all is compared.
    let arguments = [
        "--store",
        "again/.mstar",
        "reproduce",
        "false.mstar",
        "--folder",
        "b",
        "--format",
        "json",
    ];
    let said = sandbox.mstar(&arguments).exits(1).json();
    assert_eq!(said["agrees"], false);
    let verdicts = |said: &Value| {
        let metrics = said["metrics"].as_array().unwrap().clone();
        let is = |it: &&Value| it["metric"] == "test.accuracy";
        metrics.iter().find(is).unwrap()["verdict"].clone()
    };
    assert_eq!(verdicts(&said), "differs");
    // On another machine the interval decides.
    let other = good.clone();
    let log = String::from_utf8(other["events.jsonl"].clone()).unwrap();
    let processor = log.split(r#""processor":""#).nth(1).unwrap().split('"').next().unwrap();
    let other = replaced(&other, "events.jsonl", processor, "another");
    sandbox.write("other.mstar", packed(other));
    let arguments = [
        "--store",
        "again/.mstar",
        "reproduce",
        "other.mstar",
        "--folder",
        "c",
        "--format",
        "json",
    ];
    let said = sandbox.mstar(&arguments).exits(0).json();
    assert_eq!((&said["agrees"], &verdicts(&said)), (&json!(true), &json!("equal")));
    assert!(
        said["other_kind"][0].as_str().unwrap().contains("processor: `another` there"),
        "{said}"
    );
}

#[test]
fn an_experiment_with_a_script_is_reproduced_from_its_bundle_alone() {
    let sandbox = Sandbox::finished();
    sandbox.write("grid.toml", "name = \"grid\"\nbase = \"tiny.toml\"\n[axis]\nseed = [0, 1]\n");
    fs::create_dir(sandbox.path("scripts")).unwrap();
    sandbox.write("scripts/keep.rhai", "fn keep(candidate) { true }\n");
    let set = "hooks.script=scripts/keep.rhai";
    let shorter = "training.iterations=1";
    sandbox.mstar(&["run", "grid.toml", "--set", set, "--set", shorter, "-q"]).exits(0);
    sandbox.mstar(&["bundle", "grid-2", "--output", "grid.mstar"]).exits(0);
    // Of several members one is to be named.
    let said = sandbox.mstar(&["sample", "grid-2", "bar red ?"]).exits(2).stderr;
    assert!(
        said.contains("`grid-2` has 2 members\nhint: name one, such as `grid-2/seed=0`"),
        "{said}"
    );
    // What was unpacked lies in a folder of the run's name, and is no checkpoint.
    fs::create_dir(sandbox.path("grid-2")).unwrap();
    let said = sandbox.mstar(&["sample", "grid-2", "bar red ?"]).exits(2).stderr;
    assert!(said.contains("`grid-2` has 2 members"), "{said}");
    let said = sandbox.mstar(&["sample", "grid-2/seed=1", "hello red ?"]).exits(2).stderr;
    assert!(said.contains("there is no token for `hello`"), "{said}");
    let bytes = fs::read(sandbox.path("grid.mstar")).unwrap();
    let script = &files(&bytes)["recipe/scripts/keep.rhai"];
    assert_eq!(script, &fs::read(sandbox.path("scripts/keep.rhai")).unwrap());
    let altered = replaced(&files(&bytes), "recipe/scripts/keep.rhai", "true", "false");
    sandbox.write("altered.mstar", packed(altered));
    let said = sandbox.mstar(&["verify", "altered.mstar"]).exits(2);
    assert!(said.stderr.contains("is not the script that ran"), "{}", said.stderr);
    for name in ["grid.toml", "tiny.toml", "scripts/keep.rhai"] {
        fs::remove_file(sandbox.path(name)).unwrap();
    }
    let said = sandbox.mstar(&["verify", "grid.mstar"]).exits(0).stdout;
    assert!(said.contains("stages of 2 members follow from the recipe"), "{said}");
    let said = sandbox.mstar(&["reproduce", "grid.mstar", "--folder", "new", "-q"]).exits(0).stdout;
    assert!(said.contains("test.accuracy of seed=1"), "{said}");
    assert!(
        said.trim_end().ends_with("metrics of grid-2") && said.contains("equal: all "),
        "{said}"
    );
}
