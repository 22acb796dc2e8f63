//! TOML text as a tree in which every key and every value knows its place.
//!
//! Typed deserialisation comes later and from the merged tree: only here do spans exist, so that
//! everything that can be said about a place is said from this tree.

use crate::{
    base::{Fault, Faults, Source},
    recipe::check::quoted,
};
use std::{collections::BTreeMap, ops::Range};
use toml::de::{DeTable, DeValue};

/// The largest recipe that is read, in bytes; whoever opens files refuses longer ones.
pub const LARGEST_FILE_BYTES: u64 = 1 << 20;

/// A value and where it is written, in bytes of its source.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// What is written.
    pub node: Node,
    /// Where.
    pub span: Range<usize>,
}

/// What is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// A string.
    Text(String),
    /// A whole number; wider than any key takes, so that range faults can quote it.
    Integer(i128),
    /// Any other number, `nan` and `inf` among them.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A date or a time, which no key takes.
    Datetime,
    /// A list.
    List(Vec<Tree>),
    /// A table, inline or not.
    Table(BTreeMap<String, Entry>),
}

/// A key of a table with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where the key is written.
    pub key_span: Range<usize>,
    /// The value.
    pub value: Tree,
}

impl Entry {
    /// Key and value together; of a table with a header, the header.
    pub fn span(&self) -> Range<usize> {
        if self.value.span.contains(&self.key_span.start) {
            self.value.span.clone()
        } else {
            self.key_span.start..self.value.span.end.max(self.key_span.end)
        }
    }
}

impl Node {
    /// The value as JSON; dates, which no key takes, are nothing.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Integer(number) => match u64::try_from(*number) {
                Ok(number) => number.into(),
                Err(_) => i64::try_from(*number).map_or((*number as f64).into(), Into::into),
            },
            Self::Float(number) => (*number).into(),
            Self::Boolean(truth) => (*truth).into(),
            Self::Datetime => serde_json::Value::Null,
            Self::List(items) => items.iter().map(|item| item.node.to_json()).collect(),
            Self::Table(entries) => {
                let pairs = entries.iter();
                pairs.map(|(name, entry)| (name.clone(), entry.value.node.to_json())).collect()
            }
        }
    }

    /// What people call this type of value, with its article.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Boolean(_) => "true or false",
            Self::Datetime => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// Reads a whole TOML text.
///
/// # Errors
/// `syntax` for everything that is not TOML, duplicate keys included.
pub fn parse(source: &Source) -> Result<Tree, Faults> {
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    if errors.is_empty() {
        let span = table.span();
        let node = DeValue::Table(table.into_inner());
        return convert(node, span, 0).map_err(|fault| Faults(vec![fault.at(source)]));
    }
    let mut found: Vec<Misreading> =
        errors.iter().map(|error| Misreading::of(error, &source.text)).collect();
    // The reader tells what it could not recover from last.
    found.sort_by_key(|misreading| misreading.span.start);
    // One slip often upsets the parser twice in a line; the first is the one to mend.
    let (bytes, mut read, mut is_first) = (source.text.as_bytes(), 0, true);
    found.retain(|misreading| {
        let start = misreading.span.start.clamp(read, bytes.len());
        let is_further = bytes[read..start].contains(&b'\n');
        read = start;
        std::mem::take(&mut is_first) || is_further
    });
    Err(Faults(found.into_iter().map(|misreading| misreading.at(source)).collect()))
}

/// Reads the one TOML value that fills `span` of `source`.
///
/// # Errors
/// `syntax` for everything that is not one TOML value.
pub(super) fn parse_value(source: &Source, span: Range<usize>) -> Result<Tree, Fault> {
    let offset = span.start;
    let text = &source.text[span];
    DeValue::parse(text)
        .map_err(|error| Misreading::of(&error, text).moved(offset))
        .and_then(|value| {
            let span = value.span();
            convert(value.into_inner(), span, offset)
        })
        .map_err(|misreading| misreading.at(source))
}

/// A syntax error before it is told which source it is in.
struct Misreading {
    message: String,
    hint: Option<String>,
    span: Range<usize>,
}

