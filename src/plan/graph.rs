//! The graph: stages with their keys, each once, in an order in which they can run.

use super::{Mismatch, Port, Stage};
use crate::base::{Key, digest_of_json};
use petgraph::{
    Direction,
    graph::{DiGraph, NodeIndex},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Version of what goes into a key.
const KEY_FORMAT: u32 = 1;

/// To which part of a study a stage belongs. For people and reports; never in a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Branch {
    /// What comes before the first iteration.
    Ground,
    /// The evolution itself.
    Evolution,
    /// The equal-steps control.
    Control,
    /// What trains a reward model.
    Reward,
    /// The search for a temperature.
    Search,
}

impl Branch {
    /// Such as `evolution`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ground => "ground",
            Self::Evolution => "evolution",
            Self::Control => "control",
            Self::Reward => "reward",
            Self::Search => "search",
        }
    }

    /// The same for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Control => "equal-steps control",
            Self::Reward => "reward model",
            Self::Search => "search for a temperature",
            Self::Ground | Self::Evolution => self.name(),
        }
    }
}

/// Where a stage stands in the study.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Role {
    /// The part.
    pub branch: Branch,
    /// The iteration, from 1; 0 for the warmed-up policy.
    pub iteration: u32,
}

/// A stage in the graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its key.
    pub key: Key,
    /// What it does.
    pub stage: Stage,
    /// What people call it, such as `explore 3`.
    pub name: String,
    /// Where it stands, in the first member that uses it.
    pub role: Role,
    /// What it reads.
    pub inputs: BTreeMap<Port, Key>,
    /// Names of the members that use it.
    pub members: BTreeSet<String>,
}

/// Stages by key, every one after those that it reads.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Graph {
    /// An edge leads from what is read to what reads it. Nodes are only ever added, so that their
    /// indices count from 0 in an order in which they can run.
    dag: DiGraph<Node, Port>,
    places: BTreeMap<Key, NodeIndex>,
    /// Stages that the members would run apart.
    unshared: usize,
}

/// The graph in a file: a list, because the order of a JSON object is nobody's promise. Edges are
/// the inputs of its nodes.
#[derive(Serialize, Deserialize)]
struct Written {
    nodes: Vec<Node>,
    unshared: usize,
}

impl From<Graph> for Written {
    fn from(graph: Graph) -> Self {
        let (nodes, _) = graph.dag.into_nodes_edges();
        Self {
            nodes: nodes.into_iter().map(|node| node.weight).collect(),
            unshared: graph.unshared,
        }
    }
}

impl From<Written> for Graph {
    fn from(written: Written) -> Self {
        let mut graph = Self { unshared: written.unshared, ..Self::default() };
        for node in written.nodes {
            graph.insert(node);
        }
        graph
    }
}

impl PartialEq for Graph {
    fn eq(&self, other: &Self) -> bool {
        self.unshared == other.unshared && self.nodes().eq(other.nodes())
    }
}

