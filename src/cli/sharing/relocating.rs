//! A run names folders of the hub's cache on the machine that it was on; here they lie elsewhere.

use crate::cli::exit::Trouble;
use crate::cli::fetching::{bring, settings, with_pictures};
use crate::cli::planning::PlannedGraph;
use crate::cli::printer::Printer;
use crate::hub::{Inside, Repo};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What was planned, with the folders that this machine has for the same commits. What is not there
/// is brought. Where a model or data lie is in no key.
///
/// # Errors
/// When something cannot be brought.
pub(crate) fn relocated(planned: &PlannedGraph, printer: Printer) -> Result<PlannedGraph, Trouble> {
    let mut value =
        serde_json::to_value(planned).expect("a plan holds only numbers, text, lists and maps");
    let wanted = wanted(&mut value);
    if wanted.is_empty() {
        return Ok(planned.clone());
    }
    let mut folders = BTreeMap::new();
    for (folder, repo) in wanted {
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

/// The repositories whose folders are not there, by folder, with all that is named in each.
fn wanted(value: &mut Value) -> BTreeMap<String, Repo> {
    let mut found: BTreeMap<String, (Repo, BTreeSet<String>)> = BTreeMap::new();
    each(value, &mut |text| {
        let Some(Inside { folder, repo, rest }) = Inside::of(text) else { return };
        if !Path::new(folder).exists() {
            let (_, rests) =
                found.entry(folder.to_owned()).or_insert_with(|| (repo, BTreeSet::new()));
            rests.insert(rest.to_owned());
        }
    });
    let repo_of = |(folder, (repo, mut rests)): (String, (Repo, BTreeSet<String>))| {
        // Who names the folder itself wants all that is in it.
        if rests.contains("") {
            rests.clear();
        }
        (folder, with_pictures(repo, &rests))
    };
    found.into_iter().map(repo_of).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_that_is_named_of_a_repository_is_wanted_with_the_pictures_of_its_rows() {
        let folder = |name: &str| format!("/{name}/snapshots/{}", "0af1".repeat(10));
        let [m3cot, math, model] = [
            "datasets--LightChen2333--M3CoT",
            "datasets--Zhiqiang007--MathV360K",
            "models--org--a",
        ]
        .map(folder);
        let mut value = json!({
            "sources": [
                format!("m3cot:{m3cot}/data/train-*.parquet"),
                format!("mathv360k:{math}/train_samples_all_tuning.json"),
                model,
            ],
            format!("m3cot:{m3cot}/data/test-*.parquet"): format!("{m3cot}/data/test-*.parquet"),
        });
        let found = wanted(&mut value);
        assert_eq!(found[&m3cot].files(), ["data/test-*.parquet", "data/train-*.parquet"]);
        assert_eq!(found[&math].files(), ["train_samples_all_tuning.json", "data_images.zip"]);
        assert!(found[&model].files().is_empty());
    }
}
