//! `mstar gc`: removes what no run needs.

use crate::base::Bytes;
use crate::cli::arguments::Gc;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::planning::of_store;
use crate::cli::printer::Printer;
use crate::store::{Removable, Retention, Store};
use std::path::Path;

pub(crate) fn gc(arguments: &Gc, store: &Path, printer: Printer) -> Result<Exit, Trouble> {
    let Some(store) = Store::open_existing(store).map_err(of_store)? else {
        printer.talk("there is no store here, hence nothing to remove");
        return Ok(Exit::Done);
    };
    let retention = Retention { keep_runs: arguments.keep_runs, dry_run: arguments.dry_run };
    let removals = store.gc(&retention).map_err(of_store)?;
    for removal in &removals {
        let what = match &removal.what {
            Removable::Run(run) => format!("run {run}"),
            Removable::Artifact(key) => format!("artifact {}", key.short()),
            Removable::Staging(key) => format!("unfinished work {}", key.short()),
            Removable::Leftover(name) => format!("leftover {name}"),
        };
        printer.data(&format!("{:>10}  {what}", Bytes(removal.bytes).to_string()))?;
    }
    let total = Bytes(removals.iter().map(|removal| removal.bytes).sum());
    let verb = if arguments.dry_run { "would be freed" } else { "freed" };
    printer.talk(&format!("{total} {verb}"));
    Ok(Exit::Done)
}
