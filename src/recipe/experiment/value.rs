//! Values of axes as the leaves of a recipe.

use crate::recipe::{
    schema::Shape,
    tree::{Node, Tree},
};
use serde_json::Value;

/// A checked value as the recipe would serialise it: `1` for a key that takes any number is `1.0`.
pub(super) fn leaf(tree: &Tree, shape: &Shape) -> Value {
    match (&tree.node, shape) {
        (Node::Integer(number), Shape::Number(_)) => (*number as f64).into(),
        (Node::Integer(number), _) => u64::try_from(*number)
            .map(Value::from)
            .or_else(|_| i64::try_from(*number).map(Value::from))
            .unwrap_or(Value::Null),
        (Node::Float(number), _) => (*number).into(),
        (Node::Text(text), _) => text.as_str().into(),
        (Node::Boolean(truth), _) => (*truth).into(),
        (Node::Datetime, _) => Value::Null,
        (Node::List(items), Shape::List { item, .. }) => {
            items.iter().map(|value| leaf(value, item)).collect()
        }
        (Node::Table(entries), Shape::Union(forms)) => {
            let payload =
                |name: &str| forms.iter().find(|form| form.name == name)?.payload.as_ref();
            let pairs = entries.iter().filter_map(|(name, entry)| {
                Some((name.clone(), leaf(&entry.value, payload(name)?)))
            });
            Value::Object(pairs.collect())
        }
        (Node::List(_) | Node::Table(_), _) => Value::Null,
    }
}
