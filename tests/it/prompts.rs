//! Unlabelled prompts and what is asked about prompts: on the smallest recipe, with every way to an
//! answer.

use crate::interruption::{kill, wait_until};
use crate::reward::{REWARDED, metrics, rewarded, rows};
use crate::sandbox::{POLICY, Sandbox, assert_same};
use mstar::base::Key;
use mstar::data::table::{
    Choice, PseudoAnswer, ResponseScores, Rollout, StepLabel, TrainingExample,
};
use mstar::data::{HiddenAnswer, Reference, Sample};
use mstar::event::Event;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::LazyLock;

/// Half of eighty prompts are labelled; the others join for the second of two iterations.
const MIXED: &str = r#"format = 1
name = "mixed"
extends = "tiny.toml"

[data]
prompts = 80
labelled = 0.5

[training]
interval = 0.5
iterations = 2
steps_per_iteration = 2

[exploration]
samples = 5

[temperature]
value = 1.0

[prompts]
variation = "mixed"
mix_at = 0.5
pseudo_answer = "majority-vote"

[evaluation]
pass_samples = 0

[control]
equal_steps = false
"#;
const RUN: &[&str] = &["run", "mixed.toml"];

fn sandbox(recipe: &str) -> Sandbox {
    let sandbox = Sandbox::with_only(POLICY);
    // The control of the smallest recipe has data of its own choice, which means nothing here.
    let tiny = fs::read_to_string(sandbox.path("tiny.toml")).unwrap();
    sandbox.write("tiny.toml", tiny.replace("data = \"warmup\"\n", ""));
    sandbox.write("mixed.toml", recipe);
    sandbox
}

fn by(way: &str) -> String {
    MIXED.replace("majority-vote", way)
}

/// Where [`MIXED`] was carried out undisturbed.
fn mixed() -> &'static Sandbox {
    static MIXED_ONCE: LazyLock<Sandbox> = LazyLock::new(|| {
        let sandbox = sandbox(MIXED);
        sandbox.mstar(RUN).exits(0);
        sandbox
    });
    &MIXED_ONCE
}

fn hidden(sandbox: &Sandbox) -> BTreeMap<u64, String> {
    let hidden: Vec<HiddenAnswer> = rows(sandbox, "hide", "hidden.parquet");
    hidden.into_iter().map(|it| (it.prompt, it.answer)).collect()
}

fn pseudo_answers(sandbox: &Sandbox) -> BTreeMap<u64, Option<String>> {
    let rows: Vec<PseudoAnswer> = rows(sandbox, "select 2", "pseudo-answers.parquet");
    rows.into_iter().map(|it| (it.prompt, it.answer)).collect()
}

/// Responses of the second iteration to unlabelled prompts.
fn unlabelled(sandbox: &Sandbox) -> BTreeMap<u64, Vec<Rollout>> {
    let rollouts: Vec<Rollout> = rows(sandbox, "explore 2", "rollouts.parquet");
    let mut prompts: BTreeMap<u64, Vec<Rollout>> = BTreeMap::new();
    for rollout in rollouts.into_iter().filter(|it| it.gold.is_none()) {
        assert!(!rollout.correct);
        prompts.entry(rollout.prompt).or_default().push(rollout);
    }
    prompts
}

/// The answer with the highest sum, the first of equal ones by sum and by count.
fn winner<'a>(votes: impl Iterator<Item = (&'a str, f64)>) -> Option<&'a str> {
    let mut parties: Vec<(&str, f64, u32)> = Vec::new();
    for (answer, weight) in votes {
        match parties.iter_mut().find(|it| it.0 == answer) {
            Some(party) => (party.1, party.2) = (party.1 + weight, party.2 + 1),
            None => parties.push((answer, weight, 1)),
        }
    }
    let mut best: Option<(&str, f64, u32)> = None;
    for party in parties {
        if best.is_none_or(|best| (party.1, party.2) > (best.1, best.2)) {
            best = Some(party);
        }
    }
    best.map(|best| best.0)
}

