//! The table of prompts: samples with their pictures, one for each in most tables. Where some sample
//! has several or none, all of them have lists.

use super::{
    codec::{TableError, Writer, column},
    schema::{Column, Kind, Row, item, picture_fields},
};
use crate::data::{
    Sample,
    preview::{PictureError, png},
};
use arrow_array::{
    Array as _, ArrayRef, BinaryArray, ListArray, RecordBatch, StringArray, StructArray,
    UInt64Array, builder::OffsetBufferBuilder,
};
use arrow_schema::{DataType, Schema};
use image::{ImageFormat, RgbImage};
use std::io::Write;
use std::sync::Arc;

/// The column of the only picture.
pub(super) const ONE: &str = "image";
/// The column of lists of pictures.
pub(super) const SEVERAL: &str = "images";

const ID: Column = Column::new("id", Kind::Id, "unique within the source");
const CATEGORY: Column = Column::new("category", Kind::Text, "what accuracies are broken down by");
const QUESTION: Column = Column::new("question", Kind::Text, "the question without a template");
const ANSWER: Column =
    Column::optional("answer", Kind::Text, "the gold answer; none where it is hidden");

/// A picture as PNG, or why it cannot be.
type Encoded = Result<Vec<u8>, PictureError>;

impl Row for Sample {
    const TABLE: &'static str = "prompts";
    const COLUMNS: &'static [Column] = &[
        ID,
        CATEGORY,
        QUESTION,
        ANSWER,
        Column::replaceable(ONE, Kind::Picture, "the picture, as PNG, where each prompt has one"),
        Column::replaceable(SEVERAL, Kind::Pictures, "the pictures, where some have none or more"),
    ];
    const ROWS_IN_GROUP: usize = 4096;

    fn is_full(rows: &[Self]) -> bool {
        rows.iter().all(|sample| sample.answer.is_some())
    }

    fn has(rows: &[Self], column: &Column) -> bool {
        !column.replaceable || is_in(column, rows.iter().all(|it| it.images.len() == 1))
    }

    fn columns(rows: &[Self], schema: &Schema) -> Result<Vec<ArrayRef>, TableError> {
        columns_of(rows, encoded(rows, 1), schema)
    }

    fn rows(batch: &RecordBatch, first: usize) -> Result<Vec<Self>, TableError> {
        let (one, lists): (&StructArray, &ListArray) = (column(batch, 4), column(batch, 5));
        let sample = |(row, text): (usize, Sample<()>)| {
            let images = if lists.is_valid(row) {
                of_list(lists, row, first + row)?
            } else if one.is_valid(row) {
                decoded(one, row..row + 1, (ONE, first + row))?
            } else {
                let fault = "is missing".to_owned();
                return Err(TableError::Column { table: Self::TABLE, column: ONE, fault });
            };
            Ok(text.with_images(images))
        };
        <Sample<()> as Row>::rows(batch, first)?.into_iter().enumerate().map(sample).collect()
    }
}

/// Prompts without a look at their pictures.
impl Row for Sample<()> {
    const TABLE: &'static str = Sample::<Vec<RgbImage>>::TABLE;
    const COLUMNS: &'static [Column] = &[ID, CATEGORY, QUESTION, ANSWER];
    const ROWS_IN_GROUP: usize = Sample::<Vec<RgbImage>>::ROWS_IN_GROUP;

    fn is_full(rows: &[Self]) -> bool {
        rows.iter().all(|sample| sample.answer.is_some())
    }

    fn columns(rows: &[Self], _: &Schema) -> Result<Vec<ArrayRef>, TableError> {
        Ok(text_columns(rows))
    }

    fn rows(batch: &RecordBatch, _: usize) -> Result<Vec<Self>, TableError> {
        let ids: &UInt64Array = column(batch, 0);
        let [categories, questions, answers] =
            [1, 2, 3].map(|index| column::<StringArray>(batch, index));
        let sample = |row: usize| Self {
            id: ids.value(row),
            category: categories.value(row).to_owned(),
            question: questions.value(row).to_owned(),
            prompt: None,
            answer: answers.is_valid(row).then(|| answers.value(row).to_owned()),
            images: (),
        };
        Ok((0..batch.num_rows()).map(sample).collect())
    }
}

fn text_columns<I>(rows: &[Sample<I>]) -> Vec<ArrayRef> {
    let text = |of: fn(&Sample<I>) -> &String| {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of))) as ArrayRef
    };
    vec![
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|sample| sample.id))),
        text(|sample| &sample.category),
        text(|sample| &sample.question),
        Arc::new(rows.iter().map(|sample| sample.answer.as_deref()).collect::<StringArray>()),
    ]
}

