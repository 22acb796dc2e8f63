//! What `plan` shows: the graph with the state, the reason and the estimate of every stage.

use super::{
    Estimate, Graph, Known, Measured, Node, Standing, State, assumptions, estimates, standings,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A member as an experiment names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberSummary {
    /// Its name.
    pub name: String,
    /// What it sets on the axes, by key of the recipe; empty for a recipe on its own.
    pub values: Map<String, Value>,
}

/// The graph with everything that can be said before it runs.
#[derive(Clone, Debug)]
pub struct Outlook<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// Its members.
    pub members: Vec<MemberSummary>,
    /// What the estimates take for granted, in sentences.
    pub assumptions: Vec<String>,
    standings: Vec<Standing>,
    estimates: Vec<Estimate>,
}

/// A stage with what can be said about it.
#[derive(Clone, Copy, Debug)]
pub struct Planned<'a> {
    /// The stage.
    pub node: &'a Node,
    /// Its state and why.
    pub standing: &'a Standing,
    /// Its cost.
    pub estimate: &'a Estimate,
}

/// Counts of stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// What the members would run apart.
    pub stages: usize,
    /// What is left after sharing.
    pub unique: usize,
    /// The difference.
    pub shared: usize,
    /// What is not in the store.
    pub to_run: usize,
}

impl<'a> Outlook<'a> {
    /// Says everything about a graph that the store and earlier measurements allow.
    pub fn new(
        graph: &'a Graph,
        members: Vec<MemberSummary>,
        known: &Known,
        measured: &Measured,
    ) -> Self {
        Self {
            graph,
            members,
            assumptions: assumptions(graph, measured),
            standings: standings(graph, known),
            estimates: estimates(graph, measured),
        }
    }

    /// The stages, each after those that it reads.
    pub fn stages(&self) -> impl ExactSizeIterator<Item = Planned<'_>> {
        let said = self.standings.iter().zip(&self.estimates);
        self.graph.nodes().zip(said).map(|(node, (standing, estimate))| Planned {
            node,
            standing,
            estimate,
        })
    }

    /// Counts of stages.
    pub fn totals(&self) -> Totals {
        let (stages, unique) = (self.graph.unshared(), self.graph.len());
        let is_to_run = |standing: &&Standing| standing.state != State::Stored;
        let to_run = self.standings.iter().filter(is_to_run).count();
        Totals { stages, unique, shared: stages - unique, to_run }
    }

    /// What is still to run, added up.
    pub fn to_run(&self) -> Estimate {
        let left = self.stages().filter(|stage| stage.standing.state != State::Stored);
        left.fold(Estimate::default(), |sum, stage| sum.plus(*stage.estimate))
    }

    /// What the members would cost apart, with nothing stored.
    pub fn apart(&self) -> Estimate {
        let uses = self
            .stages()
            .flat_map(|stage| std::iter::repeat_n(*stage.estimate, stage.node.members.len()));
        uses.fold(Estimate::default(), Estimate::plus)
    }
}
