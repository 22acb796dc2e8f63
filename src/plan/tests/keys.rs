//! What enters a key, and what does not.

use super::*;
use crate::recipe::{
    Also, ControlData, Maximise, OptimizerKind, Part, Pretraining, Prompts, PseudoAnswer, Rates,
    RewardModel, Select, Supervision, TemperatureMode, Thresholds, Variation,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[test]
fn keys_are_pinned() {
    let graph = graph_of(&with_control(quickstart()));
    let pinned = [
        ("import", "aadf3ecd5258"),
        ("prepare", "980ebc95b10a"),
        ("warm-up explore", "5b24a86dfdc1"),
        ("warm-up select", "70b18c62f1a5"),
        ("warm-up train", "856b56c8547d"),
        ("explore 2", "2170b9222bb9"),
        ("train 2", "8243feb4780e"),
        ("control 2", "4ef9b098cae5"),
        ("evaluate 2 test", "bd1f47a5ef44"),
        ("monitor 2", "80e4f2121add"),
    ];
    let found = pinned.map(|(name, _)| (name, node(&graph, name).key.short()));
    let found: Vec<(&str, &str)> = found.iter().map(|(name, key)| (*name, key.as_str())).collect();
    assert_eq!(found, pinned);
}

/// Recipes that together use every key that some stage reads.
pub(super) fn bases() -> Vec<Recipe> {
    let mut full = with_control(quickstart());
    full.control.data = ControlData::Demonstrations;
    full.pretraining = Some(Pretraining::default());
    full.training.steps = 1000;
    full.training.optimizer.kind = OptimizerKind::Muon;
    full.training.optimizer.muon_learning_rate = 5e-3;
    full.reward.select = Select::Top(2);
    full.data.benchmarks = vec!["mathvista/testmini".into()];
    let mut scheduled = quickstart();
    scheduled.temperature.mode = TemperatureMode::Schedule;
    scheduled.temperature.points = vec![1.0, 0.5];
    scheduled.warmup.prompts = 0;
    let mut supervised = with_method(Method::Sft);
    supervised.training.supervision = Supervision::Solution;
    let mut taught = with_control(quickstart());
    taught.warmup.supervision = Some(Supervision::Answer);
    let mut adapted = quickstart();
    adapted.policy.lora = Some(crate::recipe::Lora { dropout: 0.1, ..Default::default() });
    adapted.hooks.script = Some("keep.rhai".into());
    let mut rates = quickstart();
    rates.training.rates =
        Rates { vision: Some(1e-6), projector: Some(1e-5), language: Some(1e-4) };
    let mut late = mixed();
    late.prompts.mix_at = Some(0.75);
    let mut files = mixed();
    files.data.source = "jsonl:rows.jsonl".into();
    files.data.prompts = 0;
    files.prompts.pseudo_answer = Some(PseudoAnswer::Oracle);
    let mut on_hub = quickstart();
    on_hub.policy.model = "org/model".into();
    let plain =
        [rewarded(), balanced(), knobs(), mixed(), late, adapted, rates, files, on_hub, stored()];
    [vec![full, scheduled, supervised, taught], plain.into()].concat()
}

/// With the features of a frozen vision tower kept.
pub(super) fn stored() -> Recipe {
    let mut stored = with_control(rewarded());
    stored.control.data = ControlData::Demonstrations;
    stored.policy.train = vec![Part::Projector, Part::Language];
    stored.policy.features = crate::recipe::Features::Stored;
    stored.data.benchmarks = vec!["mathvista/testmini".into()];
    stored
}

/// With a process reward model.
fn rewarded() -> Recipe {
    let mut rewarded = quickstart();
    rewarded.training.iterations = 3;
    rewarded.reward.model = RewardModel::Process;
    rewarded.reward.select = Select::Top(2);
    rewarded
}

/// With a temperature that is balanced by a reward model.
fn balanced() -> Recipe {
    let mut balanced = rewarded();
    balanced.temperature.mode = TemperatureMode::Balanced;
    balanced.temperature.maximise = Some(Maximise::RewardPass(2));
    balanced
}

/// With verifiers, an early stop, and a threshold and more balanced beside the temperature.
fn knobs() -> Recipe {
    let mut knobs = balanced();
    knobs.evaluation.verifiers = true;
    knobs.training.stop.patience = 2;
    knobs.reward.select = Select::Above(0.5);
    knobs.temperature.maximise = Some(Maximise::Balance(2));
    knobs.temperature.also = Also {
        top_p: vec![0.9],
        top_k: vec![20],
        min_p: vec![0.1],
        samples: vec![4, 8],
        threshold: Some(Thresholds::default()),
    };
    knobs
}

/// With unlabelled prompts that join for the second half.
pub(super) fn mixed() -> Recipe {
    let mut mixed = quickstart();
    mixed.data.labelled = 0.5;
    mixed.training.iterations = 4;
    mixed.training.interval = 0.25;
    mixed.prompts = Prompts {
        variation: Variation::Mixed,
        mix_at: Some(0.5),
        pseudo_answer: Some(PseudoAnswer::MajorityVote),
    };
    mixed
}

/// Keys of a recipe that change no stage, and why.
pub(super) const WITHOUT_EFFECT: [(&str, &str); 8] = [
    ("format", "says how the file is read"),
    ("name", "names are for people"),
    ("description", "words are for people"),
    ("evaluation.quote", "says how results are read"),
    ("run.retries", "how it is carried out"),
    ("run.keep_going", "how it is carried out"),
    ("run.timeout_secs", "how it is carried out"),
    ("run.checkpoint_every_secs", "how it is carried out"),
];

pub(super) fn leaves(value: &Value, path: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                leaves(inner, &format!("{path}/{name}"), out);
            }
        }
        _ => out.push(path.to_owned()),
    }
}

