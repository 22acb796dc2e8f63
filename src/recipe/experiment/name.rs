//! Names of members: what they set, in a form that reads well and fits a shell's patterns.

use std::collections::{BTreeMap, BTreeSet};

/// Last segments of keys that say nothing without what stands before them.
const VAGUE: [&str; 11] =
    ["enabled", "every", "from", "kind", "mode", "model", "over", "script", "step", "to", "value"];

/// The shortest ending of each key that no other key shares and that says something, such as
/// `method` for `training.method` and `temperature.value`.
pub fn axis_labels<'k>(keys: &[&'k str]) -> BTreeMap<&'k str, &'k str> {
    let ending = |key: &'k str, segments: usize| {
        let mut dots = key.rmatch_indices('.').map(|(at, _)| at + 1);
        dots.nth(segments - 1).map_or(key, |start| &key[start..])
    };
    let is_alone = |key: &str, label: &str| {
        let shares = |other: &&&str| {
            **other != key && (**other == label || other.ends_with(&format!(".{label}")))
        };
        keys.iter().find(shares).is_none()
    };
    let label = |key: &'k str| {
        let mut endings = (1..=key.split('.').count()).map(|segments| ending(key, segments));
        endings.find(|label| is_alone(key, label) && !VAGUE.contains(label)).unwrap_or(key)
    };
    keys.iter().map(|key| (*key, label(key))).collect()
}

/// One part of a name, such as `method=sft`.
pub(super) fn part(label: &str, value: &serde_json::Value) -> String {
    format!("{label}={}", word(value))
}

/// A value as a word without spaces, quotes, commas or characters that a shell's pattern knows.
fn word(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::String(text) => plain(text),
        Value::Array(items) => items.iter().map(word).collect::<Vec<_>>().join("+"),
        Value::Object(entries) => {
            let parts =
                entries.iter().map(|(name, value)| format!("{}-{}", plain(name), word(value)));
            parts.collect::<Vec<_>>().join("+")
        }
        other => plain(&other.to_string()),
    }
}

fn plain(text: &str) -> String {
    let keep = |c: char| c.is_alphanumeric() || "._-+:/".contains(c);
    let text: String = text.chars().map(|c| if keep(c) { c } else { '-' }).take(60).collect();
    if text.is_empty() { "-".to_owned() } else { text }
}

/// Gives names that are there already a number.
pub(super) fn make_distinct(name: String, taken: &mut BTreeSet<String>) -> String {
    let mut distinct = name.clone();
    let mut number = 1;
    while !taken.insert(distinct.clone()) {
        number += 1;
        distinct = format!("{name}.{number}");
    }
    distinct
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn labels_are_as_short_as_they_can_be() {
        let keys = ["training.learning_rate", "reward.training.learning_rate", "seed", "data.seed"];
        let labels = axis_labels(&keys);
        let of = |key: &str| labels[key];
        assert_eq!(of("training.learning_rate"), "training.learning_rate");
        assert_eq!(of("reward.training.learning_rate"), "reward.training.learning_rate");
        assert_eq!(of("seed"), "seed");
        assert_eq!(of("data.seed"), "data.seed");
        let one = |key: &'static str| axis_labels(&[key])[key];
        assert_eq!(one("training.method"), "method");
        assert_eq!(one("temperature.value"), "temperature.value");
        assert_eq!(one("training.optimizer.kind"), "optimizer.kind");
    }

    #[test]
    fn values_are_words() {
        for (value, expected) in [
            (json!("iterative-rft"), "m=iterative-rft"),
            (json!(0.25), "m=0.25"),
            (json!({ "top": 2 }), "m=top-2"),
            (json!(["language", "vision"]), "m=language+vision"),
            (json!("a b*[c],d"), "m=a-b--c--d"),
            (json!(""), "m=-"),
        ] {
            assert_eq!(part("m", &value), expected);
        }
    }

    #[test]
    fn equal_names_are_numbered() {
        let mut taken = BTreeSet::new();
        let names = ["a", "a", "a.2"].map(|name| make_distinct(name.to_owned(), &mut taken));
        assert_eq!(names, ["a", "a.2", "a.2.2"]);
    }
}
