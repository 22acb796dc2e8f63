//! Which stages are stored, ready, under way or out of reach. Pure: it is told what happened.

use crate::{
    base::Key,
    plan::{Graph, Node},
};
use std::{cmp::Reverse, collections::BTreeSet};

/// Where a stage stands in this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not stored, and not asked for.
    Unneeded,
    /// Needed; an input is not there yet.
    Waiting,
    /// Needed, with all its inputs.
    Ready,
    /// Another run is at it.
    Held,
    /// Workers are at it.
    Active,
    /// Its artifact is in the store.
    Available,
    /// It failed in this run.
    Failed,
    /// Something that it needs failed.
    Skipped,
}

impl State {
    fn is_open(self) -> bool {
        matches!(self, Self::Waiting | Self::Ready | Self::Held | Self::Active)
    }
}

/// How soon a stage should run; the greatest goes first. Most shared first: when the stage that many
/// members wait for is done, there is the most to do side by side. Of equals the one before the
/// longest chain, since the critical path must not wait for an evaluation. What nothing waits for
/// comes last, however many use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Urgency {
    /// Members that use it, which are all that use anything that waits for it; 0 when nothing does.
    members: usize,
    /// Stages in the longest chain from this one to an end of the graph.
    chain: u32,
}

#[derive(Debug)]
struct Entry {
    inputs: Vec<usize>,
    consumers: Vec<usize>,
    state: State,
    /// Inputs that are not available, whatever this stage's own state.
    missing: usize,
    urgency: Urgency,
}

/// All stages of a graph, numbered in its order.
#[derive(Debug)]
pub(super) struct Board<'a> {
    graph: &'a Graph,
    nodes: Vec<&'a Node>,
    entries: Vec<Entry>,
    ready: BTreeSet<(Reverse<Urgency>, usize)>,
    /// Stages that are needed and not yet decided.
    undecided: usize,
    /// Members of the grid.
    members: usize,
}

impl<'a> Board<'a> {
    /// Lays out a graph of which some stages are stored, and needs all others: what a run names is
    /// in the store when it is done, also a policy that only evaluations read.
    pub(super) fn new(graph: &'a Graph, stored: &BTreeSet<Key>) -> Self {
        let nodes: Vec<&Node> = graph.nodes().collect();
        let mut entries: Vec<Entry> = Vec::with_capacity(nodes.len());
        for (number, node) in nodes.iter().enumerate() {
            let inputs = graph.sources(number);
            let available = stored.contains(&node.key);
            let missing =
                inputs.iter().filter(|input| entries[**input].state != State::Available).count();
            entries.push(Entry {
                inputs: inputs.into_iter().collect(),
                consumers: graph.consumers(number).into_iter().collect(),
                state: if available { State::Available } else { State::Unneeded },
                missing,
                urgency: Urgency { members: 0, chain: 1 },
            });
        }
        for number in (0..entries.len()).rev() {
            let consumers = entries[number].consumers.iter();
            let longest = consumers.map(|consumer| entries[*consumer].urgency.chain).max();
            entries[number].urgency = match longest {
                Some(longest) => {
                    Urgency { members: nodes[number].members.len(), chain: 1 + longest }
                }
                None => Urgency { members: 0, chain: 1 },
            };
        }
        let members: BTreeSet<&String> = nodes.iter().flat_map(|node| &node.members).collect();
        let members = members.len();
        let ready = BTreeSet::new();
        let mut board = Self { graph, nodes, entries, ready, undecided: 0, members };
        for number in 0..board.entries.len() {
            board.require(number);
        }
        board
    }

