//! What is stored, what is new and what is stale.

use super::reason::{Before, Why, compare, difference};
use super::{Graph, Node, Port};
use crate::base::{Digest, Key, digest_of_json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

/// How many earlier stages of one place are compared with a new one. A grid has thousands with the
/// same name; the newest few say what changed, and the time stays linear.
const CANDIDATES: usize = 4;

/// What the store knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// Keys of the artifacts that are there.
    pub stored: BTreeSet<Key>,
    /// Stages of earlier plans, oldest first.
    pub earlier: Vec<EarlierStage>,
    /// What the recipes resolved to, where that is known.
    pub recipes: Recipes,
}

/// What recipes resolved to then and now, so that a reason names the key that somebody changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recipes {
    /// By the key of an earlier stage: that of a member that used it.
    pub before: BTreeMap<Key, Rc<Map<String, Value>>>,
    /// By the name of a member.
    pub now: BTreeMap<String, Rc<Map<String, Value>>>,
}

impl Recipes {
    /// Those of an earlier stage and of a stage.
    fn of(&self, before: &EarlierStage, node: &Node) -> Option<[&Map<String, Value>; 2]> {
        let now = node.members.iter().find_map(|member| self.now.get(member))?;
        Some([self.before.get(&before.key)?, now])
    }
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
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The state.
    pub state: State,
    /// Why.
    pub why: Why,
}

/// The standing of every stage, in the order of the graph. Linear in stages and earlier stages.
pub fn standings(graph: &Graph, known: &Known) -> Vec<Standing> {
    let earlier = Earlier::new(known);
    let mut standings = Vec::with_capacity(graph.len());
    let mut states: BTreeMap<Key, State> = BTreeMap::new();
    for node in graph.nodes() {
        let (state, why) = if known.stored.contains(&node.key) {
            (State::Stored, Why::Stored)
        } else if earlier.planned.contains_key(&node.key) {
            (State::New, Why::Unfinished)
        } else {
            let now = EarlierStage::from(node);
            match earlier.closest(&now) {
                Some(before) => {
                    let prepared = before.inputs.get(Port::Prompts.name());
                    let prepared = prepared.and_then(|key| earlier.planned.get(key).copied());
                    let recipes = known.recipes.of(before, node);
                    let before = Before { stage: before, prepared, recipes };
                    (State::Stale, difference(before, &now, node, graph, &states))
                }
                None => (State::New, Why::NeverRun),
            }
        };
        states.insert(node.key, state);
        standings.push(Standing { state, why });
    }
    standings
}

type Place<'a> = (&'a str, &'a str);

/// Earlier stages by place, and by place together with what did not change; newest last.
struct Earlier<'a> {
    planned: BTreeMap<Key, &'a EarlierStage>,
    by_place: BTreeMap<Place<'a>, Vec<&'a EarlierStage>>,
    by_inputs: BTreeMap<(Place<'a>, &'a BTreeMap<String, Key>), Vec<&'a EarlierStage>>,
    by_options: BTreeMap<(Place<'a>, Digest), Vec<&'a EarlierStage>>,
}

impl<'a> Earlier<'a> {
    fn new(known: &'a Known) -> Self {
        let mut index = Self {
            planned: known.earlier.iter().map(|stage| (stage.key, stage)).collect(),
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
