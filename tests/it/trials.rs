//! Tests inside recipes: what they find, what is said of bad ones, and that they change nothing else.

use crate::sandbox::{RECIPE, Sandbox, assert_told, entries, mstar_at_home};
use serde_json::{Value, json};
use std::path::Path;

/// Paths of all recipes, from the root of the repository.
fn all_recipes() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["recipes", "recipes/paper", "experiments"];
    let files = folders.iter().flat_map(|folder| entries(&root.join(folder)));
    let recipes = files.filter(|path| path.extension().is_some_and(|it| it == "toml"));
    recipes.map(|path| path.strip_prefix(root).unwrap().display().to_string()).collect()
}

#[test]
fn every_recipe_has_tests_that_pass() {
    let recipes = all_recipes();
    let mut arguments = vec!["test", "--format", "json"];
    arguments.extend(recipes.iter().map(String::as_str));
    let told = mstar_at_home(&arguments).exits(0).json();
    assert_eq!(told["failed"], 0);
    assert!(told["passed"].as_u64().unwrap() >= 20, "{told}");
    let tested = told["recipes"].as_array().unwrap();
    assert_eq!(tested.len(), recipes.len());
    for recipe in tested {
        assert!(!recipe["tests"].as_array().unwrap().is_empty(), "{} has none", recipe["file"]);
    }
}

#[test]
fn faults_of_data_hide_none_of_tests() {
    let sandbox = Sandbox::new();
    let data = RECIPE.replace("builtin:mini-vista", "jsonl:gone.jsonl");
    let test = "\n[[test]]\nname = \"t\"\nsample = \"gone.json\"\nresponse = \"a\"\n\
                expect = { answer = \"\" }\n";
    sandbox.write("both.toml", data + test);
    let said = sandbox.mstar(&["check", "both.toml"]).exits(2).stderr;
    for words in ["`gone.jsonl` does not exist", "`gone.json` does not exist", "2 faults"] {
        assert!(said.contains(words), "{words} is not in {said}");
    }
}

const SCRIPT: &str = r#"fn prompt(sample) { sample.question + " now" }
fn extract(response) { if response.text.contains("boxed") { "9" } else { () } }
fn correct(answer, gold) { answer + "0" == gold || answer == gold }
fn reward(response) { response.tokens * 0.5 }
fn keep(candidate) { candidate.kept == 0 }
"#;

/// A recipe with a script, one test that passes, and one that fails in everything.
const SCRIPTED: &str = r#"format = 1
name = "scripted"
[hooks]
script = "hooks.rhai"
[reward]
model = "hook"
select = { top = 2 }

[[test]]
name = "as the script says"
sample = "given/sample.json"
response_file = "given/response.txt"
tokens = 6
expect = { answer = "9", correct = true, reward = 3.0 }

[[test]]
name = "otherwise"
question = "bar red ?"
gold = "9"
response = "boxed 9"
candidate = [
  { response = "boxed" },
  { response = "boxed boxed" },
  { response = "answer 9" },
]
expect = { answer = "8", correct = false, reward = 1.0, prompt = "bar red ?", kept = [0, 2], kept_count = 2 }
"#;

fn scripted() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("scripted.toml", SCRIPTED);
    sandbox.write("hooks.rhai", SCRIPT);
    std::fs::create_dir(sandbox.path("given")).unwrap();
    sandbox.write("given/sample.json", r#"{ "question": "bar red ?", "answer": "90" }"#);
    sandbox.write("given/response.txt", "so it is boxed 9\n");
    sandbox
}

#[test]
fn what_is_found_is_told_beside_what_is_expected() {
    let sandbox = scripted();
    let text = sandbox.mstar(&["test", "scripted.toml"]).exits(1);
    assert_told("trials_text", &text.told());
    let one = ["test", "scripted.toml", "--filter", "script says", "--format", "json"];
    let json = sandbox.mstar(&one).exits(0).json();
    assert_eq!(
        (&json["format"], &json["passed"], &json["failed"]),
        (&json!(1), &json!(1), &json!(0))
    );
    let test = &json["recipes"][0]["tests"][0];
    assert_eq!((&test["line"], &test["passed"]), (&json!(9), &json!(true)));
    let reward = json!({
        "what": "reward", "expected": 3.0, "found": 3.0, "agrees": true, "why": null, "line": 14,
    });
    assert!(test["findings"].as_array().unwrap().contains(&reward), "{test}");
}

