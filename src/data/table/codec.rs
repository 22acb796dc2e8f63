//! Parquet bytes from arrays and back, with every way that bytes can be wrong as a typed error.

use super::schema::{Column, Kind, Row, schema_of, schema_to_read};
use crate::base::Hint;
use arrow_array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow_schema::{Schema, SchemaRef};
use parquet::{
    arrow::{ArrowWriter, ProjectionMask, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::{
        properties::{WriterProperties, WriterPropertiesBuilder},
        reader::ChunkReader,
    },
    schema::types::ColumnPath,
};
use std::io::Write;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// Bytes of pictures that are compressed together, about; a larger one is alone, so that any of them
/// is read without others.
const PICTURES_TOGETHER: usize = 64 << 10;

/// How large the rows of a group may be together: arrays of text and of lists count their bytes and
/// their elements with 32 bits.
const ROOM_IN_GROUP: usize = i32::MAX as usize;

/// What can be wrong with a table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The bytes are not a whole Parquet file.
    #[error("cannot read the table `{table}`: {reason}")]
    Torn {
        /// The table.
        table: &'static str,
        /// What the reader said.
        reason: String,
    },
    /// The rows could not be written.
    #[error("cannot write the table `{table}`: {source}")]
    Unwritable {
        /// The table.
        table: &'static str,
        /// What the writer said.
        source: ParquetError,
    },
    /// A column is missing, of another type, or empty where it must not be.
    #[error("column `{column}` of the table `{table}` {fault}")]
    Column {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        fault: String,
    },
    /// Any of these, in a file that is read when it is asked for.
    #[error("`{}`: {fault}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        fault: Box<Self>,
    },
    /// One value cannot be.
    #[error("row {row} of the table `{table}` has a wrong `{column}`: {reason}")]
    Value {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row, from 0.
        row: usize,
        /// What is wrong with it.
        reason: String,
    },
}

impl TableError {
    /// The same with its row counted from the beginning of the table.
    fn after(mut self, rows: usize) -> Self {
        if let Self::Value { row, .. } = &mut self {
            *row += rows;
        }
        self
    }
}

impl Hint for TableError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Torn { .. } => {
                Some("the file is damaged: remove it, and it is made again".into())
            }
            Self::File { fault, .. } => fault.hint(),
            Self::Unwritable { .. } => None,
            Self::Column { .. } | Self::Value { .. } => {
                Some("use a table that was written by this version of `mstar`".into())
            }
        }
    }
}

/// The rows as a Parquet file, compressed with zstd.
///
/// # Errors
/// [`TableError`], for a value that its column cannot hold.
pub fn encode<R: Row>(rows: &[R]) -> Result<Vec<u8>, TableError> {
    encode_within(rows, ROOM_IN_GROUP)
}

/// The same in groups with so much room.
pub(super) fn encode_within<R: Row>(rows: &[R], room: usize) -> Result<Vec<u8>, TableError> {
    let mut writer = Writer::new(Vec::new(), R::is_full(rows), |column| R::has(rows, column))?;
    groups(rows, room).try_for_each(|group| writer.write(group))?;
    writer.finish()
}

/// The rows in groups, each of as many as it may have and there is room for, and at least of one.
fn groups<R: Row>(rows: &[R], room: usize) -> impl Iterator<Item = &[R]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let most = rest.len().min(R::ROWS_IN_GROUP);
        let mut size = 0;
        let has_room = |row: &&R| {
            size += row.size();
            size <= room
        };
        let count = rest[..most].iter().take_while(has_room).count().max(1);
        let (group, others) = rest.split_at_checked(count)?;
        rest = others;
        Some(group)
    })
}

/// A table that is written group by group, so that its rows need not be there all at once.
pub struct Writer<R: Row, W: Write + Send> {
    schema: SchemaRef,
    writer: ArrowWriter<W>,
    rows: usize,
    row: PhantomData<R>,
}

impl<R: Row, W: Write + Send> Writer<R, W> {
    /// Begins a table of which is known whether no row lacks a value, and which columns it has.
    ///
    /// # Errors
    /// [`TableError::Unwritable`].
    pub fn new(sink: W, is_full: bool, has: impl Fn(&Column) -> bool) -> Result<Self, TableError> {
        let schema = schema_of::<R>(is_full, has);
        let properties = WriterProperties::builder()
            .set_created_by("mstar".to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(R::ROWS_IN_GROUP));
        let properties = R::COLUMNS.iter().filter_map(path_of_pictures).fold(properties, apart);
        let writer = ArrowWriter::try_new(sink, schema.clone(), Some(properties.build()));
        Ok(Self { schema, writer: writer.map_err(unwritable::<R>)?, rows: 0, row: PhantomData })
    }

    /// Writes rows as a group of their own: they are compressed, and read, together.
    ///
    /// # Errors
    /// [`TableError`], for a value that its column cannot hold.
    pub fn write(&mut self, rows: &[R]) -> Result<(), TableError> {
        self.write_columns(rows.len(), |schema| R::columns(rows, schema))
    }

