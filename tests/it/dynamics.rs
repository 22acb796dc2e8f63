//! Temperatures that a run measures and chooses, and what the training methods carry over.

use crate::reward::rows;
use crate::sandbox::{GROUND, Said, Sandbox, artifacts, assert_same, entries};
use mstar::data::table::{self, ResponseScores, Rollout, TallyRow};
use mstar::event::Event;
use mstar::rewards::{Objective, SELECTED_ABOVE, Tally};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::thread::sleep;
use std::time::Duration;

/// Begins far too hot, so that the first search is sure to move, on the ground of `tiny.toml`. The
/// second search finds nothing better. Two temperatures are monitored.
const BALANCED: &str = r#"format = 1
extends = "tiny.toml"
name = "balanced"

[training]
method = "continuous"
iterations = 3

[temperature]
mode = "balanced"
value = 3.0
maximise = { pass = 2 }
candidates = { from = 0.5, to = 2.5, step = 2.0 }
every = 2
samples = 2

[evaluation]
temperatures = [0.5]

[control]
equal_steps = false
"#;

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_only(GROUND);
    sandbox.write("balanced.toml", BALANCED);
    sandbox
}

fn json_of(sandbox: &Sandbox, stage: &str, file: &str) -> Value {
    serde_json::from_slice(&fs::read(sandbox.artifact_of(stage).join(file)).unwrap()).unwrap()
}

fn run(sandbox: &Sandbox) -> Said {
    sandbox.mstar(&["run", "balanced.toml", "--workers", "2"]).exits(0)
}

