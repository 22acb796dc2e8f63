//! The table of rollouts: what a policy answered, and what the answer reward says of it.

use super::{
    codec::{TableError, column},
    schema::{Column, Kind, Row, item},
};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float32Array, Int32Array, ListArray, RecordBatch, StringArray,
    UInt32Array, UInt64Array,
    builder::{Int32Builder, ListBuilder},
};
use arrow_schema::{DataType, Schema};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Why a response ends where it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// The policy ended it.
    Stop,
    /// It was cut at the largest length.
    Length,
}

impl Finish {
    fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// One response to one prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// The prompt's id.
    pub prompt: u64,
    /// Which of the prompt's samples it is, from 0.
    pub sample: u32,
    /// The prompt's category.
    pub category: String,
    /// The text, without special tokens.
    pub response: String,
    /// The tokens as they were drawn, the end included.
    pub tokens: Vec<u32>,
    /// Why it ends.
    pub finish: Finish,
    /// The answer found in it.
    pub extracted: Option<String>,
    /// The answer it was compared with; none for an unlabelled prompt.
    pub gold: Option<String>,
    /// Whether the two agree.
    pub correct: bool,
    /// The temperature it was drawn at; 0 is greedy.
    pub temperature: f32,
    /// Whether a selection kept it; none before there was one.
    pub kept: Option<bool>,
}

impl Row for Rollout {
    const TABLE: &'static str = "rollouts";
    const COLUMNS: &'static [Column] = &[
        Column::new("prompt", Kind::Id, "the prompt's id"),
        Column::new("sample", Kind::Count, "which of the prompt's samples, from 0"),
        Column::new("category", Kind::Text, "the prompt's category"),
        Column::new("response", Kind::Text, "the text, without special tokens"),
        Column::new("tokens", Kind::Tokens, "the tokens as they were drawn, the end included"),
        Column::new("finish", Kind::Text, "`stop`, or `length` when it was cut"),
        Column::optional("extracted", Kind::Text, "the answer found in the response"),
        Column::optional("gold", Kind::Text, "the answer it was compared with"),
        Column::new("correct", Kind::Flag, "whether the two agree"),
        Column::new("temperature", Kind::Number, "what it was drawn at; 0 is greedy"),
        Column::optional("kept", Kind::Flag, "whether a selection kept it"),
    ];
    const ROWS_IN_GROUP: usize = 65_536;

    fn size(&self) -> usize {
        let answers = [&self.extracted, &self.gold].map(|it| it.as_ref().map_or(0, String::len));
        let longest = self.category.len().max(self.response.len()).max(self.tokens.len());
        answers.into_iter().fold(longest, usize::max)
    }

    fn columns(rows: &[Self], _: &Schema) -> Result<Vec<ArrayRef>, TableError> {
        let text = |of: fn(&Self) -> &str| {
            Arc::new(StringArray::from_iter_values(rows.iter().map(of))) as ArrayRef
        };
        let optional = |of: fn(&Self) -> Option<&str>| {
            Arc::new(rows.iter().map(of).collect::<StringArray>()) as ArrayRef
        };
        let flag = |of: fn(&Self) -> Option<bool>| {
            Arc::new(rows.iter().map(of).collect::<BooleanArray>()) as ArrayRef
        };
        Ok(vec![
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.prompt))),
            Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.sample))),
            text(|row| &row.category),
            text(|row| &row.response),
            token_lists(Self::TABLE, rows.iter().map(|row| row.tokens.as_slice()))?,
            text(|row| row.finish.name()),
            optional(|row| row.extracted.as_deref()),
            optional(|row| row.gold.as_deref()),
            flag(|row| Some(row.correct)),
            Arc::new(Float32Array::from_iter_values(rows.iter().map(|row| row.temperature))),
            flag(|row| row.kept),
        ])
    }

    fn rows(batch: &RecordBatch, first: usize) -> Result<Vec<Self>, TableError> {
        let prompts: &UInt64Array = column(batch, 0);
        let samples: &UInt32Array = column(batch, 1);
        let tokens: &ListArray = column(batch, 4);
        let temperatures: &Float32Array = column(batch, 9);
        let [categories, responses, finishes, extracted, gold] =
            [2, 3, 5, 6, 7].map(|index| column::<StringArray>(batch, index));
        let [correct, kept] = [8, 10].map(|index| column::<BooleanArray>(batch, index));
        let text = |array: &StringArray, row| array.value(row).to_owned();
        let rollout = |row| {
            Ok(Self {
                prompt: prompts.value(row),
                sample: samples.value(row),
                category: text(categories, row),
                response: text(responses, row),
                tokens: tokens_at(Self::TABLE, tokens, row, first)?,
                finish: finish_of(finishes.value(row), first + row)?,
                extracted: extracted.is_valid(row).then(|| text(extracted, row)),
                gold: gold.is_valid(row).then(|| text(gold, row)),
                correct: correct.value(row),
                temperature: temperatures.value(row),
                kept: kept.is_valid(row).then(|| kept.value(row)),
            })
        };
        (0..batch.num_rows()).map(rollout).collect()
    }
}

fn finish_of(name: &str, row: usize) -> Result<Finish, TableError> {
    let known = [Finish::Stop, Finish::Length].into_iter().find(|finish| finish.name() == name);
    known.ok_or_else(|| TableError::Value {
        table: Rollout::TABLE,
        column: "finish",
        row,
        reason: format!("`{name}` is neither `stop` nor `length`"),
    })
}

