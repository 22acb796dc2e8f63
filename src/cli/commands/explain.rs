//! `mstar explain` and `mstar schema`: the recipe language, for people and for editors.

use crate::base::{FAULT_CODES, FaultCode, did_you_mean};
use crate::cli::arguments::{Explain, Schema, SchemaOf};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::printer::Printer;
use crate::hooks::Moment;
use crate::recipe::{self, KeyDoc};

pub(crate) fn explain(arguments: &Explain, printer: Printer) -> Result<Exit, Trouble> {
    let word = arguments.key.as_deref().unwrap_or("");
    let entries = [
        recipe::explain(word).map(|doc| of_key(&doc)),
        FaultCode::named(word).map(of_code),
        Moment::named(word).map(of_moment),
    ];
    let entries: Vec<String> = entries.into_iter().flatten().collect();
    if entries.is_empty() {
        return Err(unknown(word));
    }
    printer.data(&entries.join("\n\n"))?;
    Ok(Exit::Done)
}

fn unknown(word: &str) -> Trouble {
    let codes = || FAULT_CODES.iter().map(|known| known.code);
    let near = did_you_mean(word, codes()).or_else(|| recipe::nearest_key(word));
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`mstar explain` without a word lists the keys of a recipe".to_owned(),
    };
    let message =
        format!("`{word}` is no key of a recipe, no code of a fault, and no function of a script");
    Trouble::wrong(message, hint)
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
    format!("{moment}, a function of a script\n  {}\n  gives {}", moment.about(), moment.gives())
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
