//! `mstar diff`: what two recipes, runs or members have and have not in common.

use super::list::{aligned, shown};
use crate::base::counted;
use crate::cli::arguments::{Diff, TextOrJson};
use crate::cli::comparison::{Comparison, Difference, MetricPair, Side, Stages, compare, pairs};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::printer::Printer;
use crate::cli::recorded::{MeasuredMetric, RecordedValue};
use crate::report::{Estimate, Method};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// Members and stages that are written out for people; programs get all.
const LISTED: usize = 20;

pub(crate) fn diff(arguments: &Diff, store: &Path, printer: Printer) -> Result<Exit, Trouble> {
    let [a, b] = sides(arguments, store, printer)?;
    let (members, alone) = pairs(&a, &b)?;
    let comparisons: Vec<Comparison> =
        members.into_iter().map(|pair| compare([&a, &b], pair)).collect::<Result<_, _>>()?;
    let is_same = alone.iter().all(Vec::is_empty) && comparisons.iter().all(Comparison::is_same);
    if arguments.format == TextOrJson::Json {
        let members: Vec<Value> = comparisons.iter().map(to_json).collect();
        let value = json!({
            "format": 1, "a": a.name, "b": b.name, "same": is_same, "members": members,
            "only_a": alone[0], "only_b": alone[1],
        });
        printer.data(&value.to_string())?;
        return Ok(Exit::Done);
    }
    if let Some(problem) = a.problem.as_ref().or(b.problem.as_ref()) {
        printer.talk(&format!("stages are not compared: {problem}"));
    }
    if is_same {
        printer.data(&format!("{} and {} are the same", a.name, b.name))?;
        return Ok(Exit::Done);
    }
    let mut lines = vec![format!("A  {}", a.name), format!("B  {}", b.name)];
    for (side, names) in ["A", "B"].into_iter().zip(&alone) {
        if !names.is_empty() {
            lines.push(format!("\nmembers only in {side}: {}", listed(names)));
        }
    }
    let many = comparisons.len() > 1;
    let different: Vec<&Comparison> = comparisons.iter().filter(|it| !it.is_same()).collect();
    let same = comparisons.len() - different.len();
    if same > 0 {
        lines.push(format!("\nthe same in both: {}", counted(same, "member")));
    }
    for comparison in different.iter().take(LISTED) {
        if many {
            lines.push(format!("\nmember {}", comparison.members[0]));
        }
        add(comparison, &mut lines);
    }
    if different.len() > LISTED {
        let more = different.len() - LISTED;
        lines.push(match more {
            1 => "\n1 more member differs".to_owned(),
            more => format!("\n{more} more members differ"),
        });
    }
    printer.data(&lines.join("\n"))?;
    Ok(Exit::Done)
}

/// Both sides. A member that is named is that of the sides with several, or else of both.
fn sides(arguments: &Diff, store: &Path, printer: Printer) -> Result<[Side; 2], Trouble> {
    let a = Side::read(store, &arguments.before, printer)?;
    let b = Side::read(store, &arguments.after, printer)?;
    let Some(member) = &arguments.member else { return Ok([a, b]) };
    let several = [&a, &b].map(|side| side.members.len() > 1);
    let narrow = |side: Side, has_several: bool| match has_several || several == [false; 2] {
        true => side.narrowed(member),
        false => Ok(side),
    };
    Ok([narrow(a, several[0])?, narrow(b, several[1])?])
}

fn listed(names: &[String]) -> String {
    let rest = names.len().saturating_sub(LISTED);
    let first = names[..names.len() - rest].join(", ");
    if rest > 0 { format!("{first} and {rest} more") } else { first }
}

fn add(comparison: &Comparison, lines: &mut Vec<String>) {
    if !comparison.values.is_empty() {
        let mut rows = vec![["value", "A", "B", "written in A", "in B"].map(str::to_owned).into()];
        rows.extend(comparison.values.iter().map(value_row));
        lines.push(format!("\n{}", aligned(&rows).trim_end()));
    }
    if let Some(stages) = &comparison.stages {
        add_stages(stages, lines);
    }
    if !comparison.metrics.is_empty() {
        let mut rows = vec![["metric", "A", "B", "B - A"].map(str::to_owned).into()];
        rows.extend(comparison.metrics.iter().map(metric_row));
        lines.push(format!("\n{}", aligned(&rows).trim_end()));
        let estimates = comparison.metrics.iter().flat_map(estimates);
        let methods: BTreeSet<Method> = estimates.map(|it| it.method).collect();
        let sentence = Method::sentence(&methods, "members");
        lines.extend(Some(sentence).filter(|sentence| !sentence.is_empty()));
    }
}

/// Everything that is said of a metric with an interval.
fn estimates(pair: &MetricPair) -> impl Iterator<Item = &Estimate> {
    let values = pair.values.iter().flatten().map(|it| &it.estimate);
    values.chain(pair.difference.as_ref().map(|it| &it.estimate))
}

