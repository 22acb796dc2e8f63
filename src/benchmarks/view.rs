//! Scores as text, as Markdown and as JSON.

use super::{Line, Scores};
use serde_json::{Map, Value, json as value};
use std::fmt::Write as _;

/// Breakdowns that people read; the rest is in the JSON.
const SHOWN: usize = 2;

/// For people.
pub fn text(scores: &Scores) -> String {
    let mut text = format!("{}\n", scores.benchmark);
    let width = names(scores).map(|name| name.chars().count()).max().unwrap_or(0).max(8);
    let line = |name: &str, line: Line| {
        let interval = line.interval();
        let (low, high) = (interval.low * 100.0, interval.high * 100.0);
        let share = line.accuracy() * 100.0;
        let counted = format!("{}/{}", line.correct, line.count);
        format!("  {name:<width$}  {share:>5.1} %  [{low:.1}, {high:.1}]  {counted}\n")
    };
    text.push_str(&line("accuracy", scores.total));
    for breakdown in scores.breakdowns.iter().take(SHOWN) {
        text.push_str(&format!("\nby {}\n", breakdown.name));
        for (name, it) in &breakdown.lines {
            text.push_str(&line(name, *it));
        }
    }
    let notes = notes(scores);
    if !notes.is_empty() {
        text.push_str(&format!("\n{}\n", notes.join("\n")));
    }
    text
}

fn names(scores: &Scores) -> impl Iterator<Item = &String> {
    scores.breakdowns.iter().take(SHOWN).flat_map(|breakdown| breakdown.lines.keys())
}

/// As a table of Markdown.
pub fn markdown(scores: &Scores) -> String {
    let mut text =
        format!("**{}**\n\n| | accuracy, % | 95 % interval | right |\n", scores.benchmark);
    text.push_str("| --- | ---: | ---: | ---: |\n");
    let mut row = |name: &str, line: Line| {
        let interval = line.interval();
        let (low, high) = (interval.low * 100.0, interval.high * 100.0);
        let share = line.accuracy() * 100.0;
        let name = name.replace('|', "\\|");
        let counted = format!("{} of {}", line.correct, line.count);
        // Writing to a text cannot fail.
        let _ = writeln!(text, "| {name} | {share:.1} | {low:.1}–{high:.1} | {counted} |");
    };
    row("all", scores.total);
    for breakdown in scores.breakdowns.iter().take(SHOWN) {
        for (name, line) in &breakdown.lines {
            row(&format!("{}: {name}", breakdown.name), *line);
        }
    }
    let notes: Vec<String> = notes(scores).iter().map(|note| format!("* {note}\n")).collect();
    if notes.is_empty() { text } else { format!("{text}\n{}", notes.concat()) }
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
            (breakdown.name.to_owned(), Value::Object(lines.collect()))
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
