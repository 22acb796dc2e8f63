//! What goes into a bundle: the recipe, what it led to, and what was measured.

use super::places::below;
use super::{ARTIFACTS, EVENTS, GRAPH, Here, LOCK, RECIPE, REPORT, RESOLVED, TABLE, lock_of};
use crate::base::Key;
use crate::bundle::{Content, Member, WEIGHTS, check_name, safe_name};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::planning::{PlannedGraph, last_policy_of, of_store};
use crate::report::{Ending, Study};
use crate::store::{FileEntry, Run, Store};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The report of a run: for programs, and its table for people.
pub(crate) struct Tables {
    /// As `report --format json` has it.
    pub(crate) json: String,
    /// As `report --format markdown` has it.
    pub(crate) markdown: String,
}

/// What a stage left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Left {
    /// Device and library.
    pub(super) computed_on: String,
    /// Its files by name.
    pub(super) files: BTreeMap<String, FileEntry>,
}

/// The members of the bundle of a finished run.
///
/// # Errors
/// When the run is not finished, or something of it is gone.
pub(crate) fn members(
    (store, run): (&Store, &Run),
    planned: &PlannedGraph,
    study: &Study,
    tables: Tables,
    with_weights: bool,
) -> Result<Vec<Member>, Trouble> {
    refuse_unfinished(run, study)?;
    let refuse = |reason: String| {
        let message = format!("`{}` cannot be bundled: {reason}", run.id());
        Trouble::wrong(message, "run the file again: what is stored is not computed again")
    };
    planned.replan().map_err(refuse)?;
    let shared = planned.shared().map_err(refuse)?;
    let here = Here { versions: &study.versions, device: device_of(study) };
    let text = |name: &str, text: String| Member {
        path: name.to_owned(),
        content: Content::Bytes(text.into_bytes()),
    };
    let events = run.events().map_err(of_store)?;
    let whole_lines = events.rfind('\n').map_or(0, |end| end + 1);
    let left = serde_json::to_string_pretty(&left(store, planned)?).expect("it is plain data");
    let mut members = vec![
        text(EVENTS, planned.without_folders(&events[..whole_lines])),
        text(GRAPH, serde_json::to_string(&shared).expect("it is plain data")),
        text(LOCK, lock_of(&shared, &here)?.to_toml()),
        text(RECIPE, planned.without_folders(&run.recipe().map_err(of_store)?)),
        text(RESOLVED, planned.without_folders(&run.resolved().map_err(of_store)?)),
        text(ARTIFACTS, left),
        text(REPORT, tables.json),
        text(TABLE, tables.markdown),
    ];
    let paths = script_paths(&shared);
    members.extend(
        shared.scripts.iter().map(|(path, script)| text(&in_recipe(&paths[path]), script.clone())),
    );
    if with_weights {
        add_weights(store, planned, &mut members)?;
    }
    Ok(members)
}

/// Where a file that belongs to the recipe lies in a bundle.
pub(super) fn in_recipe(path: &str) -> String {
    format!("recipe/{path}")
}

fn refuse_unfinished(run: &Run, study: &Study) -> Result<(), Trouble> {
    let open = study.unfinished().count();
    let refuse = |what: String| {
        let hint = format!("finish it first: `mstar run --resume {}`", run.id());
        Err(Trouble::wrong(format!("`{}` cannot be bundled: {what}", run.id()), hint))
    };
    match (open, study.ending) {
        (0, Ending::Said(_)) => Ok(()),
        (0, Ending::Open) => refuse("it has not ended".to_owned()),
        (1, _) => refuse("a stage of it is not finished".to_owned()),
        (open, _) => refuse(format!("{open} stages of it are not finished")),
    }
}

/// `cpu`, or `cuda` when a stage was computed there.
pub(crate) fn device_of(study: &Study) -> &'static str {
    let on_cuda = study.stages.iter().any(|stage| stage.computed_on.starts_with("cuda"));
    if on_cuda { "cuda" } else { "cpu" }
}

/// What every stage left whose artifact is still there.
pub(super) fn left(store: &Store, planned: &PlannedGraph) -> Result<BTreeMap<Key, Left>, Trouble> {
    let mut all = BTreeMap::new();
    for node in planned.graph.nodes() {
        if let Some(artifact) = store.artifact(node.key).map_err(of_store)? {
            let manifest = artifact.manifest();
            let computed_on = manifest.provenance.computed_on.clone();
            all.insert(node.key, Left { computed_on, files: manifest.files.clone() });
        }
    }
    Ok(all)
}

fn add_weights(
    store: &Store,
    planned: &PlannedGraph,
    members: &mut Vec<Member>,
) -> Result<(), Trouble> {
    let mut taken = BTreeSet::new();
    for member in &planned.members {
        let gone = || {
            let message = format!("the last policy of `{}` is not in the store", member.name);
            Trouble::wrong(message, "run it again, or leave `--weights` out")
        };
        let key = last_policy_of(&planned.graph, &member.name).ok_or_else(gone)?;
        let artifact = store.artifact(key).map_err(of_store)?.ok_or_else(gone)?;
        let folder = free(&safe_name(&member.name), &mut taken);
        let files = artifact.manifest().files.iter();
        for (name, entry) in files.filter(|(name, _)| !is_of_training(name)) {
            let file = fs::File::open(artifact.path(name).map_err(of_store)?);
            let file = file.map_err(|error| Trouble::Said {
                message: format!("`{name}` of `{}` cannot be read: {error}", member.name),
                hint: None,
                exit: Exit::StageFailed,
            })?;
            let path = format!("{WEIGHTS}{folder}/{}", safe_name(name));
            let content = Content::Stream(entry.bytes, entry.digest, Box::new(file));
            members.push(Member { path, content });
        }
    }
    Ok(())
}

/// Whether a file only serves to train on.
fn is_of_training(name: &str) -> bool {
    name.starts_with("optimizer.") || name.starts_with("trainer.")
}

/// Where each script lies beside the recipe: as the recipe names it, where that is possible.
pub(crate) fn script_paths(planned: &PlannedGraph) -> BTreeMap<String, String> {
    let mut taken = BTreeSet::from(["recipe.toml".to_owned(), "resolved.toml".to_owned()]);
    let mut paths = BTreeMap::new();
    for path in planned.scripts.keys() {
        let beside = below(path, &planned.file);
        let beside = beside.filter(|written| check_name(&in_recipe(written)).is_ok());
        let short = beside.unwrap_or_else(|| {
            let name = Path::new(path).file_name().unwrap_or_default().to_string_lossy();
            format!("hooks/{}", safe_name(&name))
        });
        paths.insert(path.clone(), free(&short, &mut taken));
    }
    paths
}

/// The name, or the first like it that nothing has, in capitals or not.
pub(super) fn free(name: &str, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{name}.{number}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    let free = names.find(|name| taken.insert(name.to_ascii_lowercase()));
    free.expect("numbers do not end")
}