/// The recipe with another value at one leaf, of the first form that its type takes.
pub(super) fn changed(recipe: &Recipe, pointer: &str) -> Option<Recipe> {
    let tree = serde_json::to_value(recipe).unwrap();
    let words = [
        "fp32",
        "bf16",
        "sft",
        "iterative-rft",
        "rest-em",
        "continuous",
        "answer",
        "solution",
        "outcome",
        "line",
        "soft",
        "hard",
        "base",
        "warm-up",
        "adamw",
        "muon",
        "constant",
        "linear",
        "min",
        "mean",
        "labelled",
        "mixed",
        "weighted-vote",
        "fixed",
        "schedule",
        "warmup",
        "demonstrations",
        "pass",
        "best",
        "training",
        "all",
        "skip",
        "stored",
        "other",
    ];
    let candidates: Vec<Value> = match tree.pointer(pointer)? {
        Value::Bool(flag) => vec![json!(!flag)],
        Value::Number(number) => match number.as_u64() {
            Some(whole) => vec![json!(whole + 1)],
            None => vec![json!(number.as_f64()? * 0.5 + 0.125)],
        },
        Value::String(_) => words.iter().map(|word| json!(word)).collect(),
        Value::Array(list) => {
            let longer = json!([&list[..], &[json!("other")]].concat());
            vec![longer, json!([0.7]), json!([7]), json!(["language"])]
        }
        Value::Null | Value::Object(_) => return None,
    };
    candidates.into_iter().find_map(|candidate| {
        let mut tree = tree.clone();
        *tree.pointer_mut(pointer)? = candidate;
        serde_json::from_value(tree).ok().filter(|other| other != recipe)
    })
}

#[test]
fn every_key_of_a_recipe_changes_a_stage_or_has_a_reason_not_to() {
    let mut tried = BTreeSet::new();
    let mut effective = BTreeSet::new();
    for base in bases() {
        let before = keys(&graph_of(&base));
        let mut pointers = Vec::new();
        leaves(&serde_json::to_value(&base).unwrap(), "", &mut pointers);
        for pointer in pointers {
            let Some(other) = changed(&base, &pointer) else { continue };
            let path = pointer[1..].replace('/', ".");
            if keys(&graph_of(&other)) != before {
                effective.insert(path.clone());
            }
            tried.insert(path);
        }
    }
    let expected: BTreeSet<&str> = WITHOUT_EFFECT.iter().map(|(path, _)| *path).collect();
    let is_expected = |path: &str| {
        expected.iter().any(|other| path == *other || path.starts_with(&format!("{other}.")))
    };
    for path in &tried {
        assert_eq!(effective.contains(path), !is_expected(path), "{path}");
    }
    // Every key was tried: those of the default recipe, and those behind its optional tables.
    let mut all = Vec::new();
    bases().iter().for_each(|base| leaves(&serde_json::to_value(base).unwrap(), "", &mut all));
    let all: BTreeSet<String> = all.iter().map(|pointer| pointer[1..].replace('/', ".")).collect();
    let missed: Vec<&String> =
        all.iter().filter(|path| !tried.iter().any(|one| one.starts_with(*path))).collect();
    assert_eq!(missed, Vec::<&String>::new());
}

