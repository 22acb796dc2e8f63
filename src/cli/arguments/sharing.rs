//! Arguments of the commands that hand a run over.

use super::{Over, TextOrJson};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `bundle`.
#[derive(Args, Debug)]
pub(crate) struct Bundle {
    /// The run (default: the latest).
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// Where it goes (default: `RUN.mstar` here).
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// With the policy that each member ended with.
    #[arg(long)]
    pub(crate) weights: bool,
}

/// Arguments of `export`.
#[derive(Args, Debug)]
pub(crate) struct Export {
    /// The run (default: the latest).
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// The folder to write, which must not be there yet or be empty.
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
    /// Which policy: the name or the key of the stage that made it, such as `"train 3"` (default: the
    /// last one).
    #[arg(long, value_name = "STAGE")]
    pub(crate) stage: Option<String>,
    /// Of which member of an experiment.
    #[arg(long, value_name = "MEMBER")]
    pub(crate) member: Option<String>,
    /// Only low-rank adapters, as PEFT reads them; otherwise they are merged into the weights.
    #[arg(long)]
    pub(crate) adapters: bool,
    /// The most that a file of weights holds.
    #[arg(long, value_name = "SIZE", default_value = "5GB", value_parser = size)]
    pub(crate) shard_size: u64,
}

/// A size such as `5GB`, in bytes; units are powers of 1000, as Hugging Face counts.
fn size(text: &str) -> Result<u64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit.trim().to_ascii_uppercase().as_str() {
        "" | "B" => Some(1),
        "KB" => Some(1_000),
        "MB" => Some(1_000_000),
        "GB" => Some(1_000_000_000),
        _ => None,
    };
    let bytes = number.parse::<u64>().ok().zip(factor).and_then(|(it, by)| it.checked_mul(by));
    let bytes = bytes.filter(|&bytes| bytes > 0);
    bytes.ok_or_else(|| "a size such as `5GB` or `500MB` is expected".to_owned())
}

/// Arguments of `verify`.
#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// The bundle.
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,
    /// In which form.
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    pub(crate) format: TextOrJson,
}

/// Arguments of `reproduce`.
#[derive(Args, Debug)]
pub(crate) struct Reproduce {
    /// The bundle.
    #[arg(value_name = "BUNDLE")]
    pub(crate) bundle: PathBuf,
    /// The folder that it is unpacked to and runs in, which must not be there yet (default: the name
    /// of the run).
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
    /// Where data or a checkpoint that the bundle names lies here (default: beside the bundle); once
    /// for each.
    #[arg(long, value_name = "NAME=PATH")]
    pub(crate) data: Vec<String>,
    /// Where to compute: `auto`, `cpu`, `cuda` or `cuda:N`.
    #[arg(long, default_value = "auto")]
    pub(crate) device: String,
    /// Worker processes; by default one for each GPU, or two on a CPU with two cores or more.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) workers: Option<u32>,
    /// In which form.
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    pub(crate) format: TextOrJson,
}

/// Arguments of `lock`.
#[derive(Args, Debug)]
pub(crate) struct Lock {
    /// The recipe or experiment.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) over: Over,
    /// What it will run on, as `run --device` takes it.
    #[arg(long, default_value = "auto")]
    pub(crate) device: String,
    /// Where the lock goes (default: beside the file, as `NAME.lock`).
    #[arg(long, value_name = "LOCK")]
    pub(crate) output: Option<PathBuf>,
    /// Only say what no longer agrees with the lock that is there.
    #[arg(long)]
    pub(crate) check: bool,
}
