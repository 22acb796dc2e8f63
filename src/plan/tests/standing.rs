//! States with their reasons, and estimates.

use super::*;

/// What a store knows that has run a recipe.
fn after(recipe: &Recipe) -> Known {
    let graph = graph_of(recipe);
    let earlier = graph.nodes().map(EarlierStage::from).collect();
    Known { stored: keys(&graph), earlier, ..Known::default() }
}

fn standing(recipe: &Recipe, known: &Known, name: &str) -> (State, String) {
    let graph = graph_of(recipe);
    let index = graph.nodes().position(|node| node.name == name).unwrap();
    let standing = standings(&graph, known).swap_remove(index);
    (standing.state, standing.why.sentence(&|_| None))
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
    assert_eq!(of("explore 1"), stale("`temperature.value` 1.0 -> 0.5"));
    assert_eq!(of("select 1"), stale("reads `explore 1`, which is stale"));
    assert_eq!(of("explore 2"), stale("`temperature.value` 1.0 -> 0.5"));
    assert_eq!(of("train 2"), stale("reads `select 2`, which is stale"));
    assert_eq!(of("warm-up train").0, State::Stored);

    let mut other = quickstart();
    other.training.optimizer.beta2 = 0.99;
    other.training.batch_size = 64;
    let why = "`training.batch_size` 32 -> 64, `training.optimizer.beta2` 0.95 -> 0.99";
    assert_eq!(standing(&other, &known, "warm-up train"), stale(why));
    other.seed = 1;
    let why = "`seed` changed";
    assert_eq!(standing(&other, &known, "warm-up explore"), stale(why));
}

#[test]
fn a_reason_names_the_place_where_somebody_wrote_the_value() {
    let known = after(&quickstart());
    let why = |change: &dyn Fn(&mut Recipe), name: &str, written: &[&str]| {
        let mut recipe = quickstart();
        change(&mut recipe);
        let graph = graph_of(&recipe);
        let written_at = |member: &str, key: &str| {
            assert_eq!(member, "only");
            let line = written.iter().position(|other| *other == key)?;
            Some(format!("b.toml:{}", line + 1))
        };
        let summary = MemberSummary { name: "only".into(), values: Default::default() };
        let outlook = Outlook::new(&graph, vec![summary], &known, &Measured::default())
            .with_places(&written_at);
        outlook.stages().find(|stage| stage.node.name == name).unwrap().why()
    };
    let colder = |recipe: &mut Recipe| recipe.temperature.value = 0.7;
    let written = why(&colder, "explore 2", &["seed", "temperature.value"]);
    assert_eq!(written, "`temperature.value` 1.0 -> 0.7 in `b.toml:2`");
    assert_eq!(why(&colder, "explore 2", &[]), "`temperature.value` 1.0 -> 0.7");
    let scheduled = |recipe: &mut Recipe| {
        recipe.temperature.mode = crate::recipe::TemperatureMode::Schedule;
        recipe.temperature.points = vec![1.0, 0.5];
    };
    let written = why(&scheduled, "explore 2", &["temperature.points"]);
    assert_eq!(written, "`temperature.points` 1.0 -> 0.5 in `b.toml:1`");
    let warmer = |recipe: &mut Recipe| recipe.warmup.temperature = 1.5;
    let written = why(&warmer, "warm-up explore", &["warmup.temperature"]);
    assert_eq!(written, "`warmup.temperature` 1.0 -> 1.5 in `b.toml:1`");
    let seeded = |recipe: &mut Recipe| recipe.seed = 3;
    assert_eq!(why(&seeded, "train 1", &["seed"]), "`seed` changed in `b.toml:1`");
    let more = |recipe: &mut Recipe| recipe.data.prompts = 1300;
    let written = why(&more, "explore 1", &["data.prompts"]);
    assert_eq!(written, "`count` 600 -> 650 by `data.prompts` in `b.toml:1`");
    let fewer = |recipe: &mut Recipe| recipe.data.labelled = 0.5;
    let written = why(&fewer, "explore 1", &["data.labelled", "data.prompts"]);
    assert_eq!(written, "`count` 600 -> 300 by `data.labelled` in `b.toml:1`");
    let finer = |recipe: &mut Recipe| recipe.training.interval = 0.25;
    let written = why(&finer, "explore 1", &["training.interval"]);
    assert_eq!(written, "`count` 600 -> 300 by `training.interval` in `b.toml:1`");
}

