//! `plan --format text`: a table for people.

use super::groups;
use super::table::{Column, gives_way, grouped, numbers, table, words};
use crate::base::{Bytes, Duration, plural};
use crate::plan::{Estimate, Outlook, Planned};
use std::collections::BTreeSet;

/// Stages that are listed one by one; more are put together by kind.
const MOST_ROWS: usize = 200;
/// Members of a stage that are named; more are counted.
const NAMED: usize = 3;
/// Characters that several names may take.
const LONGEST_NAMES: usize = 32;

const COLUMNS: [Column; 7] = [
    words("stage"),
    words("members"),
    words("state"),
    gives_way("why"),
    numbers("samples"),
    numbers("steps"),
    numbers("time"),
];

/// The plan as a table with the totals below, on lines of that many characters if it is given.
pub fn text(outlook: &Outlook<'_>, width: Option<usize>) -> String {
    let stages = if outlook.graph.len() > MOST_ROWS {
        groups::text(outlook, width)
    } else {
        let rows: Vec<_> =
            outlook.stages().map(|planned| row(planned, outlook.members.len())).collect();
        table(&COLUMNS, &rows, width)
    };
    format!("{stages}\n{}", totals(outlook))
}

fn row(planned: Planned<'_>, members: usize) -> [String; 7] {
    let Planned { node, standing, estimate, .. } = planned;
    [
        node.name.clone(),
        if members > 1 { named(&node.members, members) } else { String::new() },
        standing.state.to_string(),
        planned.why(),
        estimate.samples.map_or_else(String::new, grouped),
        estimate.steps.map_or_else(String::new, grouped),
        estimate.seconds.map_or_else(String::new, |seconds| Duration(seconds).to_string()),
    ]
}

/// Names where they are few and short, else how many there are.
fn named(members: &BTreeSet<String>, all: usize) -> String {
    let count = members.len();
    if count == all {
        return "all".to_owned();
    }
    let names = || members.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    match count {
        1 => names(),
        ..=NAMED if names().chars().count() <= LONGEST_NAMES => names(),
        _ => format!("{count} of {all}"),
    }
}

fn totals(outlook: &Outlook<'_>) -> String {
    let totals = outlook.totals();
    let (to_run, unique) = (grouped(totals.to_run as u64), grouped(totals.unique as u64));
    let stages = plural(totals.unique as u64, "stage");
    let mut lines = Vec::new();
    let mut cost = Vec::new();
    if outlook.members.len() > 1 {
        let (members, apart) = (outlook.members.len(), grouped(totals.stages as u64));
        lines.push(format!("{members} members, {apart} stages apart, {unique} after sharing"));
        lines.push(sharing(outlook));
    } else {
        cost.extend(amounts(responses(outlook, left), &outlook.to_run()));
    }
    cost.extend(until_the_end(outlook));
    lines.push(match totals.to_run {
        0 => format!("{unique} {stages}, all in the store"),
        _ if cost.is_empty() => format!("{to_run} of {unique} {stages} to run"),
        _ => format!("{to_run} of {unique} {stages} to run: {}", cost.join(", ")),
    });
    if totals.to_run > 0 {
        let assumed = outlook.assumptions.iter().map(|sentence| format!("assumed: {sentence}"));
        lines.extend(assumed);
    }
    lines.join("\n") + "\n"
}

/// What the members would cost apart, and what becomes of that.
fn sharing(outlook: &Outlook<'_>) -> String {
    let totals = outlook.totals();
    let row = |what: &str, stages: usize, drawn: Option<u64>, estimate: Estimate| {
        let amount = |amount: Option<u64>| amount.map_or_else(String::new, grouped);
        let work = estimate.seconds.map_or_else(String::new, |work| Duration(work).to_string());
        [
            what.to_owned(),
            grouped(stages as u64),
            amount(drawn),
            amount(estimate.tokens),
            amount(estimate.steps),
            work,
        ]
    };
    let rows = [
        row("apart", totals.stages, responses(outlook, users), outlook.apart()),
        row(
            "saved by sharing",
            totals.shared,
            responses(outlook, |stage| users(stage).saturating_sub(1)),
            outlook.saved(),
        ),
        row(
            "in the store",
            totals.unique - totals.to_run,
            responses(outlook, |stage| 1 - left(stage)),
            outlook.stored(),
        ),
        row("to run", totals.to_run, responses(outlook, left), outlook.to_run()),
    ];
    let columns = [
        words(""),
        numbers("stages"),
        numbers("responses"),
        numbers("tokens"),
        numbers("steps"),
        numbers("work"),
    ];
    table(&columns, &rows, None)
}

/// Kinds of stages that draw responses; what others go through was drawn before.
const DRAWING: [&str; 4] = ["explore", "label", "monitor", "evaluate"];

/// Responses that are drawn, each stage counted so many times; `None` where none is.
fn responses(outlook: &Outlook<'_>, times: impl Fn(&Planned<'_>) -> u64) -> Option<u64> {
    let draws = |stage: &Planned<'_>| DRAWING.contains(&stage.node.stage.kind());
    let drawn = outlook.stages().filter(draws);
    let sum = drawn.map(|stage| stage.estimate.samples.unwrap_or(0) * times(&stage)).sum();
    Some(sum).filter(|sum| *sum > 0)
}

/// Once if it is still to run.
fn left(stage: &Planned<'_>) -> u64 {
    u64::from(stage.is_to_run())
}

/// Once for each member that has it.
fn users(stage: &Planned<'_>) -> u64 {
    stage.node.members.len() as u64
}

fn amounts(responses: Option<u64>, estimate: &Estimate) -> Vec<String> {
    let parts = [(responses, "response"), (estimate.tokens, "token"), (estimate.steps, "step")];
    let amount = |(count, what): (Option<u64>, &str)| {
        count.map(|count| format!("{} {}", grouped(count), plural(count, what)))
    };
    parts.into_iter().filter_map(amount).collect()
}

fn until_the_end(outlook: &Outlook<'_>) -> Vec<String> {
    let with = match outlook.workers {
        0 | 1 => String::new(),
        workers => format!(" with {workers} workers"),
    };
    let parts = [
        outlook.elapsed().map(|seconds| format!("about {}{with}", Duration(seconds))),
        outlook.to_run().bytes.map(|bytes| format!("{} of disk", Bytes(bytes))),
    ];
    parts.into_iter().flatten().collect()
}
