//! `mstar list`: runs and members, found by name, value and metric.

use crate::base::Duration;
use crate::cli::arguments::{List, TableFormat};
use crate::cli::conditions::NAMED;
use crate::cli::conditions::Vocabulary;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::planning::of_store;
use crate::cli::printer::Printer;
use crate::cli::recorded::{entry, in_words};
use crate::cli::records;
use crate::recipe;
use crate::report::instant;
use crate::store::{Entry, Found, IndexedMember, Query, Store, Subject, text};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// Metrics that stand beside members also when nobody asked for them, where there are any.
const SHOWN: [&str; 3] = ["validation.accuracy", "test.accuracy", "test.gain"];

pub(crate) fn list(arguments: &List, store: &Path, printer: Printer) -> Result<Exit, Trouble> {
    let store = Store::open_existing(store).map_err(of_store)?;
    let passed_over = match &store {
        Some(store) => records::tell_unreadable(store, printer)?,
        None => 0,
    };
    let (query, asked) = query(arguments, store.as_ref())?;
    let pattern = arguments.name.as_deref().map(pattern).transpose()?;
    let mut found = match &store {
        Some(store) => store.find(&query, &entry).map_err(of_store)?,
        None => Vec::new(),
    };
    for (run, problem) in found.iter().filter_map(|it| Some((&it.run, it.entry.problem.as_ref()?)))
    {
        printer.complain(&format!("warning: the record of run `{run}` is damaged: {problem}"));
    }
    let is_empty = found.is_empty() && query.conditions.is_empty();
    if let Some(pattern) = pattern {
        found.retain(|it| pattern.matches(&it.run) || pattern.matches(&it.entry.name));
    }
    limit(&mut found, arguments);
    if arguments.format == TableFormat::Json {
        let runs: Vec<Value> = found.iter().map(|it| run_json(it, arguments.members)).collect();
        printer.data(&json!({ "format": 1, "runs": runs }).to_string())?;
        return Ok(Exit::Done);
    }
    let rows = match arguments.members {
        true => member_rows(&found, &asked, arguments.format),
        false => run_rows(&found, arguments.format),
    };
    match arguments.format {
        TableFormat::Csv => printer.data(&csv(&rows))?,
        _ if rows.len() > 1 => {
            // Runs have always the same columns, and no head.
            let first = usize::from(!arguments.members);
            printer.data(&aligned(&rows[first..]))?;
        }
        _ if is_empty && passed_over > 0 => {}
        _ if is_empty => {
            printer.talk("no runs yet; `mstar run recipes/quickstart.toml` starts one");
        }
        _ => printer.talk("nothing in the store is like that"),
    }
    Ok(Exit::Done)
}

/// The question, and the metrics that it names.
fn query(arguments: &List, store: Option<&Store>) -> Result<(Query, Vec<String>), Trouble> {
    let names = || match store {
        Some(store) => store.indexed_names(&entry).map_err(of_store),
        None => Ok(Default::default()),
    };
    let vocabulary = Vocabulary { of_members: arguments.members, names: &names };
    let conditions: Vec<_> = arguments
        .conditions
        .iter()
        .map(|typed| vocabulary.condition(typed))
        .collect::<Result<_, _>>()?;
    let sort = arguments.sort.as_deref().map(|name| vocabulary.subject(name)).transpose()?;
    let subjects = conditions.iter().map(|condition| &condition.subject).chain(&sort);
    let asked = subjects.filter_map(|subject| match subject {
        Subject::Metric(name) => Some(name.clone()),
        _ => None,
    });
    let asked = asked.collect();
    Ok((Query { conditions, sort, descending: arguments.descending }, asked))
}

/// A pattern as shells have them.
pub(crate) fn pattern(typed: &str) -> Result<glob::Pattern, Trouble> {
    glob::Pattern::new(typed).map_err(|error| {
        let message = format!("`{typed}` is no pattern: {}", error.msg);
        Trouble::wrong(message, "`*` stands for anything, `?` for one character, `[ab]` for a or b")
    })
}

/// Leaves the first runs, or members.
fn limit(found: &mut Vec<Found>, arguments: &List) {
    let Some(limit) = arguments.limit else { return };
    if !arguments.members {
        found.truncate(limit);
        return;
    }
    let mut left = limit;
    for run in found.iter_mut() {
        run.entry.members.truncate(left);
        left -= run.entry.members.len();
    }
    found.retain(|run| !run.entry.members.is_empty());
}

fn run_json(found: &Found, members: bool) -> Value {
    let entry = &found.entry;
    let outcome = match entry.outcome.as_str() {
        "open" | "unreadable" => Value::Null,
        word => word.into(),
    };
    let mut value = json!({
        "run": found.run, "recipe": entry.recipe_file, "outcome": outcome,
        "seconds": entry.seconds, "accuracy": entry.accuracy, "name": entry.name,
        "started_ms": entry.started_ms, "member_count": found.member_count,
        "problem": entry.problem,
    });
    if members {
        value["members"] = entry.members.iter().map(member_json).collect();
    }
    value
}

