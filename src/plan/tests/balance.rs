//! Where a balanced temperature comes from, and who reads it.

use super::*;
use crate::recipe::{Candidates, Maximise, RewardModel, Temperature, TemperatureMode};

fn balanced(maximise: Maximise) -> Recipe {
    let candidates = Candidates { from: 0.5, to: 1.0, step: 0.25 };
    let temperature = Temperature {
        mode: TemperatureMode::Balanced,
        value: 0.8,
        maximise: Some(maximise),
        candidates,
        every: 2,
        samples: 4,
        prompts: 100,
        ..Temperature::default()
    };
    let recipe = quickstart();
    let training = Training { iterations: 5, interval: 0.125, ..recipe.training };
    Recipe { temperature, training, ..recipe }
}

/// Name of what feeds a port of a stage.
fn fed<'a>(graph: &'a Graph, name: &str, port: Port) -> Option<&'a str> {
    let key = node(graph, name).inputs.get(&port)?;
    Some(graph.get(*key).unwrap().name.as_str())
}

#[test]
fn every_second_iteration_searches_with_the_policy_before_it() {
    let graph = graph_of(&balanced(Maximise::Pass(4)));
    let drawn_at = (1..=5)
        .map(|iteration| fed(&graph, &format!("explore {iteration}"), Port::Temperature).unwrap());
    let expected = ["balance 1", "balance 1", "balance 3", "balance 3", "balance 5"];
    assert_eq!(drawn_at.collect::<Vec<_>>(), expected);
    assert_eq!(fed(&graph, "balance 3", Port::Search), Some("search 3"));
    assert_eq!(fed(&graph, "balance 3", Port::Temperature), Some("balance 1"));
    assert_eq!(fed(&graph, "balance 1", Port::Temperature), None);
    assert_eq!(fed(&graph, "search 1", Port::Policy), Some("warm-up train"));
    assert_eq!(fed(&graph, "search 3", Port::Policy), Some("train 2"));
    assert_eq!(fed(&graph, "warm-up explore", Port::Temperature), None);
    let Stage::Monitor(search) = &node(&graph, "search 3").stage else { panic!("it monitors") };
    assert_eq!((search.temperature, search.temperatures.as_slice()), (0.5, &[0.75, 1.0][..]));
    assert_eq!((search.samples, search.prompts), (4, 100));
    let Stage::Balance(balance) = &node(&graph, "balance 3").stage else { panic!("it balances") };
    assert_eq!((balance.maximise, balance.initial), (Maximise::Pass(4), 0.8));
    assert_eq!(graph.check(), Ok(()));
}

#[test]
fn what_is_maximised_changes_the_choice_and_what_follows_but_not_the_first_search() {
    let one = graph_of(&balanced(Maximise::Pass(4)));
    let other = graph_of(&balanced(Maximise::Balance(4)));
    let same = |name: &str| node(&one, name).key == node(&other, name).key;
    assert!(["warm-up train", "search 1", "monitor warm-up"].into_iter().all(same));
    assert!(!["balance 1", "explore 1", "search 3"].into_iter().any(same));
}

#[test]
fn a_balance_leaves_the_ground_alone_and_a_longer_run_continues_a_shorter_one() {
    let graph = graph_of(&balanced(Maximise::Pass(4)));
    let fixed =
        graph_of(&Recipe { temperature: Temperature::default(), ..balanced(Maximise::Pass(4)) });
    let ground = |graph: &Graph| {
        let nodes = graph.nodes().filter(|node| node.role.branch == Branch::Ground);
        nodes.map(|node| node.key).collect::<Vec<_>>()
    };
    assert_eq!(ground(&graph), ground(&fixed));
    let mut shorter = balanced(Maximise::Pass(4));
    shorter.training.iterations = 3;
    assert!(keys(&graph_of(&shorter)).is_subset(&keys(&graph)));
}

#[test]
fn only_an_objective_that_ranks_reads_the_reward_model() {
    let searches = |maximise| {
        let mut recipe = balanced(maximise);
        recipe.reward.model = RewardModel::Process;
        let graph = graph_of(&recipe);
        let Stage::Monitor(search) = &node(&graph, "search 1").stage else { panic!("it monitors") };
        (fed(&graph, "search 1", Port::RewardModel).is_some(), search.score.is_some())
    };
    assert_eq!(searches(Maximise::RewardPass(2)), (true, true));
    assert_eq!(searches(Maximise::Balance(2)), (true, true));
    assert_eq!(searches(Maximise::Pass(2)), (false, false));
}