/// A column of token lists.
pub(super) fn token_lists<'a>(
    table: &'static str,
    rows: impl Iterator<Item = &'a [u32]>,
) -> Result<ArrayRef, TableError> {
    let mut builder = ListBuilder::new(Int32Builder::new()).with_field(item(DataType::Int32));
    for (row, tokens) in rows.enumerate() {
        for &token in tokens {
            let signed = i32::try_from(token).map_err(|_| TableError::Value {
                table,
                column: "tokens",
                row,
                reason: format!("token {token} is out of range"),
            })?;
            builder.values().append_value(signed);
        }
        builder.append(true);
    }
    Ok(Arc::new(builder.finish()))
}

/// The tokens of one row of a column; `first` is the number of the batch's first row.
pub(super) fn tokens_at(
    table: &'static str,
    column: &ListArray,
    row: usize,
    first: usize,
) -> Result<Vec<u32>, TableError> {
    let tokens = column.value(row);
    let tokens: &Int32Array = tokens.as_any().downcast_ref().expect("`checked` compared the types");
    let unsigned = |&token: &i32| {
        u32::try_from(token).map_err(|_| TableError::Value {
            table,
            column: "tokens",
            row: first + row,
            reason: format!("token {token} is negative"),
        })
    };
    tokens.values().iter().map(unsigned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::table::codec::{Writer, encode_within};
    use crate::data::table::{decode, encode};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    fn rollouts(count: u64) -> Vec<Rollout> {
        let rollout = |index: u64| {
            let number = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            Rollout {
                prompt: index / 8,
                sample: (index % 8) as u32,
                category: ["FQA", "GPS", "MWP"][(index / 8 % 3) as usize].to_owned(),
                response: format!("red {} ; {number} + 3 = 9 ; answer 9", index % 7),
                tokens: (0..20).map(|at| ((number >> at) % 232) as u32).collect(),
                finish: if index.is_multiple_of(9) { Finish::Length } else { Finish::Stop },
                extracted: (!index.is_multiple_of(9)).then(|| "9".to_owned()),
                gold: (!index.is_multiple_of(5)).then(|| "9".to_owned()),
                correct: index.is_multiple_of(3),
                temperature: 0.7,
                kept: [None, Some(true), Some(false)][(index % 3) as usize],
            }
        };
        (0..count).map(rollout).collect()
    }

    #[test]
    fn rollouts_round_trip_over_batches() {
        let rollouts = rollouts(9000);
        let bytes = encode(&rollouts).unwrap();
        assert_eq!(decode::<Rollout>(&bytes).unwrap(), rollouts);
        assert_eq!(bytes, encode(&rollouts).unwrap());
    }

    #[test]
    fn rows_without_room_are_in_groups_of_their_own() {
        let rollouts = rollouts(100);
        let groups = |bytes: &[u8]| {
            let bytes = bytes::Bytes::copy_from_slice(bytes);
            let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
            let groups = builder.metadata().row_groups().iter();
            groups.map(|group| group.num_rows() as usize).collect::<Vec<_>>()
        };
        let cut = encode_within(&rollouts, 300).unwrap();
        assert_eq!(decode::<Rollout>(&cut).unwrap(), rollouts);
        let mut rest = rollouts.as_slice();
        for group in groups(&cut) {
            let (rows, others) = rest.split_at(group);
            let size = |rows: &[Rollout]| rows.iter().map(Row::size).sum::<usize>();
            assert!(size(rows) <= 300);
            assert!(others.is_empty() || size(&rest[..=group]) > 300, "one more had room");
            rest = others;
        }
        assert!(rest.is_empty());
        let alone = encode_within(&rollouts, 1).unwrap();
        assert_eq!(decode::<Rollout>(&alone).unwrap(), rollouts);
        assert_eq!(groups(&alone), [1; 100]);
    }

    /// Keys do not say how a file is cut, so that no file of these sizes may come to be cut otherwise.
    #[test]
    fn rows_with_room_are_in_groups_by_their_number() {
        let rollouts = rollouts(65_536 + 10);
        let mut writer = Writer::new(Vec::new(), false, |_| true).unwrap();
        rollouts.chunks(65_536).for_each(|group| writer.write(group).unwrap());
        assert!(encode(&rollouts).unwrap() == writer.finish().unwrap());
        let none: &[Rollout] = &[];
        assert_eq!(decode::<Rollout>(&encode(none).unwrap()).unwrap(), none);
    }

    #[test]
    fn a_row_takes_the_room_of_its_longest_column() {
        let mut rollout = rollouts(1).remove(0);
        assert_eq!(rollout.size(), rollout.response.len());
        rollout.tokens = vec![1; 1000];
        assert_eq!(rollout.size(), 1000);
        rollout.gold = Some("9".repeat(2000));
        assert_eq!(rollout.size(), 2000);
    }

    #[test]
    fn tokens_out_of_range_are_refused() {
        let mut rollouts = rollouts(3);
        rollouts[2].tokens[0] = u32::MAX;
        let error = encode(&rollouts).unwrap_err();
        assert!(matches!(error, TableError::Value { row: 2, column: "tokens", .. }), "{error}");
    }

    #[test]
    fn torn_and_altered_bytes_never_panic() {
        let rollouts = rollouts(40);
        let bytes = encode(&rollouts).unwrap();
        for length in (0..bytes.len()).step_by(97) {
            let error = decode::<Rollout>(&bytes[..length]).unwrap_err();
            assert!(matches!(error, TableError::Torn { .. }), "{error}");
        }
        let mut refused = 0;
        for at in (0..bytes.len()).step_by(13) {
            let mut altered = bytes.clone();
            altered[at] ^= 0x55;
            refused += u32::from(decode::<Rollout>(&altered).is_err());
        }
        assert!(refused > 50, "{refused}");
    }
}
