//! A pivot table as cells of words, which text, Markdown, LaTeX and the page each set in their way.

use super::interval::{Estimate, Method};
use super::metric::Metric;
use super::numbers::{counted, plain};
use super::pivot::{Cell, Group, Pivot};
use crate::recipe::axis_labels;
use serde::Serialize;
use std::collections::BTreeMap;

/// Groups with trouble that are told one by one.
const TROUBLES_TOLD: usize = 12;

/// A table of words.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Sheet {
    /// Names of the columns' combinations, each with how many columns lie below it; empty without.
    pub(super) spans: Vec<(String, usize)>,
    /// Names of the columns.
    pub(super) head: Vec<String>,
    /// Columns that are read together, the keys apart: how many in each.
    pub(super) blocks: Vec<usize>,
    /// Leading columns that name the row.
    pub(super) keys: usize,
    pub(super) rows: Vec<Vec<Word>>,
    /// Numbers of the groups in each row, by which figures know them.
    pub(super) groups: Vec<Vec<usize>>,
    /// What is to be known about the numbers, a sentence each.
    pub(super) notes: Vec<String>,
    /// What kept members from their place in the means, a sentence each.
    pub(super) troubles: Vec<String>,
    /// What the experiment was to show, and what the numbers say of it.
    pub(super) findings: Vec<Told>,
}

/// A finding in words.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Told {
    pub(super) says: String,
    pub(super) verdict: &'static str,
    pub(super) numbers: String,
}

/// A cell.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Word {
    pub(super) text: String,
    /// Whether its interval excludes zero.
    pub(super) bold: bool,
    /// What it is sorted by, where that is no text.
    pub(super) sort: Option<f64>,
    /// Whether it says that there is no value, and why.
    pub(super) trouble: bool,
}

impl Word {
    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

impl Sheet {
    /// Sets a table in words.
    pub(super) fn of(pivot: &Pivot) -> Self {
        let counts = counts(pivot);
        let per_head = usize::from(counts.is_none())
            + pivot.values.len() * if pivot.compares() { 2 } else { 1 };
        let mut sheet = Self {
            keys: pivot.rows.len(),
            head: pivot.rows.iter().map(|key| short(key, &pivot.rows)).collect(),
            ..Self::default()
        };
        for head in &pivot.heads {
            if !pivot.columns.is_empty() {
                let parts = pivot.columns.iter().zip(head);
                let parts = parts
                    .map(|(key, value)| format!("{}={}", short(key, &pivot.columns), plain(value)));
                sheet.spans.push((parts.collect::<Vec<_>>().join(", "), per_head));
            }
            if counts.is_none() {
                sheet.head.push(pivot.of_members().to_owned());
            }
            for (index, metric) in pivot.values.iter().enumerate() {
                sheet.head.push(metric.to_string());
                if pivot.compares() {
                    sheet.head.push("Δ".to_owned());
                }
                // The number of members stands with the first value.
                let counted = usize::from(index == 0 && counts.is_none());
                sheet.blocks.push(counted + 1 + usize::from(pivot.compares()));
            }
        }
        let mut groups = 0..;
        for line in &pivot.lines {
            let there = line.groups.iter().flatten().count();
            sheet.groups.push(groups.by_ref().take(there).collect());
            let keys = line
                .keys
                .iter()
                .map(|value| Word { sort: value.as_f64(), ..Word::new(plain(value)) });
            let mut row: Vec<Word> = keys.collect();
            for group in &line.groups {
                match group {
                    Some(group) => row.extend(words(pivot, group, counts.is_none())),
                    None => row.extend(std::iter::repeat_n(Word::default(), per_head)),
                }
            }
            sheet.rows.push(row);
        }
        sheet.notes = notes(pivot, counts);
        sheet.troubles = troubles(pivot);
        let told = |it: &super::findings::Judged| Told {
            says: it.finding.says.clone(),
            verdict: it.verdict.words(),
            numbers: it.numbers(),
        };
        sheet.findings = pivot.findings.iter().map(told).collect();
        sheet
    }
}

/// The number of members that every group counts, when it is the same everywhere.
fn counts(pivot: &Pivot) -> Option<usize> {
    let mut groups = pivot.groups().map(|(_, _, group)| group);
    let first = groups.next().map_or(0, |group| group.members.len());
    let same = groups.all(|group| group.members.len() == first);
    let whole = pivot.groups().all(|(_, _, group)| group.missing.is_empty());
    (same && (whole || first == 1)).then_some(first)
}

fn words(pivot: &Pivot, group: &Group, counted: bool) -> Vec<Word> {
    let mut words = Vec::new();
    if counted {
        let text = group.counted();
        let sort = Some(group.members.len() as f64);
        words.push(Word { text, sort, trouble: !group.missing.is_empty(), bold: false });
    }
    for (metric, cell) in pivot.values.iter().zip(&group.cells) {
        words.push(value(metric, cell, group));
        if pivot.compares() {
            words.push(difference(metric, cell, group));
        }
    }
    words
}

fn value(metric: &Metric, cell: &Cell, group: &Group) -> Word {
    match &cell.value {
        Some(estimate) => {
            let mut word = estimated(metric, estimate, metric.is_difference());
            // Some members may have been measured otherwise, or failed only after this.
            if estimate.count + group.missing.values().sum::<usize>() != group.members.len() {
                let (some, all) = (estimate.count, group.members.len());
                word.text = format!("{} ({some} of {all})", word.text);
            }
            word
        }
        None => match group.missing.keys().next() {
            Some(word) => Word { trouble: true, ..Word::new(*word) },
            None => Word::new("–"),
        },
    }
}

fn difference(metric: &Metric, cell: &Cell, group: &Group) -> Word {
    match &cell.difference {
        Some(estimate) => estimated(metric, estimate, true),
        None if group.is_baseline => Word::new("baseline"),
        None => Word::new("–"),
    }
}

pub(super) fn estimated(metric: &Metric, estimate: &Estimate, signed: bool) -> Word {
    let mut text = metric.written(estimate.mean, signed);
    if let Some([low, high]) = estimate.interval {
        let [low, high] = [low, high].map(|end| metric.written(end, signed || end < 0.0));
        let to =
            if signed || estimate.interval.is_some_and(|it| it[0] < 0.0) { " to " } else { "–" };
        text = format!("{text} [{low}{to}{high}]");
    }
    Word {
        text,
        bold: signed && estimate.excludes_zero(),
        sort: Some(estimate.mean),
        trouble: false,
    }
}

impl Group {
    /// How many members count, such as `3`, or what of them does not, such as `1 of 3 failed`.
    pub(super) fn counted(&self) -> String {
        let all = self.members.len();
        match self.missing.iter().next() {
            None => all.to_string(),
            Some((word, _)) if all == 1 => (*word).to_owned(),
            Some((word, count)) if self.missing.len() == 1 => format!("{count} of {all} {word}"),
            Some(_) => format!("of {all} {}", self.became()),
        }
    }

