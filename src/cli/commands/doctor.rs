//! `mstar doctor`: what this machine has, what is missing, and how to mend it.

use crate::base::Bytes;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::planning::of_store;
use crate::cli::printer::Printer;
use crate::run::Resources;
use crate::store::Store;
use std::path::Path;

pub(crate) fn doctor(store: &Path, printer: Printer) -> Result<Exit, Trouble> {
    let mut resources = Resources::detect();
    resources.cuda_devices = super::torch::usable_cuda_devices(resources.cuda_devices);
    let versions = super::run::versions(&resources);
    let libtorch = versions.libtorch.unwrap_or_else(|| {
        "not in this build: it plans and reports, and cannot run (build with the feature `torch`)"
            .into()
    });
    let gpus = match resources.cuda_devices {
        0 => "none; `--device cpu` is used".to_owned(),
        count => format!("{count} CUDA devices"),
    };
    let store_line = match Store::open_existing(store).map_err(of_store)? {
        Some(opened) => {
            let runs = opened.runs().map_err(of_store)?.len();
            format!("{} ({runs} runs)", store.display())
        }
        None => format!("{} (made by the first run)", store.display()),
    };
    for (what, found) in [
        ("mstar", versions.mstar),
        ("libtorch", libtorch),
        ("platform", versions.platform),
        ("processor", format!("{}, {} cores available", resources.processor, resources.cores)),
        ("memory", Bytes(resources.memory_bytes).to_string()),
        ("GPUs", gpus),
        ("store", store_line),
    ] {
        printer.data(&format!("{what:<10} {found}"))?;
    }
    Ok(Exit::Done)
}
