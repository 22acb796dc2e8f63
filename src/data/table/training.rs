//! The table of a training set: the responses that a policy is trained on, in their order.

use super::{
    codec::{TableError, column},
    rollouts::{token_lists, tokens_at},
    schema::{Column, Kind, Row},
};
use arrow_array::{ArrayRef, ListArray, RecordBatch, StringArray, UInt64Array};
use arrow_schema::Schema;
use std::sync::Arc;

/// One response to train on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainingExample {
    /// Unique within the set.
    pub id: u64,
    /// The prompt's id.
    pub prompt: u64,
    /// The text of the response, without special tokens.
    pub response: String,
    /// Its tokens, the end included: what the loss is taken on.
    pub tokens: Vec<u32>,
}

impl Row for TrainingExample {
    const TABLE: &'static str = "training set";
    const COLUMNS: &'static [Column] = &[
        Column::new("id", Kind::Id, "unique within the set"),
        Column::new("prompt", Kind::Id, "the prompt's id"),
        Column::new("response", Kind::Text, "the text, without special tokens"),
        Column::new("tokens", Kind::Tokens, "the tokens, the end included"),
    ];
    const ROWS_IN_GROUP: usize = 65_536;

    fn size(&self) -> usize {
        self.response.len().max(self.tokens.len())
    }

    fn columns(rows: &[Self], _: &Schema) -> Result<Vec<ArrayRef>, TableError> {
        let responses = rows.iter().map(|row| &row.response);
        Ok(vec![
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.id))),
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.prompt))),
            Arc::new(StringArray::from_iter_values(responses)),
            token_lists(Self::TABLE, rows.iter().map(|row| row.tokens.as_slice()))?,
        ])
    }

    fn rows(batch: &RecordBatch, first: usize) -> Result<Vec<Self>, TableError> {
        let [ids, prompts] = [0, 1].map(|index| column::<UInt64Array>(batch, index));
        let responses: &StringArray = column(batch, 2);
        let tokens: &ListArray = column(batch, 3);
        let example = |row| {
            Ok(Self {
                id: ids.value(row),
                prompt: prompts.value(row),
                response: responses.value(row).to_owned(),
                tokens: tokens_at(Self::TABLE, tokens, row, first)?,
            })
        };
        (0..batch.num_rows()).map(example).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::table::{decode, encode};

    #[test]
    fn training_sets_round_trip() {
        let rows: Vec<TrainingExample> = (0..100)
            .map(|id| TrainingExample {
                id,
                prompt: id / 2,
                response: format!("answer {id}"),
                tokens: (0..(id % 5) as u32).collect(),
            })
            .collect();
        assert_eq!(decode::<TrainingExample>(&encode(&rows).unwrap()).unwrap(), rows);
    }
}
