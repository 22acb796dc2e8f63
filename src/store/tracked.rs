//! How far trackers were told of a run, and files that grow outside the store.

use super::{
    disk::{self, Sync},
    error::{At as _, Error},
    layout::Store,
    lock::Held,
    record::Run,
};
use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
};

/// The right to tell a tracker of a run; given back when dropped.
#[derive(Debug)]
pub struct Telling {
    path: PathBuf,
    lock: Option<Held>,
}

impl Store {
    /// Takes the right to tell a tracker, named by letters and digits, of a run; `None` when another
    /// living process has it.
    ///
    /// # Errors
    /// When the lock cannot be made.
    pub fn telling(&self, run: &Run, tracker: &str) -> Result<Option<Telling>, Error> {
        let lock = self.try_lock(&format!("track-{}-{tracker}.lock", run.id()))?;
        let path = run.folder().join(format!("tracked-{tracker}.json"));
        Ok(lock.map(|lock| Telling { path, lock: Some(lock) }))
    }
}

impl Telling {
    /// What was kept last; `None` the first time.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn kept(&self) -> Result<Option<Vec<u8>>, Error> {
        disk::read(&self.path)
    }

    /// Keeps how far the tracker was told, in place of what was kept.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, bytes: &[u8]) -> Result<(), Error> {
        disk::replace(&self.path, bytes, Sync::Later)
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        // A file that stays is an empty one that `gc` removes.
        self.lock.take().map(Held::remove).transpose().ok();
    }
}

/// A file outside the store that only grows.
#[derive(Debug)]
pub struct Growing {
    path: PathBuf,
    file: File,
}

impl Growing {
    /// Opens a file, made with its folder where there is none, and cuts it to so many bytes; `None`
    /// when it is shorter.
    ///
    /// # Errors
    /// When it cannot be made, opened or cut.
    pub fn open(path: &Path, length: u64) -> Result<Option<Self>, Error> {
        if let Some(folder) = path.parent() {
            disk::make_output_folder(folder)?;
        }
        let output = |source| Error::Output { path: path.to_owned(), source };
        let file = File::options().create(true).append(true).open(path).map_err(output)?;
        if file.metadata().map_err(output)?.len() < length {
            return Ok(None);
        }
        file.set_len(length).map_err(output)?;
        Ok(Some(Self { path: path.to_owned(), file }))
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    /// When the disk is full or refuses.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).at("write", &self.path)
    }
}
