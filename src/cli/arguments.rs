//! What can be typed. A contract: scripts rely on these names.

mod eval;
mod fetch;
mod language;
mod sharing;
mod watching;

pub(crate) use eval::{Eval, ScoresFormat};
pub(crate) use fetch::Fetch;
pub(crate) use language::{Completions, Explain, Init, Man, Schema, SchemaOf, Test};
pub(crate) use sharing::{Bundle, Export, Lock, Reproduce, Verify};
pub(crate) use watching::{Shown, Track, Watch};

use crate::recipe::Dtype;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// The variable that names the store.
pub(crate) const STORE: &str = "MSTAR_STORE";

/// Declare, run, compare and share self-evolving training of vision-language models.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// The store: where artifacts and runs are kept.
    #[arg(long, global = true, env = STORE, default_value = ".mstar", value_name = "DIR")]
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
    /// Write a first recipe: small, commented, ready to run.
    Init(Init),
    /// Check recipes: every fault at once, with its place and a way out.
    Check(Check),
    /// Try the tests that recipes hold, without a model.
    Test(Test),
    /// Show what a run would do, why, and what it would cost.
    Plan(Plan),
    /// Carry out a recipe; what is already stored is not computed again.
    Run(Run),
    /// Show a recipe with every value and where it came from, or a run.
    Show(Show),
    /// List the runs in the store.
    List(List),
    /// Compare two recipes, runs, bundles or members: values, stages, metrics.
    Diff(Diff),
    /// Walk through samples: picture, question, responses, what was kept and why.
    Rollouts(Rollouts),
    /// Bring the index of runs up to date.
    Index(Index),
    /// Show how far a run is, until it ends (default: the latest).
    Watch(Watch),
    /// Tell trackers what they do not know of a run yet (default: the latest).
    Track(Track),
    /// Show what happened in a run (default: the latest).
    Report(Report),
    /// Write a run into one archive that somebody else can verify and reproduce.
    Bundle(Bundle),
    /// Write a policy as other programs read it: the layout of Hugging Face, or PEFT's adapters.
    Export(Export),
    /// Check a bundle without running anything: digests, stages, metrics.
    Verify(Verify),
    /// Run what a bundle holds and say, metric by metric, whether it agrees.
    Reproduce(Reproduce),
    /// Pin everything that decides the result of a recipe.
    Lock(Lock),
    /// Ask a model one question, about pictures or without.
    Sample(Sample),
    /// Score a model on a benchmark, or responses that some engine gave.
    Eval(Eval),
    /// Bring a model or a data set from the hub into the cache that Python has too.
    Fetch(Fetch),
    /// Look at data.
    #[command(subcommand)]
    Data(Data),
    /// Remove what no run needs.
    Gc(Gc),
    /// Print the JSON Schema of recipes or of experiments.
    Schema(Schema),
    /// Explain a key of the recipe language, a kind of stage, an event, a fault, or a function.
    Explain(Explain),
    /// Try a script of hooks by hand.
    Hook(Hook),
    /// Say what this machine has and what is missing.
    Doctor,
    /// Print what completes the command line in a shell.
    Completions(Completions),
    /// Print the manual page, or write one for each command.
    Man(Man),
    /// Serve a scheduler; not for people.
    #[command(hide = true)]
    Worker(Worker),
    /// Count the CUDA devices that libtorch can use; not for people.
    #[command(hide = true)]
    CudaDevices,
}

/// What is laid over a recipe or an experiment, or chosen of it.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Over {
    /// Set a key, such as `training.interval=0.5`; over everything else.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Run the experiment on this recipe, whatever base it names.
    #[arg(long, value_name = "FILE")]
    pub(crate) base: Option<PathBuf>,
    /// Only the members whose names fit, such as `'method=sft,*'`.
    #[arg(long, value_name = "GLOB")]
    pub(crate) only: Vec<String>,
}

/// A recipe or an experiment, and what is laid over it.
#[derive(Args, Clone, Debug)]
pub(crate) struct RecipeFile {
    /// The recipe or experiment.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) over: Over,
}

