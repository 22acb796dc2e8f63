//! Artifacts: committed folders whose manifest holds a digest for every byte in them, its own too.

use super::{
    disk::{self, Sync},
    error::{At as _, Error, READ},
    layout::Store,
    lock::Lock,
    staging::check_name,
};
use crate::base::{Digest, Key, digest_of_json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// Name of the file that describes an artifact.
pub const MANIFEST: &str = "manifest.json";

/// Version of the manifest.
const FORMAT: u32 = 1;

/// Where an artifact comes from. Holds no time, so that equal work gives equal bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Kind of the stage.
    pub kind: String,
    /// Its behaviour version.
    pub behaviour: u32,
    /// Its resolved options.
    pub options: Value,
    /// What it read, by port.
    pub inputs: BTreeMap<String, Key>,
    /// Device and library that computed it.
    pub computed_on: String,
}

/// A file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its size.
    pub bytes: u64,
    /// Digest of its bytes.
    pub digest: Digest,
}

/// What an artifact is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this description.
    pub format: u32,
    /// The stage's key.
    pub key: Key,
    /// Where it comes from.
    pub provenance: Provenance,
    /// Its files by name.
    pub files: BTreeMap<String, FileEntry>,
}

/// A finished piece of work. Its files never change; each read makes sure of that.
#[derive(Clone, Debug)]
pub struct Artifact {
    folder: PathBuf,
    manifest: Manifest,
}

impl Artifact {
    pub(super) fn open(key: Key, folder: PathBuf) -> Result<Option<Self>, Error> {
        let Some(bytes) = disk::read(&folder.join(MANIFEST))? else {
            if folder.exists() {
                return Err(Error::Altered { key, file: MANIFEST.into() });
            }
            return Ok(None);
        };
        let manifest = parse(&bytes)
            .filter(|manifest| manifest.key == key)
            .ok_or_else(|| Error::Altered { key, file: MANIFEST.into() })?;
        for (name, entry) in &manifest.files {
            let size = fs::metadata(folder.join(name)).map(|about| about.len());
            if size.ok() != Some(entry.bytes) {
                return Err(Error::Altered { key, file: name.clone() });
            }
        }
        Ok(Some(Self { folder, manifest }))
    }

    /// The stage's key.
    pub fn key(&self) -> Key {
        self.manifest.key
    }

    /// What it is.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Size of its files.
    pub fn bytes(&self) -> u64 {
        self.manifest.files.values().map(|entry| entry.bytes).sum()
    }

    /// Whether it has such a file.
    pub fn contains(&self, name: &str) -> bool {
        self.manifest.files.contains_key(name)
    }

    /// A file's bytes, as they were committed.
    ///
    /// # Errors
    /// [`Error::Altered`] when they are others, [`Error::NoSuchFile`] when there never was one.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        let entry = self.entry(name)?;
        let bytes = disk::read(&self.folder.join(name))?.ok_or_else(|| self.altered(name))?;
        if Digest::of(&bytes) == entry.digest { Ok(bytes) } else { Err(self.altered(name)) }
    }

    /// Where a file lies, for mapping it into memory, after its bytes were found as committed.
    ///
    /// # Errors
    /// As [`Artifact::read`].
    pub fn path(&self, name: &str) -> Result<PathBuf, Error> {
        let entry = self.entry(name)?;
        let path = self.folder.join(name);
        match fs::File::open(&path).and_then(Digest::of_reader) {
            Ok(digest) if digest == entry.digest => Ok(path),
            Ok(_) => Err(self.altered(name)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(self.altered(name)),
            Err(error) => Err(error).at(READ, &path),
        }
    }

    /// Where its files lie, after the bytes of those that `chosen` accepts were found as committed.
    ///
    /// # Errors
    /// As [`Artifact::read`].
    pub fn folder(&self, chosen: impl Fn(&str) -> bool) -> Result<&Path, Error> {
        let mut names = self.manifest.files.keys().filter(|name| chosen(name));
        names.try_for_each(|name| self.path(name).map(drop))?;
        Ok(&self.folder)
    }

    /// Looks at every byte.
    ///
    /// # Errors
    /// As [`Artifact::read`], for the first file that is not as committed.
    pub fn verify(&self) -> Result<(), Error> {
        self.manifest.files.keys().try_for_each(|name| self.path(name).map(drop))
    }

    fn entry(&self, name: &str) -> Result<&FileEntry, Error> {
        let entry = self.manifest.files.get(name);
        entry.ok_or_else(|| Error::NoSuchFile { key: self.key(), file: name.to_owned() })
    }

    fn altered(&self, name: &str) -> Error {
        Error::Altered { key: self.key(), file: name.to_owned() }
    }
}

