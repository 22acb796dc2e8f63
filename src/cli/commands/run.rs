//! `mstar run`: carries out what is missing, shows how far it is, and ends with the report.

use super::report;
use crate::base::{Faults, Hint};
use crate::cli::arguments::Run;
use crate::cli::asked::Asked;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::planning::{self, PlannedGraph, of_store};
use crate::cli::printer::Printer;
use crate::cli::progress::Progress;
use crate::cli::records;
use crate::event::{Outcome, Versions};
use crate::run::{self, Device, Interrupts, Options, Resources, Slot};
use crate::store::{RunFiles, RunLog, Store};
use std::path::Path;
use std::process::Command;

pub(crate) fn run(arguments: &Run, store_path: &Path, printer: Printer) -> Result<Exit, Trouble> {
    let wrong = |error: &dyn Hint| Trouble::from_hint(error, Exit::Wrong);
    let job = match &arguments.resume {
        Some(name) => Job::frozen(name, store_path)?,
        None => Job::asked(arguments, printer)?,
    };
    let device: Device =
        arguments.device.parse().map_err(|error: run::DeviceError| wrong(&error))?;
    let mut resources = Resources::detect();
    resources.cuda_devices = super::torch::usable_cuda_devices(resources.cuda_devices);
    let slots = resources.slots(device, arguments.workers).map_err(|error| wrong(&error))?;
    let program = super::torch::worker_program()?;
    let store = Store::open(store_path).map_err(of_store)?;
    records::tell_unreadable(&store, printer)?;
    let interrupts = Interrupts::install().map_err(|error| Trouble::Said {
        message: format!("Ctrl-C cannot be watched: {error}"),
        hint: None,
        exit: Exit::Broke,
    })?;
    let log = job.log(&store)?;
    let worker = |slot: &Slot| {
        let mut command = Command::new(&program);
        command.arg("--store").arg(store_path).arg("worker");
        command.args(["--device", &slot.device, "--threads", &slot.threads.to_string()]);
        command
    };
    let wanted = &job.planned.settings;
    let keep_going = arguments.no_keep_going.then_some(false);
    let keep_going = keep_going.or(arguments.keep_going.then_some(true));
    let options = Options {
        name: job.planned.name.clone(),
        recipe_file: job.planned.file.clone(),
        versions: versions(&resources),
        machine: resources.machine(),
        slots,
        retries: arguments.retries.unwrap_or(wanted.retries),
        keep_going: keep_going.unwrap_or(wanted.keep_going),
        timeout_secs: arguments.timeout.unwrap_or(wanted.timeout_secs),
        checkpoint_every_secs: wanted.checkpoint_every_secs,
        worker: &worker,
        interrupts,
    };
    let mut progress = Progress::new(printer);
    let graph = &job.planned.graph;
    let summary = run::run(graph, &store, log, &options, &mut |record| progress.see(record))
        .map_err(|run::RunError::Store(error)| of_store(error))?;
    let recorded = store.run(&summary.run).map_err(of_store)?;
    printer.data(&report::conclude(&store, &recorded, printer)?)?;
    Ok(match summary.outcome {
        Outcome::Done | Outcome::Stored => Exit::Done,
        Outcome::Failed => Exit::StageFailed,
        Outcome::Interrupted => Exit::Interrupted,
    })
}

/// What is to be carried out, and where that is recorded.
struct Job {
    planned: PlannedGraph,
    record: Recorded,
}

/// A record that is to be made, or the name of one to go on with.
enum Recorded {
    New { text: String, resolved: String },
    Old(String),
}

impl Job {
    /// What a file asks for now.
    fn asked(arguments: &Run, printer: Printer) -> Result<Self, Trouble> {
        let file = arguments.file.as_deref().unwrap_or(Path::new(""));
        let asked = Asked::read(file, &arguments.over)?;
        let missing = asked.planned_only();
        if !missing.is_empty() {
            return Err(Faults(missing).into());
        }
        let planned = PlannedGraph::of(&asked, asked.graph()?);
        printer.notes(&asked.notes);
        let (text, resolved) = (asked.text().to_owned(), asked.to_toml());
        Ok(Self { planned, record: Recorded::New { text, resolved } })
    }

    /// What a run froze when it began; an empty name stands for the latest.
    fn frozen(name: &str, store: &Path) -> Result<Self, Trouble> {
        let (_, run) = planning::find_run(store, Some(name).filter(|name| !name.is_empty()))?;
        let planned = PlannedGraph::read(&run)?;
        planning::log_of(&run)?;
        Ok(Self { planned, record: Recorded::Old(run.id().to_owned()) })
    }

    fn log(&self, store: &Store) -> Result<RunLog, Trouble> {
        let (text, resolved) = match &self.record {
            Recorded::New { text, resolved } => (text, resolved),
            Recorded::Old(id) => return store.reopen_run(id).map_err(of_store),
        };
        let graph = serde_json::to_string(&self.planned)
            .expect("a graph holds only numbers, text, lists and maps with string keys");
        let keys: Vec<_> = self.planned.graph.nodes().map(|node| node.key).collect();
        let files = RunFiles { recipe: text, resolved, graph: &graph, keys: &keys };
        store.create_run(&self.planned.name, &files).map_err(of_store)
    }
}

/// Versions of everything that takes part.
pub(super) fn versions(resources: &Resources) -> Versions {
    Versions {
        mstar: env!("CARGO_PKG_VERSION").into(),
        libtorch: super::torch::libtorch_version(),
        platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        cores: resources.cores,
    }
}
