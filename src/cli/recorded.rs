//! What a recorded run says of itself: its values with their origins, and what the index keeps of it.

use crate::event::{Outcome, Record};
use crate::plan::MemberSummary;
use crate::recipe::to_toml;
use crate::report::{Ending, Estimate, Member, Method, Metric, Study};
use crate::store::{Entry, Error, IndexedMember, IndexedMetric, Run, text};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A value of a recipe, as `resolved.toml` has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RecordedValue {
    /// With dots.
    pub(crate) key: String,
    /// Null for what is not set.
    pub(crate) value: Value,
    /// Where it came from.
    pub(crate) origin: String,
}

impl RecordedValue {
    /// File and line where somebody wrote it.
    pub(crate) fn place(&self) -> Option<&str> {
        let (_, line) = self.origin.rsplit_once(':')?;
        line.parse::<u32>().is_ok().then_some(self.origin.as_str())
    }

    /// The value for people.
    pub(crate) fn in_words(&self) -> String {
        if self.value.is_null() { "not set".to_owned() } else { in_words(&self.value) }
    }
}

/// A value as it is written in a recipe, texts without their quotes.
pub(crate) fn in_words(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => to_toml(value),
        plain => text(plain),
    }
}

/// Every value of a resolved recipe, in its order; also those without effect, which are comments.
pub(crate) fn values(resolved: &str) -> Vec<RecordedValue> {
    let mut table = String::new();
    let mut values = Vec::new();
    for line in resolved.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            table = format!("{name}.");
        } else if let Some((name, value, origin)) = value_of(line) {
            values.push(RecordedValue { key: format!("{table}{name}"), value, origin });
        }
    }
    values
}

/// A recipe's values with those of a member laid over them.
pub(crate) fn laid_over(
    mut values: Vec<RecordedValue>,
    member: &str,
    axes: &Map<String, Value>,
) -> Vec<RecordedValue> {
    for (key, value) in axes {
        let origin = format!("member {member}");
        let own = RecordedValue { key: key.clone(), value: value.clone(), origin };
        match values.iter_mut().find(|it| it.key == *key) {
            Some(it) => *it = own,
            None => values.push(own),
        }
    }
    values
}

fn value_of(line: &str) -> Option<(&str, Value, String)> {
    let written = line.strip_prefix("# ").unwrap_or(line);
    if let Some((name, rest)) = written.split_once(" is not set")
        && !name.contains(' ')
    {
        let origin = rest.split_once("# ").map_or("default", |(_, origin)| origin);
        return Some((name, Value::Null, origin.to_owned()));
    }
    let (name, rest) = written.split_once(" = ")?;
    // A text may hold what looks like the comment; the first end at which it is a value is right.
    rest.match_indices("  # ").find_map(|(end, sign)| {
        let value = toml_value(rest[..end].trim_end())?;
        Some((name, value, rest[end + sign.len()..].to_owned()))
    })
}

/// A value as TOML writes it, as JSON.
pub(crate) fn toml_value(text: &str) -> Option<Value> {
    let table: toml::Table = toml::from_str(&format!("value = {text}")).ok()?;
    serde_json::to_value(table.get("value")?).ok()
}

