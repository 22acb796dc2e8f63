//! `mstar init`: writes a small, commented recipe that checks, tests and runs.

use crate::base::{Fault, Source};
use crate::cli::arguments::Init;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::planning::of_store;
use crate::cli::printer::Printer;
use crate::recipe::{self, Layers};
use crate::store;
use std::io;
use std::path::{Path, PathBuf};

/// What the recipe is made of, with a word in capitals for each answer.
const TEMPLATE: &str = include_str!("init.toml");

/// Methods that a first recipe may have; `sft` explores nothing.
const METHODS: [&str; 3] = ["continuous", "iterative-rft", "rest-em"];

/// What somebody may want otherwise.
struct Wishes {
    name: String,
    method: String,
    iterations: String,
}

pub(crate) fn init(arguments: &Init, printer: Printer) -> Result<Exit, Trouble> {
    let (folder, name) = place(arguments.name.as_deref().unwrap_or("first-recipe"));
    let mut wishes = Wishes { name, method: METHODS[0].to_owned(), iterations: "4".to_owned() };
    if let Some((message, hint)) = recipe::name_fault(&wishes.name) {
        return Err(Trouble::wrong(message, hint));
    }
    if printer.asks() {
        ask(arguments.name.is_none(), &mut wishes, printer)?;
    }
    let path = folder.join(format!("{}.toml", wishes.name));
    let text = TEMPLATE
        .replace("NAME", &wishes.name)
        .replace("METHOD", &wishes.method)
        .replace("ITERATIONS", &wishes.iterations);
    check(&path, &text)?;
    if path.symlink_metadata().is_ok() {
        let message = format!("`{}` is there already", path.display());
        return Err(Trouble::wrong(message, "give another name: `mstar init NAME`"));
    }
    store::write_beside(&path, text.as_bytes()).map_err(of_store)?;
    printer.data(&path.display().to_string())?;
    for (command, what) in [
        ("check", "says whether it is right"),
        ("test", "tries its tests, without a model"),
        ("plan", "shows what a run would do"),
        ("run", "does it, in less than a minute"),
    ] {
        let command = format!("mstar {command} {}", path.display());
        printer.talk(&format!("  {command:<36} {what}"));
    }
    Ok(Exit::Done)
}

/// The folder that a recipe goes to, and what it is called.
fn place(path: &str) -> (PathBuf, String) {
    let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| match folder {
        "" => ("/", name),
        folder => (folder, name),
    });
    (PathBuf::from(folder), name.strip_suffix(".toml").unwrap_or(name).to_owned())
}

/// What is wrong with an answer, and the way out.
type Refusal = (String, String);

/// Asks for what may be otherwise; an empty line leaves it as it is, and what cannot be is asked again.
fn ask(for_name: bool, wishes: &mut Wishes, printer: Printer) -> io::Result<()> {
    let answer = |question: &str, default: &mut String, fault: fn(&str) -> Option<Refusal>| {
        while let Some(given) = printer.ask(&format!("{question} [{default}]: "))? {
            if given.is_empty() {
                break;
            }
            match fault(&given) {
                Some((message, hint)) => printer.complain(&format!("{message}\nhint: {hint}")),
                None => {
                    *default = given;
                    break;
                }
            }
        }
        io::Result::Ok(())
    };
    if for_name {
        answer("What is the recipe called?", &mut wishes.name, recipe::name_fault)?;
    }
    let methods = METHODS.join(", ");
    answer(&format!("How is it trained ({methods})?"), &mut wishes.method, method_fault)?;
    answer("How many iterations?", &mut wishes.iterations, iterations_fault)
}

fn method_fault(given: &str) -> Option<Refusal> {
    let fault = || (format!("`{given}` is no method"), format!("one of {}", METHODS.join(", ")));
    (!METHODS.contains(&given)).then(fault)
}

fn iterations_fault(given: &str) -> Option<Refusal> {
    let is_good = given.parse().is_ok_and(|count: u32| (1..=1000).contains(&count));
    let fault = || (format!("`{given}` is no number of iterations"), "from 1 to 1000".to_owned());
    (!is_good).then(fault)
}

/// Refuses answers that make no recipe, in the recipe's own words.
fn check(path: &Path, text: &str) -> Result<(), Trouble> {
    let file = Source { name: path.display().to_string(), text: text.into() };
    let layers = Layers { file, environment: Vec::new(), set: Vec::new() };
    let mut load = |path: &str, place: &crate::base::Place| {
        Err(Fault {
            code: "unreadable-file",
            message: format!("`{path}` is not there"),
            hint: None,
            place: Some(place.clone()),
        })
    };
    recipe::resolve(&layers, &mut load)?;
    Ok(())
}
