//! What `plan` shows: the graph with the state, the reason and the estimate of every stage.

use super::{
    Estimate, Graph, Known, Measured, Node, Standing, State, assumptions, elapsed, estimates,
    standings,
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

/// Where a member's recipe writes a key, such as `b.toml:14`; `None` for a default.
pub type WrittenAt<'a> = dyn Fn(&str, &str) -> Option<String> + 'a;

/// The graph with everything that can be said before it runs.
pub struct Outlook<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// Its members.
    pub members: Vec<MemberSummary>,
    /// What the estimates take for granted, in sentences.
    pub assumptions: Vec<String>,
    /// Workers that would share the work.
    pub workers: u32,
    written_at: Option<&'a WrittenAt<'a>>,
    standings: Vec<Standing>,
    estimates: Vec<Estimate>,
}

/// A stage with what can be said about it.
#[derive(Clone, Copy)]
pub struct Planned<'a> {
    /// The stage.
    pub node: &'a Node,
    /// Its state and why.
    pub standing: &'a Standing,
    /// Its cost.
    pub estimate: &'a Estimate,
    written_at: Option<&'a WrittenAt<'a>>,
}

impl Planned<'_> {
    /// The reason for its state in a few words, with the place in the recipe of the first member
    /// that uses it.
    pub fn why(&self) -> String {
        let member = self.node.members.first();
        let place = |key: &str| self.written_at.and_then(|written_at| written_at(member?, key));
        self.standing.why.sentence(&place)
    }

    /// Whether it is not in the store.
    pub fn is_to_run(&self) -> bool {
        self.standing.state != State::Stored
    }
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
            workers: 1,
            written_at: None,
            standings: standings(graph, known),
            estimates: estimates(graph, measured),
        }
    }

    /// The same with so many workers to share the work.
    #[must_use]
    pub fn with_workers(self, workers: u32) -> Self {
        Self { workers, ..self }
    }

    /// The same with the places that reasons name.
    #[must_use]
    pub fn with_places(self, written_at: &'a WrittenAt<'a>) -> Self {
        Self { written_at: Some(written_at), ..self }
    }

    /// The stages, each after those that it reads.
    pub fn stages(&self) -> impl ExactSizeIterator<Item = Planned<'_>> {
        let said = self.standings.iter().zip(&self.estimates);
        let written_at = self.written_at;
        self.graph.nodes().zip(said).map(move |(node, (standing, estimate))| Planned {
            node,
            standing,
            estimate,
            written_at,
        })
    }

    /// Counts of stages.
    pub fn totals(&self) -> Totals {
        let (stages, unique) = (self.graph.unshared(), self.graph.len());
        let to_run = self.stages().filter(Planned::is_to_run).count();
        Totals { stages, unique, shared: stages - unique, to_run }
    }

    /// What is still to run, added up.
    pub fn to_run(&self) -> Estimate {
        sum(self.stages().filter(Planned::is_to_run).map(|stage| *stage.estimate))
    }

    /// What is in the store, added up.
    pub fn stored(&self) -> Estimate {
        sum(self.stages().filter(|stage| !stage.is_to_run()).map(|stage| *stage.estimate))
    }

    /// What the members would cost apart, with nothing stored.
    pub fn apart(&self) -> Estimate {
        self.by_use(|users| users)
    }

    /// What it saves that equal stages run once.
    pub fn saved(&self) -> Estimate {
        self.by_use(|users| users.saturating_sub(1))
    }

    /// Seconds until everything is done, as far as is known.
    pub fn elapsed(&self) -> Option<f64> {
        let is_to_run = |index: usize| self.standings[index].state != State::Stored;
        elapsed(self.graph, &self.estimates, is_to_run, self.workers)
    }

    fn by_use(&self, times: impl Fn(u64) -> u64) -> Estimate {
        sum(self.stages().map(|stage| stage.estimate.times(times(stage.node.members.len() as u64))))
    }
}

fn sum(estimates: impl Iterator<Item = Estimate>) -> Estimate {
    estimates.fold(Estimate::default(), Estimate::plus)
}
