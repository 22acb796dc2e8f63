//! `mstar completions` and `mstar man`: the command line for shells and for `man`.

use crate::cli::arguments::{Arguments, Completions, Man};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::planning::of_store;
use crate::cli::printer::Printer;
use crate::store;
use clap::{Command, CommandFactory as _};
use std::io;

pub(crate) fn completions(arguments: &Completions, printer: Printer) -> Result<Exit, Trouble> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "mstar", &mut script);
    printer.bytes(&script)?;
    Ok(Exit::Done)
}

pub(crate) fn man(arguments: &Man, printer: Printer) -> Result<Exit, Trouble> {
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    let Some(folder) = &arguments.folder else {
        printer.bytes(&page(command)?.1)?;
        return Ok(Exit::Done);
    };
    let mut pages = Vec::new();
    add_pages(command, &mut pages)?;
    store::make_output_folder(folder).map_err(of_store)?;
    for (name, text) in &pages {
        store::write_beside(&folder.join(name), text).map_err(of_store)?;
    }
    printer.talk(&format!("{} pages in {}", pages.len(), folder.display()));
    Ok(Exit::Done)
}

/// The pages of a command and of those below it, except what is not for people.
fn add_pages(command: Command, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    let below: Vec<Command> =
        command.get_subcommands().filter(|it| !it.is_hide_set()).cloned().collect();
    pages.push(page(command)?);
    below.into_iter().try_for_each(|command| add_pages(command, pages))
}

/// The name of a command's page, and its text.
fn page(command: Command) -> io::Result<(String, Vec<u8>)> {
    let page = clap_mangen::Man::new(command);
    let mut text = Vec::new();
    page.render(&mut text)?;
    Ok((page.get_filename(), text))
}
