//! From which key of the recipe an option comes.

use super::keys::{WITHOUT_EFFECT, bases, changed, leaves};
use super::*;
use crate::plan::stage::{Beside, Origin};
use std::collections::BTreeSet;

#[test]
fn every_option_of_every_kind_comes_from_a_key_or_from_its_place() {
    let mut kinds = BTreeSet::new();
    for base in bases() {
        for node in graph_of(&base).nodes() {
            kinds.insert(node.stage.kind());
            let mut options = Vec::new();
            leaves(&node.stage.identity(), "", &mut options);
            for option in options {
                let option = option[1..].replace('/', ".");
                for beside in [
                    Beside::default(),
                    Beside { prompts: true, labelled: false },
                    Beside { prompts: true, labelled: true },
                ] {
                    let origin = node.stage.origin(node.role.branch, &option, beside);
                    let at = format!("{} of `{}`", option, node.name);
                    match origin.unwrap_or_else(|| panic!("{at} comes from nowhere")) {
                        Origin::Place => {}
                        Origin::Value(keys) | Origin::Computed(keys) => {
                            assert!(!keys.is_empty());
                            for key in keys {
                                assert!(crate::recipe::explain(&key).is_some(), "{key}, for {at}");
                            }
                        }
                    }
                }
            }
        }
    }
    assert_eq!(kinds.len(), 17, "{kinds:?}");
}

/// Keys that change which stages there are and how they are connected, and one that says which of
/// two other keys has an effect.
const OF_THE_GRAPH: [&str; 13] = [
    "data.benchmarks",
    "policy.features",
    "exploration.rationalise",
    "temperature.mode",
    "temperature.every",
    "reward.training.from",
    "reward.training.refresh_every",
    "training.iterations",
    "training.method",
    "warmup.enabled",
    "evaluation.every",
    "control.equal_steps",
    "control.data",
];

#[test]
fn a_changed_key_is_named_by_a_reason() {
    let mut named = BTreeSet::new();
    let mut tried = BTreeSet::new();
    for base in bases() {
        let before = graph_of(&base);
        let known = Known {
            stored: keys(&before),
            earlier: before.nodes().map(EarlierStage::from).collect(),
            ..Known::default()
        };
        let mut pointers = Vec::new();
        leaves(&serde_json::to_value(&base).unwrap(), "", &mut pointers);
        for pointer in pointers {
            let Some(other) = changed(&base, &pointer) else { continue };
            let path = pointer[1..].replace('/', ".");
            let graph = graph_of(&other);
            for standing in standings(&graph, &known) {
                let Why::Changed { changes, .. } = standing.why else { continue };
                let is_it = |key: &String| path == *key || path.starts_with(&format!("{key}."));
                if changes.iter().any(|change| change.keys.iter().any(is_it)) {
                    named.insert(path.clone());
                }
            }
            tried.insert(path);
        }
    }
    for path in tried {
        let within = |other: &str| path == other || path.starts_with(&format!("{other}."));
        let is_excused = WITHOUT_EFFECT.iter().any(|(other, _)| within(other))
            || OF_THE_GRAPH.iter().any(|other| within(other));
        assert!(named.contains(&path) || is_excused, "no reason names `{path}`");
    }
}
