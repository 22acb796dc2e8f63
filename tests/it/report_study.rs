//! What the terminal and scripts are told of a run, whatever became of it.

use crate::study_log::{End, grid, grid_values, key, log};
use mstar::event::{Event, Outcome, Record};
use mstar::report::{Branch, Ending, State, Study, summary, to_json};
use serde_json::{Value, json};

fn pretty(json: &Value) -> String {
    serde_json::to_string_pretty(json).expect("JSON is JSON")
}

#[test]
fn json_of_a_run_keeps_its_contract() {
    let json = to_json(&Study::read(&log(End::Done)), None);
    assert_eq!((&json["format"], &json["run_outcome"]), (&json!(1), &json!("done")));
    let member = &json["members"][0];
    let evaluations = member["evaluations"].as_array().unwrap();
    // Warm-up and six iterations, two splits, and the control's six.
    assert_eq!(evaluations.len(), 7 * 2 + 6 * 2);
    insta::assert_snapshot!("json_last_evaluation", pretty(evaluations.last().unwrap()));
    insta::assert_snapshot!("json_first_dynamics", pretty(&member["dynamics"][0]));
    let last_control = evaluations.iter().rfind(|it| it["branch"] == "control").unwrap();
    assert_eq!(
        (&last_control["iteration"], &last_control["split"], &last_control["accuracy"]),
        (&json!(6), &json!("test"), &json!(0.357))
    );
    assert_eq!(json["unfinished"], json!([]));
}

#[test]
fn terminal_summary_of_a_run() {
    let text = summary(&Study::read(&log(End::Done)), None, Some(".mstar/reports/mini-mstar.html"));
    insta::assert_snapshot!("summary_done", text);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[test]
fn terminal_summary_of_a_failed_run_names_what_failed() {
    let study = Study::read(&log(End::Failed));
    assert_eq!(study.ending, Ending::Said(Outcome::Failed));
    insta::assert_snapshot!("summary_failed", summary(&study, None, None));
}

#[test]
fn a_killed_run_folds_as_far_as_it_came() {
    let study = Study::read(&log(End::Killed));
    assert_eq!(study.ending, Ending::Open);
    let row = study.stages.iter().find(|row| row.summary.name == "explore 2").unwrap();
    assert_eq!(row.state, State::Begun);
    let waiting = study.stages.iter().filter(|row| row.state == State::Waiting).count();
    assert!(waiting > 20, "{waiting}");
    let member = &study.members[0];
    assert_eq!(member.iterations, 6);
    assert_eq!(member.comparison("test").unwrap().iteration, 1);
    assert_eq!(to_json(&study, None)["run_outcome"], Value::Null);
}

#[test]
fn a_resumed_run_is_one_study_without_the_pause() {
    let killed = log(End::Killed);
    let worked = Study::read(&killed).seconds;
    let pause_ms = 86_400_000;
    let again = log(End::Done).into_iter().map(|record| Record {
        time_ms: record.time_ms + pause_ms,
        event: match record.event {
            // The second sitting finds what the first one left.
            Event::StageFinished { key: done, bytes, metrics, computed_on, seconds, .. } => {
                let stored = done == key("prepare");
                let outcome = if stored { Outcome::Stored } else { Outcome::Done };
                let seconds = if stored { 0.0 } else { seconds };
                Event::StageFinished { key: done, outcome, seconds, bytes, metrics, computed_on }
            }
            Event::StageStarted { key: begun, worker, .. } if begun != key("prepare") => {
                Event::StageStarted { key: begun, worker, resumed_from: 3 }
            }
            Event::StageStarted { key, .. } => {
                Event::Note { key: Some(key), message: "found".into() }
            }
            other => other,
        },
    });
    let whole = Study::read(&killed.into_iter().chain(again).collect::<Vec<_>>());
    let alone = Study::read(&log(End::Done)).seconds;
    assert_eq!(whole.ending, Ending::Said(Outcome::Done));
    assert!((whole.seconds - worked - alone).abs() < 0.01, "{} {worked} {alone}", whole.seconds);
    let prepare = whole.stages.iter().find(|row| row.summary.name == "prepare").unwrap();
    assert_eq!((&prepare.state, prepare.seconds), (&State::Stored, 3.4));
}

#[test]
fn metrics_that_cannot_be_read_are_told() {
    let mut records = log(End::Done);
    for record in &mut records {
        if let Event::StageFinished { key: done, metrics, .. } = &mut record.event
            && *done == key("select 2")
        {
            metrics.remove("kept");
        }
    }
    let study = Study::read(&records);
    let told = study.notes.iter().find(|it| it.stage.as_deref() == Some("select 2")).unwrap();
    assert!(told.message.contains("`kept`"), "{}", told.message);
    assert_eq!(study.members[0].selections.len(), 6);
}

#[test]
fn members_of_a_grid_lie_side_by_side_and_the_leader_is_chosen_by_validation() {
    let study = Study::read(&grid()).with_values(&grid_values());
    assert_eq!(study.leader().unwrap().name, "long");
    let brief = &study.members[0];
    assert!(!brief.has_control());
    assert_eq!(brief.curve("test", Branch::Evolution).len(), 4);
    insta::assert_snapshot!("summary_grid", summary(&study, None, None));
    assert_eq!(to_json(&study, None)["members"][0]["values"], json!({"training.iterations": 3}));
}

#[test]
fn members_that_differ_in_their_seed_alone_are_one_row_with_an_interval() {
    let mut values = grid_values();
    for (seed, values) in (1..).zip(values.values_mut()) {
        values.clear();
        values.insert("seed".to_owned(), json!(seed));
        values.insert("training.method".to_owned(), json!("continuous"));
    }
    let text = summary(&Study::read(&grid()).with_values(&values), None, None);
    let row = text.lines().find(|line| line.trim_start().starts_with("continuous")).unwrap();
    // 52.9 and 72.1: a mean of 62.5, and with one degree of freedom hardly any certainty. Student's
    // interval from -59.5 to 184.5 ends where shares do.
    assert!(row.contains("  62.5 [0.0–100.0]"), "{row}");
}
