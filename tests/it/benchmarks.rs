//! Scores of responses that another engine gave: the rules against what the benchmarks' programs
//! make of the same texts (`tests/parity/judges.py`), and `mstar eval` as it is used.

use crate::sandbox::{Said, Sandbox};
use mstar::benchmarks::{self, Benchmark};
use mstar::rewards::benchmarks::{AnswerType, Options, Problem, infer_option, m3cot_option};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;

fn texts(value: &Value) -> Vec<String> {
    let texts = value.as_array().unwrap().iter();
    texts.map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn rules_agree_with_the_programs_of_the_benchmarks() {
    let folder = std::env::var_os("MSTAR_PARITY_DIR").expect(
        "MSTAR_PARITY_DIR must name the folder that `python tests/parity/goldens.py DIR` wrote",
    );
    let cases = std::fs::read_to_string(PathBuf::from(folder).join("judges.json")).unwrap();
    let cases: Value = serde_json::from_str(&cases).unwrap();
    let all = |name: &str| cases[name].as_array().unwrap().clone();
    for case in all("mathvista") {
        let problem = Problem {
            choices: case["choices"].is_array().then(|| texts(&case["choices"])),
            answer_type: match case["answer_type"].as_str().unwrap() {
                "integer" => AnswerType::Integer,
                "float" => AnswerType::Float,
                "list" => AnswerType::List,
                _ => AnswerType::Text,
            },
            precision: case["precision"].as_f64(),
        };
        let text = case["text"].as_str().unwrap();
        assert_eq!(problem.extract(text).as_deref(), case["extract"].as_str(), "{case}");
        let normal = problem.normalise(text, false);
        assert_eq!(normal.as_deref(), case["normalise"].as_str(), "{case}");
    }
    let letter = |option: Option<char>| option.map(|letter| letter.to_string());
    for case in all("m3cot") {
        let option = m3cot_option(case["text"].as_str().unwrap(), &texts(&case["choices"]));
        assert_eq!(letter(option).as_deref(), case["option"].as_str(), "{case}");
    }
    for case in all("options") {
        let options = Options::lettered(&texts(&case["choices"]));
        let option = infer_option(case["text"].as_str().unwrap(), &options);
        assert_eq!(letter(option).as_deref(), case["option"].as_str(), "{case}");
    }
    assert!(all("options").len() > 1000);
}

/// A benchmark's file, responses, and what `eval` says to them.
fn eval(name: &str, file: &str, data: &str, responses: &[Value], more: &[&str]) -> Said {
    let sandbox = Sandbox::new();
    sandbox.write(file, data);
    let lines: Vec<String> = responses.iter().map(Value::to_string).collect();
    sandbox.write("responses.jsonl", lines.join("\n"));
    let arguments = ["eval", "--benchmark", name, "--data", file, "--responses", "responses.jsonl"];
    sandbox.mstar(&[&arguments, more].concat())
}

fn mathvista() -> String {
    let question = |id: &str, kind: &str, choices: Value, answer: &str, task: &str| {
        json!({
            "pid": id, "question": "?", "choices": choices, "answer": answer, "precision": 1.0,
            "question_type": if choices.is_null() { "free_form" } else { "multi_choice" },
            "answer_type": kind,
            "metadata": { "task": task, "skills": ["arithmetic reasoning", "algebra"] },
        })
    };
    let vqa = "visual question answering";
    json!({
        "1": question("1", "float", Value::Null, "1.2", "math word problem"),
        "2": question("2", "integer", Value::Null, "4", vqa),
        "3": question("3", "text", json!(["red", "blue"]), "blue", vqa),
        "4": question("4", "text", json!(["yes", "no"]), "no", vqa),
        "5": question("5", "list", Value::Null, "[1, 2]", vqa),
    })
    .to_string()
}

#[test]
fn mathvista_is_scored_by_task_and_skill() {
    let responses = [
        json!({ "id": "1", "response": "It is 1.24 m." }),
        json!({ "id": 2, "response": "so", "extraction": "4.9" }),
        json!({ "id": "3", "response": "The answer is \"(B) blue\"." }),
        json!({ "id": "4", "response": "" }),
        json!({ "id": "4", "response": null }),
        json!({ "id": "9", "response": "x" }),
    ];
    let more = ["--format", "json"];
    let said = eval("mathvista", "testmini.json", &mathvista(), &responses, &more).exits(0);
    let scores = said.json();
    assert_eq!((&scores["count"], &scores["correct"]), (&json!(5), &json!(4)));
    assert_eq!(scores["accuracy"], json!(0.8));
    assert_eq!(scores["categories"], json!({ "MWP": 1.0, "VQA": 0.75 }));
    assert_eq!(scores["breakdowns"]["skills"]["algebra"]["count"], json!(5));
    assert_eq!(scores["missing"], json!(["5"]));
    assert_eq!(scores["repeated"], json!(["4"]));
    assert_eq!(scores["unknown"], json!(["9"]));
    assert_eq!(scores["unanswered"], json!(1));
    let record = |at: usize| scores["records"][at].clone();
    let first = json!({
        "id": "1", "extraction": "1.24", "prediction": "1.2", "correct": true, "found": "guess"
    });
    assert_eq!(record(0), first);
    // As the official program has it: an empty extraction takes the nearest choice.
    assert_eq!(record(3)["prediction"], json!("no"));
    assert_eq!(record(3)["correct"], json!(true));
    assert_eq!(said.stderr.lines().count(), 3);

    let more = ["--format", "json", "--partial", "--ignore-empty-extractions"];
    let scores = eval("mathvista", "a.json", &mathvista(), &responses, &more).exits(0).json();
    assert_eq!((&scores["count"], &scores["correct"]), (&json!(4), &json!(3)));
}

#[test]
fn mmbench_counts_a_question_when_all_its_rotations_are_right() {
    let image = "i".repeat(80);
    let data = format!(
        "index\tquestion\tA\tB\tC\tanswer\tcategory\tl2-category\timage\n\
         1\twhich?\tcat\tdog\t\tA\tanimals\tlogic_reasoning\t{image}\n\
         1000001\twhich?\tdog\tcat\t\tB\tanimals\tlogic_reasoning\t1\n\
         2\t\"with\ttab and \"\"quotes\"\"\"\tNone\ttwo\tone\tC\tnumbers\tlogic_reasoning\t1\n\
         3\twhat?\tred\tblue\t\tA\tcolours\tcoarse_perception\t{image}\n"
    );
    let responses = [
        json!({ "id": 1, "response": "A" }),
        json!({ "id": 1_000_001, "response": "Dog." }),
        json!({ "id": 2, "response": "(C)" }),
        json!({ "id": 3, "response": "red" }),
    ];
    let said = eval("mmbench", "dev.tsv", &data, &responses, &["--format", "json"]).exits(0);
    let scores = said.json();
    assert_eq!(scores["circular"], json!(true));
    assert_eq!((&scores["count"], &scores["correct"]), (&json!(3), &json!(2)));
    assert_eq!(scores["categories"]["logic_reasoning"], json!(0.5));
    assert_eq!(scores["records"][1]["prediction"], json!("A"));
    let text = eval("mmbench-r", "dev.tsv", &data, &responses, &[]).exits(0).stdout;
    assert!(text.contains("1/2") && !text.contains("coarse"), "{text}");
    let markdown =
        eval("mmbench-r", "dev.tsv", &data, &responses, &["--format", "markdown"]).exits(0);
    assert!(markdown.stdout.contains("| all | 50.0 |"), "{}", markdown.stdout);
}

#[test]
fn other_benchmarks_are_read_in_the_forms_they_have() {
    let m3cot = json!({
        "id": "m-1", "choices": ["ice", "fire"], "answer": "B", "domain": "science", "topic": "x"
    });
    let responses = [json!({ "id": "m-1", "response": "Hot. [Answer] (b)" })];
    let more = ["--format", "json"];
    let scores = eval("m3cot", "test.jsonl", &m3cot.to_string(), &responses, &more).exits(0);
    assert_eq!(scores.json()["categories"], json!({ "science": 1.0 }));

    let mmstar = [
        json!({ "index": 0, "answer": "A", "category": "math", "question": "?\nOptions: A: 1, B: 2" }),
        json!({ "index": 1, "answer": "B", "category": "coarse perception", "A": "x", "B": "y" }),
    ];
    let responses = [json!({ "id": 0, "response": "A" }), json!({ "id": 1, "response": "Y." })];
    let data = mmstar.map(|row| row.to_string()).join("\n");
    let all = eval("mmstar", "val.jsonl", &data, &responses, &more).exits(0).json();
    assert_eq!((&all["count"], &all["correct"]), (&json!(2), &json!(2)));
    let reasoning = eval("mmstar-r", "val.jsonl", &data, &responses, &more).exits(0).json();
    assert_eq!(reasoning["categories"], json!({ "math": 1.0 }));

    let ai2d = json!({ "question": "?", "options": ["leaf", "root"], "answer": "1" });
    let responses = [json!({ "id": "0", "response": "B." })];
    let scores = eval("ai2d", "test.jsonl", &ai2d.to_string(), &responses, &more).exits(0).json();
    assert_eq!(scores["correct"], json!(1));
}

#[test]
fn questions_are_asked_with_what_belongs_to_them() {
    let sandbox = Sandbox::new();
    let text = |name: &str, file: &str, row: &Value| {
        sandbox.write(file, row.to_string());
        sandbox.write("x.png", "is not looked at before it is decoded");
        let benchmark = Benchmark::named(name).unwrap();
        benchmarks::asked(&benchmark, &sandbox.path(file)).unwrap().remove(0).text
    };
    let choice = json!({
        "pid": "1", "question": "Which?", "choices": ["red", "blue"], "answer": "red",
        "question_type": "multi_choice", "answer_type": "text", "image": "x.png",
    });
    assert_eq!(text("mathvista", "a.jsonl", &choice), "Which?\nChoices:\n(A) red\n(B) blue");
    let mut query = choice.clone();
    query["query"] = json!("Hint: one\nQuestion: Which?\nChoices:\n(A) red\n(B) blue");
    assert_eq!(text("mathvista", "b.jsonl", &query), query["query"].as_str().unwrap());
    let m3cot = json!({
        "id": "m", "question": "Which?", "context": "Ice is cold.", "choices": ["ice", "fire"],
        "answer": "A", "image": "x.png",
    });
    let expected = "Ice is cold.\nWhich?\nChoices:\n(A) ice\n(B) fire";
    assert_eq!(text("m3cot", "c.jsonl", &m3cot), expected);
    let mmstar = json!({
        "index": 0, "question": "<image>Which?\nOptions: A: 1, B: 2", "answer": "A",
        "category": "math", "image": "x.png",
    });
    assert_eq!(text("mmstar", "d.jsonl", &mmstar), "Which?\nOptions: A: 1, B: 2");
    // What pandas reads as nothing is no option, and the letters of the others stay.
    let mmbench = json!({
        "index": 1, "question": "Which?", "hint": "nan", "A": "None", "B": "two", "C": "one",
        "answer": "C", "category": "x", "l2-category": "y", "image": "x.png",
    });
    assert_eq!(text("mmbench", "e.jsonl", &mmbench), "Which?\nChoices:\n(B) two\n(C) one");
}

#[test]
fn what_is_wrong_is_told_with_file_row_and_field() {
    let responses = [json!({ "id": 1, "response": "A" })];
    let tell = |name: &str, file: &str, data: &str, responses: &[Value]| {
        eval(name, file, data, responses, &[]).exits(2).stderr
    };
    let mut told = String::new();
    told += &tell("mathvist", "a.json", "{}", &responses);
    told += &tell("mathvista", "a.txt", "{}", &responses);
    told += &tell("mathvista", "a.json", "{\"1\": 3}", &responses);
    told += &tell("mathvista", "a.json", "[{\"pid\": 1}", &responses);
    told += &tell("mathvista", "a.json", &mathvista().replace("1.2", ""), &responses);
    told += &tell("mmbench", "a.tsv", "index\tA\tanswer\n1\tx\tA\tB\n", &responses);
    told += &tell("mmbench", "a.tsv", "index\tanswer\n1\tA\n", &responses);
    told += &tell("ai2d", "a.jsonl", "{\"options\": [\"x\"], \"answer\": \"?\"}", &responses);
    told += &tell("ai2d", "a.parquet", "PAR1 is no table PAR1", &responses);
    let ai2d = "{\"options\": [\"x\"], \"answer\": 0}";
    told += &tell("ai2d", "a.jsonl", ai2d, &responses);
    told += &tell("ai2d", "a.jsonl", ai2d, &[json!({ "id": 0 })]);
    told += &tell("ai2d", "a.jsonl", ai2d, &[json!({ "id": 0, "response": 7 })]);
    told += &tell("ai2d", "a.jsonl", "no JSON", &responses);
    crate::sandbox::assert_told("benchmarks_refused", &told);
}

/// A server that speaks as much of the API as is needed: it says 500 once, then always `B`.
fn server() -> (String, std::thread::JoinHandle<Vec<Value>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/v1", listener.local_addr().unwrap());
    let serve = move || {
        let mut asked = Vec::new();
        for at in 0..2 {
            let mut stream = listener.accept().unwrap().0;
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).unwrap() > 2 {
                let lower = line.to_lowercase();
                if let Some(number) = lower.strip_prefix("content-length:") {
                    length = number.trim().parse().unwrap();
                }
                assert!(!lower.starts_with("authorization") || line.contains("Bearer secret"));
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            asked.push(serde_json::from_slice(&body).unwrap());
            let reply = json!({ "choices": [{ "message": { "content": " B\n" } }] }).to_string();
            let (status, reply) = if at == 0 { ("500 Broken", "") } else { ("200 OK", &*reply) };
            let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n");
            let length = reply.len();
            write!(stream, "{head}content-length: {length}\r\n\r\n{reply}").unwrap();
        }
        asked
    };
    (address, std::thread::spawn(serve))
}

#[test]
fn a_model_extracts_what_the_rules_do_not_find() {
    let (address, served) = server();
    let responses = [
        json!({ "id": "3", "response": "The second colour." }),
        json!({ "id": "2", "response": "4" }),
    ];
    let more = ["--format", "json", "--extractor", &address, "--extractor-model", "judge"];
    let scores = eval("mathvista", "a.json", &mathvista(), &responses, &more).exits(0).json();
    let found = |at: usize| scores["records"][at]["found"].clone();
    assert_eq!((found(1), found(2)), (json!("rule"), json!("model")));
    assert_eq!(scores["correct"], json!(2));
    let asked = served.join().unwrap();
    assert_eq!(asked[1]["model"], json!("judge"));
    assert!(asked[1]["messages"][0]["content"].as_str().unwrap().contains("The second colour."));

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let address = format!("http://{closed}/v1");
    let more = ["--extractor", &address, "--extractor-model", "judge"];
    let said = eval("mathvista", "a.json", &mathvista(), &responses, &more).exits(2);
    assert!(said.stderr.contains("did not reply"), "{}", said.stderr);
}
