//! `mstar worker` and `mstar sample`: the commands that start libtorch.

use crate::cli::arguments::{Sample, Worker};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::printer::Printer;
use std::path::Path;

/// Version of the libtorch that is loaded; none in a build without it.
pub(super) fn libtorch_version() -> Option<String> {
    #[cfg(feature = "torch")]
    let version = Some(crate::stages::libtorch_version());
    #[cfg(not(feature = "torch"))]
    let version = None;
    version
}

/// CUDA devices that this libtorch can use, of those that the driver shows.
#[cfg(feature = "torch")]
pub(super) fn usable_cuda_devices(shown: u32) -> u32 {
    if shown == 0 { 0 } else { shown.min(crate::stages::cuda_devices()) }
}

#[cfg(not(feature = "torch"))]
pub(super) fn usable_cuda_devices(_: u32) -> u32 {
    0
}

#[cfg(feature = "torch")]
pub(crate) fn worker(arguments: &Worker, store: &Path) -> Result<Exit, Trouble> {
    let threads = arguments.threads;
    let make = || crate::stages::TorchPerformer::new(&arguments.device, threads);
    crate::run::serve(store, threads, make)
        .map_err(|error| Trouble::from_hint(&error, Exit::StageFailed))?;
    Ok(Exit::Done)
}

#[cfg(feature = "torch")]
pub(crate) fn sample(arguments: &Sample, store: &Path, printer: Printer) -> Result<Exit, Trouble> {
    use crate::cli::arguments::TextOrJson;
    use crate::cli::{files, planning};
    use crate::stages::{Question, ask};

    let images = arguments.image.iter().map(|path| files::read_bytes(path));
    let checkpoint = match arguments.model.strip_prefix("builtin:") {
        Some(_) => None,
        None if Path::new(&arguments.model).is_dir() => Some(arguments.model.clone().into()),
        None => Some(planning::last_policy(store, &arguments.model)?),
    };
    let question = Question {
        model: arguments.model.clone(),
        checkpoint,
        text: arguments.text.clone(),
        images: images.collect::<Result<_, _>>()?,
        temperature: arguments.temperature,
        max_new_tokens: arguments.max_new_tokens,
        seed: arguments.seed,
        device: arguments.device.clone(),
    };
    let answer = ask(&question).map_err(|failure| Trouble::Said {
        message: failure.reason,
        hint: failure.hint,
        exit: Exit::Wrong,
    })?;
    let text = match arguments.format {
        TextOrJson::Text => answer.text,
        TextOrJson::Json => serde_json::json!({
            "format": 1,
            "prompt_tokens": answer.prompt_tokens,
            "tokens": answer.tokens,
            "text": answer.text,
        })
        .to_string(),
    };
    printer.data(&text)?;
    Ok(Exit::Done)
}

#[cfg(not(feature = "torch"))]
fn without_torch() -> Trouble {
    Trouble::wrong(
        "this mstar was built without libtorch: it checks, plans and reports",
        "build it with the feature `torch`, which is on by default",
    )
}

#[cfg(not(feature = "torch"))]
pub(crate) fn worker(_: &Worker, _: &Path) -> Result<Exit, Trouble> {
    Err(without_torch())
}

#[cfg(not(feature = "torch"))]
pub(crate) fn sample(_: &Sample, _: &Path, _: Printer) -> Result<Exit, Trouble> {
    Err(without_torch())
}
