//! `mstar check`: every fault of every recipe, before anything runs.

use crate::cli::arguments::Check;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::planning;
use crate::cli::printer::Printer;

pub(crate) fn check(arguments: &Check, printer: Printer) -> Result<Exit, Trouble> {
    let mut wrong = 0;
    for file in &arguments.files {
        match planning::resolve_parts(file, &[]) {
            Ok(resolved) => {
                let stages = planning::lower(&resolved).len();
                printer.talk(&format!("{}: good, {stages} stages", file.display()));
            }
            Err(trouble) => {
                wrong += 1;
                printer.complain(&trouble.to_string());
            }
        }
    }
    Ok(if wrong == 0 { Exit::Done } else { Exit::Wrong })
}
