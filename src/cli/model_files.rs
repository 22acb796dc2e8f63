//! The checkpoints that recipes name by their folder, beside the file that names them, or that lie
//! in the cache of the hub: found, and read once for their digest.

use super::data_files::beside;
use super::digests::Digests;
use super::fetching::model_in_cache;
use crate::base::{Digest, Fault, Faults, Hint};
use crate::data::loaders::{CheckpointError, CheckpointFolder};
use crate::hub::Repo;
use crate::plan::Member;
use crate::recipe::Origin;
use std::collections::BTreeMap;
use std::path::Path;

/// The digest of every folder that members name as their model. In each member the model becomes the
/// path at which it lies; names of the hub that are not in its cache stay as they are.
///
/// # Errors
/// Every folder that is not there or is no checkpoint.
pub(crate) fn read(
    members: &mut [Member],
    file: &Path,
    origin: &dyn Fn(&str, &str) -> Option<Origin>,
) -> Result<BTreeMap<String, Digest>, Faults> {
    let mut found: BTreeMap<String, Digest> = BTreeMap::new();
    let mut faults: Vec<Fault> = Vec::new();
    for member in members.iter_mut() {
        let policy = &mut member.recipe.policy;
        if policy.model.starts_with("builtin:") {
            continue;
        }
        let mut tell = |origin: Option<&Origin>, error: &dyn Hint| {
            let place = origin.and_then(Origin::place).cloned();
            let (message, hint) = (format!("{error}"), error.hint());
            let fault = Fault { code: "bad-model", message, hint, place };
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        };
        let named_by = origin(&member.name, "policy.model");
        let mut path = beside(named_by.as_ref(), file).join(&policy.model);
        if !path.is_dir() && Repo::is_id(&policy.model) {
            match model_in_cache(policy) {
                Ok(Some(folder)) => path = folder,
                Ok(None) => continue,
                Err(error) => {
                    tell(origin(&member.name, "policy.revision").as_ref(), &error);
                    continue;
                }
            }
        }
        policy.model = path.display().to_string();
        if !found.contains_key(&policy.model) {
            match digest(&path) {
                Ok(digest) => drop(found.insert(policy.model.clone(), digest)),
                Err(error) => tell(named_by.as_ref(), &error),
            }
        }
    }
    if faults.is_empty() { Ok(found) } else { Err(Faults(faults)) }
}

/// The digest of a checkpoint in a folder.
///
/// # Errors
/// When there is no such folder, or it is no checkpoint.
pub(crate) fn digest(path: &Path) -> Result<Digest, CheckpointError> {
    let folder = CheckpointFolder::open(path)?;
    let mut known = Digests::of_environment();
    let digest = folder.digest(&mut |path, file| known.of(path, file));
    known.keep();
    digest
}
