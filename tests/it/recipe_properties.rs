//! What holds for every recipe: order and comments mean nothing, nothing panics, and what
//! `show --resolved` prints is the recipe.

use mstar::{
    base::Source,
    recipe::{Layers, Resolved, check_trials, resolve},
};
use proptest::prelude::*;

fn layers(text: &str) -> Layers {
    let file = Source { name: "recipe.toml".into(), text: text.into() };
    Layers { file, environment: Vec::new(), set: Vec::new() }
}

fn resolved(text: &str) -> Resolved {
    resolve(&layers(text), &mut |_, _| panic!("nothing is extended")).unwrap_or_else(|faults| {
        panic!("{faults}");
    })
}

/// Whatever it is, it is resolved or told; the text of every fault is made too.
fn survives(file: Source, environment: Vec<(String, String)>, set: Vec<String>) {
    let below = file.clone();
    let layers = Layers { file, environment, set };
    match resolve(&layers, &mut |_, _| Ok(below.clone())) {
        Ok(resolved) => {
            assert!(!resolved.to_toml().is_empty());
            if let Err(faults) = check_trials(&resolved) {
                assert!(faults.0.iter().all(|fault| !fault.to_text().contains('\u{1b}')));
            }
        }
        Err(faults) => {
            assert!(!faults.0.is_empty());
            assert!(faults.0.iter().all(|fault| !fault.to_text().contains('\u{1b}')));
        }
    }
}

const TABLES: [&str; 6] = [
    "[policy]\ntrain = [\"language\"]\n",
    "[training]\nmethod = \"rest-em\"\ninterval = 0.5\n",
    "[training.optimizer]\nkind = \"muon\"\nmuon_learning_rate = 0.02\n",
    "[temperature]\nmode = \"schedule\"\npoints = [1.2, 1]\n",
    "[reward]\nselect = { random = 2 }\n",
    "[data]\nprompts = 4_000\nlabelled = 0.5\n",
];

/// Pieces of recipes, right and wrong, to be put together in any order.
const PIECES: [&str; 28] = [
    "[[test]]\n",
    "[test]\n",
    "expect = { kept = [3], answer = \"\" }\n",
    "candidate = [{ score = 1 }]\n",
    "name = \"a\"\n",
    "seed",
    " = ",
    "[training]\n",
    "interval",
    "0.5",
    "\n",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'''",
    ".",
    "reward.select = { top = 1 }\n",
    "1e999",
    "nan",
    "policy.train = ",
    ",",
    "\u{1b}",
    "ä",
    "extends = \"x\"\n",
    "= 1979-05-27\n",
    "[[data]]\n",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_and_comments_mean_nothing(
        order in Just((0..TABLES.len()).collect::<Vec<_>>()).prop_shuffle(),
        comment in "[ -~]{0,20}",
    ) {
        let head = "name = \"a\"\nseed = 3\n";
        let straight = resolved(&format!("{head}{}", TABLES.concat()));
        let mut text = format!("# {comment}\n{head}");
        for index in order {
            let table = TABLES[index].replace('\n', &format!(" # {comment}\n"));
            text.push_str(&table);
        }
        let shuffled = resolved(&text);
        prop_assert_eq!(&shuffled.recipe, &straight.recipe);
        prop_assert_eq!(&shuffled.leaves, &straight.leaves);
    }

    #[test]
    fn any_bytes_are_told(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        match Source::from_bytes("recipe.toml", bytes) {
            Ok(file) => survives(file, Vec::new(), Vec::new()),
            Err(fault) => prop_assert!(fault.to_text().contains("UTF-8")),
        }
    }

    #[test]
    fn any_pieces_are_told(
        pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..16),
        name in "(MSTAR_)?[A-Z_]{0,20}",
        content in ".{0,12}",
        set in "[a-z.]{0,12}=?.{0,12}",
    ) {
        let file = Source { name: "recipe.toml".into(), text: pieces.concat().into() };
        survives(file, vec![(name, content)], vec![set]);
    }
}

#[test]
fn deep_and_long_texts_are_told() {
    for text in [
        "a.".repeat(50_000) + "a = 1",
        format!("[{}a]\n", "a.".repeat(50_000)),
        "a = ".to_owned() + "[".repeat(50_000).as_str(),
        "a = ".to_owned() + "{ a = ".repeat(50_000).as_str(),
        "x".repeat(1_000_000),
        "a = 1\n".repeat(2_000),
    ] {
        survives(Source { name: "deep.toml".into(), text: text.into() }, Vec::new(), Vec::new());
    }
}

#[test]
fn a_resolved_recipe_reads_back_as_itself() {
    let sft = "name = \"a\"\ndescription = \"tab\\t, \\u007f and \\\"quotes\\\"\"\n\
        training = { method = \"sft\", steps_per_iteration = 9 }\n";
    let random = "name = \"b\"\npolicy.model = \"builtin:mini-vlm/random\"\n[pretraining.captions]\n\
        samples = 7\n";
    let seed = "name = \"d\"\nseed = 18446744073709551615\n";
    for text in [seed, sft, random, &format!("name = \"c\"\n{}", TABLES.concat())] {
        let once = resolved(text);
        let again = resolved(&once.to_toml());
        assert_eq!(again.recipe, once.recipe, "{}", once.to_toml());
        assert_eq!(again.leaves, once.leaves);
    }
}

#[test]
fn a_resolved_recipe_shows_where_values_came_from() {
    let mut layers = layers("name = \"a\"\n\n[temperature]\nvalue = 0.7\n");
    layers.environment = vec![("MSTAR_SEED".into(), "3".into())];
    layers.set = vec!["reward.select={ random = 2 }".into()];
    let resolved = resolve(&layers, &mut |_, _| panic!("nothing is extended")).unwrap();
    insta::assert_snapshot!(resolved.to_toml());
}
