//! A run so far, in words: what a terminal shows.

use super::curve::spark;
use super::status::{Stage, Status, word};
use crate::base::{Duration, Rate};
use crate::event::Outcome;
use crate::report::{Answer, Branch, SampleView, Study};
use indexmap::IndexMap;
use std::collections::BTreeMap;

/// Columns of what is shown; a wider terminal gains nothing.
const WIDTH: usize = 100;
/// Stages that are told one by one.
const STAGES_SHOWN: usize = 12;
/// Samples and notes that are told.
const SHOWN: usize = 3;

/// A run so far. `study` is the same log as a report reads it, `is_living` whether somebody carries
/// it out.
pub fn text(status: &Status, study: &Study, samples: &[SampleView], is_living: bool) -> String {
    let mut lines = vec![headline(status, is_living), String::new()];
    lines.extend(board(status));
    let running: Vec<&Stage> = status.stages().filter(|it| it.state == "running").collect();
    section(&mut lines, if is_living { "running" } else { "not ended" }, &running, |stage| {
        running_line(stage)
    });
    let failed: Vec<&Stage> = status.stages().filter(|it| it.state == "failed").collect();
    section(&mut lines, "failed", &failed, |stage| format!("{}: {}", stage.title, stage.why));
    lines.extend(curves(study));
    if !samples.is_empty() {
        lines.extend([String::new(), "latest samples".to_owned()]);
        lines.extend(samples.iter().take(SHOWN).map(sample));
    }
    if !status.notes.is_empty() {
        lines.extend([String::new(), "notes".to_owned()]);
        let notes = status.notes.iter().rev().take(SHOWN).rev();
        lines.extend(notes.map(|note| format!("  {note}")));
    }
    let mut text = String::new();
    for line in lines {
        text.push_str(&cut(&line, WIDTH));
        text.push('\n');
    }
    text
}

fn section(lines: &mut Vec<String>, name: &str, stages: &[&Stage], tell: fn(&Stage) -> String) {
    if stages.is_empty() {
        return;
    }
    lines.extend([String::new(), name.to_owned()]);
    lines.extend(stages.iter().take(STAGES_SHOWN).map(|stage| format!("  {}", tell(stage))));
    if stages.len() > STAGES_SHOWN {
        lines.push(format!("  and {} more", stages.len() - STAGES_SHOWN));
    }
}

fn headline(status: &Status, is_living: bool) -> String {
    let passed = Duration(status.now_ms.saturating_sub(status.started_ms) as f64 / 1e3);
    let state = match status.ended {
        Some(Outcome::Done | Outcome::Stored) => format!("done after {passed}"),
        Some(Outcome::Failed) => format!("failed after {passed}"),
        Some(Outcome::Interrupted) => format!("interrupted after {passed}"),
        None if is_living => format!("running since {passed}"),
        None => format!("stopped without an end after {passed}"),
    };
    let all = status.stages().count();
    let ended = status.count("done") + status.count("stored");
    let mut parts = vec![
        format!("{} · run {}", status.name, status.run),
        state,
        format!("{ended}/{all} stages"),
    ];
    if let (true, None, Some(left)) = (is_living, status.ended, status.to_go()) {
        let word = if left.at_least { "at least" } else { "about" };
        parts.push(format!("{word} {} to go", Duration(left.seconds)));
    }
    let mut devices: BTreeMap<&str, usize> = BTreeMap::new();
    for device in status.workers.values() {
        *devices.entry(device).or_default() += 1;
    }
    if status.ended.is_none() && is_living {
        parts.extend(devices.iter().map(|(device, count)| format!("{count} × {device}")));
    }
    parts.join(" · ")
}

