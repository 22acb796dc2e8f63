//! Rows out of Parquet, as the hub's data sets are: plain columns, lists, and images as structs of
//! bytes and a path. A few rows are decoded at a time.

use super::{
    cell::{Cell, Row},
    rows::{RowsError, Visit, open},
};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, DictionaryArray, FixedSizeListArray, Float32Array,
    Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, LargeBinaryArray, LargeListArray,
    LargeStringArray, ListArray, StringArray, StructArray, UInt8Array, UInt16Array, UInt32Array,
    UInt64Array, types::Int32Type,
};
use parquet::arrow::{ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder};
use serde_json::Number;
use std::fs::File;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Rows that are decoded together; each may hold an image.
const AT_A_TIME: usize = 16;

/// Reads the rows. A column of a type that no data set has its questions in is left out.
pub(super) fn each(file: &Path, without: &[&str], visit: &mut Visit<'_>) -> Result<(), RowsError> {
    let opened = open(file)?;
    // The reader asserts some of what a footer claims, so damaged bytes can make it panic. Of the
    // reader nothing is used afterwards.
    let batches = guarded(file, || batches(opened, without))?;
    let mut batches = batches.map_err(|reason| malformed(file, reason))?;
    let mut number = 0;
    while let Some(batch) = guarded(file, || batches.next())? {
        let batch = batch.map_err(|error| malformed(file, error.to_string()))?;
        let rows = guarded(file, || {
            let schema = batch.schema();
            let column = |at: usize, row: usize| {
                (schema.field(at).name().clone(), cell(batch.column(at), row))
            };
            let row = |row: usize| (0..batch.num_columns()).map(|at| column(at, row)).collect();
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

fn batches(
    file: File,
    without: &[&str],
) -> Result<parquet::arrow::arrow_reader::ParquetRecordBatchReader, String> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| e.to_string())?;
    let columns = builder.parquet_schema().root_schema().get_fields();
    let wanted = (0..columns.len()).filter(|&at| !without.contains(&columns[at].name()));
    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted.collect::<Vec<_>>());
    let reader = builder.with_projection(mask).with_batch_size(AT_A_TIME).build();
    reader.map_err(|error| error.to_string())
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
