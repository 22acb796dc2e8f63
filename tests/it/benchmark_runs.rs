//! Benchmarks that models are asked: outside any run, and after each iteration of one.

use crate::real_models::checkpoint;
use crate::sandbox::{SMALL, Sandbox};
use base64::Engine as _;
use mstar::base::Seed;
use mstar::data::mini_vista::{MiniVista, POOL_ONE_OPERATION, Stream};
use mstar::data::preview::png;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// The embedded task's own questions in the form of MathVista: rows by pid, with pictures beside them.
fn drawn(sandbox: &Sandbox, count: u64) -> Vec<String> {
    let task = MiniVista::new(Seed(7), POOL_ONE_OPERATION);
    let mut rows = Map::new();
    let mut questions = Vec::new();
    for index in 0..count {
        let sample = task.example(Stream::Test, index).sample();
        let name = format!("{index}.png");
        sandbox.write(&name, png(&sample.images[0]).unwrap());
        let answer = sample.answer.unwrap();
        let is_number = answer.parse::<i64>().is_ok();
        let row = json!({
            "question": sample.question, "image": name, "answer": answer, "precision": 1.0,
            "question_type": "free_form", "choices": null,
            "answer_type": if is_number { "integer" } else { "text" },
            "metadata": { "task": sample.category },
        });
        rows.insert(index.to_string(), row);
        questions.push(sample.question);
    }
    sandbox.write("testmini.json", Value::from(rows).to_string());
    questions
}

/// Four questions of MMBench, of which two are rotations that share a picture.
fn rotated(sandbox: &Sandbox) {
    let image = image::RgbImage::from_fn(8, 8, |x, y| image::Rgb([x as u8 * 30, y as u8 * 30, 90]));
    let image = base64::engine::general_purpose::STANDARD.encode(png(&image).unwrap());
    let table = format!(
        "index\tquestion\thint\tA\tB\tC\tanswer\tcategory\tl2-category\timage\n\
         1\twhich?\tlook well\tcat\tdog\t\tA\tanimals\tlogic_reasoning\t{image}\n\
         1000001\twhich?\tlook well\tdog\tcat\t\tB\tanimals\tlogic_reasoning\t1\n\
         2\thow many?\tnan\tone\ttwo\tNone\tB\tnumbers\tlogic_reasoning\t{image}\n\
         3\twhat?\t\tred\tblue\t\tA\tcolours\tcoarse_perception\t{image}\n"
    );
    sandbox.write("dev.tsv", table);
}

