//! What an early stop adds to the graph, and that nothing else changes for it.

use super::*;
use crate::recipe::EarlyStop;

fn stopping(iterations: u32, every: u32) -> Recipe {
    let recipe = with_control(quickstart());
    let stop = EarlyStop { patience: 2, ..EarlyStop::default() };
    let training = Training { iterations, interval: 0.125, stop, ..recipe.training };
    let evaluation = Evaluation { every, ..recipe.evaluation };
    Recipe { training, evaluation, ..recipe }
}

/// Name of what feeds a port of a stage.
fn fed<'a>(graph: &'a Graph, name: &str, port: Port) -> Option<&'a str> {
    let key = node(graph, name).inputs.get(&port)?;
    Some(graph.get(*key).unwrap().name.as_str())
}

#[test]
fn a_stop_follows_each_evaluation_but_the_last_and_whatever_comes_later_reads_it() {
    let graph = graph_of(&stopping(5, 2));
    assert_eq!(graph.check(), Ok(()));
    let stops = graph.nodes().filter(|node| node.stage.kind() == "stop");
    let names: Vec<&str> = stops.map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["stop start", "stop 2", "stop 4"]);
    assert_eq!(fed(&graph, "stop 2", Port::Stop), Some("stop start"));
    assert_eq!(fed(&graph, "stop 4", Port::Stop), Some("stop 2"));
    assert_eq!(fed(&graph, "stop 4", Port::Evaluated), Some("evaluate 4"));
    assert_eq!(fed(&graph, "stop 4", Port::Monitored), Some("monitor 4"));
    assert_eq!(fed(&graph, "stop 4", Port::Rollouts), Some("explore 4"));
    for (name, stop) in [
        ("explore 2", None),
        ("evaluate 2 test", None),
        ("explore 3", Some("stop 2")),
        ("train 4", Some("stop 2")),
        ("evaluate 4", Some("stop 2")),
        ("select 5", Some("stop 4")),
        ("monitor 5", Some("stop 4")),
        ("control 2", None),
        ("control 3", Some("stop 2")),
        ("evaluate control 5", Some("stop 4")),
    ] {
        assert_eq!(fed(&graph, name, Port::Stop), stop, "{name}");
    }
    // The policy that stays comes from the iteration before, whatever the training starts from.
    assert_eq!(fed(&graph, "train 3", Port::After), Some("train 2"));
    assert_eq!(fed(&graph, "control 3", Port::After), Some("control 2"));
    assert_eq!(fed(&graph, "train 2", Port::After), None);
}

#[test]
fn what_comes_before_the_first_stop_stays_and_a_longer_run_continues_a_shorter_one() {
    let one = graph_of(&stopping(5, 1));
    let never = Recipe {
        training: Training { stop: EarlyStop::default(), ..stopping(5, 1).training },
        ..stopping(5, 1)
    };
    let other = graph_of(&never);
    assert!(other.nodes().all(|node| !node.inputs.contains_key(&Port::Stop)));
    let same = |name: &str| node(&one, name).key == node(&other, name).key;
    assert!(["evaluate warm-up", "train 1", "evaluate 1 test", "monitor 1"].into_iter().all(same));
    assert!(!same("explore 2"));
    assert!(keys(&graph_of(&stopping(3, 1))).is_subset(&keys(&one)));
}

#[test]
fn demonstrations_of_a_control_are_made_wherever_the_evolution_ends() {
    let mut recipe = stopping(5, 1);
    recipe.control.data = crate::recipe::ControlData::Demonstrations;
    let graph = graph_of(&recipe);
    assert_eq!(fed(&graph, "control 1", Port::Prompts), Some("prepare demonstrations"));
    assert!(node(&graph, "prepare demonstrations").inputs.is_empty());
    assert_eq!(fed(&graph, "control 1", Port::Stop), None);
}

#[test]
fn quoting_the_best_is_in_the_graph_and_in_no_key() {
    let mut best = quickstart();
    best.evaluation.quote = crate::recipe::Quote::Best;
    let (best, last) = (graph_of(&best), graph_of(&quickstart()));
    assert_eq!(keys(&best), keys(&last));
    assert!(best.best().contains("only") && last.best().is_empty());
    let text = serde_json::to_string(&best).unwrap();
    assert_eq!(serde_json::from_str::<Graph>(&text).unwrap(), best);
    assert!(!serde_json::to_string(&last).unwrap().contains("best"));
}
