//! What the terminal and the page both say: the headline in words, and the tables.

use super::dynamics::drawn_at;
use super::interval::{Estimate, Method};
use super::metric::Metric;
use super::metrics::Evaluated;
use super::model::{Branch, Comparison, Ending, Member, Study, Worker};
use super::numbers::{
    count, counted, outcome_word, percent, percent_or_dash, plain, points, range,
};
use crate::base::Duration;
use serde::Serialize;
use std::collections::BTreeMap;

/// A table of words; the first column names the row.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Table {
    /// Names of the columns.
    pub(super) head: Vec<String>,
    /// Rows, each as long as the head.
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|&name| name.to_owned()).collect(), rows: Vec::new() }
    }

    /// Leaves out columns of which no row says anything.
    pub(super) fn without_empty_columns(mut self) -> Self {
        for column in (1..self.head.len()).rev() {
            let said = |row: &Vec<String>| !matches!(row[column].as_str(), "" | "–");
            if !self.rows.iter().any(said) {
                self.head.remove(column);
                for row in &mut self.rows {
                    row.remove(column);
                }
            }
        }
        self
    }
}

/// One figure of the headline: a label, a value and what is to be known about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Headline {
    pub(super) label: String,
    pub(super) value: String,
    pub(super) detail: String,
}

/// Which intervals the measurements of one member have.
pub(super) const OVER_PROMPTS: &str =
    "95 % intervals: bootstrap over prompts, Wilson where all are alike";

/// How the run ended, in words.
pub(super) fn ending(study: &Study) -> String {
    let time = Duration(study.seconds);
    match study.ending {
        Ending::Open => format!("unfinished after {time}"),
        Ending::Said(crate::event::Outcome::Done) => format!("done in {time}"),
        Ending::Said(outcome) => format!("{} after {time}", outcome_word(outcome)),
    }
}

/// What it was computed on, such as `cpu, 2 threads`.
pub(super) fn devices(study: &Study) -> String {
    let mut devices: Vec<String> = Vec::new();
    for worker in study.workers.values() {
        let device = device(worker);
        if !devices.contains(&device) {
            devices.push(device);
        }
    }
    devices.join(" and ")
}

/// A worker's device and threads.
pub(super) fn device(worker: &Worker) -> String {
    format!("{}, {}", worker.device, counted(u64::from(worker.threads), "thread"))
}

/// The result of a member in three figures.
pub(super) fn headline(member: &Member) -> Vec<Headline> {
    let split = member.result_split();
    let Some(comparison) = member.comparison(split) else { return Vec::new() };
    let Comparison { first, last, iteration, control } = comparison;
    let which = if member.best() == Some(iteration) { " (best by validation)" } else { "" };
    let stopped = member.stopped.as_ref().and_then(|it| Some((it.stopped_after?, &it.reason)));
    let stopped = stopped.map_or_else(String::new, |(after, reason)| {
        let why = reason.as_deref().unwrap_or_default();
        format!("; stopped after iteration {after} of {}: {why}", member.iterations)
    });
    let (from, to) = (member.start(), member.after(iteration));
    let mut figures = vec![Headline {
        label: match from == to {
            true => format!("{split} accuracy, {to}{which}"),
            false => format!("{split} accuracy, {from} → {to}{which}"),
        },
        value: match first {
            Some(first) => format!("{} → {} %", percent(first.accuracy), percent(last.accuracy)),
            None => format!("{} %", percent(last.accuracy)),
        },
        detail: format!(
            "{}, {}{}, {}{stopped}",
            interval_of(&last.estimate(), range, ""),
            counted(last.count, "prompt"),
            match last.unanswered {
                None | Some(0) => String::new(),
                Some(unanswered) => format!(" ({} without an answer)", count(unanswered)),
            },
            counted(last.step, "optimizer step")
        ),
    }];
    let gain = |metric: Metric, first: &Evaluated, over: &str, before: String| {
        let estimate = metric.gain(member, last, first);
        let paired = if estimate.method == Method::Unpaired { "" } else { "paired by prompt, " };
        let to = |ends: [f64; 2]| ends.map(points).join(" to ");
        Headline {
            label: format!("gain over the {over}"),
            value: format!("{} points", points(estimate.mean)),
            detail: format!("{before}{}", interval_of(&estimate, to, paired)),
        }
    };
    figures.extend(
        first.map(|it| gain(Metric::Gain(split.into()), it, member.start(), String::new())),
    );
    figures.extend(control.map(|it| {
        let before = format!("control {} %; ", percent(it.accuracy));
        gain(Metric::OverControl(split.into()), it, "equal-steps control", before)
    }));
    figures
}

/// Such as `95 % interval 42.8–49.0 (bootstrap over prompts)`; how it came about is always said.
fn interval_of(estimate: &Estimate, to: impl Fn([f64; 2]) -> String, how: &str) -> String {
    let method = estimate.method.words("members");
    match estimate.interval {
        Some(interval) => format!("95 % interval {} ({how}{method})", to(interval)),
        None => "no interval".to_owned(),
    }
}

