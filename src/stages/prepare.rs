//! `prepare`: draws the samples of each split and writes them as tables. Of unlabelled prompts it
//! writes neither answers nor references.
//!
//! Left out: shuffling. Samples of the embedded task are independent draws, so their order carries
//! nothing, and slices of it are random subsets.

use super::benchmark;
use super::failure::{failed, failure, json};
use super::load;
use crate::base::Seed;
use crate::data::contamination::{Fingerprint, overlaps};
use crate::data::mini_vista::{
    DEMONSTRATION_ONE_OPERATION, Example, MiniVista, POOL_ONE_OPERATION, Stream,
};
use crate::data::table::{self, PromptWriter};
use crate::data::{Reference, Sample};
use crate::event::Unit;
use crate::plan::{Loading, Prepare};
use crate::run::{Context, Stop};
use serde_json::{Map, Value, json};

/// Draws between two looks at whether to stop.
const AT_A_TIME: u64 = 1024;

pub(super) fn run(options: &Prepare, context: &Context<'_>) -> Result<(), Stop> {
    if options.is_benchmark() {
        return benchmark::prepare(options, context);
    }
    if let Some(loading) = &options.loading {
        return of_files(options, loading, context);
    }
    is_loadable(&options.source)?;
    let splits = [
        ("train", Stream::Train, options.prompts),
        ("validation", Stream::Validation, options.validation),
        ("test", Stream::Test, options.test),
    ];
    let total = splits.iter().map(|(_, _, count)| count).sum::<u64>() + options.demonstrations;
    let mut done = 0;
    let mut counts = Map::new();
    let pool = MiniVista::new(Seed(options.seed), POOL_ONE_OPERATION);
    for (name, stream, count) in splits {
        let visible = options.labelled.filter(|_| stream == Stream::Train).unwrap_or(count);
        let examples = draw(&pool, stream, count, (&mut done, total), context)?;
        write(name, &examples, visible, context)?;
        counts.insert(name.to_owned(), json!(count));
    }
    if options.demonstrations > 0 {
        // What the shipped base was trained on, whatever the seed of the recipe's own data.
        let task = MiniVista::new(Seed(0), DEMONSTRATION_ONE_OPERATION);
        let count = options.demonstrations;
        let examples = draw(&task, Stream::Demonstrations, count, (&mut done, total), context)?;
        write("demonstrations", &examples, count, context)?;
        counts.insert("demonstrations".to_owned(), json!(count));
    }
    let metrics = json(&json!({ "prompts": counts }));
    Ok(context.results().write("metrics.json", &metrics)?)
}

/// Reads the samples of files and cuts them into splits. There is no reasoning that is known to be
/// right, hence no references.
fn of_files(options: &Prepare, loading: &Loading, context: &Context<'_>) -> Result<(), Stop> {
    let total = options.prompts + options.validation + options.test;
    let mut loaded = load::open(&options.source, loading, (options.seed, true), context)?;
    let mut done = 0;
    let mut counts = Map::new();
    let mut prints: Vec<(&str, Vec<Fingerprint>)> = Vec::new();
    // What is measured on is taken first, so that more training prompts leave it as it is.
    for (name, count) in
        [("test", options.test), ("validation", options.validation), ("train", options.prompts)]
    {
        let visible = options.labelled.filter(|_| name == "train").unwrap_or(count);
        let file = context.results().create(&format!("{name}.parquet"))?;
        let threads = context.threads() as usize;
        let (is_full, one_each) = (visible >= count, loaded.one_each);
        let mut table = PromptWriter::new(file, is_full, one_each, threads).map_err(failed)?;
        let mut of_it: Vec<Fingerprint> = Vec::new();
        loaded.each(count, (&mut done, total), context, &mut |mut samples| {
            let shown = visible.saturating_sub(of_it.len() as u64) as usize;
            of_it.extend(samples.iter().map(Fingerprint::of));
            samples.iter_mut().skip(shown).for_each(|sample| sample.answer = None);
            table.write(&samples).map_err(failed)
        })?;
        table.finish().map_err(failed)?.finish()?;
        prints.push((name, of_it));
        counts.insert(name.to_owned(), json!(count));
    }
    loaded.tell(context);
    let shared = overlaps(&prints);
    for overlap in shared.iter().filter(|overlap| overlap.count() > 0) {
        context.note(overlap.to_string());
    }
    let shared: Map<String, Value> =
        shared.iter().map(|it| (it.name(), json!(it.count()))).collect();
    let metrics = json!({ "prompts": counts, "bad_rows": loaded.bad, "shared": shared });
    Ok(context.results().write("metrics.json", &json(&metrics))?)
}

/// That there is a loader for a source.
pub(super) fn is_loadable(source: &str) -> Result<(), Stop> {
    match source {
        "builtin:mini-vista" => Ok(()),
        _ => Err(failure(format!("no loader for `{source}`"), "use `builtin:mini-vista`")),
    }
}

fn draw(
    task: &MiniVista,
    stream: Stream,
    count: u64,
    (done, total): (&mut u64, u64),
    context: &Context<'_>,
) -> Result<Vec<Example>, Stop> {
    let mut examples = Vec::with_capacity(count as usize);
    for begin in (0..count).step_by(AT_A_TIME as usize) {
        if context.cancelled() {
            return Err(Stop::Cancelled);
        }
        let end = (begin + AT_A_TIME).min(count);
        examples.extend((begin..end).map(|index| task.example(stream, index)));
        *done += end - begin;
        context.progress(*done, total, Unit::Prompts, &[]);
    }
    Ok(examples)
}

/// Writes a split of which the first examples may show their answers.
fn write(
    name: &str,
    examples: &[Example],
    visible: u64,
    context: &Context<'_>,
) -> Result<(), Stop> {
    let results = context.results();
    let (labelled, unlabelled) = examples.split_at((visible as usize).min(examples.len()));
    let hidden = |example: &Example| Sample { answer: None, ..example.sample() };
    let samples: Vec<Sample> =
        labelled.iter().map(Example::sample).chain(unlabelled.iter().map(hidden)).collect();
    let bytes = table::encode(&samples).map_err(failed)?;
    results.write(&format!("{name}.parquet"), &bytes)?;
    let references: Vec<Reference> = labelled.iter().map(Example::reference).collect();
    let bytes = table::encode(&references).map_err(failed)?;
    Ok(results.write(&format!("{name}-references.parquet"), &bytes)?)
}
