//! `mstar list`: the runs in the store.

use crate::cli::arguments::{List, TextOrJson};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::planning::of_store;
use crate::cli::printer::Printer;
use crate::cli::records;
use crate::event::{Event, Outcome, Record};
use crate::store::{Run, Store};
use serde::Serialize;
use std::path::Path;

/// A run in a line.
#[derive(Serialize)]
struct Row {
    run: String,
    recipe: String,
    outcome: Option<Outcome>,
    seconds: Option<f64>,
    accuracy: Option<f64>,
}

pub(crate) fn list(arguments: &List, store: &Path, printer: Printer) -> Result<Exit, Trouble> {
    let runs = match Store::open_existing(store).map_err(of_store)? {
        Some(store) => {
            records::tell_unreadable(&store, printer)?;
            store.runs().map_err(of_store)?
        }
        None => Vec::new(),
    };
    let rows: Vec<Row> = runs.iter().map(row).collect::<Result<_, _>>()?;
    if arguments.format == TextOrJson::Json {
        let value = serde_json::json!({ "format": 1, "runs": rows });
        printer.data(&value.to_string())?;
        return Ok(Exit::Done);
    }
    if rows.is_empty() {
        printer.talk("no runs yet; `mstar run recipes/quickstart.toml` starts one");
    }
    for row in rows {
        let outcome = match row.outcome {
            Some(Outcome::Done | Outcome::Stored) => "done",
            Some(Outcome::Failed) => "failed",
            Some(Outcome::Interrupted) => "interrupted",
            None => "not ended",
        };
        let seconds =
            row.seconds.map_or(String::new(), |seconds| crate::base::Duration(seconds).to_string());
        let accuracy = row.accuracy.map_or(String::new(), |accuracy| format!("{accuracy:.3}"));
        printer.data(&format!(
            "{:<28} {outcome:<12} {seconds:>12} {accuracy:>7}  {}",
            row.run, row.recipe
        ))?;
    }
    Ok(Exit::Done)
}

fn row(run: &Run) -> Result<Row, Trouble> {
    let records = Record::read_log(&run.events().map_err(of_store)?).unwrap_or_default();
    let mut row = Row {
        run: run.id().to_owned(),
        recipe: String::new(),
        outcome: None,
        seconds: None,
        accuracy: None,
    };
    for record in &records {
        match &record.event {
            Event::RunStarted { recipe_file, .. } => {
                row.recipe.clone_from(recipe_file);
                // A run that was gone on with has not ended yet.
                (row.outcome, row.seconds) = (None, None);
            }
            Event::RunFinished { outcome, seconds } => {
                (row.outcome, row.seconds) = (Some(*outcome), Some(*seconds));
            }
            _ => {}
        }
    }
    let study = crate::report::Study::read(&records);
    row.accuracy = study.leader().and_then(|leader| {
        let curve = leader.curve(leader.result_split(), crate::report::Branch::Evolution);
        curve.last().map(|(_, evaluated)| evaluated.accuracy)
    });
    Ok(row)
}