/// `45.9 [42.8–49.0]`, in per cent.
pub(super) fn bracketed(estimate: &Estimate) -> String {
    let interval = estimate.interval.map(range);
    let told = interval.map_or_else(String::new, |interval| format!(" [{interval}]"));
    format!("{}{told}", percent(estimate.mean))
}

fn with_interval(evaluated: Option<&Evaluated>) -> String {
    evaluated.map_or_else(|| "–".into(), |it| bracketed(&it.estimate()))
}

/// Accuracies in per cent with 95 % intervals, and what led to them, by iteration.
pub(super) fn by_iteration(member: &Member) -> Table {
    let k = member.monitors.first().map_or(0, |it| it.value.k);
    let pass = format!("pass@{k}");
    let mut table = Table::new(&[
        "iteration",
        "steps",
        "test",
        "control",
        "validation",
        pass.as_str(),
        "T",
        "kept",
        "wrong steps",
        "state",
    ]);
    let drawn_at: BTreeMap<u32, f64> = drawn_at(member).into_iter().collect();
    for iteration in member.all_iterations() {
        let test = member.evaluation("test", Branch::Evolution, iteration);
        let validation = member.evaluation("validation", Branch::Evolution, iteration);
        let result = test.or(validation);
        let control = (iteration > 0)
            .then(|| member.evaluation(member.result_split(), Branch::Control, iteration))
            .flatten();
        let monitored = Member::at(&member.monitors, iteration);
        let selected = Member::at(&member.selections, iteration);
        table.rows.push(vec![
            member.row_name(iteration),
            result.map_or_else(|| "–".into(), |it| count(it.step)),
            with_interval(test),
            percent_or_dash(control.map(|it| it.accuracy)),
            with_interval(validation),
            percent_or_dash(monitored.and_then(|it| it.pass_at(it.k))),
            drawn_at.get(&iteration).map_or_else(|| "–".into(), f64::to_string),
            selected.map_or_else(|| "–".into(), |it| count(it.kept)),
            percent_or_dash(result.and_then(|it| it.wrong_steps_share)),
            member.troubles.get(&iteration).map_or_else(String::new, |it| (*it).into()),
        ]);
    }
    table.without_empty_columns()
}

/// Accuracies of the result split in per cent, by category: first, last and control.
pub(super) fn by_category(member: &Member) -> Table {
    let Some(comparison) = member.comparison(member.result_split()) else {
        return Table::default();
    };
    let last_name = member.after(comparison.iteration);
    let mut table =
        Table::new(&["category", "prompts", member.start(), last_name.as_str(), "gain", "control"]);
    let of = |evaluated: Option<&Evaluated>, name: &str| -> Option<f64> {
        evaluated?.categories.get(name).map(|it| it.accuracy)
    };
    for (name, last) in &comparison.last.categories {
        let first = of(comparison.first, name);
        table.rows.push(vec![
            name.clone(),
            count(last.count),
            percent_or_dash(first),
            bracketed(&last.estimate()),
            first.map_or_else(|| "–".into(), |first| points(last.accuracy - first)),
            percent_or_dash(of(comparison.control, name)),
        ]);
    }
    table.without_empty_columns()
}

/// Every member with its axis values and its result, for a grid.
pub(super) fn by_member<'a>(members: impl Iterator<Item = &'a Member> + Clone) -> Table {
    let mut axes: Vec<&str> = Vec::new();
    for member in members.clone() {
        for axis in member.values.keys() {
            if !axes.contains(&axis.as_str()) {
                axes.push(axis);
            }
        }
    }
    let mut table = Table::new(&["member"]);
    table.head.extend(axes.iter().map(|&axis| axis.to_owned()));
    let measured = ["iteration", "test", "validation", "gain", "control"];
    table.head.extend(measured.map(str::to_owned));
    for member in members {
        let mut row = vec![member.name.clone()];
        for &axis in &axes {
            row.push(member.values.get(axis).map_or_else(|| "–".into(), plain));
        }
        let result = member.comparison(member.result_split());
        let at = |split| member.comparison(split).map(|it| it.last);
        row.push(result.map_or_else(|| "–".into(), |it| member.row_name(it.iteration)));
        row.push(with_interval(at("test")));
        row.push(with_interval(at("validation")));
        let gain = result.and_then(|it| Some(it.last.accuracy - it.first?.accuracy));
        row.push(gain.map_or_else(|| "–".into(), points));
        row.push(percent_or_dash(result.and_then(|it| it.control).map(|it| it.accuracy)));
        table.rows.push(row);
    }
    table.without_empty_columns()
}

/// Where the time went, by kind of stage.
pub(super) fn time(study: &Study) -> Table {
    let mut table = Table::new(&["kind", "ran", "stored", "time", "share"]);
    let kinds = study.time_by_kind();
    let total: f64 = kinds.iter().map(|kind| kind.seconds).sum();
    for kind in kinds {
        table.rows.push(vec![
            kind.kind,
            count(kind.ran as u64),
            count(kind.stored as u64),
            Duration(kind.seconds).to_string(),
            if total > 0.0 {
                format!("{:.0} %", 100.0 * kind.seconds / total)
            } else {
                "–".into()
            },
        ]);
    }
    table
}
