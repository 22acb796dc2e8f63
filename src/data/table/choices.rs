//! The table of choices: of every response that a selection looked at, what became of it.

use super::{
    codec::{TableError, column},
    schema::{Column, Kind, Row},
};
use arrow_array::{ArrayRef, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow_schema::Schema;
use std::sync::Arc;

/// What became of one response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The prompt's id.
    pub prompt: u64,
    /// Which of the prompt's samples it is, from 0.
    pub sample: u32,
    /// `kept`, or why it was not, such as `duplicate`.
    pub verdict: String,
}

impl Row for Choice {
    const TABLE: &'static str = "choices";
    const COLUMNS: &'static [Column] = &[
        Column::new("prompt", Kind::Id, "the prompt's id"),
        Column::new("sample", Kind::Count, "which of the prompt's samples, from 0"),
        Column::new("verdict", Kind::Text, "`kept`, or why not, such as `duplicate`"),
    ];
    const ROWS_IN_GROUP: usize = 65_536;

    fn columns(rows: &[Self], _: &Schema) -> Result<Vec<ArrayRef>, TableError> {
        let verdicts = rows.iter().map(|row| &row.verdict);
        Ok(vec![
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.prompt))),
            Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.sample))),
            Arc::new(StringArray::from_iter_values(verdicts)),
        ])
    }

    fn rows(batch: &RecordBatch, _first: usize) -> Result<Vec<Self>, TableError> {
        let prompts: &UInt64Array = column(batch, 0);
        let samples: &UInt32Array = column(batch, 1);
        let verdicts: &StringArray = column(batch, 2);
        let choice = |row| Self {
            prompt: prompts.value(row),
            sample: samples.value(row),
            verdict: verdicts.value(row).to_owned(),
        };
        Ok((0..batch.num_rows()).map(choice).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::table::{decode, encode};

    #[test]
    fn choices_round_trip() {
        let choice = |at: u64| Choice {
            prompt: at / 3,
            sample: (at % 3) as u32,
            verdict: ["kept", "duplicate"][(at % 2) as usize].to_owned(),
        };
        let rows: Vec<Choice> = (0..100).map(choice).collect();
        assert_eq!(decode::<Choice>(&encode(&rows).unwrap()).unwrap(), rows);
    }
}
