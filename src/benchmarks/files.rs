//! Where the files of a benchmark are: the one that is named, those that a pattern fits, or those of
//! the split in a folder.

use super::{Benchmark, QuestionsError};
use crate::data::loaders::{FORMATS, FileSource, LoadError, RowsError};
use std::path::{Path, PathBuf};

/// The files with the questions of a benchmark, in order.
pub(super) fn files(benchmark: &Benchmark, data: &Path) -> Result<Vec<PathBuf>, QuestionsError> {
    if data.is_dir() {
        return of_split(benchmark, data);
    }
    if data.is_file() || !data.to_string_lossy().contains('*') {
        return Ok(vec![data.to_owned()]);
    }
    let source = FileSource { format: benchmark.family.format(), path: data.to_owned() };
    source.files().map_err(|error| Box::new(LoadError::from(error)).into())
}

/// The files of a split: those that have its name as a word of theirs, or else the only one.
fn of_split(benchmark: &Benchmark, folder: &Path) -> Result<Vec<PathBuf>, QuestionsError> {
    let unreadable = |error: std::io::Error| RowsError::Unreadable {
        file: folder.to_owned(),
        reason: error.to_string(),
    };
    let mut all: Vec<PathBuf> = Vec::new();
    for folder in [folder.to_owned(), folder.join("data")] {
        if !folder.is_dir() {
            continue;
        }
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let end = path.extension().map(|end| end.to_string_lossy().to_lowercase());
            if end.is_some_and(|end| FORMATS.contains(&end.as_str())) && path.is_file() {
                all.push(path);
            }
        }
    }
    all.sort();
    let split = benchmark.split.to_lowercase();
    let is_of_split = |path: &PathBuf| {
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().to_lowercase());
        let is_letter = |c: char| c.is_alphanumeric();
        stem.is_some_and(|stem| stem.split(|c| !is_letter(c)).any(|word| word == split))
    };
    let named: Vec<PathBuf> = all.iter().filter(|path| is_of_split(path)).cloned().collect();
    let found = if named.is_empty() { all.clone() } else { named };
    let shards = found.iter().all(|path| path.extension().is_some_and(|end| end == "parquet"));
    if found.len() == 1 || (shards && !found.is_empty() && found.iter().all(is_of_split)) {
        return Ok(found);
    }
    let names: Vec<String> =
        found.iter().take(8).map(|path| format!("`{}`", path.display())).collect();
    let (found, hint) = match found.is_empty() {
        true => (
            "no file".to_owned(),
            format!("put a file there that ends with `.{}`", FORMATS.join("`, `.")),
        ),
        false => (
            format!("{} files", found.len()),
            format!("name the file itself: {}", names.join(", ")),
        ),
    };
    let (folder, split) = (folder.to_owned(), benchmark.split.clone());
    Err(QuestionsError::Files { folder, split, found, hint })
}
