//! Locks of what was planned, and how they agree with what is planned now.

use super::packing::script_paths;
use super::places::beside;
use crate::base::Digest;
use crate::bundle::{Lock, LockedMember, LockedModel, LockedStage, MadeBy};
use crate::cli::data_files::{benchmark_without_folder, without_folder};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::files;
use crate::cli::frozen::to_map;
use crate::cli::planning::PlannedGraph;
use crate::cli::printer::Printer;
use crate::event::Versions;
use crate::hub::{Inside, Repo};
use crate::plan::{Node, Stage, digest_of_name};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Keys of a recipe that never decide a result.
const NO_MATTER: [&str; 4] = ["format", "name", "description", "run"];

/// Where something is computed.
pub(crate) struct Here<'a> {
    /// Versions of everything that takes part.
    pub(crate) versions: &'a Versions,
    /// `cpu` or `cuda`.
    pub(crate) device: &'a str,
}

/// The lock of what was planned.
///
/// # Errors
/// When a recipe of a record cannot be read.
pub(crate) fn lock_of(planned: &PlannedGraph, here: &Here<'_>) -> Result<Lock, Trouble> {
    let made_by = MadeBy {
        mstar: here.versions.mstar.clone(),
        libtorch: here.versions.libtorch.clone(),
        platform: here.versions.platform.clone(),
        device: here.device.to_owned(),
    };
    let stages = planned.graph.nodes().map(|node| locked(node, false)).collect();
    let mut lock = Lock::new(planned.name.clone(), made_by, stages);
    let scripts = script_paths(planned);
    for (path, text) in &planned.scripts {
        lock.hooks.insert(scripts[path].clone(), Digest::of(text.as_bytes()));
    }
    let recipes = planned.recipes.recipes().map_err(|error| {
        let message = format!("a recipe of `{}` cannot be read: {error}", planned.name);
        Trouble::wrong(message, "its record was altered: run the file again")
    })?;
    let by_name = recipes.iter().map(|recipe| digest_of_name(&recipe.policy)).collect();
    let models = planned.models();
    let named = |model: &str| match is_folder(model, &models, &by_name) {
        true => beside(model, &planned.file),
        false => without_cache(model),
    };
    for node in planned.graph.nodes() {
        match &node.stage {
            Stage::Import(import) => {
                let name = named(&import.model);
                let commit = Inside::of(&import.model).map(|it| it.repo.revision().to_owned());
                lock.models.push(LockedModel { name, digest: import.digest, commit });
            }
            Stage::Prepare(_) => lock.data.push(locked(node, true)),
            _ => {}
        }
    }
    let values = |recipe: &crate::recipe::Recipe| {
        let mut leaves = BTreeMap::new();
        let mut map = to_map(recipe);
        map.retain(|key, _| !NO_MATTER.contains(&key.as_str()));
        flatten("", &map, &mut leaves);
        if let Some(Value::String(path)) = leaves.get_mut("hooks.script")
            && let Some(short) = scripts.get(path)
        {
            path.clone_from(short);
        }
        if let Some(Value::String(model)) = leaves.get_mut("policy.model") {
            *model = named(model);
        }
        if let Some(Value::String(source)) = leaves.get_mut("data.source") {
            *source = without_folder(source);
        }
        if let Some(Value::Array(benchmarks)) = leaves.get_mut("data.benchmarks") {
            *benchmarks = benchmarks_without_folders(benchmarks);
        }
        leaves
    };
    let all: Vec<BTreeMap<String, Value>> = recipes.iter().map(values).collect();
    let Some((first, others)) = all.split_first() else { return Ok(lock) };
    let is_shared =
        |key: &String, value: &Value| others.iter().all(|other| other.get(key) == Some(value));
    let shared = first.iter().filter(|(key, value)| is_shared(key, value));
    lock.values = shared.map(|(key, value)| (key.clone(), value.clone())).collect();
    if all.len() > 1 {
        let own = |(member, mut values): (&crate::plan::MemberSummary, BTreeMap<String, Value>)| {
            values.retain(|key, _| !lock.values.contains_key(key));
            LockedMember { name: member.name.clone(), values }
        };
        lock.members = planned.members.iter().zip(all).map(own).collect();
    }
    Ok(lock)
}

