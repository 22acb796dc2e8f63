//! `mstar check`: every fault of every recipe, before anything runs.

use crate::base::Faults;
use crate::cli::arguments::{Check, Over};
use crate::cli::asked::Asked;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::printer::Printer;
use crate::cli::trials::Trials;
use std::path::Path;

pub(crate) fn check(arguments: &Check, printer: Printer) -> Result<Exit, Trouble> {
    let mut wrong = 0;
    for file in &arguments.files {
        let over = Over { base: arguments.base.clone(), ..Over::default() };
        let asked = Asked::read(file, &over).map_err(|trouble| with_tests(trouble, file, &over));
        let checked = asked.and_then(|asked| {
            if !asked.is_experiment() {
                Trials::read(&asked, file)?;
            }
            Ok((asked.graph(printer)?, asked))
        });
        match checked {
            Ok((graph, asked)) => {
                printer.notes(&asked.notes);
                let members = match asked.summaries.len() {
                    1 => String::new(),
                    many => format!("{many} members, {} stages apart, ", graph.unshared()),
                };
                let stages = graph.len();
                printer.talk(&format!("{}: good, {members}{stages} stages", file.display()));
            }
            Err(trouble) => {
                wrong += 1;
                printer.complain(&trouble.to_string());
            }
        }
    }
    Ok(if wrong == 0 { Exit::Done } else { Exit::Wrong })
}

/// What is wrong with a recipe and, where that are its data or its checkpoint, with its tests too.
fn with_tests(trouble: Trouble, file: &Path, over: &Over) -> Trouble {
    let Trouble::Faults(Faults(mut faults)) = trouble else { return trouble };
    let tests = Asked::read_for_tests(file, over);
    let tests = tests.ok().filter(|asked| !asked.is_experiment());
    if let Some(Err(Trouble::Faults(Faults(more)))) = tests.map(|it| Trials::read(&it, file)) {
        faults.extend(more);
    }
    Trouble::Faults(Faults(faults))
}
