//! `mstar doctor`: what this machine has, what is missing, and how to mend it.

use super::torch::Worker;
use crate::base::{Bytes, counted};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::fetching::settings;
use crate::cli::planning::of_store;
use crate::cli::printer::Printer;
use crate::hub::Settings;
use crate::run::Resources;
use crate::store::{Store, free_space};
use std::path::Path;

/// Below this much free memory a run may be killed, and below this much disk its store fills up.
const LEAST_BYTES: u64 = 1 << 30;

/// What was looked at, what was found, and what to do about it where something is missing.
struct Line {
    what: &'static str,
    found: String,
    mend: Option<String>,
}

pub(crate) fn doctor(store: &Path, printer: Printer) -> Result<Exit, Trouble> {
    let resources = Resources::detect();
    let versions = super::run::versions(&resources);
    let worker = super::torch::ask_worker();
    let hub = settings();
    let line = |what, found: String, mend: Option<&str>| Line {
        what,
        found,
        mend: mend.map(str::to_owned),
    };
    let processor = format!("{}, {} cores available", resources.processor, resources.cores);
    for Line { what, found, mend } in [
        line("mstar", versions.mstar, None),
        libtorch(&worker),
        line("platform", versions.platform, None),
        line("processor", processor, None),
        memory(&resources),
        gpus(&resources, &worker),
        line("store", stored(store)?, None),
        disk(store),
        hub_token(&hub),
        hub_cache(&hub),
        line("Python", "not needed".to_owned(), None),
    ] {
        printer.data(&format!("{what:<10} {found}"))?;
        if let Some(mend) = mend {
            printer.data(&format!("{:<10} -> {mend}", ""))?;
        }
    }
    Ok(Exit::Done)
}

fn libtorch(worker: &Worker) -> Line {
    let version = super::torch::libtorch_version().unwrap_or_default();
    let place = super::torch::libtorch_folder().unwrap_or("the system's folders");
    let (found, mend) = match worker {
        Worker::Absent => (
            "not in this build, which checks, plans and reports".to_owned(),
            Some("build with the feature `torch`, which is on by default: `cargo build --release`"),
        ),
        Worker::Answers(_) => (format!("{version}, in {place}"), None),
        Worker::Silent(why) => (
            format!("{version}, in {place}, does not start: {why}"),
            Some(
                "put it back, or set LIBTORCH to the torch folder of that version of PyTorch and \
                 build again",
            ),
        ),
    };
    Line { what: "libtorch", found, mend: mend.map(str::to_owned) }
}

fn memory(resources: &Resources) -> Line {
    let total = Bytes(resources.memory_bytes);
    let free = resources.free_memory_bytes;
    let found = free.map_or(total.to_string(), |free| format!("{total}, {} free", Bytes(free)));
    let mend = "close something, or run with `--workers 1`".to_owned();
    let mend = free.filter(|free| *free < LEAST_BYTES).map(|_| mend);
    Line { what: "memory", found, mend }
}

fn gpus(resources: &Resources, worker: &Worker) -> Line {
    let shown = resources.cuda_devices;
    let usable = match worker {
        Worker::Answers(count) => shown.min(*count),
        Worker::Absent | Worker::Silent(_) => 0,
    };
    let (found, mend) = match (shown, usable) {
        (0, _) => ("none; `--device cpu` is used".to_owned(), None),
        (shown, 0) => (
            format!("{shown} CUDA devices, which libtorch cannot use; `--device cpu` is used"),
            Some("set LIBTORCH to the torch folder of a PyTorch for CUDA, and build again".into()),
        ),
        (_, usable) => (format!("{usable} CUDA devices"), None),
    };
    Line { what: "GPUs", found, mend }
}

fn stored(store: &Path) -> Result<String, Trouble> {
    Ok(match Store::open_existing(store).map_err(of_store)? {
        Some(opened) => {
            let runs = opened.runs().map_err(of_store)?.len();
            format!("{} ({})", store.display(), counted(runs, "run"))
        }
        None => format!("{} (made by the first run)", store.display()),
    })
}

fn disk(store: &Path) -> Line {
    let here = if store.is_absolute() { store.to_owned() } else { Path::new(".").join(store) };
    let free = free_space(&here);
    let mend = "`mstar gc --dry-run` says what no run needs; or name another place with `--store`";
    let mend = (free.0 < LEAST_BYTES).then(|| mend.to_owned());
    Line { what: "disk", found: format!("{free} free for the store"), mend }
}

/// Whether there is a token for the hub; what it is, nobody is told.
fn hub_token(settings: &Settings) -> Line {
    let (found, mend) = match &settings.token {
        Some(token) => (format!("in {}", token.place()), None),
        None => {
            let mend = "only models and data that ask for consent need one: set HF_TOKEN";
            ("none".to_owned(), Some(mend.to_owned()))
        }
    };
    Line { what: "hub token", found, mend }
}

/// Where what comes from the hub is kept, and whether it may be asked. It is not asked now.
fn hub_cache(settings: &Settings) -> Line {
    let free = settings.free();
    let offline = if settings.offline { "; offline, only what is there is used" } else { "" };
    let of = match settings.endpoint == Settings::ENDPOINT {
        true => String::new(),
        false => format!("; of {}", settings.endpoint),
    };
    let found = format!("{} ({free} free{of}{offline})", settings.cache.display());
    let mend = "`hf cache` removes what is not needed; or name another place in HF_HUB_CACHE";
    let mend = (free.0 < LEAST_BYTES).then(|| mend.to_owned());
    Line { what: "hub cache", found, mend }
}
