//! Experiments: how a file becomes members, what they share, and what is frozen when a run starts.

use crate::sandbox::{RECIPE, Sandbox, assert_told};
use mstar::base::{Place, Source};
use mstar::recipe::{Expanded, Experiment, Layers, Recipe, Stack};
use proptest::prelude::*;

/// Two methods that share what comes before the first training.
const GRID: &str = r#"format = 1
name = "grid"
base = "tiny.toml"

[axis]
"training.method" = ["continuous", "rest-em"]

[table]
values = ["test.accuracy"]
"#;

fn source(name: &str, text: &str) -> Source {
    Source { name: name.into(), text: text.into() }
}

fn stack(set: &[String]) -> Stack {
    let file = source("tiny.toml", RECIPE);
    let layers = Layers { file, environment: Vec::new(), set: set.to_vec() };
    let mut load = |_: &str, _: &Place| unreachable!("nothing is extended");
    Stack::read(&layers, &mut load).expect("the base is good")
}

#[track_caller]
fn expand(text: &str) -> Expanded {
    let text = format!("format = 1\nname = \"grid\"\n{text}");
    let experiment = Experiment::read(&source("grid.toml", &text));
    let expanded = experiment.and_then(|experiment| experiment.expand(&stack(&[])));
    expanded.unwrap_or_else(|faults| panic!("{faults}"))
}

fn names(text: &str) -> Vec<String> {
    expand(text).members.into_iter().map(|member| member.name).collect()
}

#[test]
fn axes_are_crossed_and_the_first_changes_slowest() {
    let text = "[axis]\n\"training.method\" = ['continuous', 'rest-em']\nseed = [1, 2]\n";
    assert_eq!(
        names(text),
        [
            "method=continuous,seed=1",
            "method=continuous,seed=2",
            "method=rest-em,seed=1",
            "method=rest-em,seed=2"
        ]
    );
}

#[test]
fn product_zip_members_and_skip_go_together() {
    let text = r#"
        [axis]
        seed = [1, 2]
        [[zip]]
        "exploration.samples" = [2, 4]
        "training.interval" = [0.05, 0.1]
        [[member]]
        name = "plain"
        [[member]]
        name = "own"
        "exploration.samples" = 8
        "training.interval" = 0.5
        [[skip]]
        when = 'member == "plain" && exploration.samples == 4 && seed == 2'
    "#;
    assert_eq!(
        names(text),
        [
            "plain,seed=1,samples=2,interval=0.05",
            "plain,seed=1,samples=4,interval=0.1",
            "plain,seed=2,samples=2,interval=0.05",
            "own,seed=1",
            "own,seed=2",
        ]
    );
    let expanded = expand(text);
    let own = &expanded.members[3];
    assert_eq!((own.recipe.exploration.samples, own.recipe.training.interval), (8, 0.5));
    assert_eq!(own.values["member"], "own");
    assert_eq!(own.values["training.interval"], 0.5);
}

#[test]
fn keys_may_be_written_as_tables_and_choices_as_values() {
    let text = "[axis.reward]\nselect = ['all', { random = 1 }]\n[axis]\ntraining.interval = [1]\n";
    assert_eq!(names(text), ["select=all,interval=1.0", "select=random-1,interval=1.0"]);
}

#[test]
fn what_is_set_holds_for_all_and_lies_below_the_axes() {
    let expanded = expand("[set]\n\"data.test\" = 7\n[axis]\nseed = [1, 2]\n");
    assert!(expanded.members.iter().all(|member| member.recipe.data.test == 7));
}

#[test]
fn a_condition_that_skips_nothing_is_told() {
    let expanded = expand("[axis]\nseed = [1, 2]\n[[skip]]\nwhen = 'seed == 3'\n");
    assert_eq!(expanded.members.len(), 2);
    assert_eq!(expanded.notes[0].code, "skips-nothing");
}

#[test]
fn seeds_are_averaged_over_where_nothing_is_said() {
    let text = "[axis]\n\"training.method\" = ['continuous', 'rest-em']\nseed = [1, 2]\n\
        \"data.seed\" = [1]\n[table]\ncolumns = ['data.seed']\nbaseline = 'method=rest-em,data.seed=1'\n";
    let table = expand(text).table.expect("a table is declared");
    assert_eq!((table.rows, table.over), (vec![], vec!["seed".to_owned()]));
    assert_eq!(table.baseline.as_deref(), Some("method=rest-em,data.seed=1"));
}

#[test]
fn an_empty_list_averages_over_nothing() {
    let text = "[axis]\nseed = [1, 2]\n[table]\nover = []\nbaseline = 'seed=1'\n";
    let table = expand(text).table.expect("a table is declared");
    assert_eq!((table.rows, table.over), (Vec::<String>::new(), vec![]));
}

/// Keys of an axis with values that any combination of the others allows.
const AXES: &[(&str, &[&str])] = &[
    ("training.method", &["'continuous'", "'rest-em'", "'iterative-rft'"]),
    ("training.interval", &["0.05", "0.5", "1"]),
    ("training.learning_rate", &["1e-4", "1"]),
    ("reward.select", &["'all'", "{ random = 1 }"]),
    ("policy.train", &["['language']", "['vision', 'language']"]),
    ("control.equal_steps", &["true", "false"]),
    ("exploration.top_p", &["0.9", "1"]),
    ("seed", &["0", "7", "18446744073709551615"]),
];

