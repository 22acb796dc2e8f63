//! Single values from outside the file: `--set a.b=c` and `MSTAR_A__B=c`.
//!
//! A value is TOML; where that fails, and where the key takes a string, it is the bare text, so that
//! `--set reward.select=all` needs no quotes within quotes.

use crate::{
    base::{Fault, Source, did_you_mean},
    recipe::{
        check::quoted,
        schema::{Shape, is_of_file, key_at, shape},
        tree::{Entry, Node, Tree, parse_value},
    },
};
use std::{collections::BTreeMap, ops::Range};

/// What the variables of a recipe begin with.
const PREFIX: &str = "MSTAR_";

/// Reads `a.b=c` into the tree of a layer.
pub(super) fn set(text: &str) -> Result<(Source, Tree), Fault> {
    let source = Source { name: "--set".to_owned(), text: text.into() };
    let hint = "write a dotted key, `=` and a value, such as `--set training.interval=0.5`";
    let fault = |span: Range<usize>, message: &str| Fault {
        code: "bad-set",
        message: message.to_owned(),
        hint: Some(hint.to_owned()),
        place: Some(source.place(span)),
    };
    let Some(equals) = text.find('=') else {
        return Err(fault(0..text.len(), "`--set` without `=`"));
    };
    let mut segments = Vec::new();
    let mut start = 0;
    for written in text[..equals].split('.') {
        let name = written.trim();
        let name_start = start + written.len() - written.trim_start().len();
        let span = name_start..name_start + name.len();
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || !name.chars().all(is_word) {
            return Err(fault(span, "what stands before `=` is no dotted key"));
        }
        segments.push((name.to_owned(), span));
        start += written.len() + 1;
    }
    if segments.len() > DEEPEST {
        return Err(fault(0..equals, "no key of a recipe lies so deep"));
    }
    let value = value(&source, equals + 1, &segments)?;
    Ok((source, nest(segments, value)))
}

/// Whether a variable of the environment is about the recipe. It is when it names a top-level key
/// (`MSTAR_SEED`) or has a double underline, which stands for the dot (`MSTAR_TRAINING__INTERVAL`).
/// All others, `MSTAR_STORE` among them, have other readers.
pub fn is_variable(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|path| {
        let key = path.to_ascii_lowercase();
        name.contains("__") || !is_of_file(&key) && shape().contains_key(&key)
    })
}

/// Reads a variable of the environment; `None` if it is not about the recipe.
pub(super) fn variable(name: &str, content: &str) -> Option<Result<(Source, Tree), Fault>> {
    let path = name.strip_prefix(PREFIX).filter(|_| is_variable(name))?;
    let source =
        Source { name: "environment".to_owned(), text: format!("{name}={content}").into() };
    let mut segments = Vec::new();
    let mut start = PREFIX.len();
    for written in path.split("__") {
        segments.push((written.to_ascii_lowercase(), start..start + written.len()));
        start += written.len() + 2;
    }
    if segments.len() > DEEPEST {
        return Some(Err(Fault {
            code: "bad-environment",
            message: "no key of a recipe lies so deep".to_owned(),
            hint: Some("a double underline stands for one dot".to_owned()),
            place: Some(source.place(0..name.len())),
        }));
    }
    let value = value(&source, name.len() + 1, &segments);
    Some(value.map(|value| (source, nest(segments, value))))
}

/// Variables that nobody reads and that are spelt much like one of a top-level key: a slip there would
/// change nothing and say nothing.
pub fn misspelt_variables(environment: &[(String, String)]) -> Vec<Fault> {
    let keys = || shape().keys().filter(|key| !is_of_file(key)).map(String::as_str);
    let misspelt = environment.iter().filter_map(|(name, _)| {
        let key = name.strip_prefix(PREFIX)?.to_ascii_lowercase();
        let is_read = key.contains("__") || shape().contains_key(&key);
        let near = did_you_mean(&key, keys()).filter(|_| !is_read)?.to_uppercase();
        Some(Fault {
            code: "unread-variable",
            message: format!("the variable `{}` of the environment is not read", quoted(name)),
            hint: Some(format!("did you mean `{PREFIX}{near}`?")),
            place: None,
        })
    });
    misspelt.collect()
}

/// Segments of a key at most, several more than any has: nothing is nested without end.
const DEEPEST: usize = 16;

fn value(
    source: &Source,
    start: usize,
    segments: &[(String, Range<usize>)],
) -> Result<Tree, Fault> {
    let written = &source.text[start..];
    let trimmed = written.trim();
    let start = start + written.len() - written.trim_start().len();
    let span = start..start + trimmed.len();
    let path = segments.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(".");
    if trimmed.is_empty() {
        let key_span = segments.first().map_or(0, |(_, first)| first.start)..start;
        return Err(Fault {
            code: "no-value",
            message: format!("`{path}` is given no value"),
            hint: Some("write `\"\"` for an empty string".to_owned()),
            place: Some(source.place(key_span)),
        });
    }
    let bare = Tree { node: Node::Text(trimmed.to_owned()), span: span.clone() };
    let is_delimited = trimmed.starts_with(['"', '\'', '[', '{']);
    let takes_text = key_at(&path).is_some_and(|key| matches!(key.shape, Shape::Text));
    if takes_text && !is_delimited {
        return Ok(bare);
    }
    // Digits that are no number of TOML are too many of them.
    let digits = trimmed.trim_start_matches(['+', '-']);
    let is_whole = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
    match parse_value(source, span) {
        Err(_) if !is_delimited && !is_whole => Ok(bare),
        parsed => parsed,
    }
}

/// Puts a value below its dotted key.
pub(super) fn nest(segments: Vec<(String, Range<usize>)>, value: Tree) -> Tree {
    segments.into_iter().rev().fold(value, |value, (name, key_span)| {
        let span = key_span.start..value.span.end;
        let entries = BTreeMap::from([(name, Entry { key_span, value })]);
        Tree { node: Node::Table(entries), span }
    })
}
