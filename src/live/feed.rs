//! What the page is told, and when: the whole state once, then what changed.

use super::status::{Stage, Status, ToGo, word};
use crate::event::Tail;
use crate::run::Clock;
use crate::store::{Run, Store};
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Stages beyond which only those that run or failed are told one by one.
const STAGES_TOLD: usize = 4000;
/// Looks at a silent log before it is asked whether somebody carries the run out.
const SILENT_LOOKS: u32 = 20;
/// Looks after which the time to go is reckoned anew.
const LOOKS_TO_GO: u64 = 10;
/// The report may take one part in so many of the time of one core.
const REPORT_SHARE: f64 = 200.0;
/// Seconds between two reports at least.
const REPORT_EVERY: f64 = 2.0;

/// What a page follows.
pub struct Source {
    /// The store that the run is in.
    pub store: Store,
    /// The run.
    pub run: Run,
    /// Makes the report of the run so far, as a page; `None` when it cannot be made.
    pub report: Box<dyn Fn() -> Option<String> + Send + Sync>,
}

/// The log as far as it was read, and what was made of it.
pub(super) struct Feed {
    source: Source,
    tail: Tail,
    status: Status,
    is_living: bool,
    silent: u32,
    looks: u64,
    to_go: Option<ToGo>,
    clock: Clock,
    report: Option<Arc<str>>,
    /// Of how many results the report tells.
    report_of: u64,
    /// When the next one may be made.
    report_due: f64,
}

/// Everything that changed.
#[derive(Serialize)]
struct Told<'a> {
    run: &'a str,
    name: &'a str,
    word: &'static str,
    started_ms: u64,
    now_ms: u64,
    members: usize,
    workers: Vec<&'a str>,
    notes: &'a [String],
    to_go: Option<f64>,
    at_least: bool,
    /// Stages of each kind by state, in the order of the plan.
    kinds: IndexMap<&'a str, BTreeMap<&'static str, u64>>,
    /// Whether there are too many stages to tell them all.
    is_cut: bool,
    /// Whether what is told replaces everything that was told.
    is_whole: bool,
    stages: Vec<Row<'a>>,
}

/// A stage that changed.
#[derive(Serialize)]
struct Row<'a> {
    index: usize,
    title: &'a str,
    kind: &'a str,
    iteration: u32,
    state: &'static str,
    why: &'a str,
    seconds: f64,
    done: Option<u64>,
    total: Option<u64>,
    unit: Option<&'static str>,
    rate: Option<f64>,
    to_go: Option<f64>,
    watched: &'a Map<String, Value>,
    curves: BTreeMap<&'a str, &'a [(u64, f64)]>,
}

impl Feed {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            tail: Tail::default(),
            status: Status::default(),
            is_living: true,
            silent: SILENT_LOOKS,
            looks: 0,
            to_go: None,
            clock: Clock::start(),
            report: None,
            report_of: 0,
            report_due: 0.0,
        }
    }

    /// Reads what is new in the log. What cannot be read now may be the next time.
    pub(super) fn look(&mut self) {
        let bytes = self.source.run.events_from(self.tail.offset()).unwrap_or_default();
        let records = self.tail.take(&bytes);
        self.silent = if records.is_empty() { self.silent + 1 } else { 0 };
        let before = self.status.results;
        for (_, record) in &records {
            self.status.take(record);
        }
        if self.looks == 0 || self.silent >= SILENT_LOOKS || self.status.ended.is_some() {
            self.silent = 0;
            let is_living = self.status.ended.is_none()
                && self.source.store.is_living(&self.source.run).unwrap_or(true);
            if is_living != self.is_living {
                self.is_living = is_living;
                self.status.version += 1;
            }
        }
        self.looks += 1;
        if self.status.results != before || self.looks % LOOKS_TO_GO == 1 {
            self.to_go = self.status.to_go();
        }
    }

    /// What changed since a version, and the version now; `None` when nothing did.
    pub(super) fn state(&self, since: Option<u64>) -> Option<(u64, String)> {
        let status = &self.status;
        if since == Some(status.version) {
            return None;
        }
        let is_cut = status.stages.len() > STAGES_TOLD;
        let mut kinds: IndexMap<&str, BTreeMap<&'static str, u64>> = IndexMap::new();
        for stage in status.stages() {
            let states = kinds.entry(&stage.summary.kind).or_default();
            *states.entry(stage.state).or_default() += 1;
        }
        let is_told = |stage: &Stage| match since {
            Some(since) => stage.changed > since,
            None => !is_cut || matches!(stage.state, "running" | "failed"),
        };
        let stages = status.stages().enumerate().filter(|(_, stage)| is_told(stage));
        let told = Told {
            run: &status.run,
            name: &status.name,
            word: self.word(),
            started_ms: status.started_ms,
            now_ms: status.now_ms,
            members: status.members,
            workers: status.workers.values().map(String::as_str).collect(),
            notes: &status.notes,
            to_go: self.to_go.map(|it| it.seconds).filter(|_| self.is_living),
            at_least: self.to_go.is_some_and(|it| it.at_least),
            kinds,
            is_cut,
            is_whole: since.is_none(),
            stages: stages.map(|(index, stage)| row(index, stage, since.is_none())).collect(),
        };
        let json = serde_json::to_string(&told).expect("maps have text as keys");
        Some((status.version, json))
    }

    /// One word for the run.
    fn word(&self) -> &'static str {
        use crate::event::Outcome;
        match self.status.ended {
            Some(Outcome::Done | Outcome::Stored) => "done",
            Some(Outcome::Failed) => "failed",
            Some(Outcome::Interrupted) => "interrupted",
            None if self.is_living => "running",
            None => "stopped without an end",
        }
    }

    /// The report, when it tells of more results than were known, and of how many. It is made as
    /// rarely as is needed for it to cost the run nothing, and once more in the end.
    pub(super) fn report(&mut self, known: u64) -> Option<(u64, Arc<str>)> {
        let now = self.clock.seconds();
        let is_due = now >= self.report_due || self.status.ended.is_some();
        if self.report_of != self.status.results && is_due {
            self.report = (self.source.report)().map(Into::into).or(self.report.take());
            self.report_of = self.status.results;
            let took = self.clock.seconds() - now;
            self.report_due = now + (took * REPORT_SHARE).max(REPORT_EVERY);
        }
        let report = self.report.clone().filter(|_| self.report_of != known)?;
        Some((self.report_of, report))
    }
}

fn row(index: usize, stage: &Stage, is_whole: bool) -> Row<'_> {
    let running = stage.state == "running";
    let curves = stage.curves.iter().filter(|_| is_whole);
    Row {
        index,
        title: &stage.title,
        kind: &stage.summary.kind,
        iteration: stage.summary.iteration,
        state: stage.state,
        why: &stage.why,
        seconds: stage.seconds,
        done: stage.progress.map(|(done, ..)| done),
        total: stage.progress.map(|(_, total, _)| total),
        unit: stage.progress.map(|(_, _, unit)| word(unit)),
        rate: stage.rate().filter(|_| running),
        to_go: stage.to_go().filter(|_| running),
        watched: &stage.watched,
        curves: curves.map(|(name, curve)| (name.as_str(), curve.points())).collect(),
    }
}
