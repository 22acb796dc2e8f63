//! The table of prompts: samples with their pictures.

use super::{
    codec::{TableError, column},
    schema::{Column, Kind, Row, picture_fields},
};
use crate::data::{Sample, preview::png};
use arrow_array::{
    Array as _, ArrayRef, BinaryArray, RecordBatch, StringArray, StructArray, UInt64Array,
};
use image::ImageFormat;
use std::sync::Arc;

impl Row for Sample {
    const TABLE: &'static str = "prompts";
    const COLUMNS: &'static [Column] = &[
        Column::new("id", Kind::Id, "unique within the source"),
        Column::new("category", Kind::Text, "what accuracies are broken down by"),
        Column::new("question", Kind::Text, "the question without a template"),
        Column::optional("answer", Kind::Text, "the gold answer; none where it is hidden"),
        Column::new("image", Kind::Picture, "the picture, as PNG"),
    ];
    const ROWS_IN_GROUP: usize = 4096;

    fn is_full(rows: &[Self]) -> bool {
        rows.iter().all(|sample| sample.answer.is_some())
    }

    fn columns(rows: &[Self]) -> Result<Vec<ArrayRef>, TableError> {
        let text = |of: fn(&Self) -> &String| {
            Arc::new(StringArray::from_iter_values(rows.iter().map(of))) as ArrayRef
        };
        let pictures = rows.iter().enumerate().map(|(row, sample)| {
            png(&sample.image).map_err(|error| TableError::Value {
                table: Self::TABLE,
                column: "image",
                row,
                reason: error.to_string(),
            })
        });
        let pictures: Vec<Vec<u8>> = pictures.collect::<Result<_, _>>()?;
        let paths = rows.iter().map(|sample| format!("{}.png", sample.id));
        let parts: Vec<ArrayRef> = vec![
            Arc::new(BinaryArray::from_iter_values(pictures)),
            Arc::new(StringArray::from_iter_values(paths)),
        ];
        Ok(vec![
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|sample| sample.id))),
            text(|sample| &sample.category),
            text(|sample| &sample.question),
            Arc::new(rows.iter().map(|sample| sample.answer.as_deref()).collect::<StringArray>()),
            Arc::new(StructArray::new(picture_fields(), parts, None)),
        ])
    }

    fn rows(batch: &RecordBatch, first: usize) -> Result<Vec<Self>, TableError> {
        let ids: &UInt64Array = column(batch, 0);
        let [categories, questions, answers] =
            [1, 2, 3].map(|index| column::<StringArray>(batch, index));
        let pictures: &StructArray = column(batch, 4);
        let pictures: &BinaryArray =
            pictures.column(0).as_any().downcast_ref().expect("`checked` compared the types");
        let sample = |row: usize| {
            let picture = pictures.value(row);
            let image = image::load_from_memory_with_format(picture, ImageFormat::Png);
            let image = image.map_err(|error| TableError::Value {
                table: Self::TABLE,
                column: "image",
                row: first + row,
                reason: error.to_string(),
            })?;
            Ok(Self {
                id: ids.value(row),
                category: categories.value(row).to_owned(),
                question: questions.value(row).to_owned(),
                prompt: None,
                answer: answers.is_valid(row).then(|| answers.value(row).to_owned()),
                image: image.into_rgb8(),
            })
        };
        (0..batch.num_rows()).map(sample).collect()
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
    fn another_table_is_refused_by_column() {
        let bytes = encode(&samples()).unwrap();
        let error = decode::<Rollout>(&bytes).unwrap_err();
        assert_eq!(error.to_string(), "column `prompt` of the table `rollouts` is missing");
    }

    #[test]
    fn a_picture_without_pixels_is_refused() {
        let mut samples = samples();
        samples[3].image = image::RgbImage::new(0, 0);
        assert!(matches!(encode(&samples), Err(TableError::Value { row: 3, .. })));
    }
}
