//! A run as far as its log tells: which stage is in what state, how fast it goes, how long it will
//! take.

use super::curve::Curve;
use crate::base::Key;
use crate::event::{Event, Outcome, Record, StageSummary, Unit};
use indexmap::IndexMap;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Notes that are kept; older ones are in the log.
const NOTES: usize = 50;

/// A run so far.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// The run's name in the store.
    pub run: String,
    /// The recipe's name.
    pub name: String,
    /// When it began, in milliseconds since 1970.
    pub started_ms: u64,
    /// When something was last said.
    pub now_ms: u64,
    /// How it ended, when it said so.
    pub ended: Option<Outcome>,
    /// Members.
    pub members: usize,
    /// Devices of its workers, by number.
    pub workers: BTreeMap<u32, String>,
    /// What was worth knowing, the newest last.
    pub notes: Vec<String>,
    /// Every stage, in the order of the plan.
    pub(super) stages: IndexMap<Key, Stage>,
    /// Grows with every change; a stage knows at which it changed last.
    pub(super) version: u64,
    /// Grows with what a report would show anew.
    pub(super) results: u64,
}

/// A stage so far.
#[derive(Clone, Debug)]
pub struct Stage {
    /// As the plan named it.
    pub summary: StageSummary,
    /// Its name, and in a grid who uses it.
    pub title: String,
    /// `waiting`, `running`, `done`, `stored`, `failed` or `skipped`.
    pub state: &'static str,
    /// Units done and in all, and what is counted.
    pub progress: Option<(u64, u64, Unit)>,
    /// The newest value of what is watched.
    pub watched: Map<String, Value>,
    /// Wall seconds of work, once it ended.
    pub seconds: f64,
    /// Why it failed or was skipped.
    pub why: String,
    /// When progress was first told, and how far it was then.
    began: Option<(u64, u64)>,
    started_ms: u64,
    pub(super) told_ms: u64,
    pub(super) curves: BTreeMap<String, Curve>,
    /// The version of the last change.
    pub(super) changed: u64,
}

impl Stage {
    fn new(summary: &StageSummary, members: usize) -> Self {
        Self {
            title: summary.title(members),
            summary: summary.clone(),
            state: "waiting",
            progress: None,
            watched: Map::new(),
            seconds: 0.0,
            why: String::new(),
            began: None,
            started_ms: 0,
            told_ms: 0,
            curves: BTreeMap::new(),
            changed: 0,
        }
    }

    /// Units a second since progress was first told.
    pub fn rate(&self) -> Option<f64> {
        let (began_ms, from) = self.began?;
        let (done, ..) = self.progress?;
        let seconds = self.told_ms.saturating_sub(began_ms) as f64 / 1e3;
        (seconds > 0.0 && done > from).then(|| (done - from) as f64 / seconds)
    }

    /// Seconds to its end at this rate.
    pub fn to_go(&self) -> Option<f64> {
        let (done, total, _) = self.progress?;
        Some(total.saturating_sub(done) as f64 / self.rate()?)
    }

    fn ends(&mut self, state: &'static str, why: &str) {
        self.state = state;
        self.why = why.to_owned();
        self.curves.clear();
    }
}

/// How long a run will take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToGo {
    /// Seconds from the last word of the log on.
    pub seconds: f64,
    /// Whether some stages are of a kind that has never run, so that it takes longer.
    pub at_least: bool,
}

impl Status {
    /// Takes the next record of the log.
    pub fn take(&mut self, record: &Record) {
        self.version += 1;
        self.now_ms = self.now_ms.max(record.time_ms);
        match &record.event {
            Event::RunStarted { run, name, .. } => {
                self.run.clone_from(run);
                self.name.clone_from(name);
                if self.started_ms == 0 {
                    self.started_ms = record.time_ms;
                }
                self.ended = None;
                self.workers.clear();
            }
            Event::Planned { stages, .. } => self.plan(stages),
            Event::WorkerStarted { worker, device, .. } => {
                self.workers.insert(*worker, device.clone());
            }
            Event::WorkerDied { worker, reason } => {
                self.workers.remove(worker);
                self.note(format!("worker {worker}: {reason}"));
            }
            Event::Note { key, message } => {
                let stage = key.and_then(|key| self.stages.get(&key));
                let about = stage.map_or_else(String::new, |stage| format!("{}: ", stage.title));
                self.note(format!("{about}{message}"));
            }
            Event::RunFinished { outcome, .. } => {
                self.ended = Some(*outcome);
                self.results += 1;
            }
            Event::StageStarted { key, .. }
            | Event::StageProgress { key, .. }
            | Event::StageFinished { key, .. }
            | Event::StageFailed { key, .. }
            | Event::StageSkipped { key, .. } => {
                if let Some(stage) = self.stages.get_mut(key) {
                    stage.changed = self.version;
                    self.results += u64::from(take_stage(stage, record));
                }
            }
        }
    }

