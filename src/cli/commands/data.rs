//! `mstar data preview`: a contact sheet of samples.

use crate::base::{Hint, Seed};
use crate::cli::arguments::Data;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::printer::Printer;
use crate::data::mini_vista::{MiniVista, POOL_ONE_OPERATION, Stream};
use crate::data::{Sample, preview::contact_sheet, source::Source};

/// Tiles in a row of the sheet.
const COLUMNS: u32 = 5;

pub(crate) fn data(arguments: &Data, printer: Printer) -> Result<Exit, Trouble> {
    let Data::Preview(preview) = arguments;
    let wrong = |error: &dyn Hint| Trouble::from_hint(error, Exit::Wrong);
    Source::loadable(&preview.source).map_err(|error| wrong(&error))?;
    let task = MiniVista::new(Seed(preview.seed), POOL_ONE_OPERATION);
    let samples: Vec<Sample> =
        (0..preview.count).map(|index| task.sample(Stream::Train, index)).collect();
    let png = contact_sheet(&samples, COLUMNS).map_err(|error| wrong(&error))?;
    crate::store::write_beside(&preview.output, &png).map_err(super::super::planning::of_store)?;
    printer.talk(&format!("{} samples in {}", samples.len(), preview.output.display()));
    Ok(Exit::Done)
}
