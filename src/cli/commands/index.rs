//! `mstar index`: brings the index of runs up to date, or makes it anew.

use crate::cli::arguments::{Index, TextOrJson};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::planning::of_store;
use crate::cli::printer::Printer;
use crate::cli::recorded::entry;
use crate::store::Store;
use serde_json::json;
use std::path::Path;

pub(crate) fn index(arguments: &Index, store: &Path, printer: Printer) -> Result<Exit, Trouble> {
    let Some(store) = Store::open_existing(store).map_err(of_store)? else {
        printer.talk("there is no store here, hence nothing to index");
        return Ok(Exit::Done);
    };
    let made = match arguments.rebuild {
        true => store.rebuild_index(&entry),
        false => store.refresh_index(&entry),
    };
    let (counts, problem) = made.map_err(of_store)?;
    let path = store.index_path().display().to_string();
    // Only who asks for a new index is not served by the records.
    let exit = if arguments.rebuild && problem.is_some() { Exit::Wrong } else { Exit::Done };
    if arguments.format == TextOrJson::Json {
        let value = json!({
            "format": 1, "runs": counts.runs, "members": counts.members, "values": counts.values,
            "metrics": counts.metrics, "file": problem.is_none().then_some(path),
        });
        printer.data(&value.to_string())?;
        return Ok(exit);
    }
    printer.data(&format!(
        "runs {}, members {}, values {}, metrics {}",
        counts.runs, counts.members, counts.values, counts.metrics
    ))?;
    match problem {
        None => printer.talk(&format!("kept in {path}")),
        Some(problem) if arguments.rebuild => printer.complain(&format!(
            "error: `{path}` cannot be made anew: {problem}\nhint: every command reads the records \
             itself until it can be written"
        )),
        Some(problem) => printer.talk(&format!(
            "{path} cannot be written now ({problem}): every command reads the records itself"
        )),
    }
    Ok(exit)
}
