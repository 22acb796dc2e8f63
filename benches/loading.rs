//! Memory that loading a checkpoint in a folder takes beside its weights, for `benches/loading.py`,
//! which makes such a folder: `cargo bench --bench loading -- FOLDER`.

#![expect(clippy::print_stdout, reason = "a benchmark reports to who runs it")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock and the system")]

use mstar::engine::{Precision, Weights, kind_of, load};
use std::path::PathBuf;
use std::time::Instant;

fn main() {
    let Some(folder) = std::env::args().skip(1).find(|it| !it.starts_with("--")) else {
        println!("no folder is named: run benches/loading.py, which makes one");
        return;
    };
    let folder = PathBuf::from(folder);
    let config = std::fs::read_to_string(folder.join("config.json")).expect("a configuration");
    let (before, start) = (bytes_of("VmRSS"), Instant::now());
    let weights = Weights::open(&folder, Precision::Bf16, tch::Device::Cpu).expect("weights");
    let model = load(&kind_of(&config).expect("a known model"), &config, weights);
    let model = model.expect("a model");
    let (seconds, peak) = (start.elapsed().as_secs_f64(), bytes_of("VmHWM"));
    let weights = 2 * model.parameters().count();
    println!(
        "{:.2} GiB of weights: at most {:.2} GiB of memory, files included, {:.3} of them; \
         {seconds:.1} s",
        gibibytes(weights as u64),
        gibibytes(peak - before),
        (peak - before) as f64 / weights as f64,
    );
}

fn gibibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// What Linux says of this process.
fn bytes_of(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a system with /proc");
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse::<u64>().ok()).expect("a line of it") * 1024
}
