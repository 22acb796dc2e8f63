//! Rows out of Parquet, as the hub's data sets are: plain columns, lists, and images as structs of
//! bytes and a path. A few rows are decoded at a time.

use super::{
    by_row::LONGEST_ROW,
    cell::{Cell, Row},
    rows::{RowsError, Visit, Wanted, open},
};
use crate::base::Bytes;
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, DictionaryArray, FixedSizeListArray, Float32Array,
    Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, LargeBinaryArray, LargeListArray,
    LargeStringArray, ListArray, StringArray, StructArray, UInt8Array, UInt16Array, UInt32Array,
    UInt64Array, types::Int32Type,
};
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use serde_json::Number;
use std::fs::File;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Rows that are decoded together; each may hold an image.
const AT_A_TIME: usize = 16;
/// Bytes of the smallest column of a group of rows that may not shrink at will, and how many times it
/// may: texts and pictures that somebody has shrink far less.
const LARGE: u64 = 64 << 20;
const MOST_SHRUNK: u64 = 256;

/// Reads the rows. A column of a type that no data set has its questions in is left out.
pub(super) fn each(
    file: &Path,
    wanted: Wanted<'_>,
    visit: &mut Visit<'_>,
) -> Result<(), RowsError> {
    let opened = open(file)?;
    // The reader asserts some of what a footer claims, so damaged bytes can make it panic. Of the
    // reader nothing is used afterwards.
    let opened = guarded(file, || batches(opened, wanted))?;
    let (mut batches, unread) = opened.map_err(|reason| malformed(file, reason))?;
    let mut number = 0;
    while let Some(batch) = guarded(file, || batches.next())? {
        let batch = batch.map_err(|error| malformed(file, error.to_string()))?;
        let rows = guarded(file, || {
            let schema = batch.schema();
            let column = |at: usize, row: usize| {
                (schema.field(at).name().clone(), cell(batch.column(at), row))
            };
            let nothing = || unread.iter().map(|name| (name.clone(), Cell::Null));
            let read = |row: usize| (0..batch.num_columns()).map(move |at| column(at, row));
            let row = |row: usize| nothing().chain(read(row)).collect();
            (0..batch.num_rows()).map(row).collect::<Vec<Row>>()
        })?;
        for row in rows {
            number += 1;
            if visit(number, Ok(row)) == ControlFlow::Break(()) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The rows with the columns that are wanted, and the names of the others.
fn batches(
    file: File,
    wanted: Wanted<'_>,
) -> Result<(ParquetRecordBatchReader, Vec<String>), String> {
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| e.to_string())?;
    let columns = builder.parquet_schema().root_schema().get_fields();
    let (read, left): (Vec<usize>, Vec<usize>) =
        (0..columns.len()).partition(|&at| wanted.has(columns[at].name()));
    let unread = left.into_iter().map(|at| columns[at].name().to_owned()).collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), read);
    let at_a_time = rows_at_a_time(builder.metadata(), &mask, length)?;
    let reader = builder.with_projection(mask).with_batch_size(at_a_time).build();
    Ok((reader.map_err(|error| error.to_string())?, unread))
}

/// How many rows are decoded together, none of which can be larger than the largest column of its
/// group: a file of a few bytes can say one large value in each of its rows. What is not read cannot
/// do harm.
fn rows_at_a_time(
    metadata: &ParquetMetaData,
    mask: &ProjectionMask,
    length: u64,
) -> Result<usize, String> {
    let mut largest = 1;
    for group in metadata.row_groups() {
        let columns = group.columns().iter().enumerate();
        for (_, column) in columns.filter(|(leaf, _)| mask.leaf_included(*leaf)) {
            largest = largest.max(whole_size(column, length)?);
        }
    }
    Ok((LONGEST_ROW / largest).clamp(1, AT_A_TIME as u64) as usize)
}

/// Bytes of a column of a group when it is not compressed.
fn whole_size(column: &ColumnChunkMetaData, length: u64) -> Result<u64, String> {
    let name = column.column_path().string();
    let sizes = (column.uncompressed_size(), column.compressed_size());
    let (Ok(whole), Ok(packed)) = (u64::try_from(sizes.0), u64::try_from(sizes.1)) else {
        return Err(format!("the column `{name}` is said to have {} bytes", sizes.0.min(sizes.1)));
    };
    if packed > length {
        return Err(format!("the column `{name}` is said to be larger than the file"));
    }
    if whole > LARGE && whole / MOST_SHRUNK > packed {
        let (whole, packed) = (Bytes(whole), Bytes(packed));
        return Err(format!("the column `{name}` would become {whole} out of {packed}"));
    }
    Ok(whole)
}

fn malformed(file: &Path, reason: String) -> RowsError {
    RowsError::Malformed { file: file.to_owned(), format: "Parquet file", reason }
}

/// What the closure returns; a panic in it is an error of the file.
fn guarded<T>(file: &Path, read: impl FnOnce() -> T) -> Result<T, RowsError> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|panic| {
        let said = panic.downcast_ref::<&str>().map(|&text| text.to_owned());
        let reason = said.or_else(|| panic.downcast_ref::<String>().cloned());
        malformed(file, reason.unwrap_or_else(|| "the reader failed".to_owned()))
    })
}

