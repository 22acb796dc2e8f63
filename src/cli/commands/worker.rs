//! `mstar worker`, `mstar sample` and `mstar cuda-devices`, as `mstar-worker` carries them out.

use crate::cli::arguments::{Sample, TextOrJson, Worker};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::fetching::{self, bring, of_hub};
use crate::cli::files;
use crate::cli::planning::{self, LastPolicy};
use crate::cli::printer::Printer;
use crate::hub::{self, Repo};
use crate::recipe::Dtype;
use crate::stages::{NamedModel, Question, TorchPerformer, ask, cuda_devices};
use std::path::{Path, PathBuf};

pub(crate) fn worker(arguments: &Worker, store: &Path) -> Result<Exit, Trouble> {
    let threads = arguments.threads;
    let make = || TorchPerformer::new(&arguments.device, threads);
    crate::run::serve(store, threads, make)
        .map_err(|error| Trouble::from_hint(&error, Exit::StageFailed))?;
    Ok(Exit::Done)
}

pub(crate) fn count_cuda_devices(printer: Printer) -> Result<Exit, Trouble> {
    printer.data(&cuda_devices().to_string())?;
    Ok(Exit::Done)
}

pub(crate) fn sample(arguments: &Sample, store: &Path, printer: Printer) -> Result<Exit, Trouble> {
    let images = arguments.image.iter().map(|path| files::read_picture(path));
    let question = Question {
        model: model(&arguments.model, (arguments.image_pixels, arguments.dtype), store, printer)?,
        text: arguments.text.clone(),
        images: images.collect::<Result<_, _>>()?,
        temperature: arguments.temperature,
        max_new_tokens: arguments.max_new_tokens,
        seed: arguments.seed,
        device: arguments.device.clone(),
    };
    let is_text = arguments.format == TextOrJson::Text;
    let mut printed = Ok(());
    let mut hear = |piece: &str| {
        if is_text && printed.is_ok() {
            printed = printer.piece(piece);
        }
    };
    let answer = ask(&question, &mut hear).map_err(|failure| Trouble::Said {
        message: of_pictures(&failure.reason, &arguments.image),
        hint: failure.hint,
        exit: Exit::Wrong,
    })?;
    printed?;
    let end = match arguments.format {
        TextOrJson::Text => String::new(),
        TextOrJson::Json => serde_json::json!({
            "format": 1,
            "prompt_tokens": answer.prompt_tokens,
            "tokens": answer.tokens,
            "text": answer.text,
        })
        .to_string(),
    };
    printer.data(&end)?;
    Ok(Exit::Done)
}

/// A model that is shipped, in a folder, on the hub, or the last policy of a run.
pub(super) fn model(
    name: &str,
    (image_pixels, dtype): (u64, Option<Dtype>),
    store: &Path,
    printer: Printer,
) -> Result<NamedModel, Trouble> {
    let mut of_recipe = None;
    let checkpoint = match name.strip_prefix("builtin:") {
        Some(_) => None,
        None if is_checkpoint(name) || Path::new(name).is_dir() && !is_of_run(name, store) => {
            Some(name.into())
        }
        None if Repo::is_id(name) && !is_of_run(name, store) => {
            let repo = Repo::model(name, Repo::MAIN).map_err(|it| of_hub(&it))?;
            let settings = fetching::settings();
            let found = hub::cached(&repo, &settings);
            Some(found.map_or_else(|| bring(&repo, &settings, printer), Ok)?.folder)
        }
        None => {
            let LastPolicy { folder, dtype } = planning::last_policy(store, name)?;
            of_recipe = Some(dtype);
            Some(folder)
        }
    };
    let dtype = dtype.or(of_recipe).unwrap_or(Dtype::Fp32);
    Ok(NamedModel { name: name.to_owned(), checkpoint, image_pixels, dtype })
}

fn is_checkpoint(folder: &str) -> bool {
    Path::new(folder).join("config.json").is_file()
}

/// Whether a name is that of a run, perhaps with a member. A bundle is unpacked into a folder of that
/// name, and an id of the hub has a `/` too.
fn is_of_run(name: &str, store: &Path) -> bool {
    let run = name.split_once('/').map_or(name, |(run, _)| run);
    planning::find_run(store, Some(run)).is_ok_and(|(_, found)| found.id() == run)
}

/// What is wrong with a picture for the model, with the name of it, or of those that it may be.
fn of_pictures(reason: &str, pictures: &[PathBuf]) -> String {
    let Some(rest) = reason.strip_prefix("a picture ") else { return reason.to_owned() };
    let names: Vec<String> = pictures.iter().map(|path| format!("`{}`", path.display())).collect();
    match names.as_slice() {
        [only] => format!("{only} {rest}"),
        several => format!("one of {} {rest}", several.join(", ")),
    }
}