impl Misreading {
    fn of(error: &toml::de::Error, text: &str) -> Self {
        if error.message().contains("recursion limit") {
            let hint = Some("no key of a recipe lies so deep".to_owned());
            return Self { message: "too many dots".to_owned(), hint, span: deepest_line(text) };
        }
        let span = error.span().unwrap_or(0..0);
        let marked = quoted(text.get(span.clone()).unwrap_or_default());
        let rest_of_line = text.get(span.start..).and_then(|rest| rest.lines().next());
        let told = error.message();
        let (message, hint) = if told.contains("duplicate key") {
            if text[..span.start].ends_with(['[', '.']) {
                let hint = "keep one header, and put the keys of both below it";
                (format!("the table `{marked}` is written twice"), hint.to_owned())
            } else {
                (format!("`{marked}` is written twice"), "keep one of them".to_owned())
            }
        } else if told.contains("string values must be quoted") {
            if rest_of_line.is_none_or(|rest| rest.trim().is_empty()) {
                let hint = "write a value, or leave the key out for its default";
                ("no value after `=`".to_owned(), hint.to_owned())
            } else {
                (
                    format!("`{marked}` is no value"),
                    format!("put strings in quotes: `\"{marked}\"`"),
                )
            }
        } else if told.contains("invalid basic string") && rest_of_line.is_none_or(str::is_empty) {
            let hint = "end it with `\"` on its line, or put it between `\"\"\"` and `\"\"\"`";
            ("a string is not closed".to_owned(), hint.to_owned())
        } else {
            let message = told.trim_end_matches('.').replace('\n', ", ");
            (message, "a recipe is TOML: `key = value` lines below `[table]` headers".to_owned())
        };
        Self { message, hint: Some(hint), span }
    }

    fn moved(self, offset: usize) -> Self {
        Self { span: self.span.start + offset..self.span.end + offset, ..self }
    }

    fn at(self, source: &Source) -> Fault {
        let place = Some(source.place(self.span));
        Fault { code: "syntax", message: self.message, hint: self.hint, place }
    }
}

/// The line with the most dots, which the reader does not name.
fn deepest_line(text: &str) -> Range<usize> {
    let (mut start, mut most, mut deepest) = (0, 0, 0..0);
    for line in text.split_inclusive('\n') {
        let dots = line.bytes().filter(|byte| *byte == b'.').count();
        if dots > most {
            (most, deepest) = (dots, start..start + line.trim_end().len());
        }
        start += line.len();
    }
    deepest
}

fn convert(value: DeValue<'_>, span: Range<usize>, offset: usize) -> Result<Tree, Misreading> {
    let span = span.start + offset..span.end + offset;
    let too_large = |text: &str| Misreading {
        message: format!("the number {} is too large", quoted(text)),
        hint: Some("no key takes more than 18446744073709551615".to_owned()),
        span: span.clone(),
    };
    let node = match value {
        DeValue::String(text) => Node::Text(text.into_owned()),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map(Node::Integer)
            .map_err(|_| too_large(number.as_str()))?,
        DeValue::Float(number) => {
            number.as_str().parse().map(Node::Float).map_err(|_| too_large(number.as_str()))?
        }
        DeValue::Boolean(truth) => Node::Boolean(truth),
        DeValue::Datetime(_) => Node::Datetime,
        DeValue::Array(items) => Node::List(
            items
                .into_iter()
                .map(|item| {
                    let span = item.span();
                    convert(item.into_inner(), span, offset)
                })
                .collect::<Result<_, _>>()?,
        ),
        DeValue::Table(table) => Node::Table(
            table
                .into_iter()
                .map(|(key, value)| {
                    let key_span = key.span().start + offset..key.span().end + offset;
                    let span = value.span();
                    let value = convert(value.into_inner(), span, offset)?;
                    Ok((key.into_inner().into_owned(), Entry { key_span, value }))
                })
                .collect::<Result<_, Misreading>>()?,
        ),
    };
    Ok(Tree { node, span })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source { name: "a.toml".into(), text: text.into() }
    }

    fn entry<'t>(tree: &'t Tree, key: &str) -> &'t Entry {
        match &tree.node {
            Node::Table(entries) => &entries[key],
            other => panic!("not a table: {other:?}"),
        }
    }

    #[test]
    fn keys_and_values_know_their_places() {
        let text = "a = 100_000\n[b]\nc.d = 'x' # no\ne = [1, 2.5]\n";
        let tree = parse(&source(text)).unwrap();
        assert_eq!(entry(&tree, "a").value.node, Node::Integer(100_000));
        let table = &entry(&tree, "b").value;
        let inner = entry(&entry(table, "c").value, "d");
        assert_eq!(&text[inner.key_span.clone()], "d");
        assert_eq!(&text[inner.value.span.clone()], "'x'");
        assert_eq!(&text[inner.span()], "d = 'x'");
        assert_eq!(&text[entry(table, "e").value.span.clone()], "[1, 2.5]");
    }

    #[test]
    fn a_value_in_the_middle_of_a_text_keeps_its_offsets() {
        let text = source("a.b=[1, { x = 2 }]");
        let tree = parse_value(&text, 4..18).unwrap();
        assert_eq!(&text.text[tree.span.clone()], "[1, { x = 2 }]");
        let Node::List(items) = &tree.node else { panic!("{tree:?}") };
        assert_eq!(&text.text[entry(&items[1], "x").key_span.clone()], "x");
        assert_eq!(parse_value(&source("a=?"), 2..3).unwrap_err().code, "syntax");
    }

    #[test]
    fn a_byte_order_mark_is_no_fault() {
        let tree = parse(&source("\u{feff}a = 1")).unwrap();
        assert_eq!(entry(&tree, "a").value.node, Node::Integer(1));
    }
}
