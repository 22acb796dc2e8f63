//! Reward models: labels, training, scores and what is selected by them, on the smallest recipe.

use crate::interruption::{damage, has_left, kill, wait_until};
use crate::sandbox::{GROUND, Sandbox, assert_same};
use mstar::data::table::{self, Choice, ResponseScores, Rollout, StepLabel};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::LazyLock;

/// A process reward model, as small as can be, and one iteration that selects by it.
pub(crate) const REWARDED: &str = r#"format = 1
name = "rewarded"
extends = "tiny.toml"

[training]
interval = 0.1
iterations = 1
steps_per_iteration = 2

[exploration]
samples = 4

[reward]
model = "process"
select = { top = 1 }
steps = { separator = ";" }

[reward.training]
prompts = 30
samples = 2
labels = 48
completions = 3
held_out = 0.4
epochs = 4
batch_size = 4
learning_rate = 1e-3

[evaluation]
pass_samples = 0

[control]
equal_steps = false

[run]
checkpoint_every_secs = 0
"#;
const RUN: &[&str] = &["run", "rewarded.toml"];

/// With a policy and prompts to begin with.
pub(crate) fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_only(GROUND);
    // The control of the smallest recipe has data of its own choice, which means nothing here.
    let tiny = fs::read_to_string(sandbox.path("tiny.toml")).unwrap();
    sandbox.write("tiny.toml", tiny.replace("data = \"warmup\"\n", ""));
    sandbox.write("rewarded.toml", REWARDED);
    sandbox
}

/// Where [`REWARDED`] was carried out undisturbed.
pub(crate) fn rewarded() -> &'static Sandbox {
    static REWARDED: LazyLock<Sandbox> = LazyLock::new(|| {
        let sandbox = sandbox();
        sandbox.mstar(RUN).exits(0);
        sandbox
    });
    &REWARDED
}

pub(crate) fn rows<R: table::Row>(sandbox: &Sandbox, stage: &str, file: &str) -> Vec<R> {
    table::decode(&fs::read(sandbox.artifact_of(stage).join(file)).unwrap()).unwrap()
}

