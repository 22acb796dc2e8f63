//! What is said about recipes that are wrong: one fault in each file of `tests/bad`, told in a
//! snapshot that has the name of the file.

use mstar::{
    base::{Fault, Faults, Place, Source},
    recipe::{Experiment, Layers, Stack, check_trials, resolve},
};
use std::{fs, path::Path};

fn read(relative: &str) -> Option<Source> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad").join(relative);
    let bytes = fs::read(path).ok()?;
    Some(Source::from_bytes(relative, bytes).expect("the bad recipes are text"))
}

fn load_extends(path: &str, place: &Place) -> Result<Source, Fault> {
    read(path).ok_or_else(|| Fault {
        code: "extends-nowhere",
        message: format!("cannot read `{path}`"),
        hint: Some("the path is taken from the folder of the recipe".to_owned()),
        place: Some(place.clone()),
    })
}

fn faults(relative: &str, environment: &[(&str, &str)], set: &[&str]) -> Vec<Fault> {
    let own = |text: &&str| (*text).to_owned();
    let layers = Layers {
        file: read(relative).expect("the recipe lies in `tests/bad`"),
        environment: environment.iter().map(|(name, text)| (own(name), own(text))).collect(),
        set: set.iter().map(own).collect(),
    };
    let checked = resolve(&layers, &mut load_extends).and_then(|it| check_trials(&it));
    match checked {
        Err(Faults(faults)) => faults,
        Ok(_) => panic!("`{relative}` passes every check"),
    }
}

fn told(faults: &[Fault]) -> String {
    let texts: Vec<_> =
        faults.iter().map(|fault| format!("[{}] {}", fault.code, fault.to_text())).collect();
    texts.join("\n")
}

/// Names of the TOML files in a folder, without their endings.
fn stems(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut stems: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".toml").map(str::to_owned))
        .collect();
    stems.sort();
    stems
}

#[test]
fn every_bad_recipe_has_one_fault_that_is_told_well() {
    let stems = stems("tests/bad");
    assert!(stems.len() >= 45, "{} recipes", stems.len());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../bad/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for stem in stems {
        let faults = faults(&format!("{stem}.toml"), &[], &[]);
        assert_eq!(faults.len(), 1, "{stem}: {}", told(&faults));
        let code = faults[0].code;
        assert!(stem.starts_with(code) || stem.starts_with("extends"), "{stem} is told as {code}");
        assert!(faults[0].hint.is_some(), "{stem} has no hint");
        settings.bind(|| insta::assert_snapshot!(stem, told(&faults)));
    }
}

fn faults_of_grid(relative: &str, set: &[&str]) -> Vec<Fault> {
    let source = read(relative).expect("the experiment lies in `tests/bad`");
    let expanded = Experiment::read(&source).and_then(|experiment| {
        let base = read("support/base-of-grids.toml").expect("the base lies in `tests/bad`");
        let set = set.iter().map(|text| (*text).to_owned()).collect();
        let layers = Layers { file: base, environment: Vec::new(), set };
        experiment.expand(&Stack::read(&layers, &mut load_extends)?)
    });
    match expanded {
        Err(Faults(faults)) => faults,
        Ok(expanded) => panic!("`{relative}` has {} good members", expanded.members.len()),
    }
}

#[test]
fn every_bad_experiment_has_one_fault_that_is_told_well() {
    let stems = stems("tests/bad/experiments");
    assert!(stems.len() >= 40, "{} experiments", stems.len());
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../bad/experiments/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for stem in stems {
        let faults = faults_of_grid(&format!("experiments/{stem}.toml"), &[]);
        assert_eq!(faults.len(), 1, "{stem}: {}", told(&faults));
        assert!(stem.starts_with(faults[0].code), "{stem} is told as {}", faults[0].code);
        assert!(faults[0].hint.is_some(), "{stem} has no hint");
        assert!(faults[0].place.is_some(), "{stem} has no place");
        settings.bind(|| insta::assert_snapshot!(stem, told(&faults)));
    }
}

#[test]
fn an_axis_is_not_set_from_outside() {
    let faults = faults_of_grid("support/good-grid.toml", &["seed=3"]);
    insta::assert_snapshot!(told(&faults));
}

#[test]
fn all_faults_are_told_at_once() {
    let faults = faults(
        "support/several-at-once.toml",
        &[("MSTAR_TRAINING__EPOCHS", "many"), ("MSTAR_STORE", "/ignored"), ("MSTAR_SEDE", "3")],
        &["training.steps=-1", "traning.steps=1"],
    );
    insta::assert_snapshot!(told(&faults));
}

#[test]
fn slips_outside_the_file_are_told_in_their_own_text() {
    let sets: &[&str] = &[
        "seed",
        "seed=",
        "training..interval=1",
        "=3",
        "training.intervall=0.5",
        "training.interval=fast",
        "policy.train=[\"language\"",
        "extends=other.toml",
        "temperature.points=1.0",
        "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r=1",
    ];
    let environment = [
        ("MSTAR_TRAINING__INTERVAL", "2"),
        ("MSTAR_TRAINING__INTERVALL", "0.5"),
        ("MSTAR__X", "1"),
        ("MSTAR_SEED", " "),
        ("OTHER__THING", "1"),
    ];
    insta::assert_snapshot!(told(&faults("support/misspelt.toml", &environment, sets)));
}

#[test]
fn tests_stand_in_a_file_only() {
    let faults = faults("support/base-of-grids.toml", &[], &["test=[{ name = \"a\" }]"]);
    assert_eq!(faults.len(), 1, "{}", told(&faults));
    assert_eq!(faults[0].code, "misplaced-test");
}
