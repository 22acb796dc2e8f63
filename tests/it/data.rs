//! Data out of files that people have: planned, prepared and trained on as the embedded task is, and
//! told where they are wrong.

use crate::sandbox::{SMALL, Sandbox};
use mstar::base::Seed;
use mstar::data::{
    Sample,
    mini_vista::{MiniVista, POOL_ONE_OPERATION, Stream},
    preview::png,
};
use serde_json::{Value, json};
use std::sync::LazyLock;

/// The embedded task's samples as rows with files of images.
fn rows(sandbox: &Sandbox, count: u64) -> Vec<Value> {
    std::fs::create_dir_all(sandbox.path("data/images")).unwrap();
    let task = MiniVista::new(Seed(11), POOL_ONE_OPERATION);
    let row = |at: u64| {
        let Sample { question, answer, category, images, .. } = task.sample(Stream::Train, at);
        let name = format!("images/{at}.png");
        sandbox.write(&format!("data/{name}"), png(&images[0]).unwrap());
        json!({ "q": question, "answer": answer, "category": category, "image": name })
    };
    (0..count).map(row).collect()
}

/// The same with the question where it is looked for.
fn usual_rows(sandbox: &Sandbox, count: u64) -> Vec<Value> {
    let mut rows = rows(sandbox, count);
    for row in &mut rows {
        row["question"] = row["q"].take();
    }
    rows
}

fn write(sandbox: &Sandbox, rows: &[Value]) {
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    sandbox.write("data/rows.jsonl", lines.join("\n"));
}

static RECIPE: LazyLock<String> = LazyLock::new(|| {
    format!(
        r#"name = "files"
[policy]
model = "builtin:mini-vlm"
[data]
source = "jsonl:data/rows.jsonl"
columns.question = "q"
labelled = 0.5
validation = 8
test = 8
{SMALL}"#
    )
});

#[test]
fn what_is_wrong_with_data_is_told_before_anything_runs() {
    let sandbox = Sandbox::new();
    sandbox.write("files.toml", &*RECIPE);
    let mut told = sandbox.mstar(&["check", "files.toml"]).exits(2).told();
    let mut some = rows(&sandbox, 40);
    some[3]["image"] = json!("images/none.png");
    write(&sandbox, &some);
    told += &sandbox.mstar(&["check", "files.toml"]).exits(2).told();
    let skip = ["--set", "data.on_bad_sample=\"skip\""];
    let plan = |more: &[&str]| {
        sandbox.mstar(&[&["plan", "files.toml", "--format", "json"], more].concat())
    };
    let planned = plan(&skip).exits(0).json();
    let prepare = planned["stages"].as_array().unwrap().iter();
    let prepare = prepare.filter(|stage| stage["name"] == "prepare").collect::<Vec<_>>();
    assert_eq!(prepare[0]["estimate"]["samples"], json!(39));
    told += &plan(&[&skip[..], &["--set", "data.test=60"]].concat()).exits(2).told();
    told +=
        &plan(&[&skip[..], &["--set", "data.columns.answer=\"gold\""]].concat()).exits(2).told();
    told += &plan(&["--set", "data.source=\"jsnl:data/rows.jsonl\""]).exits(2).told();
    told += &plan(&["--set", "data.source=\"parquet:data/rows.jsonl\""]).exits(2).told();
    told += &plan(&[&skip[..], &["--set", "data.test=31"]].concat()).exits(2).told();
    sandbox.write("data/torn.jsonl", "{\"q\": \"bar\n");
    told += &plan(&["--set", "data.source=\"jsonl:data/torn.jsonl\""]).exits(2).told();
    crate::sandbox::assert_told("data_files_refused", &told);
}

