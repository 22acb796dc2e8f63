//! The checkpoints that recipes name by their folder: found beside the file that names them, and read
//! once for their digest.

use super::data_files::beside;
use crate::base::{Digest, Fault, Faults, Hint as _};
use crate::data::loaders::CheckpointFolder;
use crate::plan::Member;
use crate::recipe::Origin;
use std::collections::BTreeMap;
use std::path::Path;

/// The digest of every folder that members name as their model. In each member the model becomes the
/// path at which it lies; names that may be on the hub stay as they are.
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
        let model = &mut member.recipe.policy.model;
        if model.starts_with("builtin:") {
            continue;
        }
        let origin = origin(&member.name, "policy.model");
        let path = beside(origin.as_ref(), file).join(&*model);
        if !path.is_dir() && may_be_on_the_hub(model) {
            continue;
        }
        let shown = path.display().to_string();
        if !found.contains_key(&shown) {
            match digest(&path) {
                Ok(digest) => drop(found.insert(shown.clone(), digest)),
                Err(fault) => {
                    let place = origin.as_ref().and_then(Origin::place).cloned();
                    let fault = Fault { place, ..fault };
                    if !faults.contains(&fault) {
                        faults.push(fault);
                    }
                }
            }
        }
        *model = shown;
    }
    if faults.is_empty() { Ok(found) } else { Err(Faults(faults)) }
}

/// The digest of a checkpoint in a folder.
///
/// # Errors
/// When there is no such folder, or it is no checkpoint.
pub(crate) fn digest(path: &Path) -> Result<Digest, Fault> {
    let digest = CheckpointFolder::open(path).and_then(|folder| folder.digest());
    digest.map_err(|error| Fault {
        code: "bad-model",
        message: error.to_string(),
        hint: error.hint(),
        place: None,
    })
}

/// Whether a name has the form of a hub id, `OWNER/NAME`.
fn may_be_on_the_hub(model: &str) -> bool {
    let parts: Vec<&str> = model.split('/').collect();
    let is_name = |part: &&str| !part.is_empty() && !part.starts_with(['.', '~']);
    parts.len() == 2 && parts.iter().all(is_name)
}
