//! The layout of the cache: where the files of a repository lie, and which snapshots are whole.

use super::{
    HubError, Kind, Repo, Settings,
    repo::{is_commit, is_inside},
    wanted,
};
use crate::store;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The files of a repository at a commit, in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The folder in which they lie.
    pub folder: PathBuf,
    /// The commit.
    pub commit: String,
}

/// A path inside a snapshot of some cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inside<'a> {
    /// The folder of the snapshot.
    pub folder: &'a str,
    /// The repository, at the commit.
    pub repo: Repo,
    /// What follows the folder; empty for the folder itself.
    pub rest: &'a str,
}

impl<'a> Inside<'a> {
    /// Takes a path apart, which may stand behind `FORMAT:`; `None` if it is inside no snapshot.
    pub fn of(text: &'a str) -> Option<Self> {
        let path = text.find('/')?;
        let mut ends = text[path + 1..].match_indices('/').map(|(at, _)| path + 1 + at);
        let ends: Vec<usize> = std::iter::once(path).chain(&mut ends).chain([text.len()]).collect();
        ends.windows(4).find_map(|at| {
            let part = |from: usize| &text[at[from] + 1..at[from + 1]];
            let (name, commit) = (part(0), part(2));
            let id = |prefix| Some(name.strip_prefix(prefix)?.replacen("--", "/", 1));
            let repo = match (id("models--"), id("datasets--")) {
                _ if part(1) != "snapshots" || !is_commit(commit) => return None,
                (Some(id), _) => Repo::model(&id, commit),
                (_, Some(id)) => Repo::data(&id, commit),
                (None, None) => return None,
            };
            let rest = text[at[3]..].trim_start_matches('/');
            let repo = match rest {
                "" => repo.ok()?,
                pattern => repo.ok()?.with_files(&[pattern]),
            };
            Some(Self { folder: &text[path..at[3]], repo, rest })
        })
    }
}

/// The snapshot of a repository, if all that is wanted of it is in the cache. Asks nobody.
pub fn cached(repo: &Repo, settings: &Settings) -> Option<Snapshot> {
    let cache = Cache::of(repo, settings);
    let commit = cache.commit()?;
    cache.is_whole(&commit).then(|| cache.snapshot(commit))
}

/// The files of a repository at a commit.
#[derive(Serialize, Deserialize)]
struct Listing {
    files: Vec<String>,
}

/// The part of the cache that one repository has.
pub(super) struct Cache<'a> {
    repo: &'a Repo,
    folder: PathBuf,
    locks: PathBuf,
}

impl<'a> Cache<'a> {
    pub(super) fn of(repo: &'a Repo, settings: &Settings) -> Self {
        let name = repo.folder();
        let folder = settings.cache.join(&name);
        Self { repo, folder, locks: settings.cache.join(".locks").join(name) }
    }

    /// The snapshot of a commit, whole or not.
    pub(super) fn snapshot(&self, commit: String) -> Snapshot {
        Snapshot { folder: self.folder.join("snapshots").join(&commit), commit }
    }

