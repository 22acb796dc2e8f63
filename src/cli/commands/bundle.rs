//! `mstar bundle`: writes a run into one archive that somebody else can verify and reproduce.

use super::report;
use crate::base::{Bytes, counted};
use crate::bundle;
use crate::cli::arguments::Bundle;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::outputs::spare_written;
use crate::cli::planning::{self, PlannedGraph, of_store};
use crate::cli::printer::Printer;
use crate::cli::sharing;
use crate::store;
use std::path::{Path, PathBuf};

pub(crate) fn bundle(arguments: &Bundle, store: &Path, printer: Printer) -> Result<Exit, Trouble> {
    let (store, run) = planning::find_run(store, arguments.run.as_deref())?;
    let planned = PlannedGraph::read(&run)?;
    let (study, tables) = report::tables(&store, &run, printer)?;
    let members = sharing::members((&store, &run), &planned, &study, tables, arguments.weights)?;
    let count = members.len();
    let path = match &arguments.output {
        Some(path) => path.clone(),
        None => PathBuf::from(format!("{}.mstar", run.id())),
    };
    let names = (planned.name.as_str(), run.id());
    spare_written(&path)?;
    store::write_through(&path, |to| bundle::write(to, names, members)).map_err(of_store)?;
    let size = std::fs::metadata(&path).map_or(0, |about| about.len());
    printer.talk(&format!("{} in {}", counted(count, "file"), Bytes(size)));
    printer.data(&path.display().to_string())?;
    Ok(Exit::Done)
}
