//! A recipe with every value in place, and where each came from.

use crate::{
    base::{Place, Source},
    recipe::{
        Origin, Recipe, WrittenTrial,
        check::{join, quoted},
        schema::{Key, Shape, shape, values},
        without_effect,
    },
};
use indexmap::IndexMap;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};

/// A recipe that passed every check.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// The typed recipe.
    pub recipe: Recipe,
    /// Where each leaf came from, by dotted key. Leaves are all values but tables; an optional table
    /// that is absent is a leaf too.
    pub origins: BTreeMap<String, Origin>,
    /// The value of each leaf, by dotted key; null for what is optional and absent.
    pub leaves: BTreeMap<String, Value>,
    tables: BTreeMap<String, Place>,
    file: Source,
    trials: Arc<[WrittenTrial]>,
}

impl Resolved {
    pub(super) fn new(
        recipe: Recipe,
        origins: BTreeMap<String, Origin>,
        tables: BTreeMap<String, Place>,
        (file, trials): (Source, Arc<[WrittenTrial]>),
    ) -> Self {
        let json = serde_json::to_value(&recipe).expect("a recipe is plain data");
        let mut leaves = BTreeMap::new();
        flatten(&json, shape(), "", &mut leaves);
        Self { recipe, origins, leaves, tables, file, trials }
    }

    /// Where a leaf or a table is written; `None` when it is not.
    pub fn place(&self, key: &str) -> Option<Place> {
        self.origins.get(key).and_then(Origin::place).or_else(|| self.tables.get(key)).cloned()
    }

    /// Whether somebody wrote the value of a leaf.
    pub fn is_written(&self, key: &str) -> bool {
        self.origins.get(key).is_some_and(|origin| *origin != Origin::Default)
    }

    /// The recipe file, for faults about what is not written.
    pub(super) fn file(&self) -> &Source {
        &self.file
    }

    /// The tests that the file holds.
    pub fn trials(&self) -> &[WrittenTrial] {
        &self.trials
    }

    /// The whole recipe as TOML, every value with its origin in a comment. What is not set or has no
    /// effect is a comment altogether, so that the text passes the checks: read again, it is the
    /// same recipe, but for values without effect.
    pub fn to_toml(&self) -> String {
        self.to_toml_of_many(&[])
    }

    /// The same for what members of an experiment have in common: what varies is a comment too.
    pub fn to_toml_of_many(&self, varying: &[&str]) -> String {
        let inert = without_effect::find(self).map(|finding| (finding.key, "without effect"));
        let varying = varying.iter().map(|key| (*key, "varies"));
        let mut text = String::new();
        self.write_table("", shape(), &inert.chain(varying).collect(), &mut text);
        text.extend(self.trials.iter().map(|written| {
            let (place, name) = (written.place(""), quoted(&written.trial.name));
            let line = place.line_and_column().0;
            format!("\n# [[test]] {name}  # {}:{line}", quoted(&place.source.name))
        }));
        if !self.trials.is_empty() {
            text.push('\n');
        }
        text
    }

    fn write_table(
        &self,
        path: &str,
        keys: &IndexMap<String, Key>,
        inert: &BTreeMap<&str, &str>,
        text: &mut String,
    ) {
        let mut lines = Vec::new();
        let mut tables = Vec::new();
        for (name, key) in values(keys, path) {
            let path = join(path, name);
            let origin = self.origins.get(&path).map_or_else(String::new, Origin::to_string);
            let origin: String = origin.chars().flat_map(char::escape_debug).collect();
            match (self.leaves.get(&path), &key.shape) {
                (Some(Value::Null), _) => lines.push((format!("# {name} is not set"), origin)),
                (Some(value), _) if inert.contains_key(&*path) => {
                    let line = format!("# {name} = {}", to_toml(value));
                    lines.push((line, format!("{origin}, {}", inert[&*path])));
                }
                (Some(value), _) => lines.push((format!("{name} = {}", to_toml(value)), origin)),
                (None, Shape::Table(keys)) => tables.push((path, keys)),
                (None, _) => {}
            }
        }
        let separator = if text.is_empty() { "" } else { "\n" };
        if !path.is_empty() {
            text.extend([separator, "[", path, "]\n"]);
        }
        let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or(0).min(60);
        text.extend(lines.iter().map(|(line, origin)| format!("{line:width$}  # {origin}\n")));
        for (path, keys) in tables {
            self.write_table(&path, keys, inert, text);
        }
    }
}

fn flatten(
    json: &Value,
    keys: &IndexMap<String, Key>,
    path: &str,
    leaves: &mut BTreeMap<String, Value>,
) {
    for (name, key) in values(keys, path) {
        let path = join(path, name);
        match (&key.shape, &json[name]) {
            (Shape::Table(keys), inner @ Value::Object(_)) => flatten(inner, keys, &path, leaves),
            (_, value) => {
                leaves.insert(path, value.clone());
            }
        }
    }
}

/// A value in one line of TOML. JSON's strings and numbers are TOML's, except for one character.
pub fn to_toml(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let pairs: Vec<_> =
                map.iter().map(|(name, value)| format!("{name} = {}", to_toml(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(to_toml).collect::<Vec<_>>().join(", "))
        }
        Value::String(_) => value.to_string().replace('\u{7f}', "\\u007f"),
        _ => value.to_string(),
    }
}
