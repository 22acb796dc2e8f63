//! `report --format json`: a contract that scripts rely on; keys are only ever added.

use super::dynamics::greedy;
use super::findings::Judged;
use super::interval::Estimate;
use super::metrics::{
    Agreed, AtTemperature, BalanceCandidate, Balanced, Evaluated, Monitored, Rewarded,
};
use super::model::{Ending, Measured, Member, State, Study};
use super::numbers::outcome_word;
use super::pivot::Pivot;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Version of the format.
const FORMAT: u32 = 1;

/// A study as JSON. Accuracies lie in 0..=1. Of one iteration the control comes before the
/// evolution, so that the last entry of a split is the evolution's last.
pub fn to_json(study: &Study, pivot: Option<&Pivot>) -> Value {
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
    let mut report = json!({
        "format": FORMAT,
        "run": study.run,
        "name": study.name,
        "run_outcome": outcome,
        "seconds": study.seconds,
        "members": members,
        "unfinished": unfinished,
        "table": pivot.map(|pivot| table(study, pivot)),
    });
    if let Some(tower) = super::tower::of(study) {
        report["vision_tower"] = json!(tower);
    }
    report
}

fn table(study: &Study, pivot: &Pivot) -> Value {
    let names: Vec<String> = pivot.values.iter().map(ToString::to_string).collect();
    let cells = pivot.groups().map(|(line, head, group)| {
        let values = names.iter().zip(&group.cells).map(|(name, cell)| {
            let mut value = estimate(pivot, cell.value.as_ref());
            if let (Value::Object(value), true) = (&mut value, pivot.compares()) {
                value.insert("difference".into(), estimate(pivot, cell.difference.as_ref()));
            }
            (name.clone(), value)
        });
        let members = group.members.iter().map(|index| study.members[*index].name.as_str());
        json!({
            "row": line.keys,
            "column": pivot.heads[head],
            "name": group.label,
            "members": members.collect::<Vec<_>>(),
            "missing": group.missing,
            "reason": group.reason,
            "values": values.collect::<Map<String, Value>>(),
        })
    });
    let methods = pivot.groups().flat_map(|(_, _, group)| &group.cells);
    let methods: BTreeSet<String> =
        methods.filter_map(|cell| cell.value.as_ref()?.method.name(pivot)).collect();
    json!({
        "rows": pivot.rows,
        "columns": pivot.columns,
        "values": names,
        "over": pivot.over,
        "baseline": pivot.baseline,
        "interval": methods.into_iter().collect::<Vec<_>>().join("; "),
        "cells": cells.collect::<Vec<_>>(),
        "findings": pivot.findings.iter().map(|it| finding(pivot, it)).collect::<Vec<_>>(),
    })
}

fn finding(pivot: &Pivot, judged: &Judged) -> Value {
    let finding = &judged.finding;
    json!({
        "says": finding.says,
        "metric": finding.metric,
        "higher": { "row": finding.higher, "value": estimate(pivot, judged.higher.as_ref()) },
        "than_metric": finding.than_metric.as_ref().unwrap_or(&finding.metric),
        "than": { "row": finding.than, "value": estimate(pivot, judged.than.as_ref()) },
        "difference": estimate(pivot, judged.difference.as_ref()),
        "verdict": judged.verdict.words(),
    })
}

fn estimate(pivot: &Pivot, estimate: Option<&Estimate>) -> Value {
    estimate.map_or(Value::Null, |it| {
        json!({
            "mean": it.mean,
            "interval": it.interval,
            "count": it.count,
            "method": it.method.name(pivot),
        })
    })
}

fn member(member: &Member) -> Value {
    let evaluations: Vec<Value> = member.evaluations.iter().map(evaluation).collect();
    let dynamics: Vec<Value> = member.monitors.iter().flat_map(|it| dynamics(member, it)).collect();
    let balances: Vec<Value> = member.balances.iter().map(balance).collect();
    json!({
        "name": member.name,
        "values": member.values,
        "state": member.state(),
        "why": member.trouble.as_ref().map(|trouble| &trouble.why),
        "evaluations": evaluations,
        "dynamics": dynamics,
        "balances": balances,
        "verifiers": member.monitors.iter().flat_map(verifiers).collect::<Vec<Value>>(),
        "quoted": quoted(member),
        "stopped": member.stopped.as_ref().map(|it| {
            json!({ "after": it.stopped_after, "reason": it.reason })
        }),
        "pseudo_answers": member.agreements.iter().map(pseudo_answers).collect::<Vec<Value>>(),
        "reward_models": member.rewards.iter().map(reward_model).collect::<Vec<Value>>(),
    })
}

