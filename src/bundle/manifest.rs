//! The list of what a bundle holds.

use super::{Error, Limits, check_name};
use crate::base::{Bytes, Digest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Name of the first member, which lists the others.
pub const MANIFEST: &str = "manifest.json";
/// What names of weights begin with; they may be larger than memory.
pub const WEIGHTS: &str = "weights/";
/// Version of the format.
pub const FORMAT: u32 = 1;

/// What a bundle holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the format.
    pub format: u32,
    /// Name of the recipe or experiment.
    pub name: String,
    /// The run's name where it was bundled.
    pub run: String,
    /// Every other member, by name.
    pub members: Vec<Entry>,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its name: a path with `/`.
    pub path: String,
    /// Its bytes.
    pub size: u64,
    /// Their digest.
    pub digest: Digest,
}

impl Entry {
    /// Whether it is part of a model.
    pub fn is_weights(&self) -> bool {
        self.path.starts_with(WEIGHTS)
    }
}

impl Manifest {
    /// Reads and checks the list.
    ///
    /// # Errors
    /// When it is another format, or lists what is refused.
    pub fn parse(text: &[u8], limits: &Limits) -> Result<Self, Error> {
        const WHAT: &str = "manifest";
        check_format(WHAT, FORMAT, || {
            let about: About = serde_json::from_slice(text).map_err(|error| error.to_string())?;
            Ok(about.format)
        })?;
        let manifest: Self = serde_json::from_slice(text)
            .map_err(|error| Error::Unreadable { what: WHAT, reason: error.to_string() })?;
        manifest.check(limits)?;
        Ok(manifest)
    }

    fn check(&self, limits: &Limits) -> Result<(), Error> {
        let count = self.members.len() as u64;
        if count > limits.members {
            return Err(Error::TooMany { count, limit: limits.members });
        }
        let (mut total, mut kept) = (0_u64, 0_u64);
        let mut folded = BTreeSet::from([MANIFEST.to_owned()]);
        for entry in &self.members {
            check_name(&entry.path)?;
            if !folded.insert(entry.path.to_ascii_lowercase()) {
                return Err(Error::Duplicate { name: entry.path.clone() });
            }
            total = total.saturating_add(entry.size);
            kept = kept.saturating_add(if entry.is_weights() { 0 } else { entry.size });
            for (bytes, limit) in [(total, limits.total_bytes), (kept, limits.kept_bytes)] {
                if bytes > limit {
                    let what = format!("all up to member `{}`", entry.path);
                    return Err(Error::TooLarge { what, size: Bytes(bytes), limit: Bytes(limit) });
                }
            }
        }
        for entry in &self.members {
            let path = entry.path.to_ascii_lowercase();
            let folders = path.match_indices('/').map(|(end, _)| &path[..end]);
            if folders.into_iter().any(|folder| folded.contains(folder)) {
                let reason = "it lies in a folder that is a file";
                return Err(Error::BadName { name: entry.path.clone(), reason });
            }
        }
        Ok(())
    }
}

/// What every format begins with.
#[derive(Deserialize)]
pub(super) struct About {
    pub(super) format: u32,
}

/// Refuses what has no format, or one that is not known.
pub(super) fn check_format(
    what: &'static str,
    known: u32,
    read: impl FnOnce() -> Result<u32, String>,
) -> Result<(), Error> {
    let found = read().map_err(|reason| Error::Unreadable { what, reason })?;
    match found {
        0 => Err(Error::Unreadable { what, reason: "there is no format 0".to_owned() }),
        found if found > known => Err(Error::Newer { what, found, known }),
        _ => Ok(()),
    }
}
