//! `mstar track`: tells trackers what they do not know of a run yet.

use crate::base::Hint as _;
use crate::cli::arguments::Track;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::planning;
use crate::cli::printer::Printer;
use crate::cli::trackers::Trackers;
use crate::track::TrackError;
use std::path::Path;

pub(crate) fn track(arguments: &Track, store: &Path, printer: Printer) -> Result<Exit, Trouble> {
    let trackers = Trackers::read(&arguments.to)?;
    let (store, run) = planning::find_run(store, arguments.run.as_deref())?;
    let mut exit = Exit::Done;
    for tracker in trackers.of(&store, &run) {
        let told = tracker.and_then(|mut tracker| {
            tracker.tell()?;
            Ok((tracker.name().to_owned(), tracker.told()))
        });
        match told {
            Ok((name, told)) => printer.data(&format!("{name}: {told} new"))?,
            // One that is down keeps no other from being told.
            Err(error) => {
                printer.complain(&format!("error: {error}"));
                printer.complain(&format!("hint: {}", way_out(&error)));
                exit = Exit::StageFailed;
            }
        }
    }
    Ok(exit)
}

fn way_out(error: &TrackError) -> String {
    let later = "call `mstar track` again later: what was taken is not told twice";
    error.hint().map_or_else(|| later.to_owned(), |hint| format!("{hint}; {later}"))
}
