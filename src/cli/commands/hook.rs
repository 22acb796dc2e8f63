//! `mstar hook`: compiles a script and tries one of its functions on a value from a file.

use crate::base::{Fault, Faults};
use crate::cli::arguments::Hook;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::files;
use crate::cli::printer::Printer;
use crate::hooks::{HookError, Moment, Script};
use serde_json::Value;

pub(crate) fn hook(arguments: &Hook, printer: Printer) -> Result<Exit, Trouble> {
    let wrong = |error: HookError| Trouble::Faults(Faults(vec![Fault::from(error)]));
    let source = files::read_script(&arguments.file)?;
    let is_toml = arguments.file.extension().is_some_and(|extension| extension == "toml");
    let script = Script::compile(&source.name, &source.text).map_err(|mut error| {
        if is_toml {
            error.hint = Some("a script is Rhai; this looks like TOML".to_owned());
        }
        wrong(error)
    })?;
    let Some(on) = &arguments.on else {
        let moments = script.moments();
        let served: Vec<String> = moments.iter().map(Moment::to_string).collect();
        printer.talk(&format!("{}: good, with {}", script.name(), listed(&served)));
        return Ok(Exit::Done);
    };
    let moment = chosen(&script, arguments.moment.as_deref())?;
    let text = files::read_json(on)?;
    let value: Value = serde_json::from_str(&text).map_err(|error| {
        let message = format!("`{}` is no JSON: {error}", on.display());
        Trouble::wrong(message, "write what the function is given as JSON")
    })?;
    refuse_other_form(moment, &value)?;
    let values = values(moment, value).map_err(|message| {
        let names = moment.parameters().join("` and `");
        let hint = format!("write an object with `{names}`");
        Trouble::wrong(format!("`{}`: {message}", on.display()), hint)
    })?;
    let given = script.call(moment, &values).map_err(wrong)?;
    printer.data(&given.to_string())?;
    Ok(Exit::Done)
}

fn listed(served: &[String]) -> String {
    match served {
        [] => "nothing that a run calls: see `mstar explain hooks.script`".to_owned(),
        served => served.join(", "),
    }
}

/// Refuses a list where the function is given one thing, and one thing where it is given a list.
fn refuse_other_form(moment: Moment, value: &Value) -> Result<(), Trouble> {
    let takes_list = moment.takes_list();
    let (found, wanted) = match (value.is_array(), value.is_object()) {
        (is_list, _) if is_list == takes_list && (is_list || value.is_object()) => return Ok(()),
        (true, _) => ("a list", "{ … }"),
        (false, true) => ("one object", "[ … ]"),
        (false, false) => ("neither", if takes_list { "[ … ]" } else { "{ … }" }),
    };
    let message = format!(
        "`{moment}` is given {}, and this is {found}",
        match takes_list {
            true => "a list",
            false => "an object",
        }
    );
    Err(Trouble::wrong(message, format!("write `{wanted}`")))
}

fn chosen(script: &Script, name: Option<&str>) -> Result<Moment, Trouble> {
    let moments: Vec<Moment> = script.moments().into_iter().collect();
    let names: Vec<String> = moments.iter().map(|moment| moment.name().to_owned()).collect();
    let there_are = || format!("the script has {}", listed(&names));
    match (name, moments.as_slice()) {
        (None, [only]) => Ok(*only),
        (None, _) => Err(Trouble::wrong(
            "which function is to be tried?",
            format!("name one with `--moment`: {}", there_are()),
        )),
        (Some(name), _) => Moment::named(name)
            .filter(|moment| script.has(*moment))
            .ok_or_else(|| Trouble::wrong(format!("there is no function `{name}`"), there_are())),
    }
}

/// The arguments of a function: one value, or for several an object with their names.
fn values(moment: Moment, value: Value) -> Result<Vec<Value>, String> {
    let parameters = moment.parameters();
    if parameters.len() == 1 {
        return Ok(vec![value]);
    }
    let each = parameters.iter().map(|name| value.get(*name).cloned());
    let missing = || format!("`{moment}` is given {} values", parameters.len());
    each.collect::<Option<Vec<Value>>>().ok_or_else(missing)
}
