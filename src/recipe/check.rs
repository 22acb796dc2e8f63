//! One layer against the schema: every fault, each with its place and a way out.

use crate::{
    base::{Fault, Source, did_you_mean},
    recipe::{
        schema::{Form, Key, Range, Shape, key_at, listed, shape, values},
        tree::{Entry, Node, Tree},
    },
};
use indexmap::IndexMap;
use std::collections::BTreeMap;

/// Checks the root table of a layer.
pub(super) fn check(tree: &Tree, source: &Source, faults: &mut Vec<Fault>) {
    let mut checker = Checker { source, faults };
    match &tree.node {
        Node::Table(entries) => checker.table("", shape(), entries),
        _ => unreachable!("the root of a layer is a table"),
    }
}

struct Checker<'a> {
    source: &'a Source,
    faults: &'a mut Vec<Fault>,
}

impl Checker<'_> {
    fn fault(&mut self, code: &'static str, span: &std::ops::Range<usize>, told: (String, String)) {
        let place = Some(self.source.place(span.clone()));
        self.faults.push(Fault { code, message: told.0, hint: Some(told.1), place });
    }

    fn table(
        &mut self,
        path: &str,
        keys: &IndexMap<String, Key>,
        entries: &BTreeMap<String, Entry>,
    ) {
        for (name, entry) in entries {
            match keys.get(name) {
                Some(key) => self.value(&join(path, name), key, &entry.value),
                None => self.fault("unknown-key", &entry.key_span, unknown_key(path, name, keys)),
            }
        }
    }

    fn value(&mut self, path: &str, key: &Key, tree: &Tree) {
        match (&key.shape, &tree.node) {
            (Shape::Table(keys), Node::Table(entries)) => self.table(path, keys, entries),
            (Shape::List { item, .. }, Node::List(items)) if item.keys().is_some() => {
                for inner in items {
                    match (&**item, &inner.node) {
                        (Shape::Table(keys), Node::Table(entries)) => {
                            self.table(path, keys, entries);
                        }
                        (shape, _) => self.leaf(path, path, shape, inner),
                    }
                }
            }
            (shape, _) => self.leaf(path, path, shape, tree),
        }
    }

    /// `name` is what the value is called: the key at `path`, or an element of it.
    fn leaf(&mut self, path: &str, name: &str, shape: &Shape, tree: &Tree) {
        let span = &tree.span;
        match (shape, &tree.node) {
            (Shape::Integer(range), Node::Integer(number)) => {
                if !range.holds_integer(*number) {
                    self.out_of_range(path, name, shape, &number.to_string(), span);
                } else if let Some(most) = range.machine_limit_below(*number) {
                    let message = format!("`{name}` is out of range: {number}");
                    self.fault("out-of-range", span, (message, format!("it takes at most {most}")));
                }
            }
            (Shape::Number(range), Node::Integer(number)) => {
                if !range.holds(*number as f64) {
                    self.out_of_range(path, name, shape, &number.to_string(), span);
                }
            }
            (Shape::Number(range), Node::Float(number)) => {
                if !number.is_finite() {
                    let written = number.to_string().to_lowercase();
                    let message = format!("`{name}` takes a finite number, not `{written}`");
                    self.fault("not-finite", span, (message, takes(path, shape)));
                } else if !range.holds(*number) {
                    self.out_of_range(path, name, shape, &short(*number), span);
                }
            }
            (Shape::Text, Node::Text(_)) | (Shape::Boolean, Node::Boolean(_)) => {}
            (Shape::List { item, fewest }, Node::List(items)) => {
                if (items.len() as u64) < *fewest {
                    let message =
                        format!("`{name}` takes at least {fewest}, and has {}", items.len());
                    self.fault("too-few", span, (message, takes(path, shape)));
                }
                for (index, inner) in items.iter().enumerate() {
                    self.leaf(path, &format!("{path}[{index}]"), item, inner);
                }
            }
            (Shape::Union(forms), Node::Text(_) | Node::Table(_)) => {
                self.union(path, name, forms, tree);
            }
            (shape, _) => self.wrong_type(path, name, shape, tree),
        }
    }

    fn union(&mut self, path: &str, name: &str, forms: &[Form], tree: &Tree) {
        let choices = listed(forms.iter().map(Form::written), "or");
        let whole = &tree.span;
        match &tree.node {
            Node::Text(written) => match forms.iter().find(|form| form.name == *written) {
                None => {
                    let message = format!("`{name}` has no choice `{}`", quoted(written));
                    let hint = did_you_mean(written, forms.iter().map(|form| &*form.name))
                        .and_then(|name| forms.iter().find(|form| form.name == name))
                        .map_or(format!("write {choices}"), |form| {
                            format!("did you mean {}?", form.written())
                        });
                    self.fault("unknown-choice", whole, (message, hint));
                }
                Some(form) if form.payload.is_some() => {
                    let message = format!("`{name}` leaves out the value of `{written}`");
                    let value = form.payload.as_ref().map_or_else(String::new, Shape::description);
                    let hint = format!("write {}, with {value}", form.written());
                    self.fault("wrong-form", whole, (message, hint));
                }
                Some(_) => {}
            },
            Node::Table(entries) => {
                let mut entries_iter = entries.iter();
                let (Some((written, entry)), None) = (entries_iter.next(), entries_iter.next())
                else {
                    let message = format!("`{name}` takes one form, not {}", entries.len());
                    return self.fault("wrong-form", whole, (message, format!("write {choices}")));
                };
                match forms.iter().find(|form| form.name == *written) {
                    None => {
                        let message = format!("`{name}` has no form `{}`", quoted(written));
                        let hint = format!("write {choices}");
                        self.fault("unknown-form", &entry.key_span, (message, hint));
                    }
                    Some(Form { payload: Some(shape), .. }) => {
                        self.leaf(path, &join(name, written), shape, &entry.value);
                    }
                    Some(form) => {
                        let message = format!("the choice `{written}` of `{name}` takes no value");
                        let hint = format!("write {}", form.written());
                        self.fault("wrong-form", whole, (message, hint));
                    }
                }
            }
            _ => unreachable!("asked for strings and tables only"),
        }
    }

    fn out_of_range(
        &mut self,
        path: &str,
        name: &str,
        shape: &Shape,
        number: &str,
        span: &std::ops::Range<usize>,
    ) {
        let message = format!("`{name}` is out of range: {number}");
        let hint = if path == "format" {
            "this is the first version of the language: write `format = 1`".to_owned()
        } else {
            takes(if name == path { path } else { "" }, shape)
        };
        self.fault("out-of-range", span, (message, hint));
    }

    fn wrong_type(&mut self, path: &str, name: &str, shape: &Shape, tree: &Tree) {
        let written = tree.node.kind();
        let message = match (shape, &tree.node) {
            (Shape::Integer(_), Node::Float(number)) => {
                format!("`{name}` takes a whole number, not `{number:?}`")
            }
            (Shape::Union(_), _) => format!("`{name}` takes a choice, not {written}"),
            _ => format!("`{name}` takes {}, not {written}", shape.kind()),
        };
        let hint = match (shape, &tree.node) {
            (Shape::Integer(range), Node::Float(number))
                if number.fract() == 0.0
                    && range.holds(*number)
                    && range.machine_limit_below(*number as i128).is_none() =>
            {
                format!("write `{number:.0}`")
            }
            (Shape::Integer(_) | Shape::Number(_), Node::Text(text))
                if text.parse::<f64>().is_ok_and(f64::is_finite) =>
            {
                format!("write it without quotes: `{}`", quoted(text))
            }
            (Shape::Boolean, Node::Text(text)) if text == "true" || text == "false" => {
                format!("write it without quotes: `{text}`")
            }
            (Shape::Text, Node::Float(_) | Node::Boolean(_) | Node::Datetime) => {
                "put it in quotes".to_owned()
            }
            (Shape::List { .. }, Node::Text(text)) => {
                format!("put it in brackets: `[\"{}\"]`", quoted(text))
            }
            (Shape::List { .. }, Node::Integer(_) | Node::Float(_)) => {
                "put it in brackets, as in `[0.5, 1.0]`".to_owned()
            }
            (Shape::Text, Node::Integer(number)) => format!("put it in quotes: `\"{number}\"`"),
            (Shape::List { item, .. }, Node::Table(_)) if item.keys().is_some() => {
                format!("there may be several: write `[[{path}]]` with double brackets")
            }
            (Shape::Table(_), Node::List(_)) => {
                format!("there is one of it: write `[{path}]` with single brackets")
            }
            (Shape::Table(keys), _) => {
                format!("write `[{path}]` and below it its keys: {}", key_names(keys, path))
            }
            _ => takes(path, shape),
        };
        self.fault("wrong-type", &tree.span, (message, hint));
    }
}