fn failure(sandbox: &Sandbox) -> String {
    let failed = sandbox.records().into_iter().find_map(|event| match event {
        Event::StageFailed { reason, .. } => Some(reason),
        _ => None,
    });
    failed.expect("a stage failed")
}

#[test]
fn answers_of_unlabelled_prompts_are_hidden() {
    let sandbox = mixed();
    let samples: Vec<Sample> = rows(sandbox, "prepare", "train.parquet");
    let seen: Vec<bool> = samples.iter().map(|sample| sample.answer.is_some()).collect();
    assert_eq!(seen, [[true; 40], [false; 40]].concat());
    let references: Vec<Reference> = rows(sandbox, "prepare", "train-references.parquet");
    assert_eq!(references.len(), 40);
    let hidden = hidden(sandbox);
    let without: BTreeSet<u64> = samples[40..].iter().map(|sample| sample.id).collect();
    assert_eq!(hidden.keys().copied().collect::<BTreeSet<_>>(), without);
    // Held-out splits are as they were: accuracies are measured against their answers.
    let test: Vec<Sample> = rows(sandbox, "prepare", "test.parquet");
    assert!(test.iter().all(|sample| sample.answer.is_some()));
}

#[test]
fn a_majority_answers_unlabelled_prompts_and_what_agrees_is_trained_on() {
    let sandbox = mixed();
    let first: Vec<Rollout> = rows(sandbox, "explore 1", "rollouts.parquet");
    assert!(first.iter().all(|rollout| rollout.gold.is_some()));
    let explored = unlabelled(sandbox);
    assert_eq!(explored.len(), 20);
    let found = pseudo_answers(sandbox);
    let agrees = |rollout: &Rollout| {
        rollout.extracted.is_some() && rollout.extracted == found[&rollout.prompt]
    };
    for (prompt, responses) in &explored {
        let votes = responses.iter().filter_map(|it| Some((it.extracted.as_deref()?, 1.0)));
        assert_eq!(winner(votes), found[prompt].as_deref(), "{prompt}");
    }
    let kept: Vec<TrainingExample> = rows(sandbox, "select 2", "selected.parquet");
    let kept: BTreeSet<(u64, &str)> =
        kept.iter().map(|it| (it.prompt, it.response.as_str())).collect();
    for rollout in explored.values().flatten() {
        let is_kept = kept.contains(&(rollout.prompt, rollout.response.as_str()));
        assert_eq!(is_kept, agrees(rollout), "{rollout:?}");
    }
    let told = &metrics(sandbox, "select 2")["unlabelled"];
    let answered = found.values().flatten().count();
    assert_eq!(
        (told["prompts"].as_u64(), told["answered"].as_u64()),
        (Some(20), {
            assert!(answered > 0, "nothing was answered");
            Some(answered as u64)
        })
    );
    let agreeing = explored.values().flatten().filter(|it| agrees(it)).count();
    assert_eq!(told["agreeing"].as_u64(), Some(agreeing as u64));
    // A share is of what can be judged.
    let explore = metrics(sandbox, "explore 2");
    assert_eq!((explore["prompts"].as_u64(), explore["samples"].as_u64()), (Some(40), Some(200)));
}

