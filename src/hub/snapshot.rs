//! Brings all that is wanted of a repository.

use super::{
    HubError, Kind, Repo, Settings, Snapshot, blob,
    cache::{Cache, cached},
    client::{About, Client},
    wanted,
};
use crate::base::Bytes;
use crate::store::free_space;
use std::collections::BTreeSet;

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Progress<'a> {
    /// What there is to bring, before the first of it.
    Found {
        /// Files.
        files: usize,
        /// Bytes of them, as far as the hub says.
        bytes: u64,
    },
    /// A file begins.
    File {
        /// Its name.
        name: &'a str,
        /// Its size.
        bytes: u64,
    },
    /// So many more bytes came.
    Arrived(u64),
    /// So many were there before.
    Kept(u64),
    /// So many must be brought again.
    Lost(u64),
    /// Nothing happens for a while.
    Waiting {
        /// How long.
        seconds: f64,
        /// Why.
        reason: &'a str,
    },
}

/// Who is told how far it is.
pub type Tell<'a> = dyn FnMut(Progress<'_>) + 'a;

/// The commit that a revision is now; offline, the one that it was when the hub was asked last.
///
/// # Errors
/// When the hub cannot be asked, or has no such revision.
pub fn resolve_commit(
    repo: &Repo,
    settings: &Settings,
    progress: &mut Tell<'_>,
) -> Result<String, HubError> {
    if let Some(commit) = repo.commit() {
        return Ok(commit.to_owned());
    }
    if settings.offline {
        let known = Cache::of(repo, settings).commit();
        return known.ok_or_else(|| not_cached(repo, settings));
    }
    Ok(Client::new(repo, settings).about(progress)?.sha)
}

/// Brings a repository into the cache, as far as it is not there. Where nothing may be asked, or a
/// commit is named that is there, nobody is asked.
///
/// # Errors
/// When it cannot be had; what came is kept, and the next call goes on from there.
pub fn snapshot(
    repo: &Repo,
    settings: &Settings,
    progress: &mut Tell<'_>,
) -> Result<Snapshot, HubError> {
    if settings.offline || repo.commit().is_some() {
        match cached(repo, settings) {
            Some(found) => return Ok(found),
            None if settings.offline => return Err(not_cached(repo, settings)),
            None => {}
        }
    }
    let client = Client::new(repo, settings);
    let about = client.about(progress)?;
    let cache = Cache::of(repo, settings);
    let files: Vec<&str> = about.siblings.iter().map(|file| file.name.as_str()).collect();
    let place = (repo, &client, &cache);
    let commit = about.sha.as_str();
    let mut wanted = wanted::of(repo.kind(), repo.files(), &files);
    let mut is_missing = wanted.is_empty();
    if repo.kind() == Kind::Model {
        is_missing = wanted::weights(&files, None).is_empty();
        if !is_missing && wanted.contains(&wanted::INDEX) && !cache.has(commit, wanted::INDEX) {
            // Which files the weights are in, only their list says.
            let mut tell = |told: Progress<'_>| {
                if let Progress::Waiting { .. } = told {
                    progress(told);
                }
            };
            blob::bring(place, commit, wanted::INDEX, &mut tell)?;
        }
        wanted.extend(wanted::weights(&files, cache.index(commit).as_deref()));
    }
    if is_missing {
        let pickles = wanted::pickles(&files);
        return Err(HubError::NothingWanted { repo: repo.clone(), pickles });
    }
    wanted.retain(|name| !cache.has(commit, name));
    let bytes = about.bytes_of(&wanted);
    let free = free_space(&settings.cache);
    if bytes > free.0 {
        let (repo, folder) = (repo.to_string(), settings.cache.clone());
        return Err(HubError::Full { repo, folder, needed: Bytes(bytes), free });
    }
    progress(Progress::Found { files: wanted.len(), bytes });
    for name in wanted {
        blob::bring(place, commit, name, progress)?;
    }
    cache.keep(commit, &files)?;
    Ok(cache.snapshot(commit.to_owned()))
}

fn not_cached(repo: &Repo, settings: &Settings) -> HubError {
    HubError::NotCached {
        repo: repo.to_string(),
        revision: repo.revision().to_owned(),
        folder: settings.cache.clone(),
    }
}

impl About {
    /// Bytes of some files, as far as the hub says.
    fn bytes_of(&self, names: &[&str]) -> u64 {
        let names: BTreeSet<&str> = names.iter().copied().collect();
        let files = self.siblings.iter().filter(|file| names.contains(file.name.as_str()));
        files.filter_map(|file| file.size).sum()
    }
}
