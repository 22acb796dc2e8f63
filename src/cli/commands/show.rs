//! `mstar show`: a recipe with every value and its origin, or a run.

use crate::cli::arguments::Show;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::planning::{self, of_store};
use crate::cli::printer::Printer;
use crate::event::Record;
use crate::report::{Study, summary};
use std::path::Path;

pub(crate) fn show(arguments: &Show, store: &Path, printer: Printer) -> Result<Exit, Trouble> {
    if let Some(file) = arguments.what.as_deref().map(Path::new)
        && (file.extension().is_some_and(|extension| extension == "toml") || file.is_file())
    {
        let resolved = planning::resolve_parts(file, &arguments.set)?;
        if arguments.resolved {
            printer.data(&resolved.to_toml())?;
        } else {
            let text = std::fs::read_to_string(file).map_err(|error| {
                Trouble::wrong(format!("`{}`: {error}", file.display()), "check the path")
            })?;
            printer.data(&text)?;
        }
        return Ok(Exit::Done);
    }
    let (_, run) = planning::find_run(store, arguments.what.as_deref())?;
    if arguments.resolved {
        printer.data(&run.resolved().map_err(of_store)?)?;
        return Ok(Exit::Done);
    }
    let records = Record::read_log(&run.events().map_err(of_store)?).unwrap_or_default();
    printer.data(&format!(
        "{}\n{}",
        run.folder().display(),
        summary(&Study::read(&records), None, None)
    ))?;
    Ok(Exit::Done)
}
