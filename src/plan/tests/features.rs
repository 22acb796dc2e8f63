//! Stored features: one stage a split, read by whatever looks at its pictures and by nothing else.

use super::keys::stored;
use super::*;
use std::collections::BTreeSet;

#[test]
fn features_are_made_once_a_split_and_read_by_all_that_look() {
    let graph = graph_of(&stored());
    assert_eq!(graph.check(), Ok(()));
    let made: BTreeSet<&str> = graph
        .nodes()
        .filter(|node| node.stage.kind() == "features")
        .map(|node| node.name.as_str())
        .collect();
    let expected = [
        "features demonstrations",
        "features mathvista/testmini",
        "features test",
        "features train",
        "features validation",
    ];
    assert_eq!(made, expected.into());
    for node in graph.nodes() {
        let read = node.inputs.get(&Port::Features).map(|key| &graph.get(*key).unwrap().name[9..]);
        let expected = node.stage.looks_at().map(|split| {
            let is_benchmark = node.name.ends_with("mathvista");
            if is_benchmark { "mathvista/testmini" } else { split.name() }
        });
        assert_eq!(read, expected, "{}", node.name);
    }
    // Of which policy it is asked does not matter: the tower is that of the base model.
    let base = node(&graph, "import").key;
    let of_base = |node: &Node| node.inputs[&Port::Policy] == base;
    assert!(graph.nodes().filter(|node| node.stage.kind() == "features").all(of_base));
}

#[test]
fn what_reads_no_features_keeps_its_key() {
    let mut computed = stored();
    computed.policy.features = crate::recipe::Features::Computed;
    let (computed, stored) = (graph_of(&computed), graph_of(&stored()));
    for name in ["import", "prepare", "prepare demonstrations"] {
        assert_eq!(node(&computed, name).key, node(&stored, name).key);
    }
    assert!(computed.nodes().all(|node| !node.inputs.contains_key(&Port::Features)));
}

#[test]
fn features_are_estimated_by_what_earlier_ones_took() {
    let graph = graph_of(&stored());
    let mut measured = Measured::default();
    measured.add("features", 100, 50.0, 4_000_000);
    let estimates = estimates(&graph, &measured);
    let of = |name: &str| {
        let at = graph.nodes().position(|node| node.name == name).unwrap();
        (estimates[at].samples, estimates[at].seconds, estimates[at].bytes)
    };
    assert_eq!(of("features train"), (Some(1200), Some(600.0), Some(48_000_000)));
    assert_eq!(of("features validation").0, Some(400));
}
