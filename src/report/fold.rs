//! How a log is folded, event by event, and how the studies of several runs become one.

use super::metrics::{
    Agreed, Balanced, Evaluated, Explored, Imported, Monitored, Prepared, Prompts, Rewarded,
    Selected, Stopped, Trained,
};
use super::model::{
    At, Branch, Ending, Measured, Member, Note, StageRow, State, Study, Trouble, Worker,
};
use super::pivot::RUN;
use crate::base::Key;
use crate::event::{Event, Outcome, Record, StageSummary};
use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde_json::Map;
use std::collections::BTreeMap;

/// The state of reading a log.
#[derive(Default)]
pub(super) struct Fold {
    study: Study,
    stages: IndexMap<Key, StageRow>,
    /// Members whose results are those of their best iteration.
    best: Vec<String>,
    /// When the present sitting began, and how much work lay before it, in milliseconds.
    sitting: (u64, u64),
    now_ms: u64,
}

impl Fold {
    /// Takes the next record.
    pub(super) fn take(&mut self, record: &Record) {
        if !matches!(record.event, Event::RunStarted { .. }) {
            let passed = record.time_ms.saturating_sub(self.sitting.0);
            self.now_ms = self.now_ms.max(self.sitting.1 + passed);
        }
        match &record.event {
            Event::RunStarted { run, name, recipe_file, versions, .. } => {
                self.close_open_spans();
                self.sitting = (record.time_ms, self.now_ms);
                if self.study.started_ms == 0 {
                    self.study.started_ms = record.time_ms;
                }
                self.study.run.clone_from(run);
                self.study.name.clone_from(name);
                self.study.recipe_file.clone_from(recipe_file);
                self.study.versions.clone_from(versions);
                self.study.ending = Ending::Open;
            }
            Event::Planned { stages, best } => {
                self.best.clone_from(best);
                self.plan(stages);
            }
            Event::WorkerStarted { worker, device, threads, .. } => {
                let started = Worker { device: device.clone(), threads: *threads, died: None };
                self.study.workers.insert(*worker, started);
            }
            Event::WorkerDied { worker, reason } => {
                if let Some(worker) = self.study.workers.get_mut(worker) {
                    worker.died = Some(reason.clone());
                }
            }
            Event::Note { key, message } => {
                let stage = key.and_then(|key| self.stages.get(&key));
                let stage = stage.map(|row| row.summary.name.clone());
                self.study.notes.push(Note { stage, message: message.clone() });
            }
            Event::RunFinished { outcome, .. } => self.study.ending = Ending::Said(*outcome),
            Event::StageProgress { .. } => {}
            Event::StageStarted { .. }
            | Event::StageFinished { .. }
            | Event::StageFailed { .. }
            | Event::StageSkipped { .. } => self.take_stage(&record.event),
        }
    }

    fn plan(&mut self, stages: &[StageSummary]) {
        let mut before = std::mem::take(&mut self.stages);
        for summary in stages {
            let mut row = before.swap_remove(&summary.key).unwrap_or_else(|| StageRow {
                summary: summary.clone(),
                state: State::Waiting,
                worker: None,
                spans: Vec::new(),
                seconds: 0.0,
                bytes: 0,
                computed_on: String::new(),
                metrics: Map::new(),
                resumed_from: 0,
            });
            row.summary = summary.clone();
            row.state = State::Waiting;
            self.stages.insert(summary.key, row);
        }
    }

    fn take_stage(&mut self, event: &Event) {
        let now_ms = self.now_ms;
        let (Event::StageStarted { key, .. }
        | Event::StageFinished { key, .. }
        | Event::StageFailed { key, .. }
        | Event::StageSkipped { key, .. }) = event
        else {
            return;
        };
        let Some(row) = self.stages.get_mut(key) else { return };
        match event {
            Event::StageStarted { worker, resumed_from, .. } => {
                row.state = State::Begun;
                row.worker = row.worker.or(Some(*worker));
                row.resumed_from = *resumed_from;
                row.spans.push((*worker, now_ms, u64::MAX));
            }
            Event::StageFinished { outcome, seconds, bytes, metrics, computed_on, .. } => {
                row.state = if *outcome == Outcome::Stored { State::Stored } else { State::Done };
                row.seconds += seconds;
                row.bytes = *bytes;
                row.metrics.clone_from(metrics);
                row.computed_on.clone_from(computed_on);
                row.close(now_ms);
            }
            Event::StageFailed { reason, hint, seconds, .. } => {
                row.state = State::Failed { reason: reason.clone(), hint: hint.clone() };
                row.seconds += seconds;
                row.close(now_ms);
            }
            Event::StageSkipped { because, .. } => {
                row.state = State::Skipped { because: because.clone() };
                row.seconds += row.close(now_ms);
            }
            _ => {}
        }
    }

