//! Unlabelled prompts: when they join, what is hidden of them, and who may see it.

use super::keys::mixed;
use super::*;
use crate::recipe::PseudoAnswer;

fn with_answers(way: PseudoAnswer) -> Recipe {
    let mut recipe = mixed();
    recipe.prompts.pseudo_answer = Some(way);
    recipe
}

fn explored(graph: &Graph, iteration: u32) -> Vec<u64> {
    match &node(graph, &format!("explore {iteration}")).stage {
        Stage::Explore(options) => {
            (0..options.shards()).flat_map(|shard| options.shard(shard)).collect()
        }
        _ => unreachable!("it explores"),
    }
}

fn pseudo_answer(graph: &Graph, name: &str) -> Option<PseudoAnswer> {
    match &node(graph, name).stage {
        Stage::Select(options) => options.pseudo_answer,
        _ => unreachable!("it selects"),
    }
}

#[test]
fn slices_of_unlabelled_prompts_join_in_a_cycle_of_their_own() {
    let mut recipe = mixed();
    recipe.training.iterations = 6;
    recipe.training.interval = 0.5;
    let graph = graph_of(&recipe);
    assert_eq!(explored(&graph, 3), (0..300).collect::<Vec<_>>());
    let both = |labelled: u64, unlabelled: u64| {
        (labelled..labelled + 300).chain(unlabelled..unlabelled + 300).collect::<Vec<_>>()
    };
    assert_eq!(explored(&graph, 4), both(300, 600));
    assert_eq!(explored(&graph, 5), both(0, 900));
    assert_eq!(explored(&graph, 6), both(300, 600));
    let way = Some(PseudoAnswer::MajorityVote);
    let found: Vec<_> = (3..=6).map(|it| pseudo_answer(&graph, &format!("select {it}"))).collect();
    assert_eq!(found, [None, way, way, way]);
    assert_eq!(pseudo_answer(&graph, "warm-up select"), None);
    assert!(!graph.nodes().any(|node| node.name == "agreement 3"));
    assert_eq!(graph.check(), Ok(()));
}

#[test]
fn what_comes_before_the_mix_is_shared_with_labelled_prompts_alone() {
    let alone = Recipe { prompts: crate::recipe::Prompts::default(), ..mixed() };
    let (alone, mixed) = (graph_of(&alone), graph_of(&mixed()));
    let same = |name: &str| node(&alone, name).key == node(&mixed, name).key;
    assert!(["prepare", "warm-up train", "explore 2", "train 2"].into_iter().all(same));
    assert!(!["explore 3", "select 3", "train 3"].into_iter().any(same));
}

#[test]
fn hidden_answers_are_read_by_the_oracle_and_by_reports_alone() {
    for way in [PseudoAnswer::MajorityVote, PseudoAnswer::Oracle] {
        let graph = graph_of(&with_answers(way));
        let hidden = node(&graph, "hide").key;
        let readers: Vec<&str> = graph
            .nodes()
            .filter(|node| node.inputs.values().any(|key| *key == hidden))
            .map(|node| node.name.as_str())
            .collect();
        let expected = match way {
            PseudoAnswer::Oracle => &["select 3", "agreement 3", "select 4", "agreement 4"][..],
            _ => &["agreement 3", "agreement 4"],
        };
        assert_eq!(readers, expected);
        // Nothing depends on what is measured with them.
        let measured = node(&graph, "agreement 3").key;
        assert!(graph.nodes().all(|node| node.inputs.values().all(|key| *key != measured)));
    }
    let labelled = graph_of(&quickstart());
    assert!(!labelled.nodes().any(|node| node.stage.kind() == "hide"));
}

#[test]
fn a_graph_that_hands_hidden_answers_to_another_stage_is_refused() {
    let graph = graph_of(&mixed());
    let hidden = node(&graph, "hide").key.to_string();
    let altered = |name: &str, port: &str| {
        let mut tree = serde_json::to_value(&graph).unwrap();
        let nodes = tree["nodes"].as_array_mut().unwrap();
        // Hidden answers stand late in the order; that is not what is refused here.
        let at = nodes.iter().position(|node| node["name"] == "hide").unwrap();
        let hide = nodes.remove(at);
        nodes.insert(0, hide);
        let node = nodes.iter_mut().find(|node| node["name"] == name).unwrap();
        node["inputs"][port] = hidden.clone().into();
        serde_json::from_value::<Graph>(tree).unwrap().check().map_err(|error| error.to_string())
    };
    for name in ["explore 3", "select 3", "train 3", "evaluate 3", "monitor 3", "warm-up explore"] {
        assert_eq!(altered(name, "hidden"), Err(format!("stage `{name}` has no port `hidden`")));
        let as_prompts = altered(name, "prompts").unwrap_err();
        assert!(as_prompts.ends_with("cannot read its port `prompts` from a stage of kind `hide`"));
    }
    assert_eq!(altered("agreement 3", "hidden"), Ok(()));
}

#[test]
fn a_labelled_recipe_prepares_as_it_always_did() {
    let graph = graph_of(&quickstart());
    let options = node(&graph, "prepare").stage.identity();
    assert!(options.get("labelled").is_none(), "{options}");
    let half = graph_of(&Recipe { data: Data { labelled: 0.5, ..quickstart().data }, ..mixed() });
    assert_eq!(node(&half, "prepare").stage.identity()["labelled"], 600);
}
