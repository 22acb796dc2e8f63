//! What a column may hold, and the documented list of columns that every table is made from.

use crate::data::table::TableError;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef};
use std::sync::Arc;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An unsigned 64-bit id.
    Id,
    /// An unsigned 32-bit number.
    Count,
    /// UTF-8 text.
    Text,
    /// A 32-bit float.
    Number,
    /// True or false.
    Flag,
    /// A list of 32-bit floats.
    Numbers,
    /// A list of token ids, as signed 32-bit numbers.
    Tokens,
    /// A list of lists of text.
    TextLists,
    /// A struct of PNG `bytes` and a `path`, which Hugging Face `datasets` reads as an image.
    Picture,
    /// A list of such structs.
    Pictures,
}

/// One documented column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name in the file.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether a row may lack it.
    pub nullable: bool,
    /// Whether a table may be without it, since another column stands for it.
    pub replaceable: bool,
    /// What it means.
    pub about: &'static str,
}

impl Column {
    pub(super) const fn new(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, nullable: false, replaceable: false, about }
    }

    pub(super) const fn optional(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { nullable: true, ..Self::new(name, kind, about) }
    }

    pub(super) const fn replaceable(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { replaceable: true, ..Self::new(name, kind, about) }
    }
}

/// A row of a table.
pub trait Row: Sized {
    /// The table's name, for messages.
    const TABLE: &'static str;
    /// Its columns, in order.
    const COLUMNS: &'static [Column];
    /// How many rows are compressed together: few enough to read a part, enough to compress.
    const ROWS_IN_GROUP: usize;

    /// Whether no row lacks a value: then the file declares all its columns to be full.
    fn is_full(_rows: &[Self]) -> bool {
        false
    }

    /// Whether a table of these rows has a column. Of those that stand for each other it has one.
    fn has(_rows: &[Self], _column: &Column) -> bool {
        true
    }

    /// What the row takes of the room of a group; nothing where so many rows always have room.
    fn size(&self) -> usize {
        0
    }

    /// One array for each column of the schema of the table, of which the rows may be a part.
    ///
    /// # Errors
    /// [`TableError::Value`] for what a column cannot hold.
    fn columns(rows: &[Self], schema: &Schema) -> Result<Vec<ArrayRef>, TableError>;

    /// The rows of a batch whose columns have been checked, those that were left out full of nulls; `first` is the number of its first row.
    ///
    /// # Errors
    /// [`TableError::Value`] for a value that no row can have.
    fn rows(batch: &RecordBatch, first: usize) -> Result<Vec<Self>, TableError>;
}

/// The field of the elements of a list.
pub(super) fn item(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", data_type, false))
}

pub(super) fn picture_fields() -> Fields {
    Fields::from(vec![
        Field::new("bytes", DataType::Binary, false),
        Field::new("path", DataType::Utf8, true),
    ])
}

fn picture() -> DataType {
    DataType::Struct(picture_fields())
}

fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Id => DataType::UInt64,
        Kind::Count => DataType::UInt32,
        Kind::Text => DataType::Utf8,
        Kind::Number => DataType::Float32,
        Kind::Flag => DataType::Boolean,
        Kind::Numbers => DataType::List(item(DataType::Float32)),
        Kind::Tokens => DataType::List(item(DataType::Int32)),
        Kind::TextLists => DataType::List(item(DataType::List(item(DataType::Utf8)))),
        Kind::Picture => picture(),
        Kind::Pictures => DataType::List(item(picture())),
    }
}

/// The schema of a table that has some columns, in which only a full one declares optional columns
/// to be full.
pub(super) fn schema_of<R: Row>(is_full: bool, has: impl Fn(&Column) -> bool) -> SchemaRef {
    let columns: Vec<&Column> = R::COLUMNS.iter().filter(|it| has(it)).collect();
    let field = |it: &&Column| Field::new(it.name, data_type(it.kind), it.nullable && !is_full);
    let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
    let has_picture = columns.iter().any(|it| matches!(it.kind, Kind::Picture | Kind::Pictures));
    Arc::new(if has_picture {
        let features = hugging_face_features(&columns).to_string();
        schema.with_metadata([("huggingface", features)])
    } else {
        schema
    })
}

/// The schema in which any table is read: all columns, those that may be left out with nulls.
pub(super) fn schema_to_read<R: Row>() -> SchemaRef {
    let field =
        |it: &Column| Field::new(it.name, data_type(it.kind), it.nullable || it.replaceable);
    Arc::new(Schema::new(R::COLUMNS.iter().map(field).collect::<Vec<_>>()))
}

/// What `datasets` wants to know in order to show pictures; it is needed for tables with pictures
/// only, whose other columns are ids and texts.
fn hugging_face_features(columns: &[&Column]) -> serde_json::Value {
    let value = |dtype: &str| serde_json::json!({"dtype": dtype, "_type": "Value"});
    let image = serde_json::json!({"_type": "Image"});
    let features = columns.iter().map(|column| {
        let feature = match column.kind {
            Kind::Picture => image.clone(),
            Kind::Pictures => serde_json::json!({"feature": image, "_type": "Sequence"}),
            Kind::Id => value("uint64"),
            Kind::Count => value("uint32"),
            Kind::Number => value("float32"),
            Kind::Flag => value("bool"),
            Kind::Text | Kind::Numbers | Kind::Tokens | Kind::TextLists => value("string"),
        };
        (column.name.to_owned(), feature)
    });
    let features: serde_json::Map<_, _> = features.collect();
    serde_json::json!({"info": {"features": features}})
}
