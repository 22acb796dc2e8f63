//! What is stored, what is new and what is stale, and which field made it so.

use super::{Graph, Node};
use crate::base::{Digest, Key, digest_of_json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// How many earlier stages of one place are compared with a new one. A grid has thousands with the
/// same name; the newest few say what changed, and the time stays linear.
const CANDIDATES: usize = 4;

/// How many changed options a reason names.
const NAMED_CHANGES: usize = 3;

/// Values longer than this are not written out in a reason (derived seeds have 20 digits).
const LONGEST_VALUE: usize = 16;

/// What the store knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// Keys of the artifacts that are there.
    pub stored: BTreeSet<Key>,
    /// Stages of earlier plans, oldest first.
    pub earlier: Vec<EarlierStage>,
}

/// A stage as an earlier plan recorded it: the ingredients of its key, for reasons.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EarlierStage {
    /// Its key.
    pub key: Key,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Behaviour version of its kind.
    pub behaviour: u32,
    /// The options that decide the result ([`super::Stage::identity`]).
    pub options: Value,
    /// What it read, by port.
    pub inputs: BTreeMap<String, Key>,
}

impl From<&Node> for EarlierStage {
    fn from(node: &Node) -> Self {
        Self {
            key: node.key,
            kind: node.stage.kind().to_owned(),
            name: node.name.clone(),
            behaviour: node.stage.behaviour(),
            options: node.stage.identity(),
            inputs: node.inputs.iter().map(|(port, key)| (port.to_string(), *key)).collect(),
        }
    }
}

/// Whether a stage has to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Its artifact is there.
    Stored,
    /// Nothing like it has run.
    New,
    /// An artifact of an earlier form of it is there.
    Stale,
}

impl State {
    /// Such as `stored`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::New => "new",
            Self::Stale => "stale",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The state of a stage and the reason for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The state.
    pub state: State,
    /// Why, in a few words.
    pub why: String,
}

/// The standing of every stage, in the order of the graph. Linear in stages and earlier stages.
pub fn standings(graph: &Graph, known: &Known) -> Vec<Standing> {
    let earlier = Earlier::new(known);
    let mut standings = Vec::with_capacity(graph.len());
    let mut states: BTreeMap<Key, State> = BTreeMap::new();
    for node in graph.nodes() {
        let standing = if known.stored.contains(&node.key) {
            Standing { state: State::Stored, why: "in the store".into() }
        } else if earlier.planned.contains(&node.key) {
            Standing { state: State::New, why: "planned before, not in the store".into() }
        } else {
            let now = EarlierStage::from(node);
            match earlier.closest(&now) {
                Some(before) => {
                    let why = Changes::between(before, &now).reason(graph, &states);
                    Standing { state: State::Stale, why }
                }
                None => Standing { state: State::New, why: "never run".into() },
            }
        };
        states.insert(node.key, standing.state);
        standings.push(standing);
    }
    standings
}

type Place<'a> = (&'a str, &'a str);

/// Earlier stages by place, and by place together with what did not change; newest last.
struct Earlier<'a> {
    planned: BTreeSet<Key>,
    by_place: BTreeMap<Place<'a>, Vec<&'a EarlierStage>>,
    by_inputs: BTreeMap<(Place<'a>, &'a BTreeMap<String, Key>), Vec<&'a EarlierStage>>,
    by_options: BTreeMap<(Place<'a>, Digest), Vec<&'a EarlierStage>>,
}

impl<'a> Earlier<'a> {
    fn new(known: &'a Known) -> Self {
        let mut index = Self {
            planned: known.earlier.iter().map(|stage| stage.key).collect(),
            by_place: BTreeMap::new(),
            by_inputs: BTreeMap::new(),
            by_options: BTreeMap::new(),
        };
        // Newest first, so that a full list is left alone.
        for stage in known.earlier.iter().rev().filter(|stage| known.stored.contains(&stage.key)) {
            let place = (stage.kind.as_str(), stage.name.as_str());
            let options = digest_of_json(&stage.options);
            for list in [
                index.by_place.entry(place).or_default(),
                index.by_inputs.entry((place, &stage.inputs)).or_default(),
                index.by_options.entry((place, options)).or_default(),
            ] {
                if list.len() < CANDIDATES && list.iter().all(|other| other.key != stage.key) {
                    list.push(stage);
                }
            }
        }
        index
    }

