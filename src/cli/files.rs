//! Reading what the user names: recipes, folders, images.

use super::exit::Trouble;
use crate::base::{Fault, Faults, Place, Source};
use std::fs;
use std::path::Path;

/// Longest recipe that is read. A larger file was named by mistake.
const LONGEST_RECIPE: u64 = 1 << 20;

/// Reads a recipe file as text, or says what is wrong with it.
pub(crate) fn read_recipe(path: &Path) -> Result<Source, Fault> {
    read_text(path).map_err(|(message, hint)| Fault {
        code: "unreadable-file",
        message: format!("`{}` {message}", path.display()),
        hint: Some(hint),
        place: None,
    })
}

/// Reads the recipe that another one extends; its path is relative to that one's folder.
pub(crate) fn read_extended(path: &str, place: &Place, file: &Path) -> Result<Source, Fault> {
    let folder = file.parent().unwrap_or(Path::new(""));
    read_text(&folder.join(path)).map_err(|(message, hint)| Fault {
        code: "unreadable-file",
        message: format!("`{path}` {message}"),
        hint: Some(hint),
        place: Some(place.clone()),
    })
}

fn read_text(path: &Path) -> Result<Source, (String, String)> {
    let said = |message: &str, hint: &str| (message.to_owned(), hint.to_owned());
    let kind = fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            said("does not exist", "name a recipe, such as `recipes/quickstart.toml`")
        }
        _ => (format!("cannot be read: {error}"), "check its permissions".to_owned()),
    })?;
    if kind.is_dir() {
        return Err(said("is a folder", "name the recipe file inside it"));
    }
    if kind.len() > LONGEST_RECIPE {
        let size = crate::base::Bytes(kind.len());
        let limit = crate::base::Bytes(LONGEST_RECIPE);
        return Err((
            format!("is {size} large, and recipes are read up to {limit}"),
            "is it a data file? name the recipe".to_owned(),
        ));
    }
    let bytes = fs::read(path).map_err(|error| {
        (format!("cannot be read: {error}"), "check its permissions".to_owned())
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..valid];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        (
            format!("is not UTF-8 text: line {line} has a byte that belongs to no character"),
            "save it as UTF-8".to_owned(),
        )
    })?;
    Ok(Source { name: path.display().to_string(), text: text.into() })
}

/// Reads any file that a command names.
#[cfg(feature = "torch")]
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, Trouble> {
    fs::read(path).map_err(|error| {
        let message = format!("`{}` cannot be read: {error}", path.display());
        Trouble::wrong(message, "check the path and its permissions")
    })
}

/// One fault as trouble.
impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Faults(Faults(vec![fault]))
    }
}
