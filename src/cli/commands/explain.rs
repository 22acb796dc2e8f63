//! `mstar explain` and `mstar schema`: the recipe language, and what a run is made of, for people and
//! for editors.

use crate::base::{FAULT_CODES, FaultCode, did_you_mean};
use crate::cli::arguments::{Explain, Schema, SchemaOf};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::printer::Printer;
use crate::event::{EventDoc, event_docs};
use crate::hooks::Moment;
use crate::plan::{StageDoc, stage_docs};
use crate::recipe::{self, KeyDoc, quoted};

pub(crate) fn explain(arguments: &Explain, printer: Printer) -> Result<Exit, Trouble> {
    let word = arguments.key.as_deref().unwrap_or("");
    let (stages, events) = (stage_docs(), event_docs());
    let entries = [
        recipe::explain(word).map(|doc| of_key(&doc)),
        stages.iter().find(|doc| doc.kind == word).map(of_stage),
        events.iter().find(|doc| doc.name == word).map(of_event),
        FaultCode::named(word).map(of_code),
        Moment::named(word).map(of_moment),
    ];
    let entries: Vec<String> = entries.into_iter().flatten().collect();
    if entries.is_empty() {
        return Err(unknown(word, &stages, &events));
    }
    printer.data(&entries.join("\n\n"))?;
    Ok(Exit::Done)
}

fn unknown(word: &str, stages: &[StageDoc], events: &[EventDoc]) -> Trouble {
    let codes = FAULT_CODES.iter().map(|known| known.code);
    let kinds = stages.iter().map(|doc| doc.kind.as_str());
    let names = events.iter().map(|doc| doc.name.as_str());
    let moments = Moment::ALL.iter().map(|moment| moment.name());
    let all = codes.chain(kinds).chain(names).chain(moments);
    let hint = match did_you_mean(word, all.chain(recipe::nearest_key(word))) {
        Some(near) => format!("did you mean `{near}`?"),
        None => match recipe::nearest_key(word) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`mstar explain` without a word lists the keys of a recipe".to_owned(),
        },
    };
    let message = format!(
        "`{}` is no key of a recipe, no kind of stage, no event, no code of a fault, and no \
         function of a script",
        quoted(word)
    );
    Trouble::wrong(message, hint)
}

fn of_stage(doc: &StageDoc) -> String {
    let mut lines = vec![format!("{}, a kind of stage", doc.kind), format!("  {}", doc.does)];
    let reads = doc.reads.iter().map(|(port, meaning)| (*port, meaning.as_str()));
    let options = doc.options.iter().map(|(name, meaning)| (name.as_str(), meaning.as_str()));
    add_part("reads, by ports", reads, &mut lines);
    add_part("writes", doc.writes.iter().copied(), &mut lines);
    add_part("options", options, &mut lines);
    lines.join("\n")
}

fn of_event(doc: &EventDoc) -> String {
    let mut lines = vec![format!("{}, an event of the log", doc.name), format!("  {}", doc.means)];
    let fields = doc.fields.iter().map(|(name, meaning)| (name.as_str(), meaning.as_str()));
    add_part("fields", fields, &mut lines);
    lines.join("\n")
}

fn add_part<'d>(
    what: &str,
    rows: impl Iterator<Item = (&'d str, &'d str)>,
    lines: &mut Vec<String>,
) {
    let rows: Vec<String> =
        rows.map(|(name, meaning)| format!("    {name:<22} {meaning}")).collect();
    if !rows.is_empty() {
        lines.push(format!("  {what}"));
        lines.extend(rows);
    }
}

fn of_key(doc: &KeyDoc) -> String {
    let mut lines = Vec::new();
    if !doc.key.is_empty() {
        lines.push(doc.key.clone());
    }
    lines.extend(doc.doc.lines().map(|line| format!("  {line}")));
    if !doc.takes.is_empty() {
        lines.push(format!("  takes {}", doc.takes));
    }
    if !doc.default.is_null() && !doc.default.is_object() {
        lines.push(format!("  default {}", doc.default));
    }
    for (name, meaning) in &doc.parts {
        let meaning = meaning.split_whitespace().collect::<Vec<_>>().join(" ");
        lines.push(format!("    {name:<22} {meaning}"));
    }
    lines.join("\n")
}

fn of_code(known: &FaultCode) -> String {
    format!("{}, a fault\n  {}\n  {}", known.code, known.means, known.way_out)
}

fn of_moment(moment: Moment) -> String {
    let given = match (moment.takes_list(), moment.fields().join(", ")) {
        (_, none) if none.is_empty() => "two strings".to_owned(),
        (true, fields) => format!("a list of maps with {fields}"),
        (false, fields) => format!("a map with {fields}"),
    };
    let (about, gives) = (moment.about(), moment.gives());
    format!("{moment}, a function of a script\n  {about}\n  is given {given}\n  gives {gives}")
}

pub(crate) fn schema(arguments: &Schema, printer: Printer) -> Result<Exit, Trouble> {
    let schema = match arguments.of {
        SchemaOf::Recipe => recipe::schema(),
        SchemaOf::Experiment => recipe::experiment_schema(),
    };
    let text = serde_json::to_string_pretty(&schema).expect("a schema is a JSON value already");
    printer.data(&text)?;
    Ok(Exit::Done)
}
