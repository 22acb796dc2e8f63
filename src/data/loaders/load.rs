//! Reading a source of files: once to know what it holds, and again for its samples.

use super::{
    files::{FileSource, FileSourceError},
    rows::{self, RowsError, Wanted},
    sample::{BadSample, Columns, Picture, Place, Unread, looked_at},
};
use crate::base::{Digest, DigestWriter, Hint};
use crate::data::PLACE;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

/// What is known of a source before its images are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// Of the files with rows, and of the names and sizes of the images that they name.
    pub digest: Digest,
    /// Rows that are samples, as far as can be told without their images.
    pub samples: u64,
    /// The first row that is none.
    pub first_bad: Option<BadSample>,
    /// Rows that are none.
    pub bad: u64,
}

/// Why a source cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// There is none.
    #[error(transparent)]
    Source(#[from] FileSourceError),
    /// A file cannot be read.
    #[error(transparent)]
    Rows(#[from] RowsError),
}

impl Hint for LoadError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Source(error) => error.hint(),
            Self::Rows(error) => error.hint(),
        }
    }
}

/// What is done with each row: its number in the source from 0, and the sample or what is wrong.
pub type VisitSample<'a> = dyn FnMut(u64, Result<Unread, BadSample>) -> ControlFlow<()> + 'a;

/// Reads the samples of a source in the order of its files, until `visit` breaks off.
///
/// # Errors
/// [`LoadError`], when no more rows can be read.
pub fn samples(
    source: &FileSource,
    columns: &Columns,
    visit: &mut VisitSample<'_>,
) -> Result<(), LoadError> {
    let mut number = 0;
    let wanted = looked_at(source.format, columns);
    for file in source.files()? {
        let mut ended = false;
        let shared: Arc<Path> = file.as_path().into();
        rows::each(&file, Wanted::Only(&wanted), &mut |row, read| {
            let place = Place { format: source.format, columns, file: &shared, row };
            let sample = match read {
                Ok(read) => place.sample(read),
                Err(RowsError::Row { reason, .. }) => {
                    Err(place.bad("", format!("cannot be read: {reason}"), "mend the row"))
                }
                Err(error) => {
                    Err(place.bad("", format!("cannot be read: {error}"), "mend the file"))
                }
            };
            let flow = visit(number, sample);
            number += 1;
            ended = flow.is_break();
            flow
        })?;
        if ended {
            break;
        }
    }
    Ok(())
}

/// Reads a source once: its digest, and how many samples it has.
///
/// # Errors
/// [`LoadError`].
pub fn survey(source: &FileSource, columns: &Columns) -> Result<Survey, LoadError> {
    let mut writer = DigestWriter::default();
    for file in source.files()? {
        let digest = Digest::of_reader(rows::open(&file)?);
        let digest = digest.map_err(|error| rows::unreadable(&file, &error))?;
        writer.update(digest.to_string().as_bytes());
    }
    let (mut samples_found, mut bad, mut first_bad) = (0, 0, None);
    let root =
        if source.path.is_dir() { Some(source.path.as_path()) } else { source.path.parent() };
    samples(source, columns, &mut |_, sample| {
        match sample {
            Ok(sample) => {
                samples_found += 1;
                for picture in &sample.images {
                    let Picture::File(path) = picture else { continue };
                    let inside = root.and_then(|root| path.strip_prefix(root).ok()).unwrap_or(path);
                    let size = std::fs::metadata(path).map_or(0, |about| about.len());
                    writer.update(format!("\n{} {size}", inside.display()).as_bytes());
                }
                // Rows that were not always read so have digests of their own.
                let count = sample.images.len();
                if count != 1 || sample.question.contains(PLACE) {
                    writer.update(format!("\nrow {}: {count}", sample.row).as_bytes());
                }
            }
            Err(error) => {
                bad += 1;
                first_bad.get_or_insert(error);
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(Survey { digest: writer.finish(), samples: samples_found, first_bad, bad })
}
