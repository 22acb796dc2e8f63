//! Checkpoints that are folders: which of their files belong to the model, and the digest of them.

use super::whole::{WholeError, open_regular, read_whole};
use crate::base::{Digest, DigestWriter, Hint};
use crate::data::checkpoint::Companions;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes of the largest file beside the weights.
const LARGEST_COMPANION: u64 = 256 << 20;
/// Weights in one file.
const SINGLE: &str = "model.safetensors";
/// Which of several files has which tensor.
const INDEX: &str = "model.safetensors.index.json";
/// What pickled weights are called.
const PICKLED: [&str; 4] =
    ["pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "consolidated.00.pth"];

/// A checkpoint in a folder, in the Hugging Face layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointFolder {
    path: PathBuf,
    /// Its weights, with the index where there is one; in the order of their names.
    weights: Vec<String>,
}

/// Why a folder is no checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// There is no such folder, or nothing that belongs into one.
    #[error("`{path}` is no checkpoint: {reason}")]
    Lacking {
        /// The folder.
        path: PathBuf,
        /// What is not there.
        reason: String,
    },
    /// A file cannot be read.
    #[error("`{path}` cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The index of the weights is wrong.
    #[error("`{path}` is no index of weights: {reason}")]
    Index {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl Hint for CheckpointError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Lacking { reason, .. } if reason.contains("pickle") => {
                "pickles can run code and are never opened: save the model once more with \
                 `save_pretrained`, which writes safetensors"
                    .to_owned()
            }
            Self::Lacking { .. } => {
                "a checkpoint has `config.json`, `model.safetensors` (or several with an index), the \
                 tokenizer's and the processor's files"
                    .to_owned()
            }
            Self::Unreadable { .. } | Self::Index { .. } => {
                "fetch all files of the checkpoint again, from one revision".to_owned()
            }
        })
    }
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl CheckpointFolder {
    /// Looks at a folder.
    ///
    /// # Errors
    /// When it has no configuration or no weights.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        let lacking = |reason: &str| CheckpointError::Lacking {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        if !path.is_dir() {
            return Err(lacking("there is no such folder"));
        }
        if !path.join("config.json").is_file() {
            return Err(lacking("it has no `config.json`"));
        }
        let weights = match (path.join(INDEX).is_file(), path.join(SINGLE).is_file()) {
            (true, _) => indexed(path)?,
            (false, true) => vec![SINGLE.to_owned()],
            (false, false) if PICKLED.iter().any(|name| path.join(name).exists()) => {
                return Err(lacking("its weights are a pickle, not safetensors"));
            }
            (false, false) => return Err(lacking("it has no `model.safetensors`")),
        };
        for name in &weights {
            if !path.join(name).is_file() {
                return Err(lacking(&format!("it has no `{name}`, which its index names")));
            }
        }
        Ok(Self { path: path.to_owned(), weights })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of the files with weights, and of their index.
    pub fn weights(&self) -> &[String] {
        &self.weights
    }

    /// What it has beside its weights.
    ///
    /// # Errors
    /// [`CheckpointError::Unreadable`].
    pub fn companions(&self) -> Result<Companions, CheckpointError> {
        Companions::read(|name| {
            let path = self.path.join(name);
            match read_whole(&path, LARGEST_COMPANION) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(WholeError::Missing) => Ok(None),
                Err(error) => Err(CheckpointError::Unreadable { path, source: error.into() }),
            }
        })
    }

    /// The digest of all of it: of names and contents, wherever the folder lies. `digest` is given each
    /// file of weights.
    ///
    /// # Errors
    /// [`CheckpointError::Unreadable`].
    pub fn digest(
        &self,
        digest: &mut dyn FnMut(&Path, File) -> io::Result<Digest>,
    ) -> Result<Digest, CheckpointError> {
        let mut all = BTreeMap::new();
        for (name, bytes) in self.companions()?.iter() {
            all.insert(name.to_owned(), Digest::of(bytes));
        }
        for name in &self.weights {
            let path = self.path.join(name);
            let opened = open_regular(&path).map_err(io::Error::from);
            let found = opened.and_then(|file| digest(&path, file));
            let digest = found.map_err(|source| CheckpointError::Unreadable { path, source })?;
            all.insert(name.clone(), digest);
        }
        Ok(of_files(&all))
    }
}

/// The digest of files by name, given the digest of each.
pub fn of_files(files: &BTreeMap<String, Digest>) -> Digest {
    let mut all = DigestWriter::default();
    for (name, digest) in files {
        all.update(format!("{name} {digest}\n").as_bytes());
    }
    all.finish()
}

/// The index and the files that it names.
fn indexed(folder: &Path) -> Result<Vec<String>, CheckpointError> {
    let path = folder.join(INDEX);
    let wrong = |reason: String| CheckpointError::Index { path: path.clone(), reason };
    let bytes = read_whole(&path, LARGEST_COMPANION).map_err(|error| {
        CheckpointError::Unreadable { path: path.clone(), source: error.into() }
    })?;
    let index: Index = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    let mut names: BTreeSet<String> = index.weight_map.into_values().collect();
    if let Some(odd) = names.iter().find(|name| Path::new(name).components().count() != 1) {
        return Err(wrong(format!("`{odd}` is not the name of a file beside it")));
    }
    names.insert(INDEX.to_owned());
    Ok(names.into_iter().collect())
}
