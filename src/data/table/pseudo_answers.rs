//! The table of pseudo answers: what a selection took for the answer of each unlabelled prompt.

use super::{
    codec::{TableError, column},
    schema::{Column, Kind, Row},
};
use arrow_array::{Array as _, ArrayRef, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow_schema::Schema;
use std::sync::Arc;

/// What was taken for the answer of one unlabelled prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PseudoAnswer {
    /// The prompt's id.
    pub prompt: u64,
    /// The answer; none where there was nothing to take.
    pub answer: Option<String>,
    /// Responses that have an answer.
    pub answered: u32,
    /// Of these, those that agree with it.
    pub agreeing: u32,
}

impl Row for PseudoAnswer {
    const TABLE: &'static str = "pseudo answers";
    const COLUMNS: &'static [Column] = &[
        Column::new("prompt", Kind::Id, "the prompt's id"),
        Column::optional("answer", Kind::Text, "what was taken for its answer"),
        Column::new("answered", Kind::Count, "responses that have an answer"),
        Column::new("agreeing", Kind::Count, "of these, those that agree with it"),
    ];
    const ROWS_IN_GROUP: usize = 65_536;

    fn columns(rows: &[Self], _: &Schema) -> Result<Vec<ArrayRef>, TableError> {
        let count = |of: fn(&Self) -> u32| {
            Arc::new(UInt32Array::from_iter_values(rows.iter().map(of))) as ArrayRef
        };
        Ok(vec![
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.prompt))),
            Arc::new(rows.iter().map(|row| row.answer.as_deref()).collect::<StringArray>()),
            count(|row| row.answered),
            count(|row| row.agreeing),
        ])
    }

    fn rows(batch: &RecordBatch, _first: usize) -> Result<Vec<Self>, TableError> {
        let prompts: &UInt64Array = column(batch, 0);
        let answers: &StringArray = column(batch, 1);
        let [answered, agreeing] = [2, 3].map(|index| column::<UInt32Array>(batch, index));
        let pseudo = |row| Self {
            prompt: prompts.value(row),
            answer: answers.is_valid(row).then(|| answers.value(row).to_owned()),
            answered: answered.value(row),
            agreeing: agreeing.value(row),
        };
        Ok((0..batch.num_rows()).map(pseudo).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::table::{decode, encode};

    #[test]
    fn pseudo_answers_round_trip() {
        let pseudo = |at: u32| PseudoAnswer {
            prompt: u64::from(at),
            answer: (!at.is_multiple_of(3)).then(|| at.to_string()),
            answered: at % 9,
            agreeing: at % 4,
        };
        let rows: Vec<PseudoAnswer> = (0..100).map(pseudo).collect();
        assert_eq!(decode::<PseudoAnswer>(&encode(&rows).unwrap()).unwrap(), rows);
    }
}
