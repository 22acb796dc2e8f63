//! `mstar rollouts`: a walk through samples, one prompt a screen, or all at once.

use crate::base::{Hint, counted};
use crate::cli::arguments::{Rollouts, SampleSplit, TextOrJson};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::planning::{self, of_store};
use crate::cli::printer::Printer;
use crate::cli::rollouts::{Prompt, Screen, Walk, Wanted, screen, to_json, walk};
use crate::data::preview::png;
use std::path::{Path, PathBuf};

/// What is asked between two screens.
const KEYS: &str = "[n]ext, [p]revious, [q]uit: ";

pub(crate) fn rollouts(
    arguments: &Rollouts,
    store: &Path,
    printer: Printer,
) -> Result<Exit, Trouble> {
    let (store, run) = planning::find_run(store, arguments.run.as_deref())?;
    let walk = walk(&store, &run, &wanted(arguments))?;
    if let Some(folder) = &arguments.images {
        write_images(&walk, folder)?;
    }
    let file = |prompt: &Prompt, number: usize| {
        let path = arguments.images.as_deref().map(|folder| image_path(folder, prompt, number));
        path.map(|path| path.display().to_string())
    };
    if arguments.format == TextOrJson::Json {
        printer.data(&to_json(&walk, &file).to_string())?;
        return Ok(Exit::Done);
    }
    printer.talk(&format!(
        "{} of {}: {} to {}, {} shown",
        walk.stage,
        walk.run,
        counted(walk.response_count, "response"),
        counted(walk.prompt_count, "prompt"),
        walk.prompts.len()
    ));
    match printer.asks() && walk.prompts.len() > 1 {
        true => leaf_through(&walk, printer)?,
        false => {
            for at in 0..walk.prompts.len() {
                let Screen { drawing, text } = screen(&walk, at, printer.shows_pictures());
                let between = if at > 0 { "\n" } else { "" };
                printer.drawn(&format!("{between}{drawing}"), &text)?;
            }
        }
    }
    Ok(Exit::Done)
}

fn wanted(arguments: &Rollouts) -> Wanted {
    let either = |yes: bool, no: bool| (yes || no).then_some(yes);
    Wanted {
        member: arguments.member.clone(),
        iteration: arguments.iteration,
        stage: arguments.stage.clone(),
        split: arguments.split.map(|split| match split {
            SampleSplit::Train => "train",
            SampleSplit::Validation => "validation",
            SampleSplit::Test => "test",
        }),
        correct: either(arguments.right, arguments.wrong),
        kept: either(arguments.kept, arguments.dropped),
        limit: arguments.limit,
        seed: arguments.seed,
    }
}

/// One prompt a screen, until the last was left or the reader has enough.
fn leaf_through(walk: &Walk, printer: Printer) -> Result<(), Trouble> {
    let draws = printer.shows_pictures();
    let clear = if draws { "\x1b[2J\x1b[H" } else { "" };
    let mut at = 0;
    while at < walk.prompts.len() {
        let Screen { drawing, text } = screen(walk, at, draws);
        printer.drawn(&format!("{clear}{drawing}"), &text)?;
        let Some(key) = printer.ask(KEYS)? else { break };
        at = match key.as_str() {
            "q" => break,
            "p" => at.saturating_sub(1),
            "" | "n" => at + 1,
            _ => at,
        };
    }
    Ok(())
}

/// The file of a picture; the only one of a prompt needs no number.
fn image_path(folder: &Path, prompt: &Prompt, number: usize) -> PathBuf {
    let id = prompt.sample.id;
    folder.join(match prompt.sample.images.len() {
        1 => format!("{id}.png"),
        _ => format!("{id}-{}.png", number + 1),
    })
}

fn write_images(walk: &Walk, folder: &Path) -> Result<(), Trouble> {
    let made = crate::store::make_output_folder(folder);
    made.map_err(|error| {
        Trouble::wrong(error.to_string(), "name a folder that you may write in with `--images`")
    })?;
    for prompt in &walk.prompts {
        for (number, image) in prompt.sample.images.iter().enumerate() {
            let bytes =
                png(image).map_err(|error| Trouble::from_hint(&error as &dyn Hint, Exit::Wrong))?;
            let path = image_path(folder, prompt, number);
            crate::store::write_beside(&path, &bytes).map_err(of_store)?;
        }
    }
    Ok(())
}
