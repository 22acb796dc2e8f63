//! Reading what the user names: recipes, folders, images.

use super::exit::Trouble;
use crate::base::{Fault, Faults, Place, Source};
use crate::data::loaders::{WholeError, read_whole};
use crate::hooks::LARGEST_SCRIPT_BYTES;
use std::path::Path;
use std::{fs, io};

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
    let whole = format!("{}.toml", path.display());
    match Path::new(&whole).is_file() {
        true => read_within(path, LONGEST_RECIPE, &format!("did you mean `{whole}`?")),
        false => {
            read_within(path, LONGEST_RECIPE, "name a recipe, such as `recipes/quickstart.toml`")
        }
    }
}

/// Reads text of at most so many bytes; `way_out` is the hint when there is no such file.
fn read_within(path: &Path, most: u64, way_out: &str) -> Result<Source, (String, String)> {
    let bytes = read_whole(path, most).map_err(|error| {
        let hint = match &error {
            WholeError::Missing => way_out,
            WholeError::Folder => "name the file inside it",
            WholeError::Irregular => "save what it gives as a file, and name that",
            WholeError::TooLarge { .. } => "is it the right file?",
            WholeError::Io(error) => of_system(error),
        };
        (error.to_string(), hint.to_owned())
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

/// The way out of what the system says of a file.
fn of_system(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "check its permissions",
        io::ErrorKind::NotADirectory => "a part of that path is a file",
        // That of links which lead to each other, among others, has no stable name.
        _ => "name another file, or what a link leads to",
    }
}

/// Reads a script of hooks that a command names.
pub(crate) fn read_script(path: &Path) -> Result<Source, Fault> {
    read_within(path, LARGEST_SCRIPT_BYTES, "name a script").map_err(|(message, hint)| Fault {
        code: "unreadable-file",
        message: format!("`{}` {message}", path.display()),
        hint: Some(hint),
        place: None,
    })
}

/// Reads the script that a recipe names, if it lies inside the folder of the file that does.
pub(crate) fn read_script_beside(
    path: &str,
    folder: &Path,
    place: Option<Place>,
) -> Result<Source, Fault> {
    beside(path, folder, place, ("script-outside", "script", LARGEST_SCRIPT_BYTES))
}

/// Reads a file that a test of a recipe names, if it lies inside the recipe's folder.
pub(crate) fn read_beside(path: &str, folder: &Path, place: Place) -> Result<Source, Fault> {
    beside(path, folder, Some(place), ("file-outside", "file", LONGEST_RECIPE))
}

fn beside(
    path: &str,
    folder: &Path,
    place: Option<Place>,
    (outside, what, most): (&'static str, &str, u64),
) -> Result<Source, Fault> {
    let fault = |code, (message, hint): (String, String)| Fault {
        code,
        message: format!("`{path}` {message}"),
        hint: Some(hint),
        place: place.clone(),
    };
    if is_outside(path, folder) {
        let message = "is a link that leaves the folder of the recipe".to_owned();
        return Err(fault(outside, (message, format!("put the {what} itself beside the recipe"))));
    }
    let hint = "the path is taken from the folder of the file that names it";
    read_within(&folder.join(path), most, hint).map_err(|told| fault("unreadable-file", told))
}

/// Whether a file that is there lies, links followed, outside a folder.
fn is_outside(path: &str, folder: &Path) -> bool {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match (fs::canonicalize(folder.join(path)), fs::canonicalize(here)) {
        (Ok(real), Ok(here)) => !real.starts_with(here),
        _ => false,
    }
}

/// Reads a file of JSON that a command names.
pub(crate) fn read_json(path: &Path) -> Result<String, Fault> {
    let source =
        read_within(path, LONGEST_RECIPE, "name a file").map_err(|(message, hint)| Fault {
            code: "unreadable-file",
            message: format!("`{}` {message}", path.display()),
            hint: Some(hint),
            place: None,
        })?;
    Ok(source.text.to_string())
}

/// Longest lock that is read: one of an experiment names every stage of every member.
const LONGEST_LOCK: u64 = 256 << 20;

/// Reads a lock.
pub(crate) fn read_lock(path: &Path) -> Result<String, Fault> {
    let hint = "`mstar lock` writes one beside its recipe";
    let source = read_within(path, LONGEST_LOCK, hint).map_err(|(message, hint)| Fault {
        code: "unreadable-file",
        message: format!("`{}` {message}", path.display()),
        hint: Some(hint),
        place: None,
    })?;
    Ok(source.text.to_string())
}

/// Whether a file begins as what is compressed, whatever it is called.
pub(crate) fn is_compressed(path: &Path) -> bool {
    use std::io::Read as _;
    let mut start = [0; 4];
    let read = path.is_file()
        && fs::File::open(path).is_ok_and(|mut file| file.read_exact(&mut start).is_ok());
    read && crate::bundle::is_compressed(&start)
}

/// Opens a bundle, whose reader holds it to limits.
pub(crate) fn open_bundle(path: &Path) -> Result<fs::File, Fault> {
    let fault = |message: &str, hint: &str| Fault {
        code: "unreadable-file",
        message: format!("`{}` {message}", path.display()),
        hint: Some(hint.to_owned()),
        place: None,
    };
    match fs::metadata(path) {
        Ok(about) if about.is_dir() => Err(fault("is a folder", "name a bundle")),
        Ok(about) if !about.is_file() => Err(fault("is no regular file", "name a bundle")),
        Ok(_) => fs::File::open(path)
            .map_err(|error| fault(&format!("cannot be read: {error}"), "check its permissions")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(fault("does not exist", "`mstar bundle RUN` makes one"))
        }
        Err(error) => Err(fault(&format!("cannot be read: {error}"), "check its permissions")),
    }
}

/// Largest picture that a command reads.
#[cfg(feature = "torch")]
const LARGEST_PICTURE: u64 = 256 << 20;

/// Reads a picture that a command names, if it can be decoded.
#[cfg(feature = "torch")]
pub(crate) fn read_picture(path: &Path) -> Result<Vec<u8>, Trouble> {
    use crate::base::Hint as _;
    use crate::data::picture::{PictureLimits, decode};
    let name = path.display();
    let bytes = read_whole(path, LARGEST_PICTURE).map_err(|error| {
        Trouble::wrong(format!("`{name}` {error}"), "name a picture, such as a PNG file")
    })?;
    let wrong = decode(&bytes, &PictureLimits::default()).err().map(|error| {
        let hint = error.hint().unwrap_or_default();
        Trouble::wrong(format!("`{name}`: {error}"), hint)
    });
    wrong.map_or(Ok(bytes), Err)
}

/// One fault as trouble.
impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Faults(Faults(vec![fault]))
    }
}
