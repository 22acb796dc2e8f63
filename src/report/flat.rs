//! A pivot table as columns, a row for each group of members: CSV and Parquet.

use super::interval::{Estimate, Method};
use super::pivot::{Cell, Pivot};
use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};
use serde_json::Value;
use std::sync::Arc;

/// A named column.
struct Column {
    name: String,
    cells: Cells,
}

/// Cells of one type.
enum Cells {
    Text(Vec<Option<String>>),
    Number(Vec<Option<f64>>),
    Whole(Vec<Option<i64>>),
    Truth(Vec<Option<bool>>),
}

/// The table as RFC 4180 has it, for spreadsheets too: no text is taken for a formula.
pub(super) fn csv(pivot: &Pivot) -> String {
    let columns = columns(pivot);
    let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
    let rows = (0..pivot.groups().count()).map(|row| {
        let cells: Vec<String> = columns.iter().map(|column| column.cells.csv(row)).collect();
        cells.join(",")
    });
    let lines = std::iter::once(names.join(",")).chain(rows);
    lines.map(|line| line + "\r\n").collect()
}

/// The same columns as a Parquet file.
pub(super) fn parquet(pivot: &Pivot) -> Vec<u8> {
    let columns =
        columns(pivot).into_iter().map(|column| (column.name, column.cells.array(), true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns)
        .expect("all columns are as long as there are groups");
    let properties = WriterProperties::builder()
        .set_created_by("mstar".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    let mut bytes = Vec::new();
    let written = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties))
        .and_then(|mut writer| writer.write(&batch).and_then(|()| writer.close()));
    written.expect("a vector takes everything, and every type of a cell is one of Parquet's");
    bytes
}

fn columns(pivot: &Pivot) -> Vec<Column> {
    let mut columns = Vec::new();
    let mut add = |name: String, cells| columns.push(Column { name, cells });
    for (index, key) in pivot.rows.iter().enumerate() {
        let values = pivot.groups().map(|(line, ..)| &line.keys[index]);
        add(key.clone(), Cells::of(&values.collect::<Vec<_>>()));
    }
    for (index, key) in pivot.columns.iter().enumerate() {
        let values = pivot.groups().map(|(_, head, _)| &pivot.heads[head][index]);
        add(key.clone(), Cells::of(&values.collect::<Vec<_>>()));
    }
    let groups = || pivot.groups().map(|(_, _, group)| group);
    let members = groups().map(|group| i64::try_from(group.members.len()).ok());
    add("members".to_owned(), Cells::Whole(members.collect()));
    let state = groups().map(|group| match group.missing.is_empty() {
        true => Some("done".to_owned()),
        false => Some(group.became()),
    });
    add("state".to_owned(), Cells::Text(state.collect()));
    add("reason".to_owned(), Cells::Text(groups().map(|group| group.reason.clone()).collect()));
    for (index, metric) in pivot.values.iter().enumerate() {
        let cells: Vec<&Cell> = groups().map(|group| &group.cells[index]).collect();
        let mut estimates = |name: String, of: fn(&Cell) -> Option<&Estimate>| {
            let all: Vec<Option<&Estimate>> = cells.iter().map(|cell| of(cell)).collect();
            let end = |end: usize| {
                Cells::Number(all.iter().map(|it| Some((*it)?.interval?[end])).collect())
            };
            let method = |it: &Option<&Estimate>| (*it)?.method.name(pivot);
            let count = |it: &Option<&Estimate>| i64::try_from((*it)?.count).ok();
            add(name.clone(), Cells::Number(all.iter().map(|it| Some((*it)?.mean)).collect()));
            add(format!("{name}.low"), end(0));
            add(format!("{name}.high"), end(1));
            add(format!("{name}.count"), Cells::Whole(all.iter().map(count).collect()));
            add(format!("{name}.method"), Cells::Text(all.iter().map(method).collect()));
        };
        estimates(metric.to_string(), |cell| cell.value.as_ref());
        if pivot.compares() {
            estimates(format!("{metric}.difference"), |cell| cell.difference.as_ref());
        }
    }
    columns
}

impl Method {
    /// As programs read it; `None` where there is no interval and nothing to say why.
    pub(super) fn name(self, pivot: &Pivot) -> Option<String> {
        match self {
            Self::Student => Some(format!("student t over {}", pivot.of_members())),
            Self::Equal => Some(format!("none, equal {}", pivot.of_members())),
            _ => self.of_prompts().map(str::to_owned),
        }
    }

    /// The same of what is measured on prompts alone.
    pub fn of_prompts(self) -> Option<&'static str> {
        match self {
            Self::Bootstrap => Some("bootstrap over prompts"),
            Self::Wilson => Some("wilson over prompts"),
            Self::Unpaired => Some("unpaired"),
            Self::Student | Self::Equal | Self::None => None,
        }
    }
}

impl Cells {
    /// Values of an axis in the narrowest type that holds them all.
    fn of(values: &[&Value]) -> Self {
        let all = |fits: fn(&Value) -> bool| values.iter().all(|it| it.is_null() || fits(it));
        if all(Value::is_boolean) {
            Self::Truth(values.iter().map(|it| it.as_bool()).collect())
        } else if all(|it| it.as_i64().is_some()) {
            Self::Whole(values.iter().map(|it| it.as_i64()).collect())
        } else if all(Value::is_number) {
            Self::Number(values.iter().map(|it| it.as_f64()).collect())
        } else {
            let text = |it: &&Value| (!it.is_null()).then(|| super::numbers::plain(it));
            Self::Text(values.iter().map(text).collect())
        }
    }

    fn csv(&self, row: usize) -> String {
        match self {
            Self::Text(cells) => cells[row].as_deref().map_or_else(String::new, quoted),
            Self::Number(cells) => cells[row].map_or_else(String::new, |it| it.to_string()),
            Self::Whole(cells) => cells[row].map_or_else(String::new, |it| it.to_string()),
            Self::Truth(cells) => cells[row].map_or_else(String::new, |it| it.to_string()),
        }
    }

    fn array(self) -> ArrayRef {
        match self {
            Self::Text(cells) => Arc::new(StringArray::from(cells)),
            Self::Number(cells) => Arc::new(Float64Array::from(cells)),
            Self::Whole(cells) => Arc::new(Int64Array::from(cells)),
            Self::Truth(cells) => Arc::new(BooleanArray::from(cells)),
        }
    }
}

/// Text as a field; a spreadsheet would compute what begins like a formula.
fn quoted(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_no_formula() {
        assert_eq!(quoted("plain text"), "plain text");
        assert_eq!(quoted("a,b \"c\"\nd"), "\"a,b \"\"c\"\"\nd\"");
        assert_eq!(quoted("=1+1"), "'=1+1");
        assert_eq!(quoted("@sum(a,b)"), "\"'@sum(a,b)\"");
        let negative = Cells::Number(vec![Some(-0.5), None]);
        assert_eq!((negative.csv(0), negative.csv(1)), ("-0.5".to_owned(), String::new()));
    }
}
