//! The event log of a run, folded into what it says: stages, members, measurements.
//!
//! Any log folds: of a run that failed, was interrupted, was killed or still goes on. A stage that
//! did not finish keeps its row and says why.

use super::fold::Fold;
use super::interval::Estimate;
use super::metric::Metric;
use super::metrics::{
    Agreed, Balanced, Evaluated, Explored, Monitored, Prompts, Rewarded, Selected, Stopped, Trained,
};
use crate::event::{Outcome, Record, StageSummary, Versions};
use indexmap::IndexMap;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Members that are shown in full; of more, only the one that leads.
const MEMBERS_SHOWN: usize = 4;

/// Everything that a log says.
#[derive(Clone, Debug, Default)]
pub struct Study {
    /// The run's name in the store.
    pub run: String,
    /// The recipe's name.
    pub name: String,
    /// Path of the recipe, as it was given.
    pub recipe_file: String,
    /// Versions of everything that took part.
    pub versions: Versions,
    /// When it began, in milliseconds since 1970.
    pub started_ms: u64,
    /// How it ended.
    pub ending: Ending,
    /// Wall seconds that it was at work, over all sittings of a resumed run.
    pub seconds: f64,
    /// Worker processes, by number.
    pub workers: BTreeMap<u32, Worker>,
    /// Every stage, in the order of the plan.
    pub stages: Vec<StageRow>,
    /// Every member, in the order of the plan.
    pub members: Vec<Member>,
    /// What was worth knowing, and what the report could not read.
    pub notes: Vec<Note>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Ending {
    /// The log stops before the end: killed, or still running.
    #[default]
    Open,
    /// It said so itself.
    Said(Outcome),
}

/// A worker process.
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    /// Such as `cpu` or `cuda:0`.
    pub device: String,
    /// Threads that libtorch used in it.
    pub threads: u32,
    /// Why it ended before its time, if it did.
    pub died: Option<String>,
}

/// Something worth knowing.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// Name of the stage it is about.
    pub stage: Option<String>,
    /// One sentence.
    pub message: String,
}

/// A stage and what became of it.
#[derive(Clone, Debug)]
pub struct StageRow {
    /// As the plan named it.
    pub summary: StageSummary,
    /// What became of it.
    pub state: State,
    /// First worker that had it in hand.
    pub worker: Option<u32>,
    /// When it was in hand: worker, from, to, in milliseconds of work since the run began.
    pub spans: Vec<(u32, u64, u64)>,
    /// Wall seconds of work.
    pub seconds: f64,
    /// Size of the artifact.
    pub bytes: u64,
    /// What it was computed on.
    pub computed_on: String,
    /// What it measured.
    pub metrics: Map<String, Value>,
    /// Units that an earlier run had left done.
    pub resumed_from: u64,
}

/// What became of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Never begun.
    Waiting,
    /// Begun; no end is known.
    Begun,
    /// Computed in this run.
    Done,
    /// Found in the store.
    Stored,
    /// Failed.
    Failed {
        /// What happened.
        reason: String,
        /// The way out.
        hint: Option<String>,
    },
    /// Left out.
    Skipped {
        /// Why.
        because: String,
    },
}

impl State {
    /// One word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Begun => "unfinished",
            Self::Done => "done",
            Self::Stored => "stored",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
        }
    }

    /// Whether there is an artifact.
    pub fn has_result(&self) -> bool {
        matches!(self, Self::Done | Self::Stored)
    }
}

/// Part of a study that a measurement belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Branch {
    /// The equal-steps control.
    Control,
    /// What trains a reward model.
    Reward,
    /// The search for a temperature.
    Search,
    /// The evolution; its iteration 0 is the policy it starts from.
    Evolution,
}

impl Branch {
    /// The word that events have for it; the ground is where the evolution begins.
    pub fn of(word: &str) -> Self {
        match word {
            "control" => Self::Control,
            "reward" => Self::Reward,
            "search" => Self::Search,
            _ => Self::Evolution,
        }
    }

    /// Such as `evolution`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Reward => "reward",
            Self::Search => "search",
            Self::Evolution => "evolution",
        }
    }
}

/// Where in a study something was measured. Sorts by iteration, the evolution after the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// From 1; 0 for the policy that the evolution starts from.
    pub iteration: u32,
    /// Which part.
    pub branch: Branch,
}

/// Something measured at a place in a study.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured<T> {
    /// Where.
    pub at: At,
    /// What.
    pub value: T,
}

