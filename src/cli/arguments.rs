//! What can be typed. A contract: scripts rely on these names.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Declare, run, compare and share self-evolving training of vision-language models.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// The store: where artifacts and runs are kept.
    #[arg(long, global = true, env = "MSTAR_STORE", default_value = ".mstar", value_name = "DIR")]
    pub(crate) store: PathBuf,
    /// Say only what went wrong.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check recipes: every fault at once, with its place and a way out.
    Check(Check),
    /// Show what a run would do, why, and what it would cost.
    Plan(Plan),
    /// Carry out a recipe; what is already stored is not computed again.
    Run(Run),
    /// Show a recipe with every value and where it came from, or a run.
    Show(Show),
    /// List the runs in the store.
    List(List),
    /// Show what happened in a run (default: the latest).
    Report(Report),
    /// Ask a model one question about one image.
    Sample(Sample),
    /// Look at data.
    #[command(subcommand)]
    Data(Data),
    /// Remove what no run needs.
    Gc(Gc),
    /// Print the JSON Schema of recipes.
    Schema,
    /// Explain a key of the recipe language.
    Explain(Explain),
    /// Say what this machine has and what is missing.
    Doctor,
    /// Serve a scheduler; not for people.
    #[command(hide = true)]
    Worker(Worker),
    /// Count the CUDA devices that libtorch can use; not for people.
    #[command(hide = true)]
    CudaDevices,
}

/// A recipe and what is laid over it.
#[derive(Args, Clone, Debug)]
pub(crate) struct RecipeFile {
    /// The recipe.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Set a key, such as `training.interval=0.5`; over everything else.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Arguments of `check`.
#[derive(Args, Debug)]
pub(crate) struct Check {
    /// The recipes.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// Arguments of `plan`.
#[derive(Args, Debug)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) recipe: RecipeFile,
    /// In which form.
    #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
    pub(crate) format: PlanFormat,
}

/// Forms of a plan.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PlanFormat {
    /// A table.
    Text,
    /// For programs.
    Json,
    /// For Graphviz.
    Dot,
    /// For Markdown.
    Mermaid,
    /// A picture.
    Svg,
}

/// Arguments of `run`.
#[derive(Args, Debug)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) recipe: RecipeFile,
    /// Where to compute: `auto`, `cpu`, `cuda` or `cuda:N`. Never part of what is computed.
    #[arg(long, default_value = "auto")]
    pub(crate) device: String,
    /// Worker processes; by default one for each GPU, or two on a CPU with two cores or more.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) workers: Option<u32>,
}

/// Arguments of `show`.
#[derive(Args, Debug)]
pub(crate) struct Show {
    /// A recipe file, or the name of a run (default: the latest run).
    #[arg(value_name = "FILE|RUN")]
    pub(crate) what: Option<String>,
    /// Show every value of the recipe and where it came from.
    #[arg(long)]
    pub(crate) resolved: bool,
    /// Set a key first.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Arguments of `list`.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// In which form.
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    pub(crate) format: TextOrJson,
}

/// A temperature as recipes take it.
fn temperature(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "a number from 0 to 4 is expected".to_owned())?;
    let fits = (0.0..=4.0).contains(&value);
    fits.then_some(value).ok_or_else(|| "a number from 0 to 4 is expected".to_owned())
}

/// For people or for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TextOrJson {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Arguments of `report`.
#[derive(Args, Debug)]
pub(crate) struct Report {
    /// The runs (default: the latest). Members of several lie side by side.
    #[arg(value_name = "RUN")]
    pub(crate) runs: Vec<String>,
    /// In which form.
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) format: ReportFormat,
    /// Where it goes (default: a page to `report.html` in the run's folder, the others to standard
    /// output).
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) table: Table,
}

/// What of the table an experiment declares is laid out otherwise.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Table {
    /// Axes of which each combination is a row; those named nowhere are rows too.
    #[arg(long, value_name = "KEY,…", value_delimiter = ',')]
    pub(crate) rows: Option<Vec<String>>,
    /// Axes of which each combination is a column.
    #[arg(long, value_name = "KEY,…", value_delimiter = ',')]
    pub(crate) columns: Option<Vec<String>>,
    /// Metrics, such as `test.accuracy` and `test.gain`.
    #[arg(long, value_name = "METRIC,…", value_delimiter = ',')]
    pub(crate) values: Option<Vec<String>>,
    /// Axes to average over; by default `seed`.
    #[arg(long, value_name = "KEY,…", value_delimiter = ',')]
    pub(crate) over: Option<Vec<String>>,
    /// The row that the others are compared with.
    #[arg(long, value_name = "NAME")]
    pub(crate) baseline: Option<String>,
}

/// Forms of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// A self-contained page.
    Html,
    /// Tables for the terminal.
    Text,
    /// The table of members, for Markdown.
    Markdown,
    /// The table of members, for LaTeX with booktabs.
    Latex,
    /// The table of members, for spreadsheets.
    Csv,
    /// The table of members, for data frames.
    Parquet,
    /// Everything, for programs.
    Json,
}

/// Arguments of `sample`.
#[derive(Args, Debug)]
pub(crate) struct Sample {
    /// `builtin:mini-vlm`, a folder with a checkpoint, or the name of a run (its last policy).
    pub(crate) model: String,
    /// The question.
    pub(crate) text: String,
    /// An image (PNG); once for each.
    #[arg(long, value_name = "FILE")]
    pub(crate) image: Vec<PathBuf>,
    /// Temperature, 0 to 4; 0 is greedy.
    #[arg(long, default_value_t = 0.0, value_parser = temperature, allow_negative_numbers = true)]
    pub(crate) temperature: f64,
    /// Longest response in tokens.
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_new_tokens: u32,
    /// Seed of the draw.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Where to compute.
    #[arg(long, default_value = "auto")]
    pub(crate) device: String,
    /// In which form.
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    pub(crate) format: TextOrJson,
}

/// Commands about data.
#[derive(Debug, Subcommand)]
pub(crate) enum Data {
    /// Write a contact sheet of samples.
    Preview(Preview),
}

/// Arguments of `data preview`.
#[derive(Args, Debug)]
pub(crate) struct Preview {
    /// The source.
    #[arg(default_value = "builtin:mini-vista")]
    pub(crate) source: String,
    /// Samples on the sheet, 1 to 2000.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=2000))]
    pub(crate) count: u64,
    /// Seed of the data.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Where the picture goes.
    #[arg(long, default_value = "preview.png", value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// Arguments of `gc`.
#[derive(Args, Debug)]
pub(crate) struct Gc {
    /// Forget all but this many of the newest runs first.
    #[arg(long, value_name = "N")]
    pub(crate) keep_runs: Option<usize>,
    /// Only say what would be removed.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Arguments of `explain`.
#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// Such as `training.method`; without one, all keys.
    pub(crate) key: Option<String>,
}

/// Arguments of `worker`.
#[derive(Args, Debug)]
pub(crate) struct Worker {
    /// Where to compute.
    #[arg(long)]
    pub(crate) device: String,
    /// Threads for libtorch.
    #[arg(long)]
    pub(crate) threads: u32,
}
