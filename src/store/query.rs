//! Questions to the index of runs: which members have these values and metrics, in what order.
//!
//! What a user wrote is always a bound parameter; the text of a statement is made of our own words.

use super::index::{Counts, Entry, IndexedMember, IndexedMetric};
use rusqlite::{Connection, Row, params, params_from_iter, types::Value as Bound};
use serde_json::Value;
use std::collections::BTreeSet;

/// Which members, in which order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// All of them hold for a member that is found.
    pub conditions: Vec<Condition>,
    /// What to sort by; without it, runs stand as they began and members as they were declared.
    pub sort: Option<Subject>,
    /// The largest first. What has no value stands last either way.
    pub descending: bool,
}

/// What a condition or an order is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The run's name in the store; in an order, when it began.
    Run,
    /// The recipe's or experiment's name.
    Name,
    /// How the run ended.
    Outcome,
    /// Wall seconds of the run.
    RunSeconds,
    /// The member's name.
    Member,
    /// What became of the member.
    State,
    /// A value of the recipe, by dotted key.
    Value(String),
    /// A metric.
    Metric(String),
}

/// Such as `test.accuracy >= 0.7`.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// What is compared.
    pub subject: Subject,
    /// How.
    pub relation: Relation,
    /// With what, as it was written; a number is compared as one.
    pub operand: String,
}

/// How two things are compared. What is not there stands in no relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `=`
    Equal,
    /// `!=`
    Different,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

impl Relation {
    /// Whether it puts numbers in an order.
    pub fn is_of_order(self) -> bool {
        !matches!(self, Self::Equal | Self::Different)
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Different => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        }
    }
}

/// A run of which some member was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its name in the store.
    pub run: String,
    /// Its members in all.
    pub member_count: u64,
    /// What is kept of it, without its values, and with the members that were found alone.
    pub entry: Entry,
}

/// What some run has, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Dotted keys of values.
    pub keys: BTreeSet<String>,
    /// Metrics.
    pub metrics: BTreeSet<String>,
}

/// A value as conditions compare it: text without quotes, all else as JSON.
pub fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Columns of a value: its text, its number.
#[derive(Clone, Copy)]
enum Column {
    Text,
    Number,
}

/// An expression for a subject, with `?` for each parameter that is added.
fn expression(subject: &Subject, column: Column, bound: &mut Vec<Bound>) -> &'static str {
    match (subject, column) {
        (Subject::Run, Column::Text) => "r.run",
        (Subject::Run, Column::Number) => "r.number",
        (Subject::RunSeconds, _) => "r.seconds",
        (Subject::Name, Column::Text) => "r.name",
        (Subject::Outcome, Column::Text) => "r.outcome",
        (Subject::Member, Column::Text) => "m.member",
        (Subject::State, Column::Text) => "m.state",
        (Subject::Name | Subject::Outcome | Subject::Member | Subject::State, Column::Number) => {
            "NULL"
        }
        (Subject::Value(key), column) => {
            bound.push(Bound::Text(key.clone()));
            // A member's own value stands over that of the recipe, whose member is ''.
            match column {
                Column::Text => {
                    "(SELECT v.text FROM resolved_values v WHERE v.run = r.run AND v.key = ? \
                     AND v.member IN ('', m.member) ORDER BY v.member DESC LIMIT 1)"
                }
                Column::Number => {
                    "(SELECT v.number FROM resolved_values v WHERE v.run = r.run AND v.key = ? \
                     AND v.member IN ('', m.member) ORDER BY v.member DESC LIMIT 1)"
                }
            }
        }
        (Subject::Metric(name), _) => {
            bound.push(Bound::Text(name.clone()));
            "(SELECT x.value FROM metrics x WHERE x.run = r.run AND x.member = m.member \
             AND x.name = ?)"
        }
    }
}

fn add_condition(condition: &Condition, sql: &mut String, bound: &mut Vec<Bound>) {
    let Condition { subject, relation, operand } = condition;
    let number = operand.parse::<f64>().ok().filter(|number| number.is_finite());
    sql.push_str(" AND COALESCE(");
    // A run's number orders it and is nothing to compare with.
    if let (Some(number), false) = (number, *subject == Subject::Run) {
        sql.extend([expression(subject, Column::Number, bound), " ", relation.sign(), " ?, "]);
        bound.push(Bound::Real(number));
    }
    if !relation.is_of_order() {
        sql.extend([expression(subject, Column::Text, bound), " ", relation.sign(), " ?, "]);
        bound.push(Bound::Text(operand.clone()));
    }
    sql.push_str("0)");
}