/// One recipe of the run, and what was measured of it.
#[derive(Clone, Debug, Default)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Values of the axes, as the caller handed them in.
    pub values: Map<String, Value>,
    /// Iterations that were planned.
    pub iterations: u32,
    /// Whether its results are those of the iteration that is best on validation, not of the last.
    pub quotes_best: bool,
    /// After which iteration it stopped early, and why.
    pub stopped: Option<Stopped>,
    /// Whether a warm-up comes before the first iteration.
    pub warmed_up: bool,
    /// Wall seconds of the stages that it uses, those that it shares with others in full.
    pub seconds: f64,
    /// What kept it from its end; `None` when everything of it has a result.
    pub trouble: Option<Trouble>,
    /// Iterations of the evolution of which something has no result, with the word that says most:
    /// `failed`, `unfinished`, `skipped` or `waiting`.
    pub troubles: BTreeMap<u32, &'static str>,
    /// Parameters of the model it starts from.
    pub parameters: Option<u64>,
    /// Prompts by split.
    pub prompts: Option<Prompts>,
    /// Gains whose interval is paired by prompt, as the caller handed the outcomes in.
    pub paired: BTreeMap<Metric, Estimate>,
    /// Greedy accuracies.
    pub evaluations: Vec<Measured<Evaluated>>,
    /// What sampling finds with the policies of the evolution and the control.
    pub monitors: Vec<Measured<Monitored>>,
    /// What searches for a temperature measured, of the policy before the iteration.
    pub searches: Vec<Measured<Monitored>>,
    /// The temperatures that were chosen, by the iteration that first explored at them.
    pub balances: Vec<Measured<Balanced>>,
    /// Exploration; iteration 0 is the warm-up. That of a reward model has a branch of its own.
    pub explorations: Vec<Measured<Explored>>,
    /// Selection; iteration 0 is the warm-up.
    pub selections: Vec<Measured<Selected>>,
    /// How many pseudo answers are the hidden ones.
    pub agreements: Vec<Measured<Agreed>>,
    /// Training; iteration 0 is the warm-up.
    pub trainings: Vec<Measured<Trained>>,
    /// Reward models; iteration 0 is the first.
    pub rewards: Vec<Measured<Rewarded>>,
}

/// What kept a member from its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// `failed`, `unfinished`, `skipped` or `waiting`: of its stages, the word that says most.
    pub word: &'static str,
    /// The stage that it is about, and what happened there.
    pub why: String,
}

/// First against last, and against the control, on one split.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    /// The policy that the evolution starts from.
    pub first: Option<&'a Evaluated>,
    /// The policy that is quoted: the last of the evolution that was measured, or the best.
    pub last: &'a Evaluated,
    /// Its iteration.
    pub iteration: u32,
    /// The equal-steps control at the same iteration.
    pub control: Option<&'a Evaluated>,
}

/// Time and stages of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeOfKind {
    /// The kind.
    pub kind: String,
    /// Stages that ran.
    pub ran: usize,
    /// Stages that were found.
    pub stored: usize,
    /// Wall seconds of work.
    pub seconds: f64,
}

impl Study {
    /// Folds a log, in its order.
    pub fn read(records: &[Record]) -> Self {
        let mut fold = Fold::default();
        for record in records {
            fold.take(record);
        }
        fold.finish()
    }

    /// Several runs as one study: their members side by side, with the run among their values, and
    /// with the run before their names where two are called alike.
    #[must_use]
    pub fn joined(studies: Vec<Self>) -> Self {
        super::fold::join(studies)
    }

    /// Tells each member the values of its axes; the log does not know them.
    #[must_use]
    pub fn with_values(mut self, values: &BTreeMap<String, Map<String, Value>>) -> Self {
        for member in &mut self.members {
            if let Some(values) = values.get(&member.name) {
                member.values.clone_from(values);
            }
        }
        self
    }

    /// Puts the members into the order of these names; the log has them as its stages come.
    #[must_use]
    pub fn in_order<'a>(mut self, names: impl Iterator<Item = &'a str>) -> Self {
        let places: BTreeMap<&str, usize> = names.zip(0..).collect();
        let place = |member: &Member| places.get(member.name.as_str()).copied();
        self.members.sort_by_key(|member| place(member).unwrap_or(usize::MAX));
        self
    }

    /// Wall seconds by kind, the longest first.
    pub fn time_by_kind(&self) -> Vec<TimeOfKind> {
        let mut kinds: IndexMap<&str, TimeOfKind> = IndexMap::new();
        for stage in &self.stages {
            let kind = &stage.summary.kind;
            let entry = kinds.entry(kind).or_insert_with(|| TimeOfKind {
                kind: kind.clone(),
                ran: 0,
                stored: 0,
                seconds: 0.0,
            });
            entry.seconds += stage.seconds;
            entry.ran += usize::from(!stage.spans.is_empty() || stage.state == State::Done);
            entry.stored += usize::from(stage.state == State::Stored);
        }
        let mut kinds: Vec<_> = kinds.into_values().collect();
        kinds.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        kinds
    }

    /// Stages that failed, were skipped or never ended, in the order of the plan.
    pub fn unfinished(&self) -> impl Iterator<Item = &StageRow> {
        self.stages.iter().filter(|stage| !stage.state.has_result())
    }

    /// The members that are shown in full: the one that leads, and where they are few the others in
    /// order.
    pub(super) fn shown(&self) -> Vec<&Member> {
        let Some(leader) = self.leader() else { return Vec::new() };
        if self.members.len() > MEMBERS_SHOWN {
            return vec![leader];
        }
        let others = self.members.iter().filter(|member| member.name != leader.name);
        std::iter::once(leader).chain(others).collect()
    }

    /// The member to show first: the one that ends highest on validation (never chosen by test),
    /// or the first.
    pub fn leader(&self) -> Option<&Member> {
        let ends = |member: &Member| {
            member.comparison("validation").map_or(f64::NEG_INFINITY, |it| it.last.accuracy)
        };
        // `max_by` keeps the last of equals; the first is wanted.
        self.members.iter().rev().max_by(|a, b| ends(a).total_cmp(&ends(b)))
    }
}