/// Stages by kind: how many are in which state, and in a run of one member the iterations in their
/// order.
fn board(status: &Status) -> Vec<String> {
    let mut kinds: IndexMap<&str, Vec<&Stage>> = IndexMap::new();
    for stage in status.stages() {
        kinds.entry(&stage.summary.kind).or_default().push(stage);
    }
    let width = kinds.keys().map(|kind| kind.chars().count()).max().unwrap_or(0);
    let line = |(kind, stages): (&str, Vec<&Stage>)| {
        let states = ["running", "failed", "skipped", "done", "stored", "waiting"];
        let counted = states.into_iter().filter_map(|state| {
            let count = stages.iter().filter(|stage| stage.state == state).count();
            (count > 0).then(|| format!("{count} {state}"))
        });
        let counted = counted.collect::<Vec<_>>().join(", ");
        let signs: String = match stages.len() {
            0..=40 => stages.iter().map(|stage| sign(stage.state)).collect(),
            _ => String::new(),
        };
        format!("  {kind:<width$}  {signs}  {counted}")
    };
    kinds.into_iter().map(line).collect()
}

/// A state as one character; the words beside it say the same.
fn sign(state: &str) -> char {
    match state {
        "running" => '▶',
        "done" => '■',
        "stored" => '□',
        "failed" => '✗',
        "skipped" => '–',
        _ => '·',
    }
}

fn running_line(stage: &Stage) -> String {
    let mut parts = Vec::new();
    if let Some((done, total, unit)) = stage.progress {
        parts.push(format!("{done}/{total} {}", word(unit)));
    }
    if let (Some(rate), Some(left)) = (stage.rate(), stage.to_go()) {
        parts.push(format!("{}, {} to go", Rate(rate), Duration(left)));
    }
    for (name, value) in &stage.watched {
        let value = value.as_f64().map_or_else(|| value.to_string(), |it| format!("{it:.3}"));
        let points = stage.curves.get(name).map_or(&[][..], |curve| curve.points());
        let values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
        parts.push(format!("{name} {value} {}", spark(&values, 24, None)).trim_end().to_owned());
    }
    format!("{:<20} {}", stage.title, parts.join(", ")).trim_end().to_owned()
}

/// Accuracy of the member that leads, by iteration.
fn curves(study: &Study) -> Vec<String> {
    let Some(leader) = study.leader() else { return Vec::new() };
    let mut lines = Vec::new();
    for split in ["validation", "test"] {
        for (branch, name) in [(Branch::Evolution, ""), (Branch::Control, ", control")] {
            if branch == Branch::Control && !leader.has_control() {
                continue;
            }
            let curve = leader.curve(split, branch);
            let values: Vec<f64> = curve.iter().map(|(_, it)| it.accuracy).collect();
            let (Some(first), Some(last)) = (values.first(), values.last()) else { continue };
            let line = match spark(&values, 40, Some([0.0, 1.0])) {
                line if line.is_empty() => format!("{:.1} %", last * 100.0),
                line => format!("{line}  {:.1} → {:.1} %", first * 100.0, last * 100.0),
            };
            lines.push(format!("  {:<20} {line}", format!("{split}{name}")));
        }
    }
    if !lines.is_empty() {
        let of =
            if study.members.len() > 1 { format!(" of {}", leader.name) } else { String::new() };
        lines.splice(0..0, [String::new(), format!("accuracy by iteration{of}")]);
    }
    lines
}

fn sample(sample: &SampleView) -> String {
    let Answer { predicted, correct, response, .. } = &sample.answer;
    let verdict = if *correct { "right" } else { "wrong" };
    let answer = predicted.as_deref().unwrap_or(response);
    let question = cut(&one_line(&sample.question), 52);
    format!("  {verdict}: {question} → {} (gold {})", one_line(answer), sample.gold)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text of at most so many characters, without control characters, which a terminal would obey.
fn cut(text: &str, most: usize) -> String {
    let mut clean: String = text.chars().filter(|it| !it.is_control()).take(most + 1).collect();
    if clean.chars().count() > most {
        clean.pop();
        clean.pop();
        clean.push('…');
    }
    clean
}