/// A file of a record, unless it is gone.
pub(crate) fn if_there(text: Result<String, Error>) -> Result<Option<String>, Error> {
    match text {
        Ok(text) => Ok(Some(text)),
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The members in a run's graph, which alone knows their values.
pub(crate) fn members_of_graph(graph: &str) -> Option<Vec<MemberSummary>> {
    #[derive(Deserialize)]
    struct Members {
        #[serde(default)]
        members: Vec<MemberSummary>,
    }
    serde_json::from_str::<Members>(graph).ok().map(|it| it.members)
}

/// What the index keeps of a run. What cannot be read of one keeps no other from being found.
pub(crate) fn entry(run: &Run) -> Result<Entry, Error> {
    let mut problem = None;
    let mut told = |text: Result<Option<String>, Error>| match text {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => {
            problem.get_or_insert(error.to_string());
            String::new()
        }
    };
    let log = told(run.events().map(Some));
    let (graph, resolved) = (told(if_there(run.graph())), told(if_there(run.resolved())));
    let records = Record::read_log(&log).unwrap_or_else(|(line, _)| {
        problem = Some(format!("line {line} of its log cannot be read"));
        Vec::new()
    });
    let study = Study::read(&records);
    let planned = members_of_graph(&graph).unwrap_or_default();
    let values = values(&resolved).into_iter().map(|value| (value.key, value.value)).collect();
    Ok(Entry {
        name: study.name.clone(),
        recipe_file: study.recipe_file.clone(),
        started_ms: study.started_ms,
        outcome: if problem.is_some() { "unreadable" } else { outcome(&study) }.to_owned(),
        seconds: (study.ending != Ending::Open).then_some(study.seconds),
        accuracy: study
            .leader()
            .and_then(|leader| Some(leader.comparison(leader.result_split())?.last.accuracy)),
        problem,
        values,
        members: indexed_members(&study, &planned),
    })
}

/// Words for what became of a member.
pub(crate) const STATES: [&str; 5] = ["failed", "unfinished", "skipped", "waiting", "done"];

/// Words for how a run ended.
pub(crate) const OUTCOMES: [&str; 5] = ["done", "failed", "interrupted", "open", "unreadable"];

fn outcome(study: &Study) -> &'static str {
    match study.ending {
        Ending::Said(Outcome::Done | Outcome::Stored) => "done",
        Ending::Said(Outcome::Failed) => "failed",
        Ending::Said(Outcome::Interrupted) => "interrupted",
        Ending::Open => "open",
    }
}

fn indexed_members(study: &Study, planned: &[MemberSummary]) -> Vec<IndexedMember> {
    let measured: BTreeMap<&str, &Member> =
        study.members.iter().map(|member| (member.name.as_str(), member)).collect();
    let indexed = |name: &str, axes: &Map<String, Value>| {
        let member = measured.get(name);
        IndexedMember {
            name: name.to_owned(),
            state: member.map_or("waiting", |member| member.state()).to_owned(),
            axes: axes.clone(),
            metrics: member.map_or_else(Vec::new, |member| metrics(member)),
        }
    };
    match planned.is_empty() {
        true => study.members.iter().map(|member| indexed(&member.name, &Map::new())).collect(),
        false => planned.iter().map(|member| indexed(&member.name, &member.values)).collect(),
    }
}

/// A number of a member.
#[derive(Clone, Debug)]
pub(crate) struct MeasuredMetric {
    /// By the name that tables and conditions use.
    pub(crate) name: String,
    /// Its value.
    pub(crate) estimate: Estimate,
    /// Prompts that it was measured on.
    pub(crate) count: Option<u64>,
}

/// The numbers of a member.
pub(crate) fn measured(member: &Member) -> Vec<MeasuredMetric> {
    let measured = Metric::measured_of(member).into_iter();
    let found = measured.filter_map(|metric| {
        let (name, count) = (metric.to_string(), metric.prompts(member));
        Some(MeasuredMetric { name, estimate: metric.of(member)?, count })
    });
    found.collect()
}

/// The numbers of a member as the index keeps them, from the log alone. That knows no answers, so that
/// a gain, whose interval pairs them, has none here.
pub(crate) fn metrics(member: &Member) -> Vec<IndexedMetric> {
    let indexed = |MeasuredMetric { name, estimate, count }| {
        let Estimate { mean: value, interval, method, .. } = estimate;
        let interval = interval.filter(|_| method != Method::Unpaired);
        IndexedMetric { name, value, interval, count }
    };
    measured(member).into_iter().map(indexed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_with_their_origin_also_where_they_have_no_effect() {
        let text = "name = \"a  # b\"        # a.toml:2\n# seed is not set  # default\n\n\
                    [reward]\nselect = { random = 2 }  # `--set`  # odd\n\
                    # cap = 3  # default, without effect\n";
        let found = values(text);
        let told: Vec<_> = found
            .iter()
            .map(|it| (it.key.as_str(), it.value.to_string(), it.origin.as_str()))
            .collect();
        let expected = [
            ("name", "\"a  # b\"".to_owned(), "a.toml:2"),
            ("seed", "null".to_owned(), "default"),
            ("reward.select", "{\"random\":2}".to_owned(), "`--set`  # odd"),
            ("reward.cap", "3".to_owned(), "default, without effect"),
        ];
        assert_eq!(told, expected);
    }
}
