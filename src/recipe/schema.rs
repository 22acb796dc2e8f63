//! The JSON Schema of a recipe, and the same thing in the form that the checks walk.
//!
//! Both are made of the types in `keys.rs`, once. A recipe that begins with the line
//! `#:schema ../schemas/recipe.json` is completed and checked by editors that know Taplo.

use crate::base::did_you_mean;
use crate::recipe::{
    Also, Lora, Policy, Pretraining, Recipe, Temperature, Thresholds, Trial, TrialCandidate,
};
use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Value, json};
use std::{fmt, sync::OnceLock};

/// The key that names the recipe below this one. It is taken out of the file before the layers are
/// merged, hence no field of [`Recipe`].
pub(super) const EXTENDS: &str = "extends";

/// The tables of tests, which are no field of [`Recipe`] either.
pub(super) const TEST: &str = "test";

/// Whether a key of the top level says something about its file, and no value of the recipe.
pub(super) fn is_of_file(key: &str) -> bool {
    key == EXTENDS || key == TEST
}

/// The JSON Schema (2020-12) of a recipe file, kept in `schemas/recipe.json`.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Recipe).to_value();
    schema["properties"][EXTENDS] = json!({
        "description": "A recipe, by its path from this one, whose values hold where this one says \
            nothing. It may not extend another.",
        "type": "string",
    });
    let mut trial = schemars::schema_for!(Trial).to_value();
    if let Some(parts) = trial["$defs"].take().as_object() {
        schema["$defs"].as_object_mut().expect("a recipe has tables").extend(parts.clone());
    }
    if let Some(fields) = trial.as_object_mut() {
        fields.retain(|name, _| !name.starts_with('$'));
    }
    let doc = trial["description"].take();
    schema["$defs"]["Trial"] = trial;
    schema["properties"][TEST] = json!({
        "description": doc,
        "type": "array",
        "items": { "$ref": "#/$defs/Trial" },
    });
    schema
}

/// The keys of the table at `path` that hold values of the recipe.
pub(super) fn values<'k>(
    keys: &'k IndexMap<String, Key>,
    path: &str,
) -> impl Iterator<Item = (&'k String, &'k Key)> {
    let is_top = path.is_empty();
    keys.iter().filter(move |(name, _)| !(is_top && is_of_file(name)))
}

/// What a value must look like.
#[derive(Debug)]
pub(super) enum Shape {
    Table(IndexMap<String, Key>),
    Integer(Range),
    Number(Range),
    Text,
    Boolean,
    List { item: Box<Self>, fewest: u64 },
    Union(Vec<Form>),
}

/// A key of a table.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) doc: String,
    pub(super) shape: Shape,
    /// The default; null where a value may be left out altogether.
    pub(super) default: Value,
}

/// Ends of a range, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Range {
    pub(super) least: Option<f64>,
    pub(super) most: Option<f64>,
}

/// One form of a choice: a bare name, or `{ name = payload }`.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) name: String,
    pub(super) doc: String,
    pub(super) payload: Option<Shape>,
}

/// The shape of a whole recipe.
pub(super) fn shape() -> &'static IndexMap<String, Key> {
    static SHAPE: OnceLock<IndexMap<String, Key>> = OnceLock::new();
    SHAPE.get_or_init(|| {
        let schema = schema();
        let mut keys = table(&schema, &schema);
        sort(&mut keys, &declared_order());
        // The file's own: what it extends stands at its top, and its tests at its end.
        if let Some(place) = keys.get_index_of(TEST) {
            keys.move_index(place, keys.len() - 1);
        }
        keys
    })
}

/// The key at a dotted path; `None` for what is no key, and for the recipe itself.
pub(super) fn key_at(path: &str) -> Option<&'static Key> {
    let mut segments = path.split('.');
    let mut key = shape().get(segments.next()?)?;
    for segment in segments {
        key = key.shape.keys()?.get(segment)?;
    }
    Some(key)
}