impl Range {
    fn holds(&self, number: f64) -> bool {
        self.least.is_none_or(|least| number >= least)
            && self.most.is_none_or(|most| number <= most)
    }

    /// Without the ends of the machine's integers.
    fn holds_integer(&self, number: i128) -> bool {
        self.machine_limit_below(number).is_some() || self.holds(number as f64)
    }

    /// The largest integer of the machine's type, where that is the only end and `number` is above.
    fn machine_limit_below(&self, number: i128) -> Option<u64> {
        let limit = if self.most? == f64::from(u32::MAX) { u64::from(u32::MAX) } else { u64::MAX };
        (self.most? >= limit as f64 && number > i128::from(limit)).then_some(limit)
    }
}

/// What a key takes, and its default.
fn takes(path: &str, shape: &Shape) -> String {
    let description = match shape {
        Shape::Union(_) => format!("write {}", shape.description()),
        _ => format!("it takes {}", shape.description()),
    };
    match key_at(path).map(|key| &key.default) {
        None | Some(serde_json::Value::Null | serde_json::Value::Array(_)) => description,
        Some(default) => format!("{description}; the default is {default}"),
    }
}

fn unknown_key(path: &str, name: &str, keys: &IndexMap<String, Key>) -> (String, String) {
    let shown = quoted(name);
    let message = if path.is_empty() {
        format!("a recipe has no key `{shown}`")
    } else {
        format!("`{path}` has no key `{shown}`")
    };
    let hint = if let Some(near) = did_you_mean(name, keys.keys().map(String::as_str)) {
        format!("did you mean `{near}`?")
    } else if let Some(home) = homes(name).first() {
        format!("did you mean `{home}`?")
    } else if path.is_empty() {
        format!("the keys of a recipe are {}", key_names(keys, path))
    } else {
        format!("the keys of `{path}` are {}", key_names(keys, path))
    };
    (message, hint)
}

