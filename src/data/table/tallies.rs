//! The table of tallies: what sampling at a temperature found for each prompt.

use super::{
    codec::{TableError, column},
    schema::{Column, Kind, Row},
};
use arrow_array::{Array, ArrayRef, Float32Array, RecordBatch, UInt32Array, UInt64Array};
use arrow_schema::Schema;
use std::sync::Arc;

/// What the responses to one prompt at one temperature come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TallyRow {
    /// The temperature.
    pub temperature: f32,
    /// The prompt's id.
    pub prompt: u64,
    /// Responses.
    pub samples: u32,
    /// Right ones.
    pub right: u32,
    /// Responses that score better than the best right one; none without scores.
    pub rank: Option<u32>,
    /// Responses that a reward model takes for right; all without one.
    pub selected: u32,
    /// Right ones of these.
    pub selected_right: u32,
}

impl Row for TallyRow {
    const TABLE: &'static str = "tallies";
    const COLUMNS: &'static [Column] = &[
        Column::new("temperature", Kind::Number, "what the responses were drawn at"),
        Column::new("prompt", Kind::Id, "the prompt's id"),
        Column::new("samples", Kind::Count, "responses"),
        Column::new("right", Kind::Count, "right ones"),
        Column::optional(
            "rank",
            Kind::Count,
            "how many score better than the best right one; `samples` when none is right",
        ),
        Column::new("selected", Kind::Count, "those that score above 0.5; all without scores"),
        Column::new("selected_right", Kind::Count, "right ones of the selected"),
    ];
    const ROWS_IN_GROUP: usize = 65_536;

    fn columns(rows: &[Self], _: &Schema) -> Result<Vec<ArrayRef>, TableError> {
        let count = |of: fn(&Self) -> u32| {
            Arc::new(UInt32Array::from_iter_values(rows.iter().map(of))) as ArrayRef
        };
        Ok(vec![
            Arc::new(Float32Array::from_iter_values(rows.iter().map(|row| row.temperature))),
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.prompt))),
            count(|row| row.samples),
            count(|row| row.right),
            Arc::new(rows.iter().map(|row| row.rank).collect::<UInt32Array>()),
            count(|row| row.selected),
            count(|row| row.selected_right),
        ])
    }

    fn rows(batch: &RecordBatch, _first: usize) -> Result<Vec<Self>, TableError> {
        let temperatures: &Float32Array = column(batch, 0);
        let prompts: &UInt64Array = column(batch, 1);
        let [samples, right, rank, selected, selected_right] =
            [2, 3, 4, 5, 6].map(|index| column::<UInt32Array>(batch, index));
        let row = |at| Self {
            temperature: temperatures.value(at),
            prompt: prompts.value(at),
            samples: samples.value(at),
            right: right.value(at),
            rank: rank.is_valid(at).then(|| rank.value(at)),
            selected: selected.value(at),
            selected_right: selected_right.value(at),
        };
        Ok((0..batch.num_rows()).map(row).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::table::{decode, encode};

    #[test]
    fn tallies_round_trip() {
        let tally = |at: u32| TallyRow {
            temperature: [0.5, 1.0][(at % 2) as usize],
            prompt: u64::from(at / 2),
            samples: 8,
            right: at % 9,
            rank: (!at.is_multiple_of(3)).then_some(at % 9),
            selected: at % 8,
            selected_right: at % 4,
        };
        let rows: Vec<TallyRow> = (0..100).map(tally).collect();
        assert_eq!(decode::<TallyRow>(&encode(&rows).unwrap()).unwrap(), rows);
    }
}