fn statement(query: &Query) -> (String, Vec<Bound>) {
    let mut sql = "SELECT r.run, r.name, r.recipe_file, r.started_ms, r.outcome, r.seconds, \
                   r.accuracy, r.problem, m.member, m.state, m.axes FROM runs r \
                   LEFT JOIN members m ON m.run = r.run WHERE 1"
        .to_owned();
    let mut bound = Vec::new();
    for condition in &query.conditions {
        add_condition(condition, &mut sql, &mut bound);
    }
    sql.push_str(" ORDER BY ");
    if let Some(subject) = &query.sort {
        let direction = if query.descending { " DESC" } else { " ASC" };
        sql.extend([expression(subject, Column::Number, &mut bound), direction, " NULLS LAST, "]);
        sql.extend([expression(subject, Column::Text, &mut bound), direction, " NULLS LAST, "]);
    }
    sql.push_str(match (&query.sort, query.descending) {
        (None, true) => "r.number DESC, m.ordinal",
        _ => "r.number, m.ordinal",
    });
    (sql, bound)
}

/// Runs in the order of the first of their members.
pub(super) fn find(index: &Connection, query: &Query) -> rusqlite::Result<Vec<Found>> {
    let (sql, bound) = statement(query);
    let mut statement = index.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(bound))?;
    let mut found: indexmap::IndexMap<String, Found> = indexmap::IndexMap::new();
    while let Some(row) = rows.next()? {
        let run: String = row.get(0)?;
        if !found.contains_key(&run) {
            found.insert(run.clone(), found_run(index, row, &run)?);
        }
        if let Some(member) = member(row)? {
            found[&run].entry.members.push(member);
        }
    }
    let mut metrics = index.prepare(
        "SELECT name, value, low, high, count FROM metrics WHERE run = ? AND member = ?",
    )?;
    for found in found.values_mut() {
        for member in &mut found.entry.members {
            let rows = metrics.query_map(params![found.run, member.name], metric)?;
            member.metrics = rows.collect::<Result<_, _>>()?;
        }
    }
    Ok(found.into_values().collect())
}

fn found_run(index: &Connection, row: &Row<'_>, run: &str) -> rusqlite::Result<Found> {
    let count = "SELECT count(*) FROM members WHERE run = ?";
    let member_count: i64 = index.query_row(count, [run], |row| row.get(0))?;
    let entry = Entry {
        name: row.get(1)?,
        recipe_file: row.get(2)?,
        started_ms: row.get::<_, i64>(3)?.unsigned_abs(),
        outcome: row.get(4)?,
        seconds: row.get(5)?,
        accuracy: row.get(6)?,
        problem: row.get(7)?,
        ..Entry::default()
    };
    Ok(Found { run: run.to_owned(), member_count: member_count.unsigned_abs(), entry })
}

fn member(row: &Row<'_>) -> rusqlite::Result<Option<IndexedMember>> {
    let Some(name) = row.get(8)? else { return Ok(None) };
    let axes: String = row.get(10)?;
    let axes = serde_json::from_str(&axes).unwrap_or_default();
    Ok(Some(IndexedMember { name, state: row.get(9)?, axes, metrics: Vec::new() }))
}

fn metric(row: &Row<'_>) -> rusqlite::Result<IndexedMetric> {
    let (low, high): (Option<f64>, Option<f64>) = (row.get(2)?, row.get(3)?);
    Ok(IndexedMetric {
        name: row.get(0)?,
        value: row.get(1)?,
        interval: low.zip(high).map(|(low, high)| [low, high]),
        count: row.get::<_, Option<i64>>(4)?.map(i64::unsigned_abs),
    })
}

pub(super) fn names(index: &Connection) -> rusqlite::Result<Names> {
    let all = |sql: &str| -> rusqlite::Result<BTreeSet<String>> {
        index.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
    };
    Ok(Names {
        keys: all("SELECT DISTINCT key FROM resolved_values")?,
        metrics: all("SELECT DISTINCT name FROM metrics")?,
    })
}

pub(super) fn counts(index: &Connection) -> rusqlite::Result<Counts> {
    let count = |table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        index.query_row(&sql, [], |row| row.get::<_, i64>(0)).map(i64::unsigned_abs)
    };
    Ok(Counts {
        runs: count("runs")?,
        members: count("members")?,
        values: count("resolved_values")?,
        metrics: count("metrics")?,
    })
}
