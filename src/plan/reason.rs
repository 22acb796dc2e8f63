//! Why a stage stands as it does: what differs from an earlier form of it, in words of the recipe.

use super::stage::{Beside, Origin};
use super::state::{EarlierStage, State};
use super::{Graph, Node, Port};
use crate::base::Key;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How many changes a reason names.
const NAMED_CHANGES: usize = 3;

/// Values longer than this are not written out in a reason (derived seeds have 20 digits).
const LONGEST_VALUE: usize = 16;

/// Why a stage is stored, new or stale.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    /// Its artifact is there.
    Stored,
    /// Nothing of its kind and name was ever stored.
    NeverRun,
    /// A run planned it; it was not finished, or it was removed.
    Unfinished,
    /// It differs itself from an earlier form.
    Changed {
        /// Behaviour versions of its kind, before and now, where they differ.
        behaviour: Option<(u32, u32)>,
        /// Options that differ.
        changes: Vec<Change>,
    },
    /// It reads something else; this says most.
    Reads {
        /// Name of the stage that it reads.
        stage: String,
        /// That stage's state.
        state: Option<State>,
    },
    /// It no longer reads anything at that port.
    NoLongerReads(String),
}

/// An option that differs between two forms of a stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Keys of the recipe that it comes from: from the first of these that is written, else from
    /// the last. Empty for what follows from the stage's place in the graph.
    pub keys: Vec<String>,
    /// Whether it is known that all these keys have another value; each is named then.
    pub all_changed: bool,
    /// Whether the values are those of the key, not computed from it.
    pub is_value_of_key: bool,
    /// Path inside the stage's options.
    pub option: String,
    /// The value before; null where there was none.
    pub before: Value,
    /// The value now; null where there is none.
    pub now: Value,
}

impl Why {
    /// The reason in a few words. `place` says where a key of the recipe is written, if it is.
    pub fn sentence(&self, place: &dyn Fn(&str) -> Option<String>) -> String {
        match self {
            Self::Stored => "in the store".into(),
            Self::NeverRun => "never run".into(),
            Self::Unfinished => "planned before, not in the store".into(),
            Self::Changed { behaviour, changes } => {
                let versions =
                    behaviour.map(|(before, now)| format!("behaviour version {before} -> {now}"));
                let changes = changes.iter().map(|change| change.words(place));
                let mut parts: Vec<String> = versions.into_iter().chain(changes).collect();
                if parts.len() > NAMED_CHANGES {
                    let rest = parts.len() - NAMED_CHANGES;
                    parts.truncate(NAMED_CHANGES);
                    parts.push(format!("{rest} more"));
                }
                parts.join(", ")
            }
            Self::Reads { stage, state: Some(state @ (State::Stale | State::New)) } => {
                format!("reads `{stage}`, which is {state}")
            }
            Self::Reads { stage, .. } => format!("reads another `{stage}`"),
            Self::NoLongerReads(port) => format!("no longer reads `{port}`"),
        }
    }
}

impl Change {
    /// Such as `` `temperature.value` 1.0 -> 0.7 in `b.toml:14` ``.
    fn words(&self, place: &dyn Fn(&str) -> Option<String>) -> String {
        let at = |key: &str| place(key).map_or_else(String::new, |place| format!(" in `{place}`"));
        let named = |key: &String| format!("`{key}`{}", at(key));
        let (before, now) = (self.before.to_string(), self.now.to_string());
        let is_short = before.len().max(now.len()) <= LONGEST_VALUE;
        if self.all_changed && self.keys.len() > 1 {
            let keys = self.keys.iter().map(named).collect::<Vec<_>>().join(" and ");
            return match is_short {
                true => format!("`{}` {before} -> {now} by {keys}", self.option),
                false => format!("{keys} changed"),
            };
        }
        let written = self.keys.iter().find(|key| place(key).is_some());
        match written.or(self.keys.last()) {
            Some(key) if !is_short => format!("`{key}` changed{}", at(key)),
            Some(key) if self.is_value_of_key => format!("`{key}` {before} -> {now}{}", at(key)),
            Some(key) => format!("`{}` {before} -> {now} by {}", self.option, named(key)),
            None if !is_short => format!("`{}` changed", self.option),
            None => format!("`{}` {before} -> {now}", self.option),
        }
    }
}

