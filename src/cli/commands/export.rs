//! `mstar export`: a policy in the layout of Hugging Face, with a card that says how it was made.

use super::model_card::{self, Card};
use crate::cli::arguments::Export as Arguments;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::planning::{self, PlannedGraph, find_named, of_store};
use crate::cli::printer::Printer;
use crate::cli::recorded;
use crate::cli::sharing::{Here, device_of, lock_of};
use crate::plan::{Branch, Node, Stage};
use crate::recipe::Recipe;
use crate::report::Study;
use crate::stages::{Export, export as write};
use crate::store::{Artifact, NewFolder, Store};
use std::path::Path;

/// The architecture that no other program knows.
const OURS: &str = "mstar_mini_vlm";

pub(crate) fn export(
    arguments: &Arguments,
    store: &Path,
    printer: Printer,
) -> Result<Exit, Trouble> {
    let (store, run) = planning::find_run(store, arguments.run.as_deref())?;
    let planned = PlannedGraph::read(&run)?;
    let member = member(arguments, &planned)?;
    let (node, policy) = policy(arguments, &planned, &member, &store)?;
    let recipe = recipe(&planned, &member)?;
    let imported = planned
        .graph
        .nodes()
        .find(|node| matches!(node.stage, Stage::Import(_)) && node.members.contains(&member));
    let imported = match imported {
        Some(node) => store.artifact(node.key).map_err(of_store)?,
        None => None,
    };
    let mut folder = NewFolder::begin(&arguments.to).map_err(of_store)?;
    let wanted = Export {
        policy: &policy,
        imported: imported.as_ref(),
        adapters_for: arguments.adapters.then_some(recipe.policy.model.as_str()),
        dtype: recipe.policy.dtype,
        shard_bytes: arguments.shard_size,
    };
    let written = write(&wanted, &mut folder).map_err(|failure| Trouble::Said {
        message: failure.reason,
        hint: failure.hint,
        exit: Exit::Wrong,
    })?;
    let study = Study::read(&planning::log_of(&run)?);
    let here = Here { versions: &study.versions, device: device_of(&study) };
    let metrics = study.members.iter().find(|it| it.name == member).map(recorded::metrics);
    let is_ours = written.kind == OURS;
    let card = Card {
        run: run.id(),
        member: &member,
        stage: &node.name,
        is_last: arguments.stage.is_none(),
        base: &recipe.policy.model,
        is_ours,
        adapters: arguments.adapters,
        written: &written,
        metrics: &metrics.unwrap_or_default(),
        recipe: &run.recipe().map_err(of_store)?,
        resolved: &run.resolved().map_err(of_store)?,
        lock: &lock_of(&planned, &here)?.to_toml(),
    };
    folder.append("README.md", model_card::text(&card).as_bytes()).map_err(of_store)?;
    folder.finish().map_err(of_store)?;
    let of = if arguments.adapters { "adapters" } else { "weights" };
    printer.talk(&format!(
        "{} files, {} numbers in the {of} of `{}`",
        written.files.len() + 1,
        written.parameters,
        node.name
    ));
    if written.merged {
        printer.talk("adapters are merged into the weights; `--adapters` writes them alone");
    }
    if is_ours {
        printer
            .talk("only mstar opens this architecture: `mstar sample DIR QUESTION --image FILE`");
    }
    printer.data(&arguments.to.display().to_string())?;
    Ok(Exit::Done)
}

/// The member that is meant: the only one, or the one that is named.
fn member(arguments: &Arguments, planned: &PlannedGraph) -> Result<String, Trouble> {
    let members = &planned.members;
    match (&arguments.member, members.as_slice()) {
        (Some(name), _) => {
            Ok(find_named("member of the run", name, members, |member| &member.name)?.name.clone())
        }
        (None, [only]) => Ok(only.name.clone()),
        (None, several) => {
            let names: Vec<&str> = several.iter().map(|member| member.name.as_str()).collect();
            let message = format!("the run has {} members", names.len());
            Err(Trouble::wrong(message, format!("choose by `--member`: {}", names.join(", "))))
        }
    }
}

/// The stage that made the policy, and what it left.
fn policy<'p>(
    arguments: &Arguments,
    planned: &'p PlannedGraph,
    member: &str,
    store: &Store,
) -> Result<(&'p Node, Artifact), Trouble> {
    let made = planned.graph.nodes().filter(|node| {
        matches!(node.stage.kind(), "train" | "import" | "pretrain")
            && node.members.contains(member)
    });
    let made: Vec<&Node> = made.collect();
    let gone = |what: &str| Trouble::wrong(format!("{what} is not in the store"), "run it again");
    if let Some(name) = &arguments.stage {
        let by_key = made.iter().find(|node| node.key.to_string().starts_with(name.as_str()));
        let node = match by_key.filter(|_| name.len() >= 8) {
            Some(node) => node,
            None => find_named("policy of the run", name, &made, |node| &node.name)?,
        };
        let artifact = store.artifact(node.key).map_err(of_store)?;
        return Ok((node, artifact.ok_or_else(|| gone(&format!("`{}`", node.name)))?));
    }
    // An evolution that ended early has stages that left no policy.
    for node in made.iter().rev().filter(|node| node.role.branch != Branch::Control) {
        let artifact = store.artifact(node.key).map_err(of_store)?;
        if let Some(artifact) = artifact.filter(|it| it.contains("config.json")) {
            return Ok((node, artifact));
        }
    }
    Err(gone("the policy of the run"))
}

fn recipe(planned: &PlannedGraph, member: &str) -> Result<Recipe, Trouble> {
    let recipes = planned.recipes.recipes().map_err(|error| {
        let message = format!("a recipe of `{}` cannot be read: {error}", planned.name);
        Trouble::wrong(message, "its record was altered: run the file again")
    })?;
    let place = planned.members.iter().position(|it| it.name == member);
    let found = place.and_then(|place| recipes.into_iter().nth(place));
    found.ok_or_else(|| {
        let message = format!("the record of `{}` holds no recipes", planned.name);
        Trouble::wrong(message, "an older mstar wrote it: run the file again")
    })
}
