//! Loaders: files that people have to rows, and rows to samples.

mod cell;
mod json;
mod parquet;
mod rows;
mod tsv;

pub use cell::{Cell, Row};
pub use rows::{FORMATS, RowsError, Visit, each};