    pub(super) fn node(&self, number: usize) -> &'a Node {
        self.nodes[number]
    }

    /// How many members there are.
    pub(super) fn members(&self) -> usize {
        self.members
    }

    pub(super) fn number(&self, key: Key) -> Option<usize> {
        self.graph.position(key)
    }

    pub(super) fn state(&self, number: usize) -> State {
        self.entries[number].state
    }

    /// How soon a stage should run.
    pub(super) fn urgency(&self, number: usize) -> Urgency {
        self.entries[number].urgency
    }

    /// The most urgent of the stages that could begin.
    pub(super) fn first_ready(&self) -> Option<usize> {
        self.ready.first().map(|(_, number)| *number)
    }

    /// How many stages could begin.
    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Whether every stage is available, failed, out of reach or not needed.
    pub(super) fn is_decided(&self) -> bool {
        self.undecided == 0
    }

    /// Stages that are needed and not yet decided.
    pub(super) fn open(&self) -> Vec<usize> {
        (0..self.entries.len()).filter(|number| self.state(*number).is_open()).collect()
    }

    /// Needs a stage, and whatever it needs that is not there. Returns what turns out to be out of
    /// reach because something below has failed.
    pub(super) fn require(&mut self, number: usize) -> Vec<usize> {
        let mut lost = Vec::new();
        let mut wanted = vec![number];
        while let Some(number) = wanted.pop() {
            if self.state(number) != State::Unneeded {
                continue;
            }
            self.wait(number);
            for input in self.entries[number].inputs.clone() {
                match self.state(input) {
                    State::Unneeded => wanted.push(input),
                    State::Failed | State::Skipped => lost.push(number),
                    _ => {}
                }
            }
        }
        let mut skipped = Vec::new();
        for number in lost {
            if matches!(self.state(number), State::Waiting | State::Ready) {
                self.set(number, State::Skipped);
                skipped.push(number);
                skipped.extend(self.skip_consumers(number));
            }
        }
        skipped
    }

    /// Workers, or another run, are at a stage.
    pub(super) fn take(&mut self, number: usize, state: State) {
        debug_assert!(matches!(state, State::Active | State::Held));
        self.set(number, state);
    }

    /// A stage that was taken is to be begun again. Returns what turns out to be out of reach.
    pub(super) fn again(&mut self, number: usize) -> Vec<usize> {
        self.set(number, State::Unneeded);
        self.require(number)
    }

    fn wait(&mut self, number: usize) {
        let ready = self.entries[number].missing == 0;
        self.set(number, if ready { State::Ready } else { State::Waiting });
    }

    /// A stage's artifact is there.
    pub(super) fn finish(&mut self, number: usize) {
        self.set(number, State::Available);
        for consumer in self.entries[number].consumers.clone() {
            self.entries[consumer].missing -= 1;
            if self.state(consumer) == State::Waiting {
                self.wait(consumer);
            }
        }
    }

    /// A stage's artifact is not there any more. Returns what that puts out of reach.
    pub(super) fn lose(&mut self, number: usize) -> Vec<usize> {
        if self.state(number) != State::Available {
            return Vec::new();
        }
        for consumer in self.entries[number].consumers.clone() {
            self.entries[consumer].missing += 1;
            if self.state(consumer) == State::Ready {
                self.set(consumer, State::Waiting);
            }
        }
        self.set(number, State::Unneeded);
        self.require(number)
    }

    /// A stage failed. Returns all that depend on it and will not run.
    pub(super) fn fail(&mut self, number: usize) -> Vec<usize> {
        self.set(number, State::Failed);
        self.skip_consumers(number)
    }

    fn skip_consumers(&mut self, number: usize) -> Vec<usize> {
        let mut skipped = Vec::new();
        let mut reached = self.entries[number].consumers.clone();
        while let Some(consumer) = reached.pop() {
            if matches!(self.state(consumer), State::Waiting | State::Held | State::Ready) {
                self.set(consumer, State::Skipped);
                skipped.push(consumer);
                reached.extend(&self.entries[consumer].consumers);
            }
        }
        skipped.sort_unstable();
        skipped
    }

    fn set(&mut self, number: usize, state: State) {
        let entry = &mut self.entries[number];
        let place = (Reverse(entry.urgency), number);
        self.undecided += usize::from(state.is_open());
        self.undecided -= usize::from(entry.state.is_open());
        entry.state = state;
        if state == State::Ready {
            self.ready.insert(place);
        } else {
            self.ready.remove(&place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan::Port,
        run::tests::{add, graph_of},
    };
    use proptest::prelude::*;

    const PORTS: [Port; 3] = [Port::Policy, Port::Prompts, Port::Rollouts];

    /// A graph whose stages read those given.
    fn graph(reads: &[Vec<usize>], members: &[usize]) -> (Graph, Vec<Key>) {
        let mut nodes: Vec<Node> = Vec::new();
        let mut keys: Vec<Key> = Vec::new();
        for (number, inputs) in reads.iter().enumerate() {
            let inputs: Vec<(Port, Key)> =
                PORTS.into_iter().zip(inputs.iter().map(|input| keys[*input])).collect();
            keys.push(add(&mut nodes, &number.to_string(), &inputs));
            let count = members.get(number).copied().unwrap_or(1);
            nodes[number].members = (0..count).map(|member| member.to_string()).collect();
        }
        (graph_of(&nodes), keys)
    }

    fn of(keys: &[Key], numbers: &[usize]) -> BTreeSet<Key> {
        numbers.iter().map(|number| keys[*number]).collect()
    }

    /// The order in which one worker would take the stages.
    fn order(reads: &[Vec<usize>], members: &[usize]) -> Vec<usize> {
        let (graph, _) = graph(reads, members);
        let mut board = Board::new(&graph, &BTreeSet::new());
        let mut order = Vec::new();
        while let Some(number) = board.first_ready() {
            board.take(number, State::Active);
            board.finish(number);
            order.push(number);
        }
        order
    }

    #[test]
    fn of_equals_the_longest_chain_goes_first() {
        let order = order(&[vec![], vec![0], vec![0], vec![2], vec![3]], &[]);
        assert_eq!(order, [0, 2, 3, 1, 4], "not the evaluation, which nothing waits for");
    }

    #[test]
    fn the_most_shared_goes_first() {
        // Beside the long way of one member, stage 4 and what follows is on the way of three.
        let reads = [vec![], vec![0], vec![1], vec![2], vec![0], vec![4], vec![4], vec![4]];
        assert_eq!(order(&reads, &[4, 1, 1, 1, 3, 1, 1, 1])[..3], [0, 4, 1]);
        assert_eq!(order(&reads, &[1, 1, 1, 1, 1, 1, 1, 1])[..3], [0, 1, 2]);
    }

    #[test]
    fn what_was_lost_cannot_be_made_again_from_what_failed() {
        let (graph, keys) = graph(&[vec![], vec![0], vec![0], vec![1, 2]], &[]);
        let mut board = Board::new(&graph, &of(&keys, &[1]));
        assert_eq!(board.state(0), State::Ready);
        assert_eq!(board.fail(0), [2, 3]);
        assert!(board.is_decided());
        assert_eq!(board.lose(1), [1]);
        assert!(board.is_decided());
    }

    #[test]
    fn a_lost_input_is_made_before_what_reads_it_is_tried_again() {
        let (graph, keys) = graph(&[vec![], vec![0], vec![1]], &[]);
        let mut board = Board::new(&graph, &of(&keys, &[1]));
        assert_eq!(board.state(0), State::Ready, "also what nothing that is missing reads");
        board.take(2, State::Active);
        assert!(board.lose(1).is_empty());
        assert!(board.again(2).is_empty());
        let states: Vec<State> = (0..3).map(|number| board.state(number)).collect();
        assert_eq!(states, [State::Ready, State::Waiting, State::Waiting]);
    }

    fn any_reads() -> impl Strategy<Value = Vec<Vec<usize>>> {
        prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..3), 1..20)
            .prop_map(|rows| {
                let stage = |(number, row): (usize, Vec<prop::sample::Index>)| {
                    let inputs = row.into_iter().filter(|_| number > 0);
                    inputs.map(|index| index.index(number)).collect()
                };
                rows.into_iter().enumerate().map(stage).collect()
            })
    }

    proptest! {
        /// Whoever uses what, and whatever is stored, fails or gets lost: every stage begins after its inputs are there,
        /// what is stored never begins, and the run comes to an end.
        #[test]
        fn a_run_does_what_is_missing_and_ends(
            reads in any_reads(),
            stored in prop::collection::vec(any::<bool>(), 20),
            members in prop::collection::vec(0_usize..4, 20),
            fate in prop::collection::vec(0_u8..8, 60),
        ) {
            let stored: Vec<usize> = (0..reads.len()).filter(|number| stored[*number]).collect();
            let (graph, keys) = graph(&reads, &members);
            let mut board = Board::new(&graph, &of(&keys, &stored));
            let mut fate = fate.into_iter();
            let mut disturbed = false;
            let mut begun = vec![false; reads.len()];
            while let Some(number) = board.first_ready() {
                board.take(number, State::Active);
                for input in &reads[number] {
                    prop_assert_eq!(board.state(*input), State::Available);
                }
                prop_assert!(disturbed || !begun[number]);
                begun[number] = true;
                match fate.next() {
                    Some(0) => {
                        disturbed = true;
                        board.fail(number);
                    }
                    Some(1) if !reads[number].is_empty() => {
                        disturbed = true;
                        board.lose(reads[number][0]);
                        board.again(number);
                    }
                    _ => board.finish(number),
                }
            }
            prop_assert!(board.is_decided());
            prop_assert!(board.open().is_empty());
            if !disturbed {
                let missing = (0..reads.len()).map(|number| !stored.contains(&number));
                prop_assert_eq!(begun, missing.collect::<Vec<_>>());
            }
        }
    }
}
