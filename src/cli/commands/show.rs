//! `mstar show`: a recipe with every value and its origin, a run, or a member of one.

use super::list::{aligned, metrics_json, shown};
use crate::cli::arguments::{Show, TextOrJson};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::planning::{self, of_store};
use crate::cli::printer::Printer;
use crate::cli::recorded::{self, RecordedValue, entry};
use crate::event::Record;
use crate::report::{Study, summary};
use crate::store::{IndexedMetric, Run};
use serde_json::{Map, json};
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
    if let Some(member) = &arguments.member {
        printer.data(&show_member(&run, member, arguments.format)?)?;
        return Ok(Exit::Done);
    }
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

fn show_member(run: &Run, name: &str, format: TextOrJson) -> Result<String, Trouble> {
    let entry = entry(run).map_err(of_store)?;
    let member = planning::find_named(
        &format!("member of `{}`", run.id()),
        name,
        &entry.members,
        |member| &member.name,
    )?;
    let resolved = recorded::if_there(run.resolved()).map_err(of_store)?.unwrap_or_default();
    let values = recorded::laid_over(recorded::values(&resolved), &member.name, &member.axes);
    if format == TextOrJson::Json {
        let all: Map<_, _> = values.into_iter().map(|it| (it.key, it.value)).collect();
        return Ok(json!({
            "format": 1, "run": run.id(), "member": member.name, "state": member.state,
            "axes": member.axes, "values": all, "metrics": metrics_json(member),
        })
        .to_string());
    }
    let mut out = format!("{} of {}, {}\n", member.name, run.id(), member.state);
    let metrics: Vec<Vec<String>> = member.metrics.iter().map(metric_row).collect();
    if !metrics.is_empty() {
        out.extend(["\n", &aligned(&metrics)]);
    }
    let row = |it: RecordedValue| vec![it.key.clone(), it.in_words(), it.origin];
    let rows: Vec<Vec<String>> = values.into_iter().map(row).collect();
    out.extend(["\n", &aligned(&rows)]);
    Ok(out)
}

fn metric_row(metric: &IndexedMetric) -> Vec<String> {
    let interval = metric.interval.map_or(String::new(), |[low, high]| {
        format!("95 % interval {} to {}", shown(low), shown(high))
    });
    let count = metric.count.map_or(String::new(), |count| format!("of {count}"));
    vec![metric.name.clone(), shown(metric.value), count, interval]
}
