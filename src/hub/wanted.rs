//! Which files of a repository are brought: what is read, never pickles or programs.

use super::{Kind, repo::is_inside};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The weights of a model whose file is one.
pub(super) const SINGLE: &str = "model.safetensors";
/// The list of the files of a model's weights.
pub(super) const INDEX: &str = "model.safetensors.index.json";
/// Files beside the weights of a model.
const BESIDE: [&str; 15] = [
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "preprocessor_config.json",
    "processor_config.json",
    "image_processor_config.json",
    "video_preprocessor_config.json",
    "adapter_config.json",
    INDEX,
];
/// Ends of the names of files with rows, pictures or archives of pictures.
const DATA: [&str; 11] =
    ["parquet", "json", "jsonl", "ndjson", "tsv", "png", "jpg", "jpeg", "webp", "gif", "zip"];
/// Ends of the names of pickled weights.
const PICKLES: [&str; 5] = ["bin", "pt", "pth", "ckpt", "pkl"];

/// The files of a repository that are wanted before its weights are known: all of a data set, or
/// those that fit one of the patterns where there are any.
pub(super) fn of<'a>(kind: Kind, patterns: &[String], files: &[&'a str]) -> Vec<&'a str> {
    let patterns: Vec<glob::Pattern> =
        patterns.iter().filter_map(|it| glob::Pattern::new(it).ok()).collect();
    let is_wanted = |name: &str| match kind {
        _ if !is_inside(name) => false,
        Kind::Model => is_beside(name),
        Kind::Data if patterns.is_empty() => DATA.contains(&end(name).as_str()),
        Kind::Data => patterns.iter().any(|pattern| pattern.matches(name)),
    };
    files.iter().copied().filter(|name| is_wanted(name)).collect()
}

/// The files of a model's weights. `index` is the text of the list, where the repository has one.
pub(super) fn weights<'a>(files: &[&'a str], index: Option<&[u8]>) -> Vec<&'a str> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let listed = index.and_then(|text| serde_json::from_slice::<Index>(text).ok());
    let listed: BTreeSet<String> =
        listed.map_or_else(BTreeSet::new, |index| index.weight_map.into_values().collect());
    let named = |is_wanted: &dyn Fn(&str) -> bool| -> Vec<&'a str> {
        let is_here = |name: &str| is_inside(name) && !name.contains('/');
        files.iter().copied().filter(|name| is_here(name) && is_wanted(name)).collect()
    };
    for found in [named(&|name| listed.contains(name)), named(&|name| name == SINGLE)] {
        if !found.is_empty() {
            return found;
        }
    }
    named(&|name| end(name) == "safetensors")
}

/// Pickled weights, which are told of where there are no others.
pub(super) fn pickles(files: &[&str]) -> Vec<String> {
    let is_pickle = |name: &&&str| is_inside(name) && PICKLES.contains(&end(name).as_str());
    files.iter().filter(is_pickle).map(|name| (*name).to_owned()).collect()
}

fn is_beside(name: &str) -> bool {
    let is_template =
        name.starts_with("chat_template.") && ["jinja", "json"].contains(&&*end(name));
    !name.contains('/') && (BESIDE.contains(&name) || end(name) == "model" || is_template)
}

fn end(name: &str) -> String {
    name.rsplit_once('.').map_or_else(String::new, |(_, end)| end.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_come_without_pickles_programs_and_second_weights() {
        let files = [
            "README.md",
            "chat_template.jinja",
            "config.json",
            "consolidated.safetensors",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "modeling_x.py",
            "onnx/config.json",
            "pytorch_model.bin",
            "tokenizer.model",
            "../config.json",
        ];
        let expected = [
            "chat_template.jinja",
            "config.json",
            "model.safetensors.index.json",
            "tokenizer.model",
        ];
        assert_eq!(of(Kind::Model, &[], &files), expected);
        let index = br#"{"weight_map": {"a": "model-00001-of-00002.safetensors",
            "b": "model-00002-of-00002.safetensors", "c": "../../secret"}}"#;
        assert_eq!(weights(&files, Some(index)), files[4..6]);
        assert_eq!(weights(&["model.safetensors", "b.safetensors"], None), ["model.safetensors"]);
        assert_eq!(weights(&["adapter_model.safetensors"], None), ["adapter_model.safetensors"]);
        assert_eq!(pickles(&files), ["pytorch_model.bin"]);
    }

    #[test]
    fn data_come_whole_or_by_patterns() {
        let files = ["README.md", "data/test-0.parquet", "data/testmini-0.parquet", "load.py"];
        assert_eq!(of(Kind::Data, &[], &files), files[1..3]);
        assert_eq!(of(Kind::Data, &["data/testmini-*.parquet".into()], &files), files[2..3]);
    }
}