impl Member {
    /// An evaluation, when it was measured.
    pub fn evaluation(&self, split: &str, branch: Branch, iteration: u32) -> Option<&Evaluated> {
        let at = At { iteration, branch };
        let found = self.evaluations.iter().find(|it| it.at == at && it.value.split == split);
        found.map(|it| &it.value)
    }

    /// All evaluations of a branch on a split, by iteration. The control's begin, like the
    /// evolution's, with the policy that both start from.
    pub fn curve(&self, split: &str, branch: Branch) -> Vec<(u32, &Evaluated)> {
        let mine = |at: At| at.branch == branch || at.iteration == 0;
        let points = self.evaluations.iter().filter(|it| mine(it.at) && it.value.split == split);
        points.map(|it| (it.at.iteration, &it.value)).collect()
    }

    /// One word for what became of it: `done`, or that of its trouble.
    pub fn state(&self) -> &'static str {
        self.trouble.as_ref().map_or("done", |trouble| trouble.word)
    }

    /// Whether anything was measured of the control.
    pub fn has_control(&self) -> bool {
        self.evaluations.iter().any(|it| it.at.branch == Branch::Control)
    }

    /// The split that the result is read from: `test` when it was measured, else `validation`.
    pub fn result_split(&self) -> &'static str {
        let test = self.evaluations.iter().any(|it| it.value.split == "test");
        if test { "test" } else { "validation" }
    }

    /// The iteration with the highest greedy accuracy on validation, of equal ones the earliest;
    /// `None` when the results are those of the last one.
    pub fn best(&self) -> Option<u32> {
        let curve = self.curve("validation", Branch::Evolution);
        let evolved = curve.iter().rev().filter(|(iteration, _)| *iteration > 0);
        let best = evolved.max_by(|(_, a), (_, b)| a.accuracy.total_cmp(&b.accuracy));
        best.filter(|_| self.quotes_best).map(|(iteration, _)| *iteration)
    }

    /// Whether what was measured at an iteration is the member's result: nothing of the evolution
    /// that could change it is missing.
    pub fn is_final(&self, iteration: u32) -> bool {
        let from = if self.quotes_best { 1 } else { iteration + 1 };
        self.troubles.range(from..).next().is_none()
    }

    /// First against what is quoted on a split; `None` when nothing of the evolution was measured.
    pub fn comparison(&self, split: &str) -> Option<Comparison<'_>> {
        let curve = self.curve(split, Branch::Evolution);
        let best = self.best().and_then(|best| curve.iter().find(|(at, _)| *at == best));
        let (iteration, last) = *best.or(curve.last())?;
        Some(Comparison {
            first: self.evaluation(split, Branch::Evolution, 0).filter(|_| iteration > 0),
            last,
            iteration,
            control: self.evaluation(split, Branch::Control, iteration),
        })
    }

    /// What was measured at an iteration of the evolution.
    pub fn at<T>(measured: &[Measured<T>], iteration: u32) -> Option<&T> {
        let at = At { iteration, branch: Branch::Evolution };
        measured.iter().find(|it| it.at == at).map(|it| &it.value)
    }

    /// The last that was measured of the policies of the evolution, or what is quoted of them.
    pub(super) fn quoted<'a, T>(&self, measured: &'a [Measured<T>]) -> Option<&'a T> {
        let best = self.best();
        let is_it = |it: &&Measured<T>| {
            it.at.branch == Branch::Evolution
                && best.is_none_or(|best| best == it.at.iteration)
                && self.is_final(it.at.iteration)
        };
        measured.iter().rfind(is_it).map(|it| &it.value)
    }

    /// Every iteration of which something was planned, up to an early stop.
    pub fn all_iterations(&self) -> std::ops::RangeInclusive<u32> {
        let stopped = self.stopped.as_ref().and_then(|it| it.stopped_after);
        0..=stopped.unwrap_or(self.iterations)
    }

    /// What iteration 0 is: `warm-up`, or `base` where there is none.
    pub fn start(&self) -> &'static str {
        if self.warmed_up { "warm-up" } else { "base" }
    }

    /// `iteration 6`, or what comes before the first.
    pub(super) fn after(&self, iteration: u32) -> String {
        if iteration == 0 { self.start().into() } else { format!("iteration {iteration}") }
    }

    /// The same, as short as a table wants it.
    pub(super) fn row_name(&self, iteration: u32) -> String {
        if iteration == 0 { self.start().into() } else { iteration.to_string() }
    }
}
