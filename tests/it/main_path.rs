//! From a recipe to a report, and what the other commands say of it afterwards.

use crate::sandbox::{Sandbox, assert_same, assert_told, entries, finished};
use mstar::event::{Event, Outcome};
use mstar::store::Store;
use serde_json::Value;
use std::fs;
use std::process::Command;

/// What a value has to be.
type Form = fn(&Value) -> bool;

fn is_share(value: &Value) -> bool {
    value.as_f64().is_some_and(|share| (0.0..=1.0).contains(&share))
}

fn is_share_or_null(value: &Value) -> bool {
    value.is_null() || is_share(value)
}

fn is_count(value: &Value) -> bool {
    value.as_u64().is_some()
}

/// An object with at least these fields, each of its form.
#[track_caller]
fn assert_fields(object: &Value, fields: &[(&str, Form)]) {
    let map = object.as_object().unwrap_or_else(|| panic!("no object: {object}"));
    for (name, is_good) in fields {
        let value = map.get(*name).unwrap_or_else(|| panic!("no `{name}` in {object}"));
        assert!(is_good(value), "`{name}` is {value} in {object}");
    }
}

fn list<'a>(object: &'a Value, name: &str) -> &'a Vec<Value> {
    object[name].as_array().unwrap_or_else(|| panic!("`{name}` is no list in {object}"))
}

/// `report --format json`, as scripts rely on it.
#[track_caller]
fn assert_report_contract(report: &Value) {
    assert_eq!(report["format"], 1);
    assert_fields(report, &[("run", Value::is_string), ("members", Value::is_array)]);
    for member in list(report, "members") {
        assert_fields(member, &[("name", Value::is_string), ("values", Value::is_object)]);
        for evaluation in list(member, "evaluations") {
            assert_fields(
                evaluation,
                &[
                    ("iteration", is_count),
                    ("step", is_count),
                    ("split", Value::is_string),
                    ("accuracy", is_share),
                    ("interval", Value::is_array),
                    ("count", is_count),
                    ("categories", Value::is_object),
                ],
            );
            let interval = list(evaluation, "interval");
            assert_eq!(interval.len(), 2);
            let number = |value: &Value| value.as_f64().unwrap();
            assert!(number(&interval[0]) <= number(&evaluation["accuracy"]));
            assert!(number(&evaluation["accuracy"]) <= number(&interval[1]));
            assert!(evaluation["categories"].as_object().unwrap().values().all(is_share));
        }
        for point in list(member, "dynamics") {
            assert_fields(
                point,
                &[
                    ("iteration", is_count),
                    ("step", is_count),
                    ("temperature", Value::is_number),
                    ("greedy", is_share_or_null),
                    ("pass", is_share),
                    ("reward_pass", is_share_or_null),
                    ("k", is_count),
                ],
            );
        }
    }
}

#[test]
fn a_run_ends_with_the_path_of_its_page_and_a_report_that_keeps_the_contract() {
    let (folder, said) = finished();
    assert!(said.stdout.ends_with("report: .mstar/run-v1/tiny-1/report.html\n"), "{}", said.stdout);
    let page = fs::read_to_string(folder.join(".mstar/run-v1/tiny-1/report.html")).unwrap();
    assert!(page.contains("</html>") && page.contains("tiny-1"));

    let sandbox = Sandbox::finished();
    let report = sandbox.mstar(&["report", "--format", "json"]).exits(0).json();
    assert_report_contract(&report);
    assert_eq!((&report["run"], &report["run_outcome"]), (&"tiny-1".into(), &"done".into()));
    let evaluations = list(&list(&report, "members")[0], "evaluations");
    let of = |branch: &str, split: &str| {
        let is_meant = |it: &&Value| it["branch"] == branch && it["split"] == split;
        let steps = evaluations.iter().filter(is_meant).map(|it| it["step"].as_u64().unwrap());
        steps.collect::<Vec<_>>()
    };
    let first = of("evolution", "test")[0];
    // Twelve steps an iteration, and as many of the control.
    assert_eq!(of("evolution", "test"), [first, first + 12, first + 24]);
    assert_eq!(of("control", "test"), [first + 12, first + 24]);
    assert_eq!(of("evolution", "validation"), of("evolution", "test"));

    let text = sandbox.mstar(&["report"]).exits(0).stdout;
    assert!(text.contains("by category (test, %)") && text.contains("control"), "{text}");
    let output = sandbox.mstar(&["report", "tiny-1", "--format", "html", "--output", "page.html"]);
    assert_eq!(output.exits(0).stdout, "page.html\n");
    assert_eq!(fs::read_to_string(sandbox.path("page.html")).unwrap().len(), page.len());
}

