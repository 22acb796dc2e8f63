//! A bundle that was read, and everything that can be said of it without running it.

use super::agreement::NEVER_COMPARED;
use super::locking::{benchmarks_without_folders, without_cache};
use super::packing::{Left, in_recipe};
use super::{
    ARTIFACTS, EVENTS, GRAPH, Here, LOCK, RECIPE, REPORT, RESOLVED, TABLE, lock_of, script_paths,
};
use crate::base::Key;
use crate::bundle::{self, Contents, Limits, Lock, Manifest};
use crate::cli::data_files::without_folder;
use crate::cli::exit::Trouble;
use crate::cli::files;
use crate::cli::planning::PlannedGraph;
use crate::cli::recorded;
use crate::event::{Event, Machine, Record};
use crate::report::{Study, to_json};
use crate::store::{self, NewFolder};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// A bundle whose digests all agree.
pub(crate) struct Opened {
    /// What it was called.
    pub(crate) path: PathBuf,
    /// The list of what it holds.
    pub(crate) manifest: Manifest,
    /// What the run froze when it began.
    pub(crate) planned: PlannedGraph,
    /// What the log says.
    pub(crate) study: Study,
    /// What the run had to itself.
    pub(crate) machine: Machine,
    /// Every value that the recipe resolved to.
    pub(crate) resolved: String,
    /// The recipe as it was given.
    pub(crate) recipe: String,
    lock: Lock,
    left: BTreeMap<Key, Left>,
    contents: Contents,
}

/// What was found good.
pub(crate) struct Checked {
    /// Files whose digests agree.
    pub(crate) files: usize,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Stages that follow from the recipe.
    pub(crate) stages: usize,
    /// Metrics that could be read.
    pub(crate) metrics: usize,
}

