//! The recipes and the experiments of the project: recipes are short and run at a tiny size, experiments
//! share their work.

use crate::sandbox::{entries, mstar_at_home};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Paths of the recipes below a folder, from the root of the repository.
fn recipes(folder: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let name = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
    let paths = entries(&root.join(folder)).into_iter();
    let recipes = paths.filter(|path| path.extension().is_some_and(|it| it == "toml"));
    recipes.map(|path| name(&path)).collect()
}

/// Paths of the experiments.
fn experiments() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let folders = entries(&root).into_iter().filter(|it| it.join("experiment.toml").exists());
    let name = |folder: &Path| folder.file_name().unwrap().to_str().unwrap().to_owned();
    folders.map(|folder| format!("experiments/{}/experiment.toml", name(&folder))).collect()
}

#[test]
fn every_recipe_is_short_and_says_what_it_costs() {
    let long = ["recipes/base.toml", "recipes/quickstart.toml"];
    let all = [recipes("recipes"), recipes("recipes/paper"), recipes("experiments")].concat();
    assert!(all.len() >= 12, "{all:?}");
    for recipe in all {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&recipe)).unwrap();
        if !long.contains(&recipe.as_str()) {
            // What it does is tested below what it says.
            let lines = text.lines().take_while(|line| *line != "[[test]]").count();
            let most = if recipe.starts_with("experiments") { 50 } else { 40 };
            assert!(lines <= most, "{recipe} has {lines} lines");
            assert!(text.contains("Cost: "), "{recipe} does not say what it costs");
        }
    }
}

#[test]
fn every_experiment_plans_and_together_they_share_most_of_their_work() {
    let mut samples: BTreeMap<String, u64> = BTreeMap::new();
    let mut apart = 0;
    for experiment in experiments() {
        let plan = mstar_at_home(&["plan", &experiment, "--format", "json"]).exits(0).json();
        let seeds: Vec<&Value> =
            plan["members"].as_array().unwrap().iter().map(|it| &it["values"]["seed"]).collect();
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&experiment));
        // One seed may choose, and only several may claim.
        let text = text.unwrap();
        let claims = text.contains("over = \"seed\"") || text.contains("[[finding]]");
        // What `make experiments` runs into one store; the other records stand alone.
        let is_of_the_set = text.contains("[[finding]]");
        let has_three = (0..3).all(|seed| seeds.iter().any(|it| **it == seed));
        assert!(has_three || !claims, "{experiment}");
        for stage in plan["stages"].as_array().unwrap() {
            // What a response costs does not depend on who draws it.
            if !is_of_the_set {
                continue;
            }
            let Some(drawn) = stage["estimate"]["samples"].as_u64() else { continue };
            if !["explore", "monitor", "evaluate", "label"]
                .contains(&stage["kind"].as_str().unwrap())
            {
                continue;
            }
            apart += drawn * stage["members"].as_array().unwrap().len() as u64;
            samples.insert(stage["key"].as_str().unwrap().to_owned(), drawn);
        }
    }
    let shared: u64 = samples.values().sum();
    assert!(shared * 5 < apart * 2, "{shared} responses of {apart}");
}

#[test]
fn every_experiment_stands_on_every_recipe_of_the_embedded_task() {
    let experiments = experiments();
    for base in ["quickstart", "process-reward", "mstar", "mixed", "balanced"] {
        let base = format!("recipes/{base}.toml");
        let mut arguments = vec!["check", "--base", &base];
        arguments.extend(experiments.iter().map(String::as_str));
        let said = mstar_at_home(&arguments).exits(0).stderr;
        assert_eq!(said.matches(": good, ").count(), experiments.len(), "{said}");
    }
}

#[cfg(feature = "torch")]
mod running {
    use super::*;
    use crate::sandbox::Sandbox;
    use mstar::data::table::{self, Choice, Rollout, TrainingExample};

    /// Sizes at which any recipe for the embedded task takes seconds.
    const TINY: [&str; 12] = [
        "data.prompts=60",
        "data.validation=12",
        "data.test=12",
        "training.iterations=2",
        "training.steps_per_iteration=3",
        "training.batch_size=4",
        "evaluation.pass_samples=2",
        "evaluation.every=2",
        "exploration.samples=4",
        "control.equal_steps=false",
        "temperature.value=0.7",
        "evaluation.temperatures=[]",
    ];

    fn run(sandbox: &Sandbox, recipe: &str, set: &[&str]) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let path = root.join(recipe).display().to_string();
        let mut arguments = vec!["run", &path];
        let sets = TINY.iter().chain(set);
        arguments.extend(sets.flat_map(|value| ["--set", *value]));
        sandbox.mstar(&arguments).exits(0);
    }

    fn rows<R: table::Row>(sandbox: &Sandbox, stage: &str, file: &str) -> Vec<R> {
        table::decode(&fs::read(sandbox.artifact_of(stage).join(file)).unwrap()).unwrap()
    }

    #[test]
    fn those_with_a_reward_model_run() {
        let sandbox = Sandbox::new();
        let small = [
            "warmup.prompts=30",
            "reward.training.prompts=12",
            "reward.training.samples=2",
            "reward.training.completions=2",
            "reward.training.held_out=0.4",
            "temperature.candidates={ from = 0.5, to = 1.0, step = 0.5 }",
            "temperature.samples=2",
            "temperature.prompts=6",
        ];
        run(&sandbox, "recipes/mstar.toml", &small);
        let smaller = ["temperature.maximise={ balance = 2 }", "reward.select={ above = 0.0 }"];
        run(&sandbox, "recipes/b-star.toml", &[&small[..], &smaller].concat());
    }

    /// A base on which the members of an experiment take seconds.
    const BASE: &str = r#"format = 1
