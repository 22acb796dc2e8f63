//! `overlap`: which questions of a benchmark are prompts of the recipe too, for reports. What was trained
//! or chosen on is no test.
//!
//! A question is compared as it is asked and without its choices, which every source writes in its own
//! way. Pictures are looked at only where the words agree.

use super::benchmark;
use super::failure::failed;
use super::policy::write_metrics;
use super::prompts::{Sample, of_split};
use crate::data::contamination::{self, Fingerprint, overlaps};
use crate::event::Unit;
use crate::plan::{self, Port};
use crate::run::{Context, Stop};
use crate::store::Artifact;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Splits of a recipe's own data.
const SPLITS: [&str; 3] = ["train", "validation", "test"];

pub(super) fn run(options: &plan::Overlap, context: &Context<'_>) -> Result<(), Stop> {
    let asked = samples(context.input(Port::Benchmark)?, "test")?;
    let questions = benchmark::questions(context, Port::Benchmark)?;
    let mut prints = Vec::with_capacity(2 * asked.len());
    for (sample, question) in asked.iter().zip(&questions) {
        go_on(context)?;
        prints.extend(forms(sample, texts(&sample.question))?);
        if !question.text.trim().is_empty() {
            prints.extend(forms(sample, vec![&question.text])?);
        }
    }
    let total = asked.len();
    drop(asked);
    let wanted: BTreeSet<u64> = prints.iter().map(Fingerprint::question).collect();
    let name = options.benchmark.as_str();
    let mut metrics = Map::new();
    let mut all: BTreeSet<u64> = BTreeSet::new();
    for (done, split) in (0..).zip(SPLITS) {
        go_on(context)?;
        context.progress(done, SPLITS.len() as u64, Unit::Prompts, &[]);
        let own = samples(context.input(Port::Prompts)?, split)?;
        let is_wanted = |text: &str| wanted.contains(&contamination::question_of(text));
        let mut alike = Vec::new();
        for sample in &own {
            if texts(&sample.question).into_iter().any(is_wanted) {
                go_on(context)?;
                alike.extend(forms(sample, texts(&sample.question))?);
            }
        }
        let found = overlaps(&[(split, alike), (name, prints.clone())]);
        let Some(mut overlap) = found.into_iter().next() else { continue };
        let mut told: BTreeSet<u64> = BTreeSet::new();
        overlap.exact.retain(|(_, question)| told.insert(*question));
        overlap.near.retain(|(_, question)| told.insert(*question));
        if overlap.count() > 0 {
            context.note(overlap.to_string());
        }
        let (exact, near) = (overlap.exact.len(), overlap.near.len());
        metrics.insert(split.to_owned(), json!({ "exact": exact, "near": near }));
        all.extend(told);
    }
    metrics.insert("questions".to_owned(), json!(total));
    metrics.insert("shared".to_owned(), json!(all.len()));
    write_metrics(context, &Value::Object(metrics))
}

/// Stops where somebody wants it: each question may have large pictures.
fn go_on(context: &Context<'_>) -> Result<(), Stop> {
    if context.cancelled() { Err(Stop::Cancelled) } else { Ok(()) }
}

/// A split, if the artifact has it.
fn samples(artifact: &Artifact, split: &str) -> Result<Vec<Sample>, Stop> {
    match artifact.contains(&format!("{split}.parquet")) {
        true => of_split(artifact, split),
        false => Ok(Vec::new()),
    }
}

/// A question as it is asked, and without its choices where it has any.
fn texts(question: &str) -> Vec<&str> {
    let stem = question.find("\nChoices:").map(|end| &question[..end]);
    std::iter::once(question).chain(stem).collect()
}

/// Some wordings of a sample about its pictures, which are in memory no longer than that takes.
fn forms(sample: &Sample, texts: Vec<&str>) -> Result<Vec<Fingerprint>, Stop> {
    let images = sample.images.read().map_err(failed)?;
    let print = |text: &str| Fingerprint::of_parts(sample.id, text, &images);
    Ok(texts.into_iter().map(print).collect())
}