fn lines(sandbox: &Sandbox, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(sandbox.path(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_model_is_asked_and_scored_as_its_saved_responses_are() {
    let sandbox = Sandbox::new();
    let questions = drawn(&sandbox, 12);
    let benchmark = ["--benchmark", "mathvista", "--data", "testmini.json", "--format", "json"];
    let asked = ["eval", "builtin:mini-vlm", "--save", "said.jsonl", "--device", "cpu"];
    let scores = sandbox.mstar(&[&asked[..], &benchmark].concat()).exits(0).json();
    assert_eq!((&scores["count"], &scores["missing"]), (&json!(12), &json!([])));
    assert!(scores["correct"].as_u64().unwrap() > 0, "{scores}");
    let said = lines(&sandbox, "said.jsonl");
    assert_eq!(said.len(), 12);
    let again = ["eval", "--responses", "said.jsonl"];
    assert_eq!(sandbox.mstar(&[&again[..], &benchmark].concat()).exits(0).json(), scores);

    let id = said[3]["id"].as_str().unwrap();
    let sample = ["sample", "builtin:mini-vlm", &questions[id.parse::<usize>().unwrap()]];
    let image = format!("{id}.png");
    let streamed = sandbox.mstar(&[&sample[..], &["--image", &image]].concat()).exits(0).stdout;
    assert_eq!(said[3]["response"].as_str().unwrap().trim(), streamed.trim());
}

#[test]
fn a_checkpoint_is_asked_with_choices_and_the_pictures_of_rotations() {
    let sandbox = Sandbox::new();
    rotated(&sandbox);
    let folder = checkpoint("smolvlm").display().to_string();
    let model = ["eval", &folder, "--max-new-tokens", "4", "--save", "said.jsonl"];
    let data = ["--benchmark", "mmbench", "--data", "dev.tsv", "--format", "json"];
    let scores = sandbox.mstar(&[&model[..], &data].concat()).exits(0).json();
    assert_eq!((&scores["count"], &scores["circular"]), (&json!(3), &json!(true)));
    let ids: Vec<String> =
        lines(&sandbox, "said.jsonl").iter().map(|it| it["id"].as_str().unwrap().into()).collect();
    assert_eq!(ids, ["1", "1000001", "2", "3"]);
}

#[test]
fn what_cannot_be_asked_is_told() {
    let sandbox = Sandbox::new();
    drawn(&sandbox, 3);
    std::fs::remove_file(sandbox.path("1.png")).unwrap();
    let data = ["--benchmark", "mathvista", "--data", "testmini.json"];
    let said = sandbox.mstar(&[&["eval", "builtin:mini-vlm"], &data[..]].concat()).exits(2);
    assert!(said.stderr.contains("`1.png`, and there is no such file"), "{}", said.stderr);
    drawn(&sandbox, 3);
    let said = sandbox.mstar(&[&["eval", "builtin:other"], &data[..]].concat()).exits(2);
    assert!(said.stderr.contains("no model is called `builtin:other`"), "{}", said.stderr);
    sandbox.mstar(&[&["eval"], &data[..]].concat()).exits(2);
    let both = ["eval", "builtin:mini-vlm", "--responses", "said.jsonl"];
    sandbox.mstar(&[&both[..], &data].concat()).exits(2);
}

static RECIPE: LazyLock<String> = LazyLock::new(|| {
    format!(
        r#"name = "measured"
[policy]
model = "builtin:mini-vlm"
[data]
prompts = 40
validation = 8
test = 0
benchmarks = ["mathvista:bench"]
{SMALL}"#
    )
});

#[test]
fn a_recipe_measures_after_each_iteration_what_eval_measures() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("bench")).unwrap();
    let inside = |name: &str| sandbox.path("bench").join(name);
    drawn(&sandbox, 16);
    for name in (0..16).map(|at| format!("{at}.png")).chain(["testmini.json".to_owned()]) {
        std::fs::rename(sandbox.path(&name), inside(&name)).unwrap();
    }
    sandbox.write("measured.toml", &*RECIPE);
    sandbox.mstar(&["run", "measured.toml"]).exits(0);
    let metrics = |stage: &str| -> Value {
        let file = sandbox.artifact_of(stage).join("metrics.json");
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    };
    assert_eq!(metrics("prepare mathvista/testmini")["questions"], json!(16));
    let last = metrics("evaluate 1 mathvista");
    assert_eq!((&last["split"], &last["count"]), (&json!("mathvista"), &json!(16)));
    assert_eq!(last["breakdowns"]["task"], last["categories"]);
    let alone = [
        &["eval", "measured", "--benchmark", "mathvista", "--data", "bench"][..],
        &["--max-new-tokens", "24", "--format", "json"],
    ];
    let alone = sandbox.mstar(&alone.concat()).exits(0).json();
    for name in ["count", "correct", "accuracy", "interval", "unanswered"] {
        assert_eq!(alone[name], last[name], "{name}");
    }
    assert!(alone["correct"].as_u64().unwrap() > 0, "{alone}");
    let report = sandbox.mstar(&["report", "--format", "json"]).exits(0).stdout;
    assert!(report.contains("\"mathvista\""), "{report}");
    let walked = ["rollouts", "measured", "--stage", "evaluate 1 mathvista", "--format", "json"];
    sandbox.mstar(&walked).exits(0);

    assert_eq!(metrics("overlap mathvista/testmini")["shared"], json!(0));

    // Where its files lie is in no key; what they hold is.
    let key = sandbox.key_of("prepare mathvista/testmini");
    std::fs::rename(sandbox.path("bench"), sandbox.path("moved")).unwrap();
    let set = ["--set", "data.benchmarks=['mathvista/testmini:moved']"];
    let plan = |sandbox: &Sandbox| {
        let call = [&["plan", "measured.toml", "--format", "json"][..], &set].concat();
        sandbox.mstar(&call).exits(0).stdout
    };
    assert!(plan(&sandbox).contains(&key));
    let file = sandbox.path("moved/testmini.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("\"precision\":1.0", "\"precision\":2.0", 1)).unwrap();
    assert!(!plan(&sandbox).contains(&key));
    std::fs::write(&file, "{\"1\": {}}").unwrap();
    let said = sandbox.mstar(&[&["check", "measured.toml"][..]].concat()).exits(2);
    assert!(said.stderr.contains("bench"), "{}", said.stderr);
}

