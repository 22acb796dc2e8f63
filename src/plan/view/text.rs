//! `plan --format text`: a table for people.

use crate::base::{Bytes, Duration};
use crate::plan::{Estimate, Outlook, Planned};
use std::fmt::Write as _;

const HEADINGS: [&str; 7] = ["stage", "members", "state", "why", "samples", "steps", "time"];

/// Columns of numbers, which are aligned on the right.
const NUMBERS: [bool; 7] = [false, false, false, false, true, true, true];

/// The plan as a table with the totals below.
pub fn text(outlook: &Outlook<'_>) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(outlook.stages().map(|planned| row(planned, outlook.members.len())));
    let is_shown = |column: usize| match HEADINGS[column] {
        "members" => outlook.members.len() > 1,
        _ => rows[1..].iter().any(|row| !row[column].is_empty()),
    };
    let shown: Vec<usize> = (0..HEADINGS.len()).filter(|column| is_shown(*column)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..HEADINGS.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for &column in &shown {
            let (cell, width) = (&row[column], widths[column]);
            let result = if NUMBERS[column] {
                write!(line, "{cell:>width$}  ")
            } else {
                write!(line, "{cell:<width$}  ")
            };
            result.expect("a string takes any text");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out.push('\n');
    out.push_str(&totals(outlook));
    out
}

fn row(planned: Planned<'_>, members: usize) -> [String; 7] {
    let Planned { node, standing, estimate } = planned;
    let users = match node.members.first() {
        Some(only) if node.members.len() == 1 => only.clone(),
        _ if node.members.len() == members => "all".into(),
        _ => format!("{} of {members}", node.members.len()),
    };
    [
        node.name.clone(),
        users,
        standing.state.to_string(),
        standing.why.clone(),
        estimate.samples.map_or_else(String::new, grouped),
        estimate.steps.map_or_else(String::new, grouped),
        estimate.seconds.map_or_else(String::new, |seconds| Duration(seconds).to_string()),
    ]
}

fn totals(outlook: &Outlook<'_>) -> String {
    let totals = outlook.totals();
    let mut lines = Vec::new();
    if outlook.members.len() > 1 {
        let (stages, unique) = (grouped(totals.stages as u64), grouped(totals.unique as u64));
        lines.push(format!(
            "{} members, {stages} stages apart, {unique} after sharing{}",
            outlook.members.len(),
            saving(outlook)
        ));
    }
    lines.push(match totals.to_run {
        0 => format!("{} stages, all in the store", grouped(totals.unique as u64)),
        to_run => format!(
            "{} of {} stages to run{}",
            grouped(to_run as u64),
            grouped(totals.unique as u64),
            amounts(&outlook.to_run())
        ),
    });
    if totals.to_run > 0 {
        let assumed = outlook.assumptions.iter().map(|sentence| format!("assumed: {sentence}"));
        lines.extend(assumed);
    }
    lines.join("\n") + "\n"
}

fn saving(outlook: &Outlook<'_>) -> String {
    let once = outlook.stages().fold(Estimate::default(), |sum, stage| sum.plus(*stage.estimate));
    match outlook.apart().seconds.zip(once.seconds) {
        Some((apart, once)) => {
            format!(" ({} in place of {})", Duration(once), Duration(apart))
        }
        None => String::new(),
    }
}

fn amounts(estimate: &Estimate) -> String {
    let parts = [
        estimate.samples.map(|count| format!("{} samples", grouped(count))),
        estimate.tokens.map(|count| format!("{} tokens", grouped(count))),
        estimate.steps.map(|count| format!("{} steps", grouped(count))),
        estimate.seconds.map(|seconds| format!("about {}", Duration(seconds))),
        estimate.bytes.map(|bytes| format!("{} of disk", Bytes(bytes))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) }
}

/// `12345` as `12,345`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
