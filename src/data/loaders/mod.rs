//! Loaders: files that people have to rows, and rows to samples.

mod by_row;
mod cell;
mod checkpoint;
mod files;
mod json;
mod load;
mod parquet;
mod rows;
mod sample;
#[cfg(test)]
mod tests;
mod tsv;
mod whole;

pub use cell::{Cell, Row};
pub use checkpoint::{CheckpointError, CheckpointFolder, of_files};
pub use files::{FileSource, FileSourceError, Format};
pub use load::{LoadError, Survey, VisitSample, samples, survey};
pub use rows::{FORMATS, RowsError, Visit, Wanted, each};
pub use sample::{BadSample, Columns, Part, Picture, Unread};
pub use whole::{WholeError, read_whole};
