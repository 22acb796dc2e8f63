//! The most memory of a training step with activations kept and with those of each decoder layer
//! computed again, and the seconds of both: each in a process of its own, for a process remembers its
//! peak.

#![expect(clippy::print_stdout, reason = "a benchmark reports to who runs it")]

use mstar::base::Seed;
use mstar::engine::{
    Pixels, Precision, Sequence, Weights, backward, backward_recomputing, load, models::mini_vlm,
    pack, set_threads,
};
use std::process::Command;
use std::time::Instant;

/// Which of the two a child measures.
const WHICH: &str = "MSTAR_RECOMPUTING";
const LENGTH: i64 = 512;
const BATCH: usize = 8;

fn main() {
    if let Some(which) = std::env::var_os(WHICH) {
        return measure(which == "again");
    }
    let [kept, again] = ["kept", "again"].map(|which| {
        let program = std::env::current_exe().expect("a benchmark has a path");
        let output = Command::new(program).env(WHICH, which).output().expect("it can be started");
        let text = String::from_utf8(output.stdout).expect("numbers are text");
        let mut numbers = text.split_whitespace().map(|it| it.parse::<f64>().expect("a number"));
        let (bytes, seconds) = (numbers.next().unwrap_or(0.0), numbers.next().unwrap_or(0.0));
        println!("{which}: {:.0} MiB above the model, {seconds:.2} s a step", bytes / 1024.0);
        bytes
    });
    let ratio = kept / again;
    println!("{ratio:.1} times less memory");
    assert!(ratio >= 2.0, "computing layers again has to halve the memory of a step at least");
}

/// Prints the KiB that a step takes above what lay in memory before, and its seconds.
#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock and the system")]
fn measure(again: bool) {
    set_threads(1);
    let mut config = mini_vlm::Config::builtin();
    config.hidden_size = 256;
    config.intermediate_size = 704;
    config.num_hidden_layers = 12;
    config.max_position_embeddings = LENGTH;
    let config = serde_json::to_string(&config).expect("plain data");
    let weights = Weights::random(Seed(1), Precision::F32, tch::Device::Cpu);
    let model = load(mini_vlm::KIND, &config, weights).expect("a fresh model fits itself");
    let tokens: Vec<i64> = (0..LENGTH).map(|place| place * 7 % 232).collect();
    let none = Pixels::none();
    let sequence = Sequence { tokens: &tokens, pixels: &none, prompt: 1, weights: None };
    let pack = pack(&model, &[sequence; BATCH]).expect("the model reads them");
    let status = |key: &str| {
        let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(":"))
            .unwrap_or_default();
        line.split_whitespace().next().and_then(|it| it.parse::<f64>().ok()).unwrap_or(0.0)
    };
    let before = status("VmRSS");
    let began = Instant::now();
    let backward = if again { backward_recomputing } else { backward };
    assert!(backward(&model, &pack, pack.weight()).is_finite());
    println!("{} {}", status("VmHWM") - before, began.elapsed().as_secs_f64());
}