/// Every dotted key that ends in `name`, those of tables that are always there first.
fn homes(name: &str) -> Vec<String> {
    fn visit(keys: &IndexMap<String, Key>, path: &str, name: &str, found: &mut Vec<String>) {
        for (inner, key) in keys {
            let path = join(path, inner);
            if inner == name {
                found.push(path.clone());
            }
            if let Shape::Table(keys) = &key.shape {
                visit(keys, &path, name, found);
            }
        }
    }
    let mut found = Vec::new();
    visit(shape(), "", name, &mut found);
    found.sort_by_key(|path| path.starts_with("pretraining."));
    found
}

fn key_names(keys: &IndexMap<String, Key>, path: &str) -> String {
    listed(values(keys, path).map(|(name, _)| format!("`{name}`")), "and")
}

/// A stranger's word, made short and harmless for a message.
pub fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown.replace("\\\"", "\"").replace("\\'", "'")
}

/// A number as a person would write it: `0.5`, and `1e-300` instead of three hundred zeros.
fn short(number: f64) -> String {
    let plain = number.to_string();
    if plain.len() > LONGEST_NUMBER { format!("{number:e}") } else { plain }
}

/// Characters beyond which a number is written with an exponent.
const LONGEST_NUMBER: usize = 20;

/// Dotted path of a key inside a table.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_the_wrong_table_is_found() {
        assert_eq!(homes("interval"), ["training.interval"]);
        assert_eq!(homes("learning_rate")[0], "training.learning_rate");
    }

    #[test]
    fn quoted_words_are_short_and_harmless() {
        assert_eq!(quoted("a\u{1b}[31m"), "a\\u{1b}[31m");
        assert_eq!(quoted("it's \"so\""), "it's \"so\"");
        assert!(quoted(&"x".repeat(1000)).chars().count() < 70);
    }
}