name = "small"
[data]
prompts = 40
validation = 200
test = 12
[warmup]
prompts = 20
samples = 2
[training]
interval = 0.5
iterations = 1
steps_per_iteration = 2
batch_size = 4
learning_rate = 7e-4
[exploration]
samples = 2
max_new_tokens = 28
[evaluation]
pass_samples = 2
"#;

    #[test]
    fn the_command_that_runs_experiments_writes_what_came_of_them() {
        let python = std::env::var_os("MSTAR_TEST_PYTHON").unwrap_or("python3".into());
        let sandbox = Sandbox::new();
        sandbox.write("small.toml", BASE);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/run.py");
        let experiment = |with: &str| {
            let mut command = std::process::Command::new(&python);
            command.arg(&script).arg("final").current_dir(sandbox.path(""));
            command.args(["--mstar", env!("CARGO_BIN_EXE_mstar"), "--output", "out"]);
            command.args(["--with", with]).env("OMP_NUM_THREADS", "1");
            fs::create_dir_all(sandbox.path("out")).unwrap();
            command.output().unwrap()
        };
        let small = "--base small.toml --only warm-up,* --only continuous,*";
        for _ in 0..2 {
            let output = experiment(small);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let readme = fs::read_to_string(sandbox.path("out/README.md")).unwrap();
        // Written twice, told once, below what people wrote.
        assert_eq!(readme.matches("\n## final\n").count(), 1);
        assert!(readme.starts_with("# Experiments\n"), "{readme}");
        for part in [
            "| continuous | ",
            "* continuous training beats the warm-up: **",
            "![final](final/figure.svg)",
            "Seeds 0, 1, 2; ",
            "| **all** | 6 | ",
            " of the ",
        ] {
            assert!(readme.contains(part), "{part} is not in {readme}");
        }
        let figure = fs::read_to_string(sandbox.path("out/final/figure.svg")).unwrap();
        assert!(figure.starts_with("<svg "), "{figure}");

        let output = experiment("--base none.toml");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("stopped by exit code 2"), "{said}");
        assert!(!said.contains("Traceback"), "{said}");
    }

    #[test]
    fn those_that_sample_many_or_cap_run() {
        let sandbox = Sandbox::new();
        let capped = ["exploration.samples=8", "reward.keep_per_prompt=1", "data.prompts=40"];
        run(&sandbox, "recipes/rest-em.toml", &capped);
        let kept: Vec<TrainingExample> = rows(&sandbox, "select 1", "selected.parquet");
        let prompts: std::collections::BTreeSet<u64> = kept.iter().map(|it| it.prompt).collect();
        assert!(kept.len() == prompts.len() && !kept.is_empty(), "at most one a prompt");
        run(&sandbox, "recipes/rft.toml", &["training.iterations=1", "exploration.samples=8"]);
        let kept: Vec<TrainingExample> = rows(&sandbox, "select 1", "selected.parquet");
        let distinct: std::collections::BTreeSet<(u64, &str)> =
            kept.iter().map(|it| (it.prompt, it.response.as_str())).collect();
        assert_eq!(kept.len(), distinct.len());
    }

    #[test]
    fn failures_are_rationalised_and_the_hint_is_not_learned() {
        let sandbox = Sandbox::new();
        run(&sandbox, "recipes/star.toml", &["exploration.samples=2", "temperature.value=1.0"]);
        let first: Vec<Rollout> = rows(&sandbox, "explore 1", "rollouts.parquet");
        let both: Vec<Rollout> = rows(&sandbox, "rationalise 1", "rollouts.parquet");
        let choices: Vec<Choice> = rows(&sandbox, "select 1", "choices.parquet");
        assert_eq!(both[..first.len()], first, "what was explored comes along");
        let hinted = &both[first.len()..];
        let is_solved = |prompt: u64| first.iter().any(|it| it.prompt == prompt && it.correct);
        let unsolved = first.iter().filter(|it| !is_solved(it.prompt)).count();
        assert!(unsolved > 0 && unsolved < first.len());
        assert_eq!(hinted.len(), unsolved, "as many again for each prompt without a right one");
        assert!(hinted.iter().all(|it| !is_solved(it.prompt) && it.sample >= 2));
        assert_eq!(choices.len(), both.len());

        // What is learned is the response, after the prompt as the data has it.
        let kept: Vec<TrainingExample> = rows(&sandbox, "select 1", "selected.parquet");
        assert!(kept.iter().all(|it| !it.response.contains('?')), "no prompt is in a response");
        let trained = fs::read(sandbox.artifact_of("train 1").join("metrics.json")).unwrap();
        let trained: Value = serde_json::from_slice(&trained).unwrap();
        let tokens: usize = kept.iter().map(|it| it.tokens.len()).sum();
        assert!(tokens > 0 && trained["samples"] == kept.len(), "{trained}");
    }
}
