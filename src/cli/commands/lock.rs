//! `mstar lock`: pins everything that decides the result of a recipe, or says what no longer agrees.

use super::run::{machine, versions};
use crate::bundle::Lock as Pinned;
use crate::cli::arguments::Lock;
use crate::cli::asked::Asked;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::files::read_lock;
use crate::cli::outputs::{spare_input, spare_written};
use crate::cli::planning::{PlannedGraph, of_store};
use crate::cli::printer::Printer;
use crate::cli::sharing::{Here, disagreements, lock_beside, lock_of};
use crate::store;

pub(crate) fn lock(arguments: &Lock, printer: Printer) -> Result<Exit, Trouble> {
    let asked = Asked::read(&arguments.file, &arguments.over)?;
    let planned = PlannedGraph::of(&asked, asked.graph(printer)?);
    printer.notes(&asked.notes);
    let (resources, slots) = machine(&arguments.device, None)?;
    let here = Here { versions: &versions(&resources), device: slots[0].kind() };
    let path = arguments.output.clone().unwrap_or_else(|| lock_beside(&arguments.file));
    if !arguments.check {
        spare_input(&path, &arguments.file)?;
        if read_lock(&path).map_or(true, |text| Pinned::parse(&text).is_err()) {
            spare_written(&path)?;
        }
        let text = lock_of(&planned, &here)?.to_toml();
        store::write_beside(&path, text.as_bytes()).map_err(of_store)?;
        printer.data(&path.display().to_string())?;
        return Ok(Exit::Done);
    }
    let told = disagreements(&path, &planned, &here)?;
    if told.is_empty() {
        printer.data(&format!("{} agrees with {}", path.display(), planned.file))?;
        return Ok(Exit::Done);
    }
    printer.data(&told.join("\n"))?;
    let count = told.len();
    printer.complain(&format!(
        "error: `{}` pins something else in {count} {}\nhint: `mstar lock {}` pins what it is now",
        path.display(),
        if count == 1 { "place" } else { "places" },
        planned.file,
    ));
    Ok(Exit::Wrong)
}