#[test]
fn data_files_are_checked_by_hand() {
    let sandbox = Sandbox::new();
    let some = usual_rows(&sandbox, 12);
    write(&sandbox, &some);
    let other = [some[4].clone(), json!({ "question": "?" })].map(|row| row.to_string());
    sandbox.write("data/other.jsonl", other.join("\n"));
    let arguments = ["data", "check", "jsonl:data/rows.jsonl", "jsonl:data/other.jsonl"];
    let said = sandbox.mstar(&[&arguments[..], &["--format", "json"]].concat()).exits(0).json();
    assert_eq!(said["shared"][0]["exact"], json!([[4, 0]]));
    assert_eq!(said["sources"][1]["bad"][0]["row"], json!(2));
    let text = sandbox.mstar(&arguments).exits(0).stdout;
    assert!(
        text.contains("12 samples, 0 bad rows") && text.contains("share 1 questions"),
        "{text}"
    );
    sandbox.mstar(&["data", "preview", "jsonl:data/rows.jsonl", "--count", "4"]).exits(0);
    let other = ["--columns", "question=prompt"];
    for command in ["check", "preview"] {
        let call = [&["data", command, "jsonl:data/rows.jsonl"], &other[..]].concat();
        let said = sandbox.mstar(&call).exits(2).stderr;
        assert!(said.contains("is a sample") && said.contains("hint: the row has `"), "{said}");
        assert!(said.contains("name the column with `--columns FIELD=COLUMN`"), "{said}");
    }
    sandbox.write("data/empty.jsonl", "");
    let said = sandbox.mstar(&["data", "check", "jsonl:data/empty.jsonl"]).exits(2).stderr;
    assert!(said.contains("`jsonl:data/empty.jsonl` is empty"), "{said}");
    let said = sandbox.mstar(&["data", "check", "mathvista"]).exits(2).stderr;
    assert!(said.contains("bring them: `mstar fetch mathvista`"), "{said}");
    let call = ["data", "check", "jsonl:data/rows.jsonl", "--columns", "question=q,gold"];
    assert!(sandbox.mstar(&call).exits(2).stderr.contains("`gold` names no column"));
    sandbox.mstar(&["data", "check", "jsonl:data/rows.jsonl", "--columns", "image=image"]).exits(0);
    assert!(sandbox.path("preview.png").is_file());
}

#[test]
fn a_preview_never_takes_the_place_of_what_it_shows() {
    let sandbox = Sandbox::new();
    let some = usual_rows(&sandbox, 6);
    write(&sandbox, &some);
    let preview = |source: &str, output: &str| {
        sandbox.mstar(&["data", "preview", source, "--count", "2", "--output", output])
    };
    for source in ["jsonl:data/rows.jsonl", "jsonl:data/*.jsonl", "jsonl:data"] {
        // A picture is spared also when it is not among those that are shown.
        for output in ["data/rows.jsonl", "data/images/0.png", "data/images/5.png"] {
            let before = std::fs::read(sandbox.path(output)).unwrap();
            let said = preview(source, output).exits(2).stderr;
            assert!(said.contains("is not overwritten: it is what this command reads"), "{said}");
            assert_eq!(std::fs::read(sandbox.path(output)).unwrap(), before);
        }
        preview(source, "data/sheet.png").exits(0);
    }
}

#[test]
fn answers_that_are_no_choice_are_told_by_a_check() {
    let sandbox = Sandbox::new();
    let image = rows(&sandbox, 1)[0]["image"].clone();
    let row = |answer: &str| {
        let choices = ["red", "blue"];
        json!({ "question": "bar ?", "answer": answer, "choices": choices, "image": image })
    };
    let answers = ["B", "(a)", "blue", "C", "green", "b."];
    write(&sandbox, &answers.map(row));
    let call = ["data", "check", "jsonl:data/rows.jsonl"];
    let said = sandbox.mstar(&call).exits(0).stdout;
    let told = |row: usize, answer: &str| {
        format!("  row {row} of `data/rows.jsonl`: the answer `{answer}` is none of its choices\n")
    };
    assert!(said.contains(&format!("0 bad rows\n{}{}", told(4, "C"), told(5, "green"))), "{said}");
    assert_eq!(said.matches("none of its choices").count(), 2);
    let said = sandbox.mstar(&[&call[..], &["--format", "json"]].concat()).exits(0).json();
    let rows = said["sources"][0]["no_choice"].as_array().unwrap();
    assert_eq!(rows.iter().map(|it| it["row"].clone()).collect::<Vec<_>>(), [4, 5]);
}

