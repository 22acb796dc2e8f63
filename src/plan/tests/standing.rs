//! States with their reasons, and estimates.

use super::*;

/// What a store knows that has run a recipe.
fn after(recipe: &Recipe) -> Known {
    let graph = graph_of(recipe);
    Known { stored: keys(&graph), earlier: graph.nodes().map(EarlierStage::from).collect() }
}

fn standing(recipe: &Recipe, known: &Known, name: &str) -> (State, String) {
    let graph = graph_of(recipe);
    let index = graph.nodes().position(|node| node.name == name).unwrap();
    let standing = standings(&graph, known).swap_remove(index);
    (standing.state, standing.why)
}

#[test]
fn a_stage_is_new_until_it_is_stored() {
    let recipe = quickstart();
    let never = standing(&recipe, &Known::default(), "train 1");
    assert_eq!(never, (State::New, "never run".into()));
    let known = after(&recipe);
    assert!(standings(&graph_of(&recipe), &known).iter().all(|one| one.state == State::Stored));
    let lost = Known { stored: Default::default(), ..known };
    let lost = standing(&recipe, &lost, "train 1");
    assert_eq!(lost, (State::New, "planned before, not in the store".into()));
}

#[test]
fn a_stale_stage_names_the_field_and_those_after_it_name_the_stage() {
    let known = after(&quickstart());
    let mut colder = quickstart();
    colder.temperature.value = 0.5;
    let stale = |why: &str| (State::Stale, why.to_owned());
    let of = |name| standing(&colder, &known, name);
    assert_eq!(of("explore 1"), stale("`temperature` 1.0 -> 0.5"));
    assert_eq!(of("select 1"), stale("reads `explore 1`, which is stale"));
    assert_eq!(of("explore 2"), stale("`temperature` 1.0 -> 0.5"));
    assert_eq!(of("train 2"), stale("reads `select 2`, which is stale"));
    assert_eq!(of("warm-up train").0, State::Stored);

    let mut other = quickstart();
    other.training.optimizer.beta2 = 0.99;
    other.training.batch_size = 64;
    let why = "`batch_size` 32 -> 64, `optimizer.beta2` 0.95 -> 0.99";
    assert_eq!(standing(&other, &known, "warm-up train"), stale(why));
    other.seed = 1;
    let why = "`seed` changed";
    assert_eq!(standing(&other, &known, "warm-up explore"), stale(why));
}

#[test]
fn a_new_behaviour_makes_stale() {
    let mut known = after(&quickstart());
    let graph = graph_of(&quickstart());
    let at = graph.nodes().position(|node| node.name == "explore 1").unwrap();
    let old = crate::base::Key(crate::base::Digest::of(b"old"));
    known.earlier[at] = EarlierStage { key: old, behaviour: 0, ..known.earlier[at].clone() };
    known.stored.remove(&node(&graph, "explore 1").key);
    known.stored.insert(old);
    let (state, why) = standing(&quickstart(), &known, "explore 1");
    assert_eq!((state, why.as_str()), (State::Stale, "behaviour version 0 -> 1"));
}

#[test]
fn the_closest_earlier_form_gives_the_reason() {
    let mut near = quickstart();
    near.training.learning_rate = 2e-6;
    let mut known = after(&near);
    for seed in 1..20 {
        let mut far = quickstart();
        far.seed = seed;
        far.training.epochs = 3;
        let far = after(&far);
        known.stored.extend(far.stored);
        known.earlier.extend(far.earlier);
    }
    let (_, why) = standing(&quickstart(), &known, "warm-up train");
    assert_eq!(why, "`learning_rate` 2e-6 -> 1e-6");
}

fn estimate(recipe: &Recipe, measured: &Measured, name: &str) -> Estimate {
    let graph = graph_of(recipe);
    let index = graph.nodes().position(|node| node.name == name).unwrap();
    estimates(&graph, measured)[index]
}

#[test]
fn amounts_follow_the_recipe_and_the_assumption() {
    let mut recipe = with_control(quickstart());
    recipe.training.steps = 200;
    let of = |name| estimate(&recipe, &Measured::default(), name);
    assert_eq!(of("prepare").samples, Some(2600));
    // 1000 prompts, 4 samples each; half of the prompts give 2 each.
    assert_eq!(of("warm-up explore").samples, Some(4000));
    assert_eq!((of("warm-up train").samples, of("warm-up train").steps), (Some(1000), Some(32)));
    // 600 prompts, 16 samples each, half of them right: 4800 or 150 steps; the cap leaves 50.
    assert_eq!((of("train 1").samples, of("train 1").steps), (Some(4800), Some(150)));
    assert_eq!((of("train 2").samples, of("train 2").steps), (Some(1600), Some(50)));
    assert_eq!(of("control 2").steps, Some(50));
    assert_eq!((of("evaluate 1 test").samples, of("monitor 1").samples), (Some(1000), Some(3200)));
    assert_eq!((of("explore 1").tokens, of("explore 1").seconds), (None, None));
}

#[test]
fn time_and_size_come_from_what_was_measured() {
    let mut measured = Measured { solve_rate: Some(0.25), ..Measured::default() };
    measured.add("explore", 1000, 10.0, 50_000);
    measured.add("explore", 3000, 30.0, 150_000);
    measured.add("train", 640, 4.0, 1_000_000);
    let lengths = SourceFacts { prompt_tokens: 26.0, response_tokens: 20.0 };
    measured.sources.insert("builtin:mini-vista".into(), lengths);
    let of = |name| estimate(&quickstart(), &measured, name);
    let explore = Estimate {
        samples: Some(9600),
        tokens: Some(192_000),
        steps: None,
        seconds: Some(96.0),
        bytes: Some(480_000),
    };
    assert_eq!(of("explore 1"), explore);
    let train = Estimate {
        samples: Some(2400),
        tokens: Some(110_400),
        steps: Some(75),
        seconds: Some(15.0),
        bytes: Some(1_000_000),
    };
    assert_eq!(of("train 1"), train);
    assert_eq!(of("evaluate 1").seconds, None);
}
