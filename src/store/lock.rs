//! Locks of the kernel's: they end with the process that holds them, however it ends.
//!
//! A stage has two. `<key>.lock` belongs to the run that carries it out, alone. `<key>.work` is
//! shared by that run's workers, so that whoever takes over the stage of a killed run waits for the
//! moment until the last orphan is gone as well.

use super::{
    disk,
    error::{At as _, Error},
    layout::Store,
};
use crate::base::Key;
use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// The right to carry out a stage and to commit it; given back when dropped.
#[derive(Debug)]
pub struct Lock {
    key: Key,
    alone: Held,
    work: PathBuf,
}

impl Lock {
    /// The stage.
    pub fn key(&self) -> Key {
        self.key
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Nobody works on the stage any more; a file that stays is an empty one that `gc` removes.
        fs::remove_file(&self.work).ok();
        fs::remove_file(&self.alone.path).ok();
    }
}

/// Says that a worker is at work on a stage, until it is dropped or the process ends.
#[derive(Debug)]
pub struct Presence {
    _shared: Held,
}

impl Store {
    /// Takes the lock of a stage; `None` when another living process has it or works on it.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn lock(&self, key: Key) -> Result<Option<Lock>, Error> {
        let path = self.locks_folder().join(format!("{key}.lock"));
        let Some(alone) = Held::take(path, Mode::Alone)? else { return Ok(None) };
        let work = self.locks_folder().join(format!("{key}.work"));
        if work.exists() && Held::take(work.clone(), Mode::Alone)?.is_none() {
            return Ok(None);
        }
        Ok(Some(Lock { key, alone, work }))
    }

    /// Says that this process works on a stage for the run that holds its lock.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn presence(&self, key: Key) -> Result<Presence, Error> {
        let path = self.locks_folder().join(format!("{key}.work"));
        loop {
            if let Some(shared) = Held::take(path.clone(), Mode::Shared)? {
                return Ok(Presence { _shared: shared });
            }
            std::thread::yield_now();
        }
    }

    /// Waits for the lock of what belongs to the whole store: creating runs, `gc`.
    pub(super) fn lock_whole(&self, name: &str) -> Result<Held, Error> {
        Held::wait(self.locks_folder().join(name))
    }

    /// Whether somebody holds a named lock. A look holds it shared for a moment.
    pub(super) fn is_held(&self, name: &str) -> Result<bool, Error> {
        let path = self.locks_folder().join(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error).at("open the lock", &path),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error).at("lock", &path),
        }
    }

    /// Takes a named lock if it is free.
    pub(super) fn try_lock(&self, name: &str) -> Result<Option<Held>, Error> {
        Held::take(self.locks_folder().join(name), Mode::Alone)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Alone,
    Shared,
    Wait,
}

/// A locked file.
#[derive(Debug)]
pub(super) struct Held {
    path: PathBuf,
    _file: File,
}

impl Held {
    fn take(path: PathBuf, mode: Mode) -> Result<Option<Self>, Error> {
        loop {
            let file = open(&path)?;
            let taken = match mode {
                Mode::Alone => file.try_lock(),
                Mode::Shared => file.try_lock_shared(),
                Mode::Wait => file.lock().map_err(TryLockError::Error),
            };
            match taken {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error).at("lock", &path),
            }
            // Its last holder may have removed the file between our opening and our locking it.
            let opened = file.metadata().at("look at", &path)?;
            if fs::metadata(&path).is_ok_and(|about| about.ino() == opened.ino()) {
                return Ok(Some(Self { path, _file: file }));
            }
        }
    }

    /// Waits for a lock outside the store.
    pub(super) fn wait(path: PathBuf) -> Result<Self, Error> {
        let held = Self::take(path.clone(), Mode::Wait)?;
        held.ok_or_else(|| io::Error::from(io::ErrorKind::WouldBlock)).at("lock", &path)
    }

    /// Removes the file and gives the lock back.
    pub(super) fn remove(self) -> Result<(), Error> {
        disk::remove_file(&self.path)
    }
}

fn open(path: &Path) -> Result<File, Error> {
    let opened = File::options().create(true).truncate(false).write(true).open(path);
    opened.at("open the lock", path)
}
