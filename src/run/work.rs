//! A stage under way: its lock, the parts that are left, how far each has come.

use super::{Part, shard};
use crate::{
    base::Failure,
    event::{Event, Unit},
    plan::Node,
    store::{Error, Lock, Staging},
};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, VecDeque};

/// How a stage leaves the scheduler's hands without a result.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ending {
    /// It failed.
    Failed(Failure),
    /// Something it reads must be made again first.
    Again,
    /// The user asked to stop.
    Cancelled,
}

/// How far one part is.
#[derive(Clone, Copy, Debug)]
struct Reach {
    done: u64,
    total: u64,
}

/// A stage under way. While this lives, no other run touches the stage.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) lock: Lock,
    /// Parts that no worker has yet.
    pending: VecDeque<Part>,
    /// Parts by the number of the worker that has them.
    running: BTreeMap<usize, Part>,
    pub(super) ending: Option<Ending>,
    /// Seconds that workers had parts of it, until none had.
    worked: f64,
    /// The clock when the first of the workers that have parts of it now began.
    since: f64,
    shards: u64,
    shards_left: u64,
    resumed: u64,
    reaches: BTreeMap<Part, Reach>,
}

impl Work {
    /// Finds what an earlier run left done.
    pub(super) fn begin(lock: Lock, node: &Node, staging: &Staging) -> Result<Self, Error> {
        let shards = node.stage.shards();
        let mut pending = VecDeque::new();
        let mut resumed = 0;
        if shards <= 1 {
            pending.push_back(Part::Whole);
        } else {
            let done = shard::done(staging.work(), shards)?;
            resumed = done.len() as u64;
            pending.extend((0..shards).filter(|shard| !done.contains(shard)).map(Part::Shard));
            if pending.is_empty() {
                pending.push_back(Part::Gather);
            }
        }
        Ok(Self {
            lock,
            pending,
            running: BTreeMap::new(),
            ending: None,
            worked: 0.0,
            since: 0.0,
            shards,
            shards_left: shards - resumed,
            resumed,
            reaches: BTreeMap::new(),
        })
    }

    /// Shards that an earlier run left done.
    pub(super) fn resumed(&self) -> u64 {
        self.resumed
    }

    /// Hands a part to a worker, at a time of the clock.
    pub(super) fn hand_out(&mut self, worker: usize, now: f64) -> Option<Part> {
        let part = self.pending.pop_front()?;
        if self.running.is_empty() {
            self.since = now;
        }
        self.running.insert(worker, part);
        Some(part)
    }

    /// Takes the part of a worker back.
    pub(super) fn take_back(&mut self, worker: usize, now: f64) -> Option<Part> {
        let part = self.running.remove(&worker)?;
        if self.running.is_empty() {
            self.worked += now - self.since;
        }
        Some(part)
    }

    /// Lets the next worker have a part again that one has lost.
    pub(super) fn put_back(&mut self, part: Part) {
        self.pending.push_front(part);
    }

    /// How many parts no worker has yet.
    pub(super) fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// Whether a worker has a part of it.
    pub(super) fn has(&self, worker: usize) -> bool {
        self.running.contains_key(&worker)
    }

    /// The workers that have parts of it.
    pub(super) fn workers(&self) -> Vec<usize> {
        self.running.keys().copied().collect()
    }

    /// Seconds during which a worker had a part of it; those in which its parts waited for others'
    /// are not counted.
    pub(super) fn seconds(&self, now: f64) -> f64 {
        let current = if self.running.is_empty() { 0.0 } else { now - self.since };
        self.worked + current
    }

    /// Whether a part could be handed out.
    pub(super) fn is_open(&self) -> bool {
        self.ending.is_none() && !self.pending.is_empty()
    }

    /// Ends it as soon as its workers are done. A failure outweighs what was said before.
    pub(super) fn end(&mut self, ending: Ending) {
        if self.ending.is_none() || matches!(ending, Ending::Failed(_)) {
            self.ending = Some(ending);
        }
    }

    /// A worker is done with its part. Whether that was the last: then the stage can be committed.
    pub(super) fn finish(&mut self, worker: usize, now: f64) -> bool {
        let Some(part) = self.take_back(worker, now) else { return false };
        if let Some(reach) = self.reaches.get_mut(&part) {
            reach.done = reach.total;
        }
        if matches!(part, Part::Shard(_)) {
            self.shards_left -= 1;
            if self.shards_left == 0 {
                self.pending.push_back(Part::Gather);
            }
            return false;
        }
        true
    }

    /// Adds up the progress of all parts. Shards that have said nothing are taken to be like the
    /// mean of those that have.
    pub(super) fn progress(
        &mut self,
        worker: usize,
        (done, total): (u64, u64),
        unit: Unit,
        watched: Map<String, Value>,
    ) -> Option<Event> {
        let part = self.running.get(&worker)?;
        let reach = self.reaches.entry(*part).or_insert(Reach { done, total });
        reach.done = done;
        reach.total = total;
        let key = self.lock.key();
        let Part::Shard(_) = part else {
            return Some(Event::StageProgress { key, done, total, unit, watched });
        };
        let said = self.reaches.len() as u64;
        let sum = |of: fn(&Reach) -> u64| self.reaches.values().map(of).sum::<u64>();
        let per_shard = sum(|reach| reach.total) / said.max(1);
        let total = sum(|reach| reach.total) + per_shard * self.shards.saturating_sub(said);
        let done = (sum(|reach| reach.done) + per_shard * self.resumed).min(total);
        Some(Event::StageProgress { key, done, total, unit, watched })
    }
}