#[test]
fn agreement_with_hidden_answers_is_reported() {
    let sandbox = mixed();
    let (hidden, found) = (hidden(sandbox), pseudo_answers(sandbox));
    let answered: Vec<(&u64, &String)> =
        found.iter().filter_map(|(prompt, answer)| Some((prompt, answer.as_ref()?))).collect();
    let agreeing = answered.iter().filter(|(prompt, answer)| hidden[prompt] == **answer).count();
    assert!(agreeing > 0 && agreeing < 20, "{agreeing} would tell nothing");
    let share = agreeing as f64 / answered.len() as f64;
    let report = sandbox.mstar(&["report", "--format", "json"]).exits(0).json();
    let told = &report["members"][0]["pseudo_answers"];
    assert_eq!(told.as_array().map(Vec::len), Some(1));
    assert_eq!((&told[0]["iteration"], &told[0]["agreement"]), (&2.into(), &share.into()));
    assert!(told[0]["interval"][0].as_f64() < Some(share), "{told}");
    assert_eq!(told[0]["coverage"], answered.len() as f64 / 20.0);
    let text = sandbox.mstar(&["report"]).exits(0).stdout;
    assert!(text.contains("pseudo answers of unlabelled prompts"), "{text}");
    let page = fs::read_to_string(sandbox.store().join("run-v1/mixed-1/report.html")).unwrap();
    assert!(page.contains("fig-pseudo") && !page.contains("NaN"));
    let grid = "format = 1\nname = \"ways\"\nbase = \"mixed.toml\"\n\n[axis]\n\
                \"prompts.pseudo_answer\" = [\"majority-vote\", \"oracle\"]\n\n[table]\n\
                values = [\"pseudo.agreement\", \"pseudo.coverage\"]\n";
    sandbox.write("ways.toml", grid);
    sandbox.mstar(&["check", "ways.toml"]).exits(0);
    let labelled = grid.replace("[axis]\n", "[axis]\n\"prompts.variation\" = [\"labelled\"]\n");
    sandbox.write("ways.toml", labelled);
    sandbox.mstar(&["check", "ways.toml"]).exits(2);
}

#[test]
fn the_oracle_knows_and_shares_what_comes_before() {
    let sandbox = sandbox(MIXED);
    sandbox.mstar(RUN).exits(0);
    let before = sandbox.key_of("train 1");
    sandbox.write("mixed.toml", by("oracle"));
    sandbox.mstar(RUN).exits(0);
    assert_eq!(sandbox.key_of("train 1"), before);
    let hidden = hidden(&sandbox);
    let found = pseudo_answers(&sandbox);
    assert_eq!(found.len(), 20);
    assert!(found.iter().all(|(prompt, answer)| answer.as_ref() == Some(&hidden[prompt])));
    assert_eq!(metrics(&sandbox, "agreement 2")["agreement"], 1.0);
}

#[test]
fn scores_weigh_votes() {
    let sandbox = sandbox("");
    let prompts = "[data]\nlabelled = 0.5\n\n[prompts]\nvariation = \"mixed\"\n\
                   pseudo_answer = \"weighted-vote\"\n\n[reward]\n";
    let recipe = REWARDED.replace("[reward]\n", prompts).replace("0.1", "0.2");
    sandbox.write("mixed.toml", recipe);
    sandbox.mstar(RUN).exits(0);
    let scores: Vec<ResponseScores> = rows(&sandbox, "score 1", "scores.parquet");
    let scores: BTreeMap<(u64, u32), f32> =
        scores.iter().map(|it| ((it.prompt, it.sample), it.score)).collect();
    let rollouts: Vec<Rollout> = rows(&sandbox, "explore 1", "rollouts.parquet");
    let found: Vec<PseudoAnswer> = rows(&sandbox, "select 1", "pseudo-answers.parquet");
    let mut differ = 0;
    for PseudoAnswer { prompt, answer, .. } in &found {
        let votes = |weigh: bool| {
            let of_prompt = rollouts.iter().filter(move |it| it.prompt == *prompt);
            let votes = of_prompt.filter_map(|it| {
                let weight = f64::from(scores[&(it.prompt, it.sample)]);
                Some((it.extracted.as_deref()?, if weigh { weight } else { 1.0 }))
            });
            winner(votes)
        };
        assert_eq!(votes(true), answer.as_deref(), "{prompt}");
        differ += u32::from(votes(true) != votes(false));
    }
    assert!(differ > 0, "scores changed no vote of {}", found.len());
    // The reward model is labelled and trained on labelled prompts alone.
    let learned: Vec<Rollout> = rows(&sandbox, "reward explore", "rollouts.parquet");
    assert!(learned.iter().all(|rollout| rollout.gold.is_some()));
}

