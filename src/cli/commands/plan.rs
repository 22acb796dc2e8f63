//! `mstar plan`: what a run would do, why, and what it would cost. Starts no libtorch.

use crate::cli::arguments::{Plan, PlanFormat};
use crate::cli::asked::Asked;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::planning::{self, of_store};
use crate::cli::printer::Printer;
use crate::plan::{Outlook, view};
use crate::store::Store;
use std::path::Path;

pub(crate) fn plan(arguments: &Plan, store: &Path, printer: Printer) -> Result<Exit, Trouble> {
    let asked = Asked::read(&arguments.recipe.file, &arguments.recipe.over)?;
    let graph = asked.graph()?;
    printer.notes(&asked.notes);
    let store = Store::open_existing(store).map_err(of_store)?;
    let (known, measured) = planning::look_back(store.as_ref(), &graph)?;
    let outlook = Outlook::new(&graph, asked.summaries.clone(), &known, &measured);
    let text = match arguments.format {
        PlanFormat::Text => view::text(&outlook),
        PlanFormat::Json => view::json(&outlook),
        PlanFormat::Dot => view::dot(&outlook),
        PlanFormat::Mermaid => view::mermaid(&outlook),
        PlanFormat::Svg => view::plan_svg(&asked.name, &outlook),
    };
    printer.data(&text)?;
    Ok(Exit::Done)
}
