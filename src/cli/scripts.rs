//! The scripts that recipes name: read beside the file that names them, compiled and checked.

use super::data_files::beside;
use super::files;
use crate::base::{Fault, Faults, Place};
use crate::hooks::Script;
use crate::plan::{Member, ScriptFacts};
use crate::recipe::{self, Origin};
use std::collections::BTreeMap;
use std::path::Path;

/// Reads and checks the scripts of all members. In each, the name of the script becomes the path at
/// which it lies, which may differ for one name that several files write.
///
/// # Errors
/// Every fault of every script.
pub(crate) fn read(
    members: &mut [Member],
    file: &Path,
    origin: &dyn Fn(&str, &str) -> Option<Origin>,
) -> Result<BTreeMap<String, ScriptFacts>, Faults> {
    let mut scripts: BTreeMap<String, Script> = BTreeMap::new();
    let mut faults: Vec<Fault> = Vec::new();
    for member in members.iter_mut() {
        let Some(written) = member.recipe.hooks.script.clone() else { continue };
        let origin = origin(&member.name, "hooks.script");
        let place = origin.as_ref().and_then(Origin::place).cloned();
        let folder = beside(origin.as_ref(), file);
        let path = folder.join(&written).display().to_string();
        member.recipe.hooks.script = Some(path.clone());
        if scripts.contains_key(&path) {
            continue;
        }
        let compiled = files::read_script_beside(&written, &folder, place)
            .and_then(|source| Script::compile(&path, &source.text).map_err(Fault::from));
        match compiled {
            Ok(script) => {
                scripts.insert(path, script);
            }
            Err(fault) if faults.contains(&fault) => {}
            Err(fault) => faults.push(fault),
        }
    }
    for (path, script) in &scripts {
        let users = members.iter().filter(|it| it.recipe.hooks.script.as_ref() == Some(path));
        let recipes = users.map(|member| {
            let place = |key: &str| -> Option<Place> {
                origin(&member.name, key).and_then(|origin| origin.place().cloned())
            };
            (&member.recipe, place)
        });
        faults.extend(recipe::check_script(script, recipes));
    }
    if !faults.is_empty() {
        return Err(Faults(faults));
    }
    let facts = |(path, script): (String, Script)| {
        let (name, text) = (script.name().to_owned(), script.text().to_owned());
        (path, ScriptFacts { name, text, moments: script.moments() })
    };
    Ok(scripts.into_iter().map(facts).collect())
}