/// Benchmarks without the folders in which their files lie.
pub(super) fn benchmarks_without_folders(benchmarks: &[Value]) -> Vec<Value> {
    let texts = benchmarks.iter().filter_map(Value::as_str);
    texts.map(|text| benchmark_without_folder(text).into()).collect()
}

/// Whether a model is a folder of somebody's, and nothing that the hub has. `by_name` are the digests
/// of names, which stand for models of the hub that were not in its cache.
fn is_folder(model: &str, models: &BTreeMap<String, Digest>, by_name: &BTreeSet<Digest>) -> bool {
    let is_read = match models.get(model) {
        Some(digest) => !by_name.contains(digest),
        None => !model.starts_with("builtin:") && !Repo::is_id(model),
    };
    is_read && Inside::of(model).is_none()
}

/// A model of the hub by its id, wherever somebody's cache is; others as they are named.
pub(super) fn without_cache(model: &str) -> String {
    Inside::of(model).map_or_else(|| model.to_owned(), |it| it.repo.id().to_owned())
}

fn locked(node: &Node, with_options: bool) -> LockedStage {
    let mut options = match with_options.then(|| node.stage.options()) {
        Some(Value::Object(options)) => options,
        _ => Map::new(),
    };
    options.retain(|_, value| !value.is_null());
    // The digest pins the files, wherever they lie.
    if let Some(Value::Object(loading)) = options.get_mut("loading") {
        loading.remove("path");
    }
    LockedStage { name: node.name.clone(), key: node.key, options }
}

/// Every value that is set, by dotted key.
fn flatten(path: &str, map: &Map<String, Value>, leaves: &mut BTreeMap<String, Value>) {
    for (key, value) in map {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            Value::Null => {}
            Value::Object(inner) => flatten(&path, inner, leaves),
            _ => {
                leaves.insert(path, value.clone());
            }
        }
    }
}

/// Where the lock of a file lies.
pub(crate) fn lock_beside(file: &Path) -> PathBuf {
    file.with_extension("lock")
}

/// Says what no longer agrees with the lock beside a file, if there is one.
///
/// # Errors
/// When there is a lock that cannot be read, or one of a later format.
pub(crate) fn tell_disagreements(
    planned: &PlannedGraph,
    here: &Here<'_>,
    printer: Printer,
) -> Result<(), Trouble> {
    let path = lock_beside(Path::new(&planned.file));
    if !path.is_file() {
        return Ok(());
    }
    let told = disagreements(&path, planned, here)?;
    if !told.is_empty() {
        let told = told.join("\n  ");
        printer.complain(&format!(
            "warning: `{}` pins something else:\n  {told}\nhint: `mstar lock {}` pins what it is now",
            path.display(),
            planned.file,
        ));
    }
    Ok(())
}

/// What no longer agrees with a lock.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn disagreements(
    path: &Path,
    planned: &PlannedGraph,
    here: &Here<'_>,
) -> Result<Vec<String>, Trouble> {
    let source = files::read_lock(path)?;
    let lock = Lock::parse(&source).map_err(|error| wrong(path, &error))?;
    Ok(lock.disagreements(&lock_of(planned, here)?))
}

/// A fault of a file that is shared.
pub(super) fn wrong(path: &Path, error: &crate::bundle::Error) -> Trouble {
    match Trouble::from_hint(error, Exit::Wrong) {
        Trouble::Said { message, hint, exit } => {
            Trouble::Said { message: format!("`{}`: {message}", path.display()), hint, exit }
        }
        faults => faults,
    }
}