    /// Where a file of a snapshot lies.
    pub(super) fn file(&self, commit: &str, name: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit).join(name)
    }

    /// Whether a file of a snapshot is there.
    pub(super) fn has(&self, commit: &str, name: &str) -> bool {
        self.file(commit, name).is_file()
    }

    /// Where the contents with a digest lie, are gathered, and are locked.
    pub(super) fn blob(&self, etag: &str) -> [PathBuf; 3] {
        let blobs = self.folder.join("blobs");
        let unfinished = blobs.join(format!("{etag}.incomplete"));
        [blobs.join(etag), unfinished, self.locks.join(format!("{etag}.lock"))]
    }

    /// Where the files of an archive of a commit lie, and the lock of who unpacks it.
    pub(super) fn unpacked(&self, commit: &str, name: &str) -> [PathBuf; 2] {
        let lock = self.locks.join(format!("{commit}-{name}.lock"));
        [self.folder.join("mstar").join(commit).join(name), lock]
    }

    /// A path of this part of the cache, as a link in the folder of a snapshot names it.
    pub(super) fn seen_from_snapshot(&self, path: &Path) -> PathBuf {
        Path::new("../..").join(path.strip_prefix(&self.folder).unwrap_or(path))
    }

    /// Gives a blob its name in a snapshot.
    pub(super) fn link(&self, commit: &str, name: &str, etag: &str) -> Result<(), HubError> {
        let up = "../".repeat(2 + name.matches('/').count());
        let target = format!("{up}blobs/{etag}");
        Ok(store::link(Path::new(&target), &self.file(commit, name))?)
    }

    /// The commit that the revision is, or was when the hub was asked last.
    pub(super) fn commit(&self) -> Option<String> {
        if let Some(commit) = self.repo.commit() {
            return Some(commit.to_owned());
        }
        let text = std::fs::read_to_string(self.reference()).ok()?;
        Some(text.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// Keeps which files a commit has and, of a branch or tag, that it is this commit now.
    pub(super) fn keep(&self, commit: &str, files: &[&str]) -> Result<(), HubError> {
        let listing = Listing { files: files.iter().map(|it| (*it).to_owned()).collect() };
        let text = serde_json::to_vec_pretty(&listing).expect("names are text");
        write(&self.listing(commit), &text)?;
        match self.repo.commit() {
            Some(_) => Ok(()),
            None => write(&self.reference(), commit.as_bytes()),
        }
    }

    /// Whether all that is wanted of a commit is there.
    pub(super) fn is_whole(&self, commit: &str) -> bool {
        let has_all = |names: &[&str]| names.iter().all(|name| self.has(commit, name));
        let Some(files) = self.files(commit) else {
            // Somebody else brought what there is, and nobody wrote down what there should be: of a
            // model the list of its weights tells.
            let is_there = [wanted::SINGLE, wanted::INDEX].iter().any(|it| self.has(commit, it));
            let has_config = self.has(commit, "config.json");
            return self.repo.kind() == Kind::Model
                && is_there
                && has_config
                && self.listed_weights(commit).is_none_or(|names| {
                    has_all(&names.iter().map(String::as_str).collect::<Vec<_>>())
                });
        };
        let files: Vec<&str> = files.iter().map(String::as_str).collect();
        let wanted = wanted::of(self.repo.kind(), self.repo.files(), &files);
        if !has_all(&wanted) || wanted.is_empty() && self.repo.kind() == Kind::Data {
            return false;
        }
        self.repo.kind() == Kind::Data || {
            let weights = wanted::weights(&files, self.index(commit).as_deref());
            !weights.is_empty() && has_all(&weights)
        }
    }

    /// The list of the files of a model's weights, where it has one.
    pub(super) fn index(&self, commit: &str) -> Option<Vec<u8>> {
        std::fs::read(self.file(commit, wanted::INDEX)).ok()
    }

    fn listed_weights(&self, commit: &str) -> Option<Vec<String>> {
        let index: Value = serde_json::from_slice(&self.index(commit)?).ok()?;
        let files = index.get("weight_map")?.as_object()?.values();
        Some(files.filter_map(|it| it.as_str().map(str::to_owned)).collect())
    }

    /// Every file that a commit has, as this program or Python wrote it down.
    fn files(&self, commit: &str) -> Option<Vec<String>> {
        if let Ok(text) = std::fs::read(self.listing(commit)) {
            return Some(serde_json::from_slice::<Listing>(&text).ok()?.files);
        }
        let trees = self.folder.join("trees").join(format!("{commit}.json"));
        let tree: Value = serde_json::from_slice(&std::fs::read(trees).ok()?).ok()?;
        let files = tree.get("files")?.as_object()?;
        Some(files.keys().filter(|name| is_inside(name)).cloned().collect())
    }

    fn listing(&self, commit: &str) -> PathBuf {
        self.folder.join("mstar").join(format!("{commit}.json"))
    }

    fn reference(&self) -> PathBuf {
        self.folder.join("refs").join(self.repo.revision())
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), HubError> {
    if let Some(folder) = path.parent() {
        store::make_output_folder(folder)?;
    }
    Ok(store::write_beside(path, bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_say_which_snapshot_they_are_in() {
        let commit = "0af1".repeat(10);
        let settings = Settings::of_environment(&|_| Some("/c".into()));
        for repo in [Repo::model("org/a-model", &commit), Repo::data("gpt2", &commit)] {
            let repo = repo.unwrap();
            let folder = Cache::of(&repo, &settings).snapshot(commit.clone()).folder;
            let folder = folder.display().to_string();
            let found = Inside::of(&folder).unwrap();
            assert_eq!((found.folder, &found.repo, found.rest), (&*folder, &repo, ""));
            let rows = format!("m3cot:{folder}/data/train-*.parquet");
            let found = Inside::of(&rows).unwrap();
            assert_eq!((found.folder, found.rest), (&*folder, "data/train-*.parquet"));
            assert_eq!(found.repo, repo.with_files(&["data/train-*.parquet"]));
        }
        for other in ["models/one", "/a--b/snapshots/main", "/models--a/snapshots/0af1", "a"] {
            assert_eq!(Inside::of(other), None);
        }
    }
}