#[test]
fn a_script_answers_and_says_when_it_cannot() {
    let sandbox = sandbox(&format!("{}\n[hooks]\nscript = \"s.rhai\"\n", by("hook")));
    let longest = "fn pseudo_answer(candidates) {\n    let best = ();\n    \
                   for it in candidates {\n        \
                   if it.answer != () && (best == () || it.tokens > best.tokens) { best = it; }\n    \
                   }\n    if best == () { () } else { best.answer }\n}\n";
    sandbox.write("s.rhai", longest);
    sandbox.mstar(RUN).exits(0);
    let found = pseudo_answers(&sandbox);
    for (prompt, responses) in unlabelled(&sandbox) {
        let answered = responses.iter().filter(|it| it.extracted.is_some());
        let longest = answered.rev().max_by_key(|it| it.tokens.len());
        assert_eq!(found[&prompt], longest.and_then(|it| it.extracted.clone()), "{prompt}");
    }
    sandbox.write("s.rhai", "fn pseudo_answer(candidates) { () }\n");
    sandbox.mstar(RUN).exits(0);
    let said = sandbox.records().into_iter().any(|event| {
        matches!(event, Event::Note { message, .. }
            if message == "none of 20 unlabelled prompts has a pseudo answer")
    });
    assert!(said);
    assert_eq!(metrics(&sandbox, "select 2")["unlabelled"]["answered"], 0);
    let choices: Vec<Choice> = rows(&sandbox, "select 2", "choices.parquet");
    assert_eq!(choices.iter().filter(|it| it.verdict == "no-pseudo-answer").count(), 100);
    let agreement = metrics(&sandbox, "agreement 2");
    assert_eq!((agreement["agreement"].is_null(), &agreement["coverage"]), (true, &0.0.into()));
    sandbox.mstar(&["report"]).exits(0);
    // What is hidden is no field of a candidate.
    sandbox.write("s.rhai", "fn pseudo_answer(candidates) { candidates[0].gold }\n");
    sandbox.mstar(RUN).exits(1);
    assert!(failure(&sandbox).ends_with("there is no `gold` here"), "{}", failure(&sandbox));
}

#[test]
fn a_killed_run_gives_the_same_answers() {
    let sandbox = sandbox(MIXED);
    let mut run = sandbox.start(RUN, None);
    let begun = |name: &str| {
        let records = sandbox.records();
        let key = records.iter().find_map(|event| match event {
            Event::Planned { stages, .. } => stages.iter().find(|it| it.name == name),
            _ => None,
        });
        let key: Option<Key> = key.map(|stage| stage.key);
        let is_it =
            |it: &Event| matches!(it, Event::StageStarted { key: of, .. } if Some(*of) == key);
        records.iter().any(is_it)
    };
    wait_until(&mut run, || begun("explore 2"));
    assert!(kill(&mut run, true));
    sandbox.mstar(RUN).exits(0);
    assert_same(&sandbox.artifacts(), &mixed().artifacts());
}

#[test]
fn a_run_whose_graph_was_altered_to_show_hidden_answers_is_refused() {
    let sandbox = sandbox(MIXED);
    sandbox.mstar(RUN).exits(0);
    let file = sandbox.store().join("run-v1/mixed-1/graph.json");
    let (hide, train) = (sandbox.key_of("hide"), sandbox.key_of("train 2"));
    let mut graph: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let nodes = graph["graph"]["nodes"].as_array_mut().unwrap();
    let node = nodes.iter_mut().find(|node| node["key"] == train.as_str()).unwrap();
    node["inputs"]["hidden"] = hide.into();
    fs::write(&file, graph.to_string()).unwrap();
    let said = sandbox.mstar(&["run", "--resume", "mixed-1"]).exits(2);
    assert!(said.stderr.contains("stage `train 2` has no port `hidden`"), "{}", said.stderr);
}