/// Which policy the results are of.
fn quoted(member: &Member) -> Value {
    let comparison = member.comparison(member.result_split());
    json!({
        "by": if member.quotes_best { "best" } else { "last" },
        "iteration": comparison.map(|comparison| comparison.iteration),
    })
}

/// One entry for each N, at the first temperature.
fn verifiers(measured: &Measured<Monitored>) -> Vec<Value> {
    let first = measured.value.each().into_iter().next();
    let Some((temperature, verifiers)) = first.and_then(|it| Some((it.temperature, it.verifiers?)))
    else {
        return Vec::new();
    };
    let entry = |n: &u32| {
        json!({
            "iteration": measured.at.iteration,
            "branch": measured.at.branch.name(),
            "temperature": temperature,
            "n": n,
            "pass": measured.value.pass_at(*n),
            "best_of_n": verifiers.best_of_n.get(n),
            "majority": verifiers.majority.get(n),
            "weighted": verifiers.weighted.get(n),
        })
    };
    verifiers.best_of_n.keys().map(entry).collect()
}

fn pseudo_answers(measured: &Measured<Agreed>) -> Value {
    let it = &measured.value;
    let (agreement, coverage) = (it.agreement(), it.coverage());
    json!({
        "iteration": measured.at.iteration,
        "prompts": it.prompts,
        "answered": it.answered,
        "agreeing": it.agreeing,
        "agreement": agreement.as_ref().map(|it| it.mean),
        "interval": agreement.and_then(|it| it.interval),
        "coverage": coverage.as_ref().map(|it| it.mean),
        "coverage_interval": coverage.and_then(|it| it.interval),
    })
}

fn reward_model(measured: &Measured<Rewarded>) -> Value {
    let it = &measured.value;
    json!({
        "iteration": measured.at.iteration,
        "scored": it.scored,
        "places": it.places,
        "answers": it.answers,
        "reasoning": it.reasoning,
    })
}

fn evaluation(measured: &Measured<Evaluated>) -> Value {
    let it = &measured.value;
    let estimate = it.estimate();
    let categories: Map<String, Value> =
        it.categories.iter().map(|(name, value)| (name.clone(), value.accuracy.into())).collect();
    json!({
        "iteration": measured.at.iteration,
        "branch": measured.at.branch.name(),
        "step": it.step,
        "split": it.split,
        "accuracy": it.accuracy,
        "interval": estimate.interval,
        "method": estimate.method.of_prompts(),
        "count": it.count,
        "categories": categories,
        "wrong_steps_share": it.wrong_steps_share,
        "unanswered": it.unanswered,
    })
}

/// One entry for each temperature.
fn dynamics(member: &Member, measured: &Measured<Monitored>) -> Vec<Value> {
    let (at, it) = (measured.at, &measured.value);
    let greedy = greedy(member, at);
    let entry = |here: AtTemperature| {
        let (pass, reward) = (here.pass_at(it.k), here.reward_pass());
        let reward_pass = reward.map(|(_, share)| share);
        json!({
            "iteration": at.iteration,
            "branch": at.branch.name(),
            "step": it.step,
            "temperature": here.temperature,
            "greedy": greedy,
            "pass": pass.map(|it| it.0),
            "pass_interval": pass.and_then(|it| it.1),
            "gap": greedy.zip(pass).map(|(greedy, pass)| pass.0 - greedy),
            "reward_pass": reward_pass.map(|it| it.0),
            "reward_pass_interval": reward_pass.and_then(|it| it.1),
            "reward_k": reward.map(|(k, _)| k),
            "k": it.k,
            "mean": here.mean,
            "mean_interval": here.mean_interval,
        })
    };
    it.each().into_iter().map(entry).collect()
}

fn balance(measured: &Measured<Balanced>) -> Value {
    let it = &measured.value;
    let candidate = |it: &BalanceCandidate| {
        json!({
            "temperature": it.temperature,
            "value": it.value,
            "interval": it.interval,
            "difference": it.difference,
            "difference_interval": it.difference_interval,
            "setting": it.setting,
        })
    };
    json!({
        "iteration": measured.at.iteration,
        "setting": it.setting,
        "objective": it.objective,
        "temperature": it.temperature,
        "before": it.before,
        "moved": it.moved,
        "reason": it.reason,
        "candidates": it.candidates.iter().map(candidate).collect::<Vec<_>>(),
    })
}
