//! What scoring costs beside exploring the same rollouts: seconds of both stages in the log of a run
//! of the recipe that the experiments vary, iteration by iteration, and the median of their ratio, for
//! two numbers of responses to a prompt.

#![expect(clippy::print_stdout, reason = "a benchmark reports to who runs it")]

use mstar::event::{Event, Outcome, Record};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// Iterations of which a median is taken.
const ITERATIONS: &str = "7";
/// Responses to a prompt: as in the experiments, and as in the paper.
const SAMPLES: [u32; 2] = [8, 16];

fn main() {
    for samples in SAMPLES {
        let seconds = seconds_of_run(samples);
        let mut ratios = Vec::new();
        for (name, score) in &seconds {
            let Some(iteration) = name.strip_prefix("score ") else { continue };
            let explore = seconds[&format!("explore {iteration}")];
            println!("iteration {iteration}: exploring {explore:.2} s, scoring {score:.3} s");
            ratios.push(score / explore);
        }
        ratios.sort_by(f64::total_cmp);
        println!(
            "{samples} responses a prompt: scoring costs {:.3} of exploring the same rollouts \
             (median of {}, {:.3} to {:.3})",
            ratios[ratios.len() / 2],
            ratios.len(),
            ratios[0],
            ratios[ratios.len() - 1]
        );
    }
}

/// Seconds of each stage of a run with so many responses to a prompt.
fn seconds_of_run(samples: u32) -> BTreeMap<String, f64> {
    let folder = tempfile::tempdir().expect("a folder for the store");
    let recipe = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/common.toml");
    let iterations = format!("training.iterations={ITERATIONS}");
    let status = Command::new(env!("CARGO_BIN_EXE_mstar"))
        .arg("run")
        .arg(recipe)
        .args(["--store", "store", "--workers", "1", "--quiet", "--set", &iterations])
        .args(["--set", "reward.training.prompts=400", "--set", "evaluation.pass_samples=0"])
        .args(["--set", &format!("exploration.samples={samples}")])
        .env("OMP_NUM_THREADS", "1")
        .current_dir(folder.path())
        .status()
        .expect("the program starts");
    assert!(status.success(), "the run ends");
    seconds_of_stages(&folder.path().join("store"))
}

/// Seconds of each stage that was carried out, by name.
fn seconds_of_stages(store: &Path) -> BTreeMap<String, f64> {
    let log = std::fs::read_to_string(store.join("run-v1/common-1/events.jsonl"));
    let records = Record::read_log(&log.expect("a run has a log")).expect("it was just written");
    let (mut names, mut seconds) = (BTreeMap::new(), BTreeMap::new());
    for record in records {
        match record.event {
            Event::Planned { stages, .. } => {
                names = stages.into_iter().map(|stage| (stage.key, stage.name)).collect();
            }
            Event::StageFinished { key, outcome: Outcome::Done, seconds: taken, .. } => {
                seconds.insert(names[&key].clone(), taken);
            }
            _ => {}
        }
    }
    seconds
}