#[test]
fn what_cannot_be_tried_is_told() {
    let sandbox = scripted();
    let mut told = String::new();
    let mut tried = |what: &str, arguments: &[&str]| {
        told += &format!("# {what}\n{}", sandbox.mstar(arguments).told());
    };
    let head = "format = 1\nname = \"a\"\n[data]\nvalidation = 20\n\n[[test]]\n";
    let answer = "response = \"answer 7\"\nexpect = { correct = true }\n";
    let number = format!("{head}sample = \"builtin:mini-vista/validation/20\"\n{answer}");
    sandbox.write("number.toml", number);
    tried("a number too far", &["test", "number.toml"]);
    tried("check says the same", &["check", "number.toml"]);
    sandbox.write("nowhere.toml", format!("{head}sample = \"nowhere.json\"\n{answer}"));
    tried("a file that is not there", &["test", "nowhere.toml"]);
    sandbox.write("no-sample.json", "{ \"question\": 3 }");
    sandbox.write("no-sample.toml", format!("{head}sample = \"no-sample.json\"\n{answer}"));
    tried("a file that is no sample", &["test", "no-sample.toml"]);
    sandbox.write("no-gold.toml", format!("{head}question = \"bar red ?\"\n{answer}"));
    tried("nothing to compare with", &["test", "no-gold.toml"]);
    std::os::unix::fs::symlink("/etc/hostname", sandbox.path("link.txt")).unwrap();
    let linked = format!("{head}response_file = \"link.txt\"\nexpect = {{ answer = \"a\" }}\n");
    sandbox.write("linked.toml", linked);
    tried("a link that leaves the folder", &["test", "linked.toml"]);
    sandbox
        .write("grid.toml", "format = 1\nname = \"g\"\nbase = \"tiny.toml\"\n[axis]\nseed = [1]\n");
    tried("an experiment", &["test", "grid.toml"]);
    tried("no such name", &["test", "scripted.toml", "--filter", "nothing"]);
    sandbox.write("hooks.rhai", SCRIPT.replace("response.tokens * 0.5", "response.nothing.at"));
    tried("a script that fails", &["test", "scripted.toml", "--filter", "script says"]);
    tried("one of two is wrong", &["test", "tiny.toml", "number.toml"]);
    assert_told("trials_refused", &told);
}

#[test]
fn a_sample_of_files_is_named_by_its_number() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("data")).unwrap();
    sandbox.write("data/a.png", b"no picture, and nobody looks");
    let row = |answer: &str| json!({ "q": "how many ?", "answer": answer, "image": "a.png" });
    let rows = ["3", "4"].map(|answer| row(answer).to_string()).join("\n");
    sandbox.write("data/rows.jsonl", format!("{rows}\n{{\"q\": 1\n"));
    let test = |sample: &str| {
        format!(
            "format = 1\nname = \"a\"\n[data]\nsource = \"jsonl:data/rows.jsonl\"\n\
             columns.question = \"q\"\non_bad_sample = \"skip\"\n\n[[test]]\n\
             sample = \"{sample}\"\nresponse = \"answer 4\"\nexpect = {{ correct = true }}\n"
        )
    };
    std::fs::create_dir(sandbox.path("study")).unwrap();
    std::fs::rename(sandbox.path("data"), sandbox.path("study/data")).unwrap();
    let mut told = String::new();
    for sample in ["data:1", "data:0", "data:2", "data:3", "data:x", "builtin:mini-vista/train/0"] {
        sandbox.write("study/a.toml", test(sample));
        told += &format!("# {sample}\n{}", sandbox.mstar(&["test", "study/a.toml"]).told());
    }
    assert_told("trials_of_files", &told);
    // Who has not got the data can still try what asks for none of it.
    std::fs::remove_file(sandbox.path("study/data/rows.jsonl")).unwrap();
    let said = sandbox.mstar(&["test", "study/a.toml"]).exits(2).stderr;
    assert!(said.contains("is no sample of"), "{said}");
    sandbox.write("study/a.toml", test("data:0"));
    let said = sandbox.mstar(&["test", "study/a.toml"]).exits(2).stderr;
    assert!(said.contains("`study/data/rows.jsonl` does not exist"), "{said}");
    let written = test("data:0").replace("sample = \"data:0\"", "question = \"?\"\ngold = \"4\"");
    sandbox.write("study/a.toml", written);
    sandbox.mstar(&["test", "study/a.toml"]).exits(0);
}

#[test]
fn chance_is_not_expected() {
    let sandbox = Sandbox::new();
    let test = "[reward]\nselect = { random = 1 }\n\n[[test]]\nquestion = \"a\"\ngold = \"7\"\n\
        candidate = [{ response = \"answer 7\" }, { response = \"; answer 7\" }]\n";
    for (expected, code) in [("kept = [0]", 1), ("kept = [1]", 1), ("kept_count = 1", 0)] {
        let text = format!("format = 1\nname = \"a\"\n{test}expect = {{ {expected} }}\n");
        sandbox.write("a.toml", text);
        let said = sandbox.mstar(&["test", "a.toml"]).exits(code).stdout;
        assert_eq!(said.contains("is chance: expect `kept_count`"), code == 1, "{said}");
    }
}

