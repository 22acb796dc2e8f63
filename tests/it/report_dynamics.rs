//! What the report says of dynamics and of a balanced temperature, from logs made by hand.

use mstar::base::{Digest, Key};
use mstar::event::{Event, Outcome, Record, StageSummary};
use mstar::report::{Branch, Extras, Member, Study, page, summary, to_json};
use serde_json::{Value, json};

/// Kind, name, branch, iteration and metrics of a stage.
type Row = (&'static str, &'static str, &'static str, u32, Value);

fn at(temperature: f64, pass: f64) -> Value {
    json!({
        "temperature": temperature, "mean": pass / 2.0, "mean_interval": [0.0, 1.0],
        "pass": {"1": pass / 2.0, "8": pass}, "pass_interval": {"8": [pass - 0.05, pass + 0.05]},
    })
}

fn monitor(step: u64, here: &[(f64, f64)]) -> Value {
    let each: Vec<Value> = here.iter().map(|&(temperature, pass)| at(temperature, pass)).collect();
    let mut metrics = each[0].clone();
    let rest = json!({
        "split": "validation", "step": step, "k": 8, "samples": 6400, "count": 400,
        "temperatures": each,
    });
    metrics.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    metrics
}

fn evaluate(step: u64, accuracy: f64) -> Value {
    json!({
        "split": "validation", "count": 400, "correct": (accuracy * 400.0) as u64, "step": step,
        "accuracy": accuracy, "interval": [accuracy - 0.05, accuracy + 0.05],
    })
}

fn explore(temperature: f64, solved: f64) -> Value {
    json!({"prompts": 10, "samples": 80, "tokens": 800, "solved": solved, "temperature": temperature})
}

fn balance(before: f64, chosen: f64) -> Value {
    let candidate = |temperature: f64, value: f64| {
        json!({
            "temperature": temperature, "value": value, "interval": [value - 0.05, value + 0.05],
            "difference": value - 0.4, "difference_interval": [value - 0.42, value - 0.38],
        })
    };
    json!({
        "objective": "pass@8", "temperature": chosen, "before": before, "moved": before != chosen,
        "reason": "the best is better beyond the noise", "best": 0.5, "compared_with": 1.0,
        "candidates": [candidate(0.5, 0.6), candidate(1.0, 0.4)],
    })
}

fn rows() -> Vec<Row> {
    vec![
        ("explore", "warm-up explore", "ground", 0, explore(1.0, 0.5)),
        ("explore", "reward explore", "reward", 0, explore(0.9, 0.25)),
        ("evaluate", "evaluate warm-up", "ground", 0, evaluate(30, 0.3)),
        ("monitor", "monitor warm-up", "ground", 0, monitor(30, &[(1.0, 0.5), (0.3, 0.25)])),
        ("monitor", "search 1", "search", 1, monitor(30, &[(0.5, 0.6), (1.0, 0.4)])),
        ("balance", "balance 1", "search", 1, balance(1.0, 0.5)),
        ("explore", "explore 1", "evolution", 1, explore(0.5, 0.6)),
        ("evaluate", "evaluate 1", "evolution", 1, evaluate(60, 0.4)),
        ("monitor", "monitor 1", "evolution", 1, monitor(60, &[(1.0, 0.55), (0.3, 0.45)])),
    ]
}

fn study() -> Study {
    let key = |name: &str| Key(Digest::of(name.as_bytes()));
    let stages = rows().into_iter().map(|(kind, name, branch, iteration, _)| StageSummary {
        key: key(name),
        kind: kind.to_owned(),
        name: name.to_owned(),
        needs: Vec::new(),
        members: vec!["only".to_owned()],
        branch: branch.to_owned(),
        iteration,
    });
    let mut events = vec![Event::Planned { stages: stages.collect(), best: Vec::new() }];
    events.extend(rows().into_iter().map(|(_, name, _, _, metrics)| Event::StageFinished {
        key: key(name),
        outcome: Outcome::Done,
        seconds: 1.0,
        bytes: 1,
        metrics: metrics.as_object().unwrap().clone(),
        computed_on: "cpu".to_owned(),
    }));
    let records: Vec<Record> =
        (0..).zip(events).map(|(time_ms, event)| Record { time_ms, event }).collect();
    let study = Study::read(&records);
    assert_eq!(study.notes, [], "all metrics are read");
    study
}

#[test]
fn searches_and_reward_explorations_are_no_part_of_the_evolution() {
    let study = study();
    let member = &study.members[0];
    assert_eq!(Member::at(&member.explorations, 0).unwrap().solved, Some(0.5));
    let of_reward: Vec<_> =
        member.explorations.iter().filter(|it| it.at.branch == Branch::Reward).collect();
    assert_eq!(of_reward.len(), 1);
    assert_eq!(member.monitors.len(), 2);
    assert_eq!(Member::at(&member.monitors, 1).unwrap().temperature, 1.0);
    assert_eq!((member.searches.len(), member.balances.len()), (1, 1));
    assert_eq!(member.searches[0].at.branch, Branch::Search);
}

#[test]
fn every_temperature_has_its_entry_and_every_choice_its_reason() {
    let report = to_json(&study(), None);
    let member = &report["members"][0];
    let dynamics = member["dynamics"].as_array().unwrap();
    let told: Vec<Value> = dynamics
        .iter()
        .map(|it| json!([it["iteration"], it["temperature"], it["greedy"], it["pass"]]))
        .collect();
    let expected =
        [json!([0, 1.0, 0.3, 0.5]), json!([0, 0.3, 0.3, 0.25]), json!([1, 1.0, 0.4, 0.55])];
    assert_eq!(told[..3], expected);
    assert_eq!(dynamics[3]["pass_interval"], json!([0.4, 0.5]));
    let balance = &member["balances"][0];
    assert_eq!((&balance["before"], &balance["temperature"]), (&json!(1.0), &json!(0.5)));
    assert_eq!(balance["candidates"].as_array().unwrap().len(), 2);
}

#[test]
fn the_summary_has_the_temperature_of_each_iteration() {
    let text = summary(&study(), None, None);
    let lines: Vec<&str> = text.lines().collect();
    let head = lines.iter().position(|line| line.trim_start().starts_with("iteration")).unwrap();
    assert!(lines[head].contains(" T"), "{text}");
    assert!(lines[head + 2].trim_start().starts_with("1 ") && lines[head + 2].contains(" 0.5"));
    assert!(!lines[head + 1].contains("1.0"), "the warm-up has its own: {text}");
}

#[test]
fn figures_have_a_line_for_each_temperature_also_below_zero() {
    let html = page(&study(), &Extras::default());
    let figure = |id: &str| {
        let from = html.find(&format!(r#"id="{id}""#)).unwrap_or_else(|| panic!("no {id}"));
        html[from..].split("</figure>").next().unwrap()
    };
    assert!(["T=1", "T=0.3"].iter().all(|name| figure("fig-pass").contains(name)));
    assert!(figure("fig-pass").contains("25.0 [20.0–30.0]"));
    let gap = figure("fig-gap");
    assert!(gap.contains("−5.0") && gap.contains("+20.0"), "{gap}");
    // What lies below 0 is drawn below the axis, inside the drawing.
    let drawn: Vec<f64> = gap
        .split(r#"cy=""#)
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().parse().unwrap())
        .collect();
    let axis = gap.split(r#"class="axis""#).next().unwrap().rsplit("y1=\"").next().unwrap();
    let axis: f64 = axis.split('"').next().unwrap().parse().unwrap();
    assert!(
        drawn.iter().any(|y| *y > axis) && drawn.iter().all(|y| *y < 340.0),
        "{axis} {drawn:?}"
    );
    let temperature = figure("fig-temperature");
    assert!(temperature.contains("drew at T=0.5") && temperature.contains("beyond the noise"));
    assert!(temperature.contains("+20.0 [+18.0 to +22.0]"), "{temperature}");
    assert!(!html.contains("fig-reward-pass"));
}
