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

impl Snapshot {
    /// The model and the commit whose snapshot lies in a folder, if it is one of a cache.
    pub fn model_of(folder: &Path) -> Option<(String, String)> {
        let mut parts = folder.iter().rev().map(|part| part.to_str());
        let (commit, snapshots, name) = (parts.next()??, parts.next()??, parts.next()??);
        let id = name.strip_prefix("models--")?.replacen("--", "/", 1);
        (snapshots == "snapshots" && is_commit(commit)).then(|| (id, commit.to_owned()))
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
    fn folders_of_models_say_which_they_are() {
        let commit = "0af1".repeat(10);
        let settings = Settings::of_environment(&|_| Some("/c".into()));
        for id in ["org/a-model", "gpt2"] {
            let repo = Repo::model(id, &commit).unwrap();
            let folder = Cache::of(&repo, &settings).snapshot(commit.clone()).folder;
            assert_eq!(Snapshot::model_of(&folder), Some((id.to_owned(), commit.clone())));
        }
        for other in ["models/one", "/a/snapshots/main", "datasets--a--b/snapshots/0af1"] {
            assert_eq!(Snapshot::model_of(Path::new(other)), None);
        }
    }
}
