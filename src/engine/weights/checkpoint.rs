//! The files of a checkpoint: one safetensors file, or a folder with one or with an index of several
//! (`model.safetensors.index.json`), memory-mapped, so that only what a model keeps is copied.

use super::{
    WeightsError,
    file::{Stored, header, with_mapped},
    names::{Names, Slice, Spelling},
};
use memmap2::UncheckedAdvice;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::{Component, Path},
};
use tch::Tensor;

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// What pickled checkpoints are called.
const PICKLED: [&str; 4] =
    ["pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "consolidated.00.pth"];

/// The bytes of a file.
pub(in crate::engine) enum Bytes {
    Mapped(memmap2::Mmap),
    Owned(Vec<u8>),
}

impl Bytes {
    pub(in crate::engine) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }

    /// Lets go of memory that some bytes of a file take; whoever reads them again has them read in
    /// again. Without it a checkpoint would be in memory twice while it is loaded.
    fn let_go(&self, bytes: &Range<usize>) {
        let Self::Mapped(map) = self else { return };
        #[expect(unsafe_code, reason = "weights are memory-mapped")]
        // SAFETY: the pages of a file that is only read hold the same bytes when they come back.
        let done = unsafe {
            map.unchecked_advise_range(UncheckedAdvice::DontNeed, bytes.start, bytes.len())
        };
        // A system that does not heed it keeps the pages for as long as it has room for them.
        drop(done);
    }
}

struct Entry {
    /// Its name in the file.
    found: String,
    file: usize,
    stored: Stored,
    slice: Option<Slice>,
}

/// Tensors on disk, by the names that a model has for them.
pub(super) struct Checkpoint {
    files: Vec<Bytes>,
    entries: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Maps a file, or the files of a folder.
    pub(super) fn open(path: &Path) -> Result<Self, WeightsError> {
        if !path.is_dir() {
            return Self::of_files(vec![(path.display().to_string(), map(path)?)]);
        }
        if path.join(INDEX).exists() {
            return Self::indexed(path);
        }
        if !path.join(SINGLE).exists() {
            let pickled = PICKLED.iter().map(|name| path.join(name)).find(|path| path.exists());
            if let Some(pickled) = pickled {
                return Err(WeightsError::Pickle { path: pickled.display().to_string() });
            }
        }
        let single = path.join(SINGLE);
        Self::of_files(vec![(single.display().to_string(), map(&single)?)])
    }

    /// The bytes of one file; `name` stands for it in errors.
    pub(super) fn of_bytes(bytes: &[u8], name: &str) -> Result<Self, WeightsError> {
        Self::of_files(vec![(name.to_owned(), Bytes::Owned(bytes.to_vec()))])
    }

    fn indexed(folder: &Path) -> Result<Self, WeightsError> {
        let path = folder.join(INDEX);
        let shown = path.display().to_string();
        let wrong = |reason: String| WeightsError::Index { path: shown.clone(), reason };
        let text = std::fs::read(&path)
            .map_err(|source| WeightsError::Unreadable { path: shown.clone(), source })?;
        let index: Index =
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        let shards: BTreeSet<&String> = index.weight_map.values().collect();
        let mut files = Vec::new();
        for shard in shards {
            let mut parts = Path::new(shard).components();
            if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
                return Err(wrong(format!("`{shard}` is not the name of a file beside it")));
            }
            let path = folder.join(shard);
            files.push((path.display().to_string(), map(&path)?));
        }
        let checkpoint = Self::of_files(files)?;
        let absent = index.weight_map.keys().filter(|name| !checkpoint.entries.contains_key(*name));
        let absent: Vec<String> = absent.map(|name| format!("`{name}`")).collect();
        match absent.is_empty() {
            true => Ok(checkpoint),
            false => Err(wrong(format!("no file has its {}", absent.join(", ")))),
        }
    }

    fn of_files(found: Vec<(String, Bytes)>) -> Result<Self, WeightsError> {
        let (mut files, mut entries) = (Vec::new(), BTreeMap::<String, Entry>::new());
        for (path, bytes) in found {
            for (name, stored) in header(bytes.as_slice(), &path)? {
                let entry = Entry { found: name.clone(), file: files.len(), stored, slice: None };
                if entries.insert(name.clone(), entry).is_some() {
                    let reason = format!("`{name}` is in another file of the checkpoint too");
                    return Err(WeightsError::Index { path, reason });
                }
            }
            files.push(bytes);
        }
        Ok(Self { files, entries })
    }

    /// Calls the tensors as a model does. One whose new name is taken keeps its own.
    pub(super) fn rename(&mut self, names: &Names) {
        let mut renamed = BTreeMap::<String, Entry>::new();
        for (_, entry) in std::mem::take(&mut self.entries) {
            for (name, slice) in names.of(&entry.found, &entry.stored) {
                let name = if renamed.contains_key(&name) { entry.found.clone() } else { name };
                let (found, stored) = (entry.found.clone(), entry.stored.clone());
                let _new = renamed.insert(name, Entry { found, file: entry.file, stored, slice });
            }
        }
        self.entries = renamed;
    }

    /// Takes the beginning `prefix` off the names.
    pub(super) fn unwrap(&mut self, prefix: &str) {
        let entries = std::mem::take(&mut self.entries).into_iter();
        self.entries = entries
            .map(|(name, mut entry)| {
                let name = name.strip_prefix(prefix).unwrap_or(&name).to_owned();
                entry.found = name.clone();
                (name, entry)
            })
            .collect();
    }

    /// The shape of a tensor, if there is such a one.
    pub(super) fn shape(&self, name: &str) -> Option<Vec<i64>> {
        let entry = self.entries.get(name)?;
        Some(match &entry.slice {
            None => entry.stored.shape.clone(),
            Some(slice) => slice.shape(&entry.stored.shape),
        })
    }

    /// What `make` makes of a tensor that is there; it may not keep it.
    pub(super) fn read(&self, name: &str, make: impl FnOnce(&Tensor) -> Tensor) -> Option<Tensor> {
        let entry = self.entries.get(name)?;
        let file = &self.files[entry.file];
        let made = with_mapped(file.as_slice(), &entry.stored, |whole| match &entry.slice {
            None => make(whole),
            Some(slice) => make(&slice.of(whole)),
        });
        file.let_go(&entry.stored.bytes);
        Some(made)
    }

    /// Forgets a tensor that the model has no use for.
    pub(super) fn forget(&mut self, name: &str) {
        drop(self.entries.remove(name));
    }

    /// What it calls the tensors that a model reads of it.
    pub(super) fn spelling(&self) -> Spelling {
        let mut spelling = Spelling::default();
        for (name, entry) in &self.entries {
            spelling.add(&entry.found, name, entry.slice.as_ref());
        }
        spelling
    }

    /// Every name of the model with the one in the file.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry.found.as_str()))
    }
}

/// Maps a file into memory.
pub(in crate::engine) fn map(path: &Path) -> Result<Bytes, WeightsError> {
    let name = path.display().to_string();
    let unreadable = |source| WeightsError::Unreadable { path: name.clone(), source };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.len() == 0 {
        let reason = "it is empty".to_owned();
        return Err(WeightsError::Corrupt { path: name, offset: 0, reason });
    }
    #[expect(unsafe_code, reason = "weights are memory-mapped")]
    // SAFETY: checkpoints are read only while a model is built; stored artifacts are never rewritten
    // in place.
    let map = unsafe { memmap2::Mmap::map(&file) }.map_err(unreadable)?;
    Ok(Bytes::Mapped(map))
}
