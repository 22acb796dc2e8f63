//! The JSON Schema of an experiment file, made of the recipe's: each axis takes a list of what its
//! key takes.

use super::MEMBER;
use crate::recipe::schema::{Key, Shape, schema, shape};
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

/// The JSON Schema (2020-12) of an experiment file, kept in `schemas/experiment.json`.
pub fn experiment_schema() -> Value {
    let recipe = schema();
    let mut keys = Vec::new();
    leaves(shape(), &recipe, &recipe, "", &mut keys);
    let lists = keys.iter().map(|(key, _)| {
        let item = json!({ "$ref": format!("#/$defs/values/properties/{key}") });
        (key.clone(), json!({ "type": "array", "items": item, "minItems": 1 }))
    });
    let lists: Map<String, Value> = lists.collect();
    let mut defs = recipe["$defs"].clone();
    if let Some(defs) = defs.as_object_mut() {
        // Tests belong to the recipe that holds them.
        for of_tests in ["Trial", "TrialCandidate", "Expectation"] {
            defs.remove(of_tests);
        }
    }
    let values: Map<String, Value> = keys.into_iter().collect();
    defs["values"] = json!({ "type": "object", "properties": values });
    defs["lists"] = json!({ "type": "object", "properties": lists });
    let names = json!({ "type": "array", "items": { "type": "string" } });
    let named = json!({
        "required": ["name"],
        "properties": { "name": { "description": "What the member is called.", "type": "string" } },
    });
    json!({
        "$schema": recipe["$schema"],
        "title": "Experiment",
        "description": "A base recipe and the axes along which its members differ.",
        "type": "object",
        "additionalProperties": false,
        "required": ["name"],
        "properties": {
            "format": { "description": "Version of the language; always 1.", "const": 1 },
            "name": { "description": "What people call the experiment.", "type": "string" },
            "description": { "description": "What it is for, in a sentence.", "type": "string" },
            "base": { "description": "The base recipe, by its path from this file.", "type": "string" },
            "set": {
                "description": "What holds for every member, over what the base says.",
                "$ref": "#/$defs/values",
            },
            "axis": {
                "description": "Keys and the values they take; all combinations are members.",
                "$ref": "#/$defs/lists",
            },
            "zip": {
                "description": "Keys whose values move together: lists of equal length.",
                "type": "array",
                "items": { "$ref": "#/$defs/lists" },
            },
            MEMBER: {
                "description": "A point with a name; crossed with the axes that it does not set.",
                "type": "array",
                "items": { "allOf": [{ "$ref": "#/$defs/values" }, named] },
            },
            "skip": {
                "description": "Members to leave out.",
                "type": "array",
                "items": {
                    "type": "object", "required": ["when"], "additionalProperties": false,
                    "properties": { "when": {
                        "description": "A Rhai expression over the resolved values.",
                        "type": "string",
                    } },
                },
            },
            "table": {
                "description": "How the report lays the members out.",
                "type": "object", "additionalProperties": false,
                "properties": {
                    "rows": names, "columns": names, "values": names,
                    "over": { "anyOf": [{ "type": "string" }, names] },
                    "baseline": {
                        "description": "The row that the others are compared with.",
                        "type": "string",
                    },
                },
            },
            "finding": {
                "description": "Claims that the report compares with the numbers.",
                "type": "array",
                "items": {
                    "type": "object", "additionalProperties": false,
                    "required": ["says", "metric", "higher", "than"],
                    "properties": {
                        "says": { "description": "The claim in words.", "type": "string" },
                        "metric": { "description": "Such as `test.accuracy`.", "type": "string" },
                        "higher": {
                            "description": "The row that is said to be higher.",
                            "type": "string",
                        },
                        "than": {
                            "description": "The row that it is compared with.",
                            "type": "string",
                        },
                        "than_metric": {
                            "description": "The metric of that row, where it is another.",
                            "type": "string",
                        },
                    },
                },
            },
        },
        "$defs": defs,
    })
}

/// Every dotted key with the schema of its value.
fn leaves(
    keys: &IndexMap<String, Key>,
    root: &Value,
    node: &Value,
    path: &str,
    found: &mut Vec<(String, Value)>,
) {
    for (name, key) in keys {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let value = &resolve(root, node)["properties"][name];
        match &key.shape {
            Shape::Table(keys) => leaves(keys, root, value, &path, found),
            _ if super::read::why_fixed(&path).is_some() => {}
            _ => found.push((path, value.clone())),
        }
    }
}

/// Follows a reference, and takes the table out of what may also be null.
fn resolve<'v>(root: &'v Value, node: &'v Value) -> &'v Value {
    let node = node["anyOf"].get(0).unwrap_or(node);
    let path = node["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
    path.and_then(|path| root.pointer(path)).unwrap_or(node)
}
