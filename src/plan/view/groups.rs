//! A plan with more stages than anybody reads: a line for each kind and range of iterations.

use super::table::{Column, gives_way, grouped, numbers, table, words};
use crate::base::Duration;
use crate::plan::{Branch, Estimate, Node, Outlook};
use indexmap::IndexMap;
use std::collections::{BTreeMap, BTreeSet};

const COLUMNS: [Column; 9] = [
    words("stages"),
    words("iterations"),
    numbers("count"),
    numbers("stored"),
    numbers("to run"),
    gives_way("why"),
    numbers("samples"),
    numbers("steps"),
    numbers("work"),
];

/// Stages of one name but for the iteration.
#[derive(Default)]
struct Group {
    iterations: BTreeSet<u32>,
    count: u64,
    to_run: u64,
    /// Reasons of those to run, with how many have each.
    reasons: BTreeMap<String, u64>,
    estimate: Estimate,
}

/// The groups in the order in which their first stages stand in the graph.
pub(super) fn text(outlook: &Outlook<'_>, width: Option<usize>) -> String {
    let mut groups: IndexMap<String, Group> = IndexMap::new();
    for planned in outlook.stages() {
        let group = groups.entry(name(planned.node)).or_default();
        group.iterations.insert(planned.node.role.iteration);
        group.count += 1;
        if planned.is_to_run() {
            group.to_run += 1;
            *group.reasons.entry(planned.why()).or_default() += 1;
            group.estimate = group.estimate.plus(*planned.estimate);
        }
    }
    let rows: Vec<_> = groups.iter().map(|(name, group)| row(name, group)).collect();
    let stages = grouped(outlook.graph.len() as u64);
    let told = format!("{stages} stages by kind; `--format json` has each of them\n");
    table(&COLUMNS, &rows, width) + told.as_str()
}

/// The name without the number of the iteration.
fn name(node: &Node) -> String {
    let iteration = node.role.iteration.to_string();
    let is_kept = |word: &&str| node.role.branch == Branch::Ground || *word != iteration;
    node.name.split(' ').filter(is_kept).collect::<Vec<_>>().join(" ")
}

fn row(name: &str, group: &Group) -> [String; 9] {
    let (first, last) = (group.iterations.first(), group.iterations.last());
    let iterations = match (first, last) {
        (Some(0), Some(0)) | (None, _) | (_, None) => String::new(),
        (Some(first), Some(last)) if first == last => first.to_string(),
        (Some(first), Some(last)) => format!("{first}–{last}"),
    };
    // Of equally many the first in the alphabet, so that a plan reads the same each time.
    let most = group.reasons.iter().rev().max_by_key(|(_, count)| **count);
    let why = match (most, group.reasons.len()) {
        (Some((why, _)), 1) => why.clone(),
        (Some((why, count)), _) => format!("{why} ({} of them)", grouped(*count)),
        (None, _) => String::new(),
    };
    let Estimate { samples, steps, seconds, .. } = group.estimate;
    [
        name.to_owned(),
        iterations,
        grouped(group.count),
        grouped(group.count - group.to_run),
        grouped(group.to_run),
        why,
        samples.map_or_else(String::new, grouped),
        steps.map_or_else(String::new, grouped),
        seconds.map_or_else(String::new, |work| Duration(work).to_string()),
    ]
}
