//! From what was typed to a graph: recipes are read and resolved, and planning is told the world.

use super::asked::Asked;
use super::exit::{Exit, Trouble};
use super::files;
use super::frozen::FrozenRecipes;
use super::sources;
use crate::base::{Hint, Key};
use crate::data::checkpoint;
use crate::event::{Event, Outcome, Record};
use crate::plan::{
    Branch, EarlierStage, Facts, FilesFacts, Graph, Known, Measured, MemberSummary, Node,
};
#[cfg(feature = "torch")]
use crate::recipe::Dtype;
use crate::recipe::{self, Layers, Resolved, TableSpec, quoted};
use crate::store::{self, Run, Store};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

/// Runs whose logs and graphs are looked at; older ones say little about this machine.
const RUNS_LOOKED_AT: usize = 3;
/// Runs among which those that did any work are looked for: one that found everything there says
/// nothing about how fast it goes.
const RUNS_TIMED_AMONG: usize = 30;

/// The variables of the environment that are text.
///
/// # Errors
/// When the value of one that speaks of a recipe is not.
pub(crate) fn environment() -> Result<Vec<(String, String)>, Trouble> {
    let mut variables = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => variables.push((name, value)),
            Err(_) if recipe::is_variable(&name) => {
                let message = format!(
                    "the variable `{}` of the environment is not UTF-8 text",
                    quoted(&name)
                );
                return Err(Trouble::wrong(message, "write its value as UTF-8, or unset it"));
            }
            Err(_) => {}
        }
    }
    Ok(variables)
}

/// Reads a recipe and everything that is laid over it.
pub(crate) fn resolve_parts(file: &Path, set: &[String]) -> Result<Resolved, Trouble> {
    let environment = environment()?;
    let layers = Layers { file: files::read_recipe(file)?, environment, set: set.to_vec() };
    let mut load = |path: &str, place: &crate::base::Place| files::read_extended(path, place, file);
    Ok(recipe::resolve(&layers, &mut load)?)
}

/// What planning must be told about the world.
pub(crate) fn facts() -> Facts {
    let mut facts = Facts::default();
    let name = "builtin:mini-vlm";
    if let Some(shipped) = checkpoint::shipped(name) {
        facts.models.insert(name.into(), shipped.digest());
    }
    sources::add_sizes(&mut facts);
    facts
}

/// What recipes resolved to, by the names of members.
pub(crate) type RecipesByName = BTreeMap<String, Rc<Map<String, Value>>>;

/// What a run freezes when it begins: the graph, its members, and each stage as a later plan
/// compares with it. Going on with the run reads this and nothing else.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PlannedGraph {
    /// The graph.
    pub(crate) graph: Graph,
    /// Its stages as they were when planned.
    pub(crate) stages: Vec<EarlierStage>,
    /// Its members, in the order of the experiment.
    #[serde(default)]
    pub(crate) members: Vec<MemberSummary>,
    /// The table that the experiment declares; none for a recipe on its own.
    #[serde(default)]
    pub(crate) table: Option<TableSpec>,
    /// What the experiment is to show.
    #[serde(default)]
    pub(crate) findings: Vec<recipe::Finding>,
    /// What is asked for, by name.
    #[serde(default)]
    pub(crate) name: String,
    /// The file that asks for it, as it was given.
    #[serde(default)]
    pub(crate) file: String,
    /// How its stages are carried out.
    #[serde(default)]
    pub(crate) settings: recipe::Run,
    /// What each member resolved to; empty in records of older versions.
    #[serde(default)]
    pub(crate) recipes: FrozenRecipes,
    /// Texts of the scripts that the members name, by path.
    #[serde(default)]
    pub(crate) scripts: BTreeMap<String, String>,
    /// The files of the data that the members name, by source.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, FilesFacts>,
}

impl PlannedGraph {
    pub(crate) fn of(asked: &Asked, graph: Graph) -> Self {
        let stages = graph.nodes().map(EarlierStage::from).collect();
        Self {
            graph,
            stages,
            members: asked.summaries.clone(),
            table: asked.table.clone(),
            findings: asked.findings.clone(),
            name: asked.name.clone(),
            file: asked.file_name().to_owned(),
            settings: asked.resolved.recipe.run.clone(),
            recipes: FrozenRecipes::of(asked.members()),
            scripts: asked
                .scripts()
                .map(|(path, text)| (path.to_owned(), text.to_owned()))
                .collect(),
            files: asked.files().clone(),
        }
    }
}

impl PlannedGraph {
    /// What the recipes of its members resolved to, by name.
    pub(crate) fn recipes_of_members(&self) -> RecipesByName {
        let names = self.members.iter().map(|member| member.name.clone());
        names.zip(self.recipes.tables()).collect()
    }

    /// That of a member that uses it, by stage.
    pub(crate) fn recipes_of_stages(&self) -> BTreeMap<Key, Rc<Map<String, Value>>> {
        let recipes = self.recipes_of_members();
        let of = |node: &Node| Some((node.key, recipes.get(node.members.first()?)?.clone()));
        self.graph.nodes().filter_map(of).collect()
    }