#[test]
fn a_bundle_with_benchmarks_is_reproduced_where_their_files_are() {
    let sandbox = Sandbox::new();
    std::fs::create_dir_all(sandbox.path("study/bench")).unwrap();
    drawn(&sandbox, 12);
    for name in (0..12).map(|at| format!("{at}.png")).chain(["testmini.json".to_owned()]) {
        std::fs::rename(sandbox.path(&name), sandbox.path("study/bench").join(&name)).unwrap();
    }
    sandbox.write("study/measured.toml", &*RECIPE);
    sandbox.mstar(&["run", "study/measured.toml", "--workers", "1"]).exits(0);
    sandbox.mstar(&["lock", "study/measured.toml", "--device", "cpu"]).exits(0);
    sandbox.mstar(&["lock", "study/measured.toml", "--device", "cpu", "--check"]).exits(0);
    sandbox.mstar(&["bundle"]).exits(0);
    let said = sandbox.mstar(&["verify", "measured-1.mstar"]).exits(0).stdout;
    assert!(said.contains("`bench` has to be there"), "{said}");
    std::fs::rename(sandbox.path("study"), sandbox.path("attic")).unwrap();
    let again = ["reproduce", "measured-1.mstar", "--folder", "again", "--workers", "1"];
    let with = |place: &str| sandbox.mstar(&[&again[..], &["--data", place]].concat());
    let said = sandbox.mstar(&again).exits(2).stderr;
    assert!(said.contains("`--data bench=PATH`"), "{said}");
    let file = sandbox.path("attic/bench/testmini.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen("\"precision\":1.0", "\"precision\":2.0", 1)).unwrap();
    let said = with("bench=attic/bench").exits(2).stderr;
    assert!(said.contains("is not what the run read as `bench`"), "{said}");
    assert!(!sandbox.path("again").exists());
    std::fs::write(&file, text).unwrap();
    let said = with("bench=attic/bench").exits(0).stdout;
    assert!(said.contains("mathvista.accuracy") && said.contains("equal: all "), "{said}");
    // What was reproduced is the same as what was bundled, to programs and to people.
    let same = ["diff", "measured-1.mstar", "measured-1", "--format", "json"];
    assert_eq!(sandbox.mstar(&same).exits(0).json()["same"], json!(true));
    // Beside the bundle nothing needs to be said.
    std::fs::rename(sandbox.path("attic/bench"), sandbox.path("bench")).unwrap();
    let beside = ["reproduce", "measured-1.mstar", "--folder", "third", "--workers", "1", "-q"];
    sandbox.mstar(&beside).exits(0);
}

