//! Files that results go to, which are never those that somebody wrote.

use super::exit::Trouble;
use crate::data::loaders::{Picture, Unread};
use std::path::Path;

/// Ends of the names of recipes, experiments and scripts.
const WRITTEN: [&str; 2] = ["toml", "rhai"];

/// Refuses to put a result in the place of a recipe, an experiment or a script: nobody has another
/// copy of these, and whoever names one here meant to read it.
///
/// # Errors
/// When there is such a file at the path.
pub(crate) fn spare_written(path: &Path) -> Result<(), Trouble> {
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
    if WRITTEN.contains(&end) && path.symlink_metadata().is_ok() {
        return Err(is_no_output(path, "it may be a recipe or a script"));
    }
    Ok(())
}

/// Refuses a path that a command also reads from.
///
/// # Errors
/// When both are one file.
pub(crate) fn spare_input(path: &Path, input: &Path) -> Result<(), Trouble> {
    let real = |path: &Path| path.canonicalize().ok();
    match (real(path), real(input)) {
        (Some(there), Some(input)) if there == input => {
            Err(is_no_output(path, "it is what this command reads"))
        }
        _ => Ok(()),
    }
}

/// Refuses a path at which a row lies that a command reads, or a picture that the row names.
///
/// # Errors
/// When both are one file.
pub(crate) fn spare_row(path: &Path, row: &Unread) -> Result<(), Trouble> {
    spare_input(path, &row.file)?;
    row.images.iter().try_for_each(|picture| match picture {
        Picture::File(file) => spare_input(path, file),
        Picture::Bytes(_) | Picture::Part { .. } => Ok(()),
    })
}

fn is_no_output(path: &Path, why: &str) -> Trouble {
    let message = format!("`{}` is not overwritten: {why}", path.display());
    Trouble::wrong(message, "name another file, or take this one away first")
}