#[test]
fn a_second_run_finds_everything_and_touches_nothing() {
    let sandbox = Sandbox::finished();
    let times = |sandbox: &Sandbox| {
        let folders = entries(&sandbox.store().join("artifact-v1"));
        let artifacts = folders.iter().flat_map(|folder| entries(folder));
        let files = artifacts.flat_map(|folder| entries(&folder));
        let time = |path| fs::metadata(path).unwrap().modified().unwrap();
        files.map(time).collect::<Vec<_>>()
    };
    let (before, digests) = (times(&sandbox), sandbox.artifacts());
    let said = sandbox.mstar(&["run", "tiny.toml"]).exits(0);
    let stages = sandbox.mstar(&["plan", "tiny.toml", "--format", "json"]).json();
    let count = list(&stages, "stages").len();
    assert_eq!(said.stderr, format!("{count} of {count} stages were stored\n"));
    assert!(said.stdout.ends_with("report: .mstar/run-v1/tiny-2/report.html\n"), "{}", said.stdout);
    let ran =
        |event: &Event| matches!(event, Event::StageStarted { .. } | Event::WorkerStarted { .. });
    assert!(!sandbox.records().iter().any(ran));
    assert_eq!(times(&sandbox), before);
    assert_same(&sandbox.artifacts(), &digests);
    // What was found is reported as what was made.
    let accuracies = |run: &str| {
        let report = sandbox.mstar(&["report", run, "--format", "json"]).exits(0).json();
        report["members"].clone()
    };
    assert_eq!(accuracies("tiny-1"), accuracies("tiny-2"));
}

#[test]
fn lists_and_shows_what_ran() {
    let sandbox = Sandbox::finished();
    let runs = sandbox.mstar(&["list", "--format", "json"]).exits(0).json();
    assert_eq!(runs["format"], 1);
    let run = &list(&runs, "runs")[0];
    assert_eq!((&run["run"], &run["recipe"]), (&"tiny-1".into(), &"tiny.toml".into()));
    assert!(run["outcome"] == "done" && is_share(&run["accuracy"]), "{run}");
    let text = sandbox.mstar(&["list"]).exits(0).stdout;
    assert!(text.starts_with("tiny-1 ") && text.contains(" done ") && text.lines().count() == 1);

    let shown = sandbox.mstar(&["show"]).exits(0).stdout;
    assert!(shown.starts_with(".mstar/run-v1/tiny-1\n") && shown.contains("by iteration"));
    let resolved = sandbox.mstar(&["show", "tiny-1", "--resolved"]).exits(0).stdout;
    let again = sandbox.mstar(&["show", "tiny.toml", "--resolved"]).exits(0).stdout;
    assert_eq!(resolved, again);
    assert!(resolved.contains("steps_per_iteration = 12"), "{resolved}");
    let set =
        sandbox.mstar(&["show", "tiny.toml", "--resolved", "--set", "seed=7"]).exits(0).stdout;
    let other: Vec<_> = set.lines().filter(|line| !resolved.contains(line)).collect();
    assert!(other.len() == 1 && other[0].starts_with("seed = 7"), "{other:?}");
    let plain = sandbox.mstar(&["show", "tiny.toml"]).exits(0).stdout;
    assert_eq!(plain, fs::read_to_string(sandbox.path("tiny.toml")).unwrap());
}

#[test]
fn plans_keep_their_contract_before_and_after_a_run() {
    let form: &[(&str, Form)] = &[
        ("key", Value::is_string),
        ("kind", Value::is_string),
        ("name", Value::is_string),
        ("needs", Value::is_array),
        ("members", Value::is_array),
        ("state", Value::is_string),
        ("why", Value::is_string),
        ("estimate", Value::is_object),
    ];
    let check = |plan: &Value, state: &str| {
        assert_eq!(plan["format"], 1);
        let member = &list(plan, "members")[0];
        assert_fields(member, &[("name", Value::is_string), ("values", Value::is_object)]);
        let mut known = Vec::new();
        for stage in list(plan, "stages") {
            assert_fields(stage, form);
            assert_eq!(stage["state"], state, "{stage}");
            for field in ["samples", "tokens", "steps", "seconds"] {
                assert!(stage["estimate"].get(field).is_some(), "{stage}");
            }
            assert!(list(stage, "needs").iter().all(|need| known.contains(need)), "{stage}");
            known.push(stage["key"].clone());
        }
        let count = known.len() as u64;
        let to_run = if state == "stored" { 0 } else { count };
        let totals = &plan["totals"];
        for (name, wanted) in
            [("stages", count), ("unique", count), ("shared", 0), ("to_run", to_run)]
        {
            assert_eq!(totals[name], wanted, "{name}");
        }
        assert_eq!(totals["saved"]["samples"], 0, "one member shares with nobody");
        assert!(totals["apart"]["samples"].as_u64().is_some_and(|samples| samples > 0));
        // Before anything was measured nobody knows, and with everything stored it is done.
        assert_eq!(totals["seconds"].as_f64(), (state == "stored").then_some(0.0));
        plan["stages"].as_array().unwrap().clone()
    };
    let ask = ["plan", "tiny.toml", "--format", "json"];
    let before = Sandbox::new();
    let stages = check(&before.mstar(&ask).exits(0).json(), "new");
    assert!(!before.store().exists(), "planning writes nothing");
    assert!(stages.iter().all(|stage| stage["why"] == "never run"));
    assert!(stages.iter().all(|stage| stage["estimate"]["seconds"].is_null()), "nothing measured");

    let after = Sandbox::finished();
    let stored = check(&after.mstar(&ask).exits(0).json(), "stored");
    let keys = |stages: &[Value]| stages.iter().map(|it| it["key"].clone()).collect::<Vec<_>>();
    assert_eq!(keys(&stages), keys(&stored));
    for format in ["text", "dot", "mermaid", "svg"] {
        let plan = after.mstar(&["plan", "tiny.toml", "--format", format]).exits(0).stdout;
        for name in ["warm-up explore", "train 2"] {
            assert!(plan.contains(name), "no `{name}` in {format}: {plan}");
        }
    }
}

