//! The tests of a recipe, with the files that they name.

use super::asked::Asked;
use super::data_files;
use super::exit::Trouble;
use super::files;
use crate::base::{Fault, Faults};
use crate::hooks::Script;
use crate::judging::Hooks;
use crate::recipe::{self, Data, Recipe, WrittenTrial};
use crate::trial::{self, Case, Files};
use std::path::Path;

/// The tests of a recipe, ready to be tried.
#[derive(Debug)]
pub(crate) struct Trials {
    /// One after the other, as they are written.
    pub(crate) cases: Vec<Case>,
    /// The functions that judge with the recipe.
    pub(crate) hooks: Hooks,
}

impl Trials {
    /// Checks the tests that a recipe holds, and reads what they name from beside it.
    ///
    /// # Errors
    /// Every fault of every test.
    pub(crate) fn read(asked: &Asked, path: &Path) -> Result<Self, Trouble> {
        recipe::check_trials(&asked.resolved)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let recipe = &asked.resolved.recipe;
        let data = asked.members().first().map(|member| &member.recipe.data);
        let (mut cases, mut faults) = (Vec::new(), Vec::new());
        for written in asked.resolved.trials() {
            match case(written, (recipe, data), folder) {
                Ok(case) => cases.push(case),
                Err(fault) => faults.push(fault),
            }
        }
        if !faults.is_empty() {
            return Err(Faults(faults).into());
        }
        let script = match asked.scripts().next() {
            Some((name, text)) => Some(Script::compile(name, text).map_err(Fault::from)?),
            None => None,
        };
        Ok(Self { cases, hooks: trial::hooks(recipe, script) })
    }
}

fn case(
    written: &WrittenTrial,
    (recipe, data): (&Recipe, Option<&Data>),
    folder: &Path,
) -> Result<Case, Fault> {
    let read = |key: &str, path: &str| files::read_beside(path, folder, written.place(key));
    let sample = written.trial.sample.as_deref();
    let named = sample.filter(|it| recipe::is_file(it));
    let of_files = match (sample.and_then(recipe::sample_of_files), data) {
        (Some(number), Some(data)) => Some(data_files::sample(data, number).map_err(|told| {
            let hint = told.1.unwrap_or_else(|| "name another, or write `question`".to_owned());
            written.fault("unknown-sample", "sample", told.0, &hint)
        })?),
        _ => None,
    };
    let response = written.trial.response_file.as_deref();
    let files = Files {
        of_files,
        sample: named.map(|path| read("sample", path)).transpose()?,
        response: response.map(|path| read("response_file", path)).transpose()?,
    };
    trial::prepare(written, recipe, &files)
}
