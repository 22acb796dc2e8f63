//! Temperatures that a run measures and chooses, and what the training methods carry over.

use crate::sandbox::{GROUND, Said, Sandbox, artifacts, assert_same, entries};
use mstar::event::Event;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
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
