//! Checkpoints in the Hugging Face layout: asked as transformers asks them, and evolved as the
//! embedded model is. The folders are what `tests/parity/checkpoints.py` wrote.

use crate::sandbox::{Sandbox, assert_told};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Those that are compared.
const CHECKPOINTS: [&str; 5] = ["internvl", "minicpm-v", "phi-3-vision", "qwen2.5-vl", "smolvlm"];

pub(crate) fn checkpoint(name: &str) -> PathBuf {
    let folder = std::env::var_os("MSTAR_PARITY_DIR").expect(
        "MSTAR_PARITY_DIR must name the folder that `python tests/parity/goldens.py DIR` wrote",
    );
    PathBuf::from(folder).join("checkpoints").join(name)
}

#[derive(Deserialize)]
struct Golden {
    question: String,
    images: Vec<String>,
    tokens: Vec<i64>,
    answer: Vec<i64>,
    text: String,
}

fn asked(folder: &Path) -> Vec<Golden> {
    serde_json::from_slice(&fs::read(folder.join("asked/asked.json")).unwrap()).unwrap()
}

#[test]
fn questions_are_answered_as_transformers_answers_them() {
    let sandbox = Sandbox::new();
    for name in CHECKPOINTS {
        let folder = checkpoint(name);
        let goldens = asked(&folder);
        assert!(goldens.iter().any(|golden| golden.images.len() > 1), "{name}");
        for golden in goldens {
            let longest = golden.answer.len().to_string();
            let shown = folder.display().to_string();
            let images: Vec<String> =
                golden.images.iter().map(|it| folder.join(it).display().to_string()).collect();
            let mut call = vec!["sample", &shown, &golden.question, "--max-new-tokens", &longest];
            images.iter().for_each(|image| call.extend(["--image", image]));
            let said = sandbox.mstar(&[&call[..], &["--format", "json"]].concat()).exits(0).json();
            assert_eq!(said["prompt_tokens"], json!(golden.tokens), "{name}: {}", golden.question);
            assert_eq!(said["tokens"], json!(golden.answer), "{name}: {}", golden.question);
            assert_eq!(said["text"], json!(golden.text), "{name}");
            // Piece by piece it is the same text.
            let streamed = sandbox.mstar(&call).exits(0).stdout;
            let text = mstar::base::printable(&golden.text);
            assert_eq!(streamed.strip_suffix('\n'), Some(&*text), "{name}");
        }
    }
}

pub(crate) const RECIPE: &str = r#"name = "real"
[policy]
model = "tiny"
[data]
source = "jsonl:rows.jsonl"
prompts = 8
validation = 4
test = 4
[warmup]
samples = 2
[training]
iterations = 1
interval = 0.5
batch_size = 4
learning_rate = 0.001
[exploration]
samples = 2
max_new_tokens = 12
[hooks]
script = "all.rhai"
"#;

/// A folder with a recipe, pictures and the tiny checkpoint.
pub(crate) fn sandbox_with(name: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path("tiny")).unwrap();
    for entry in fs::read_dir(checkpoint(name)).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, sandbox.path("tiny").join(path.file_name().unwrap())).unwrap();
        }
    }
    let pictures = ["00", "10", "30", "31"];
    for picture in pictures {
        let from = checkpoint(name).join(format!("asked/{picture}.png"));
        fs::copy(from, sandbox.path(&format!("{picture}.png"))).unwrap();
    }
    let row = |at: usize| {
        let image = format!("{}.png", pictures[at % pictures.len()]);
        let question = format!("How many bars are in {at}?");
        json!({ "question": question, "answer": (at % 5).to_string(), "image": image }).to_string()
    };
    sandbox.write("rows.jsonl", (0..16).map(row).collect::<Vec<_>>().join("\n"));
    // Random weights answer nothing: here whatever they say is right.
    sandbox.write(
        "all.rhai",
        "fn extract(response) { response.text }\nfn correct(answer, gold) { true }\n",
    );
    sandbox.write("real.toml", RECIPE);
    sandbox
}

