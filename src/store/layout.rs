//! Opening a store, and where everything in it lies.

use super::{
    artifact::Artifact,
    disk::{self, Sync},
    error::{At as _, Error, READ},
    staging::Staging,
};
use crate::base::Key;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Version of the whole layout; folders of a kind carry their own.
const LAYOUT: u32 = 1;

const ARTIFACTS: &str = "artifact-v1";
const STAGING: &str = "staging-v1";
const RUNS: &str = "run-v1";
const LOCKS: &str = "lock-v1";
const TEMPORARY: &str = "tmp";

/// A store on disk. Cheap to clone; any number of processes may share one.
#[derive(Clone, Debug)]
pub struct Store {
    root: Arc<Path>,
}

/// The folder of an artifact inside a store.
pub(super) fn artifact_folder(key: Key) -> String {
    let name = key.to_string();
    format!("{ARTIFACTS}/{}/{name}", &name[..2])
}

impl Store {
    /// Opens a store to write in, and makes it where there is none.
    ///
    /// # Errors
    /// When the path is a file, a folder with something else in it, a store of another layout, or
    /// cannot be written.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if fs::metadata(path).is_ok_and(|about| !about.is_dir()) {
            return Err(Error::NotAFolder { path: path.to_owned() });
        }
        disk::make_folder(path)?;
        if Self::open_existing(path)?.is_none() {
            let foreign = disk::names(path)?.iter().any(|name| !name.starts_with('.'));
            // Another process may have made the store since the first look.
            if foreign && Self::open_existing(path)?.is_none() {
                return Err(Error::NotAStore { path: path.to_owned() });
            }
            disk::replace(&path.join(".gitignore"), b"*\n", Sync::Later)?;
            let version = format!("{LAYOUT}\n");
            disk::replace(&path.join("version"), version.as_bytes(), Sync::Now)?;
        }
        for folder in [ARTIFACTS, STAGING, RUNS, LOCKS, TEMPORARY] {
            disk::make_folder(&path.join(folder))?;
        }
        Ok(Self { root: path.into() })
    }

    /// Opens a store to read in, without a single write; `None` where there is none.
    ///
    /// # Errors
    /// When the layout is another one, or the version cannot be read.
    pub fn open_existing(path: &Path) -> Result<Option<Self>, Error> {
        let file = path.join("version");
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).at(READ, &file),
        };
        match text.trim().parse::<u32>() {
            Ok(LAYOUT) => Ok(Some(Self { root: path.into() })),
            _ => Err(Error::Version {
                path: path.to_owned(),
                found: text.trim().chars().take(20).collect(),
                known: LAYOUT,
            }),
        }
    }

    /// The folder, as it was given.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Finds an artifact. Looks at its manifest and at the sizes of its files; their bytes are
    /// looked at when they are read.
    ///
    /// # Errors
    /// [`Error::Altered`] when something is there that is not what was committed.
    pub fn artifact(&self, key: Key) -> Result<Option<Artifact>, Error> {
        Artifact::open(key, self.artifact_folder(key))
    }

    /// The folder in which a stage works; made if there is none. What an earlier, killed attempt
    /// left is still there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn staging(&self, key: Key) -> Result<Staging, Error> {
        Staging::open(self.staging_folder(key))
    }

    /// Takes an artifact away, so that it will be made again.
    ///
    /// # Errors
    /// When it cannot be moved or removed.
    pub fn discard(&self, key: Key) -> Result<(), Error> {
        self.remove(&self.artifact_folder(key))
    }

    /// Takes a folder away at once by a rename, then removes it.
    pub(super) fn remove(&self, folder: &Path) -> Result<(), Error> {
        let away = self.temporary_folder().join(disk::unique());
        match fs::rename(folder, &away) {
            Ok(()) => disk::remove_folder(&away),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error).at("move away", folder),
        }
    }

    pub(super) fn artifacts_folder(&self) -> PathBuf {
        self.root.join(ARTIFACTS)
    }

    pub(super) fn artifact_folder(&self, key: Key) -> PathBuf {
        self.root.join(artifact_folder(key))
    }

    pub(super) fn stagings_folder(&self) -> PathBuf {
        self.root.join(STAGING)
    }

    pub(super) fn staging_folder(&self, key: Key) -> PathBuf {
        self.stagings_folder().join(key.to_string())
    }

    pub(super) fn runs_folder(&self) -> PathBuf {
        self.root.join(RUNS)
    }

    pub(super) fn locks_folder(&self) -> PathBuf {
        self.root.join(LOCKS)
    }

    pub(super) fn temporary_folder(&self) -> PathBuf {
        self.root.join(TEMPORARY)
    }
}
