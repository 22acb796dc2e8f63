//! Scores as text, as Markdown and as JSON.

use super::{Line, Scores};
use serde_json::{Map, Value, json as value};

/// Breakdowns that people read; the rest is in the JSON.
const SHOWN: usize = 2;

/// For people.
pub fn text(scores: &Scores) -> String {
    let width = names(scores).map(|name| name.chars().count()).max().unwrap_or(0).max(8);
    let line = |name: &str, line: Line| {
        let (share, [low, high]) = percent(line);
        let counted = format!("{}/{}", line.correct, line.count);
        format!("  {name:<width$}  {share:>5.1} %  [{low:.1}, {high:.1}]  {counted}")
    };
    let mut lines = vec![scores.benchmark.to_string(), line("accuracy", scores.total)];
    for breakdown in scores.breakdowns.iter().take(SHOWN) {
        lines.extend([String::new(), format!("by {}", breakdown.name)]);
        lines.extend(breakdown.lines.iter().map(|(name, it)| line(name, *it)));
    }
    let notes = notes(scores);
    if !notes.is_empty() {
        lines.push(String::new());
        lines.extend(notes);
    }
    lines.join("\n") + "\n"
}

fn names(scores: &Scores) -> impl Iterator<Item = &String> {
    scores.breakdowns.iter().take(SHOWN).flat_map(|breakdown| breakdown.lines.keys())
}

/// Accuracy and interval in per cent.
fn percent(line: Line) -> (f64, [f64; 2]) {
    let interval = line.interval();
    (line.accuracy() * 100.0, [interval.low * 100.0, interval.high * 100.0])
}

/// As a table of Markdown.
pub fn markdown(scores: &Scores) -> String {
    let row = |name: &str, line: Line| {
        let (share, [low, high]) = percent(line);
        let (name, right) = (name.replace('|', "\\|"), line.correct);
        format!("| {name} | {share:.1} | {low:.1}–{high:.1} | {right} of {} |", line.count)
    };
    let mut lines = vec![
        format!("**{}**", scores.benchmark),
        String::new(),
        "| | accuracy, % | 95 % interval | right |".to_owned(),
        "| --- | ---: | ---: | ---: |".to_owned(),
        row("all", scores.total),
    ];
    for breakdown in scores.breakdowns.iter().take(SHOWN) {
        let named = |name: &String| format!("{}: {name}", breakdown.name);
        lines.extend(breakdown.lines.iter().map(|(name, line)| row(&named(name), *line)));
    }
    let notes: Vec<String> = notes(scores).iter().map(|note| format!("* {note}")).collect();
    if !notes.is_empty() {
        lines.push(String::new());
        lines.extend(notes);
    }
    lines.join("\n") + "\n"
}

/// What a reader of the numbers has to know.
fn notes(scores: &Scores) -> Vec<String> {
    let mut notes = Vec::new();
    if scores.circular {
        notes.push("a question counts when all its rotations are answered right".to_owned());
    }
    if scores.unanswered > 0 {
        notes.push(format!("no answer was found in {} responses", scores.unanswered));
    }
    let guessed = scores.records.iter().filter(|record| record.found == "guess").count();
    if guessed > 0 {
        notes.push(format!(
            "{guessed} answers were read by rules in place of the official program's model"
        ));
    }
    notes
}

/// For programs.
pub fn json(scores: &Scores) -> String {
    let line = |line: &Line| {
        let interval = line.interval();
        value!({
            "accuracy": line.accuracy(), "interval": [interval.low, interval.high],
            "count": line.count, "correct": line.correct,
        })
    };
    let breakdowns: Map<String, Value> = scores
        .breakdowns
        .iter()
        .map(|breakdown| {
            let lines = breakdown.lines.iter().map(|(name, it)| (name.clone(), line(it)));
            (breakdown.name.to_string(), Value::Object(lines.collect()))
        })
        .collect();
    let main = scores.breakdowns.first();
    let categories: Map<String, Value> = main
        .iter()
        .flat_map(|breakdown| &breakdown.lines)
        .map(|(name, line)| (name.clone(), value!(line.accuracy())))
        .collect();
    let records: Vec<Value> = scores
        .records
        .iter()
        .map(|record| {
            value!({
                "id": record.id, "extraction": record.extraction, "prediction": record.prediction,
                "correct": record.correct, "found": record.found,
            })
        })
        .collect();
    let interval = scores.total.interval();
    value!({
        "format": 1,
        "benchmark": scores.benchmark.to_string(),
        "count": scores.total.count,
        "correct": scores.total.correct,
        "accuracy": scores.total.accuracy(),
        "interval": [interval.low, interval.high],
        "categories": categories,
        "breakdowns": breakdowns,
        "circular": scores.circular,
        "unanswered": scores.unanswered,
        "missing": scores.missing,
        "repeated": scores.repeated,
        "unknown": scores.unknown,
        "records": records,
    })
    .to_string()
}