/// Every dotted key that has a value.
fn leaf_keys() -> &'static [String] {
    fn visit(keys: &IndexMap<String, Key>, path: &str, found: &mut Vec<String>) {
        for (name, key) in values(keys, path) {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match &key.shape {
                Shape::Table(keys) => visit(keys, &path, found),
                _ => found.push(path),
            }
        }
    }
    static KEYS: OnceLock<Vec<String>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let mut found = Vec::new();
        visit(shape(), "", &mut found);
        found
    })
}

/// The dotted key that somebody may have meant: one that is spelt like it, or ends like it.
pub fn nearest_key(written: &str) -> Option<&'static str> {
    let last = |key: &'static str| key.rsplit('.').next().unwrap_or(key);
    let keys = || leaf_keys().iter().map(String::as_str);
    did_you_mean(written, keys()).or_else(|| {
        let ending = did_you_mean(written.rsplit('.').next()?, keys().map(last))?;
        keys().find(|key| last(key) == ending)
    })
}

impl Key {
    /// Whether the value may be left out altogether.
    pub(super) fn is_optional(&self) -> bool {
        self.default.is_null()
    }
}

impl Shape {
    /// The keys of a table, or of each table in a list of them.
    pub(super) fn keys(&self) -> Option<&IndexMap<String, Key>> {
        match self {
            Self::Table(keys) => Some(keys),
            Self::List { item, .. } => item.keys(),
            _ => None,
        }
    }

    fn keys_mut(&mut self) -> Option<&mut IndexMap<String, Key>> {
        match self {
            Self::Table(keys) => Some(keys),
            Self::List { item, .. } => item.keys_mut(),
            _ => None,
        }
    }

    /// What people call it, with its article.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Table(_) => "a table",
            Self::Integer(_) => "a whole number",
            Self::Number(_) => "a number",
            Self::Text => "a string",
            Self::Boolean => "true or false",
            Self::List { .. } => "a list",
            Self::Union(_) => "one of its forms",
        }
    }

    /// What may be written, such as `a number from 0.0 to 1.0`.
    pub(super) fn description(&self) -> String {
        match self {
            Self::Integer(range) | Self::Number(range) => format!("{}{range}", self.kind()),
            Self::List { item, fewest } => {
                let fewest =
                    if *fewest > 0 { format!(", at least {fewest}") } else { String::new() };
                let inner = item.description();
                let inner = inner.strip_prefix("a ").unwrap_or(&inner);
                match **item {
                    Self::Table(_) => "tables, as many as there are".to_owned(),
                    Self::Union(_) => format!("a list of {inner}{fewest}"),
                    Self::Text => format!("a list of strings{fewest}"),
                    _ => format!("a list, each {inner}{fewest}"),
                }
            }
            Self::Union(forms) => listed(forms.iter().map(Form::written), "or"),
            _ => self.kind().to_owned(),
        }
    }
}

impl Form {
    /// How the form is written.
    pub(super) fn written(&self) -> String {
        let name = &self.name;
        match &self.payload {
            None => format!("`\"{name}\"`"),
            Some(Shape::Integer(_)) => format!("`{{ {name} = K }}`"),
            Some(_) => format!("`{{ {name} = X }}`"),
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.least, self.most) {
            (Some(least), Some(most)) if least == most => write!(f, ", always {least}"),
            // The ends of the machine's own integers help nobody.
            (Some(least), Some(most)) if most < MACHINE_LIMIT => {
                write!(f, " from {least} to {most}")
            }
            (Some(least), _) => write!(f, ", {least} or more"),
            (None, Some(most)) => write!(f, ", {most} or less"),
            (None, None) => Ok(()),
        }
    }
}

const MACHINE_LIMIT: f64 = u32::MAX as f64;