    fn close_open_spans(&mut self) {
        for row in self.stages.values_mut() {
            row.seconds += row.close(self.now_ms);
        }
    }

    /// The study, when there is no more.
    pub(super) fn finish(mut self) -> Study {
        self.close_open_spans();
        let mut study = self.study;
        study.seconds = self.now_ms as f64 / 1e3;
        let mut members: IndexMap<&str, Member> = IndexMap::new();
        for row in self.stages.values() {
            let reading = Reading::of(row).unwrap_or_else(|error| {
                let message = format!("the report cannot read its metrics: {error}");
                study.notes.push(Note { stage: Some(row.summary.name.clone()), message });
                Reading::Nothing
            });
            for name in &row.summary.members {
                members.entry(name).or_default().take(row, &reading);
            }
        }
        let named = members.into_iter().map(|(name, member)| {
            let quotes_best = self.best.iter().any(|best| best == name);
            let mut member = Member { name: name.to_owned(), quotes_best, ..member };
            member.sort();
            member
        });
        study.members = named.collect();
        study.stages = self.stages.into_values().collect();
        study
    }
}

impl StageRow {
    /// Ends the span that is open; returns the seconds it lasted.
    fn close(&mut self, now_ms: u64) -> f64 {
        match self.spans.last_mut() {
            Some((_, from, to)) if *to == u64::MAX => {
                *to = now_ms;
                (now_ms - *from) as f64 / 1e3
            }
            _ => 0.0,
        }
    }
}

/// What a stage measured, read once for all members that use it.
enum Reading {
    Evaluated(Measured<Evaluated>),
    Monitored(Measured<Monitored>),
    Balanced(Measured<Balanced>),
    Explored(Measured<Explored>),
    Selected(Measured<Selected>),
    Agreed(Measured<Agreed>),
    Trained(Measured<Trained>),
    Rewarded(Box<Measured<Rewarded>>),
    Prepared(Prompts),
    Imported(u64),
    Stopped(Stopped),
    Nothing,
}

impl Reading {
    fn of(row: &StageRow) -> Result<Self, serde_json::Error> {
        if !row.state.has_result() {
            return Ok(Self::Nothing);
        }
        // What was skipped says nothing but that.
        if row.metrics.get("stopped_after").is_some_and(|after| !after.is_null()) {
            return Ok(Self::Stopped(measured(row)?.value));
        }
        Ok(match row.summary.kind.as_str() {
            "evaluate" => Self::Evaluated(measured(row)?),
            "monitor" => Self::Monitored(measured(row)?),
            "balance" => Self::Balanced(measured(row)?),
            "explore" => Self::Explored(measured(row)?),
            "select" => Self::Selected(measured(row)?),
            "agreement" => Self::Agreed(measured(row)?),
            "train" => Self::Trained(measured(row)?),
            "train-reward" => Self::Rewarded(Box::new(measured(row)?)),
            "prepare" => Self::Prepared(measured::<Prepared>(row)?.value.prompts),
            "import" | "pretrain" => Self::Imported(measured::<Imported>(row)?.value.parameters),
            _ => Self::Nothing,
        })
    }
}

fn measured<T: DeserializeOwned>(row: &StageRow) -> Result<Measured<T>, serde_json::Error> {
    let branch = Branch::of(&row.summary.branch);
    let at = At { iteration: row.summary.iteration, branch };
    Ok(Measured { at, value: T::deserialize(&row.metrics)? })
}

