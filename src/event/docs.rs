//! What people read of each event: the documentation of its type and of its fields.

use super::Event;
use schemars::schema_for;
use serde_json::Value;

/// An event for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventDoc {
    /// Such as `stage-finished`.
    pub name: String,
    /// What it says.
    pub means: String,
    /// Its fields, each with what it means.
    pub fields: Vec<(String, String)>,
}

/// Every event, in the order of [`Event`].
pub fn event_docs() -> Vec<EventDoc> {
    let schema = schema_for!(Event).to_value();
    let variants = schema["oneOf"].as_array().into_iter().flatten();
    variants.filter_map(doc).collect()
}

fn doc(variant: &Value) -> Option<EventDoc> {
    let fields = variant["properties"].as_object()?;
    let name = fields.get("event")?["const"].as_str()?.to_owned();
    let own = fields.iter().filter(|(name, _)| *name != "event");
    let fields = own.map(|(name, field)| (name.clone(), words(field))).collect();
    Some(EventDoc { name, means: words(variant), fields })
}

/// What the documentation says, on one line.
fn words(value: &Value) -> String {
    let text = value["description"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