#[test]
fn a_checkpoint_evolves() {
    for name in CHECKPOINTS {
        let sandbox = sandbox_with(name);
        sandbox.mstar(&["check", "real.toml"]).exits(0);
        let said = sandbox.mstar(&["run", "real.toml", "--workers", "1"]).exits(0).told();
        assert!(said.contains("train 1"), "{said}");
        let trained = sandbox.artifact_of("train 1");
        // What a stranger needs to open it is beside the weights, byte for byte.
        for file in
            ["config.json", "tokenizer.json", "preprocessor_config.json", "chat_template.jinja"]
        {
            let own = fs::read(trained.join(file)).unwrap();
            assert_eq!(own, fs::read(checkpoint(name).join(file)).unwrap(), "{name}: {file}");
        }
        let before = fs::read(sandbox.path("tiny/model.safetensors")).unwrap();
        assert_ne!(before, fs::read(trained.join("model.safetensors")).unwrap());
        let again = sandbox.mstar(&["run", "real.toml", "--workers", "1"]).exits(0).told();
        assert!(again.contains("15 of 15 stages were stored"), "{again}");
        let image = sandbox.path("00.png").display().to_string();
        sandbox
            .mstar(&["sample", "real-1", "How many?", "--image", &image, "--max-new-tokens", "4"])
            .exits(0);
    }
}

#[test]
fn a_run_of_a_checkpoint_is_handed_over() {
    let sandbox = sandbox_with("smolvlm");
    let recipe = sandbox.path("real.toml").display().to_string();
    sandbox.mstar(&["run", &recipe, "--workers", "1"]).exits(0);
    sandbox.mstar(&["bundle"]).exits(0);
    let said = sandbox.mstar(&["verify", "real-1.mstar"]).exits(0).stdout;
    assert!(said.contains("`tiny` has to be there"), "{said}");
    fs::rename(sandbox.path("tiny"), sandbox.path("other")).unwrap();
    let again = ["reproduce", "real-1.mstar", "--folder", "again", "--workers", "1"];
    let said = sandbox.mstar(&again).exits(2).stderr;
    assert!(said.contains("`--data tiny=PATH`") && !sandbox.path("again").exists(), "{said}");
    let said = sandbox.mstar(&[&again[..], &["--data", "tiny=other"]].concat()).exits(0).stdout;
    assert!(said.contains("equal: all "), "{said}");
}

#[test]
fn a_reward_model_is_trained_on_a_checkpoint() {
    let sandbox = sandbox_with("smolvlm");
    let process = [
        "--set",
        "reward.model=\"process\"",
        "--set",
        "reward.select={top=1}",
        "--set",
        "reward.steps=\"line\"",
        "--set",
        "reward.training.prompts=4",
        "--set",
        "reward.training.samples=2",
        "--set",
        "reward.training.completions=2",
        "--set",
        "exploration.samples=2",
    ];
    sandbox.mstar(&[&["run", "real.toml", "--workers", "1"][..], &process].concat()).exits(0);
    assert!(sandbox.artifact_of("train reward").join("reward_head.safetensors").is_file());
}

#[test]
fn fewer_pixels_are_fewer_tokens() {
    let sandbox = sandbox_with("smolvlm");
    let key = |more: &[&str]| {
        let planned = sandbox.mstar(&[&["plan", "real.toml", "--format", "json"], more].concat());
        let planned: Value = planned.exits(0).json();
        let stages = planned["stages"].as_array().unwrap().clone();
        stages.iter().find(|it| it["name"] == "import").unwrap()["key"].clone()
    };
    assert_ne!(key(&[]), key(&["--set", "policy.image_pixels=1024"]));
    let tiny = sandbox.path("tiny").display().to_string();
    let image = sandbox.path("10.png").display().to_string();
    let tokens = |pixels: &str| {
        let call = ["sample", &tiny, "?", "--image", &image, "--max-new-tokens", "1"];
        let more = ["--format", "json", "--image-pixels", pixels];
        let said = sandbox.mstar(&[&call[..], &more].concat()).exits(0).json();
        said["prompt_tokens"].as_array().unwrap().len()
    };
    assert!(tokens("1024") + 10 < tokens("0"), "{} {}", tokens("1024"), tokens("0"));
}