    /// What became of the members that do not count, such as `1 failed`; empty when all do.
    pub(super) fn became(&self) -> String {
        let parts = self.missing.iter().map(|(word, count)| format!("{count} {word}"));
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// A key as short as it still names one of some keys, as in names of members.
pub(super) fn short(key: &str, keys: &[String]) -> String {
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    axis_labels(&keys).get(key).map_or(key, |label| *label).to_owned()
}

fn notes(pivot: &Pivot, counts: Option<usize>) -> Vec<String> {
    let mut notes = Vec::new();
    if pivot.values.iter().any(Metric::is_share) {
        notes.push(
            "Shares in %, their differences in points; in brackets 95 % intervals.".to_owned(),
        );
    }
    if let Some(each) = counts.filter(|each| *each > 1) {
        notes.push(format!("Means over {each} {} each.", pivot.of_members()));
    } else if counts.is_none() {
        notes.push(format!("Means over the {} that came to their end.", pivot.of_members()));
    }
    let values =
        pivot.groups().flat_map(|(_, _, group)| &group.cells).filter_map(|it| it.value.as_ref());
    if let Some(methods) = methods(pivot, values) {
        notes.push(format!("Intervals: {methods}."));
    }
    if let Some(baseline) = &pivot.baseline {
        let differences = pivot
            .groups()
            .flat_map(|(_, _, group)| &group.cells)
            .filter_map(|it| it.difference.as_ref());
        let methods = methods(pivot, differences).map_or_else(String::new, |it| format!(": {it}"));
        let by = match pivot.over.is_empty() {
            true => String::new(),
            false => format!(", paired by {}", pivot.over.join(" and ")),
        };
        notes.push(format!("Δ: difference from `{baseline}`{by}{methods}."));
    }
    notes
}

/// What kinds of intervals there are, each with how often when there are several.
fn methods<'a>(pivot: &Pivot, estimates: impl Iterator<Item = &'a Estimate>) -> Option<String> {
    let mut methods: BTreeMap<Method, usize> = BTreeMap::new();
    for estimate in estimates {
        *methods.entry(estimate.method).or_default() += 1;
    }
    if methods.keys().all(|method| *method == Method::None) {
        return None;
    }
    let several = methods.len() > 1;
    let said = methods.iter().map(|(method, times)| {
        let said = method.words(pivot.of_members());
        match several {
            true => format!("{said} ({})", counted(*times as u64, "value")),
            false => said,
        }
    });
    Some(said.collect::<Vec<_>>().join("; "))
}

fn troubles(pivot: &Pivot) -> Vec<String> {
    let groups = pivot.groups().filter(|(_, _, group)| !group.missing.is_empty());
    let mut told: Vec<String> = groups
        .map(|(_, _, group)| {
            let reason = group.reason.as_deref().unwrap_or_default();
            format!("{}: {}: {reason}.", group.label, group.counted())
        })
        .collect();
    let more = told.len().saturating_sub(TROUBLES_TOLD);
    told.truncate(TROUBLES_TOLD);
    if more > 0 {
        told.push(format!("and {more} more rows"));
    }
    told
}