/// One value of a column.
fn cell(array: &ArrayRef, row: usize) -> Cell {
    if array.is_null(row) {
        return Cell::Null;
    }
    let any = array.as_any();
    macro_rules! whole_numbers {
        ($($kind:ty),*) => {
            $(if let Some(array) = any.downcast_ref::<$kind>() {
                return Cell::Number(array.value(row).into());
            })*
        };
    }
    whole_numbers!(
        Int64Array,
        Int32Array,
        UInt64Array,
        UInt32Array,
        Int16Array,
        UInt16Array,
        Int8Array,
        UInt8Array
    );
    if let Some(array) = any.downcast_ref::<StringArray>() {
        return Cell::Text(array.value(row).to_owned());
    }
    if let Some(array) = any.downcast_ref::<LargeStringArray>() {
        return Cell::Text(array.value(row).to_owned());
    }
    if let Some(array) = any.downcast_ref::<BinaryArray>() {
        return Cell::Bytes(array.value(row).to_vec());
    }
    if let Some(array) = any.downcast_ref::<LargeBinaryArray>() {
        return Cell::Bytes(array.value(row).to_vec());
    }
    if let Some(array) = any.downcast_ref::<BooleanArray>() {
        return Cell::Flag(array.value(row));
    }
    if let Some(array) = any.downcast_ref::<Float64Array>() {
        return Number::from_f64(array.value(row)).map_or(Cell::Null, Cell::Number);
    }
    if let Some(array) = any.downcast_ref::<Float32Array>() {
        return Number::from_f64(f64::from(array.value(row))).map_or(Cell::Null, Cell::Number);
    }
    nested(array, row)
}

fn nested(array: &ArrayRef, row: usize) -> Cell {
    let any = array.as_any();
    let list =
        |values: &ArrayRef| Cell::List((0..values.len()).map(|at| cell(values, at)).collect());
    if let Some(array) = any.downcast_ref::<ListArray>() {
        return list(&array.value(row));
    }
    if let Some(array) = any.downcast_ref::<LargeListArray>() {
        return list(&array.value(row));
    }
    if let Some(array) = any.downcast_ref::<FixedSizeListArray>() {
        return list(&array.value(row));
    }
    if let Some(array) = any.downcast_ref::<StructArray>() {
        let fields = array.fields().iter().zip(array.columns());
        let fields = fields.map(|(field, values)| (field.name().clone(), cell(values, row)));
        return Cell::Table(fields.collect());
    }
    if let Some(array) = any.downcast_ref::<DictionaryArray<Int32Type>>() {
        return array.key(row).map_or(Cell::Null, |key| cell(array.values(), key));
    }
    Cell::Null
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::RecordBatch;
    use parquet::arrow::ArrowWriter;
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::file::properties::WriterProperties;
    use std::sync::Arc;

    /// A column of zeros, so many bytes in each of so many rows.
    fn of_zeros(rows: usize, bytes: usize, has_dictionary: bool) -> tempfile::NamedTempFile {
        let zeros = vec![0_u8; bytes];
        let array: ArrayRef = Arc::new(BinaryArray::from_iter_values((0..rows).map(|_| &zeros)));
        let batch = RecordBatch::try_from_iter([("image", array)]).unwrap();
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_dictionary_enabled(has_dictionary)
            .set_dictionary_page_size_limit(1 << 30)
            .build();
        let file = tempfile::NamedTempFile::new().unwrap();
        let sink = file.reopen().unwrap();
        let mut writer = ArrowWriter::try_new(sink, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        file
    }

    #[test]
    fn a_small_file_does_not_become_a_large_one() {
        let bomb = of_zeros(70, 1 << 20, false);
        let mut rows = 0;
        let mut count = |_, _: Result<Row, RowsError>| {
            rows += 1;
            ControlFlow::Continue(())
        };
        let error = each(bomb.path(), Wanted::All, &mut count).unwrap_err().to_string();
        assert!(error.contains("the column `image` would become 70.0 MiB out of "), "{error}");
        each(of_zeros(20, 1 << 20, false).path(), Wanted::All, &mut count).unwrap();
        assert_eq!(rows, 20);
    }

    #[test]
    fn a_column_that_nobody_wants_is_not_looked_into() {
        let bomb = of_zeros(70, 1 << 20, false);
        for wanted in [Wanted::Without(&["image"]), Wanted::Only(&["question".to_owned()])] {
            let mut rows = 0;
            let mut count = |_, row: Result<Row, RowsError>| {
                rows += 1;
                assert_eq!(row.unwrap(), Row::from([("image".to_owned(), Cell::Null)]));
                ControlFlow::Continue(())
            };
            each(bomb.path(), wanted, &mut count).unwrap();
            assert_eq!(rows, 70);
        }
    }

    #[test]
    fn fewer_rows_are_decoded_together_where_each_may_be_large() {
        let at_a_time = |file: &tempfile::NamedTempFile| {
            let file = file.reopen().unwrap();
            let length = file.metadata().unwrap().len();
            let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            rows_at_a_time(builder.metadata(), &ProjectionMask::all(), length).unwrap()
        };
        assert_eq!(at_a_time(&of_zeros(40, 100, true)), AT_A_TIME);
        // One value that every row has.
        assert_eq!(at_a_time(&of_zeros(3, 60 << 20, true)), 4);
    }
}