pub(crate) fn metrics(sandbox: &Sandbox, stage: &str) -> Value {
    let bytes = fs::read(sandbox.artifact_of(stage).join("metrics.json")).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// Whether a response ends its steps where it should: after each semicolon, and at its end.
fn assert_cut_at_semicolons(labels: &[&StepLabel], rollout: &Rollout) {
    let words: Vec<&str> = rollout.response.split(' ').collect();
    let (last, others) = labels.split_last().unwrap();
    assert!(others.iter().all(|label| words[label.end as usize - 1] == ";"), "{rollout:?}");
    assert_eq!(last.end as usize, rollout.tokens.len());
    assert_eq!((last.completions, last.right), (1, u32::from(rollout.correct)));
}

/// The mean is over the steps that were completed, however often: all but the last of a response.
fn assert_mean_share(sandbox: &Sandbox, stage: &str, completions: u32) {
    let labels: Vec<StepLabel> = rows(sandbox, stage, "labels.parquet");
    let next = labels.iter().skip(1).map(Some).chain([None]);
    let is_last = |label: &StepLabel, next: Option<&StepLabel>| {
        next.is_none_or(|next| (next.prompt, next.sample) != (label.prompt, label.sample))
    };
    let completed: Vec<&StepLabel> = labels
        .iter()
        .zip(next)
        .filter(|(label, next)| !is_last(label, *next))
        .map(|it| it.0)
        .collect();
    assert!(completed.iter().all(|label| label.completions == completions));
    let right: u32 = completed.iter().map(|label| label.right).sum();
    let expected = f64::from(right) / f64::from(completions * completed.len() as u32);
    let mean = metrics(sandbox, stage)["mean_share"].as_f64().expect("some steps were completed");
    assert!((mean - expected).abs() < 1e-9, "{mean} {expected}");
}

#[test]
fn steps_are_labelled_learned_scored_and_selected_by() {
    let sandbox = rewarded();
    let rollouts: Vec<Rollout> = rows(sandbox, "reward explore", "rollouts.parquet");
    let labels: Vec<StepLabel> = rows(sandbox, "label", "labels.parquet");
    let mut by_response: BTreeMap<(u64, u32), Vec<&StepLabel>> = BTreeMap::new();
    for label in &labels {
        assert!(label.right <= label.completions);
        by_response.entry((label.prompt, label.sample)).or_default().push(label);
    }
    assert_eq!(by_response.len(), 48);
    let mut prefixes: BTreeMap<(u64, &[u32]), BTreeSet<u32>> = BTreeMap::new();
    for rollout in &rollouts {
        let Some(labels) = by_response.get(&(rollout.prompt, rollout.sample)) else { continue };
        assert_cut_at_semicolons(labels, rollout);
        for label in &labels[..labels.len() - 1] {
            assert_eq!(label.completions, 3);
            let prefix = (rollout.prompt, &rollout.tokens[..label.end as usize]);
            prefixes.entry(prefix).or_default().insert(label.right);
        }
    }
    // Equal beginnings were completed once.
    assert!(prefixes.values().all(|labels| labels.len() == 1));
    assert_eq!(metrics(sandbox, "label")["prefixes"], prefixes.len());
    assert_mean_share(sandbox, "label", 3);
    assert!(labels.iter().any(|it| it.completions == 3 && it.right > 0), "nothing was reached");

    let reward = metrics(sandbox, "train reward");
    assert!(reward["loss_first"].as_f64() > reward["loss_last"].as_f64(), "{reward}");
    assert_eq!(reward["samples"].as_u64().unwrap() + reward["held_out"].as_u64().unwrap(), 48);
    assert!(sandbox.artifact_of("train reward").join("reward_head.safetensors").exists());

    let scores: Vec<ResponseScores> = rows(sandbox, "score 1", "scores.parquet");
    let rollouts: Vec<Rollout> = rows(sandbox, "explore 1", "rollouts.parquet");
    let choices: Vec<Choice> = rows(sandbox, "select 1", "choices.parquet");
    let right: Vec<&Rollout> = rollouts.iter().filter(|rollout| rollout.correct).collect();
    assert_eq!(scores.len(), right.len());
    assert!(right.len() < rollouts.len(), "wrong ones are not scored");
    let mut best: BTreeMap<u64, (f32, u32)> = BTreeMap::new();
    for (rollout, scored) in right.into_iter().zip(&scores) {
        assert_eq!((rollout.prompt, rollout.sample), (scored.prompt, scored.sample));
        assert!(scored.steps.iter().all(|score| *score > 0.0 && *score < 1.0), "{scored:?}");
        assert_eq!(scored.score, scored.steps.iter().copied().fold(1.0, f32::min));
        if best.get(&rollout.prompt).is_none_or(|it| scored.score > it.0) {
            best.insert(rollout.prompt, (scored.score, rollout.sample));
        }
    }
    let kept = choices.iter().filter(|it| it.verdict == "kept").map(|it| (it.prompt, it.sample));
    let best: BTreeSet<(u64, u32)> = best.into_iter().map(|(id, (_, at))| (id, at)).collect();
    assert!(best.len() > 3 && best.iter().any(|(_, sample)| *sample > 0), "{best:?}");
    assert_eq!(kept.collect::<BTreeSet<_>>(), best);
}

#[test]
fn rollouts_are_shown_with_the_scores_of_their_steps() {
    let sandbox = rewarded();
    let asked = ["rollouts", "--stage", "explore 1", "--format", "json"];
    let walk = sandbox.mstar(&asked).exits(0).json();
    let scores: Vec<ResponseScores> = rows(sandbox, "score 1", "scores.parquet");
    let prompts = walk["prompts"].as_array().unwrap();
    let responses = prompts.iter().flat_map(|it| it["responses"].as_array().unwrap());
    let (right, wrong): (Vec<&Value>, Vec<&Value>) =
        responses.partition(|response| response["correct"] == true);
    assert!(right.len() > 3);
    for (response, scored) in right.into_iter().zip(&scores) {
        let shown = response["steps"].as_array().unwrap();
        assert_eq!(shown.len() + 1, scored.steps.len(), "{response}");
        for (step, score) in shown.iter().zip(&scored.steps) {
            assert_eq!(step["score"].as_f64(), Some(f64::from(*score)), "{response}");
        }
    }
    let unscored = |response: &&Value| response["steps"][0]["score"].is_null();
    assert!(wrong.iter().all(unscored));
}

#[test]
fn a_report_says_how_well_a_reward_model_ranks() {
    let sandbox = rewarded();
    let text = sandbox.mstar(&["report"]).exits(0).stdout;
    assert!(text.contains("reward model, on prompts that were held out"), "{text}");
    assert!(text.contains("good and bad steps"), "{text}");
    let report = sandbox.mstar(&["report", "--format", "json"]).exits(0).json();
    let places = &report["members"][0]["reward_models"][0]["places"];
    let measured = &metrics(sandbox, "train reward")["places"];
    assert_eq!((&places["auc"], &places["interval"]), (&measured["auc"], &measured["interval"]));
    // The same among pairs of one prompt, of the prompts that have any, in each form.
    let within = &places["within"];
    assert_eq!(within, &measured["within"]);
    let auc = within["auc"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&auc) && within["prompts"].as_u64() > Some(0), "{within}");
    assert!(text.contains("AUC within a prompt") && text.contains(&format!("{auc:.3}")), "{text}");
    let page = fs::read_to_string(sandbox.store().join("run-v1/rewarded-1/report.html")).unwrap();
    assert!(page.contains("ROC and reliability of the reward model"));
    assert!(page.contains("AUC within a prompt"));
    // The exploration that the model learned from is none of the evolution's.
    let explored = page.contains("responses (") && !page.contains("NaN");
    assert!(explored, "the page tells what was explored");
}

