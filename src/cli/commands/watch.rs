//! `mstar watch`: how far a run is, in words or as a page, until it ends.

use crate::cli::arguments::Watch;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::live::{self, Watched};
use crate::cli::planning;
use crate::cli::printer::Printer;
use crate::cli::progress::Progress;
use crate::event::Outcome;
use crate::run::Interrupts;
use std::path::Path;
use std::time::Duration;

/// Between two looks at the log.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(crate) fn watch(arguments: &Watch, store: &Path, printer: Printer) -> Result<Exit, Trouble> {
    let (store, run) = planning::find_run(store, arguments.run.as_deref())?;
    if arguments.shown.ui {
        let server = live::serve(live::listen(arguments.shown.port)?, &store, &run)?;
        printer.data(&server.url())?;
        printer.talk(&format!("the page of {} is served until Ctrl-C", run.id()));
        return wait_for_the_user();
    }
    let mut watched = Watched::new(store, run);
    let seen = watched.look()?;
    watched.tell_unreadable(printer);
    let mut is_living = watched.is_living()?;
    if seen.is_empty() && !is_living {
        return Err(planning::says_nothing(watched.run()));
    }
    let shown = watched.text(is_living);
    let mut lines = shown.lines().count();
    printer.data(&shown)?;
    if arguments.once {
        return Ok(Exit::Done);
    }
    let mut progress = Progress::to_data(printer, &seen);
    while is_living {
        std::thread::sleep(LOOK_EVERY);
        // Who ends a run says so before it lets go of it.
        is_living = watched.is_living()?;
        let records = watched.look()?;
        is_living &= watched.status.ended.is_none();
        if printer.shows_data() {
            let shown = printer.fitting(&watched.text(is_living));
            printer.redraw(&shown, lines)?;
            lines = shown.lines().count();
        } else {
            records.iter().for_each(|record| progress.see(record));
            if !is_living {
                printer.data(&format!("\n{}", watched.text(is_living)))?;
            }
        }
    }
    Ok(match watched.status.ended {
        Some(Outcome::Done | Outcome::Stored) => Exit::Done,
        Some(Outcome::Interrupted) => Exit::Interrupted,
        Some(Outcome::Failed) | None => Exit::StageFailed,
    })
}

fn wait_for_the_user() -> Result<Exit, Trouble> {
    let interrupts = Interrupts::install().map_err(|error| Trouble::Said {
        message: format!("Ctrl-C cannot be watched: {error}"),
        hint: None,
        exit: Exit::Broke,
    })?;
    while interrupts.count() == 0 {
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(Exit::Done)
}