impl Store {
    /// Makes the results of a stage an artifact: digests of all files, a manifest, one rename. Only
    /// the holder of the stage's lock may. When an equal artifact is there already, that one stays.
    /// With [`Sync::Later`] a loss of power may tear it, to be found and made again: right for what
    /// took no longer than a sync would.
    ///
    /// # Errors
    /// When a file cannot be read or written; the staging folder then stays as it is.
    pub fn commit(
        &self,
        lock: &Lock,
        provenance: Provenance,
        sync: Sync,
    ) -> Result<Artifact, Error> {
        let key = lock.key();
        let staging = self.staging(key)?;
        let results = staging.results();
        let mut files = BTreeMap::new();
        for name in results.list()?.into_iter().filter(|name| name != MANIFEST) {
            let entry = describe(&results.path(&name)?, sync)?;
            files.insert(name, entry);
        }
        remove_unfinished(results.folder())?;
        let manifest = Manifest { format: FORMAT, key, provenance, files };
        disk::write(&results.path(MANIFEST)?, &print(&manifest), sync)?;
        disk::sync_folder(results.folder(), sync)?;
        let target = self.artifact_folder(key);
        self.discard_altered(lock)?;
        self.rename_into_place(results.folder(), &target, sync)?;
        self.remove(staging.path())?;
        Ok(Artifact { folder: target, manifest })
    }

    /// Takes an artifact away unless every byte of it is as committed; tells whether it is gone.
    ///
    /// # Errors
    /// When it cannot be read, moved or removed.
    pub fn discard_altered(&self, lock: &Lock) -> Result<bool, Error> {
        let key = lock.key();
        match self.artifact(key).and_then(|found| found.map(|it| it.verify()).transpose()) {
            Ok(Some(())) => Ok(false),
            Ok(None) => Ok(true),
            Err(Error::Altered { .. }) => self.discard(key).map(|()| true),
            Err(error) => Err(error),
        }
    }

    fn rename_into_place(&self, from: &Path, target: &Path, sync: Sync) -> Result<(), Error> {
        let parent = target.parent().expect("an artifact lies in a folder of its first digits");
        if !parent.is_dir() {
            disk::make_folder(parent)?;
            disk::sync_folder(&self.artifacts_folder(), sync)?;
        }
        match fs::rename(from, target) {
            Ok(()) => disk::sync_folder(parent, sync),
            Err(_) if target.exists() => Ok(()),
            Err(error) => Err(error).at("rename into place", target),
        }
    }
}

fn describe(path: &Path, sync: Sync) -> Result<FileEntry, Error> {
    let file = fs::File::open(path).at(READ, path)?;
    let bytes = file.metadata().at("look at", path)?.len();
    disk::sync_file(&file, path, sync)?;
    Ok(FileEntry { bytes, digest: Digest::of_reader(file).at(READ, path)? })
}

fn remove_unfinished(folder: &Path) -> Result<(), Error> {
    for name in disk::names(folder)? {
        let path = folder.join(&name);
        if name.starts_with('.') {
            disk::remove_file(&path)?;
        } else if path.is_dir() {
            remove_unfinished(&path)?;
        }
    }
    Ok(())
}

/// The manifest's text: its fields and, as `digest`, that of all the others.
fn print(manifest: &Manifest) -> Vec<u8> {
    let mut value = serde_json::to_value(manifest).expect("a manifest is plain data");
    value["digest"] = Value::from(digest_of_json(&value).to_string());
    let mut text = serde_json::to_vec_pretty(&value).expect("a value is plain data");
    text.push(b'\n');
    text
}

/// Reads what [`print`] wrote; `None` for anything else. Fields of later programs are kept out of
/// the result, but not out of the digest.
fn parse(bytes: &[u8]) -> Option<Manifest> {
    let mut value: Value = serde_json::from_slice(bytes).ok()?;
    let digest = value.as_object_mut()?.remove("digest")?;
    if Digest::parse(digest.as_str()?)? != digest_of_json(&value) {
        return None;
    }
    let manifest: Manifest = serde_json::from_value(value).ok()?;
    manifest.files.keys().all(|name| check_name(name).is_ok()).then_some(manifest)
}