    /// What a run froze.
    pub(crate) fn read(run: &Run) -> Result<Self, Trouble> {
        let unreadable = |why: &dyn std::fmt::Display| {
            let message = format!("the graph of `{}` cannot be read: {why}", run.id());
            Trouble::wrong(
                message,
                "it was altered, or another version wrote it: run the file again",
            )
        };
        let text = run.graph().map_err(|error| unreadable(&error))?;
        let planned: Self = serde_json::from_str(&text).map_err(|error| unreadable(&error))?;
        planned.graph.check().map_err(|error| unreadable(&error))?;
        Ok(planned)
    }
}

/// What the store knows about the stages of a graph, and how fast earlier runs went.
pub(crate) fn look_back(
    store: Option<&Store>,
    graph: &Graph,
) -> Result<(Known, Measured), Trouble> {
    let mut known = Known::default();
    let mut measured = Measured { sources: sources::lengths(), ..Measured::default() };
    let Some(store) = store else { return Ok((known, measured)) };
    let runs = store.runs().map_err(of_store)?;
    let mut solved = (0.0, 0.0);
    for run in &runs[runs.len().saturating_sub(RUNS_LOOKED_AT)..] {
        // What is gone, or an older version wrote differently, is no reason to stop: it explains
        // nothing then.
        if let Ok(planned) = PlannedGraph::read(run) {
            known.recipes.before.extend(planned.recipes_of_stages());
            known.earlier.extend(planned.stages);
        }
    }
    let mut timed = 0;
    for run in runs.iter().rev().take(RUNS_TIMED_AMONG) {
        timed += usize::from(add_measurements(run, &mut measured, &mut solved));
        if timed == RUNS_LOOKED_AT {
            break;
        }
    }
    if solved.1 > 0.0 {
        measured.solve_rate = Some(solved.0 / solved.1);
    }
    let keys: BTreeSet<_> = graph.nodes().map(|node| node.key).collect();
    let keys = keys.into_iter().chain(known.earlier.iter().map(|stage| stage.key));
    known.stored = keys.filter(|key| matches!(store.artifact(*key), Ok(Some(_)))).collect();
    Ok((known, measured))
}

/// Counts in what a run did; whether it did anything.
fn add_measurements(run: &Run, measured: &mut Measured, solved: &mut (f64, f64)) -> bool {
    let mut kinds = BTreeMap::new();
    let mut has_worked = false;
    // What cannot be read says nothing of this machine.
    let Ok(log) = run.events() else { return false };
    for record in Record::read_log(&log).unwrap_or_default() {
        match record.event {
            Event::Planned { stages, .. } => {
                kinds = stages.into_iter().map(|stage| (stage.key, stage.kind)).collect();
            }
            Event::StageFinished {
                key, outcome: Outcome::Done, seconds, bytes, metrics, ..
            } => {
                let Some(kind) = kinds.get(&key) else { continue };
                has_worked = true;
                let number = |name: &str| metrics.get(name).and_then(Value::as_f64);
                let samples = ["samples", "count", "kept"].into_iter().find_map(number);
                measured.add(kind, samples.unwrap_or(0.0) as u64, seconds, bytes);
                if let (Some(rate), "explore") = (number("mean_correct"), kind.as_str()) {
                    *solved = (solved.0 + rate, solved.1 + 1.0);
                }
            }
            _ => {}
        }
    }
    has_worked
}

/// An error of the store as what the program ends with.
pub(crate) fn of_store(error: store::Error) -> Trouble {
    let exit = if error.is_of_what_was_named() { Exit::Wrong } else { Exit::StageFailed };
    Trouble::from_hint(&error as &dyn Hint, exit)
}

/// What was said in a run.
pub(crate) fn log_of(run: &Run) -> Result<Vec<Record>, Trouble> {
    let text = run.events().map_err(of_store)?;
    Record::read_log(&text).map_err(|(line, error)| {
        let message = format!("line {line} of the log of `{}` cannot be read: {error}", run.id());
        Trouble::wrong(message, "it was altered, or written by a newer mstar: run the file again")
    })
}

/// That the log of a run which nobody carries out holds no record.
pub(crate) fn says_nothing(run: &Run) -> Trouble {
    let message = format!("the log of run `{}` holds no record that can be read", run.id());
    Trouble::wrong(message, "it was altered, or the run ended as it began: run the file again")
}

/// The run that was named, or the latest.
pub(crate) fn find_run(store: &Path, name: Option<&str>) -> Result<(Store, Run), Trouble> {
    let nothing = || {
        let message = format!("there is no run in the store `{}`", store.display());
        Trouble::wrong(message, "start one: `mstar run recipes/quickstart.toml`")
    };
    let opened = Store::open_existing(store).map_err(of_store)?.ok_or_else(nothing)?;
    let run = match name {
        None => match opened.latest_run().map_err(of_store)? {
            Some(run) => run,
            None => {
                let unreadable = opened.unreadable_runs().map_err(of_store)?.pop();
                return Err(unreadable.map_or_else(nothing, of_store));
            }
        },
        Some(name) => match opened.run(name) {
            Err(store::Error::NoSuchRun { .. }) => {
                let runs = opened.runs().map_err(of_store)?;
                find_named("run", name, &runs, Run::id)?.clone()
            }
            found => found.map_err(of_store)?,
        },
    };
    Ok((opened, run))
}

