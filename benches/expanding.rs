//! How long it takes to expand the grid of an experiment: every member resolved and checked.
//!
//! `cargo bench --no-default-features --bench expanding`
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use mstar::base::{Place, Source};
use mstar::recipe::{Experiment, Layers, Stack};
use std::time::Instant;

const BASE: &str = include_str!("../recipes/quickstart.toml");
const REPEATS: usize = 5;

fn main() {
    println!("members  expand, best of {REPEATS}   a member");
    for seeds in [2, 16, 128, 1_250] {
        let seeds: Vec<String> = (0..seeds).map(|seed: u32| seed.to_string()).collect();
        let text = format!(
            "name = \"grid\"\nbase = \"base.toml\"\n[axis]\nseed = [{}]\n\
             \"training.method\" = [\"continuous\", \"rest-em\"]\n\
             \"training.interval\" = [0.1, 0.2]\n\"exploration.top_p\" = [0.9, 1.0]\n\
             [[skip]]\nwhen = 'training.method == \"sft\"'\n",
            seeds.join(", ")
        );
        let mut best = f64::INFINITY;
        let mut members = 0;
        for _ in 0..REPEATS {
            let started = Instant::now();
            members = expand(&text);
            best = best.min(started.elapsed().as_secs_f64());
        }
        println!("{members:>7}  {:>9.1} ms  {:>15.1} µs", best * 1e3, best / members as f64 * 1e6);
    }
}

fn expand(text: &str) -> usize {
    let source = |name: &str, text: &str| Source { name: name.into(), text: text.into() };
    let layers =
        Layers { file: source("base.toml", BASE), environment: Vec::new(), set: Vec::new() };
    let mut load = |_: &str, _: &Place| unreachable!("the base extends nothing");
    let stack = Stack::read(&layers, &mut load).expect("the quickstart is good");
    let experiment = Experiment::read(&source("grid.toml", text)).expect("the grid is good");
    experiment.expand(&stack).expect("its members are good").members.len()
}