#[test]
fn a_script_says_what_is_asked() {
    let sandbox = sandbox(&format!("{MIXED}\n[hooks]\nscript = \"s.rhai\"\n"));
    let plain = {
        sandbox.write("s.rhai", "fn metric(responses) { #{} }\n");
        sandbox.mstar(RUN).exits(0);
        rows::<Rollout>(&sandbox, "explore 1", "rollouts.parquet")
    };
    let keys = ["import", "prepare", "hide"].map(|name| sandbox.key_of(name));
    sandbox.write("s.rhai", "fn prompt(sample) { sample.question + \" \" + sample.question }\n");
    sandbox.mstar(RUN).exits(0);
    assert_eq!(["import", "prepare", "hide"].map(|name| sandbox.key_of(name)), keys);
    let asked: Vec<Rollout> = rows(&sandbox, "explore 1", "rollouts.parquet");
    let texts =
        |rollouts: &[Rollout]| rollouts.iter().map(|it| it.response.clone()).collect::<Vec<_>>();
    assert_ne!(texts(&asked), texts(&plain));
    sandbox.write("s.rhai", "fn prompt(sample) { sample.question }\n");
    sandbox.mstar(RUN).exits(0);
    assert_eq!(texts(&rows(&sandbox, "explore 1", "rollouts.parquet")), texts(&plain));
    let first: Vec<Sample> = rows(&sandbox, "prepare", "train.parquet");
    sandbox.write("s.rhai", "fn prompt(sample) { \"please : \" + sample.question }\n");
    sandbox.mstar(RUN).exits(1);
    let reason = failure(&sandbox);
    assert!(reason.contains("cannot be asked: cannot tokenize `please : "), "{reason}");
    let named = |sample: &Sample| reason.starts_with(&format!("prompt {} ", sample.id));
    let test: Vec<Sample> = rows(&sandbox, "prepare", "test.parquet");
    let validation: Vec<Sample> = rows(&sandbox, "prepare", "validation.parquet");
    assert!(first.iter().chain(&test).chain(&validation).any(named), "{reason}");
}

#[test]
fn a_script_cuts_steps_as_the_rule_that_it_repeats() {
    let sandbox = crate::reward::sandbox();
    let hooked = REWARDED.replace("steps = { separator = \";\" }", "steps = \"hook\"");
    sandbox.write("rewarded.toml", format!("{hooked}\n[hooks]\nscript = \"s.rhai\"\n"));
    // Every semicolon that ends some words ends a step; of what comes after it, the last is one too.
    let script = "fn steps(response) {\n    let ends = [];\n    let words = false;\n    \
                  for at in 0..response.text.len() {\n        \
                  let letter = response.text[at];\n        \
                  if letter == ';' {\n            \
                  if words { ends.push(at + 1); }\n            words = false;\n        \
                  } else if letter != ' ' { words = true; }\n    }\n    ends\n}\n";
    sandbox.write("s.rhai", script);
    sandbox.mstar(&["run", "rewarded.toml"]).exits(0);
    let labels: Vec<StepLabel> = rows(&sandbox, "label", "labels.parquet");
    assert_eq!(labels, rows::<StepLabel>(rewarded(), "label", "labels.parquet"));
    let scores: Vec<ResponseScores> = rows(&sandbox, "score 1", "scores.parquet");
    assert_eq!(scores, rows::<ResponseScores>(rewarded(), "score 1", "scores.parquet"));
    sandbox.write("s.rhai", "fn steps(response) { [\"no such words\"] }\n");
    sandbox.mstar(&["run", "rewarded.toml"]).exits(1);
    let reason = failure(&sandbox);
    assert!(reason.starts_with("`steps` of sample ") && reason.contains("s.rhai: "), "{reason}");
    assert!(reason.contains("has no step `no such words`"), "{reason}");
}
