//! `mstar run`: carries out what is missing, shows how far it is, and ends with the report.

use super::report;
use crate::base::Hint;
use crate::cli::arguments::Run;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::planning::{self, PlannedGraph, of_store};
use crate::cli::printer::Printer;
use crate::cli::progress::Progress;
use crate::event::{Outcome, Versions};
use crate::run::{self, Device, Interrupts, Options, Resources, Slot};
use crate::store::{RunFiles, Store};
use std::path::Path;
use std::process::Command;

pub(crate) fn run(arguments: &Run, store_path: &Path, printer: Printer) -> Result<Exit, Trouble> {
    let resolved = planning::resolve(&arguments.recipe)?;
    let graph = planning::lower(&resolved);
    let wrong = |error: &dyn Hint| Trouble::from_hint(error, Exit::Wrong);
    let device: Device =
        arguments.device.parse().map_err(|error: run::DeviceError| wrong(&error))?;
    let mut resources = Resources::detect();
    resources.cuda_devices = super::torch::usable_cuda_devices(resources.cuda_devices);
    let slots = resources.slots(device, arguments.workers).map_err(|error| wrong(&error))?;
    let program = super::torch::worker_program()?;
    let store = Store::open(store_path).map_err(of_store)?;
    let interrupts = Interrupts::install().map_err(|error| Trouble::Said {
        message: format!("Ctrl-C cannot be watched: {error}"),
        hint: None,
        exit: Exit::Broke,
    })?;
    let text = std::fs::read_to_string(&arguments.recipe.file).unwrap_or_default();
    let planned = serde_json::to_string(&PlannedGraph::of(&graph, planning::members(&resolved)))
        .expect("a graph holds only numbers, text, lists and maps with string keys");
    let keys: Vec<_> = graph.nodes().map(|node| node.key).collect();
    let files =
        RunFiles { recipe: &text, resolved: &resolved.to_toml(), graph: &planned, keys: &keys };
    let log = store.create_run(&resolved.recipe.name, &files).map_err(of_store)?;
    let worker = |slot: &Slot| {
        let mut command = Command::new(&program);
        command.arg("--store").arg(store_path).arg("worker");
        command.args(["--device", &slot.device, "--threads", &slot.threads.to_string()]);
        command
    };
    let options = Options {
        name: resolved.recipe.name.clone(),
        recipe_file: arguments.recipe.file.display().to_string(),
        versions: versions(&resources),
        machine: resources.machine(),
        slots,
        retries: resolved.recipe.run.retries,
        checkpoint_every_secs: resolved.recipe.run.checkpoint_every_secs,
        worker: &worker,
        interrupts,
    };
    let mut progress = Progress::new(printer);
    let summary = run::run(&graph, &store, log, &options, &mut |record| progress.see(record))
        .map_err(|run::RunError::Store(error)| of_store(error))?;
    let recorded = store.run(&summary.run).map_err(of_store)?;
    printer.data(&report::conclude(&store, &recorded, printer)?)?;
    Ok(match summary.outcome {
        Outcome::Done | Outcome::Stored => Exit::Done,
        Outcome::Failed => Exit::StageFailed,
        Outcome::Interrupted => Exit::Interrupted,
    })
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
