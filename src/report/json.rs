//! `report --format json`: a contract that scripts rely on; keys are only ever added.

use super::metrics::{Evaluated, Monitored};
use super::model::{Branch, Ending, Measured, Member, State, Study};
use super::numbers::outcome_word;
use serde_json::{Map, Value, json};

/// Version of the format.
const FORMAT: u32 = 1;

/// A study as JSON. Accuracies lie in 0..=1. Of one iteration the control comes before the
/// evolution, so that the last entry of a split is the evolution's last.
pub fn to_json(study: &Study) -> Value {
    let members: Vec<Value> = study.members.iter().map(member).collect();
    let unfinished: Vec<Value> = study
        .unfinished()
        .map(|row| {
            let why = match &row.state {
                State::Failed { reason, .. } => Some(reason),
                State::Skipped { because } => Some(because),
                _ => None,
            };
            json!({
                "key": row.summary.key,
                "name": row.summary.name,
                "state": row.state.word(),
                "why": why,
            })
        })
        .collect();
    let outcome = match study.ending {
        Ending::Open => None,
        Ending::Said(outcome) => Some(outcome_word(outcome)),
    };
    json!({
        "format": FORMAT,
        "run": study.run,
        "name": study.name,
        "run_outcome": outcome,
        "seconds": study.seconds,
        "members": members,
        "unfinished": unfinished,
    })
}

fn member(member: &Member) -> Value {
    let evaluations: Vec<Value> = member.evaluations.iter().map(evaluation).collect();
    let dynamics: Vec<Value> = member.monitors.iter().map(|it| dynamics(member, it)).collect();
    json!({
        "name": member.name,
        "values": member.values,
        "evaluations": evaluations,
        "dynamics": dynamics,
    })
}

fn evaluation(measured: &Measured<Evaluated>) -> Value {
    let it = &measured.value;
    let categories: Map<String, Value> =
        it.categories.iter().map(|(name, value)| (name.clone(), value.accuracy.into())).collect();
    json!({
        "iteration": measured.at.iteration,
        "branch": branch(measured.at.branch),
        "step": it.step,
        "split": it.split,
        "accuracy": it.accuracy,
        "interval": it.interval,
        "count": it.count,
        "categories": categories,
        "wrong_steps_share": it.wrong_steps_share,
    })
}

fn dynamics(member: &Member, measured: &Measured<Monitored>) -> Value {
    let (at, it) = (measured.at, &measured.value);
    let greedy = member.evaluations.iter().find(|evaluation| {
        let same = evaluation.at == at;
        same && evaluation.value.split == "validation"
    });
    json!({
        "iteration": at.iteration,
        "branch": branch(at.branch),
        "step": it.step,
        "temperature": it.temperature,
        "greedy": greedy.map(|evaluation| evaluation.value.accuracy),
        "pass": it.pass_at(it.k),
        "reward_pass": it.reward_pass().map(|(_, share)| share),
        "k": it.k,
        "mean": it.mean,
    })
}

fn branch(branch: Branch) -> &'static str {
    match branch {
        Branch::Evolution => "evolution",
        Branch::Control => "control",
    }
}