#[test]
fn a_balance_moves_when_it_must_and_explorations_follow_it() {
    let sandbox = sandbox();
    run(&sandbox);
    let [first, second] = [1, 3]
        .map(|iteration| json_of(&sandbox, &format!("balance {iteration}"), "temperature.json"));
    assert_eq!((&first["before"], &first["moved"]), (&3.0.into(), &true.into()), "{first}");
    assert_eq!((&first["temperature"], &first["compared_with"]), (&0.5.into(), &2.5.into()));
    assert!(first["candidates"][0]["difference_interval"][0].as_f64().unwrap() > 0.0, "{first}");
    assert_eq!((&second["before"], &second["temperature"]), (&0.5.into(), &0.5.into()));
    assert_eq!(second["moved"], false, "{second}");
    assert_eq!(json_of(&sandbox, "balance 3", "metrics.json"), second);
    for iteration in 1..=3 {
        let metrics = json_of(&sandbox, &format!("explore {iteration}"), "metrics.json");
        assert_eq!(metrics["temperature"], 0.5, "explore {iteration}");
        let said = sandbox.mstar(&[
            "rollouts",
            "--stage",
            &format!("explore {iteration}"),
            "--limit",
            "2",
            "--format",
            "json",
        ]);
        let samples = said.exits(0).json();
        let response = &samples["prompts"][0]["responses"][0];
        assert_eq!(response["temperature"], 0.5, "{samples}");
    }
    // The warm-up has a temperature of its own.
    assert_eq!(json_of(&sandbox, "warm-up explore", "metrics.json")["temperature"], 0.5);

    let monitor = json_of(&sandbox, "monitor 2", "metrics.json");
    let at = |index: usize| &monitor["temperatures"][index];
    assert_eq!((&at(0)["temperature"], &at(1)["temperature"]), (&1.0.into(), &0.5.into()));
    assert_eq!((&at(0)["pass"], &at(0)["mean"]), (&monitor["pass"], &monitor["mean"]));
    assert_eq!(monitor["samples"], 16 * 2 * 2);
    for index in 0..2 {
        let ends = &at(index)["pass_interval"]["2"];
        let [low, pass, high] =
            [&ends[0], &at(index)["pass"]["2"], &ends[1]].map(|it| it.as_f64().unwrap());
        assert!(low <= pass && pass <= high, "{monitor}");
    }

    let report = sandbox.mstar(&["report", "--format", "json"]).exits(0).json();
    let member = &report["members"][0];
    let dynamics = member["dynamics"].as_array().unwrap();
    // The warm-up and three iterations at two temperatures; searches are no part of it.
    assert_eq!(dynamics.len(), 4 * 2, "{member}");
    assert!(dynamics.iter().all(|it| it["branch"] == "evolution"), "{member}");
    let gap = |it: &Value| it["pass"].as_f64().unwrap() - it["greedy"].as_f64().unwrap();
    assert!(dynamics.iter().all(|it| (it["gap"].as_f64().unwrap() - gap(it)).abs() < 1e-12));
    let chosen: Vec<_> =
        member["balances"].as_array().unwrap().iter().map(|it| &it["temperature"]).collect();
    assert_eq!(chosen, [&0.5, &0.5]);
    let page = fs::read_to_string(sandbox.path(".mstar/run-v1/balanced-1/report.html")).unwrap();
    for figure in ["fig-pass", "fig-gap", "fig-temperature"] {
        assert!(page.contains(&format!(r#"id="{figure}""#)), "no {figure}");
    }
    assert!(!page.contains("fig-reward-pass"), "nothing is scored");
}

#[test]
fn a_search_that_is_killed_goes_on_at_the_temperature_that_it_had_reached() {
    let whole = sandbox();
    run(&whole);
    let killed = sandbox();
    let arguments = ["run", "balanced.toml", "--workers", "1"];
    let mut process = killed.start(&arguments, None);
    let has_drawn_one = || {
        let staging = entries(&killed.store().join("staging-v1"));
        staging.iter().any(|it| it.join("work/temperature-000.parquet").exists())
    };
    while !has_drawn_one() {
        assert!(process.try_wait().unwrap().is_none(), "the run ended before");
        sleep(Duration::from_millis(2));
    }
    let id = Pid::from_raw(process.id().cast_signed()).unwrap();
    kill_process(id, Signal::KILL).unwrap();
    process.wait().unwrap();
    run(&killed);
    assert_same(&killed.artifacts(), &artifacts(&whole.store()));
}

/// Where an optimizer and a policy stand after a stage: steps of the policy since the base model, and
/// of the optimizer's own counter.
fn standing(sandbox: &Sandbox, stage: &str) -> (u64, u64) {
    let trainer = json_of(sandbox, stage, "trainer.json");
    let bytes = fs::read(sandbox.artifact_of(stage).join("optimizer.safetensors")).unwrap();
    let (header, data) =
        bytes[8..].split_at(u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize);
    let header: Value = serde_json::from_slice(header).unwrap();
    let begin = header["steps"]["data_offsets"][0].as_u64().unwrap() as usize;
    let steps = u64::from_le_bytes(data[begin..begin + 8].try_into().unwrap());
    (trainer["step"].as_u64().unwrap(), steps)
}

/// What fed a stage, by port: the stage with that key.
fn fed_by(sandbox: &Sandbox, stage: &str, port: &str) -> Option<String> {
    let manifest = json_of(sandbox, stage, "manifest.json");
    let key = manifest["provenance"]["inputs"][port].as_str()?.to_owned();
    let planned = sandbox.records().into_iter().find_map(|event| match event {
        Event::Planned { stages, .. } => Some(stages),
        _ => None,
    });
    let fed = planned.unwrap().into_iter().find(|it| it.key.to_string() == key);
    Some(fed.unwrap().name)
}

/// Table 1 of the paper, read off the artifacts: the weights and the optimizer state of the second
/// iteration are those of the artifact that its manifest names by digest, and the counters inside say
/// whether they went on or began anew.
#[test]
fn methods_carry_over_what_they_should_and_nothing_else() {
    let ends = |method: &str| {
        let sandbox = Sandbox::with_only(&["import", "prepare", "explore", "select"]);
        let set = format!("training.method={method}");
        let arguments = ["run", "tiny.toml", "--set", &set, "--set", "control.equal_steps=false"];
        sandbox.mstar(&arguments).exits(0);
        let warm = standing(&sandbox, "warm-up train");
        assert_eq!(warm.0, warm.1, "the warm-up begins with a new optimizer");
        let fed = ["policy", "optimizer"].map(|port| fed_by(&sandbox, "train 2", port));
        let after = [1, 2].map(|iteration| standing(&sandbox, &format!("train {iteration}")));
        (warm.0, fed, after)
    };
    let train = |name: &str| Some(name.to_owned());
    let (warm, fed, after) = ends("continuous");
    assert_eq!(fed, [train("train 1"), train("train 1")]);
    assert_eq!(after, [(warm + 12, warm + 12), (warm + 24, warm + 24)]);
    let (warm, fed, after) = ends("iterative-rft");
    assert_eq!(fed, [train("train 1"), None]);
    assert_eq!(after, [(warm + 12, 12), (warm + 24, 12)]);
    let (warm, fed, after) = ends("rest-em");
    assert_eq!(fed, [train("warm-up train"), None]);
    assert_eq!(after, [(warm + 12, 12), (warm + 12, 12)]);

    let sandbox = Sandbox::with_only(GROUND);
    let recipe = "format = 1\nname = \"sft\"\n[data]\nprompts = 520\nvalidation = 16\ntest = 16\n\
        [training]\nmethod = \"sft\"\nbatch_size = 40\n[exploration]\nmax_new_tokens = 28\n\
        [evaluation]\npass_samples = 0\n";
    sandbox.write("sft.toml", recipe);
    sandbox.mstar(&["run", "sft.toml", "--set", "training.supervision=answer"]).exits(0);
    assert_eq!(
        ["policy", "optimizer"].map(|port| fed_by(&sandbox, "train 1", port)),
        [train("import"), None]
    );
    assert_eq!(standing(&sandbox, "train 1"), (13, 13));
}

/// Two evaluations without a gain end it: with a learning rate of nothing there is never one.
const STOPPING: &str = r#"format = 1
extends = "tiny.toml"
name = "stopping"

[training]
method = "METHOD"
iterations = 4
steps_per_iteration = 2
learning_rate = 0.0
stop = { patience = 2 }

[evaluation]
pass_samples = 0
"#;

#[test]
fn an_evolution_that_gains_nothing_stops_and_says_so() {
    let adapted: &[&str] = &["--set", "policy.lora={ rank = 2, alpha = 4.0 }"];
    for (method, more) in [("continuous", &[][..]), ("rest-em", &[]), ("rest-em", adapted)] {
        let sandbox = Sandbox::with_only(GROUND);
        sandbox.write("stopping.toml", STOPPING.replace("METHOD", method));
        let run = [&["run", "stopping.toml", "--workers", "2"], more].concat();
        let said = sandbox.mstar(&run).exits(0);
        let third = json_of(&sandbox, "stop 2", "metrics.json");
        assert_eq!((&third["stopped_after"], &third["since"]), (&2.into(), &2.into()), "{third}");
        let history = json_of(&sandbox, "stop 2", "stop.json")["history"].clone();
        let told: Vec<_> = history.as_array().unwrap().iter().map(|it| &it["iteration"]).collect();
        assert_eq!(told, [0, 1, 2]);
        assert_eq!(
            (&history[0]["temperature"], &history[1]["temperature"]),
            (&Value::Null, &0.5.into())
        );
        // What comes after it draws nothing and hands the policy on, restarted or not.
        for stage in ["explore 3", "select 4", "evaluate 4 test", "evaluate control 3"] {
            assert_eq!(json_of(&sandbox, stage, "metrics.json")["stopped_after"], 2, "{stage}");
            assert!(!sandbox.artifact_of(stage).join("rollouts.parquet").exists(), "{stage}");
        }
        let files = |stage: &str| -> BTreeMap<String, Vec<u8>> {
            let files = fs::read_dir(sandbox.artifact_of(stage)).unwrap().map(|it| it.unwrap());
            let name = |it: &fs::DirEntry| it.file_name().into_string().unwrap();
            let of_stage = ["manifest.json", "metrics.json", "trainer.json"];
            let files = files.filter(|it| !of_stage.contains(&name(it).as_str()));
            files.map(|it| (name(&it), fs::read(it.path()).unwrap())).collect()
        };
        assert!(files("train 2") == files("train 4"), "{method} keeps the last policy");
        assert!(files("control 2") == files("control 4"), "{method} keeps the last control");
        assert_eq!(files("train 4").contains_key("adapter_model.safetensors"), !more.is_empty());
        assert_eq!(json_of(&sandbox, "train 4", "trainer.json")["steps_of_stage"], 0);
        assert!(said.stderr.contains("stops after iteration 2: 2 evaluations without a gain"));

        let report = sandbox.mstar(&["report", "--format", "json"]).exits(0).json();
        let member = &report["members"][0];
        assert_eq!(member["state"], "done");
        assert_eq!(member["stopped"]["after"], 2);
        assert_eq!(member["quoted"], serde_json::json!({"by": "last", "iteration": 2}));
        let last = member["evaluations"].as_array().unwrap().iter().map(|it| &it["iteration"]);
        assert_eq!(last.max_by_key(|it| it.as_u64()).unwrap(), 2);
        let text = sandbox.mstar(&["report"]).exits(0).stdout;
        assert!(text.contains("stopped after iteration 2 of 4: 2 evaluations without"), "{text}");
        assert!(!text.lines().any(|line| line.trim_start().starts_with("3 ")), "{text}");
        let listed = sandbox.mstar(&["list", "--where", "steps>0", "--format", "json"]).exits(0);
        assert_eq!(listed.json()["runs"].as_array().unwrap().len(), 1);
        sandbox.mstar(&["rollouts", "--limit", "1"]).exits(0);
        // Nothing is left to do.
        let again = sandbox.mstar(&run).exits(0);
        assert_eq!(again.stdout.matches("stopped after iteration 2 of 4").count(), 1);
    }
}

/// Greedy accuracy on validation that falls with every iteration, because the steps are far too long.
const FALLING: &str = r#"format = 1
extends = "tiny.toml"
name = "falling"

[training]
iterations = 3
steps_per_iteration = 2
learning_rate = 1e-2
allow_empty = true

[evaluation]
pass_samples = 0
quote = "best"

[control]
equal_steps = false
"#;

#[test]
fn the_best_by_validation_is_quoted_by_every_view() {
    let sandbox = Sandbox::with_only(GROUND);
    let base = fs::read_to_string(sandbox.path("tiny.toml")).unwrap();
    sandbox.write("tiny.toml", base.replace("data = \"warmup\"\n", ""));
    sandbox.write("falling.toml", FALLING);
    sandbox.mstar(&["run", "falling.toml", "--workers", "2"]).exits(0);
    let report = sandbox.mstar(&["report", "--format", "json"]).exits(0).json();
    let member = &report["members"][0];
    let of = |split: &str| -> Vec<(u64, f64)> {
        let all = member["evaluations"].as_array().unwrap().iter();
        let of = all.filter(|it| it["split"] == split && it["iteration"] != 0);
        of.map(|it| (it["iteration"].as_u64().unwrap(), it["accuracy"].as_f64().unwrap())).collect()
    };
    let high = of("validation").iter().map(|it| it.1).fold(f64::MIN, f64::max);
    let best = of("validation").iter().find(|it| it.1 == high).unwrap().0;
    assert_eq!(member["quoted"], serde_json::json!({"by": "best", "iteration": best}));
    assert_ne!(best, 3, "{member}: this recipe should fall");
    let test = of("test").iter().find(|it| it.0 == best).unwrap().1;
    let listed = sandbox.mstar(&["list", "--members", "--format", "json"]).exits(0).json();
    assert!(listed.to_string().contains(&format!("{test}")), "{listed}");
    let value = format!("test.accuracy={test}");
    let found = sandbox.mstar(&["list", "--where", &value, "--format", "json"]).exits(0).json();
    assert_eq!(found["runs"].as_array().unwrap().len(), 1, "{value} {listed}");
    let text = sandbox.mstar(&["report"]).exits(0).stdout;
    assert!(text.contains(&format!("iteration {best} (best by validation)")), "{text}");
    // Another word on what is quoted computes nothing anew.
    let plan = sandbox.mstar(&[
        "plan",
        "falling.toml",
        "--set",
        "evaluation.quote=last",
        "--format",
        "json",
    ]);
    let plan = plan.exits(0).json();
    assert_eq!(plan["totals"]["to_run"], 0, "{}", plan["totals"]);
}

#[test]
fn a_script_chooses_the_temperature_and_when_to_stop() {
    let sandbox = Sandbox::with_only(GROUND);
    let recipe = BALANCED.replace("maximise = { pass = 2 }", "maximise = \"hook\"");
    let recipe = recipe.replace("every = 2", "every = 1");
    let recipe = recipe.replace("[training]\n", "[training]\nallow_empty = true\n");
    sandbox.write("hooked.toml", format!("{recipe}\n[hooks]\nscript = \"by-entropy.rhai\"\n"));
    // The first search is told of the candidates, the second of the first and of what it chose.
    sandbox.write(
        "by-entropy.rhai",
        "fn temperature(history) {\n    let now = history[-1];\n    if history.len() == 1 {\n        \
         if now.candidates[0].entropy > now.candidates[1].entropy { throw \"the hotter differs more\" }\n        \
         return now.candidates[1].temperature;\n    }\n    \
         if history[0].chosen != 2.5 { throw \"it was 2.5\" }\n    \
         if now.temperature != 2.5 || type_of(now.greedy) != \"f64\" { throw \"in use\" }\n    0.5\n}\n\
         fn stop(history) { history[-1].iteration == 2 && history.len() == 3 }\n",
    );
    let said = sandbox.mstar(&["run", "hooked.toml", "--workers", "2"]).exits(0);
    let first = json_of(&sandbox, "balance 1", "metrics.json");
    assert_eq!((&first["temperature"], &first["before"]), (&2.5.into(), &3.0.into()), "{first}");
    assert_eq!(
        (&first["reason"], &first["objective"]),
        (&"the script chose".into(), &"hook".into())
    );
    assert_eq!(json_of(&sandbox, "balance 2", "metrics.json")["temperature"], 0.5);
    assert_eq!(json_of(&sandbox, "explore 2", "metrics.json")["temperature"], 0.5);
    assert_eq!(json_of(&sandbox, "explore 3", "metrics.json")["stopped_after"], 2);
    assert!(said.stderr.contains("stops after iteration 2: the script said so"), "{}", said.stderr);

    sandbox.write("by-entropy.rhai", "fn temperature(history) { 0.7 }\n");
    let said = sandbox.mstar(&["run", "hooked.toml"]).exits(1);
    assert!(
        said.stderr.contains("`temperature` gives 0.7, which was not searched"),
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains("give one of the candidates: 0.5, 2.5"), "{}", said.stderr);
}

/// On training prompts: the exploration at the chosen temperature takes over what the search drew.
#[test]
fn an_exploration_takes_over_what_a_search_drew_on_its_prompts() {
    let searching = BALANCED.replace("samples = 2", "samples = 1\nprompts = 515");
    let searching = searching.replace("every = 2", "search_on = \"training\"");
    let searching = searching.replace("iterations = 3", "iterations = 1\ninterval = 1.0");
    let sandbox = Sandbox::with_only(GROUND);
    sandbox.write("searching.toml", searching.replace("{ pass = 2 }", "{ pass = 1 }"));
    // One worker draws both shards.
    sandbox.mstar(&["run", "searching.toml", "--workers", "1"]).exits(0);
    let search = json_of(&sandbox, "search 1", "metrics.json");
    assert_eq!(
        (&search["split"], &search["count"], &search["samples"]),
        (&"train".into(), &515.into(), &1030.into())
    );
    let explored = json_of(&sandbox, "explore 1", "metrics.json");
    // Of 520 prompts with two samples the first of 515, three of which are in the second shard.
    assert_eq!((&explored["samples"], &explored["taken_over"]), (&1040.into(), &515.into()));
    let taken = fs::read(sandbox.artifact_of("explore 1").join("rollouts.parquet")).unwrap();

    // The same exploration at a fixed temperature draws all of it itself.
    let fixed = Sandbox::with_only(GROUND);
    let recipe = "format = 1\nextends = \"tiny.toml\"\nname = \"fixed\"\n[training]\nmethod = \"continuous\"\n\
        iterations = 1\ninterval = 1.0\n[control]\nequal_steps = false\n";
    fixed.write("fixed.toml", recipe);
    fixed.mstar(&["run", "fixed.toml", "--workers", "2"]).exits(0);
    let drawn = fs::read(fixed.artifact_of("explore 1").join("rollouts.parquet")).unwrap();
    assert!(taken == drawn, "what was taken over is what would have been drawn");
}

/// A tiny process reward model, by which a threshold is balanced and verifiers are measured.
const SCORED: &str = r#"format = 1
name = "scored"
extends = "tiny.toml"

[training]
interval = 0.1
iterations = 2
steps_per_iteration = 2

[exploration]
samples = 4

[reward]
model = "process"
select = { above = 0.99 }
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

[temperature]
mode = "balanced"
maximise = { balance = 2 }
candidates = { from = 0.5, to = 0.5 }
samples = 4
also = { top_p = [0.9, 1.0], samples = [2, 4], threshold = { from = 0.0, to = 0.9, step = 0.3 } }

[evaluation]
pass_samples = 4
verifiers = true

[control]
equal_steps = false
"#;

#[test]
fn a_threshold_is_balanced_with_other_knobs_and_verifiers_are_studied() {
    let sandbox = Sandbox::with_only(GROUND);
    let tiny = fs::read_to_string(sandbox.path("tiny.toml")).unwrap();
    sandbox.write("tiny.toml", tiny.replace("data = \"warmup\"\n", ""));
    sandbox.write("scored.toml", SCORED);
    sandbox.mstar(&["run", "scored.toml", "--workers", "2"]).exits(0);

    // Nothing scores above 0.99, so that any threshold below is better; no response is drawn for it.
    let search = json_of(&sandbox, "search 1", "metrics.json");
    assert_eq!(search["samples"], 16 * 4 * 2, "two ways to draw, four samples");
    let balance = json_of(&sandbox, "balance 1", "temperature.json");
    let setting = &balance["setting"];
    assert_eq!(balance["setting_before"]["threshold"], 0.99);
    assert_eq!(balance["moved"], true, "{balance}");
    let threshold = setting["threshold"].as_f64().unwrap();
    assert!([0.0, 0.3, 0.6, 0.9].contains(&threshold), "{balance}");
    assert_eq!(json_of(&sandbox, "select 1", "metrics.json")["threshold"], threshold);
    let explored = json_of(&sandbox, "explore 1", "metrics.json");
    let each = setting["samples"].as_u64().unwrap();
    assert_eq!(explored["samples"], 52 * each, "{balance}");

    let monitor = json_of(&sandbox, "monitor 2", "metrics.json");
    let verifiers = &monitor["verifiers"];
    for way in ["best_of_n", "majority", "weighted"] {
        let of = |n: &str| &verifiers[way][n];
        // Of one response every verifier makes the mean, of more never more than there is.
        assert_eq!(of("1")["value"], monitor["mean"], "{way} {verifiers}");
        for n in ["1", "2", "4"] {
            let ends = &of(n)["interval"];
            let [low, value, high] =
                [&ends[0], &of(n)["value"], &ends[1]].map(|it| it.as_f64().unwrap());
            assert!(low <= value + 1e-9 && value <= high + 1e-9, "{way} {n} {verifiers}");
            assert!(value <= monitor["pass"][n].as_f64().unwrap() + 1e-9, "{way} {n}");
        }
    }
    let report = sandbox.mstar(&["report", "--format", "json"]).exits(0).json();
    let told = report["members"][0]["verifiers"].as_array().unwrap();
    assert_eq!(told.len(), 3 * 3, "three policies, N of 1, 2 and 4");
    let text = sandbox.mstar(&["report"]).exits(0).stdout;
    assert!(text.contains("verifiers against N, after iteration 2 (validation, %)"), "{text}");
    let page = fs::read_to_string(sandbox.path(".mstar/run-v1/scored-1/report.html")).unwrap();
    assert!(page.contains(r#"id="fig-verifiers""#));
    let best = verifiers["best_of_n"]["4"]["value"].as_f64().unwrap();
    let condition = format!("verifier.best_of_n={best}");
    let found = sandbox.mstar(&["list", "--where", &condition, "--format", "json"]).exits(0);
    assert_eq!(found.json()["runs"].as_array().unwrap().len(), 1, "{condition}");
}

/// The objective of a search's responses, all of them, at each way in which it drew.
fn objectives(sandbox: &Sandbox, search: &str, objective: Objective) -> Vec<f64> {
    let bytes = fs::read(sandbox.artifact_of(search).join("tallies.parquet")).unwrap();
    let rows: Vec<TallyRow> = table::decode(&bytes).unwrap();
    let value = |row: &TallyRow| {
        let TallyRow { samples, right, rank, selected, selected_right, .. } = *row;
        objective.of(&Tally { samples, right, rank, selected, selected_right }).unwrap()
    };
    // Every draw asks the 16 validation prompts.
    rows.chunks(16).map(|rows| rows.iter().map(value).sum::<f64>() / 16.0).collect()
}

/// The value of the only candidate that a balance tells of.
fn told_value(sandbox: &Sandbox, balance: &str) -> f64 {
    let told = json_of(sandbox, balance, "temperature.json");
    let candidates = told["candidates"].as_array().unwrap();
    assert_eq!(candidates.len(), 1, "the best at each temperature: {told}");
    candidates[0]["value"].as_f64().unwrap()
}

#[test]
fn knobs_are_balanced_by_what_a_hook_scores() {
    let sandbox = Sandbox::with_only(GROUND);
    sandbox.write("scoring.rhai", "fn reward(response) { 0.1 * response.text.len() }\n");
    let recipe = BALANCED.replace("maximise = { pass = 2 }", "maximise = { reward_pass = 2 }");
    let recipe = recipe.replace("to = 2.5, step = 2.0 }", "to = 0.5 }\nalso.top_p = [0.6, 1.0]");
    let recipe =
        recipe.replace("samples = 2", "samples = 4").replace("iterations = 3", "iterations = 1");
    let recipe = recipe.replace("value = 3.0", "value = 0.5");
    let hook = "[reward]\nmodel = \"hook\"\n[hooks]\nscript = \"scoring.rhai\"\n";
    sandbox.write("hooked.toml", format!("{recipe}\n{hook}"));
    let tiny = fs::read_to_string(sandbox.path("tiny.toml")).unwrap();
    sandbox.write("tiny.toml", tiny.replace("data = \"warmup\"\n", ""));
    sandbox.mstar(&["run", "hooked.toml", "--workers", "2"]).exits(0);

    let values = objectives(&sandbox, "search 1", Objective::RewardPass(2));
    assert_eq!(values.len(), 2, "two ways to draw");
    assert!(values.iter().all(|value| *value < 1.0), "length is not what makes them right");
    let best = values.iter().copied().fold(f64::MIN, f64::max);
    assert!((told_value(&sandbox, "balance 1") - best).abs() < 1e-9, "{values:?}");
    let scores: Vec<ResponseScores> = rows(&sandbox, "search 1", "scores.parquet");
    let responses: Vec<Rollout> = rows(&sandbox, "search 1", "rollouts.parquet");
    assert_eq!(scores.len(), responses.len());
    for (scored, response) in scores.iter().zip(&responses) {
        assert_eq!((scored.prompt, scored.sample), (response.prompt, response.sample));
        assert_eq!((scored.score * 10.0).round() as usize, response.response.len());
        assert!(scored.steps.is_empty(), "a script scores no steps");
    }
}

#[test]
fn counts_of_samples_are_balanced_by_what_a_model_selects() {
    let sandbox = Sandbox::with_only(GROUND);
    let tiny = fs::read_to_string(sandbox.path("tiny.toml")).unwrap();
    sandbox.write("tiny.toml", tiny.replace("data = \"warmup\"\n", ""));
    let also = SCORED.lines().find(|line| line.starts_with("also")).unwrap();
    let recipe = SCORED.replace(also, "also.samples = [4]").replace("above = 0.99", "top = 1");
    let recipe = recipe.replace("[reward]\n", "[reward]\naggregate = \"last\"\n");
    let recipe =
        recipe.replace("iterations = 2", "iterations = 1").replace("verifiers = true\n", "");
    sandbox.write("counted.toml", recipe);
    sandbox.mstar(&["run", "counted.toml", "--workers", "2"]).exits(0);

    let values = objectives(&sandbox, "search 1", Objective::Balance(2));
    assert!((told_value(&sandbox, "balance 1") - values[0]).abs() < 1e-9, "{values:?}");
    let scores: Vec<ResponseScores> = rows(&sandbox, "search 1", "scores.parquet");
    let selected = scores.iter().filter(|it| f64::from(it.score) > SELECTED_ABOVE).count();
    assert!(0 < selected && selected < scores.len(), "{selected} of {}", scores.len());
}

/// A script that scores is studied as a model is.
#[test]
fn a_hook_that_rewards_is_verified() {
    let sandbox = Sandbox::with_only(GROUND);
    sandbox.write(
        "hooked.toml",
        "format = 1\nextends = \"tiny.toml\"\nname = \"hooked\"\n[training]\niterations = 1\n\
         [control]\nequal_steps = false\n[reward]\nmodel = \"hook\"\n[hooks]\n\
         script = \"right.rhai\"\n[evaluation]\nverifiers = true\npass_samples = 2\n",
    );
    let tiny = fs::read_to_string(sandbox.path("tiny.toml")).unwrap();
    sandbox.write("tiny.toml", tiny.replace("data = \"warmup\"\n", ""));
    // It knows what is right, so that the best of N is all that there is.
    sandbox
        .write("right.rhai", "fn reward(response) { if response.correct { 1.0 } else { 0.0 } }\n");
    sandbox.mstar(&["run", "hooked.toml", "--workers", "2"]).exits(0);
    let monitor = json_of(&sandbox, "monitor 1", "metrics.json");
    let [best, pass] = [&monitor["verifiers"]["best_of_n"]["2"]["value"], &monitor["pass"]["2"]];
    assert!((best.as_f64().unwrap() - pass.as_f64().unwrap()).abs() < 1e-9, "{monitor}");
}