    fn plan(&mut self, stages: &[StageSummary]) {
        let members: BTreeSet<&String> = stages.iter().flat_map(|stage| &stage.members).collect();
        self.members = members.len();
        self.stages = stages
            .iter()
            .map(|summary| {
                let changed = self.version;
                (summary.key, Stage { changed, ..Stage::new(summary, members.len()) })
            })
            .collect();
        self.results += 1;
    }

    fn note(&mut self, note: String) {
        if self.notes.len() == NOTES {
            self.notes.remove(0);
        }
        self.notes.push(note);
    }

    /// Every stage, in the order of the plan.
    pub fn stages(&self) -> impl Iterator<Item = &Stage> {
        self.stages.values()
    }

    /// Stages in a state.
    pub fn count(&self, state: &str) -> usize {
        self.stages.values().filter(|stage| stage.state == state).count()
    }

    /// Seconds to the end, from what stages of the same kind took so far: the longest chain of
    /// stages that wait for one another, or, where that is more, all work over all workers. `None`
    /// when nothing is left or nothing is known.
    pub fn to_go(&self) -> Option<ToGo> {
        let mut kinds: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for stage in self.stages.values().filter(|stage| stage.state == "done") {
            let (sum, count) = kinds.entry(&stage.summary.kind).or_default();
            *sum += stage.seconds;
            *count += 1.0;
        }
        let (mut all, mut longest, mut at_least) = (0.0, 0.0_f64, false);
        let mut chains: BTreeMap<Key, f64> = BTreeMap::new();
        for (key, stage) in &self.stages {
            if !matches!(stage.state, "waiting" | "running") {
                continue;
            }
            let usual = kinds.get(stage.summary.kind.as_str()).map(|(sum, count)| sum / count);
            let own = if stage.state == "running" {
                let passed = self.now_ms.saturating_sub(stage.started_ms) as f64 / 1e3;
                stage.to_go().or_else(|| usual.map(|usual| (usual - passed).max(0.0)))
            } else {
                usual
            };
            at_least |= own.is_none();
            let before = stage.summary.needs.iter().filter_map(|need| chains.get(need));
            let chain = before.fold(0.0_f64, |most, it| most.max(*it)) + own.unwrap_or(0.0);
            chains.insert(*key, chain);
            longest = longest.max(chain);
            all += own.unwrap_or(0.0);
        }
        let seconds = longest.max(all / self.workers.len().max(1) as f64);
        (seconds > 0.0).then_some(ToGo { seconds, at_least })
    }
}

/// Takes what is said of a stage; whether it ended.
fn take_stage(stage: &mut Stage, record: &Record) -> bool {
    match &record.event {
        Event::StageStarted { .. } => {
            stage.state = "running";
            stage.started_ms = record.time_ms;
            stage.told_ms = record.time_ms;
            stage.began = None;
            false
        }
        Event::StageProgress { done, total, unit, watched, .. } => {
            stage.began = stage.began.or(Some((record.time_ms, *done)));
            stage.told_ms = record.time_ms;
            stage.progress = Some((*done, *total, *unit));
            for (name, value) in watched {
                if let Some(value) = value.as_f64() {
                    stage.curves.entry(name.clone()).or_default().add(*done, value);
                }
            }
            stage.watched.clone_from(watched);
            false
        }
        Event::StageFinished { outcome, seconds, .. } => {
            stage.seconds = *seconds;
            stage.ends(if *outcome == Outcome::Stored { "stored" } else { "done" }, "");
            true
        }
        Event::StageFailed { reason, .. } => {
            stage.ends("failed", reason);
            true
        }
        Event::StageSkipped { because, .. } => {
            stage.ends("skipped", because);
            true
        }
        _ => false,
    }
}