#[test]
fn a_plan_names_the_field_that_made_a_stage_stale() {
    let sandbox = Sandbox::finished();
    let why = |set: &str| {
        let plan = sandbox.mstar(&["plan", "tiny.toml", "--format", "json", "--set", set]);
        let plan = plan.exits(0).json();
        let stale = list(&plan, "stages").iter().filter(|stage| stage["state"] != "stored");
        let line = |stage: &Value| {
            let text = |name: &str| stage[name].as_str().unwrap().to_owned();
            format!("{}: {}, {}\n", text("name"), text("state"), text("why"))
        };
        stale.map(line).collect::<String>()
    };
    let told = [
        ("what no key holds", "run.checkpoint_every_secs=1.5"),
        ("temperature", "temperature.value=0.75"),
        ("one iteration more", "training.iterations=3"),
        ("more test prompts", "data.test=17"),
    ]
    .map(|(what, set)| format!("# {what}: --set {set}\n{}\n", why(set)));
    assert_told("stale", &told.concat());
    // A stage that was measured has an estimate.
    let plan = sandbox.mstar(&["plan", "tiny.toml", "--format", "json", "--set", "seed=5"]).json();
    let explore = list(&plan, "stages").iter().find(|stage| stage["name"] == "explore 1").unwrap();
    assert!(explore["estimate"]["seconds"].as_f64().is_some_and(|it| it > 0.0), "{explore}");
}

#[test]
fn gc_removes_only_what_no_run_names() {
    let sandbox = Sandbox::finished();
    let before = sandbox.artifacts();
    for arguments in [&["gc", "--dry-run"][..], &["gc"], &["gc", "--keep-runs", "1"]] {
        let said = sandbox.mstar(arguments).exits(0);
        assert!(said.stdout.is_empty(), "{}", said.stdout);
        assert_same(&sandbox.artifacts(), &before);
    }
    sandbox.mstar(&["run", "tiny.toml", "--set", "training.iterations=1"]).exits(0);
    let (named, other) = (sandbox.artifacts(), before);
    let dry = sandbox.mstar(&["gc", "--keep-runs", "1", "--dry-run"]).exits(0);
    assert!(dry.stdout.contains("run tiny-1") && !dry.stdout.contains("run tiny-2"));
    assert_same(&sandbox.artifacts(), &named);
    let real = sandbox.mstar(&["gc", "--keep-runs", "1"]).exits(0);
    assert_eq!(real.stdout, dry.stdout);
    let left = sandbox.artifacts();
    assert!(left.len() < other.len() && left.iter().all(|(name, it)| other.get(name) == Some(it)));

    let store = Store::open_existing(&sandbox.store()).unwrap().unwrap();
    let run = store.latest_run().unwrap().unwrap();
    assert_eq!(run.id(), "tiny-2");
    for key in run.keys() {
        store.artifact(*key).unwrap().expect("the run names it").verify().unwrap();
    }
    let said = sandbox.mstar(&["run", "tiny.toml", "--set", "training.iterations=1"]).exits(0);
    assert_eq!(said.stderr.lines().count(), 1, "nothing is computed again: {}", said.stderr);
}

#[test]
fn pandas_opens_rollouts() {
    let python = std::env::var_os("MSTAR_TEST_PYTHON").unwrap_or_else(|| {
        panic!("MSTAR_TEST_PYTHON is unset: it names a Python with pandas (`make test` sets it)")
    });
    let sandbox = Sandbox::finished();
    let file = sandbox.artifact_of("warm-up explore").join("rollouts.parquet");
    let script = "import sys, pandas\n\
        rows = pandas.read_parquet(sys.argv[1], dtype_backend='pyarrow')\n\
        print(rows.dtypes.to_string())\n\
        print(len(rows), rows['prompt'].nunique(), sorted(rows['finish'].unique()))\n\
        print(int(rows['correct'].sum()), int((rows['extracted'] == rows['gold']).sum()))\n";
    let output = Command::new(python).args(["-c", script]).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let (types, facts) = lines.split_at(lines.len() - 2);
    assert_told("rollouts_in_pandas", &types.join("\n"));
    assert!(facts[0].starts_with("520 520 "), "{text}");
    let solved = sandbox.records().iter().find_map(|event| match event {
        Event::StageFinished { metrics, outcome: Outcome::Done, .. } => {
            metrics.get("mean_correct")?.as_f64()
        }
        _ => None,
    });
    let (right, equal) = facts[1].split_once(' ').unwrap();
    assert_eq!(right, equal);
    assert_eq!(right.parse::<f64>().unwrap(), (solved.unwrap() * 520.0).round());
}