impl Member {
    fn take(&mut self, row: &StageRow, reading: &Reading) {
        let iteration = row.summary.iteration;
        let control = row.summary.branch == "control";
        self.seconds += row.seconds;
        if !control {
            self.iterations = self.iterations.max(iteration);
            self.warmed_up |= iteration == 0 && row.summary.kind == "train";
        }
        if !row.state.has_result() {
            if !control {
                let word = self.troubles.entry(iteration).or_insert("waiting");
                *word = weightier(word, row.state.word());
            }
            self.trouble(row);
        }
        match reading {
            Reading::Evaluated(it) => self.evaluations.push(it.clone()),
            Reading::Monitored(it) if it.at.branch == Branch::Search => {
                self.searches.push(it.clone());
            }
            Reading::Monitored(it) => self.monitors.push(it.clone()),
            Reading::Balanced(it) => self.balances.push(it.clone()),
            Reading::Explored(it) => self.explorations.push(it.clone()),
            Reading::Selected(it) => self.selections.push(it.clone()),
            Reading::Agreed(it) => self.agreements.push(it.clone()),
            Reading::Trained(it) => self.trainings.push(it.clone()),
            Reading::Rewarded(it) => self.rewards.push((**it).clone()),
            // A control's worked examples are prepared apart and are nobody's prompts.
            Reading::Prepared(prompts) if !prompts.is_empty() => {
                self.prompts = Some(prompts.clone());
            }
            Reading::Stopped(it) => {
                // The one that decided knows why; the others come after it.
                if it.reason.is_some() {
                    self.stopped = Some(it.clone());
                }
            }
            Reading::Imported(parameters) => self.parameters = Some(*parameters),
            Reading::Prepared(_) | Reading::Nothing => {}
        }
    }

    /// Keeps the trouble that says most, and of equals the first.
    fn trouble(&mut self, row: &StageRow) {
        let word = row.state.word();
        let before = self.trouble.as_ref().map(|trouble| trouble.word);
        if before.is_some_and(|before| weightier(before, word) == before) {
            return;
        }
        let name = &row.summary.name;
        let why = match &row.state {
            State::Failed { reason, .. } => format!("`{name}`: {reason}"),
            State::Skipped { because } => format!("`{name}`: {because}"),
            State::Begun => format!("`{name}` did not end"),
            _ => format!("`{name}` has not begun"),
        };
        self.trouble = Some(Trouble { word, why });
    }

    fn sort(&mut self) {
        self.evaluations.sort_by_key(|it| it.at);
        self.monitors.sort_by_key(|it| it.at);
        self.searches.sort_by_key(|it| it.at);
        self.balances.sort_by_key(|it| it.at);
        self.explorations.sort_by_key(|it| it.at);
        self.selections.sort_by_key(|it| it.at);
        self.agreements.sort_by_key(|it| it.at);
        self.trainings.sort_by_key(|it| it.at);
        self.rewards.sort_by_key(|it| it.at);
    }
}

/// Of two words for states without a result, the one that says more.
fn weightier(one: &'static str, other: &'static str) -> &'static str {
    let told = ["failed", "unfinished", "skipped"];
    told.into_iter().find(|word| [one, other].contains(word)).unwrap_or(one)
}

/// Puts studies side by side. Their clocks and workers stay their own.
pub(super) fn join(studies: Vec<Study>) -> Study {
    let several = studies.len() > 1;
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for member in studies.iter().flat_map(|study| &study.members) {
        *names.entry(member.name.clone()).or_default() += 1;
    }
    let mut whole: Option<Study> = None;
    for mut study in studies {
        let run = study.run.clone();
        let rename = |name: &mut String| {
            if names.get(name).is_some_and(|count| *count > 1) {
                *name = format!("{run}/{name}");
            }
        };
        for member in study.members.iter_mut().filter(|_| several) {
            rename(&mut member.name);
            member.values.insert(RUN.to_owned(), run.clone().into());
        }
        for stage in study.stages.iter_mut().filter(|_| several) {
            stage.summary.members.iter_mut().for_each(rename);
        }
        match &mut whole {
            Some(whole) => append(whole, study),
            None => whole = Some(study),
        }
    }
    whole.unwrap_or_default()
}

fn append(whole: &mut Study, mut study: Study) {
    let workers = whole.workers.keys().last().map_or(0, |last| last + 1);
    for (number, worker) in std::mem::take(&mut study.workers) {
        whole.workers.insert(workers + number, worker);
    }
    for stage in &mut study.stages {
        stage.worker = stage.worker.map(|worker| workers + worker);
        for (worker, ..) in &mut stage.spans {
            *worker += workers;
        }
    }
    if study.name != whole.name {
        whole.name = format!("{} and {}", whole.name, study.name);
    }
    whole.run = format!("{} and {}", whole.run, study.run);
    whole.seconds += study.seconds;
    whole.started_ms = whole.started_ms.min(study.started_ms);
    if whole.ending == Ending::Said(Outcome::Done) {
        whole.ending = study.ending;
    }
    whole.stages.append(&mut study.stages);
    whole.members.append(&mut study.members);
    whole.notes.append(&mut study.notes);
}