/// Word for what is counted.
pub(super) fn word(unit: Unit) -> &'static str {
    match unit {
        Unit::Prompts => "prompts",
        Unit::Samples => "samples",
        Unit::Steps => "steps",
        Unit::Megabytes => "MB",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Digest;

    fn key(name: &str) -> Key {
        Key(Digest::of(name.as_bytes()))
    }

    fn status(stages: &[(&str, &str, &[&str])], events: Vec<(u64, Event)>) -> Status {
        let stages = stages.iter().map(|(name, kind, needs)| StageSummary {
            key: key(name),
            kind: (*kind).to_owned(),
            name: (*name).to_owned(),
            branch: "evolution".to_owned(),
            iteration: 1,
            needs: needs.iter().map(|need| key(need)).collect(),
            members: vec!["one".to_owned()],
        });
        let planned = Event::Planned { stages: stages.collect(), best: Vec::new() };
        let mut status = Status::default();
        for (time_ms, event) in std::iter::once((0, planned)).chain(events) {
            status.take(&Record { time_ms, event });
        }
        status
    }

    fn started(name: &str) -> Event {
        Event::StageStarted { key: key(name), worker: 0, resumed_from: 0 }
    }

    fn progress(name: &str, done: u64) -> Event {
        let watched = [("loss".to_owned(), Value::from(1.0 / (1 + done) as f64))].into_iter();
        let watched = watched.collect();
        Event::StageProgress { key: key(name), done, total: 100, unit: Unit::Steps, watched }
    }

    fn finished(name: &str, seconds: f64) -> Event {
        Event::StageFinished {
            key: key(name),
            outcome: Outcome::Done,
            seconds,
            bytes: 0,
            metrics: Map::new(),
            computed_on: String::new(),
        }
    }

    const CHAIN: [(&str, &str, &[&str]); 4] = [
        ("explore 1", "explore", &[]),
        ("train 1", "train", &["explore 1"]),
        ("explore 2", "explore", &["train 1"]),
        ("train 2", "train", &["explore 2"]),
    ];

    #[test]
    fn rates_count_from_the_first_progress_and_the_chain_is_the_time_to_go() {
        let events = vec![
            (0, started("explore 1")),
            (20_000, finished("explore 1", 20.0)),
            (20_000, started("train 1")),
            (21_000, progress("train 1", 20)),
            (23_000, progress("train 1", 40)),
        ];
        let status = status(&CHAIN, events);
        let train = &status.stages[&key("train 1")];
        assert_eq!((train.state, train.rate(), train.to_go()), ("running", Some(10.0), Some(6.0)));
        assert_eq!(train.curves["loss"].points().len(), 2);
        // Six seconds of training, twenty of exploration, and a kind that has not ended yet.
        assert_eq!(status.to_go(), Some(ToGo { seconds: 26.0, at_least: true }));
        assert_eq!((status.count("waiting"), status.count("done"), status.results), (2, 1, 2));
    }

    #[test]
    fn stages_beside_one_another_are_shared_among_the_workers() {
        let beside: [(&str, &str, &[&str]); 5] = [
            ("a", "explore", &[]),
            ("b", "explore", &[]),
            ("c", "explore", &[]),
            ("d", "explore", &[]),
            ("e", "explore", &[]),
        ];
        let worker = |worker| {
            let device = "cpu".to_owned();
            (0, Event::WorkerStarted { worker, process: 1, device, threads: 1 })
        };
        let events = vec![worker(0), worker(1), (0, started("a")), (10_000, finished("a", 10.0))];
        let status = status(&beside, events);
        assert_eq!(status.to_go(), Some(ToGo { seconds: 20.0, at_least: false }));
    }

    #[test]
    fn a_stage_that_failed_says_why_and_the_end_is_known() {
        let reason = "out of memory".to_owned();
        let failed = Event::StageFailed { key: key("explore 1"), reason, hint: None, seconds: 1.0 };
        let skipped = |name| {
            let because = "`explore 1` failed".to_owned();
            (2, Event::StageSkipped { key: key(name), because })
        };
        let mut events = vec![(0, started("explore 1")), (1, failed)];
        events.extend(["train 1", "explore 2", "train 2"].map(skipped));
        events.push((3, Event::RunFinished { outcome: Outcome::Failed, seconds: 0.0 }));
        let status = status(&CHAIN, events);
        assert_eq!(status.ended, Some(Outcome::Failed));
        assert_eq!(status.to_go(), None);
        let stages: Vec<_> = status.stages().map(|it| (it.state, it.why.as_str())).collect();
        assert_eq!(stages[..2], [("failed", "out of memory"), ("skipped", "`explore 1` failed")]);
    }
}
