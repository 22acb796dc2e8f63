//! `mstar run`: carries out what is missing, shows how far it is, and ends with the report.

use super::report;
use crate::cli::arguments::Run;
use crate::cli::asked::Asked;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::fetching::{bring, settings};
use crate::cli::live;
use crate::cli::planning::{self, PlannedGraph, of_store};
use crate::cli::printer::Printer;
use crate::cli::progress::Progress;
use crate::cli::records;
use crate::cli::sharing::{self, Here, Opened, tell_disagreements};
use crate::cli::trackers::Trackers;
use crate::event::{Outcome, Record, Versions};
use crate::run::{self, Device, Interrupts, Options, Resources, Slot};
use crate::store::{self, RunFiles, RunLog, Store};
use crate::track::Tracking;
use std::path::Path;
use std::process::Command;

pub(crate) fn run(arguments: &Run, store_path: &Path, printer: Printer) -> Result<Exit, Trouble> {
    let job = match &arguments.resume {
        Some(name) => Job::frozen(name, store_path)?,
        None => Job::asked(arguments, printer)?,
    };
    Ok(carry_out(arguments, job, store_path, printer)?.0)
}

/// This machine and the workers that it will have.
pub(super) fn machine(
    device: &str,
    workers: Option<u32>,
) -> Result<(Resources, Vec<Slot>), Trouble> {
    let wrong = |error: run::DeviceError| Trouble::from_hint(&error, Exit::Wrong);
    let device: Device = device.parse().map_err(wrong)?;
    let mut resources = Resources::detect();
    resources.cuda_devices = super::torch::usable_cuda_devices(resources.cuda_devices);
    let slots = resources.slots(device, workers).map_err(wrong)?;
    Ok((resources, slots))
}

/// Carries out a job and shows its report; returns how it ended and the run's name.
pub(super) fn carry_out(
    arguments: &Run,
    job: Job,
    store_path: &Path,
    printer: Printer,
) -> Result<(Exit, String), Trouble> {
    let (resources, mut slots) = machine(&arguments.device, arguments.workers)?;
    let program = super::torch::worker_program()?;
    let store = Store::open(store_path).map_err(of_store)?;
    records::tell_unreadable(&store, printer)?;
    let versions = versions(&resources);
    if job.is_of_file {
        let here = Here { versions: &versions, device: slots[0].kind() };
        tell_disagreements(&job.planned, &here, printer)?;
    }
    // The number of threads decides the order of sums, and so the last bits.
    let threads = job.threads.filter(|threads| *threads <= resources.cores);
    for slot in slots.iter_mut().filter(|slot| slot.kind() == "cpu") {
        slot.threads = threads.unwrap_or(slot.threads);
    }
    let interrupts = Interrupts::install().map_err(|error| Trouble::Said {
        message: format!("Ctrl-C cannot be watched: {error}"),
        hint: None,
        exit: Exit::Broke,
    })?;
    let trackers = Trackers::read(&arguments.track)?;
    let listener = arguments.shown.ui.then(|| live::listen(arguments.shown.port)).transpose()?;
    let log = job.log(&store)?;
    let recorded = store.run(log.id()).map_err(of_store)?;
    let page = listener.map(|listener| live::serve(listener, &store, &recorded)).transpose()?;
    if let Some(page) = &page {
        printer.talk(&format!("live page: {}", page.url()));
    }
    let tracking = begin_tracking(&trackers, (&store, &recorded), printer);
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
        versions,
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
    let mut see = |record: &Record| {
        tracking.warnings().iter().for_each(|warning| progress.warn(warning));
        progress.see(record);
    };
    let summary = run::run(graph, &store, log, &options, &mut see)
        .map_err(|run::RunError::Store(error)| of_store(error))?;
    drop(page);
    end_tracking(tracking, &recorded, printer);
    let report = report::conclude(&store, &recorded, printer)?;
    match job.is_repeated {
        true => printer.talk(report.trim_end()),
        false => printer.data(&report)?,
    }
    let exit = match summary.outcome {
        Outcome::Done | Outcome::Stored => Exit::Done,
        Outcome::Failed => Exit::StageFailed,
        Outcome::Interrupted => Exit::Interrupted,
    };
    Ok((exit, summary.run))
}

/// Begins to tell trackers. One that cannot be told keeps no run from beginning.
fn begin_tracking(
    trackers: &Trackers,
    (store, run): (&Store, &store::Run),
    printer: Printer,
) -> Tracking {
    let mut begun = Vec::new();
    for tracker in trackers.of(store, run) {
        match tracker {
            Ok(tracker) => begun.push(tracker),
            Err(error) => printer.complain(&format!("warning: a tracker is not told: {error}")),
        }
    }
    Tracking::start(begun)
}

fn end_tracking(tracking: Tracking, run: &store::Run, printer: Printer) {
    let (warnings, behind) = tracking.finish();
    warnings.iter().for_each(|warning| printer.complain(warning));
    for name in behind {
        let rest = format!("mstar track {} --to {name}", run.id());
        printer.complain(&format!("warning: {name} was not told everything; later: `{rest}`"));
    }
}

/// What is to be carried out, and where that is recorded.
pub(super) struct Job {
    planned: PlannedGraph,
    record: Recorded,
    /// Whether a file asks for it, so that a lock may lie beside.
    is_of_file: bool,
    /// Whether it repeats a run, so that its report is talk and the comparison is the data.
    is_repeated: bool,
    /// Threads of each worker on a processor, where they are to be those of another run.
    threads: Option<u32>,
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
        let mut asked = Asked::read(file, &arguments.over)?;
        let missing = asked.missing();
        if !missing.is_empty() {
            let settings = settings();
            for repo in &missing {
                bring(repo, &settings, printer)?;
            }
            asked = Asked::read(file, &arguments.over)?;
        }
        let planned = PlannedGraph::of(&asked, asked.graph(printer)?);
        printer.notes(&asked.notes);
        let (text, resolved) = (asked.text().to_owned(), asked.to_toml());
        let record = Recorded::New { text, resolved };
        Ok(Self { planned, record, is_of_file: true, is_repeated: false, threads: None })
    }

    /// What a bundle holds, which was unpacked to a folder, with its data where they lie here.
    pub(super) fn again(bundle: &Opened, mut planned: PlannedGraph, folder: &Path) -> Self {
        planned.file = folder.join(sharing::RECIPE).display().to_string();
        let (text, resolved) = (bundle.recipe.clone(), bundle.resolved.clone());
        let record = Recorded::New { text, resolved };
        let threads = bundle.threads();
        Self { planned, record, is_of_file: false, is_repeated: true, threads }
    }

    /// What a run froze when it began; an empty name stands for the latest.
    fn frozen(name: &str, store: &Path) -> Result<Self, Trouble> {
        let (_, run) = planning::find_run(store, Some(name).filter(|name| !name.is_empty()))?;
        let planned = PlannedGraph::read(&run)?;
        // One that is gone is begun again.
        if !matches!(run.events(), Err(store::Error::NoLog { .. })) {
            planning::log_of(&run)?;
        }
        let record = Recorded::Old(run.id().to_owned());
        Ok(Self { planned, record, is_of_file: false, is_repeated: false, threads: None })
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