#[test]
fn a_plan_still_knows_its_seconds_after_runs_that_had_nothing_to_do() {
    let sandbox = sandbox();
    let short = ["run", "rewarded.toml", "--set", "training.iterations=0"];
    for _ in 0..4 {
        sandbox.mstar(&short).exits(0);
    }
    let again = ["plan", "rewarded.toml", "--set", "seed=9", "--format", "json"];
    let plan = sandbox.mstar(&again).exits(0).json();
    let of = |kind: &str| {
        let stages = plan["stages"].as_array().unwrap();
        let stage = stages.iter().find(|stage| stage["kind"] == kind).unwrap();
        stage["estimate"]["seconds"].as_f64()
    };
    assert!(of("evaluate") > Some(0.0), "{plan}");
}

#[test]
fn a_killed_reward_model_is_trained_to_the_same_bytes() {
    let sandbox = sandbox();
    let mut run = sandbox.start(RUN, None);
    wait_until(&mut run, || has_left(&sandbox, "train reward", "checkpoint.json"));
    assert!(kill(&mut run, true));
    sandbox.mstar(RUN).exits(0);
    assert_same(&sandbox.artifacts(), &rewarded().artifacts());
}

#[test]
fn a_reward_model_is_trained_anew_where_its_checkpoint_is_damaged() {
    let sandbox = sandbox();
    let mut run = sandbox.start(RUN, None);
    wait_until(&mut run, || has_left(&sandbox, "train reward", "checkpoint.json"));
    assert!(kill(&mut run, true));
    damage(&sandbox, "train reward", "model-");
    let said = sandbox.mstar(RUN).exits(0);
    let told = "note     train reward: begins anew, since its checkpoint cannot be read: `model-";
    assert!(said.stderr.contains(told), "{}", said.stderr);
    assert_same(&sandbox.artifacts(), &rewarded().artifacts());
}

#[test]
fn micro_batches_train_the_same_reward_model_but_for_its_last_bits() {
    let sandbox = sandbox();
    sandbox.mstar(&[RUN, &["--set", "training.micro_batch_size=3"]].concat()).exits(0);
    let (ours, whole) = (metrics(&sandbox, "train reward"), metrics(rewarded(), "train reward"));
    assert_eq!((&ours["labels"], &ours["steps"]), (&whole["labels"], &whole["steps"]));
    for name in ["loss_first", "loss_last"] {
        let (ours, whole) = (ours[name].as_f64().unwrap(), whole[name].as_f64().unwrap());
        assert!((ours - whole).abs() < 1e-4 * whole, "{name}: {ours} {whole}");
    }
}

