//! `mstar report`: what happened in a run, as a page, tables or JSON.

use crate::cli::arguments::{Report, ReportFormat};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::planning::{self, PlannedGraph, of_store};
use crate::cli::printer::Printer;
use crate::cli::samples::samples;
use crate::event::Record;
use crate::report::{Extras, RecipeLine, Study, page, summary, to_json};
use crate::store::{Run, Store};
use std::path::{Path, PathBuf};

pub(crate) fn report(arguments: &Report, store: &Path, printer: Printer) -> Result<Exit, Trouble> {
    let (store, run) = planning::find_run(store, arguments.run.as_deref())?;
    let text = match arguments.format {
        ReportFormat::Text => summary(&read(&run)?, None),
        ReportFormat::Json => to_json(&read(&run)?).to_string(),
        ReportFormat::Html => {
            let path = write_page(&store, &run, arguments.output.as_deref())?;
            printer.data(&path.display().to_string())?;
            return Ok(Exit::Done);
        }
    };
    match &arguments.output {
        Some(path) => crate::store::write_beside(path, text.as_bytes()).map_err(of_store)?,
        None => printer.data(&text)?,
    }
    Ok(Exit::Done)
}

/// The terminal's summary of a run whose page has been written.
pub(super) fn summary_text(run: &Run, page: &Path) -> Result<String, Trouble> {
    Ok(summary(&read(run)?, Some(&page.display().to_string())))
}

fn read(run: &Run) -> Result<Study, Trouble> {
    let text = run.events().map_err(of_store)?;
    let records = Record::read_log(&text).map_err(|(line, error)| {
        Trouble::wrong(
            format!("line {line} of the log of `{}` cannot be read: {error}", run.id()),
            "it was altered, or written by a newer mstar",
        )
    })?;
    Ok(Study::read(&records))
}

/// Writes the page of a run, and says where.
pub(super) fn write_page(
    store: &Store,
    run: &Run,
    output: Option<&Path>,
) -> Result<PathBuf, Trouble> {
    let study = read(run)?;
    let text = run.graph().map_err(of_store)?;
    let planned = serde_json::from_str::<PlannedGraph>(&text).ok();
    let extras = Extras {
        samples: match &planned {
            Some(planned) => samples(store, &planned.graph)?,
            None => Vec::new(),
        },
        recipe: recipe_lines(&run.resolved().map_err(of_store)?),
        commands: Vec::new(),
        graph_svg: planned.map(|planned| graph_svg(&study, &planned)),
    };
    let html = page(&study, &extras);
    let path = output.map_or_else(|| run.folder().join("report.html"), Path::to_owned);
    crate::store::write_beside(&path, html.as_bytes()).map_err(of_store)?;
    Ok(path)
}

/// The resolved recipe, line by line: `key = value  # origin` under its table's header.
fn recipe_lines(resolved: &str) -> Vec<RecipeLine> {
    let mut table = String::new();
    let mut lines = Vec::new();
    for line in resolved.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            table = format!("{name}.");
        } else if let Some((key, rest)) = line.split_once(" = ")
            && !key.starts_with('#')
        {
            let (value, origin) = rest.rsplit_once("# ").unwrap_or((rest, "default"));
            lines.push(RecipeLine {
                key: format!("{table}{}", key.trim()),
                value: value.trim().to_owned(),
                origin: origin.trim().to_owned(),
            });
        }
    }
    lines
}

/// The graph with the seconds that each stage took.
fn graph_svg(study: &Study, planned: &PlannedGraph) -> String {
    use crate::base::Duration;
    use crate::plan::view::{Drawing, Label, Tone, svg};
    use crate::report::State;
    let by_key: std::collections::BTreeMap<_, _> =
        study.stages.iter().map(|stage| (stage.summary.key, stage)).collect();
    let drawing = Drawing { graph: &planned.graph, title: "Stages", subtitle: "seconds of work" };
    svg(drawing, |nodes| {
        let rows = nodes.iter().filter_map(|node| by_key.get(&node.key));
        let seconds: f64 = rows.clone().map(|row| row.seconds).sum();
        let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        let (text, tone) = match rows.map(|row| &row.state).next() {
            Some(State::Done) => (Duration(seconds).to_string(), Tone::Done),
            Some(State::Stored) => ("stored".to_owned(), Tone::Open),
            Some(state) => (state.word().to_owned(), Tone::Bad),
            None => ("–".to_owned(), Tone::Open),
        };
        Label { text, hint: names.join(", "), tone }
    })
}
