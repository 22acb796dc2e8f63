//! Single files: read, written beside their name and renamed, removed if they are there.

use super::error::{At as _, Error, LIST, LOOK_AT, MAKE_FOLDER, READ};
use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// Suffix of files that are being written; whoever finds one of a dead process may remove it.
const UNFINISHED: &str = ".tmp";

/// A text no other call in this or another living process gets.
pub(super) fn unique() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// A hidden name beside a path, for what is being written.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}{UNFINISHED}", unique()));
    path.with_file_name(name)
}

/// Whether a name is one that [`beside`] gave for a path, in this process or another.
pub(super) fn is_beside(name: &str, path: &Path) -> bool {
    let of_path = path.file_name().and_then(|of| {
        let rest = name.strip_prefix('.')?.strip_prefix(of.to_str()?)?.strip_prefix('.')?;
        rest.strip_suffix(UNFINISHED)?.split_once('-')
    });
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    of_path.is_some_and(|(process, count)| is_number(process) && is_number(count))
}

/// Makes a folder and those above it.
pub(super) fn make_folder(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).at(MAKE_FOLDER, path)
}

/// When bytes must be on the disk itself, which costs milliseconds. A killed process loses nothing
/// either way; a loss of power may tear what was written [`Sync::Later`], and its digest tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Before the call returns.
    Now,
    /// When the system finds time.
    Later,
}

/// Replaces a file at once: readers see the old bytes or the new ones, whatever happens.
pub(super) fn replace(path: &Path, bytes: &[u8], sync: Sync) -> Result<(), Error> {
    let unfinished = beside(path);
    let written = write(&unfinished, bytes, sync)
        .and_then(|()| fs::rename(&unfinished, path).at("rename into place", path));
    if written.is_err() {
        remove_file(&unfinished)?;
    }
    written
}

/// Writes a file that the user asked for, outside any store: whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn write_beside(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    replace(path, bytes, Sync::Later).map_err(|error| of_output(path, error))
}

/// Names what the user named, not what is made on the way. A full disk stays one.
fn of_output(path: &Path, error: Error) -> Error {
    match error {
        Error::Io { source, free: None, .. } => Error::Output { path: path.to_owned(), source },
        other => other,
    }
}

/// The same for what is too large to be at hand: `fill` is given the file.
///
/// # Errors
/// When it cannot be written, or `fill` fails.
pub fn write_through(
    path: &Path,
    fill: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> Result<(), Error> {
    use io::Write as _;
    let unfinished = beside(path);
    let fill_file = || {
        let file = fs::File::create(&unfinished).at("create", path)?;
        let mut file = io::BufWriter::new(file);
        fill(&mut file).and_then(|()| file.flush()).at("write", path)?;
        fs::rename(&unfinished, path).at("rename into place", path)
    };
    let written = fill_file();
    if written.is_err() {
        remove_file(&unfinished)?;
    }
    written.map_err(|error| of_output(path, error))
}

/// Makes the folder that a user asked for, and those above it.
///
/// # Errors
/// When it cannot be made.
pub fn make_output_folder(path: &Path) -> Result<(), Error> {
    make_folder(path).map_err(|error| of_output(path, error))
}

/// Writes a file whose folder nobody reads yet.
pub(super) fn write(path: &Path, bytes: &[u8], sync: Sync) -> Result<(), Error> {
    use io::Write as _;
    let mut file = fs::File::create(path).at("create", path)?;
    file.write_all(bytes).at("write", path)?;
    sync_file(&file, path, sync)
}

/// Makes a file's bytes last.
pub(super) fn sync_file(file: &fs::File, path: &Path, sync: Sync) -> Result<(), Error> {
    match sync {
        Sync::Now => file.sync_data().at("sync", path),
        Sync::Later => Ok(()),
    }
}

/// Makes the names in a folder last.
pub(super) fn sync_folder(path: &Path, sync: Sync) -> Result<(), Error> {
    if sync == Sync::Later {
        return Ok(());
    }
    fs::File::open(path).and_then(|folder| folder.sync_all()).at("sync the folder", path)
}

/// Makes all that was written to the disk of a folder last: one wait, however many files there are.
pub(super) fn sync_disk(folder: &Path) -> Result<(), Error> {
    #[cfg(target_os = "linux")]
    let synced = fs::File::open(folder).and_then(|it| Ok(rustix::fs::syncfs(it)?));
    #[cfg(not(target_os = "linux"))]
    let synced: io::Result<()> = Ok(rustix::fs::sync());
    synced.at("sync the disk of", folder)
}

/// Reads a file; `None` when there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    found(fs::read(path)).at(READ, path)
}

/// Removes a file, if there is one.
pub(super) fn remove_file(path: &Path) -> Result<(), Error> {
    found(fs::remove_file(path)).map(drop).at("remove", path)
}

/// Removes a folder with all in it, if there is one. Another process may be removing it as well.
pub(super) fn remove_folder(path: &Path) -> Result<(), Error> {
    found(fs::remove_dir_all(path)).map(drop).at("remove", path)
}

/// Names in a folder, sorted; none when there is no folder.
pub(super) fn names(path: &Path) -> Result<Vec<String>, Error> {
    let Some(entries) = found(fs::read_dir(path)).at(LIST, path)? else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.at(LIST, path)?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

/// Whether there is nothing in a folder, which must be there.
pub(super) fn is_empty(path: &Path) -> Result<bool, Error> {
    Ok(fs::read_dir(path).at(LIST, path)?.next().is_none())
}

/// Bytes in a file or in all files under a folder; 0 when there is none.
pub(super) fn size(path: &Path) -> Result<u64, Error> {
    let Some(about) = found(fs::symlink_metadata(path)).at(LOOK_AT, path)? else {
        return Ok(0);
    };
    if !about.is_dir() {
        return Ok(about.len());
    }
    names(path)?.iter().map(|name| size(&path.join(name))).sum()
}

fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
