//! `mstar check`: every fault of every recipe, before anything runs.

use crate::cli::arguments::{Check, Over};
use crate::cli::asked::Asked;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::printer::Printer;
use crate::cli::trials::Trials;

pub(crate) fn check(arguments: &Check, printer: Printer) -> Result<Exit, Trouble> {
    let mut wrong = 0;
    for file in &arguments.files {
        let over = Over { base: arguments.base.clone(), ..Over::default() };
        let checked = Asked::read(file, &over).and_then(|asked| {
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
