//! Planning of grids: lowering, standings, estimates and the JSON of the outlook, from a thousand
//! stages to a hundred thousand, half of them stored. Beside it, where there is a Snakemake
//! (`MSTAR_BENCH_SNAKEMAKE` or on the path), a dry run of it on a graph of the same shape.

#![expect(clippy::print_stdout, reason = "a benchmark reports to who runs it")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock and makes files")]

use mstar::plan::{
    EarlierStage, Facts, Graph, Known, Measured, Member, MemberSummary, Node, Outlook, lower, view,
};
use mstar::recipe::{Recipe, Training};
use serde_json::Map;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    process::{Command, Stdio},
    time::Instant,
};

/// Stages of a member: seven before the first iteration and six in each.
const ITERATIONS: u32 = 16;
/// Members of the grids; each has about a hundred stages.
const MEMBERS: [u64; 3] = [10, 100, 1000];
/// Stages up to which Snakemake is asked.
const MOST_FOR_SNAKEMAKE: usize = 12_000;

fn main() {
    println!(
        "{:>8} {:>8} {:>9} {:>9} {:>9} {:>9} {:>10} {:>12} {:>7}",
        "members", "stages", "lower", "outlook", "json", "in all", "peak", "snakemake", "ratio"
    );
    for count in MEMBERS {
        let members: Vec<Member> = (0..count).map(member).collect();
        let facts = facts();
        let known = half_stored(&lower(&members, &facts));
        let begin = Instant::now();
        let graph = lower(&members, &facts);
        let lowered = begin.elapsed().as_secs_f64();
        let summary =
            |member: &Member| MemberSummary { name: member.name.clone(), values: Map::new() };
        let summaries = members.iter().map(summary).collect();
        let outlook = Outlook::new(&graph, summaries, &known, &measured()).with_workers(4);
        let seen = begin.elapsed().as_secs_f64();
        let text = view::json(&outlook);
        let all = begin.elapsed().as_secs_f64();
        assert!(text.len() > graph.len(), "everything is told");
        let (other, ratio) = match snakemake(&graph) {
            Some(seconds) => (format!("{seconds:.1} s"), format!("{:.0}", seconds / all)),
            None => ("-".to_owned(), "-".to_owned()),
        };
        println!(
            "{count:>8} {:>8} {:>7.0} ms {:>6.0} ms {:>6.0} ms {:>6.0} ms {:>6.0} MiB {other:>12} \
             {ratio:>7}",
            graph.len(),
            lowered * 1e3,
            (seen - lowered) * 1e3,
            (all - seen) * 1e3,
            all * 1e3,
            peak_mebibytes(),
        );
    }
}

/// A tenth of the members differ in the seed, the others in what comes after the warm-up.
fn member(index: u64) -> Member {
    let mut recipe = Recipe {
        training: Training { iterations: ITERATIONS, ..Training::default() },
        ..Recipe::default()
    };
    recipe.data.prompts = 10_000;
    recipe.seed = index / 10;
    recipe.temperature.value = 0.5 + 0.1 * (index % 10) as f64;
    let name = format!("seed={} temperature={:.1}", recipe.seed, recipe.temperature.value);
    Member { name, recipe }
}

fn facts() -> Facts {
    Facts { prompts: [("builtin:mini-vista".to_owned(), 20_000)].into(), ..Facts::default() }
}

/// What a store knows in which every other stage of an earlier form is done.
fn half_stored(graph: &Graph) -> Known {
    let stored = graph.nodes().step_by(2).map(|node| node.key).collect();
    let earlier = graph.nodes().step_by(4).map(EarlierStage::from).collect();
    Known { stored, earlier, ..Known::default() }
}

fn measured() -> Measured {
    let mut measured = Measured::default();
    for kind in ["explore", "select", "train", "evaluate", "monitor"] {
        measured.add(kind, 1000, 2.0, 100_000);
    }
    measured
}

/// Most memory that this process had at once, with what the grids before needed.
fn peak_mebibytes() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
    kibibytes.unwrap_or(0.0_f64) / 1024.0
}

/// Seconds of a dry run of Snakemake on the same graph: a rule for each kind, and a table of what
/// each file is made from, as an expanded grid is written there.
fn snakemake(graph: &Graph) -> Option<f64> {
    if graph.len() > MOST_FOR_SNAKEMAKE {
        return None;
    }
    let program = std::env::var("MSTAR_BENCH_SNAKEMAKE").unwrap_or_else(|_| "snakemake".to_owned());
    let version = Command::new(&program).arg("--version").stdout(Stdio::null()).status();
    version.ok().filter(|status| status.success())?;
    let folder = std::env::temp_dir().join(format!("mstar-planning-{}", std::process::id()));
    fs::create_dir_all(&folder).ok()?;
    let file = |node: &Node| format!("{}/{}", node.stage.kind(), node.key);
    let needs: BTreeMap<String, Vec<String>> = graph
        .nodes()
        .map(|node| {
            (file(node), node.inputs.values().filter_map(|key| graph.get(*key)).map(file).collect())
        })
        .collect();
    let kinds: BTreeSet<&str> = graph.nodes().map(|node| node.stage.kind()).collect();
    let mut text = String::from(
        "import json\nneeds = json.load(open('needs.json'))\nrule all:\n    input: list(needs)\n",
    );
    for kind in kinds {
        writeln!(text, "rule {kind}:\n    input: lambda it: needs['{kind}/' + it.key]").ok()?;
        writeln!(text, "    output: '{kind}/{{key}}'\n    shell: 'touch {{output}}'").ok()?;
    }
    fs::write(folder.join("needs.json"), serde_json::to_vec(&needs).ok()?).ok()?;
    fs::write(folder.join("Snakefile"), text.replace("rule import:", "rule imported:")).ok()?;
    let mut command = Command::new(&program);
    command.args(["--dry-run", "--quiet", "all", "--cores", "1"]).current_dir(&folder);
    let begin = Instant::now();
    let done = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let seconds = begin.elapsed().as_secs_f64();
    fs::remove_dir_all(&folder).ok()?;
    done.ok().filter(|status| status.success()).map(|_| seconds)
}