/// The columns of some rows, whose pictures were encoded in their order.
fn columns_of(
    rows: &[Sample],
    encoded: Vec<Encoded>,
    schema: &Schema,
) -> Result<Vec<ArrayRef>, TableError> {
    let has_lists = schema.field_with_name(SEVERAL).is_ok();
    let (mut bytes, mut paths) = (Vec::with_capacity(encoded.len()), Vec::new());
    let mut encoded = encoded.into_iter();
    for (row, sample) in rows.iter().enumerate() {
        for (number, picture) in encoded.by_ref().take(sample.images.len()).enumerate() {
            let name = if has_lists { SEVERAL } else { ONE };
            bytes.push(picture.map_err(|error| wrong(name, row, &error))?);
            paths.push(match has_lists {
                true => format!("{}-{}.png", sample.id, number + 1),
                false => format!("{}.png", sample.id),
            });
        }
    }
    let parts: Vec<ArrayRef> = vec![
        Arc::new(BinaryArray::from_iter_values(bytes)),
        Arc::new(StringArray::from_iter_values(paths)),
    ];
    let pictures: ArrayRef = Arc::new(StructArray::new(picture_fields(), parts, None));
    let mut columns = text_columns(rows);
    columns.push(match has_lists {
        true => {
            let mut offsets = OffsetBufferBuilder::new(rows.len());
            rows.iter().for_each(|sample| offsets.push_length(sample.images.len()));
            let field = item(DataType::Struct(picture_fields()));
            Arc::new(ListArray::new(field, offsets.finish(), pictures, None))
        }
        false => pictures,
    });
    Ok(columns)
}

/// All pictures of some rows in their order, whatever the number of threads.
fn encoded(rows: &[Sample], threads: usize) -> Vec<Encoded> {
    let pictures: Vec<&RgbImage> = rows.iter().flat_map(|row| &row.images).collect();
    let all = |part: &[&RgbImage]| part.iter().map(|image| png(image)).collect::<Vec<_>>();
    if threads <= 1 {
        return all(&pictures);
    }
    std::thread::scope(|scope| {
        let each = pictures.len().div_ceil(threads).max(1);
        let parts: Vec<_> =
            pictures.chunks(each).map(|part| scope.spawn(move || all(part))).collect();
        let joined = |part: std::thread::ScopedJoinHandle<'_, _>| {
            part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        parts.into_iter().flat_map(joined).collect()
    })
}

/// Whether a table has a column, where each prompt has exactly one picture or not.
fn is_in(column: &Column, one_each: bool) -> bool {
    match column.name {
        ONE => one_each,
        SEVERAL => !one_each,
        _ => true,
    }
}

/// A table of prompts that are not all there yet, written group by group.
pub struct PromptWriter<W: Write + Send> {
    writer: Writer<Sample, W>,
    threads: usize,
}

impl<W: Write + Send> PromptWriter<W> {
    /// Begins a table of which is known whether no answer is hidden and whether each prompt has
    /// exactly one picture; so many threads encode pictures, and no byte depends on it.
    ///
    /// # Errors
    /// [`TableError::Unwritable`].
    pub fn new(sink: W, is_full: bool, one_each: bool, threads: usize) -> Result<Self, TableError> {
        let writer = Writer::new(sink, is_full, |column| is_in(column, one_each))?;
        Ok(Self { writer, threads })
    }

    /// Writes prompts as a group of their own.
    ///
    /// # Errors
    /// [`TableError`], for a picture that cannot be encoded.
    pub fn write(&mut self, samples: &[Sample]) -> Result<(), TableError> {
        let encoded = encoded(samples, self.threads);
        self.writer.write_columns(samples.len(), |schema| columns_of(samples, encoded, schema))
    }

    /// Ends the table, and gives back what it was written to.
    ///
    /// # Errors
    /// [`TableError::Unwritable`].
    pub fn finish(self) -> Result<W, TableError> {
        self.writer.finish()
    }
}

/// The pictures of a row that has a list of them; `place` is the row's number in its table.
pub(super) fn of_list(
    lists: &ListArray,
    row: usize,
    place: usize,
) -> Result<Vec<RgbImage>, TableError> {
    let list = lists.value(row);
    let list: &StructArray = list.as_any().downcast_ref().expect("the types were compared");
    decoded(list, 0..list.len(), (SEVERAL, place))
}

