//! The table of scores: what a reward model says of each step of each response.

use super::{
    codec::{TableError, column},
    schema::{Column, Kind, Row, item},
};
use arrow_array::{
    Array, ArrayRef, Float32Array, ListArray, RecordBatch, UInt32Array, UInt64Array,
    builder::{Float32Builder, ListBuilder},
};
use arrow_schema::{DataType, Schema};
use std::sync::Arc;

/// The scores of one response.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponseScores {
    /// The prompt's id.
    pub prompt: u64,
    /// Which of the prompt's samples it is, from 0.
    pub sample: u32,
    /// The probability that each step is good, the answer last; of an outcome model one for all.
    pub steps: Vec<f32>,
    /// The score of the response, by the recipe's aggregation.
    pub score: f32,
}

impl Row for ResponseScores {
    const TABLE: &'static str = "scores";
    const COLUMNS: &'static [Column] = &[
        Column::new("prompt", Kind::Id, "the prompt's id"),
        Column::new("sample", Kind::Count, "which of the prompt's samples, from 0"),
        Column::new("steps", Kind::Numbers, "the score at the end of each step, the answer last"),
        Column::new("score", Kind::Number, "the score of the response, by `reward.aggregate`"),
    ];
    const ROWS_IN_GROUP: usize = 65_536;

    fn columns(rows: &[Self], _: &Schema) -> Result<Vec<ArrayRef>, TableError> {
        let mut steps = ListBuilder::new(Float32Builder::new()).with_field(item(DataType::Float32));
        for row in rows {
            steps.values().append_slice(&row.steps);
            steps.append(true);
        }
        Ok(vec![
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.prompt))),
            Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.sample))),
            Arc::new(steps.finish()),
            Arc::new(Float32Array::from_iter_values(rows.iter().map(|row| row.score))),
        ])
    }

    fn rows(batch: &RecordBatch, _first: usize) -> Result<Vec<Self>, TableError> {
        let prompts: &UInt64Array = column(batch, 0);
        let samples: &UInt32Array = column(batch, 1);
        let steps: &ListArray = column(batch, 2);
        let scores: &Float32Array = column(batch, 3);
        let numbers = |row| {
            let list = steps.value(row);
            let list: &Float32Array =
                list.as_any().downcast_ref().expect("`checked` compared the types");
            list.values().to_vec()
        };
        let row = |row| Self {
            prompt: prompts.value(row),
            sample: samples.value(row),
            steps: numbers(row),
            score: scores.value(row),
        };
        Ok((0..batch.num_rows()).map(row).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::table::{decode, encode};

    #[test]
    fn scores_round_trip() {
        let row = |at: u32| ResponseScores {
            prompt: u64::from(at / 4),
            sample: at % 4,
            steps: (0..at % 5).map(|step| step as f32 / 7.0).collect(),
            score: at as f32 / 100.0,
        };
        let rows: Vec<ResponseScores> = (0..100).map(row).collect();
        assert_eq!(decode::<ResponseScores>(&encode(&rows).unwrap()).unwrap(), rows);
    }
}