/// Writes `a`, `a or b`, `a, b or c`.
pub(super) fn listed(items: impl IntoIterator<Item = String>, last: &str) -> String {
    let mut items: Vec<String> = items.into_iter().collect();
    match (items.pop(), items.is_empty()) {
        (None, _) => String::new(),
        (Some(only), true) => only,
        (Some(end), false) => format!("{} {last} {end}", items.join(", ")),
    }
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyDoc {
    /// The dotted key.
    pub key: String,
    /// What it means.
    pub doc: String,
    /// What may be written, range included.
    pub takes: String,
    /// What holds when nothing is written; null for optional keys, and for tables.
    pub default: Value,
    /// Choices with their meaning, or the keys of a table with theirs.
    pub parts: Vec<(String, String)>,
}

/// What is known of a dotted key such as `training.interval`, or of a whole recipe when the key is
/// empty; `None` for what is no key.
pub fn explain(key: &str) -> Option<KeyDoc> {
    if key.is_empty() {
        let parts = shape().iter().map(|(name, key)| (name.clone(), key.doc.clone()));
        return Some(KeyDoc {
            key: String::new(),
            doc: "The keys and tables of a recipe.".to_owned(),
            takes: String::new(),
            default: Value::Null,
            parts: parts.collect(),
        });
    }
    let found = key_at(key)?;
    let parts = match &found.shape {
        Shape::Union(forms) => {
            forms.iter().map(|form| (form.written(), form.doc.clone())).collect()
        }
        shape => {
            let keys = shape.keys().into_iter().flatten();
            keys.map(|(name, key)| (name.clone(), key.doc.clone())).collect()
        }
    };
    let default = match found.shape {
        Shape::Table(_) => Value::Null,
        _ => found.default.clone(),
    };
    Some(KeyDoc {
        key: key.to_owned(),
        doc: found.doc.clone(),
        takes: found.shape.description(),
        default,
        parts,
    })
}

fn table(schema: &Value, root: &Value) -> IndexMap<String, Key> {
    let properties = schema["properties"].as_object();
    properties
        .into_iter()
        .flatten()
        .map(|(name, property)| {
            let doc = property["description"].as_str().unwrap_or_default().replace('\n', " ");
            let default = property["default"].clone();
            (name.clone(), Key { doc, shape: compile(property, root), default })
        })
        .collect()
}

/// Makes a shape of the part of JSON Schema that schemars writes for the types of `keys.rs`.
fn compile(schema: &Value, root: &Value) -> Shape {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(reference.trim_start_matches('#'));
        return compile(target.expect("schemars defines what it refers to"), root);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let something = choices.iter().find(|choice| choice["type"] != "null");
        return compile(something.expect("an optional value is more than null"), root);
    }
    if let Some(forms) = schema["oneOf"].as_array() {
        return Shape::Union(forms.iter().map(|choice| form(choice, root)).collect());
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find_map(|kind| kind.as_str().filter(|k| *k != "null")),
        kind => kind.as_str(),
    };
    match kind.expect("every other schema has a type") {
        "object" => Shape::Table(table(schema, root)),
        "integer" => Shape::Integer(range(schema)),
        "number" => Shape::Number(range(schema)),
        "string" => Shape::Text,
        "boolean" => Shape::Boolean,
        "array" => Shape::List {
            item: Box::new(compile(&schema["items"], root)),
            fewest: schema["minItems"].as_u64().unwrap_or(0),
        },
        other => unreachable!("no key of a recipe is of the type {other}"),
    }
}

fn form(schema: &Value, root: &Value) -> Form {
    let doc = schema["description"].as_str().unwrap_or_default().replace('\n', " ");
    let (name, payload) = match (schema["const"].as_str(), schema["properties"].as_object()) {
        (Some(name), _) => (name.to_owned(), None),
        (None, Some(properties)) => {
            let (name, payload) = properties.iter().next().expect("a form has a name");
            (name.clone(), Some(compile(payload, root)))
        }
        (None, None) => unreachable!("enums are written with external tags"),
    };
    Form { name, doc, payload }
}

fn range(schema: &Value) -> Range {
    let machine = match schema["format"].as_str() {
        Some("uint32") => Some(f64::from(u32::MAX)),
        Some("uint64") => Some(u64::MAX as f64),
        _ => None,
    };
    Range { least: schema["minimum"].as_f64(), most: schema["maximum"].as_f64().or(machine) }
}

/// Keys in the order of their declaration, which JSON objects in memory forget but JSON text keeps.
#[derive(Default)]
struct Order(IndexMap<String, Self>);

