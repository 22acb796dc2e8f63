//! A run names folders of the hub's cache on the machine that it was on; here they lie elsewhere.

use crate::cli::exit::Trouble;
use crate::cli::fetching::{bring, settings};
use crate::cli::planning::PlannedGraph;
use crate::cli::printer::Printer;
use crate::hub::Inside;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// What was planned, with the folders that this machine has for the same commits. What is not there
/// is brought. Where a model or data lie is in no key.
///
/// # Errors
/// When something cannot be brought.
pub(crate) fn relocated(planned: &PlannedGraph, printer: Printer) -> Result<PlannedGraph, Trouble> {
    let mut found = BTreeMap::new();
    let mut value =
        serde_json::to_value(planned).expect("a plan holds only numbers, text, lists and maps");
    each(&mut value, &mut |text| {
        if let Some(inside) = Inside::of(text).filter(|it| !Path::new(it.folder).exists()) {
            found.insert(inside.folder.to_owned(), inside.repo);
        }
    });
    if found.is_empty() {
        return Ok(planned.clone());
    }
    let mut folders = BTreeMap::new();
    for (folder, repo) in found {
        let here = bring(&repo, &settings(), printer)?.folder;
        folders.insert(folder, here.display().to_string());
    }
    each(&mut value, &mut |text| {
        let Some(inside) = Inside::of(text) else { return };
        if let Some(here) = folders.get(inside.folder) {
            *text = text.replacen(inside.folder, here, 1);
        }
    });
    Ok(serde_json::from_value(value).expect("only texts were changed"))
}

/// Shows every text and every key of a value.
fn each(value: &mut Value, see: &mut dyn FnMut(&mut String)) {
    match value {
        Value::String(text) => see(text),
        Value::Array(list) => list.iter_mut().for_each(|it| each(it, see)),
        Value::Object(map) => {
            let entries = std::mem::take(map).into_iter().map(|(mut key, mut inner)| {
                see(&mut key);
                each(&mut inner, see);
                (key, inner)
            });
            *map = entries.collect::<Map<_, _>>();
        }
        _ => {}
    }
}
