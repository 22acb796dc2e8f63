//! What each training method carries over (paper, Table 1).

use super::*;
use crate::recipe::ControlData;

/// The ports of a stage other than `prompts`, with the names of what feeds them.
fn inputs<'a>(graph: &'a Graph, name: &str) -> Vec<(&'static str, &'a str)> {
    let of = |key: &crate::base::Key| graph.get(*key).unwrap().name.as_str();
    let inputs = node(graph, name).inputs.iter();
    let inputs = inputs.filter(|(port, _)| **port != Port::Prompts);
    inputs.map(|(port, key)| (port.name(), of(key))).collect()
}

#[test]
fn methods_differ_in_what_they_carry_over() {
    let policy = |from| ("policy", from);
    let selected = ("selected", "select 2");
    let table = [
        (Method::IterativeRft, vec![policy("train 1"), selected]),
        (Method::RestEm, vec![policy("warm-up train"), selected]),
        (Method::Continuous, vec![policy("train 1"), ("optimizer", "train 1"), selected]),
    ];
    for (method, expected) in table {
        let graph = graph_of(&with_method(method));
        assert_eq!(inputs(&graph, "train 2"), expected, "{method:?}");
        assert_eq!(inputs(&graph, "explore 2"), [policy("train 1")], "{method:?}");
        assert_eq!(inputs(&graph, "warm-up train")[0], policy("import"), "{method:?}");
    }
}

/// First prompt and length of each iteration's slice.
fn slices(interval: f64, iterations: u32) -> Vec<(u64, u64)> {
    let mut recipe = with_method(Method::Continuous);
    recipe.data.labelled = 0.5;
    recipe.training.interval = interval;
    recipe.training.iterations = iterations;
    let graph = graph_of(&recipe);
    let of = |iteration: u32| match &node(&graph, &format!("explore {iteration}")).stage {
        Stage::Explore(options) => (options.from, options.count),
        _ => panic!("it explores"),
    };
    (1..=iterations).map(of).collect()
}

#[test]
fn intervals_of_the_paper_slice_the_labelled_prompts_in_order_and_in_a_cycle() {
    // 600 of 1200 prompts are labelled.
    assert_eq!(slices(1.0, 2), [(0, 600), (0, 600)]);
    assert_eq!(slices(0.5, 3), [(0, 300), (300, 300), (0, 300)]);
    assert_eq!(slices(0.25, 5), [(0, 150), (150, 150), (300, 150), (450, 150), (0, 150)]);
    let eighths = slices(0.125, 9);
    assert_eq!(eighths[7..], [(525, 75), (0, 75)]);
    // 37.5 prompts: every other slice holds one more, and a cycle holds each prompt once.
    let sixteenths = slices(0.0625, 17);
    assert_eq!(sixteenths[..3], [(0, 38), (38, 37), (75, 38)]);
    assert_eq!(sixteenths[..16].iter().map(|slice| slice.1).sum::<u64>(), 600);
    assert_eq!(sixteenths[16], (0, 38));
}

#[test]
fn supervised_training_starts_from_the_base_and_explores_nothing() {
    let graph = graph_of(&with_method(Method::Sft));
    assert_eq!(inputs(&graph, "train 1"), [("policy", "import")]);
    assert!(graph.nodes().all(|node| node.stage.kind() != "explore"));
    assert_eq!(inputs(&graph, "evaluate base"), [("policy", "import")]);
}

#[test]
fn the_optimizer_goes_on_from_the_warm_up_where_there_is_one() {
    let mut recipe = with_method(Method::Continuous);
    let graph = graph_of(&recipe);
    let expected =
        [("policy", "warm-up train"), ("optimizer", "warm-up train"), ("selected", "select 1")];
    assert_eq!(inputs(&graph, "train 1"), expected);
    recipe.warmup.enabled = false;
    let graph = graph_of(&recipe);
    assert_eq!(inputs(&graph, "train 1"), [("policy", "import"), ("selected", "select 1")]);
}