/// Arguments of `check`.
#[derive(Args, Debug)]
pub(crate) struct Check {
    /// The recipes and experiments.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Check experiments on this recipe, whatever base they name.
    #[arg(long, value_name = "FILE")]
    pub(crate) base: Option<PathBuf>,
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
    /// The recipe or experiment.
    #[arg(value_name = "FILE", required_unless_present = "resume")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) over: Over,
    /// Go on with a run (default: the latest) as it was frozen when it began, whatever became of
    /// its file.
    #[arg(long, value_name = "RUN", num_args = 0..=1, default_missing_value = "",
        conflicts_with_all = ["file", "set", "base", "only"])]
    pub(crate) resume: Option<String>,
    /// Where to compute: `auto`, `cpu`, `cuda` or `cuda:N`. Never part of what is computed.
    #[arg(long, default_value = "auto")]
    pub(crate) device: String,
    /// Worker processes; by default one for each GPU, or two on a CPU with two cores or more.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) workers: Option<u32>,
    /// Go on with what does not depend on a failed stage; over `run.keep_going`.
    #[arg(long, overrides_with = "no_keep_going")]
    pub(crate) keep_going: bool,
    /// Begin nothing new after the first failure.
    #[arg(long, overrides_with = "keep_going")]
    pub(crate) no_keep_going: bool,
    /// How often a stage is tried again after its worker died; over `run.retries`.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=100))]
    pub(crate) retries: Option<u32>,
    /// How long a stage may take, such as `90s`, `15m` or `2h`; over `run.timeout_secs`.
    #[arg(long, value_name = "DURATION", value_parser = seconds)]
    pub(crate) timeout: Option<f64>,
    #[command(flatten)]
    pub(crate) shown: Shown,
    /// Tell a tracker as it goes: `tensorboard=DIR` or `mlflow=URL`; `mlflow` alone is that of
    /// `MLFLOW_TRACKING_URI`.
    #[arg(long, value_name = "TRACKER")]
    pub(crate) track: Vec<String>,
}

/// A length of time in seconds.
fn seconds(text: &str) -> Result<f64, String> {
    let expected = || "a number with `s`, `m`, `h` or `d` is expected, up to 365 days".to_owned();
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit = match unit.trim() {
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(expected()),
    };
    let seconds = number.parse::<f64>().map_err(|_| expected())? * unit;
    (seconds <= 365.0 * 86_400.0).then_some(seconds).ok_or_else(expected)
}

/// Arguments of `hook`.
#[derive(Args, Debug)]
pub(crate) struct Hook {
    /// The script.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// What a function is given, as JSON; for `correct` an object with `answer` and `gold`.
    #[arg(long, value_name = "FILE")]
    pub(crate) on: Option<PathBuf>,
    /// The function; needed when the script has several.
    #[arg(long, value_name = "NAME", requires = "on")]
    pub(crate) moment: Option<String>,
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
    /// Show values and metrics of this member of the run.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["resolved", "set"])]
    pub(crate) member: Option<String>,
    /// In which form a member is shown.
    #[arg(long, value_enum, default_value_t = TextOrJson::Text, requires = "member")]
    pub(crate) format: TextOrJson,
}

/// Arguments of `list`.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only runs with such a name, `*` for anything.
    #[arg(long, value_name = "GLOB")]
    pub(crate) name: Option<String>,
    /// Only what this holds for, such as `training.method=continuous` or `test.accuracy>0.7`.
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) conditions: Vec<String>,
    /// Sort by a key or a metric (default: as they began).
    #[arg(long, value_name = "KEY")]
    pub(crate) sort: Option<String>,
    /// The largest, or the latest, first.
    #[arg(long)]
    pub(crate) descending: bool,
    /// Only the first so many.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) limit: Option<usize>,
    /// Members, not runs.
    #[arg(long)]
    pub(crate) members: bool,
    /// In which form.
    #[arg(long, value_enum, default_value_t = TableFormat::Text)]
    pub(crate) format: TableFormat,
}

/// Forms of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TableFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For spreadsheets.
    Csv,
}

/// Arguments of `index`.
#[derive(Args, Debug)]
pub(crate) struct Index {
    /// Make it anew from the records.
    #[arg(long)]
    pub(crate) rebuild: bool,
    /// In which form.
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    pub(crate) format: TextOrJson,
}

/// Arguments of `diff`.
#[derive(Args, Debug)]
pub(crate) struct Diff {
    /// A recipe file, a bundle, a run, or a member of one as `RUN/MEMBER`.
    #[arg(value_name = "A")]
    pub(crate) before: String,
    /// What it is compared with.
    #[arg(value_name = "B")]
    pub(crate) after: String,
    /// The member to compare where a run has several.
    #[arg(long, value_name = "NAME")]
    pub(crate) member: Option<String>,
    /// In which form.
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    pub(crate) format: TextOrJson,
}

