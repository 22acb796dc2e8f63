//! What may go: artifacts that no kept run names, work that nobody goes on with, leftovers.

use super::{disk, error::Error, layout::Store, record::run_lock};
use crate::base::{Digest, Key};
use std::collections::BTreeSet;

/// What to keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Only the newest so many runs, and those still going on; `None` for all.
    pub keep_runs: Option<usize>,
    /// Only say what would go.
    pub dry_run: bool,
}

/// Something that goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Removable {
    /// The record of a run.
    Run(String),
    /// An artifact that no kept run names.
    Artifact(Key),
    /// Unfinished work that no kept run names, or that was finished since.
    Staging(Key),
    /// A leftover of a killed process.
    Leftover(String),
}

/// What goes, and how much that frees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// What.
    pub what: Removable,
    /// Its size.
    pub bytes: u64,
}

impl Store {
    /// Removes what no kept run names, or says what it would remove. Never touches what a kept run
    /// names, or a stage that another process is at work on.
    ///
    /// # Errors
    /// When the record of a run cannot be read, since it may name anything, and when a removal is
    /// refused; what was removed until then is gone.
    pub fn gc(&self, retention: &Retention) -> Result<Vec<Removal>, Error> {
        // On a store that may not be written nothing goes on, and nothing can be removed.
        let whole = match self.lock_whole("store.lock") {
            Err(error) if retention.dry_run && error.is_of_what_was_named() => None,
            held => Some(held?),
        };
        let mut removals = Vec::new();
        let mut named = BTreeSet::new();
        let (runs, unreadable) = self.records()?;
        if let Some(error) = unreadable.into_iter().next() {
            return Err(error);
        }
        let old = retention.keep_runs.map_or(0, |keep| runs.len().saturating_sub(keep));
        for (index, run) in runs.iter().enumerate() {
            let is_free = || match &whole {
                Some(_) => Ok(self.try_lock(&run_lock(run.id()))?.is_some()),
                None => Ok::<bool, Error>(true),
            };
            let free = index < old && is_free()?;
            if free {
                let bytes = disk::size(run.folder())?;
                removals.push(Removal { what: Removable::Run(run.id().to_owned()), bytes });
            } else {
                named.extend(run.keys().iter().copied());
            }
        }
        self.find_artifacts(&named, &mut removals)?;
        self.find_stagings(&named, whole.is_some(), &mut removals)?;
        for name in disk::names(&self.temporary_folder())? {
            let bytes = disk::size(&self.temporary_folder().join(&name))?;
            removals.push(Removal { what: Removable::Leftover(name), bytes });
        }
        if !retention.dry_run {
            removals.iter().try_for_each(|removal| self.carry_out(&removal.what))?;
            self.remove_free_locks()?;
        }
        drop(whole);
        Ok(removals)
    }

    fn find_artifacts(
        &self,
        named: &BTreeSet<Key>,
        removals: &mut Vec<Removal>,
    ) -> Result<(), Error> {
        for prefix in disk::names(&self.artifacts_folder())? {
            let folder = self.artifacts_folder().join(prefix);
            for name in disk::names(&folder)? {
                if let Some(key) = key(&name).filter(|key| !named.contains(key)) {
                    let bytes = disk::size(&folder.join(name))?;
                    removals.push(Removal { what: Removable::Artifact(key), bytes });
                }
            }
        }
        Ok(())
    }

    fn find_stagings(
        &self,
        named: &BTreeSet<Key>,
        can_lock: bool,
        removals: &mut Vec<Removal>,
    ) -> Result<(), Error> {
        for name in disk::names(&self.stagings_folder())? {
            let Some(key) = key(&name) else { continue };
            let wanted = named.contains(&key) && !matches!(self.artifact(key), Ok(Some(_)));
            if !wanted && (!can_lock || self.lock(key)?.is_some()) {
                let bytes = disk::size(&self.staging_folder(key))?;
                removals.push(Removal { what: Removable::Staging(key), bytes });
            }
        }
        Ok(())
    }

    fn carry_out(&self, what: &Removable) -> Result<(), Error> {
        match what {
            Removable::Run(id) => self.remove(&self.runs_folder().join(id)),
            Removable::Artifact(key) => self.discard(*key),
            Removable::Staging(key) => match self.lock(*key)? {
                Some(_lock) => self.remove(&self.staging_folder(*key)),
                None => Ok(()),
            },
            Removable::Leftover(name) => {
                let path = self.temporary_folder().join(name);
                if path.is_dir() { disk::remove_folder(&path) } else { disk::remove_file(&path) }
            }
        }
    }

    /// Lock files of killed processes are empty, but there may be many.
    fn remove_free_locks(&self) -> Result<(), Error> {
        for name in disk::names(&self.locks_folder())? {
            if name != "store.lock"
                && let Some(held) = self.try_lock(&name)?
            {
                held.remove()?;
            }
        }
        Ok(())
    }
}

fn key(name: &str) -> Option<Key> {
    Digest::parse(name).map(Key)
}
