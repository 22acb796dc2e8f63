//! The questions of a benchmark as they are asked: with their choices and their pictures.

use super::{
    Benchmark, Question, QuestionsError,
    files::files,
    questions::{Written, visit},
};
use crate::base::{Digest, DigestWriter};
use crate::data::loaders::{self, BadSample, Columns, FileSource, Unread, samples};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// A question as a model is asked it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What its responses are judged by.
    pub question: Question,
    /// The text, with the choices.
    pub text: String,
    /// The row that it came from, with its picture.
    pub row: Unread,
}

/// The questions of a benchmark in a file, or in the files of its split in a folder, as they are
/// asked. Pictures are not decoded.
///
/// # Errors
/// [`QuestionsError`], with file, row and column.
pub fn asked(benchmark: &Benchmark, data: &Path) -> Result<Vec<Asked>, QuestionsError> {
    let files = files(benchmark, data)?;
    let mut written: Vec<(Question, Written)> = Vec::new();
    visit(benchmark, &files, &mut |question, place| written.push((question, place)))?;
    let mut rows = rows(benchmark, &files)?;
    let places: BTreeMap<String, (usize, u64)> = written
        .iter()
        .map(|(question, place)| (question.id.clone(), (place.file, place.row)))
        .collect();
    // Those that have the picture of another go first, so that it is still there.
    let mut borrowed: BTreeMap<(usize, u64), Unread> = BTreeMap::new();
    for (question, Written { file, row, picture_of, .. }) in &written {
        let of = picture_of.as_ref().filter(|of| **of != question.id);
        let Some(Ok(row_of)) = of.and_then(|of| rows.get(places.get(of)?)) else { continue };
        borrowed.insert((*file, *row), row_of.clone());
    }
    let mut all = Vec::with_capacity(written.len());
    for (question, Written { file, row, asked, .. }) in written {
        let place = (file, row);
        let row = match borrowed.remove(&place) {
            Some(row) => row,
            None => {
                rows.remove(&place).expect("both passes see the same rows").map_err(Box::new)?
            }
        };
        all.push(Asked { question, text: asked, row });
    }
    Ok(all)
}

/// What is known of a benchmark before its pictures are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surveyed {
    /// Of the files with rows, and of the names and sizes of the pictures that they name.
    pub digest: Digest,
    /// Questions in them.
    pub questions: u64,
}

/// Reads a benchmark once: its digest, and how many questions it has.
///
/// # Errors
/// As [`asked`], but for pictures that are none.
pub fn survey(benchmark: &Benchmark, data: &Path) -> Result<Surveyed, QuestionsError> {
    let files = files(benchmark, data)?;
    let mut questions = 0;
    visit(benchmark, &files, &mut |_, _| questions += 1)?;
    let mut writer = DigestWriter::default();
    for path in files {
        let source = FileSource { format: benchmark.family.format(), path };
        let found = loaders::survey(&source, &Columns::default()).map_err(Box::new)?;
        writer.update(found.digest.to_string().as_bytes());
    }
    Ok(Surveyed { digest: writer.finish(), questions })
}

/// Rows by file and number.
type Rows = BTreeMap<(usize, u64), Result<Unread, BadSample>>;

/// The rows of some files as samples, by file and row.
fn rows(benchmark: &Benchmark, files: &[PathBuf]) -> Result<Rows, QuestionsError> {
    let mut rows = Rows::new();
    for (at, file) in files.iter().enumerate() {
        let source = FileSource { format: benchmark.family.format(), path: file.clone() };
        samples(&source, &Columns::default(), &mut |_, read| {
            let row = match &read {
                Ok(sample) => sample.row,
                Err(bad) => bad.row,
            };
            rows.insert((at, row), read);
            ControlFlow::Continue(())
        })
        .map_err(Box::new)?;
    }
    Ok(rows)
}