/// Arguments of `rollouts`.
#[derive(Args, Debug)]
pub(crate) struct Rollouts {
    /// The run (default: the latest).
    pub(crate) run: Option<String>,
    /// The member, where the run has several.
    #[arg(long, value_name = "NAME")]
    pub(crate) member: Option<String>,
    /// The iteration; 0 before the first (default: the last that has samples).
    #[arg(long, value_name = "N")]
    pub(crate) iteration: Option<u32>,
    /// The stage whose responses are shown, such as `explore 2`.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["iteration", "split"])]
    pub(crate) stage: Option<String>,
    /// Which prompts: what was explored, or a held-out split.
    #[arg(long, value_enum)]
    pub(crate) split: Option<SampleSplit>,
    /// Only right responses.
    #[arg(long, conflicts_with = "wrong")]
    pub(crate) right: bool,
    /// Only wrong responses.
    #[arg(long)]
    pub(crate) wrong: bool,
    /// Only what was kept to train on.
    #[arg(long, conflicts_with = "dropped")]
    pub(crate) kept: bool,
    /// Only what was not kept to train on.
    #[arg(long)]
    pub(crate) dropped: bool,
    /// At most so many prompts.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
    /// Draw the prompts with this seed (default: the first ones).
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// In which form.
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    pub(crate) format: TextOrJson,
    /// Write the pictures into this folder, as PNG.
    #[arg(long, value_name = "DIR")]
    pub(crate) images: Option<PathBuf>,
}

/// Prompts that a policy answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SampleSplit {
    /// What was explored.
    Train,
    /// What choices are made on.
    Validation,
    /// What is read at the end.
    Test,
}

/// A temperature as recipes take it.
fn temperature(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "a number from 0 to 4 is expected".to_owned())?;
    let fits = (0.0..=4.0).contains(&value);
    fits.then_some(value).ok_or_else(|| "a number from 0 to 4 is expected".to_owned())
}

/// A type of weights by the word of a recipe.
fn dtype() -> impl TypedValueParser<Value = Dtype> {
    PossibleValuesParser::new(["fp32", "bf16"])
        .map(|word| if word == "bf16" { Dtype::Bf16 } else { Dtype::Fp32 })
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
    /// output; `-` is standard output).
    #[arg(long, value_name = "FILE|-")]
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
    /// Metrics, such as `test.accuracy` and `test.gain`; may be given several times.
    #[arg(long, value_name = "METRIC,…")]
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
    /// The table of members as a drawing: dots with their intervals.
    Svg,
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
    /// `builtin:mini-vlm`, a folder with a checkpoint, a model of the hub as `ORG/NAME`, or the name of
    /// a run (its last policy).
    pub(crate) model: String,
    /// The question.
    pub(crate) text: String,
    /// An image (PNG, JPEG, WebP, GIF, BMP); once for each.
    #[arg(long, value_name = "FILE")]
    pub(crate) image: Vec<PathBuf>,
    /// Pixels of an image at most; 0 for as many as the checkpoint says.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) image_pixels: u64,
    /// Type of the weights; without it `fp32`, or for a run what its recipe says.
    #[arg(long, value_parser = dtype())]
    pub(crate) dtype: Option<Dtype>,
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
    /// Read data files whole: bad rows, and questions that two of them share.
    Check(CheckData),
}

/// Arguments of `data check`.
#[derive(Args, Debug)]
pub(crate) struct CheckData {
    /// Files as recipes name them, such as `jsonl:train.jsonl` or `mathvista:data/testmini.json`.
    #[arg(required = true, value_name = "FORMAT:PATH")]
    pub(crate) sources: Vec<String>,
    /// Columns of other names, such as `question=prompt,answer=gold`.
    #[arg(long, value_name = "FIELD=COLUMN", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
    /// In which form.
    #[arg(long, value_enum, default_value_t = TextOrJson::Text)]
    pub(crate) format: TextOrJson,
}

/// Arguments of `data preview`.
#[derive(Args, Debug)]
pub(crate) struct Preview {
    /// The source: `builtin:mini-vista`, or files such as `jsonl:train.jsonl`.
    #[arg(default_value = "builtin:mini-vista")]
    pub(crate) source: String,
    /// Samples on the sheet, 1 to 2000.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=2000))]
    pub(crate) count: u64,
    /// Seed of the data.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Columns of other names, such as `question=prompt,answer=gold`.
    #[arg(long, value_name = "FIELD=COLUMN", value_delimiter = ',')]
    pub(crate) columns: Vec<String>,
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
