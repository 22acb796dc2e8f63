//! Benchmarks that models are asked: outside any run, and after each iteration of one.

use crate::real_models::checkpoint;
use crate::sandbox::Sandbox;
use base64::Engine as _;
use mstar::base::Seed;
use mstar::data::mini_vista::{MiniVista, POOL_ONE_OPERATION, Stream};
use mstar::data::preview::png;
use serde_json::{Map, Value, json};

/// The embedded task's own questions in the form of MathVista: rows by pid, with pictures beside them.
fn drawn(sandbox: &Sandbox, count: u64) -> Vec<String> {
    let task = MiniVista::new(Seed(7), POOL_ONE_OPERATION);
    let mut rows = Map::new();
    let mut questions = Vec::new();
    for index in 0..count {
        let sample = task.example(Stream::Test, index).sample();
        let name = format!("{index}.png");
        sandbox.write(&name, png(&sample.image).unwrap());
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
