//! What a file asks for: one recipe, or the members of an experiment; read, resolved and lowered.

use super::arguments::Over;
use super::data_files;
use super::exit::Trouble;
use super::fetching;
use super::files;
use super::frozen::to_map;
use super::model_files;
use super::planning::{self, RecipesByName};
use super::printer::Printer;
use super::progress::counting;
use super::scripts;
use super::sources;
use crate::base::{Digest, Fault, Faults, Key, Place, Source};
use crate::hub::Repo;
use crate::plan::{self, Facts, FilesFacts, Graph, Member, MemberSummary, ScriptFacts};
use crate::recipe::{
    self, Expanded, Experiment, Finding, Layers, Origin, Resolved, Stack, TableSpec, is_experiment,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// A recipe or an experiment that passed every check.
#[derive(Debug)]
pub(crate) struct Asked {
    /// What people call it.
    pub(crate) name: String,
    /// Its members, as the report names them.
    pub(crate) summaries: Vec<MemberSummary>,
    /// How the report lays them out.
    pub(crate) table: Option<TableSpec>,
    /// What it is to show.
    pub(crate) findings: Vec<Finding>,
    /// What is worth knowing and no fault.
    pub(crate) notes: Vec<Fault>,
    /// The recipe; of an experiment what its members have in common.
    pub(crate) resolved: Resolved,
    file: Source,
    over: Over,
    members: Vec<Member>,
    experiment: Option<(Experiment, Expanded)>,
    /// Where a member stands among those of the experiment.
    positions: BTreeMap<String, usize>,
    scripts: BTreeMap<String, ScriptFacts>,
    files: BTreeMap<String, FilesFacts>,
    /// Digests of the checkpoints in folders, the cache of the hub included.
    models: BTreeMap<String, Digest>,
}

impl Asked {
    /// Reads a file with everything that is laid over it.
    pub(crate) fn read(path: &Path, over: &Over) -> Result<Self, Trouble> {
        Self::read_as(path, over, true)
    }

    /// The same for its tests, which need neither data nor a checkpoint.
    pub(crate) fn read_for_tests(path: &Path, over: &Over) -> Result<Self, Trouble> {
        Self::read_as(path, over, false)
    }

    fn read_as(path: &Path, over: &Over, with_data: bool) -> Result<Self, Trouble> {
        let file = files::read_recipe(path)?;
        let mut asked = if is_experiment(&file) {
            Self::experiment(path, file, over)?
        } else if let Some(base) = &over.base {
            let message = format!("`{}` is a recipe and has no base", path.display());
            let hint = format!("run `{}` itself, or name an experiment", base.display());
            return Err(Trouble::wrong(message, hint));
        } else {
            let resolved = planning::resolve_parts(path, &over.set)?;
            let name = resolved.recipe.name.clone();
            let member = Member { name: name.clone(), recipe: resolved.recipe.clone() };
            let values = serde_json::Map::new();
            Self {
                summaries: vec![MemberSummary { name: name.clone(), values }],
                members: vec![member],
                name,
                table: None,
                findings: Vec::new(),
                notes: Vec::new(),
                resolved,
                file,
                over: over.clone(),
                experiment: None,
                positions: BTreeMap::new(),
                scripts: BTreeMap::new(),
                files: BTreeMap::new(),
                models: BTreeMap::new(),
            }
        };
        let mut members = std::mem::take(&mut asked.members);
        let origin = |member: &str, key: &str| asked.origin_of(member, key);
        let scripts = scripts::read(&mut members, path, &origin);
        let (mut files, mut models) = (Ok(BTreeMap::new()), Ok(BTreeMap::new()));
        if with_data {
            files = data_files::read(&mut members, path, &origin);
            models = model_files::read(&mut members, path, &origin);
        } else {
            data_files::locate(&mut members, path, &origin);
        }
        let mut faults = Vec::new();
        asked.scripts = or_told(scripts, &mut faults);
        asked.files = or_told(files, &mut faults);
        asked.models = or_told(models, &mut faults);
        if !faults.is_empty() {
            return Err(Faults(faults).into());
        }
        asked.members = members;
        asked.choose(&over.only)?;
        asked.notes.extend(recipe::misspelt_variables(&planning::environment()?));
        asked.notes.extend(asked.not_fetched());
        Ok(asked)
    }

    fn experiment(path: &Path, file: Source, over: &Over) -> Result<Self, Trouble> {
        let experiment = Experiment::read(&file)?;
        let (base_path, base) = base_of(&experiment, path, over.base.as_deref())?;
        if is_experiment(&base) {
            let place = experiment.base.as_ref().map(|base| base.1.clone());
            return Err(Fault {
                code: "base-is-experiment",
                message: format!("the base `{}` is an experiment itself", base.name),
                hint: Some("name a recipe".to_owned()),
                place: place.filter(|_| over.base.is_none()),
            }
            .into());
        }
        let layers =
            Layers { file: base, environment: planning::environment()?, set: over.set.clone() };
        let mut load = |name: &str, place: &Place| files::read_extended(name, place, &base_path);
        let stack = Stack::read(&layers, &mut load)?;
        let mut expanded = experiment.expand(&stack)?;
        let members = expanded.members.iter_mut().map(|member| Member {
            name: member.name.clone(),
            recipe: std::mem::take(&mut member.recipe),
        });
        let members: Vec<Member> = members.collect();
        let positions = members.iter().enumerate().map(|(at, it)| (it.name.clone(), at)).collect();
        let summaries = expanded.members.iter().map(|member| MemberSummary {
            name: member.name.clone(),
            values: member.values.clone(),
        });
        Ok(Self {
            name: experiment.name.clone(),
            summaries: summaries.collect(),
            table: expanded.table.clone(),
            findings: expanded.findings.clone(),
            notes: std::mem::take(&mut expanded.notes),
            resolved: expanded.base.clone(),
            file,
            over: over.clone(),
            members,
            experiment: Some((experiment, expanded)),
            positions,
            scripts: BTreeMap::new(),
            files: BTreeMap::new(),
            models: BTreeMap::new(),
        })
    }

    /// Keeps the members whose names fit one of the patterns; all when there is none.
    fn choose(&mut self, patterns: &[String]) -> Result<(), Trouble> {
        if patterns.is_empty() {
            return Ok(());
        }
        let mut chosen = BTreeSet::new();
        for text in patterns {
            let pattern = glob::Pattern::new(text).map_err(|error| {
                let message = format!("`{text}` is no pattern: {}", error.msg);
                Trouble::wrong(message, "`*` stands for any text, `?` for one character")
            })?;
            let fits = self.members.iter().filter(|member| pattern.matches(&member.name));
            let before = chosen.len();
            chosen.extend(fits.map(|member| member.name.clone()));
            if chosen.len() == before {
                let message = format!("no member fits `{text}`");
                return Err(Trouble::wrong(message, self.names_hint()));
            }
        }
        self.members.retain(|member| chosen.contains(&member.name));
        self.summaries.retain(|member| chosen.contains(&member.name));
        Ok(())
    }

    fn names_hint(&self) -> String {
        let names: Vec<_> =
            self.members.iter().take(6).map(|it| format!("`{}`", it.name)).collect();
        match self.members.len() - names.len() {
            0 => format!("members are {}", names.join(", ")),
            more => format!("members are {} and {more} more", names.join(", ")),
        }
    }

    /// Whether it is an experiment, and no recipe on its own.
    pub(crate) fn is_experiment(&self) -> bool {
        self.experiment.is_some()
    }

    /// The file, as it was given.
    pub(crate) fn file_name(&self) -> &str {
        &self.file.name
    }

    /// The members with what each resolved to.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// What each member resolved to, by name.
    pub(crate) fn recipes(&self) -> RecipesByName {
        let table = |it: &Member| (it.name.clone(), Rc::new(to_map(&it.recipe)));
        self.members.iter().map(table).collect()
    }

    /// The scripts that members name: path and text.
    pub(crate) fn scripts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.scripts.iter().map(|(path, script)| (path.as_str(), script.text.as_str()))
    }

    /// The files of the data that members name, by source.
    pub(crate) fn files(&self) -> &BTreeMap<String, FilesFacts> {
        &self.files
    }

    /// The text of the file, as it was given.
    pub(crate) fn text(&self) -> &str {
        &self.file.text
    }

    /// Every value with where it came from, as TOML; of an experiment what its members have in common.
    pub(crate) fn to_toml(&self) -> String {
        match &self.experiment {
            Some((experiment, _)) => self.resolved.to_toml_of_many(&experiment.axes()),
            None => self.resolved.to_toml(),
        }
    }

    /// What must be brought from the hub before it can run.
    pub(crate) fn missing(&self) -> Vec<Repo> {
        let missing = fetching::missing(&self.members, &self.models);
        missing.into_iter().map(|(_, _, repo)| repo).collect()
    }

    fn not_fetched(&self) -> Vec<Fault> {
        let note = |(key, member, repo): (&str, String, Repo)| {
            let command = fetching::command(&repo);
            Fault {
                code: "not-fetched",
                message: format!("`{repo}` is not in the cache and so is planned by its name"),
                hint: Some(format!("`mstar run` brings it first, and so does `{command}`")),
                place: self.place(&member, key),
            }
        };
        fetching::missing(&self.members, &self.models).into_iter().map(note).collect()
    }

    /// The graph of all members.
    ///
    /// # Errors
    /// For data that nothing has the name of, and when two members of an experiment would do exactly
    /// the same.
    pub(crate) fn graph(&self, printer: Printer) -> Result<Graph, Faults> {
        self.lowered(printer).map_err(|faults| self.blaming_sets(faults))
    }

    /// Faults of members that do the same name the values of the command line without which they
    /// would not.
    fn blaming_sets(&self, mut faults: Faults) -> Faults {
        if !faults.0.iter().all(|fault| fault.code == SAME) || self.over.set.len() > SETS_TRIED {
            return faults;
        }
        let makes_same = |at: &usize| {
            let mut over = self.over.clone();
            over.set.remove(*at);
            let without = Self::read(Path::new(&self.file.name), &over);
            without.is_ok_and(|without| without.lowered(Printer::new(true)).is_ok())
        };
        let blamed = (0..self.over.set.len()).filter(makes_same);
        let named: Vec<String> =
            blamed.map(|at| format!("`--set {}`", self.over.set[at])).collect();
        if !named.is_empty() {
            for fault in &mut faults.0 {
                let hint = fault.hint.take().unwrap_or_default();
                fault.hint = Some(format!("leave out {}, or {hint}", named.join(" and ")));
            }
        }
        faults
    }

    fn lowered(&self, printer: Printer) -> Result<Graph, Faults> {
        let mut facts =
            Facts { scripts: self.scripts.clone(), files: self.files.clone(), ..planning::facts() };
        facts.models.extend(self.models.clone());
        sources::check(&self.members, &facts, &|member, key| self.place(member, key))?;
        let bar = counting(printer, "planning", self.members.len());
        let graph = plan::lower(bar.wrap_iter(self.members.iter()), &facts);
        if let Some((experiment, expanded)) = &self.experiment {
            refuse_same(&graph, experiment, expanded)?;
        }
        Ok(graph)
    }

    /// Where the value of a key in a member came from, such as `b.toml:14`; none for a default.
    pub(crate) fn origin(&self, member: &str, key: &str) -> Option<String> {
        let origin = self.origin_of(member, key)?;
        origin.place().is_some().then(|| origin.to_string())
    }

    fn place(&self, member: &str, key: &str) -> Option<Place> {
        self.origin_of(member, key).and_then(|origin| origin.place().cloned())
    }

    fn origin_of(&self, member: &str, key: &str) -> Option<Origin> {
        match &self.experiment {
            Some((experiment, expanded)) => {
                let member = &expanded.members[*self.positions.get(member)?];
                Some(expanded.origin(experiment, member, key))
            }
            None => self.resolved.origins.get(key).cloned(),
        }
    }
}