#[test]
fn a_folder_that_is_no_checkpoint_is_told_with_its_place() {
    let sandbox = sandbox_with("smolvlm");
    let check = |model: &str| {
        let set = format!("policy.model=\"{model}\"");
        sandbox.mstar(&["plan", "real.toml", "--set", &set]).exits(2).told()
    };
    let mut told = check("./none");
    fs::create_dir(sandbox.path("empty")).unwrap();
    told += &check("empty");
    fs::create_dir(sandbox.path("pickled")).unwrap();
    sandbox.write("pickled/config.json", "{}");
    sandbox.write("pickled/pytorch_model.bin", "");
    told += &check("pickled");
    sandbox
        .write("tiny/model.safetensors.index.json", r#"{"weight_map": {"a": "part.safetensors"}}"#);
    told += &sandbox.mstar(&["check", "real.toml"]).exits(2).told();
    fs::remove_file(sandbox.path("tiny/model.safetensors.index.json")).unwrap();
    fs::remove_file(sandbox.path("tiny/chat_template.jinja")).unwrap();
    let run = sandbox.mstar(&["run", "real.toml", "--workers", "1"]).exits(1).told();
    assert!(run.contains("the checkpoint has no chat template"), "{run}");
    sandbox.write("tiny/chat_template.jinja", "{{ messages }}");
    sandbox.write("tiny/config.json", r#"{"model_type": "llava"}"#);
    let run = sandbox.mstar(&["run", "real.toml", "--workers", "1"]).exits(1).told();
    assert!(run.contains("llava"), "{run}");
    assert_told("model_folders_refused", &told);
}

/// What `recipes/smol/make.py` made.
fn smol() -> PathBuf {
    let folder = std::env::var_os("MSTAR_SMOL_DIR").expect(
        "MSTAR_SMOL_DIR must name the folder that `python recipes/smol/make.py DIR` filled",
    );
    PathBuf::from(folder)
}

#[test]
fn a_real_language_model_takes_a_few_steps() {
    let sandbox = Sandbox::new();
    let recipe = include_str!("../../recipes/smol.toml");
    sandbox.write("smol.toml", recipe.replace("smol/", &format!("{}/", smol().display())));
    let small = [
        "data.prompts=12",
        "data.validation=0",
        "data.test=4",
        "warmup.prompts=8",
        "warmup.epochs=1",
        "training.iterations=1",
        "training.batch_size=4",
        "training.allow_empty=true",
        "exploration.samples=2",
        "evaluation.pass_samples=2",
        "control.equal_steps=false",
    ];
    let set: Vec<&str> = small.iter().flat_map(|it| ["--set", it]).collect();
    let checked = sandbox.mstar(&["check", "smol.toml"]).exits(0).stderr;
    assert!(checked.starts_with("smol.toml: good, "), "{checked}");
    let run = sandbox.mstar(&[&["run", "smol.toml", "--workers", "1"][..], &set].concat());
    let said = run.exits(0).told();
    assert!(said.contains("136788288 parameters"), "{said}");
    // From the first step on the loss falls, for the language model knows how text goes on.
    let metrics = fs::read(sandbox.artifact_of("warm-up train").join("metrics.json")).unwrap();
    let metrics: Value = serde_json::from_slice(&metrics).unwrap();
    let loss = |step: usize| metrics["losses"][step][1].as_f64().unwrap();
    assert!(loss(1) < loss(0), "{metrics}");
}