fn declared_order() -> Order {
    let complete = Recipe {
        policy: Policy { lora: Some(Lora::default()), ..Policy::default() },
        pretraining: Some(Pretraining::default()),
        temperature: Temperature {
            also: Also { threshold: Some(Thresholds::default()), ..Also::default() },
            ..Temperature::default()
        },
        ..Recipe::default()
    };
    let order = |text: serde_json::Result<String>| -> Order {
        let text = text.expect("a recipe is plain data");
        serde_json::from_str(&text).expect("it was just written")
    };
    let mut declared = order(serde_json::to_string(&complete));
    let mut trial = order(serde_json::to_string(&Trial::default()));
    let candidate = order(serde_json::to_string(&TrialCandidate::default()));
    trial.0.insert("candidate".to_owned(), candidate);
    declared.0.insert(TEST.to_owned(), trial);
    declared
}

fn sort(keys: &mut IndexMap<String, Key>, order: &Order) {
    keys.sort_by_key(|name, _| order.0.get_index_of(name));
    for (name, key) in keys {
        if let (Some(inner), Some(order)) = (key.shape.keys_mut(), order.0.get(name)) {
            sort(inner, order);
        }
    }
}

impl<'de> Deserialize<'de> for Order {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OrderVisitor)
    }
}

struct OrderVisitor;

impl<'de> de::Visitor<'de> for OrderVisitor {
    type Value = Order;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Order, A::Error> {
        let mut order = Order::default();
        while let Some((name, inner)) = map.next_entry()? {
            order.0.insert(name, inner);
        }
        Ok(order)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Order, A::Error> {
        while items.next_element::<de::IgnoredAny>()?.is_some() {}
        Ok(Order::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Order, E> {
        Ok(Order::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Order, E> {
        Ok(Order::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Order, E> {
        Ok(Order::default())
    }

    fn visit_str<E>(self, _: &str) -> Result<Order, E> {
        Ok(Order::default())
    }

    fn visit_unit<E>(self) -> Result<Order, E> {
        Ok(Order::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checked_in_schema_is_the_schema() {
        let kept: Value = serde_json::from_str(include_str!("../../schemas/recipe.json")).unwrap();
        assert!(
            kept == schema(),
            "`schemas/recipe.json` is out of date: run `mstar schema > schemas/recipe.json`"
        );
    }

    #[test]
    fn keys_are_in_the_order_of_their_declaration() {
        let names: Vec<_> = shape().keys().take(5).collect();
        assert_eq!(names, [EXTENDS, "format", "name", "description", "seed"]);
        let Shape::Table(training) = &shape()["training"].shape else { panic!() };
        assert_eq!(training.keys().next().unwrap(), "method");
        let Shape::Table(lora) = &key_at("policy.lora").unwrap().shape else { panic!() };
        assert_eq!(lora.keys().next().unwrap(), "rank");
    }

    #[test]
    fn keys_explain_themselves() {
        let doc = explain("training.interval").unwrap();
        assert_eq!(doc.takes, "a number from 0.0001 to 1");
        assert_eq!(doc.default, json!(0.25));
        assert!(doc.doc.starts_with("Share of the labelled prompts"));
        assert_eq!(explain("seed").unwrap().takes, "a whole number, 0 or more");
        assert_eq!(
            explain("reward.select").unwrap().takes,
            "`\"all\"`, `{ top = K }`, `{ random = K }` or `{ above = X }`"
        );
        assert_eq!(explain("training").unwrap().parts[0].0, "method");
        assert_eq!(
            explain("policy.train").unwrap().takes,
            "a list of `\"vision\"`, `\"projector\"` or `\"language\"`, at least 1"
        );
        assert_eq!(explain("policy.lora.rank").unwrap().default, json!(16));
        assert_eq!(explain("").unwrap().parts.len(), shape().len());
        for nothing in ["training.", "training.intervall", "seed.x", "reward.select.top"] {
            assert_eq!(explain(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn every_key_has_a_doc() {
        fn visit(keys: &IndexMap<String, Key>, prefix: &str) {
            for (name, key) in keys {
                assert!(!key.doc.is_empty(), "{prefix}{name} has no doc");
                if let Shape::Table(inner) = &key.shape {
                    visit(inner, &format!("{prefix}{name}."));
                }
            }
        }
        visit(shape(), "");
    }
}