#[test]
fn questions_of_a_benchmark_among_the_prompts_are_told() {
    let sandbox = Sandbox::new();
    let questions = drawn(&sandbox, 6);
    let task = MiniVista::new(Seed(1), POOL_ONE_OPERATION);
    let mut rows = Vec::new();
    for index in 0..30 {
        let sample = task.example(Stream::Train, index).sample();
        let name = format!("own-{index}.png");
        sandbox.write(&name, png(&sample.images[0]).unwrap());
        rows.push(json!({ "question": sample.question, "answer": sample.answer, "image": name }));
    }
    // Two of the benchmark's own, one with other marks and with choices; one with another picture.
    rows.push(json!({ "question": questions[1], "answer": "1", "image": "1.png" }));
    rows.push(json!({
        "question": questions[2].to_uppercase(), "answer": "A", "image": "2.png",
        "choices": ["1", "2"],
    }));
    rows.push(json!({ "question": questions[3], "answer": "1", "image": "own-3.png" }));
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    sandbox.write("rows.jsonl", lines);
    sandbox.write(
        "measured.toml",
        "name = \"measured\"\n[data]\nsource = \"jsonl:rows.jsonl\"\nprompts = 21\n\
         validation = 6\ntest = 6\nbenchmarks = [\"mathvista:testmini.json\"]\n\
         [warmup]\nenabled = false\n[training]\niterations = 0\n\
         [exploration]\nmax_new_tokens = 4\n[evaluation]\npass_samples = 0\n",
    );
    sandbox.mstar(&["run", "measured.toml", "--workers", "1"]);
    let file = sandbox.artifact_of("overlap mathvista/testmini").join("metrics.json");
    let metrics: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!((&metrics["questions"], &metrics["shared"]), (&json!(6), &json!(2)), "{metrics}");
    let of = |split: &str| metrics[split]["exact"].as_u64().unwrap();
    assert_eq!(["train", "validation", "test"].map(of).iter().sum::<u64>(), 2, "{metrics}");
    let report = sandbox.mstar(&["report"]).exits(0).stdout;
    assert!(report.contains("`mathvista/testmini` share "), "{report}");
}

#[test]
fn a_benchmark_is_named_as_in_a_recipe_and_asked_in_the_type_that_is_said() {
    let sandbox = Sandbox::new();
    drawn(&sandbox, 4);
    let eval = |benchmark: &str, more: &[&str]| {
        let call = ["eval", "builtin:mini-vlm", "--format", "json", "--benchmark", benchmark];
        sandbox.mstar(&[&call[..], more].concat())
    };
    let scores = eval("mathvista:testmini.json", &[]).exits(0).json();
    assert_eq!(eval("mathvista", &["--data", "testmini.json"]).exits(0).json(), scores);
    let said = eval("mathvista:testmini.json", &["--data", "testmini.json"]).exits(2).stderr;
    assert!(said.contains("both say where"), "{said}");
    assert_eq!(eval("mathvista:testmini.json", &["--dtype", "bf16"]).exits(0).json()["count"], 4);
    eval("mathvista:testmini.json", &["--dtype", "fp16"]).exits(2);
    // Without a word the files are those of the hub, which is not asked here.
    let said = eval("mathvista", &[]).exits(2).stderr;
    assert!(said.contains("mstar fetch datasets/AI4Math/MathVista"), "{said}");
    std::fs::create_dir(sandbox.path("folder")).unwrap();
    for name in ["0.png", "1.png", "2.png", "3.png", "testmini.json"] {
        std::fs::copy(sandbox.path(name), sandbox.path("folder").join(name)).unwrap();
    }
    let whole = ["--data", "folder", "--save", "folder/testmini.json"];
    let one = eval("mathvista:testmini.json", &["--save", "testmini.json"]);
    for said in [one, eval("mathvista", &whole)] {
        let said = said.exits(2).stderr;
        assert!(said.contains("is not overwritten"), "{said}");
    }
    assert_eq!(eval("mathvista:testmini.json", &[]).exits(0).json(), scores);
}
