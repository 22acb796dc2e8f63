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
    let (counts, is_kept) = made.map_err(of_store)?;
    let path = store.index_path().display().to_string();
    if arguments.format == TextOrJson::Json {
        let value = json!({
            "format": 1, "runs": counts.runs, "members": counts.members, "values": counts.values,
            "metrics": counts.metrics, "file": is_kept.then_some(path),
        });
        printer.data(&value.to_string())?;
        return Ok(Exit::Done);
    }
    printer.data(&format!(
        "runs {}, members {}, values {}, metrics {}",
        counts.runs, counts.members, counts.values, counts.metrics
    ))?;
    printer.talk(&match is_kept {
        true => format!("kept in {path}"),
        false => format!("{path} cannot be written now: every command reads the records itself"),
    });
    Ok(Exit::Done)
}