#[cfg(feature = "torch")]
#[test]
fn files_are_prepared_as_the_embedded_task_is() {
    use mstar::data::table;
    use std::collections::BTreeSet;

    let sandbox = Sandbox::new();
    sandbox.write("files.toml", &*RECIPE);
    let mut some = rows(&sandbox, 48);
    some[5]["image"] = json!("images/none.png");
    // It is there, and is found to be broken when it is decoded; a copy takes its place.
    sandbox.write("data/images/7.png", b"no image at all");
    let copy = some[9].clone();
    some.extend([copy.clone(), copy]);
    write(&sandbox, &some);
    let skip = ["--set", "data.on_bad_sample=\"skip\"", "--set", "data.prompts=32"];
    let run = ["run", "files.toml", "--workers", "1"];
    sandbox.mstar(&[&run[..], &skip].concat()).exits(0);
    let folder = sandbox.artifact_of("prepare");
    let split = |name: &str| -> Vec<Sample> {
        let bytes = std::fs::read(folder.join(format!("{name}.parquet"))).unwrap();
        table::decode(&bytes).unwrap()
    };
    let (train, test) = (split("train"), split("test"));
    assert_eq!((train.len(), split("validation").len(), test.len()), (32, 8, 8));
    // Nothing of an unlabelled prompt's answer is there.
    assert_eq!(train.iter().filter(|sample| sample.answer.is_some()).count(), 16);
    assert!(test.iter().all(|sample| sample.answer.is_some()));
    let ids: BTreeSet<u64> = train.iter().map(|sample| sample.id).collect();
    assert!(test.iter().all(|sample| !ids.contains(&sample.id)));
    let task = MiniVista::new(Seed(11), POOL_ONE_OPERATION);
    for sample in train.iter().filter(|sample| sample.id < 48) {
        let drawn = task.sample(Stream::Train, sample.id);
        assert_eq!((&sample.images, &sample.question), (&drawn.images, &drawn.question));
    }
    let metrics = std::fs::read_to_string(folder.join("metrics.json")).unwrap();
    let metrics: Value = serde_json::from_str(&metrics).unwrap();
    assert!(metrics["shared"].is_object(), "{metrics}");
    // Data that were changed since they were planned are another stage.
    let again = sandbox.mstar(&[&["plan", "files.toml", "--format", "json"], &skip[..]].concat());
    assert_eq!(again.json()["totals"]["to_run"], json!(0));
    write(&sandbox, &some[1..]);
    let other = sandbox.mstar(&[&["plan", "files.toml", "--format", "json"], &skip[..]].concat());
    assert_ne!(other.json()["totals"]["to_run"], json!(0));
}

#[cfg(feature = "torch")]
#[test]
fn what_is_shared_does_not_depend_on_where_somebody_stood() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.path("study")).unwrap();
    write(&sandbox, &rows(&sandbox, 48));
    std::fs::rename(sandbox.path("data"), sandbox.path("study/data")).unwrap();
    sandbox.write("study/files.toml", &*RECIPE);
    sandbox.mstar(&["run", "study/files.toml", "--workers", "1"]).exits(0);
    sandbox.mstar(&["bundle"]).exits(0);
    sandbox.mstar(&["verify", "files-1.mstar"]).exits(0);
    sandbox.mstar(&["lock", "study/files.toml"]).exits(0);
    let absolute = sandbox.path("study/files.toml");
    sandbox.mstar(&["lock", absolute.to_str().unwrap(), "--check"]).exits(0);
    let lock = std::fs::read_to_string(sandbox.path("study/files.lock")).unwrap();
    assert!(lock.contains("jsonl:rows.jsonl") && !lock.contains("study/data"), "{lock}");
}

/// Whether a terminal would do anything but write it.
fn steers(text: &str) -> bool {
    text.chars().any(|it| it.is_control() && it != '\n' && it != '\t' || it == '\u{202e}')
}

#[test]
fn no_terminal_obeys_what_a_row_says() {
    let sandbox = Sandbox::new();
    let mut some = rows(&sandbox, 40);
    some[3]["image"] = json!("images/\u{1b}[2J\u{9b}31m\u{202e}.png");
    write(&sandbox, &some);
    sandbox.write("files.toml", &*RECIPE);
    for arguments in [
        &["data", "check", "jsonl:data/rows.jsonl", "--columns", "question=q"][..],
        &["data", "preview", "jsonl:data/rows.jsonl", "--columns", "question=q"],
        &["check", "files.toml"],
        &["check", "no\u{1b}[31m.toml"],
    ] {
        let said = sandbox.mstar(arguments).told();
        assert!(said.contains("\\u001b["), "{said}");
        assert!(!steers(&said), "{said:?}");
    }
    let call = ["data", "check", "jsonl:data/rows.jsonl", "--columns", "question=q", "--format"];
    let said = sandbox.mstar(&[&call[..], &["json"]].concat()).exits(0);
    assert!(!steers(&said.stdout), "{said:?}");
    let fault = said.json()["sources"][0]["bad"][0]["fault"].clone();
    assert!(fault.as_str().unwrap().contains("\u{1b}[2J\u{9b}31m\u{202e}"), "{fault}");
}