/// Stages with a reason of their own; the others only read what differs.
fn add_stages(stages: &Stages, lines: &mut Vec<String>) {
    let [only_a, only_b] = stages.only.each_ref().map(Vec::len);
    let (equal, changed) = (stages.equal, stages.changed.len());
    lines.push(format!(
        "\nstages: {equal} equal, {changed} differ, {only_a} only in A, {only_b} only in B"
    ));
    let (followers, own): (Vec<_>, Vec<_>) =
        stages.changed.iter().partition(|[_, _, why]| why.starts_with("reads `"));
    let mut rows: Vec<Vec<String>> =
        own.into_iter().map(|[_, name, why]| vec![name.clone(), why.clone()]).collect();
    for (side, only) in ["A", "B"].into_iter().zip(&stages.only) {
        let why = format!("only in {side}");
        rows.extend(only.iter().map(|[_, name]| vec![name.clone(), why.clone()]));
    }
    let listed = aligned(&rows[..rows.len().min(LISTED)]);
    lines.extend(listed.lines().map(|line| format!("  {line}")));
    if rows.len() > LISTED {
        lines.push(format!("  {} more", rows.len() - LISTED));
    }
    if !followers.is_empty() {
        lines.push(format!("  {} read what differs", followers.len()));
    }
}

fn value_row(pair: &[Option<RecordedValue>; 2]) -> Vec<String> {
    let key = pair.iter().flatten().next().map_or(String::new(), |it| it.key.clone());
    let [a, b] = pair.each_ref().map(|it| match it {
        Some(it) => it.in_words(),
        None => "no such key".to_owned(),
    });
    let [from_a, from_b] =
        pair.each_ref().map(|it| it.as_ref().map_or(String::new(), |it| it.origin.clone()));
    vec![key, a, b, from_a, from_b]
}

fn metric_row(pair: &MetricPair) -> Vec<String> {
    let side = |it: &Option<MeasuredMetric>| match it {
        Some(it) => format!("{}{}", shown(it.estimate.mean), interval(it.estimate.interval)),
        None => "not measured".to_owned(),
    };
    let [a, b] = pair.values.each_ref().map(side);
    let difference = pair.difference.as_ref().map_or(String::new(), difference_words);
    vec![pair.name.clone(), a, b, difference]
}

fn difference_words(it: &Difference) -> String {
    let Estimate { mean, interval: ends, .. } = it.estimate;
    let sign = if mean > 0.0 { "+" } else { "" };
    let how = match (it.pairing(), it.prompts) {
        (Some(pairing), Some(prompts)) => format!(", {pairing} by {}", counted(prompts, "prompt")),
        (Some(pairing), None) => format!(", {pairing}"),
        (None, _) if it.is_of_same_stages => ", of the same stages".to_owned(),
        (None, _) => String::new(),
    };
    format!("{sign}{}{}{how}", shown(mean), interval(ends))
}

fn interval(interval: Option<[f64; 2]>) -> String {
    interval.map_or(String::new(), |[low, high]| format!(" [{low:.3}, {high:.3}]"))
}

fn to_json(comparison: &Comparison) -> Value {
    let values: Vec<Value> = comparison
        .values
        .iter()
        .map(|pair| {
            let key = pair.iter().flatten().next().map(|it| &it.key);
            let [a, b] = pair.each_ref().map(|it| it.as_ref().map(|it| &it.value));
            let [from_a, from_b] = pair.each_ref().map(|it| it.as_ref().map(|it| &it.origin));
            json!({ "key": key, "a": a, "b": b, "a_origin": from_a, "b_origin": from_b })
        })
        .collect();
    let metrics: Map<String, Value> =
        comparison.metrics.iter().map(|pair| (pair.name.clone(), metric_json(pair))).collect();
    json!({
        "a": comparison.members[0], "b": comparison.members[1], "same": comparison.is_same(),
        "values": values, "metrics": metrics,
        "stages": comparison.stages.as_ref().map(stages_json),
    })
}

fn stages_json(stages: &Stages) -> Value {
    let changed: Vec<Value> = stages
        .changed
        .iter()
        .map(|[kind, name, why]| json!({ "kind": kind, "name": name, "why": why }))
        .collect();
    let [only_a, only_b] = stages.only.each_ref().map(|only| {
        let only = only.iter().map(|[kind, name]| json!({ "kind": kind, "name": name }));
        only.collect::<Vec<_>>()
    });
    json!({ "equal": stages.equal, "changed": changed, "only_a": only_a, "only_b": only_b })
}

fn metric_json(pair: &MetricPair) -> Value {
    let [a, b] = pair.values.each_ref().map(|it| {
        it.as_ref().map(|MeasuredMetric { estimate, count, .. }| {
            json!({
                "value": estimate.mean, "interval": estimate.interval, "count": count,
                "estimated": estimate.method.of_prompts(),
            })
        })
    });
    let difference = pair.difference.as_ref().map(|it| {
        json!({
            "value": it.estimate.mean, "interval": it.estimate.interval, "method": it.pairing(),
            "prompts": it.prompts, "estimated": it.estimate.method.of_prompts(),
        })
    });
    json!({ "a": a, "b": b, "difference": difference })
}