impl Opened {
    /// Reads a bundle: every digest is checked, and nothing is kept of its weights.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(path: &Path) -> Result<Self, Trouble> {
        let wrong = |error: bundle::Error| super::locking::wrong(path, &error);
        let unreadable = |what: &'static str, reason: String| {
            super::locking::wrong(path, &bundle::Error::Unreadable { what, reason })
        };
        let file = files::open_bundle(path)?;
        let contents = bundle::contents(file, &Limits::default()).map_err(wrong)?;
        let text = |name| contents.text(name).map_err(wrong);
        let lock = Lock::parse(text(LOCK)?).map_err(wrong)?;
        let planned = serde_json::from_str(text(GRAPH)?);
        let planned: PlannedGraph =
            planned.map_err(|error| unreadable(GRAPH, error.to_string()))?;
        let records = Record::read_log(text(EVENTS)?);
        let records =
            records.map_err(|(line, error)| unreadable(EVENTS, format!("line {line}: {error}")))?;
        let left = serde_json::from_str(text(ARTIFACTS)?)
            .map_err(|error| unreadable(ARTIFACTS, error.to_string()))?;
        let (resolved, recipe) = (text(RESOLVED)?.to_owned(), text(RECIPE)?.to_owned());
        let machine = records.iter().rev().find_map(|record| match &record.event {
            Event::RunStarted { machine, .. } => Some(machine.clone()),
            _ => None,
        });
        let values = planned.members.iter().map(|it| (it.name.clone(), it.values.clone()));
        let study = Study::read(&records).with_values(&values.collect());
        Ok(Self {
            path: path.to_owned(),
            manifest: contents.manifest.clone(),
            planned,
            study,
            machine: machine.unwrap_or_default(),
            resolved,
            recipe,
            lock,
            left,
            contents,
        })
    }

    /// Whether one thing follows from the other in it.
    ///
    /// # Errors
    /// The first that does not.
    pub(crate) fn check(&self) -> Result<Checked, Trouble> {
        let path = self.path.display();
        let wrong = |reason: String| {
            Trouble::wrong(
                format!("`{path}`: {reason}"),
                "it was altered after it was bundled, or this mstar works otherwise than the one \
                 that made it",
            )
        };
        let graph = self.planned.replan().map_err(&wrong)?;
        self.check_files().map_err(&wrong)?;
        let here = Here { versions: &self.study.versions, device: &self.lock.made_by.device };
        let told = self.lock.disagreements(&lock_of(&self.planned, &here)?);
        if let Some(first) = told.first() {
            return Err(wrong(format!("its lock does not agree with its run: {first}")));
        }
        self.check_values().map_err(&wrong)?;
        let metrics = self.check_metrics().map_err(&wrong)?;
        Ok(Checked {
            files: self.manifest.members.len(),
            bytes: self.manifest.members.iter().map(|entry| entry.size).sum(),
            stages: graph.len(),
            metrics,
        })
    }

    /// That it holds the scripts of the recipe, and nothing that nobody asks for.
    fn check_files(&self) -> Result<(), String> {
        let mut known: BTreeSet<String> =
            [ARTIFACTS, EVENTS, GRAPH, LOCK, RECIPE, REPORT, RESOLVED, TABLE]
                .map(str::to_owned)
                .into();
        let paths = script_paths(&self.planned);
        for (path, script) in &self.planned.scripts {
            let name = in_recipe(&paths[path]);
            let bytes = self.contents.bytes(&name).map_err(|error| error.to_string())?;
            if bytes != script.as_bytes() {
                return Err(format!("`{name}` is not the script that ran"));
            }
            known.insert(name);
        }
        match self.contents.files().find(|(name, _)| !known.contains(*name)) {
            Some((name, _)) => Err(format!("nothing names its member `{name}`")),
            None => Ok(()),
        }
    }

    /// That the values that people read are those that ran.
    fn check_values(&self) -> Result<(), String> {
        let recipes = self.planned.recipes.recipes().map_err(|error| error.to_string())?;
        let values = recorded::values(&self.resolved);
        for (member, recipe) in self.planned.members.iter().zip(recipes) {
            let recipe = Value::Object(crate::cli::frozen::to_map(&recipe));
            for value in recorded::laid_over(values.clone(), &member.name, &member.values) {
                let pointer = format!("/{}", value.key.replace('.', "/"));
                let is_text = value.key == "hooks.script" || value.key == crate::recipe::MEMBER;
                let Some(ran) = recipe.pointer(&pointer).filter(|_| !is_text) else { continue };
                // Where a table is not set for all, a member may set values in it.
                let is_same = match (value.key.as_str(), ran, &value.value) {
                    ("data.source", Value::String(ran), Value::String(said)) => {
                        without_folder(ran) == without_folder(said)
                    }
                    ("data.benchmarks", Value::Array(ran), Value::Array(said)) => {
                        benchmarks_without_folders(ran) == benchmarks_without_folders(said)
                    }
                    ("policy.model", Value::String(ran), Value::String(said)) => {
                        let name =
                            |model: &str| Path::new(model).file_name().map(ToOwned::to_owned);
                        without_cache(ran) == without_cache(said) || name(ran) == name(said)
                    }
                    (_, ran, said) => ran == said || said.is_null() && ran.is_object(),
                };
                if !is_same {
                    return Err(format!(
                        "`{RESOLVED}` says `{}` is {}, and {ran} ran",
                        value.key,
                        value.in_words(),
                    ));
                }
            }
        }
        Ok(())
    }

    /// That the log is of these stages, that what they measured can be read, and that the report
    /// says the same.
    fn check_metrics(&self) -> Result<usize, String> {
        let planned: BTreeSet<Key> = self.planned.graph.nodes().map(|node| node.key).collect();
        let logged: BTreeSet<Key> = self.study.stages.iter().map(|it| it.summary.key).collect();
        if planned != logged {
            return Err(format!("`{EVENTS}` tells of other stages than `{GRAPH}`"));
        }
        if let Some(stage) = self.study.unfinished().next() {
            return Err(format!("stage `{}` has no result in `{EVENTS}`", stage.summary.name));
        }
        if let Some(note) = self.study.notes.iter().find(|note| note.message.contains(UNREADABLE)) {
            let stage = note.stage.as_deref().unwrap_or_default();
            return Err(format!("stage `{stage}`: {}", note.message));
        }
        let report = self.contents.bytes(REPORT).map_err(|error| error.to_string())?;
        let mut report: Value = serde_json::from_slice(report)
            .map_err(|error| format!("`{REPORT}` cannot be read: {error}"))?;
        let names = self.planned.members.iter().map(|it| it.name.as_str());
        let mut told = to_json(&self.study.clone().in_order(names), None);
        // The table pairs answers, which a bundle does not hold.
        for it in [&mut report, &mut told] {
            if let Value::Object(it) = it {
                it.remove("table");
            }
        }
        if report != told {
            return Err(format!("`{REPORT}` says something else than `{EVENTS}`"));
        }
        let metrics = self.study.members.iter().flat_map(recorded::metrics);
        Ok(metrics.filter(|metric| metric.name != NEVER_COMPARED).count())
    }

    /// What is to be run again, with its data where they lie here; every file of them is checked.
    ///
    /// # Errors
    /// Everything that is not there, or is not what was bundled.
    pub(crate) fn placed(&self, said: &[String]) -> Result<PlannedGraph, Trouble> {
        self.planned.placed(said, &self.path)
    }

    /// Unpacks it into a folder that is not there yet: whole, or nothing at all.
    ///
    /// # Errors
    /// When the folder is there, cannot be written, or the file is by now another.
    pub(crate) fn unpack(&self, folder: &Path) -> Result<(), Trouble> {
        let of_store = crate::cli::planning::of_store;
        let mut new = NewFolder::begin(folder).map_err(of_store)?;
        let mut failure: Option<store::Error> = None;
        let file = files::open_bundle(&self.path)?;
        let read = bundle::read(file, &Limits::default(), &mut |entry, piece| match new
            .append(&entry.path, piece)
        {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        });
        if let Some(error) = failure {
            return Err(of_store(error));
        }
        let manifest = read.map_err(|error| super::locking::wrong(&self.path, &error))?;
        if manifest != self.manifest {
            let message = format!("`{}` changed while it was read", self.path.display());
            return Err(Trouble::wrong(message, "begin again"));
        }
        new.finish().map_err(of_store)
    }

    /// Threads that each worker had, where all stages were computed on a processor with the same.
    pub(crate) fn threads(&self) -> Option<u32> {
        let of_stage = |words: &str| -> Option<u32> {
            let (number, _) = words.strip_prefix("cpu, ")?.split_once(" threads")?;
            number.parse().ok().filter(|threads| *threads > 0)
        };
        let mut all = self.study.stages.iter().map(|stage| of_stage(&stage.computed_on));
        let first = all.next()??;
        all.all(|threads| threads == Some(first)).then_some(first)
    }

    /// What each stage left in the run that was bundled.
    pub(super) fn left(&self) -> &BTreeMap<Key, Left> {
        &self.left
    }
}

/// What the report says of metrics that it cannot read.
const UNREADABLE: &str = "the report cannot read its metrics";
