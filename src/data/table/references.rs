//! The table of references, apart from the prompts: see [`Reference`] for who may read it.

use super::{
    codec::{TableError, column},
    schema::{Column, Kind, Row, item},
};
use crate::data::Reference;
use arrow_array::{
    Array, ArrayRef, ListArray, RecordBatch, StringArray, UInt64Array,
    builder::{ListBuilder, StringBuilder},
};
use arrow_schema::{DataType, Schema};
use std::sync::Arc;

impl Row for Reference {
    const TABLE: &'static str = "references";
    const COLUMNS: &'static [Column] = &[
        Column::new("id", Kind::Id, "the prompt's id"),
        Column::new("variants", Kind::TextLists, "every list of steps that is right"),
        Column::new("gold", Kind::TextLists, "the lists that demonstrations are written from"),
    ];
    const ROWS_IN_GROUP: usize = 65_536;

    fn columns(rows: &[Self], _: &Schema) -> Result<Vec<ArrayRef>, TableError> {
        Ok(vec![
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.id))),
            text_lists(rows.iter().map(|row| &row.variants)),
            text_lists(rows.iter().map(|row| &row.gold)),
        ])
    }

    fn rows(batch: &RecordBatch, _first: usize) -> Result<Vec<Self>, TableError> {
        let ids: &UInt64Array = column(batch, 0);
        let [variants, gold] = [1, 2].map(|index| column::<ListArray>(batch, index));
        let reference = |row| Self {
            id: ids.value(row),
            variants: texts_at(variants, row),
            gold: texts_at(gold, row),
        };
        Ok((0..batch.num_rows()).map(reference).collect())
    }
}

fn text_lists<'a>(rows: impl Iterator<Item = &'a Vec<Vec<String>>>) -> ArrayRef {
    let texts = ListBuilder::new(StringBuilder::new()).with_field(item(DataType::Utf8));
    let mut builder =
        ListBuilder::new(texts).with_field(item(DataType::List(item(DataType::Utf8))));
    for lists in rows {
        for list in lists {
            for text in list {
                builder.values().values().append_value(text);
            }
            builder.values().append(true);
        }
        builder.append(true);
    }
    Arc::new(builder.finish())
}

fn texts_at(column: &ListArray, row: usize) -> Vec<Vec<String>> {
    let lists = column.value(row);
    let lists: &ListArray = lists.as_any().downcast_ref().expect("`checked` compared the types");
    let list = |index| {
        let texts = lists.value(index);
        let texts: &StringArray =
            texts.as_any().downcast_ref().expect("`checked` compared the types");
        (0..texts.len()).map(|index| texts.value(index).to_owned()).collect()
    };
    (0..lists.len()).map(list).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::Seed,
        data::{
            mini_vista::{MiniVista, Stream},
            table::{decode, encode},
        },
    };

    #[test]
    fn references_round_trip() {
        let task = MiniVista::new(Seed(9), 0.5);
        let mut references: Vec<Reference> =
            (0..50).map(|index| task.example(Stream::Test, index).reference()).collect();
        references.push(Reference { id: 7, variants: vec![vec![]], gold: vec![] });
        let bytes = encode(&references).unwrap();
        assert_eq!(decode::<Reference>(&bytes).unwrap(), references);
    }
}
