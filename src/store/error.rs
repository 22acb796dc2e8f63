//! What can go wrong with the store, and the way out of each.

use crate::base::{Bytes, Hint, Key};
use std::{io, path::Path, path::PathBuf};
use thiserror::Error;

/// The operation of making a folder, which is what opening a store begins with.
pub(super) const MAKE_FOLDER: &str = "make the folder";
/// Operations that change nothing.
pub(super) const READ: &str = "read";
pub(super) const LIST: &str = "list";
pub(super) const LOOK_AT: &str = "look at";

/// A fault of the store.
#[derive(Debug, Error)]
pub enum Error {
    /// The operating system refused.
    #[error("cannot {operation} `{}`: {source}", path.display())]
    Io {
        /// What was tried, such as `write`.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
        /// What is left on that disk, when it is full.
        free: Option<Bytes>,
    },
    /// What a user asked to be written, outside any store, cannot be.
    #[error("cannot write `{}`: {source}", path.display())]
    Output {
        /// The path as given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file stands where the store should.
    #[error("the store `{}` is not a folder", path.display())]
    NotAFolder {
        /// The path as given.
        path: PathBuf,
    },
    /// A folder that holds something else.
    #[error("`{}` holds files, and they are not a store", path.display())]
    NotAStore {
        /// The path as given.
        path: PathBuf,
    },
    /// A name for a new folder that something has.
    #[error("`{}` is there already, and it is not an empty folder", path.display())]
    NotEmpty {
        /// The path as given.
        path: PathBuf,
    },
    /// Made by a later program, or not by this one at all.
    #[error(
        "the store `{}` has layout version `{found}`, and this mstar knows {known}",
        path.display()
    )]
    Version {
        /// The path as given.
        path: PathBuf,
        /// What its `version` file says.
        found: String,
        /// The newest layout known.
        known: u32,
    },
    /// A file of an artifact is not what was committed.
    #[error("artifact {} was altered: `{file}` is not what was stored", key.short())]
    Altered {
        /// The artifact.
        key: Key,
        /// The file inside it.
        file: String,
    },
    /// An artifact never had that file.
    #[error("artifact {} has no file `{file}`", key.short())]
    NoSuchFile {
        /// The artifact.
        key: Key,
        /// What was asked for.
        file: String,
    },
    /// A name that could leave its folder, or hide in it.
    #[error("`{name}` cannot be the name of a stored file")]
    BadName {
        /// The name.
        name: String,
    },
    /// Not even an index in memory could be made.
    #[error("the runs could not be indexed: {reason}")]
    Index {
        /// What the index said.
        reason: String,
    },
    /// No run has that name.
    #[error("no run `{run}` in this store")]
    NoSuchRun {
        /// What was asked for.
        run: String,
    },
    /// A run cannot be gone on with by two.
    #[error("run `{run}` is still going on")]
    LivingRun {
        /// What was asked for.
        run: String,
    },
    /// The log of a run is gone.
    #[error("the log of run `{run}` is missing")]
    NoLog {
        /// The run.
        run: String,
    },
    /// A record that says what a run names cannot be read.
    #[error("the record of run `{run}` cannot be read: {reason}")]
    BadRun {
        /// The run.
        run: String,
        /// Why.
        reason: String,
    },
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Io { free: Some(free), .. } => Some(format!(
                "the disk is full ({free} free): `mstar gc` removes what no run names, or choose \
                 another disk with `--store`; what is done stays done"
            )),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotADirectory => {
                Some("a part of that path is a file: choose another with `--store`".into())
            }
            Self::Io { source, .. } if source.kind() == io::ErrorKind::IsADirectory => {
                Some("a folder stands in the place of that file: take it away".into())
            }
            Self::Io { source, operation, .. } => {
                let refused = [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem];
                let refused = refused.contains(&source.kind()) || *operation == MAKE_FOLDER;
                refused.then(|| {
                    "choose a folder you may write with `--store` or `MSTAR_STORE`".to_owned()
                })
            }
            Self::Output { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => Some("make the folder first, or name another".into()),
                _ => Some("name a file that you may write".into()),
            },
            Self::NotAFolder { .. } | Self::NotAStore { .. } => {
                Some("name a new or an empty folder with `--store` or `MSTAR_STORE`".into())
            }
            Self::NotEmpty { .. } => Some("name one that is not there".into()),
            Self::Version { .. } => {
                Some("use the mstar that made it, or another folder with `--store`".into())
            }
            Self::Altered { key, .. } => Some(format!(
                "remove the store's folder `{}`, and the next `mstar run` makes it again",
                super::layout::artifact_folder(*key)
            )),
            Self::NoSuchRun { .. } => Some("`mstar list` names the runs".into()),
            Self::LivingRun { .. } => Some("wait until it ends, or stop it".into()),
            Self::NoLog { run } => {
                Some(format!("`mstar run --resume {run}` begins another, of what is stored"))
            }
            Self::BadRun { run, .. } => {
                Some(format!("if that run does not matter, remove its folder `run-v1/{run}`"))
            }
            Self::NoSuchFile { .. } | Self::BadName { .. } | Self::Index { .. } => None,
        }
    }
}

impl Error {
    /// Whether the command is wrong: what it names is not what it should be, or cannot be read. Else
    /// work could not be kept.
    pub fn is_of_what_was_named(&self) -> bool {
        match self {
            Self::Io { free: Some(_), .. } => false,
            Self::Io { operation: MAKE_FOLDER | READ | LIST | LOOK_AT, .. } => true,
            Self::Io { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::ReadOnlyFilesystem
                    | io::ErrorKind::NotADirectory
            ),
            Self::Output { .. } => true,
            Self::NotAFolder { .. } | Self::NotAStore { .. } | Self::Version { .. } => true,
            Self::NotEmpty { .. } => true,
            Self::NoSuchRun { .. } | Self::LivingRun { .. } | Self::BadName { .. } => true,
            Self::Altered { .. } | Self::NoSuchFile { .. } => true,
            Self::BadRun { .. } | Self::NoLog { .. } => true,
            Self::Index { .. } => false,
        }
    }

    /// Whether the disk, or what this user may fill of it, is full.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { free: Some(_), .. })
    }
}

/// Says of an input or output error what was tried and on what.
pub(super) trait At<T> {
    /// The same result, with the operation and the path.
    fn at(self, operation: &'static str, path: &Path) -> Result<T, Error>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, operation: &'static str, path: &Path) -> Result<T, Error> {
        self.map_err(|source| {
            let full =
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
            let free = full.then(|| free_space(path));
            Error::Io { operation, path: path.to_owned(), source, free }
        })
    }
}

/// What is left for this user on the disk that holds a path, or the first folder above that exists.
pub fn free_space(path: &Path) -> Bytes {
    let measured = path.ancestors().find_map(|folder| rustix::fs::statvfs(folder).ok());
    Bytes(measured.map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize)))
}
