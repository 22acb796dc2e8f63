//! `hide`: writes the answers of unlabelled prompts, and nothing else of them.

use super::failure::failed;
use super::load;
use super::policy::write_metrics;
use super::prepare::is_loadable;
use crate::base::Seed;
use crate::data::mini_vista::{MiniVista, POOL_ONE_OPERATION, Stream};
use crate::data::{HiddenAnswer, Sample, table};
use crate::event::Unit;
use crate::plan::{Hide, Loading, Port};
use crate::recipe::OnBadSample;
use crate::run::{Context, Stop};
use serde_json::json;
use std::collections::BTreeMap;

/// The file of the artifact.
const FILE: &str = "hidden.parquet";

pub(super) fn run(options: &Hide, context: &Context<'_>) -> Result<(), Stop> {
    if let Some(loading) = &options.loading {
        return of_files(options, loading, context);
    }
    is_loadable(&options.source)?;
    let pool = MiniVista::new(Seed(options.seed), POOL_ONE_OPERATION);
    let mut hidden: Vec<HiddenAnswer> = Vec::new();
    let total = options.prompts.saturating_sub(options.labelled);
    for index in options.labelled..options.prompts {
        if context.cancelled() {
            return Err(Stop::Cancelled);
        }
        hidden.push(pool.example(Stream::Train, index).hidden());
        context.progress(index + 1 - options.labelled, total, Unit::Prompts, &[]);
    }
    context.results().write(FILE, &table::encode(&hidden).map_err(failed)?)?;
    write_metrics(context, &json!({ "prompts": hidden.len() }))
}

/// The same for samples out of files, which come in the order that `prepare` took them in.
fn of_files(options: &Hide, loading: &Loading, context: &Context<'_>) -> Result<(), Stop> {
    // Which rows are passed over their pictures say, too; where none is, nobody looks at them.
    let with_pictures = loading.on_bad_sample == OnBadSample::Skip;
    let rows = (options.seed, with_pictures);
    let mut loaded = load::open(&options.source, loading, rows, context)?;
    let total = options.held_out + options.prompts;
    let mut done = 0;
    let before = options.held_out + options.labelled;
    loaded.each(before, (&mut done, total), context, &mut |_| Ok(()))?;
    let count = options.prompts.saturating_sub(options.labelled);
    let mut hidden: Vec<HiddenAnswer> = Vec::new();
    loaded.each(count, (&mut done, total), context, &mut |samples| {
        let answer =
            |it: Sample| HiddenAnswer { prompt: it.id, answer: it.answer.unwrap_or_default() };
        hidden.extend(samples.into_iter().map(answer));
        Ok(())
    })?;
    context.results().write(FILE, &table::encode(&hidden).map_err(failed)?)?;
    write_metrics(context, &json!({ "prompts": hidden.len() }))
}

/// The hidden answers by prompt, for a stage that has a port for them.
pub(super) fn answers(context: &Context<'_>) -> Result<BTreeMap<u64, String>, Stop> {
    let bytes = context.input(Port::Hidden)?.read(FILE)?;
    let hidden: Vec<HiddenAnswer> = table::decode(&bytes).map_err(failed)?;
    Ok(hidden.into_iter().map(|it| (it.prompt, it.answer)).collect())
}
