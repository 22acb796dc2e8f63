//! The table of step labels: how often completions from the end of a step reach the answer.

use super::{
    codec::{TableError, column},
    schema::{Column, Kind, Row},
};
use arrow_array::{ArrayRef, RecordBatch, UInt32Array, UInt64Array};
use arrow_schema::Schema;
use std::sync::Arc;

/// What was found from the end of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepLabel {
    /// The prompt's id.
    pub prompt: u64,
    /// Which of the prompt's samples it is, from 0.
    pub sample: u32,
    /// Which of the response's steps, from 0.
    pub step: u32,
    /// Tokens of the response up to the end of the step.
    pub end: u32,
    /// Completions from there; 1 for the last step, which needs none.
    pub completions: u32,
    /// Those that reached the right answer.
    pub right: u32,
}

impl StepLabel {
    /// The share of completions that reached the right answer.
    pub fn share(&self) -> f64 {
        f64::from(self.right) / f64::from(self.completions)
    }
}

impl Row for StepLabel {
    const TABLE: &'static str = "labels";
    const COLUMNS: &'static [Column] = &[
        Column::new("prompt", Kind::Id, "the prompt's id"),
        Column::new("sample", Kind::Count, "which of the prompt's samples, from 0"),
        Column::new("step", Kind::Count, "which of the response's steps, from 0"),
        Column::new("end", Kind::Count, "tokens of the response up to the end of the step"),
        Column::new("completions", Kind::Count, "completions from there; 1 for the last step"),
        Column::new("right", Kind::Count, "those that reached the right answer"),
    ];
    const ROWS_IN_GROUP: usize = 65_536;

    fn columns(rows: &[Self], _: &Schema) -> Result<Vec<ArrayRef>, TableError> {
        let count = |of: fn(&Self) -> u32| {
            Arc::new(UInt32Array::from_iter_values(rows.iter().map(of))) as ArrayRef
        };
        Ok(vec![
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.prompt))),
            count(|row| row.sample),
            count(|row| row.step),
            count(|row| row.end),
            count(|row| row.completions),
            count(|row| row.right),
        ])
    }

    fn rows(batch: &RecordBatch, _first: usize) -> Result<Vec<Self>, TableError> {
        let prompts: &UInt64Array = column(batch, 0);
        let [samples, steps, ends, completions, right] =
            [1, 2, 3, 4, 5].map(|index| column::<UInt32Array>(batch, index));
        let label = |row| Self {
            prompt: prompts.value(row),
            sample: samples.value(row),
            step: steps.value(row),
            end: ends.value(row),
            completions: completions.value(row),
            right: right.value(row),
        };
        Ok((0..batch.num_rows()).map(label).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::table::{decode, encode};

    #[test]
    fn labels_round_trip() {
        let label = |at: u32| StepLabel {
            prompt: u64::from(at / 8) << 40,
            sample: at / 4 % 2,
            step: at % 4,
            end: 3 + at,
            completions: 8,
            right: at % 9,
        };
        let rows: Vec<StepLabel> = (0..100).map(label).collect();
        assert_eq!(decode::<StepLabel>(&encode(&rows).unwrap()).unwrap(), rows);
        assert_eq!(rows[4].share(), 0.5);
    }
}