#[test]
fn a_control_repeats_the_steps_of_the_evolution_from_the_warmed_up_policy() {
    let mut recipe = with_control(with_method(Method::Continuous));
    let graph = graph_of(&recipe);
    let first = [
        ("policy", "warm-up train"),
        ("optimizer", "warm-up train"),
        ("selected", "warm-up select"),
        ("steps-of", "train 1"),
    ];
    assert_eq!(inputs(&graph, "control 1"), first);
    assert_eq!(inputs(&graph, "control 2")[0], ("policy", "control 1"));
    assert_eq!(inputs(&graph, "control 2")[3], ("steps-of", "train 2"));
    assert_eq!(inputs(&graph, "evaluate control 2"), [("policy", "control 2")]);
    recipe.control.data = ControlData::Demonstrations;
    let graph = graph_of(&recipe);
    let control = node(&graph, "control 1");
    let prompts = graph.get(control.inputs[&Port::Prompts]).unwrap();
    assert!(matches!(&prompts.stage, Stage::Prepare(options) if options.demonstrations == 600));
    assert!(!control.inputs.contains_key(&Port::Selected));
}

#[test]
fn a_cap_on_steps_counts_iterations_and_not_the_warm_up() {
    let mut recipe = with_method(Method::RestEm);
    recipe.training.steps = 100;
    let graph = graph_of(&recipe);
    assert_eq!(inputs(&graph, "train 1").last(), Some(&("selected", "select 1")));
    assert_eq!(inputs(&graph, "train 2").last(), Some(&("after", "train 1")));
}

#[test]
fn where_a_restart_has_nothing_to_do_the_policy_before_it_stays() {
    let mut recipe = with_control(with_method(Method::RestEm));
    recipe.training.allow_empty = true;
    let graph = graph_of(&recipe);
    assert_eq!(inputs(&graph, "train 2").last(), Some(&("after", "train 1")));
    assert_eq!(inputs(&graph, "control 2").last(), Some(&("after", "control 1")));
    recipe.training.method = Method::Continuous;
    assert_eq!(inputs(&graph_of(&recipe), "train 2").last(), Some(&("selected", "select 2")));
}

#[test]
fn a_control_is_measured_by_the_reward_model_of_its_iteration() {
    let mut recipe = with_control(quickstart());
    recipe.reward.model = crate::recipe::RewardModel::Process;
    recipe.reward.select = crate::recipe::Select::Top(2);
    recipe.reward.training.refresh_every = 1;
    recipe.evaluation.every = 1;
    let graph = graph_of(&recipe);
    for iteration in 1..=2 {
        let by = |name: String| node(&graph, &name).inputs[&Port::RewardModel];
        let control = by(format!("monitor control {iteration}"));
        assert_eq!(control, by(format!("monitor {iteration}")));
    }
}

#[test]
fn a_port_refuses_what_it_cannot_read() {
    let graph = graph_of(&quickstart());
    let mut tree = serde_json::to_value(&graph).unwrap();
    let select = node(&graph, "select 1").key.to_string();
    let nodes = tree["nodes"].as_array_mut().unwrap();
    let explore = nodes.iter_mut().find(|node| node["name"] == "explore 1").unwrap();
    explore["inputs"]["policy"] = select.into();
    let wrong: Graph = serde_json::from_value(tree).unwrap();
    let message = wrong.check().unwrap_err().to_string();
    assert_eq!(
        message,
        "stage `explore 1` cannot read its port `policy` from a stage of kind `select`"
    );
}

#[test]
fn a_graph_whose_stages_do_not_follow_their_inputs_is_refused() {
    let graph = graph_of(&quickstart());
    let mut tree = serde_json::to_value(&graph).unwrap();
    tree["nodes"].as_array_mut().unwrap().reverse();
    let wrong: Graph = serde_json::from_value(tree).unwrap();
    assert!(matches!(wrong.check(), Err(Mismatch::NotBefore { .. })));
}
