//! The recipes at the paper's scale: they are checked and planned without their data, the plan agrees
//! with the paper's arithmetic, and a run that may not ask the hub ends before anything.

use crate::sandbox::{Sandbox, assert_told, mstar_at_home};
use serde_json::Value;

const RECIPES: [&str; 3] = [
    "recipes/paper/mstar-minicpm-v-2.5.toml",
    "recipes/paper/mstar-phi-3.5-vision.toml",
    "recipes/paper/mstar-internvl2-2b.toml",
];

/// The estimate of a stage.
fn estimate<'p>(plan: &'p Value, name: &str) -> &'p Value {
    let stages = plan["stages"].as_array().unwrap();
    &stages.iter().find(|stage| stage["name"] == name).expect(name)["estimate"]
}

#[test]
fn the_plan_agrees_with_the_arithmetic_of_the_paper() {
    for recipe in RECIPES {
        let plan = mstar_at_home(&["plan", recipe, "--format", "json"]).exits(0).json();
        // Half of 360,000 prompts are labelled, a quarter of those explored with 16 samples each.
        for iteration in 1..=22 {
            let explored = estimate(&plan, &format!("explore {iteration}"));
            assert_eq!(explored["samples"], 720_000);
            assert_eq!(explored["tokens"], 720_000_u64 * 1024, "no more than is allowed");
        }
        assert_eq!(estimate(&plan, "warm-up explore")["samples"], 180_000 * 16);
        // 100,000 responses in whole batches of 128.
        assert_eq!(estimate(&plan, "warm-up train")["steps"], 781);
        // 250 prompts, 16 samples, 14 candidates.
        assert_eq!(estimate(&plan, "search 1")["samples"], 56_000);
        assert_eq!(estimate(&plan, "reward explore")["samples"], 50_000);
        assert_eq!(estimate(&plan, "evaluate 22 mathvista")["samples"], 1000);
        assert_eq!(estimate(&plan, "evaluate 22 test")["samples"], 750);
        let steps = |iteration: u32| {
            estimate(&plan, &format!("train {iteration}"))["steps"].as_u64().unwrap()
        };
        assert!((1..=22).all(|iteration| (310..=480).contains(&steps(iteration))));
        assert!((1..=22).map(steps).sum::<u64>() <= 10_000);
    }
}

#[test]
fn what_is_not_in_the_cache_is_planned_and_refused_by_run_before_anything() {
    let sandbox = Sandbox::new();
    sandbox.write("paper.toml", "name = \"paper\"\npolicy.model = \"some/model\"\n[data]\nsource = \"mathv360k\"\nbenchmarks = [\"mathvista/testmini\"]\n");
    let grid = "name = \"grid\"\nbase = \"tiny.toml\"\n[axis]\n\
        \"policy.model\" = [\"builtin:mini-vlm\", \"some/model\"]\n";
    sandbox.write("grid.toml", grid);
    let mut told = String::new();
    for arguments in [
        &["check", "paper.toml", "grid.toml", "tiny.toml"][..],
        &["run", "paper.toml"],
        &["run", "grid.toml"],
        &["plan", "tiny.toml", "--set", "data.source=mathv36k"],
        &["plan", "tiny.toml", "--set", "data.source=ai2d", "--set", "data.prompts=0"],
        &["check", "paper.toml", "--base", "tiny.toml"],
        &["plan", "paper.toml", "--set", "data.benchmarks=['mathvist']"],
        &["plan", "paper.toml", "--set", "data.benchmarks=['gsm8k/test', 'm3cot/tset']"],
    ] {
        let said = sandbox.mstar(arguments).told();
        told += &format!("$ mstar {}\n{said}\n", arguments.join(" "));
    }
    assert_told("planned_only", &told);
    assert!(!sandbox.store().exists(), "nothing was begun");
}