fn member_json(member: &IndexedMember) -> Value {
    json!({
        "name": member.name, "state": member.state, "values": member.axes,
        "metrics": metrics_json(member),
    })
}

/// Metrics by name: value, interval, count.
fn metrics_json(member: &IndexedMember) -> Value {
    let metrics = member.metrics.iter().map(|it| {
        let value = json!({ "value": it.value, "interval": it.interval, "count": it.count });
        (it.name.clone(), value)
    });
    Value::Object(metrics.collect::<Map<_, _>>())
}

/// Words for an outcome, for people.
fn outcome_words(outcome: &str) -> &str {
    if outcome == "open" { "not ended" } else { outcome }
}

fn started(entry: &Entry) -> String {
    if entry.started_ms == 0 { String::new() } else { instant(entry.started_ms) }
}

fn number(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}

fn run_rows(found: &[Found], format: TableFormat) -> Vec<Vec<String>> {
    let for_programs = format == TableFormat::Csv;
    let head: &[&str] = match for_programs {
        true => {
            &["run", "name", "outcome", "started_ms", "seconds", "members", "accuracy", "recipe"]
        }
        false => &["run", "outcome", "when", "time", "members", "accuracy", "recipe"],
    };
    let row = |it: &Found| {
        let entry = &it.entry;
        let count = it.member_count.to_string();
        if for_programs {
            return vec![
                it.run.clone(),
                entry.name.clone(),
                entry.outcome.clone(),
                entry.started_ms.to_string(),
                number(entry.seconds),
                count,
                number(entry.accuracy),
                entry.recipe_file.clone(),
            ];
        }
        vec![
            it.run.clone(),
            outcome_words(&entry.outcome).to_owned(),
            started(entry),
            entry.seconds.map_or(String::new(), |seconds| Duration(seconds).to_string()),
            count,
            entry.accuracy.map_or(String::new(), |accuracy| format!("{accuracy:.3}")),
            entry.recipe_file.clone(),
        ]
    };
    let head = head.iter().map(|name| (*name).to_owned()).collect();
    std::iter::once(head).chain(found.iter().map(row)).collect()
}

/// Run, member, state, the axes, and metrics: all of them for programs, for people those that say
/// most and those asked for.
fn member_rows(found: &[Found], asked: &[String], format: TableFormat) -> Vec<Vec<String>> {
    let members = || found.iter().flat_map(|it| it.entry.members.iter().map(move |m| (it, m)));
    let axes: BTreeSet<&str> =
        members().flat_map(|(_, member)| member.axes.keys().map(String::as_str)).collect();
    let all: BTreeSet<&str> = members()
        .flat_map(|(_, member)| member.metrics.iter().map(|metric| metric.name.as_str()))
        .collect();
    let is_shown = |name: &&str| {
        format == TableFormat::Csv
            || SHOWN.contains(name)
            || asked.iter().any(|asked| asked == name)
    };
    let metrics: Vec<&str> = all.into_iter().filter(is_shown).collect();
    let mut head: Vec<String> = ["run", "member", "state"].map(str::to_owned).into();
    let column =
        |axis: &str| if axis == recipe::MEMBER { NAMED.to_owned() } else { axis.to_owned() };
    head.extend(axes.iter().map(|axis| column(axis)));
    head.extend(metrics.iter().map(|metric| (*metric).to_owned()));
    let row = |(found, member): (&Found, &IndexedMember)| {
        let mut row = vec![found.run.clone(), member.name.clone(), member.state.clone()];
        let written: fn(&Value) -> String = match format {
            TableFormat::Csv => text,
            _ => in_words,
        };
        row.extend(axes.iter().map(|axis| member.axes.get(*axis).map_or(String::new(), written)));
        row.extend(metrics.iter().map(|name| {
            let metric = member.metrics.iter().find(|metric| metric.name == *name);
            match (metric, format) {
                (None, _) => String::new(),
                (Some(metric), TableFormat::Csv) => metric.value.to_string(),
                (Some(metric), _) => shown(metric.value),
            }
        }));
        row
    };
    std::iter::once(head).chain(members().map(row)).collect()
}

/// A number for people: whole ones as they are, others with three decimals.
pub(super) fn shown(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() > 1.0 {
        value.to_string()
    } else {
        format!("{value:.3}")
    }
}

/// Rows under their head, columns two spaces apart.
pub(super) fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..).map_while(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn csv(rows: &[Vec<String>]) -> String {
    let cell = |cell: &String| match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.clone(),
    };
    let line = |row: &Vec<String>| row.iter().map(cell).collect::<Vec<_>>().join(",") + "\n";
    rows.iter().map(line).collect()
}