#[test]
fn a_reason_names_the_keys_whose_values_differ() {
    let table = |recipe: &Recipe| match serde_json::to_value(recipe) {
        Ok(serde_json::Value::Object(table)) => std::rc::Rc::new(table),
        other => panic!("{other:?}"),
    };
    let why = |change: &dyn Fn(&mut Recipe), name: &str| {
        let (before, mut now) = (quickstart(), quickstart());
        change(&mut now);
        let (ran, graph) = (graph_of(&before), graph_of(&now));
        let recipes = Recipes {
            before: ran.nodes().map(|node| (node.key, table(&before))).collect(),
            now: [("only".to_owned(), table(&now))].into(),
        };
        let known = Known { recipes, ..after(&before) };
        // A recipe of one's own says where everything is written, whether it was changed or not.
        let written_at = |_: &str, key: &str| Some(format!("b.toml:{}", key.len()));
        let summary = MemberSummary { name: "only".into(), values: Default::default() };
        let outlook = Outlook::new(&graph, vec![summary], &known, &Measured::default())
            .with_places(&written_at);
        outlook.stages().find(|stage| stage.node.name == name).unwrap().why()
    };
    let finer = |recipe: &mut Recipe| recipe.training.interval = 0.25;
    assert_eq!(
        why(&finer, "explore 1"),
        "`count` 600 -> 300 by `training.interval` in `b.toml:17`"
    );
    let fewer = |recipe: &mut Recipe| {
        recipe.warmup.prompts = 100;
        recipe.data.labelled = 0.5;
    };
    let told = why(&fewer, "warm-up explore");
    assert!(told.contains("by `data.labelled` in `b.toml:13` and `warmup.prompts` in"), "{told}");
    assert!(!told.contains("data.prompts"), "{told}");
    let both = |recipe: &mut Recipe| {
        recipe.training.interval = 0.25;
        recipe.data.prompts = 1300;
    };
    let told = why(&both, "explore 1");
    assert!(told.contains("`training.interval`"), "{told}");
    assert!(told.contains("`data.prompts`") && !told.contains("data.labelled"), "{told}");
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
    assert_eq!((state, why.as_str()), (State::Stale, "behaviour version 0 -> 2"));
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
    assert_eq!(why, "`training.learning_rate` 2e-6 -> 1e-6");
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
    // 1000 prompts, 4 samples each; half of the prompts give 2 each: 1000, in whole batches of 32.
    assert_eq!(of("warm-up explore").samples, Some(4000));
    assert_eq!((of("warm-up train").samples, of("warm-up train").steps), (Some(992), Some(31)));
    // 600 prompts, 16 samples each, half of them right: 4800 or 150 steps; the cap leaves 50.
    assert_eq!((of("train 1").samples, of("train 1").steps), (Some(4800), Some(150)));
    assert_eq!((of("train 2").samples, of("train 2").steps), (Some(1600), Some(50)));
    assert_eq!(of("control 2").steps, Some(50));
    assert_eq!((of("evaluate 1 test").samples, of("monitor 1").samples), (Some(1000), Some(3200)));
    // As long as they may be, where lengths are not known.
    assert_eq!((of("explore 1").tokens, of("explore 1").seconds), (Some(9600 * 1024), None));
}

#[test]
fn the_end_waits_for_the_longest_chain_and_for_every_worker() {
    let mut measured = Measured::default();
    measured.add("explore", 1000, 10.0, 0);
    measured.add("train", 1000, 10.0, 0);
    let mut recipe = quickstart();
    recipe.training.iterations = 1;
    let graph = graph_of(&recipe);
    let estimates = estimates(&graph, &measured);
    let seconds = |workers| elapsed(&graph, &estimates, |_| true, workers).unwrap();
    // 4000 and 9600 samples drawn, 992 and 4800 trained on, one after another.
    assert_eq!(seconds(1), 40.0 + 9.92 + 96.0 + 48.0);
    // Explorations have two shards each.
    assert_eq!(seconds(2), 20.0 + 9.92 + 48.0 + 48.0);
    assert_eq!(seconds(8), seconds(2));
    let is_left = |index| graph.nodes().nth(index).unwrap().name == "train 1";
    assert_eq!(elapsed(&graph, &estimates, is_left, 8), Some(48.0));
    assert_eq!(elapsed(&graph, &estimates, |_| false, 8), Some(0.0));
    let unknown = vec![Estimate::default(); graph.len()];
    assert_eq!(elapsed(&graph, &unknown, |_| true, 8), None);

    let seeds = |seed: u64| member(&seed.to_string(), Recipe { seed, ..recipe.clone() });
    let grid = lower(&(0..6).map(seeds).collect::<Vec<_>>(), &facts());
    let all = super::estimates(&grid, &measured);
    assert_eq!(elapsed(&grid, &all, |_| true, 2), Some(3.0 * seconds(1)));
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
