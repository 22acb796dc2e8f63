//! Where a balanced temperature comes from, and who reads it.

use super::*;
use crate::recipe::{
    Also, Candidates, Maximise, RewardModel, SearchOn, Select, Temperature, TemperatureMode,
    Thresholds,
};

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

#[test]
fn knobs_are_crossed_and_only_what_reads_tokens_is_drawn_anew() {
    let mut recipe = balanced(Maximise::Balance(4));
    recipe.reward.model = RewardModel::Process;
    recipe.reward.select = Select::Above(0.5);
    recipe.exploration.min_p = 0.05;
    recipe.temperature.also = Also {
        top_p: vec![0.9, 1.0],
        samples: vec![2, 4],
        threshold: Some(Thresholds { from: 0.0, to: 1.0, step: 0.5 }),
        ..Also::default()
    };
    let graph = graph_of(&recipe);
    assert_eq!(graph.check(), Ok(()));
    let Stage::Monitor(search) = &node(&graph, "search 1").stage else { panic!("it monitors") };
    assert_eq!((search.draws().len(), search.keep_scores), (3 * 2, true));
    assert!(search.draws.iter().all(|drawn| drawn.min_p == 0.05), "what is not named stays");
    let Stage::Balance(balance) = &node(&graph, "balance 1").stage else { panic!("it balances") };
    let also = balance.also.as_ref().unwrap();
    assert_eq!(also.draws, search.draws);
    assert_eq!(also.candidates().len(), 3 * 2 * 2 * 3);
    assert_eq!(also.initial.knobs(), [0.8, 0.5, 1.0, 0.0, 0.05, 16.0]);
    assert_eq!(fed(&graph, "select 2", Port::Temperature), Some("balance 1"));

    // Other thresholds and counts need no other responses.
    let mut other = recipe.clone();
    other.temperature.also.threshold = Some(Thresholds { from: 0.2, to: 0.8, step: 0.2 });
    other.temperature.also.samples = vec![3];
    let other = graph_of(&other);
    assert_eq!(node(&graph, "search 1").key, node(&other, "search 1").key);
    assert_ne!(node(&graph, "balance 1").key, node(&other, "balance 1").key);
}

#[test]
fn scores_are_kept_where_more_than_a_temperature_is_chosen_by_them() {
    let keeps = |maximise, model, also: Also| {
        let mut recipe = balanced(maximise);
        recipe.reward.model = model;
        recipe.hooks.script = (model == RewardModel::Hook).then(|| "keep.rhai".to_owned());
        recipe.temperature.also = also;
        let graph = graph_of(&recipe);
        let Stage::Monitor(search) = &node(&graph, "search 1").stage else { panic!("it monitors") };
        search.keep_scores
    };
    let also = || Also { top_p: vec![0.9, 1.0], ..Also::default() };
    for model in [RewardModel::Process, RewardModel::Outcome, RewardModel::Hook] {
        assert!(keeps(Maximise::RewardPass(2), model, also()), "{model:?}");
        assert!(keeps(Maximise::Balance(2), model, also()), "{model:?}");
        assert!(!keeps(Maximise::Balance(2), model, Also::default()), "{model:?}");
        assert!(!keeps(Maximise::Pass(2), model, also()), "{model:?}: nothing is ranked");
    }
    assert!(!keeps(Maximise::Balance(2), RewardModel::Answer, also()), "nothing ranks");
}

#[test]
fn keys_of_searches_are_pinned() {
    let mut recipe = balanced(Maximise::Balance(4));
    recipe.reward.model = RewardModel::Process;
    recipe.reward.select = Select::Above(0.5);
    let threshold = Some(Thresholds { from: 0.0, to: 1.0, step: 0.5 });
    let also = Also { threshold, ..Also::default() };
    let keys = [Also::default(), also].map(|also| {
        recipe.temperature.also = also;
        node(&graph_of(&recipe), "search 1").key.short()
    });
    assert_eq!(keys, ["04f26033652e", "fbc54a516b42"]);
}

#[test]
fn a_search_on_training_prompts_asks_what_is_explored_next_with_its_noise() {
    let mut recipe = balanced(Maximise::Pass(4));
    recipe.temperature.search_on = SearchOn::Training;
    recipe.data.validation = 0;
    let graph = graph_of(&recipe);
    assert_eq!(graph.check(), Ok(()));
    let Stage::Monitor(search) = &node(&graph, "search 3").stage else { panic!("it monitors") };
    let Stage::Explore(explore) = &node(&graph, "explore 3").stage else { panic!("it explores") };
    let slice = search.slice.unwrap();
    assert_eq!((slice.from, slice.count), (explore.from, explore.count));
    assert_eq!((search.seed, search.draws()), (explore.seed, explore.searched.clone()));
    assert_eq!(fed(&graph, "explore 3", Port::Search), Some("search 3"));
    assert_eq!(fed(&graph, "explore 4", Port::Search), None);
    // What is taken over is not drawn again: 4 of 16 samples of 100 of 150 prompts.
    let position = graph.position(node(&graph, "explore 3").key).unwrap();
    let estimate = estimates(&graph, &Measured::default())[position];
    assert_eq!(estimate.samples, Some(150 * 16 - 100 * 4));
}
