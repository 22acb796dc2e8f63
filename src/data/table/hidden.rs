//! The table of hidden answers, apart from the prompts: see [`HiddenAnswer`] for who may read it.

use super::{
    codec::{TableError, column},
    schema::{Column, Kind, Row},
};
use crate::data::HiddenAnswer;
use arrow_array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use arrow_schema::Schema;
use std::sync::Arc;

impl Row for HiddenAnswer {
    const TABLE: &'static str = "hidden answers";
    const COLUMNS: &'static [Column] = &[
        Column::new("prompt", Kind::Id, "the prompt's id"),
        Column::new("answer", Kind::Text, "the gold answer"),
    ];
    const ROWS_IN_GROUP: usize = 65_536;

    fn columns(rows: &[Self], _: &Schema) -> Result<Vec<ArrayRef>, TableError> {
        let answers = rows.iter().map(|row| &row.answer);
        Ok(vec![
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.prompt))),
            Arc::new(StringArray::from_iter_values(answers)),
        ])
    }

    fn rows(batch: &RecordBatch, _first: usize) -> Result<Vec<Self>, TableError> {
        let prompts: &UInt64Array = column(batch, 0);
        let answers: &StringArray = column(batch, 1);
        let hidden =
            |row| Self { prompt: prompts.value(row), answer: answers.value(row).to_owned() };
        Ok((0..batch.num_rows()).map(hidden).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::table::{decode, encode};

    #[test]
    fn hidden_answers_round_trip() {
        let hidden = |prompt: u64| HiddenAnswer { prompt, answer: (prompt % 7).to_string() };
        let rows: Vec<HiddenAnswer> = (0..100).map(hidden).collect();
        assert_eq!(decode::<HiddenAnswer>(&encode(&rows).unwrap()).unwrap(), rows);
    }
}
