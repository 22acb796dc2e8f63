//! `mstar plan`: what a run would do, why, and what it would cost. Starts no libtorch.

use crate::cli::arguments::{Plan, PlanFormat};
use crate::cli::asked::Asked;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::planning::{self, of_store};
use crate::cli::printer::Printer;
use crate::cli::records;
use crate::plan::{Outlook, view};
use crate::run::{Device, Resources};
use crate::store::Store;
use std::path::Path;

pub(crate) fn plan(arguments: &Plan, store: &Path, printer: Printer) -> Result<Exit, Trouble> {
    let asked = Asked::read(&arguments.recipe.file, &arguments.recipe.over)?;
    let graph = asked.graph(printer)?;
    printer.notes(&asked.notes);
    let store = Store::open_existing(store).map_err(of_store)?;
    if let Some(store) = &store {
        records::tell_unreadable(store, printer)?;
    }
    let (mut known, measured) = planning::look_back(store.as_ref(), &graph)?;
    if !known.earlier.is_empty() {
        known.recipes.now = asked.recipes();
    }
    let written_at = |member: &str, key: &str| asked.origin(member, key);
    let slots = Resources::detect().slots(Device::Auto, None);
    let outlook = Outlook::new(&graph, asked.summaries.clone(), &known, &measured)
        .with_places(&written_at)
        .with_workers(slots.map_or(1, |slots| slots.len() as u32));
    let text = match arguments.format {
        PlanFormat::Text => view::text(&outlook, printer.width()),
        PlanFormat::Json => view::json(&outlook),
        PlanFormat::Dot => view::dot(&outlook),
        PlanFormat::Mermaid => view::mermaid(&outlook),
        PlanFormat::Svg => view::plan_svg(&asked.name, &outlook),
    };
    printer.data(&text)?;
    Ok(Exit::Done)
}