#[test]
fn tests_change_no_plan_and_belong_to_their_file() {
    let sandbox = Sandbox::new();
    let tested = "\n[[test]]\nname = \"of tiny\"\nquestion = \"bar red ?\"\n\
        expect = { prompt = \"bar red ?\" }\n";
    let keys = |file: &str| -> Vec<Value> {
        let plan = sandbox.mstar(&["plan", file, "--format", "json"]).exits(0).json();
        plan["stages"].as_array().unwrap().iter().map(|stage| stage["key"].clone()).collect()
    };
    let before = keys("tiny.toml");
    sandbox.write("tiny.toml", format!("{RECIPE}{tested}"));
    assert_eq!(keys("tiny.toml"), before);
    let shown = sandbox.mstar(&["show", "tiny.toml", "--resolved"]).exits(0).stdout;
    assert!(shown.ends_with("\n# [[test]] of tiny  # tiny.toml:41\n"), "{shown}");
    sandbox.write("above.toml", "format = 1\nname = \"above\"\nextends = \"tiny.toml\"\n");
    let said = sandbox.mstar(&["test", "tiny.toml", "above.toml"]).exits(0).stdout;
    assert_eq!(said, "tiny.toml\n  pass  of tiny\nabove.toml\n  no tests\n1 passed, 0 failed\n");
    // What is laid over a recipe may leave a test without sense: that is no matter of a plan.
    let kept = "\n[[test]]\nquestion = \"a\"\ngold = \"7\"\n\
        candidate = [{ response = \"answer 7\" }]\nexpect = { kept = [0] }\n";
    sandbox.write("tiny.toml", format!("{RECIPE}{kept}"));
    let process = ["reward.model=process", "reward.select={ top = 1 }"];
    let laid = ["--set", process[0], "--set", process[1]];
    sandbox.mstar(&[&["plan", "tiny.toml"][..], &laid].concat()).exits(0);
    let said = sandbox.mstar(&[&["test", "tiny.toml"][..], &laid].concat()).exits(2).stderr;
    assert!(said.contains("has no `score`"), "{said}");
}

/// What a run found in its responses and kept of them is what tests find and keep.
#[cfg(feature = "torch")]
#[test]
fn tests_judge_as_a_run_does() {
    use mstar::data::table::{self, Choice, Finish, Rollout};
    use std::collections::BTreeMap;
    let sandbox = Sandbox::finished();
    let read =
        |stage: &str, file: &str| std::fs::read(sandbox.artifact_of(stage).join(file)).unwrap();
    let rollouts: Vec<Rollout> = table::decode(&read("explore 1", "rollouts.parquet")).unwrap();
    let choices: Vec<Choice> = table::decode(&read("select 1", "choices.parquet")).unwrap();
    let mut text = RECIPE.to_owned();
    let mut prompts: BTreeMap<u64, (Vec<Value>, usize)> = BTreeMap::new();
    for (rollout, choice) in rollouts.iter().zip(&choices) {
        let sample = format!("builtin:mini-vista/train/{}", rollout.prompt);
        let finished = rollout.finish == Finish::Stop;
        let answer = rollout.extracted.clone().unwrap_or_default();
        text += &format!(
            "\n[[test]]\nsample = {sample:?}\nresponse = {:?}\nfinished = {finished}\n\
             expect = {{ answer = {answer:?}, correct = {} }}\n",
            rollout.response, rollout.correct,
        );
        let (candidates, kept) = prompts.entry(rollout.prompt).or_default();
        candidates.push(json!({ "response": rollout.response, "finished": finished }));
        *kept += usize::from(choice.verdict == "kept");
    }
    for (prompt, (candidates, kept)) in &prompts {
        text += &format!("\n[[test]]\nsample = \"builtin:mini-vista/train/{prompt}\"\n");
        text += &format!("expect = {{ kept_count = {kept} }}\n");
        for candidate in candidates {
            let (response, finished) = (&candidate["response"], &candidate["finished"]);
            text += &format!("[[test.candidate]]\nresponse = {response}\nfinished = {finished}\n");
        }
    }
    sandbox.write("judged.toml", text);
    let told = sandbox.mstar(&["test", "judged.toml", "--format", "json"]).exits(0).json();
    assert_eq!(told["passed"], rollouts.len() + prompts.len());
    let right = rollouts.iter().filter(|rollout| rollout.correct).count();
    assert!(right > 0 && right < rollouts.len(), "{right} of {}", rollouts.len());
}
