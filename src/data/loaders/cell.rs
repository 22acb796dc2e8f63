//! A row as its file has it, whatever the file's format.

use serde_json::{Number, Value};
use std::collections::BTreeMap;

/// A row: its columns by name.
pub type Row = BTreeMap<String, Cell>;

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// True or false.
    Flag(bool),
    /// A number.
    Number(Number),
    /// Text.
    Text(String),
    /// Bytes, such as those of an image.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Self>),
    /// Named values.
    Table(Row),
}

/// The text of nothing.
const NOTHING: &Cell = &Cell::Null;

impl Cell {
    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Flag(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    /// Whether there is nothing: no value, or a text without letters.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) => text.trim().is_empty(),
            _ => false,
        }
    }

    /// A text or a number as text.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A number, also one that is written as text.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => number.as_f64(),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// The texts of a list; a list that is written as text, in JSON or with Python's quotes, is one.
    pub fn texts(&self) -> Option<Vec<String>> {
        match self {
            Self::List(cells) => cells.iter().map(Self::text).collect(),
            Self::Text(text) => {
                let text = text.trim();
                let list = serde_json::from_str::<Vec<Value>>(text).ok();
                let cells = list.map(|list| list.into_iter().map(Self::from).collect());
                match cells {
                    Some(cells) => Self::List(cells).texts(),
                    None => python_list(text),
                }
            }
            _ => None,
        }
    }

    /// The value of a table under a name; nothing where it is none or has none.
    pub fn at(&self, name: &str) -> &Self {
        match self {
            Self::Table(table) => table.get(name).unwrap_or(NOTHING),
            _ => NOTHING,
        }
    }
}

impl From<Value> for Cell {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(flag) => Self::Flag(flag),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::Text(text),
            Value::Array(values) => Self::List(values.into_iter().map(Self::from).collect()),
            Value::Object(map) => {
                Self::Table(map.into_iter().map(|(name, value)| (name, value.into())).collect())
            }
        }
    }
}

/// A list of quoted texts as Python writes it: `['a', "it's"]`.
fn python_list(text: &str) -> Option<Vec<String>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let mut rest = inner.trim();
    let mut texts = Vec::new();
    while !rest.is_empty() {
        let quote = rest.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
        let mut item = String::new();
        let mut characters = rest.char_indices().skip(1);
        let end = loop {
            match characters.next()? {
                (at, c) if c == quote => break at,
                (_, '\\') => item.push(match characters.next()?.1 {
                    'n' => '\n',
                    't' => '\t',
                    other => other,
                }),
                (_, c) => item.push(c),
            }
        };
        texts.push(item);
        rest = rest[end + 1..].trim_start();
        rest = match rest.strip_prefix(',') {
            Some(rest) => rest.trim_start(),
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    Some(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_are_read_however_they_are_written() {
        let texts = |text: &str| Cell::Text(text.to_owned()).texts();
        let two = Some(vec!["a".to_owned(), "it's".to_owned()]);
        assert_eq!(texts("[\"a\", \"it's\"]"), two);
        assert_eq!(texts("['a', \"it's\"]"), two);
        assert_eq!(texts("['a', 'it\\'s',]"), two);
        assert_eq!(texts("[]"), Some(Vec::new()));
        assert_eq!(texts("[1, 2.5]"), Some(vec!["1".to_owned(), "2.5".to_owned()]));
        for wrong in ["a", "['a'", "['a' 'b']", "['a", "[a]", "]["] {
            assert_eq!(texts(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_a_list(text in "(\\PC|[\\['\"\\\\,\\] ]){0,30}") {
            Cell::Text(text).texts();
        }
    }
}