proptest! {
    /// A member is what one would get by setting its values one by one.
    #[test]
    fn members_are_what_set_would_make(
        chosen in prop::sample::subsequence(AXES.to_vec(), 1..AXES.len()),
    ) {
        let axes: Vec<String> =
            chosen.iter().map(|(key, values)| format!("\"{key}\" = [{}]\n", values.join(", "))).collect();
        let expanded = expand(&format!("[axis]\n{}", axes.concat()));
        let count: usize = chosen.iter().map(|(_, values)| values.len()).product();
        prop_assert_eq!(expanded.members.len(), count);
        for (index, member) in expanded.members.iter().enumerate() {
            let mut rest = index;
            let mut set = Vec::new();
            for (key, values) in chosen.iter().rev() {
                set.push(format!("{key}={}", values[rest % values.len()]));
                rest /= values.len();
            }
            let apart: Recipe = stack(&set).resolve().expect("the values go together").recipe;
            prop_assert_eq!(&member.recipe, &apart, "{}", member.name);
        }
    }
}

#[test]
fn plans_say_what_members_share() {
    let sandbox = Sandbox::new();
    sandbox.write("grid.toml", GRID);
    let plan = sandbox.mstar(&["plan", "grid.toml", "--format", "json"]).exits(0).json();
    let names: Vec<_> = plan["members"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert_eq!(names, ["method=continuous", "method=rest-em"]);
    assert_eq!(plan["members"][1]["values"]["training.method"], "rest-em");
    let stages = plan["stages"].as_array().unwrap();
    let shared = stages.iter().filter(|stage| stage["members"].as_array().unwrap().len() == 2);
    let totals = &plan["totals"];
    assert_eq!(totals["shared"], shared.count());
    assert_eq!(totals["unique"], stages.len());
    let apart: u64 = ["method=continuous", "method=rest-em"]
        .map(|only| sandbox.mstar(&["plan", "grid.toml", "--only", only, "--format", "json"]))
        .map(|said| said.exits(0).json()["totals"]["stages"].as_u64().unwrap())
        .iter()
        .sum();
    assert_eq!(totals["stages"], apart);
}

#[test]
fn any_experiment_runs_on_any_base() {
    let sandbox = Sandbox::new();
    sandbox.write("grid.toml", GRID);
    sandbox.write("other.toml", RECIPE.replace("iterations = 2", "iterations = 1"));
    let stages = |arguments: &[&str]| {
        let plan = [&["plan", "grid.toml", "--format", "json"], arguments].concat();
        sandbox.mstar(&plan).exits(0).json()["totals"]["stages"].as_u64().unwrap()
    };
    assert!(stages(&["--base", "other.toml"]) < stages(&[]));
    assert!(stages(&["--set", "training.iterations=1"]) < stages(&[]));
}

#[test]
fn wrong_bases_patterns_and_twins_are_told() {
    let sandbox = Sandbox::new();
    sandbox.write("grid.toml", GRID);
    sandbox.write("nowhere.toml", GRID.replace("tiny.toml", "none.toml"));
    sandbox.write("baseless.toml", GRID.replace("base = \"tiny.toml\"\n", ""));
    sandbox.write("nested.toml", GRID.replace("tiny.toml", "grid.toml"));
    let twins = "[axis]\n\"training.interval\" = [1.0, 0.5]\n\"training.method\" = ['sft']\n\
        [set]\ncontrol.equal_steps = false\n\"training.steps_per_iteration\" = 0\n";
    sandbox.write("twins.toml", format!("name = \"twins\"\nbase = \"tiny.toml\"\n{twins}"));
    let mut told = String::new();
    for arguments in [
        &["check", "nowhere.toml", "baseless.toml", "nested.toml", "twins.toml"][..],
        &["plan", "grid.toml", "--only", "method=sft*"],
        &["plan", "grid.toml", "--only", "method=["],
        &["plan", "grid.toml", "--base", "grid.toml"],
        &["plan", "grid.toml", "--base", "none.toml"],
        &["plan", "tiny.toml", "--base", "tiny.toml"],
        &["run", "--resume"],
        &["run", "grid.toml", "--resume"],
        &["run"],
    ] {
        told += &format!(
            "$ mstar {}\n{}\n",
            arguments.join(" "),
            sandbox.mstar(arguments).exits(2).told()
        );
    }
    assert_told("wrong_experiments", &told);
}

#[test]
fn what_was_set_outside_is_blamed_for_members_that_do_the_same() {
    let sandbox = Sandbox::new();
    let axis = "[axis]\n\"warmup.prompts\" = [100, 200]\n";
    sandbox.write("grid.toml", format!("name = \"grid\"\nbase = \"tiny.toml\"\n{axis}"));
    sandbox.mstar(&["plan", "grid.toml", "--set", "seed=3"]).exits(0);
    let few = ["plan", "grid.toml", "--set", "seed=3", "--set", "data.labelled=0.1"];
    let said = sandbox.mstar(&few).exits(2);
    let hint = "hint: leave out `--set data.labelled=0.1`, or leave one out with a `[[skip]]`";
    assert!(said.stderr.contains(hint), "{}", said.told());
}

#[cfg(feature = "torch")]
mod running {
    use super::{GRID, RECIPE};
    use crate::sandbox::Sandbox;
    use mstar::event::{Event, Outcome};
    use rustix::process::{Pid, Signal, kill_process};

    fn outcomes(events: &[Event]) -> (usize, usize) {
        let count = |wanted| {
            let is_it = |event: &&Event| matches!(event, Event::StageFinished { outcome, .. } if *outcome == wanted);
            events.iter().filter(is_it).count()
        };
        (count(Outcome::Done), count(Outcome::Stored))
    }

    #[test]
    fn a_run_does_only_what_is_missing_and_a_resumed_one_what_was_frozen() {
        let sandbox = Sandbox::finished();
        sandbox.write("grid.toml", GRID);
        let mut run = sandbox.start(&["run", "grid.toml"], None);
        let began = |event: &Event| matches!(event, Event::StageStarted { .. });
        while !(sandbox.logs().len() == 2 && sandbox.records().iter().any(began)) {
            assert!(run.try_wait().unwrap().is_none(), "the run ended before");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let process = Pid::from_raw(run.id().cast_signed()).expect("it is no idle process");
        kill_process(process, Signal::INT).unwrap();
        assert_eq!(run.wait().unwrap().code(), Some(130));

        // Later edits do not touch what is under way, not even of the base.
        sandbox.write("grid.toml", GRID.replace("rest-em", "iterative-rft"));
        sandbox.write("tiny.toml", RECIPE.replace("seed", "sede"));
        sandbox.mstar(&["run", "--resume"]).exits(0);
        assert_eq!(sandbox.logs().len(), 2, "it goes on in its own record");
        let report = sandbox.mstar(&["report", "--format", "json"]).exits(0).json();
        let members = report["members"].as_array().unwrap();
        let names: Vec<_> = members.iter().map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["method=continuous", "method=rest-em"]);
        let measured = |index: usize| members[index]["evaluations"].as_array().unwrap().len();
        assert!(measured(0) > 0 && measured(0) == measured(1), "{members:#?}");
        assert_eq!(members[1]["values"]["training.method"], "rest-em");

        let with_baseline = "values = [\"steps\"]\nbaseline = \"method=continuous\"\n";
        sandbox.write("grid.toml", GRID.replace("values = [\"test.accuracy\"]\n", with_baseline));
        sandbox.write("tiny.toml", RECIPE);
        let said = sandbox.mstar(&["run", "grid.toml", "--only", "*rest-em"]).exits(0);
        assert!(said.stderr.contains("has no baseline"), "{}", said.stderr);
        let csv = sandbox.mstar(&["report", "--format", "csv"]).exits(0).stdout;
        assert!(csv.contains("steps") && !csv.contains("test.accuracy"), "{csv}");
        let (done, stored) = outcomes(&sandbox.records());
        assert!(done == 0 && stored > 20, "{done} done, {stored} stored");

        // A record without its graph, or with a torn log, stops nobody else.
        let record = sandbox.store().join("run-v1/grid-3");
        std::fs::remove_file(record.join("graph.json")).unwrap();
        sandbox.mstar(&["plan", "grid.toml"]).exits(0);
        let said = sandbox.mstar(&["run", "--resume", "grid-3"]).exits(2);
        assert!(said.stderr.contains("the graph of `grid-3` cannot be read"), "{}", said.stderr);
        let log = sandbox.store().join("run-v1/grid-2/events.jsonl");
        let text = std::fs::read_to_string(&log).unwrap();
        std::fs::write(&log, text.replacen("stage-finished", "stage", 1)).unwrap();
        for command in
            [&["run", "--resume", "grid-2"][..], &["show", "grid-2"], &["report", "grid-2"]]
        {
            let said = sandbox.mstar(command).exits(2);
            assert!(
                said.stderr.contains("of the log of `grid-2` cannot be read"),
                "{}",
                said.stderr
            );
        }
    }
}

#[test]
fn planning_of_many_members_is_watched_in_a_terminal_and_nowhere_else() {
    let sandbox = Sandbox::new();
    let seeds: Vec<String> = (0..240).map(|seed| seed.to_string()).collect();
    let grid = format!(
        "format = 1\nname = \"grid\"\nbase = \"tiny.toml\"\n[axis]\nseed = [{}]\n",
        seeds.join(", ")
    );
    sandbox.write("grid.toml", grid);
    let plain = sandbox.mstar(&["check", "grid.toml"]).exits(0);
    assert!(!plain.stderr.contains("planning"), "{}", plain.stderr);
    let Some(shown) = sandbox.in_terminal(&["check", "grid.toml"], "", true) else { return };
    assert!(shown.contains("planning") && shown.contains("/240 members"), "{shown}");
    assert!(shown.contains("grid.toml: good, 240 members"), "{shown}");
}
