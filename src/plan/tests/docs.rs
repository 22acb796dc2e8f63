//! What people read of stages is what stages are.

use super::*;
use crate::recipe::{Prompts, PseudoAnswer, Reward, RewardModel, Select, Variation};

#[test]
fn ports_that_stages_have_are_those_that_are_told() {
    let mut mixed = with_control(with_method(Method::Continuous));
    mixed.data.labelled = 0.5;
    mixed.data.benchmarks = vec!["mathvista/testmini".into()];
    mixed.prompts = Prompts {
        variation: Variation::Mixed,
        pseudo_answer: Some(PseudoAnswer::Oracle),
        ..Prompts::default()
    };
    let mut process = quickstart();
    process.reward =
        Reward { model: RewardModel::Process, select: Select::Top(2), ..Reward::default() };
    let docs = stage_docs();
    let mut kinds = std::collections::BTreeSet::new();
    for recipe in [mixed, process, with_method(Method::Sft)] {
        for node in graph_of(&recipe).nodes() {
            let kind = node.stage.kind();
            let doc = docs.iter().find(|doc| doc.kind == kind).expect("every kind is told");
            for need in node.stage.needs() {
                let is_told = doc.reads.iter().any(|(port, _)| *port == need.port.name());
                assert!(is_told, "`{kind}` reads `{}`", need.port);
            }
            for (port, meaning) in &doc.reads {
                assert!(!meaning.is_empty(), "`{port}` is not documented");
            }
            kinds.insert(kind);
        }
    }
    for kind in
        ["agreement", "explore", "hide", "label", "overlap", "score", "select", "train-reward"]
    {
        assert!(kinds.contains(kind), "no `{kind}` in {kinds:?}");
    }
    let options = &docs.iter().find(|doc| doc.kind == "label").expect("it is a kind").options;
    assert!(options.iter().any(|(name, _)| name == "completions"));
}