#[cfg(feature = "torch")]
#[test]
fn no_terminal_obeys_the_categories_of_a_run() {
    let sandbox = Sandbox::new();
    let mut some = rows(&sandbox, 40);
    for row in &mut some {
        row["category"] = json!("\u{1b}]0;title\u{7}\u{202e}red");
    }
    write(&sandbox, &some);
    sandbox.write("files.toml", &*RECIPE);
    let said = sandbox.mstar(&["run", "files.toml", "--workers", "1"]).exits(0).told();
    assert!(!steers(&said), "{said:?}");
    for arguments in [
        &["show"][..],
        &["show", "--member", "files"],
        &["diff", "files-1", "files-1"],
        &["rollouts"],
        &["report"],
        &["report", "--format", "markdown"],
        &["watch", "--once"],
    ] {
        let said = sandbox.mstar(arguments).exits(0).told();
        assert!(!steers(&said), "{arguments:?}: {said:?}");
    }
    let said = sandbox.mstar(&["rollouts"]).exits(0).stdout;
    assert!(said.contains("\\u001b]0;title\\u0007\\u202ered"), "{said}");
}

/// Every member of a bundle, one after the other.
#[cfg(feature = "torch")]
fn all_text(sandbox: &Sandbox, bundle: &str) -> String {
    use mstar::bundle::{Limits, contents};
    let file = std::fs::File::open(sandbox.path(bundle)).unwrap();
    let contents = contents(file, &Limits::default()).unwrap();
    contents.files().map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()).collect()
}

#[cfg(feature = "torch")]
#[test]
fn a_bundle_over_own_data_is_reproduced_where_the_data_are() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.path("study")).unwrap();
    write(&sandbox, &rows(&sandbox, 48));
    std::fs::rename(sandbox.path("data"), sandbox.path("study/data")).unwrap();
    let rows = sandbox.path("study/data/rows.jsonl");
    let absolute = format!("jsonl:{}", rows.display());
    sandbox.write("study/files.toml", RECIPE.replace("jsonl:data/rows.jsonl", &absolute));
    let recipe = sandbox.path("study/files.toml");
    sandbox.mstar(&["run", recipe.to_str().unwrap(), "--workers", "1"]).exits(0);
    sandbox.mstar(&["bundle"]).exits(0);
    let folder = sandbox.path("").display().to_string();
    let text = all_text(&sandbox, "files-1.mstar");
    assert!(!text.contains(folder.trim_end_matches('/')), "the author's folder is in the bundle");
    let said = sandbox.mstar(&["verify", "files-1.mstar"]).exits(0).stdout;
    assert!(said.contains("`data/rows.jsonl` has to be there"), "{said}");
    // Elsewhere, where nothing of it lies.
    std::fs::rename(sandbox.path("study"), sandbox.path("attic")).unwrap();
    let again = ["reproduce", "files-1.mstar", "--folder", "again", "--workers", "1"];
    let with = |place: &str| sandbox.mstar(&[&again[..], &["--data", place]].concat());
    let mut told = sandbox.mstar(&again).exits(2).told();
    told += &with("rows.jsonl=attic/data/rows.jsonl").exits(2).told();
    let right = std::fs::read_to_string(sandbox.path("attic/data/rows.jsonl")).unwrap();
    sandbox.write("attic/data/other.jsonl", right.replacen("\"q\"", "\"Q\"", 1));
    told += &with("data/rows.jsonl=attic/data/other.jsonl").exits(2).told();
    sandbox.write("attic/data/fewer.jsonl", right.lines().skip(1).collect::<Vec<_>>().join("\n"));
    told += &with("data/rows.jsonl=attic/data/fewer.jsonl").exits(2).told();
    crate::sandbox::assert_told("reproduce_without_data", &told);
    assert!(!sandbox.path("again").exists());
    let said = with("data/rows.jsonl=attic/data/rows.jsonl").exits(0).stdout;
    assert!(said.contains("equal: all "), "{said}");
    // Beside the bundle nothing needs to be said.
    std::fs::rename(sandbox.path("attic/data"), sandbox.path("data")).unwrap();
    let again = ["reproduce", "files-1.mstar", "--folder", "third", "--workers", "1", "--quiet"];
    sandbox.mstar(&again).exits(0);
}
