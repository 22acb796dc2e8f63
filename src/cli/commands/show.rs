//! `mstar show`: a recipe with every value and its origin, a run, or a member of one.

use super::list::{aligned, metrics_json, shown};
use crate::cli::arguments::{Over, Show, TextOrJson};
use crate::cli::asked::Asked;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::planning::{self, of_store};
use crate::cli::printer::Printer;
use crate::cli::recorded::{self, RecordedValue, entry};
use crate::plan::MemberSummary;
use crate::report::{Study, summary};
use crate::store::{IndexedMetric, Run};
use serde_json::{Map, json};
use std::path::Path;

pub(crate) fn show(arguments: &Show, store: &Path, printer: Printer) -> Result<Exit, Trouble> {
    if let Some(file) = arguments.what.as_deref().map(Path::new)
        && (file.extension().is_some_and(|extension| extension == "toml") || file.is_file())
    {
        let over = Over { set: arguments.set.clone(), ..Over::default() };
        let asked = Asked::read(file, &over)?;
        match arguments.resolved {
            true => printer.data(&(asked.to_toml() + members(&asked).as_str()))?,
            false => printer.data(asked.text())?,
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
    let records = planning::log_of(&run)?;
    printer.data(&format!(
        "{}\n{}",
        run.folder().display(),
        summary(&Study::read(&records), None, None)
    ))?;
    Ok(Exit::Done)
}

/// The members of an experiment with what each sets over what they have in common, as comments.
fn members(asked: &Asked) -> String {
    let [first, ..] = asked.summaries.as_slice() else { return String::new() };
    if first.values.is_empty() {
        return String::new();
    }
    let member = |member: &MemberSummary| {
        let set = member.values.iter().map(|(key, value)| format!("#   {key} = {value}\n"));
        format!("# {}\n{}", member.name, set.collect::<String>())
    };
    let members: String = asked.summaries.iter().map(member).collect();
    format!("\n# {} members:\n{members}", asked.summaries.len())
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