/// Some of the pictures of an array, which belong to a row of a column.
pub(super) fn decoded(
    pictures: &StructArray,
    which: std::ops::Range<usize>,
    (column, row): (&'static str, usize),
) -> Result<Vec<RgbImage>, TableError> {
    let bytes: &BinaryArray =
        pictures.column(0).as_any().downcast_ref().expect("the types were compared");
    let decode = |at: usize| {
        let image = image::load_from_memory_with_format(bytes.value(at), ImageFormat::Png);
        Ok(image.map_err(|error| wrong(column, row, &error))?.into_rgb8())
    };
    which.map(decode).collect()
}

fn wrong(column: &'static str, row: usize, error: &dyn std::error::Error) -> TableError {
    TableError::Value {
        table: Sample::<Vec<RgbImage>>::TABLE,
        column,
        row,
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::Seed,
        data::{
            mini_vista::{MiniVista, POOL_ONE_OPERATION, Stream},
            table::{Rollout, decode, encode},
        },
    };

    fn samples() -> Vec<Sample> {
        let task = MiniVista::new(Seed(9), POOL_ONE_OPERATION);
        (0..50).map(|index| task.sample(Stream::Test, index)).collect()
    }

    #[test]
    fn prompts_round_trip_to_the_pixel() {
        let samples = samples();
        let bytes = encode(&samples).unwrap();
        assert_eq!(decode::<Sample>(&bytes).unwrap(), samples);
        assert_eq!(bytes, encode(&samples).unwrap());
        let none: Vec<Sample> = Vec::new();
        assert_eq!(decode::<Sample>(&encode(&none).unwrap()).unwrap(), none);
        if let Some(path) = std::env::var_os("MSTAR_PROMPTS") {
            #[expect(clippy::disallowed_methods, reason = "a test that was asked for the file")]
            std::fs::write(path, bytes).unwrap();
        }
    }

    #[test]
    fn hidden_answers_are_nulls_and_cost_full_tables_no_byte() {
        let mut samples = samples();
        let full = encode(&samples).unwrap();
        samples.iter_mut().skip(20).for_each(|sample| sample.answer = None);
        let partly = encode(&samples).unwrap();
        assert_eq!(decode::<Sample>(&partly).unwrap(), samples);
        let required = |bytes: Vec<u8>| {
            use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder as Reader;
            let reader = Reader::try_new(bytes::Bytes::from(bytes)).unwrap();
            !reader.schema().field_with_name("answer").unwrap().is_nullable()
        };
        assert!(required(full));
        assert!(!required(partly));
    }

    #[test]
    fn several_pictures_and_none_round_trip_as_lists() {
        let mut samples = samples();
        let second = samples[1].images[0].clone();
        samples[0].images.push(second);
        samples[7].images.clear();
        let bytes = encode(&samples).unwrap();
        assert_eq!(decode::<Sample>(&bytes).unwrap(), samples);
        let columns = |bytes: Vec<u8>| {
            use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder as Reader;
            let schema = Reader::try_new(bytes::Bytes::from(bytes)).unwrap().schema().clone();
            schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()
        };
        assert_eq!(columns(bytes), ["id", "category", "question", "answer", "images"]);
        let one_each = encode(&samples[1..7]).unwrap();
        assert_eq!(columns(one_each), ["id", "category", "question", "answer", "image"]);
        // One each, among others that are not: written in parts, all are lists.
        let mut writer = PromptWriter::new(Vec::new(), true, false, 3).unwrap();
        writer.write(&samples[1..7]).unwrap();
        writer.write(&samples[7..]).unwrap();
        let parts = writer.finish().unwrap();
        assert_eq!(decode::<Sample>(&parts).unwrap(), samples[1..]);
        let mut writer = PromptWriter::new(Vec::new(), true, true, 1).unwrap();
        assert!(writer.write(&samples[7..8]).is_err());
        samples[2].images.push(RgbImage::new(0, 0));
        let error = encode(&samples).unwrap_err().to_string();
        assert!(error.starts_with("row 2 of the table `prompts` has a wrong `images`"), "{error}");
    }

    #[test]
    fn another_table_is_refused_by_column() {
        let bytes = encode(&samples()).unwrap();
        let error = decode::<Rollout>(&bytes).unwrap_err();
        assert_eq!(error.to_string(), "column `prompt` of the table `rollouts` is missing");
    }

    #[test]
    fn a_picture_without_pixels_is_refused() {
        let mut samples = samples();
        samples[3].images[0] = RgbImage::new(0, 0);
        assert!(matches!(encode(&samples), Err(TableError::Value { row: 3, .. })));
    }
}