/// What was read; else nothing, and why among the faults.
fn or_told<T: Default>(read: Result<T, Faults>, faults: &mut Vec<Fault>) -> T {
    read.unwrap_or_else(|Faults(more)| {
        faults.extend(more);
        T::default()
    })
}

/// The base recipe, and its path for what it extends.
fn base_of(
    experiment: &Experiment,
    path: &Path,
    given: Option<&Path>,
) -> Result<(PathBuf, Source), Trouble> {
    if let Some(given) = given {
        return Ok((given.to_owned(), files::read_recipe(given)?));
    }
    let Some((base, place)) = &experiment.base else {
        return Err(Fault {
            code: "missing-base",
            message: "the experiment names no base recipe".to_owned(),
            hint: Some(
                "write `base = \"recipe.toml\"` at the top, or give `--base FILE`".to_owned(),
            ),
            place: Some(experiment.source.place(0..0)),
        }
        .into());
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok((folder.join(base), files::read_extended(base, place, path)?))
}

/// Refuses members that lower to the same stages: a table would show one result twice.
fn refuse_same(graph: &Graph, experiment: &Experiment, expanded: &Expanded) -> Result<(), Faults> {
    let mut stages: BTreeMap<&str, Vec<Key>> = BTreeMap::new();
    for node in graph.nodes() {
        for member in &node.members {
            stages.entry(member).or_default().push(node.key);
        }
    }
    let mut first: BTreeMap<&[Key], &recipe::MemberRecipe> = BTreeMap::new();
    let mut faults: Vec<Fault> = Vec::new();
    for member in &expanded.members {
        let Some(keys) = stages.get(member.name.as_str()) else { continue };
        let Some(same) = first.get(keys.as_slice()) else {
            first.insert(keys, member);
            continue;
        };
        let differs = member.values.iter().find(|(key, value)| {
            same.values.get(key.as_str()) != Some(*value) && key.as_str() != recipe::MEMBER
        });
        let place = match differs {
            Some((key, _)) => expanded.origin(experiment, member, key).place().cloned(),
            None => Some(experiment.source.place(0..0)),
        };
        let what =
            differs.map_or_else(String::new, |(key, _)| format!(": `{key}` changes nothing there"));
        faults.push(Fault {
            code: SAME,
            message: format!("`{}` and `{}` would do the same{what}", same.name, member.name),
            hint: Some("leave one out with a `[[skip]]`".to_owned()),
            place,
        });
        if faults.len() >= SAME_TOLD {
            break;
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Faults(faults)) }
}

/// The fault of members that would do the same.
const SAME: &str = "same-members";

/// Values of the command line of which each is left out to see whether it made members equal.
const SETS_TRIED: usize = 16;

/// Pairs of equal members that are told; of more the first say it all.
const SAME_TOLD: usize = 10;