    /// The same for rows of which somebody has made the columns.
    pub(super) fn write_columns(
        &mut self,
        rows: usize,
        make: impl FnOnce(&Schema) -> Result<Vec<ArrayRef>, TableError>,
    ) -> Result<(), TableError> {
        let columns = make(&self.schema).map_err(|error| error.after(self.rows))?;
        let batch = RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|error| unwritable::<R>(error.into()))?;
        self.rows += rows;
        self.writer.write(&batch).and_then(|()| self.writer.flush()).map_err(unwritable::<R>)
    }

    /// Ends the table, and gives back what it was written to.
    ///
    /// # Errors
    /// [`TableError::Unwritable`].
    pub fn finish(self) -> Result<W, TableError> {
        self.writer.into_inner().map_err(unwritable::<R>)
    }
}

/// Where the bytes of pictures are in a file, if that is what a column holds.
pub(super) fn path_of_pictures(column: &Column) -> Option<ColumnPath> {
    let inside: &[&str] = match column.kind {
        Kind::Picture => &["bytes"],
        Kind::Pictures => &["list", "item", "bytes"],
        _ => return None,
    };
    let parts = std::iter::once(&column.name).chain(inside);
    Some(ColumnPath::new(parts.map(|part| (*part).to_owned()).collect()))
}

/// Has the pictures of a column read one by one. A dictionary would have to be read with each.
fn apart(properties: WriterPropertiesBuilder, path: ColumnPath) -> WriterPropertiesBuilder {
    properties
        .set_column_dictionary_enabled(path.clone(), false)
        .set_column_data_page_size_limit(path, PICTURES_TOGETHER)
}

fn unwritable<R: Row>(source: ParquetError) -> TableError {
    TableError::Unwritable { table: R::TABLE, source }
}

/// The rows of a Parquet file. Columns are found by name; more than the table's own do no harm.
///
/// # Errors
/// [`TableError`], for damaged bytes, columns that do not fit, and values that cannot be.
pub fn decode<R: Row>(bytes: &[u8]) -> Result<Vec<R>, TableError> {
    guarded::<R, _>(|| read(bytes::Bytes::copy_from_slice(bytes)))
}

/// What the closure returns; a panic in it is an error of the table.
pub(super) fn guarded<R: Row, T>(
    read: impl FnOnce() -> Result<T, TableError>,
) -> Result<T, TableError> {
    // The reader asserts some of what a footer claims, so damaged bytes can make it panic. Nothing
    // but its own locals is involved, hence nothing is left half done.
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<&str>().map(|&text| text.to_owned());
        let reason = said.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(torn::<R>(reason.unwrap_or_else(|| "the reader failed".to_owned())))
    })
}

pub(super) fn torn<R: Row>(reason: impl ToString) -> TableError {
    TableError::Torn { table: R::TABLE, reason: reason.to_string() }
}

/// The rows of a file, of which no other columns are read than the table's own.
pub(super) fn read<R: Row>(file: impl ChunkReader + 'static) -> Result<Vec<R>, TableError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(torn::<R>)?;
    let roots = builder.parquet_schema().root_schema().get_fields();
    let is_own = |&at: &usize| R::COLUMNS.iter().any(|column| column.name == roots[at].name());
    let own: Vec<usize> = (0..roots.len()).filter(is_own).collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), own);
    let reader = builder.with_projection(mask).with_batch_size(8192).build();
    let mut rows = Vec::new();
    for batch in reader.map_err(torn::<R>)? {
        let batch = checked::<R>(&batch.map_err(torn::<R>)?)?;
        rows.extend(R::rows(&batch, rows.len())?);
    }
    Ok(rows)
}

/// The table's own columns in their order, of the right types, without nulls where none may be.
fn checked<R: Row>(batch: &RecordBatch) -> Result<RecordBatch, TableError> {
    let schema = schema_to_read::<R>();
    let mut arrays = Vec::new();
    for (column, field) in R::COLUMNS.iter().zip(schema.fields()) {
        let fault =
            |fault: String| TableError::Column { table: R::TABLE, column: column.name, fault };
        let Some(array) = batch.column_by_name(column.name) else {
            if column.replaceable {
                arrays.push(new_null_array(field.data_type(), batch.num_rows()));
                continue;
            }
            return Err(fault("is missing".into()));
        };
        if array.data_type() != field.data_type() {
            let types = (field.data_type(), array.data_type());
            return Err(fault(format!("should be {}, but is {}", types.0, types.1)));
        }
        if !column.nullable && array.null_count() > 0 {
            return Err(fault(format!("lacks {} values", array.null_count())));
        }
        arrays.push(array.clone());
    }
    RecordBatch::try_new(schema, arrays).map_err(torn::<R>)
}

/// A column of a batch that [`checked`] made.
pub(super) fn column<A: Array + 'static>(batch: &RecordBatch, index: usize) -> &A {
    batch.column(index).as_any().downcast_ref().expect("`checked` compared the types")
}
