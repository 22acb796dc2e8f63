//! What is said of records of runs that cannot be read; they are no reason to stop.

use super::exit::Trouble;
use super::planning::of_store;
use super::printer::Printer;
use crate::base::Hint as _;
use crate::store::Store;

/// Names the runs that a command passes over, and says how many they are.
pub(crate) fn tell_unreadable(store: &Store, printer: Printer) -> Result<usize, Trouble> {
    let unreadable = store.unreadable_runs().map_err(of_store)?;
    for error in &unreadable {
        let hint = error.hint().map_or_else(String::new, |hint| format!("\nhint: {hint}"));
        printer.complain(&format!("warning: {error}: it is passed over{hint}"));
    }
    Ok(unreadable.len())
}