impl Graph {
    /// Adds a stage for a member, or adds the member to the equal stage that is there. Inputs must
    /// have been added before, which makes a cycle impossible.
    pub fn add(
        &mut self,
        member: &str,
        stage: Stage,
        name: String,
        role: Role,
        inputs: BTreeMap<Port, Key>,
    ) -> Key {
        debug_assert_eq!(self.check_inputs(&stage, &name, &inputs), Ok(()));
        let key = key_of(&stage, &inputs);
        self.unshared += 1;
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None => self.insert(Node { key, stage, name, role, inputs, members: BTreeSet::new() }),
        };
        self.dag[place].members.insert(member.to_owned());
        key
    }

    /// Adds a node, and an edge for each of its inputs that is there.
    fn insert(&mut self, node: Node) -> NodeIndex {
        let (key, inputs) = (node.key, node.inputs.clone());
        let place = self.dag.add_node(node);
        for (port, input) in inputs {
            if let Some(input) = self.places.get(&input) {
                self.dag.add_edge(*input, place, port);
            }
        }
        self.places.insert(key, place);
        place
    }

    /// Adds a stage that the member may have already; then it is counted no second time.
    pub(in crate::plan) fn add_once(
        &mut self,
        member: &str,
        stage: Stage,
        name: String,
        role: Role,
        inputs: BTreeMap<Port, Key>,
    ) -> Key {
        let key = key_of(&stage, &inputs);
        match self.get(key) {
            Some(node) if node.members.contains(member) => key,
            _ => self.add(member, stage, name, role, inputs),
        }
    }

    /// That every stage reads what its kind declares, from stages of the right kind that stand
    /// before it. Holds for what was lowered; a graph from a file has to show it.
    ///
    /// # Errors
    /// The first input that does not fit.
    pub fn check(&self) -> Result<(), Mismatch> {
        for (index, node) in self.nodes().enumerate() {
            self.check_inputs(&node.stage, &node.name, &node.inputs)?;
            let is_before = |key: &Key| self.position(*key).is_some_and(|at| at < index);
            if let Some((port, _)) = node.inputs.iter().find(|(_, key)| !is_before(key)) {
                return Err(Mismatch::NotBefore { stage: node.name.clone(), port: *port });
            }
        }
        Ok(())
    }

    fn check_inputs(
        &self,
        stage: &Stage,
        name: &str,
        inputs: &BTreeMap<Port, Key>,
    ) -> Result<(), Mismatch> {
        let kinds =
            inputs.iter().map(|(port, key)| (*port, self.get(*key).map(|node| node.stage.kind())));
        stage.check_inputs(name, &kinds.collect())
    }

    /// All stages, each after those that it reads.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Node> {
        self.dag.raw_nodes().iter().map(|node| &node.weight)
    }

    /// One stage.
    pub fn get(&self, key: Key) -> Option<&Node> {
        self.places.get(&key).map(|place| &self.dag[*place])
    }

    /// Position of a stage in the order of [`Graph::nodes`].
    pub fn position(&self, key: Key) -> Option<usize> {
        self.places.get(&key).map(|place| place.index())
    }

    /// Positions of the stages that read the stage at a position, each once, in the order of
    /// [`Graph::nodes`].
    pub fn consumers(&self, position: usize) -> BTreeSet<usize> {
        self.neighbours(position, Direction::Outgoing)
    }

    /// Positions of the stages that the stage at a position reads, each once.
    pub fn sources(&self, position: usize) -> BTreeSet<usize> {
        self.neighbours(position, Direction::Incoming)
    }

    fn neighbours(&self, position: usize, direction: Direction) -> BTreeSet<usize> {
        let neighbours = self.dag.neighbors_directed(NodeIndex::new(position), direction);
        neighbours.map(NodeIndex::index).collect()
    }

    /// Stages, each counted once.
    pub fn len(&self) -> usize {
        self.dag.node_count()
    }

    /// Whether there is no stage.
    pub fn is_empty(&self) -> bool {
        self.dag.node_count() == 0
    }

    /// Stages that the members would run apart.
    pub fn unshared(&self) -> usize {
        self.unshared
    }
}

/// Key of a stage: everything that decides its result and nothing else. Names, roles and how it is
/// carried out stay out.
fn key_of(stage: &Stage, inputs: &BTreeMap<Port, Key>) -> Key {
    let inputs = inputs.iter().map(|(port, key)| (port.to_string(), Value::from(key.to_string())));
    // Put together by hand, because `json!` copies the values that it is given.
    let ingredients = [
        ("format", Value::from(KEY_FORMAT)),
        ("kind", Value::from(stage.kind())),
        ("behaviour", Value::from(stage.behaviour())),
        ("options", stage.identity()),
        ("inputs", Value::Object(inputs.collect())),
    ];
    let ingredients = ingredients.map(|(name, value)| (name.to_owned(), value));
    Key(digest_of_json(&Value::Object(ingredients.into_iter().collect())))
}