#[test]
fn an_outcome_model_reads_the_end_and_a_threshold_selects() {
    let sandbox = sandbox();
    let outcome = REWARDED
        .replace("\"process\"", "\"outcome\"")
        .replace("{ top = 1 }", "{ above = 0.2 }")
        .replace("steps = { separator = \";\" }\n", "")
        .replace("labels = 48\ncompletions = 3\n", "");
    sandbox.write("rewarded.toml", outcome);
    sandbox.mstar(RUN).exits(0);
    let scores: Vec<ResponseScores> = rows(&sandbox, "score 1", "scores.parquet");
    let choices: Vec<Choice> = rows(&sandbox, "select 1", "choices.parquet");
    let choice_of: BTreeMap<(u64, u32), &Choice> =
        choices.iter().map(|choice| ((choice.prompt, choice.sample), choice)).collect();
    for scored in &scores {
        let choice = choice_of[&(scored.prompt, scored.sample)];
        assert_eq!(scored.steps, [scored.score]);
        assert!(choice.verdict != "kept" || scored.score > 0.2, "{choice:?} {scored:?}");
        assert!(choice.verdict != "low-score" || scored.score <= 0.2, "{choice:?} {scored:?}");
    }
    assert!(choices.iter().any(|choice| choice.verdict == "kept"));
    assert_eq!(metrics(&sandbox, "train reward")["samples"].as_u64().map(|it| it > 20), Some(true));
}

#[test]
fn a_refreshed_model_learns_from_the_current_policy_and_scores_what_follows() {
    let sandbox = sandbox();
    let refreshed = REWARDED
        .replace("iterations = 1", "iterations = 2")
        .replace("completions = 3", "completions = 1")
        .replace("[reward.training]\n", "[reward.training]\nrefresh_every = 1\n");
    sandbox.write("rewarded.toml", refreshed);
    sandbox.mstar(RUN).exits(0);
    assert_mean_share(&sandbox, "label 2", 1);
    let reads = |stage: &str| -> BTreeMap<String, String> {
        let graph = fs::read_to_string(sandbox.store().join("run-v1/rewarded-1/graph.json"));
        let graph: Value = serde_json::from_str(&graph.unwrap()).unwrap();
        let nodes = graph["graph"]["nodes"].as_array().unwrap();
        let node = nodes.iter().find(|node| node["name"] == stage).expect(stage);
        serde_json::from_value(node["inputs"].clone()).unwrap()
    };
    assert_eq!(reads("score 1")["reward-model"], sandbox.key_of("train reward"));
    assert_eq!(reads("score 2")["reward-model"], sandbox.key_of("train reward 2"));
    assert_eq!(reads("reward explore 2")["policy"], sandbox.key_of("train 1"));
    let model =
        |stage: &str| fs::read(sandbox.artifact_of(stage).join("reward_head.safetensors")).unwrap();
    assert_ne!(model("train reward"), model("train reward 2"));
    let rollouts = rows::<Rollout>(&sandbox, "explore 2", "rollouts.parquet");
    let right = rollouts.iter().filter(|rollout| rollout.correct).count();
    assert_eq!(rows::<ResponseScores>(&sandbox, "score 2", "scores.parquet").len(), right);
    let report = sandbox.mstar(&["report", "--format", "json"]).exits(0).json();
    let models = report["members"][0]["reward_models"].as_array().unwrap();
    assert_eq!(models.iter().map(|it| &it["iteration"]).collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn reward_pass_by_a_script_ranks_responses_that_it_does_not_know_to_be_right() {
    let sandbox = sandbox();
    let scripted = r#"format = 1
name = "rewarded"
extends = "tiny.toml"

[training]
interval = 0.1
iterations = 1
steps_per_iteration = 2

[reward]
model = "hook"
select = { top = 1 }

[hooks]
script = "short.rhai"

[evaluation]
pass_samples = 4
pass_temperature = 1.0

[control]
equal_steps = false
"#;
    sandbox.write("rewarded.toml", scripted);
    let short = "fn reward(response) {\n    \
         if response.correct { 100.0 } else { 0.0 - response.tokens }\n}\n";
    sandbox.write("short.rhai", short);
    sandbox.mstar(RUN).exits(0);
    let rollouts: Vec<Rollout> = rows(&sandbox, "monitor 1", "rollouts.parquet");
    let mut by_prompt: BTreeMap<u64, Vec<&Rollout>> = BTreeMap::new();
    rollouts.iter().for_each(|it| by_prompt.entry(it.prompt).or_default().push(it));
    let found = by_prompt.values().filter(|responses| {
        // Of equal scores the first counts, which is the one that `min_by_key` takes.
        responses.iter().min_by_key(|it| it.tokens.len()).unwrap().correct
    });
    let share = found.count() as f64 / by_prompt.len() as f64;
    let measured = metrics(&sandbox, "monitor 1");
    assert_eq!(measured["reward_pass"]["1"], share, "{measured}");
    assert!(share < 1.0 && measured["pass"]["4"].as_f64() > Some(share), "{measured}");
}
