//! Rows of a file, one after the other and never all at once: JSON, JSON lines, tab-separated
//! values, Parquet. The format is told by the name's end.

use super::{
    cell::{Cell, Row},
    json, parquet, tsv, whole,
};
use crate::base::Hint;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Files that hold rows, by how their names end.
pub const FORMATS: [&str; 5] = ["json", "jsonl", "ndjson", "tsv", "parquet"];

/// Why rows cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowsError {
    /// The file cannot be opened or read.
    #[error("`{file}` {reason}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The name does not tell the format.
    #[error("`{file}` is in no format that rows are read from")]
    UnknownFormat {
        /// The file.
        file: PathBuf,
    },
    /// The file is not what its name says, as a whole or from some place on.
    #[error("`{file}` is no {format}: {reason}")]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What it should be.
        format: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// One row cannot be read; those after it can.
    #[error("row {row} of `{file}` cannot be read: {reason}")]
    Row {
        /// The file.
        file: PathBuf,
        /// The row, from 1.
        row: u64,
        /// What is wrong.
        reason: String,
    },
}

impl Hint for RowsError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreadable { .. } => "check the path, and what lies there".to_owned(),
            Self::UnknownFormat { .. } => {
                format!("name a file that ends with `.{}`", FORMATS.join("`, `."))
            }
            Self::Malformed { .. } => "fetch or write the file again".to_owned(),
            Self::Row { .. } => "mend the row, or leave it out".to_owned(),
        })
    }
}

/// What is done with each row: its number from 1, and the row or why it cannot be read.
pub type Visit<'a> = dyn FnMut(u64, Result<Row, RowsError>) -> ControlFlow<()> + 'a;

/// Which columns are read where a format lets one leave some. Those that are not stand in their rows
/// all the same, with nothing in them.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// All.
    All,
    /// All but these.
    Without(&'a [&'a str]),
    /// These.
    Only(&'a [String]),
}

impl Wanted<'_> {
    /// Whether a column is one of them.
    pub(super) fn has(self, column: &str) -> bool {
        match self {
            Self::All => true,
            Self::Without(columns) => !columns.contains(&column),
            Self::Only(columns) => columns.iter().any(|it| it == column),
        }
    }
}

/// Reads the rows of a file in their order until `visit` breaks off.
///
/// # Errors
/// [`RowsError`], when no more rows can be read.
pub fn each(file: &Path, wanted: Wanted<'_>, visit: &mut Visit<'_>) -> Result<(), RowsError> {
    let end = file.extension().map(|end| end.to_string_lossy().to_lowercase());
    match end.as_deref() {
        Some("jsonl" | "ndjson") => json::lines(file, visit),
        Some("json") => json::whole(file, visit),
        Some("tsv") => tsv::each(file, wanted, visit),
        Some("parquet") => parquet::each(file, wanted, visit),
        // What is not there has no format either.
        _ => open(file).and(Err(RowsError::UnknownFormat { file: file.to_owned() })),
    }
}

/// Opens a file of rows. What is no file could be read without end.
pub(super) fn open(file: &Path) -> Result<File, RowsError> {
    whole::open_regular(file)
        .map_err(|error| RowsError::Unreadable { file: file.to_owned(), reason: error.to_string() })
}

/// What the system says when a file cannot be read.
pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> RowsError {
    RowsError::Unreadable { file: file.to_owned(), reason: format!("cannot be read: {error}") }
}

/// A row out of JSON.
pub(super) fn row_of(file: &Path, row: u64, value: serde_json::Value) -> Result<Row, RowsError> {
    match Cell::from(value) {
        Cell::Table(columns) => Ok(columns),
        other => Err(RowsError::Row {
            file: file.to_owned(),
            row,
            reason: format!("an object is expected, and it is {}", other.kind()),
        }),
    }
}
