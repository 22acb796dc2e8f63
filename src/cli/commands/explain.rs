//! `mstar explain` and `mstar schema`: the recipe language, for people and for editors.

use crate::cli::arguments::{Explain, Schema, SchemaOf};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::printer::Printer;
use crate::recipe;

pub(crate) fn explain(arguments: &Explain, printer: Printer) -> Result<Exit, Trouble> {
    let key = arguments.key.as_deref().unwrap_or("");
    let Some(doc) = recipe::explain(key) else {
        let hint = match recipe::nearest_key(key) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "`mstar explain` without a key lists them all".to_owned(),
        };
        return Err(Trouble::wrong(format!("`{key}` is no key of a recipe"), hint));
    };
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
    let text = lines.join("\n");
    printer.data(&text)?;
    Ok(Exit::Done)
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
