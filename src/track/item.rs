//! What of a log trackers are told: numbers, each of a member, at a step, and how the run ended.

use crate::base::Key;
use crate::event::{Event, Outcome, Record, StageSummary};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Values of the recipe by member, for trackers that show them beside the numbers.
pub type Parameters = BTreeMap<String, Vec<(String, String)>>;

/// Something that a tracker is told.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    /// The member that it is about.
    pub(super) member: Arc<str>,
    /// Milliseconds since 1970.
    pub(super) time_ms: u64,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// A number.
    Value { tag: Arc<str>, step: u64, value: f64 },
    /// How the run ended.
    Ended(Outcome),
}

/// Makes items of records. The same log gives the same items in the same order, which is what lets
/// a tracker be told the rest and nothing twice.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The run's name in the store.
    pub(super) run: String,
    /// The recipe's name.
    pub(super) name: String,
    pub(super) started_ms: u64,
    pub(super) members: Vec<Arc<str>>,
    stages: BTreeMap<Key, StageSummary>,
    /// Stages that were measured; a run that is resumed finds them in the store.
    measured: BTreeSet<Key>,
}

impl Reader {
    pub(super) fn take(&mut self, record: &Record) -> Vec<Item> {
        match &record.event {
            Event::RunStarted { run, name, .. } => {
                self.run.clone_from(run);
                self.name.clone_from(name);
                if self.started_ms == 0 {
                    self.started_ms = record.time_ms;
                }
                Vec::new()
            }
            Event::Planned { stages, .. } => {
                let members: BTreeSet<&str> =
                    stages.iter().flat_map(|it| &it.members).map(String::as_str).collect();
                self.members = members.into_iter().map(Into::into).collect();
                self.stages = stages.iter().map(|it| (it.key, it.clone())).collect();
                Vec::new()
            }
            Event::StageProgress { key, done, watched, .. } => {
                let Some(stage) = self.stages.get(key) else { return Vec::new() };
                let mut values = Vec::new();
                for (name, value) in watched {
                    if let Some(value) = value.as_f64() {
                        values.push((tag(&[&stage.name, name]), *done, value));
                    }
                }
                items(stage, record.time_ms, &values)
            }
            Event::StageFinished { key, metrics, .. } => {
                let Some(stage) = self.stages.get(key) else { return Vec::new() };
                if !self.measured.insert(*key) {
                    return Vec::new();
                }
                items(stage, record.time_ms, &values(stage, metrics))
            }
            Event::RunFinished { outcome, .. } => {
                let ended = |member: &Arc<str>| Item {
                    member: Arc::clone(member),
                    time_ms: record.time_ms,
                    what: What::Ended(*outcome),
                };
                self.members.iter().map(ended).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The same values for each member that uses a stage.
fn items(stage: &StageSummary, time_ms: u64, values: &[(Arc<str>, u64, f64)]) -> Vec<Item> {
    let of_member = |member: &String| {
        let member: Arc<str> = member.as_str().into();
        let item = move |(tag, step, value): &(Arc<str>, u64, f64)| Item {
            member: Arc::clone(&member),
            time_ms,
            what: What::Value { tag: Arc::clone(tag), step: *step, value: *value },
        };
        values.iter().map(item)
    };
    stage.members.iter().flat_map(of_member).collect()
}

/// Every number that a stage measured. An evaluation is named by its split; what has an optimizer
/// step is measured there, the rest at its iteration.
fn values(stage: &StageSummary, metrics: &Map<String, Value>) -> Vec<(Arc<str>, u64, f64)> {
    let step = metrics.get("step").and_then(Value::as_u64);
    let step = step.unwrap_or_else(|| stage.iteration.into());
    let split = metrics.get("split").and_then(Value::as_str);
    let first = match (stage.kind.as_str(), split) {
        ("evaluate", Some(split)) => split,
        (kind, _) => kind,
    };
    let mut path = Vec::new();
    if !matches!(stage.branch.as_str(), "" | "evolution" | "ground") {
        path.push(stage.branch.as_str());
    }
    path.push(first);
    let mut found = Vec::new();
    if let Some(Value::Array(losses)) = metrics.get("losses") {
        path.push("loss");
        let name = tag(&path);
        path.pop();
        let point = |pair: &Value| Some((pair.get(0)?.as_u64()?, pair.get(1)?.as_f64()?));
        let points = losses.iter().filter_map(point);
        found.extend(points.map(|(step, value)| (Arc::clone(&name), step, value)));
    }
    add(&mut found, &mut path, step, metrics);
    found
}

fn add<'a>(
    found: &mut Vec<(Arc<str>, u64, f64)>,
    path: &mut Vec<&'a str>,
    step: u64,
    metrics: &'a Map<String, Value>,
) {
    for (name, value) in metrics {
        path.push(name);
        match value {
            Value::Number(number) if path.last() != Some(&"step") => {
                found.extend(number.as_f64().map(|value| (tag(path), step, value)));
            }
            Value::Object(inner) => add(found, path, step, inner),
            _ => {}
        }
        path.pop();
    }
}

/// Characters of the longest tag that every tracker takes.
const LONGEST: usize = 250;

/// A name that every tracker takes: letters and digits of ASCII and a few signs.
fn tag(path: &[&str]) -> Arc<str> {
    let keep = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ');
    let clean = |part: &&str| {
        let part: String = part.chars().map(|c| if keep(c) { c } else { '_' }).collect();
        // A path of dots would lead elsewhere.
        if part.chars().all(|c| c == '.') { "_".to_owned() } else { part }
    };
    let mut text = path.iter().map(clean).collect::<Vec<_>>().join("/");
    text.truncate(LONGEST);
    text.trim_end_matches('/').into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Digest;
    use serde_json::json;

    fn told(events: Vec<Event>) -> Vec<String> {
        let mut reader = Reader::default();
        let records = (0..).zip(events).map(|(time_ms, event)| Record { time_ms, event });
        let items = records.flat_map(|record| reader.take(&record));
        let words = items.map(|item| match item.what {
            What::Value { tag, step, value } => format!("{} {tag} {step} {value}", item.member),
            What::Ended(outcome) => format!("{} {outcome:?}", item.member),
        });
        words.collect()
    }

    #[test]
    fn numbers_are_told_of_each_member_once() {
        let key = Key(Digest::of(b"a"));
        let summary = |kind: &str, branch: &str| StageSummary {
            key,
            kind: kind.into(),
            name: format!("{kind} 2"),
            branch: branch.into(),
            iteration: 2,
            needs: Vec::new(),
            members: vec!["one".into(), "two".into()],
        };
        let finished = |metrics: Value| Event::StageFinished {
            key,
            outcome: Outcome::Done,
            seconds: 1.0,
            bytes: 1,
            metrics: metrics.as_object().unwrap().clone(),
            computed_on: String::new(),
        };
        let planned =
            |kind, branch| Event::Planned { stages: vec![summary(kind, branch)], best: Vec::new() };
        let evaluated = finished(json!({
            "split": "test", "accuracy": 0.5, "interval": [0.4, 0.6], "step": 7, "none": null,
            "categories": {"a/b: é": {"accuracy": 0.25}},
        }));
        let ended = Event::RunFinished { outcome: Outcome::Done, seconds: 1.0 };
        let said =
            told(vec![planned("evaluate", "evolution"), evaluated.clone(), evaluated, ended]);
        let expected = [
            "one test/accuracy 7 0.5",
            "one test/categories/a_b_ _/accuracy 7 0.25",
            "two test/accuracy 7 0.5",
            "two test/categories/a_b_ _/accuracy 7 0.25",
            "one Done",
            "two Done",
        ];
        assert_eq!(said, expected);

        let trained = finished(json!({"losses": [[1, 0.5], [4, 0.25], "odd"], "kept": 3}));
        let said = told(vec![planned("train", "control"), trained]);
        let expected = [
            "one control/train/loss 1 0.5",
            "one control/train/loss 4 0.25",
            "one control/train/kept 2 3",
        ];
        assert_eq!(said[..3], expected);
        assert_eq!(&*tag(&["..", "x"]), "_/x");
        assert_eq!(tag(&["x", &"y".repeat(900)]).len(), 250);
    }
}