/// Names that a message lists.
const LISTED: usize = 12;

/// The one of its name, or else the only one that the name begins or is a pattern for.
pub(crate) fn find_named<'a, T>(
    what: &str,
    name: &str,
    all: &'a [T],
    name_of: fn(&T) -> &str,
) -> Result<&'a T, Trouble> {
    if let Some(found) = all.iter().find(|it| name_of(it) == name) {
        return Ok(found);
    }
    let pattern = name.contains(['*', '?', '[']).then(|| glob::Pattern::new(name).ok()).flatten();
    // A number is not begun by another: `tiny-1` does not stand for `tiny-12`.
    let is_digit = |c: char| c.is_ascii_digit();
    let goes_on = |rest: &str| !(name.ends_with(is_digit) && rest.starts_with(is_digit));
    let begins = |full: &str| full.strip_prefix(name).is_some_and(goes_on) && !name.is_empty();
    let is_meant = |it: &&T| match &pattern {
        Some(pattern) => pattern.matches(name_of(it)),
        None => begins(name_of(it)),
    };
    let meant: Vec<&T> = all.iter().filter(is_meant).collect();
    let list = |names: &mut dyn Iterator<Item = &T>, count: usize| {
        let mut names: Vec<&str> = names.take(LISTED).map(name_of).collect();
        if count > LISTED {
            names.push("…");
        }
        names.join(", ")
    };
    match meant.as_slice() {
        [one] => Ok(one),
        [] => {
            let hint = match (all.is_empty(), what) {
                (true, "run") => "start one: `mstar run recipes/quickstart.toml`".to_owned(),
                (true, _) => "there is none".to_owned(),
                (false, "run") => {
                    format!("runs in the store: {}", list(&mut all.iter(), all.len()))
                }
                (false, _) => format!("there are: {}", list(&mut all.iter(), all.len())),
            };
            Err(Trouble::wrong(format!("no {what} is called `{name}`"), hint))
        }
        several => {
            let hint = format!("name one: {}", list(&mut several.iter().copied(), several.len()));
            Err(Trouble::wrong(format!("`{name}` could be any of {}", several.len()), hint))
        }
    }
}

/// The stage that made the policy that a member ends with.
pub(crate) fn last_policy_of(graph: &Graph, member: &str) -> Option<Key> {
    let is_policy = |node: &&Node| {
        node.role.branch != Branch::Control
            && matches!(node.stage.kind(), "train" | "import" | "pretrain")
            && node.members.contains(member)
    };
    graph.nodes().filter(is_policy).last().map(|node| node.key)
}

/// The policy that a run, or one of its members, ended with.
#[cfg(feature = "torch")]
pub(crate) struct LastPolicy {
    /// Where it lies.
    pub(crate) folder: std::path::PathBuf,
    /// The type of its weights, by the recipe.
    pub(crate) dtype: Dtype,
}

/// The last policy of a run by its name, or of a member by `RUN/MEMBER`.
#[cfg(feature = "torch")]
pub(crate) fn last_policy(store: &Path, name: &str) -> Result<LastPolicy, Trouble> {
    let (of_run, member) =
        name.split_once('/').map_or((name, None), |(run, member)| (run, Some(member)));
    let (store, run) = find_run(store, Some(of_run))?;
    let planned = PlannedGraph::read(&run)?;
    let member = match (member, planned.members.as_slice()) {
        (Some(member), all) => {
            find_named(&format!("member of `{}`", run.id()), member, all, |it| &it.name)?
        }
        (None, [only]) => only,
        (None, several) => {
            let first = several.first().map_or("NAME", |it| it.name.as_str());
            let message = format!("`{}` has {} members", run.id(), several.len());
            let hint = format!("name one, such as `{}/{first}`", run.id());
            return Err(Trouble::wrong(message, hint));
        }
    };
    let recipes = planned.recipes_of_members();
    let dtype = recipes.get(&member.name).and_then(|recipe| {
        serde_json::from_value(recipe.get("policy")?.get("dtype")?.clone()).ok()
    });
    let policies = planned.graph.nodes().filter(|node| {
        node.role.branch != Branch::Control
            && matches!(node.stage.kind(), "train" | "import" | "pretrain")
            && node.members.contains(&member.name)
    });
    let mut last = None;
    for node in policies {
        if let Some(artifact) = store.artifact(node.key).map_err(of_store)? {
            artifact.verify().map_err(of_store)?;
            last = Some(artifact.path("model.safetensors").map_err(of_store)?);
        }
    }
    let folder = last.and_then(|path| Some(path.parent()?.to_owned())).ok_or_else(|| {
        Trouble::wrong(format!("`{name}` has no policy in the store"), "run it again")
    })?;
    Ok(LastPolicy { folder, dtype: dtype.unwrap_or(Dtype::Fp32) })
}