#[test]
fn micro_batches_are_those_of_a_reward_model_where_its_batch_is_larger() {
    for (written, expected) in [(0, 0), (8, 8), (31, 31), (32, 0), (64, 0)] {
        let mut recipe = rewarded();
        recipe.reward.training.batch_size = 32;
        recipe.training.micro_batch_size = written;
        match &node(&graph_of(&recipe), "train reward").stage {
            Stage::TrainReward(options) => assert_eq!(options.micro_batch_size, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_longer_run_continues_a_shorter_one() {
    let mut longer = with_control(quickstart());
    longer.training.iterations = 5;
    longer.training.steps = 500;
    let mut shorter = longer.clone();
    shorter.training.iterations = 3;
    assert!(keys(&graph_of(&shorter)).is_subset(&keys(&graph_of(&longer))));
}

#[test]
fn measuring_less_often_measures_the_same() {
    let often = with_control(Recipe {
        training: Training { iterations: 5, ..quickstart().training },
        ..quickstart()
    });
    let mut seldom = often.clone();
    seldom.evaluation.every = 2;
    let (often, seldom) = (graph_of(&often), graph_of(&seldom));
    assert!(keys(&seldom).is_subset(&keys(&often)));
    assert!(seldom.nodes().any(|node| node.name == "evaluate 5"));
    assert!(!seldom.nodes().any(|node| node.name == "evaluate 3"));
}

#[test]
fn a_control_changes_no_stage_beside_it() {
    for data in [ControlData::Warmup, ControlData::Demonstrations] {
        let mut controlled = with_control(quickstart());
        controlled.control.data = data;
        assert!(keys(&graph_of(&quickstart())).is_subset(&keys(&graph_of(&controlled))));
    }
}

#[test]
fn the_seed_leaves_the_data_and_an_imported_model_alone() {
    let other = graph_of(&Recipe { seed: 1, ..quickstart() });
    let graph = graph_of(&quickstart());
    let both: BTreeSet<_> = keys(&graph).intersection(&keys(&other)).copied().collect();
    let expected = ["import", "prepare", "evaluate base"]
        .map(|name| graph.nodes().find(|node| node.name == name).map(|node| node.key));
    assert_eq!(both, expected.into_iter().flatten().collect());
}

#[test]
fn where_a_model_lies_is_no_part_of_a_key() {
    let digest = crate::base::Digest::of(b"the same weights");
    let at = |place: &str| {
        let mut recipe = quickstart();
        recipe.policy.model = place.into();
        let facts = Facts { models: [(place.to_owned(), digest)].into(), ..facts() };
        keys(&lower(&[member("only", recipe)], &facts))
    };
    assert_eq!(at("models/one"), at("/elsewhere/two"));
}

#[test]
fn what_calls_a_script_reads_it_and_its_name_is_no_part_of_a_key() {
    let hooked = |moments: &[Moment], name: &str| {
        let mut recipe = with_control(quickstart());
        recipe.hooks.script = Some(name.to_owned());
        let facts = Facts {
            scripts: [(
                name.to_owned(),
                ScriptFacts { name: name.into(), ..script(moments.to_vec()) },
            )]
            .into(),
            ..facts()
        };
        lower(&[member("only", recipe)], &facts)
    };
    let all = Moment::ALL;
    assert_eq!(keys(&hooked(&all, "one.rhai")), keys(&hooked(&all, "two.rhai")));
    let graph = hooked(&all, "one.rhai");
    assert_eq!(graph.check(), Ok(()));
    for node in graph.nodes() {
        assert_eq!(node.stage.calls().is_some(), node.inputs.contains_key(&Port::Hooks));
    }
    assert_eq!(graph.nodes().filter(|node| node.stage.kind() == "hooks").count(), 1);
    let none = hooked(&[], "one.rhai");
    assert_eq!(keys(&none), keys(&graph_of(&with_control(quickstart()))));
}

#[test]
fn equal_members_share_everything() {
    let members = ["one", "two"].map(|name| member(name, with_control(quickstart())));
    let graph = lower(&members, &facts());
    assert_eq!(graph.unshared(), graph.len() * 2);
    assert!(graph.nodes().all(|node| node.members.len() == 2));
}

fn any_recipe() -> impl Strategy<Value = Recipe> {
    let methods = [Method::Sft, Method::IterativeRft, Method::RestEm, Method::Continuous].to_vec();
    let sizes = (0_u32..5, 1_u64..50, 1_u32..4, 0_u64..3);
    (proptest::sample::select(methods), any::<[bool; 4]>(), sizes, 0.01..1.0_f64, 0_u64..2)
        .prop_map(|(method, [warm, control, demonstrations, sampled], sizes, interval, seed)| {
            let mut recipe = with_method(method);
            recipe.seed = seed;
            recipe.warmup.enabled = warm;
            recipe.control.equal_steps = control;
            if demonstrations {
                recipe.control.data = ControlData::Demonstrations;
            }
            recipe.training.interval = interval;
            let (iterations, prompts, every, steps) = sizes;
            (recipe.training.iterations, recipe.data.prompts) = (iterations, prompts);
            (recipe.evaluation.every, recipe.training.steps) = (every, steps * 100);
            recipe.evaluation.pass_samples = if sampled { 8 } else { 0 };
            recipe
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_graph_fits_its_ports_and_is_ordered(recipe in any_recipe()) {
        let graph = graph_of(&recipe);
        prop_assert_eq!(graph.check(), Ok(()));
        let text = serde_json::to_string(&graph).unwrap();
        prop_assert_eq!(serde_json::from_str::<Graph>(&text).unwrap(), graph);
    }

    #[test]
    fn the_order_of_members_changes_no_key(
        recipes in proptest::collection::vec(any_recipe(), 1..5),
    ) {
        let mut members: Vec<Member> = (0..)
            .zip(recipes)
            .map(|(index, recipe)| member(&format!("member {index}"), recipe))
            .collect();
        let forward = lower(&members, &facts());
        members.reverse();
        let backward = lower(&members, &facts());
        prop_assert_eq!(keys(&forward), keys(&backward));
        prop_assert_eq!(forward.unshared(), backward.unshared());
        for node in forward.nodes() {
            prop_assert_eq!(&node.members, &backward.get(node.key).unwrap().members);
        }
    }

    #[test]
    fn slices_meet_and_come_back(prompts in 1_u64..500, parts in 1_u32..12) {
        let mut recipe = quickstart();
        recipe.data.prompts = prompts;
        recipe.training.interval = 1.0 / f64::from(parts);
        recipe.training.iterations = 2 * parts;
        prop_assume!(prompts >= u64::from(parts));
        let graph = graph_of(&recipe);
        let slice = |iteration: u32| match &node(&graph, &format!("explore {iteration}")).stage {
            Stage::Explore(options) => {
                (0..options.shards()).flat_map(|shard| options.shard(shard)).collect::<Vec<_>>()
            }
            _ => unreachable!(),
        };
        let cycle = |from: u32| (from..from + parts).flat_map(slice).collect::<Vec<_>>();
        prop_assert_eq!(cycle(1), (0..prompts).collect::<Vec<_>>());
        prop_assert_eq!(cycle(parts + 1), cycle(1));
    }
}

#[test]
fn where_data_lie_is_in_no_key_and_what_they_are_is() {
    let recipe = |source: &str| Recipe {
        data: Data { source: source.into(), prompts: 0, ..quickstart().data },
        ..quickstart()
    };
    let graph = |path: &str, content: u8| {
        let files = FilesFacts { path: path.into(), ..rows(content) };
        let facts = Facts { files: [(format!("jsonl:{path}"), files)].into(), ..facts() };
        lower(&[member("only", recipe(&format!("jsonl:{path}")))], &facts)
    };
    assert_eq!(keys(&graph("a/rows.jsonl", 1)), keys(&graph("b/rows.jsonl", 1)));
    assert_ne!(keys(&graph("a/rows.jsonl", 1)), keys(&graph("a/rows.jsonl", 2)));
    let graph = graph("a/rows.jsonl", 1);
    let Stage::Prepare(prepare) = &node(&graph, "prepare").stage else { panic!("no prepare") };
    // All that is left beside validation and test.
    assert_eq!((prepare.source.as_str(), prepare.prompts), ("jsonl", 3600));
}
