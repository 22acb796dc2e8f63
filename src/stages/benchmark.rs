//! Benchmarks inside a run: their questions are prepared with what responses are judged by, and what
//! counts as right is theirs to say.

use super::ahead::Ahead;
use super::failure::{failed, failure, json};
use super::load;
use super::measure::share;
use crate::benchmarks::{self, Benchmark, Breakdown, Question, Response, Responses, Settings};
use crate::data::Sample;
use crate::data::loaders::BadSample;
use crate::data::table::{PromptWriter, Rollout, Row as _};
use crate::event::Unit;
use crate::plan::{Port, Prepare};
use crate::run::{Context, Stop};
use image::RgbImage;
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// What responses are judged by.
const QUESTIONS: &str = "questions.json";

/// Writes the questions of a benchmark as samples, numbered in their order.
pub(super) fn prepare(options: &Prepare, context: &Context<'_>) -> Result<(), Stop> {
    let benchmark = Benchmark::named(&options.source).map_err(failed)?;
    let Some(loading) = &options.loading else {
        let reason = format!("the files of `{benchmark}` are not there");
        let hint = format!("say where they lie: `data.benchmarks = [\"{benchmark}:FOLDER\"]`");
        return Err(failure(reason, hint));
    };
    let path = Path::new(&loading.path);
    if benchmarks::survey(&benchmark, path).map_err(failed)?.digest != loading.digest {
        let reason = format!("`{}` is not what was planned: it was changed since", loading.path);
        return Err(failure(reason, "run the recipe again, which plans with what is there now"));
    }
    let asked = benchmarks::asked(&benchmark, path).map_err(failed)?;
    let total = asked.len() as u64;
    let one_each = asked.iter().all(|asked| asked.row.images.len() == 1);
    let (mut rows, mut texts, mut questions) = (Vec::new(), Vec::new(), Vec::new());
    for asked in asked {
        let main = asked.question.groups.first().and_then(|(_, values)| values.first());
        texts.push((asked.text, main.cloned().unwrap_or_else(|| "all".to_owned())));
        questions.push(asked.question);
        rows.push(Mutex::new(Some(asked.row)));
    }
    let results = context.results();
    let threads = context.threads() as usize;
    let size = |it: &Result<Vec<RgbImage>, BadSample>| it.as_ref().map_or(0, |it| pixels(it));
    // A row goes with what it has of its pictures as soon as they are decoded.
    let decode = move |at: usize| {
        let row = rows[at].lock().unwrap_or_else(PoisonError::into_inner).take();
        row.expect("each row is asked for once").decode()
    };
    let decoded = Ahead::new(questions.len(), threads, size, decode);
    let file = results.create("test.parquet")?;
    let mut table = PromptWriter::new(file, true, one_each, threads).map_err(failed)?;
    let (mut held, mut bytes) = (Vec::new(), 0);
    for ((id, (question, category)), images) in (0..).zip(texts).zip(decoded) {
        if context.cancelled() {
            return Err(Stop::Cancelled);
        }
        let images = images.map_err(failed)?;
        bytes += pixels(&images);
        let answer = Some(questions[id as usize].answer.clone());
        held.push(Sample { id, category, question, prompt: None, answer, images });
        if held.len() == Sample::<Vec<RgbImage>>::ROWS_IN_GROUP || bytes >= load::HELD {
            table.write(&std::mem::take(&mut held)).map_err(failed)?;
            bytes = 0;
        }
        context.progress(id + 1, total, Unit::Prompts, &[]);
    }
    if !held.is_empty() {
        table.write(&held).map_err(failed)?;
    }
    table.finish().map_err(failed)?.finish()?;
    results.write(QUESTIONS, &json(&questions))?;
    // They are measured on and no prompts of the recipe's own.
    let metrics = json!({ "prompts": { "train": 0 }, "questions": total });
    Ok(results.write("metrics.json", &json(&metrics))?)
}

/// Bytes of pictures.
fn pixels(images: &[RgbImage]) -> usize {
    images.iter().map(|image| image.as_raw().len()).sum()
}

/// Judges responses by the benchmark's rules; what is counted is what `mstar eval` counts.
pub(super) fn judge(
    name: &str,
    rollouts: &mut [Rollout],
    context: &Context<'_>,
) -> Result<Map<String, Value>, Stop> {
    let benchmark = Benchmark::named(name).map_err(failed)?;
    let questions = questions(context, Port::Prompts)?;
    let mut responses = Responses::default();
    for rollout in rollouts.iter() {
        let response = Response { text: rollout.response.clone(), extraction: None };
        responses.by_id.insert(questions[rollout.prompt as usize].id.clone(), response);
    }
    let settings = Settings::default();
    let scores =
        benchmarks::score(&benchmark, &questions, &responses, settings, None).map_err(failed)?;
    for rollout in rollouts {
        let record = &scores.records[rollout.prompt as usize];
        rollout.extracted = record.extraction.as_ref().and(record.prediction.clone());
        rollout.correct = record.correct;
    }
    let lines = |breakdown: &Breakdown| -> Value {
        let line = |(name, line): (&String, &benchmarks::Line)| {
            (name.clone(), Value::Object(share((line.correct, line.count))))
        };
        Value::Object(breakdown.lines.iter().map(line).collect())
    };
    let mut metrics = share((scores.total.correct, scores.total.count));
    let main = scores.breakdowns.first().map_or_else(|| json!({}), lines);
    metrics.insert("categories".into(), main);
    let all = scores.breakdowns.iter().map(|it| (it.name.to_string(), lines(it)));
    metrics.insert("breakdowns".into(), Value::Object(all.collect()));
    metrics.insert("unanswered".into(), json!(scores.unanswered));
    metrics.insert("circular".into(), json!(scores.circular));
    Ok(metrics)
}

/// The questions that somebody prepared, by the port at which they are.
pub(super) fn questions(context: &Context<'_>, port: Port) -> Result<Vec<Question>, Stop> {
    let artifact = context.input(port)?;
    serde_json::from_slice(&artifact.read(QUESTIONS)?).map_err(|error| {
        let reason = format!("`{QUESTIONS}` of {} cannot be read: {error}", artifact.key());
        failure(reason, "it was written by another version of mstar: run again in a new store")
    })
}