    /// The stored stage of the same kind and name that says most: one that read the same, so that
    /// its own fields changed; else one with the same options, so that what it read changed; else
    /// one of the newest. Of several the one that differs in the fewest fields.
    fn closest(&self, now: &EarlierStage) -> Option<&'a EarlierStage> {
        let place = (now.kind.as_str(), now.name.as_str());
        let newest = self.by_place.get(&place)?;
        let same_inputs = self.by_inputs.get(&(place, &now.inputs));
        let same_options = || self.by_options.get(&(place, digest_of_json(&now.options)));
        let candidates = same_inputs.or_else(same_options).unwrap_or(newest);
        candidates.iter().copied().min_by_key(|before| {
            let mut count = usize::from(before.behaviour != now.behaviour);
            let mut path = String::new();
            compare(&before.options, &now.options, &mut path, &mut |_, _, _| count += 1);
            count
        })
    }
}

/// What differs between two stages of one kind.
struct Changes {
    /// Path inside the options, before, now.
    options: Vec<(String, Value, Value)>,
    behaviour: Option<(u32, u32)>,
    /// What is read now at ports where something else, or nothing, was read before.
    inputs: Vec<Key>,
    /// Ports that are no longer read.
    dropped: Vec<String>,
}

impl Changes {
    fn between(before: &EarlierStage, now: &EarlierStage) -> Self {
        let mut options = Vec::new();
        compare(&before.options, &now.options, &mut String::new(), &mut |path, before, now| {
            options.push((path.to_owned(), before.clone(), now.clone()));
        });
        let versions = (before.behaviour, now.behaviour);
        let changed = now.inputs.iter().filter(|(port, key)| before.inputs.get(*port) != Some(key));
        let dropped = before.inputs.keys().filter(|port| !now.inputs.contains_key(*port));
        Self {
            options,
            behaviour: (versions.0 != versions.1).then_some(versions),
            inputs: changed.map(|(_, key)| *key).collect(),
            dropped: dropped.cloned().collect(),
        }
    }

    /// Its own changes where it has any; else what changed before it.
    fn reason(&self, graph: &Graph, states: &BTreeMap<Key, State>) -> String {
        let mut own = Vec::new();
        if let Some((before, now)) = self.behaviour {
            own.push(format!("behaviour version {before} -> {now}"));
        }
        own.extend(self.options.iter().map(|(path, before, now)| change(path, before, now)));
        if own.len() > NAMED_CHANGES {
            let rest = own.len() - NAMED_CHANGES;
            own.truncate(NAMED_CHANGES);
            own.push(format!("{rest} more"));
        }
        if own.is_empty() {
            own.extend(self.upstream(graph, states));
        }
        own.join(", ")
    }

    fn upstream(&self, graph: &Graph, states: &BTreeMap<Key, State>) -> Option<String> {
        let read = |key: &Key| graph.get(*key).map(|node| (&node.name, states.get(key)));
        let inputs = || self.inputs.iter().filter_map(read);
        // A stale input says more than a new one, and that more than another stored one.
        let pick = inputs().max_by_key(|(_, state)| match state {
            Some(State::Stale) => 2,
            Some(State::New) => 1,
            Some(State::Stored) | None => 0,
        });
        match pick {
            Some((name, Some(state @ (State::Stale | State::New)))) => {
                Some(format!("reads `{name}`, which is {state}"))
            }
            Some((name, _)) => Some(format!("reads another `{name}`")),
            None => self.dropped.first().map(|port| format!("no longer reads `{port}`")),
        }
    }
}

fn change(path: &str, before: &Value, now: &Value) -> String {
    let (before, now) = (before.to_string(), now.to_string());
    if before.len().max(now.len()) > LONGEST_VALUE {
        format!("`{path}` changed")
    } else {
        format!("`{path}` {before} -> {now}")
    }
}

/// Visits the leaves that differ, with dotted paths. Lists are leaves.
fn compare(
    before: &Value,
    now: &Value,
    path: &mut String,
    visit: &mut impl FnMut(&str, &Value, &Value),
) {
    match (before, now) {
        (Value::Object(before), Value::Object(now)) => {
            let gone = before.keys().filter(|name| !now.contains_key(*name));
            for name in now.keys().chain(gone) {
                let length = path.len();
                if length > 0 {
                    path.push('.');
                }
                path.push_str(name);
                let absent = &Value::Null;
                let before = before.get(name).unwrap_or(absent);
                compare(before, now.get(name).unwrap_or(absent), path, visit);
                path.truncate(length);
            }
        }
        _ if before != now => visit(path, before, now),
        _ => {}
    }
}