/// An earlier form of a stage.
#[derive(Clone, Copy)]
pub(super) struct Before<'a> {
    /// It.
    pub(super) stage: &'a EarlierStage,
    /// What prepared the prompts that it read, if that is known.
    pub(super) prepared: Option<&'a EarlierStage>,
    /// What the recipes resolved to, then and now, if that is known.
    pub(super) recipes: Option<[&'a Map<String, Value>; 2]>,
}

impl Before<'_> {
    /// Of the keys that enter an option those whose value is another one; none where that is not
    /// known.
    fn changed<'k>(&self, keys: impl Iterator<Item = &'k str>) -> Vec<String> {
        let Some(recipes) = self.recipes else { return Vec::new() };
        let differs = |key: &&str| {
            let [before, now] = recipes.map(|recipe| value_at(recipe, key));
            before != now
        };
        keys.filter(differs).map(str::to_owned).collect()
    }
}

/// The value of a dotted key.
fn value_at<'a>(recipe: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    let mut names = key.split('.');
    let first = recipe.get(names.next()?)?;
    names.try_fold(first, |value, name| value.get(name))
}

/// What differs between a stage and an earlier form of it: its own options where any do, else what
/// it reads.
pub(super) fn difference(
    earlier: Before<'_>,
    now: &EarlierStage,
    node: &Node,
    graph: &Graph,
    states: &BTreeMap<Key, State>,
) -> Why {
    let before = earlier.stage;
    let versions = (before.behaviour, now.behaviour);
    let behaviour = (versions.0 != versions.1).then_some(versions);
    let changes = changes(earlier, now, node, graph);
    if behaviour.is_some() || !changes.is_empty() {
        return Why::Changed { behaviour, changes };
    }
    let inputs = now.inputs.iter().filter(|(port, key)| before.inputs.get(*port) != Some(key));
    let read = inputs.filter_map(|(_, key)| Some((graph.get(*key)?, states.get(key).copied())));
    // A stale input says more than a new one, and that more than another stored one.
    let pick = read.max_by_key(|(_, state)| match state {
        Some(State::Stale) => 2,
        Some(State::New) => 1,
        Some(State::Stored) | None => 0,
    });
    if let Some((input, state)) = pick {
        return Why::Reads { stage: input.name.clone(), state };
    }
    let dropped = before.inputs.keys().find(|port| !now.inputs.contains_key(*port));
    dropped.map_or(Why::NeverRun, |port| Why::NoLongerReads(port.clone()))
}

fn changes(earlier: Before<'_>, now: &EarlierStage, node: &Node, graph: &Graph) -> Vec<Change> {
    let before = earlier.stage;
    let count = |options: &Value| options.get("prompts").cloned();
    let prepared = node.inputs.get(&Port::Prompts).and_then(|key| graph.get(*key));
    let read_before = earlier.prepared.and_then(|stage| count(&stage.options));
    let read_now = prepared.and_then(|node| count(&node.stage.identity()));
    let beside = Beside {
        prompts: read_before != read_now || count(&before.options) != count(&now.options),
        labelled: before.options.get("labelled") != now.options.get("labelled"),
    };
    let mut changes: Vec<Change> = Vec::new();
    compare(&before.options, &now.options, &mut String::new(), &mut |option, before, now| {
        let (keys, is_value_of_key) = match node.stage.origin(node.role.branch, option, beside) {
            Some(Origin::Value(keys)) => (keys, true),
            Some(Origin::Computed(keys)) => (keys, false),
            Some(Origin::Place) | None => (Vec::new(), false),
        };
        let enter = keys.iter().map(String::as_str);
        let also = node.stage.also_enter(node.role.branch, option);
        let enter: indexmap::IndexSet<&str> = enter.chain(also.iter().copied()).collect();
        let changed = earlier.changed(enter.into_iter());
        let is_another = |key: &String| changed.len() > 1 || !keys.contains(key);
        let is_value_of_key = is_value_of_key && !changed.iter().any(is_another);
        let all_changed = !changed.is_empty();
        let keys = if all_changed { changed } else { keys };
        // Of several options that follow from one key, the first tells enough.
        let is_told = |change: &Change| !change.keys.is_empty() && change.keys == keys;
        if !changes.iter().any(is_told) {
            let (option, before, now) = (option.to_owned(), before.clone(), now.clone());
            changes.push(Change { keys, all_changed, is_value_of_key, option, before, now });
        }
    });
    changes
}

/// Visits the leaves that differ, with dotted paths. Lists are leaves.
pub(super) fn compare(
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
