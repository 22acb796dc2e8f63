//! `mstar show`: a recipe with every value and its origin, a run, or a member of one.

use super::list::{aligned, shown};
use super::report::summary_of;
use crate::cli::arguments::{Over, Show, TextOrJson};
use crate::cli::asked::Asked;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::outcomes::Outcomes;
use crate::cli::planning::{self, of_store};
use crate::cli::printer::Printer;
use crate::cli::recorded::{self, MeasuredMetric, RecordedValue, entry};
use crate::event::Record;
use crate::plan::MemberSummary;
use crate::report::Study;
use crate::store::{Run, Store};
use serde_json::{Map, Value, json};
use std::path::Path;

pub(crate) fn show(arguments: &Show, store: &Path, printer: Printer) -> Result<Exit, Trouble> {
    if let Some(file) = arguments.what.as_deref().map(Path::new)
        && (file.extension().is_some_and(|extension| extension == "toml") || file.is_file())
    {
        let named = file.display();
        if arguments.member.is_some() {
            let message = format!("`{named}` is a recipe; `--member` is of a run");
            return Err(Trouble::wrong(message, "name a run; `mstar list` has them"));
        }
        if !arguments.set.is_empty() && !arguments.resolved {
            let message = "`--set` has no effect without `--resolved`";
            return Err(Trouble::wrong(message, "add `--resolved`, or leave it out"));
        }
        let over = Over { set: arguments.set.clone(), ..Over::default() };
        let asked = Asked::read(file, &over)?;
        match arguments.resolved {
            true => printer.data(&(asked.to_toml() + members(&asked).as_str()))?,
            false => printer.data(asked.text())?,
        }
        return Ok(Exit::Done);
    }
    let (store, run) = planning::find_run(store, arguments.what.as_deref())?;
    if !arguments.set.is_empty() {
        let message = format!("`{}` is a run; `--set` is of a recipe", run.id());
        return Err(Trouble::wrong(message, "name a file"));
    }
    if let Some(member) = &arguments.member {
        printer.data(&show_member(&store, &run, member, arguments.format)?)?;
        return Ok(Exit::Done);
    }
    if arguments.resolved {
        printer.data(&run.resolved().map_err(of_store)?)?;
        return Ok(Exit::Done);
    }
    let summary = summary_of(&store, &run, printer)?;
    printer.data(&format!("{}\n{summary}", run.folder().display()))?;
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

fn show_member(
    store: &Store,
    run: &Run,
    name: &str,
    format: TextOrJson,
) -> Result<String, Trouble> {
    let entry = entry(run).map_err(of_store)?;
    if let Some(problem) = entry.problem {
        let message = format!("the record of run `{}` is damaged: {problem}", run.id());
        return Err(Trouble::wrong(message, "run the file again"));
    }
    let member = planning::find_named(
        &format!("member of `{}`", run.id()),
        name,
        &entry.members,
        |member| &member.name,
    )?;
    let metrics = metrics(store, run, &member.name)?;
    let resolved = recorded::if_there(run.resolved()).map_err(of_store)?.unwrap_or_default();
    let values = recorded::laid_over(recorded::values(&resolved), &member.name, &member.axes);
    if format == TextOrJson::Json {
        let all: Map<_, _> = values.into_iter().map(|it| (it.key, it.value)).collect();
        return Ok(json!({
            "format": 1, "run": run.id(), "member": member.name, "state": member.state,
            "axes": member.axes, "values": all, "metrics": metrics_json(&metrics),
        })
        .to_string());
    }
    let mut out = format!("{} of {}, {}\n", member.name, run.id(), member.state);
    if !metrics.is_empty() {
        out.extend(["\n", &aligned(&metrics.iter().map(metric_row).collect::<Vec<_>>())]);
    }
    let row = |it: RecordedValue| vec![it.key.clone(), it.in_words(), it.origin];
    let rows: Vec<Vec<String>> = values.into_iter().map(row).collect();
    out.extend(["\n", &aligned(&rows)]);
    Ok(out)
}

/// What was measured of a member, its gains paired by prompt where the responses are stored.
fn metrics(store: &Store, run: &Run, name: &str) -> Result<Vec<MeasuredMetric>, Trouble> {
    let records = Record::read_log(&run.events().map_err(of_store)?).unwrap_or_default();
    let study = Study::read(&records);
    let outcomes = Outcomes::new(store, &study);
    let known = |member: &str, split: &str, at| outcomes.get(member, split, at);
    let member = study.members.iter().find(|it| it.name == name);
    let member = member.map(|it| study.with_gains_of(it, &known));
    Ok(member.as_ref().map_or_else(Vec::new, recorded::measured))
}

fn metric_row(MeasuredMetric { name, estimate, count }: &MeasuredMetric) -> Vec<String> {
    let interval = estimate.interval.map_or(String::new(), |[low, high]| {
        let how = estimate.method.words("members");
        format!("95 % interval {} to {} ({how})", shown(low), shown(high))
    });
    let count = count.map_or(String::new(), |count| format!("of {count}"));
    vec![name.clone(), shown(estimate.mean), count, interval]
}

/// Metrics by name: value, interval and how it came about, count.
fn metrics_json(metrics: &[MeasuredMetric]) -> Value {
    let metrics = metrics.iter().map(|MeasuredMetric { name, estimate, count }| {
        let value = json!({
            "value": estimate.mean, "interval": estimate.interval,
            "method": estimate.method.of_prompts(), "count": count,
        });
        (name.clone(), value)
    });
    Value::Object(metrics.collect())
}
