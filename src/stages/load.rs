//! Samples out of files: which row goes into which split, and reading them.
//!
//! Rows are put in an order that the seed of the data decides; the first go to the test split, the
//! next to validation, the rest to training. A row that is no sample is passed over, where the recipe
//! has it so, and the next takes its place.

use super::failure::{failed, failure};
use crate::base::Seed;
use crate::data::Sample;
use crate::data::loaders::{self, BadSample, Columns, FileSource, Unread};
use crate::event::Unit;
use crate::plan::Loading;
use crate::recipe::{DataColumns, OnBadSample};
use crate::run::{Context, Stop};
use std::ops::ControlFlow;

/// Bad samples that are named one by one.
const NAMED: usize = 5;
/// Rows between two looks at whether to stop.
const AT_A_TIME: u64 = 256;

/// The samples of a source in the order of its splits, their images undecoded.
pub(super) struct Loaded {
    /// By their number in the source.
    rows: Vec<(u64, Unread)>,
    on_bad_sample: OnBadSample,
    /// Rows that are no samples: how many, and the first of them.
    pub(super) bad: u64,
    told: Vec<String>,
}

/// Reads the rows of a source.
pub(super) fn open(
    format: &str,
    loading: &Loading,
    seed: u64,
    context: &Context<'_>,
) -> Result<Loaded, Stop> {
    let source = FileSource::parse(&format!("{format}:{}", loading.path));
    let Some(source) = source else {
        return Err(failure(format!("no loader for `{format}`"), "use `builtin:mini-vista`"));
    };
    let source = source.map_err(failed)?;
    let DataColumns { question, answer, image, category, choices } = loading.columns.clone();
    let columns = Columns { question, answer, image, category, choices };
    let survey = loaders::survey(&source, &columns).map_err(failed)?;
    if survey.digest != loading.digest {
        let reason = format!("`{}` is not what was planned: it was changed since", loading.path);
        return Err(failure(reason, "run the recipe again, which plans with what is there now"));
    }
    let mut loaded =
        Loaded { rows: Vec::new(), on_bad_sample: loading.on_bad_sample, bad: 0, told: Vec::new() };
    let mut stop = None;
    let read = loaders::samples(&source, &columns, &mut |number, sample| {
        match sample {
            Ok(sample) => loaded.rows.push((number, sample)),
            Err(error) => stop = loaded.pass_over(&error).err(),
        }
        if number % AT_A_TIME == 0 && context.cancelled() {
            stop = Some(Stop::Cancelled);
        }
        if stop.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    read.map_err(failed)?;
    if let Some(stop) = stop {
        return Err(stop);
    }
    let order = Seed(seed).named("split");
    // Taken from the end, so that what was decoded is let go.
    loaded.rows.sort_by_key(|(number, _)| std::cmp::Reverse((order.nth(*number), *number)));
    Ok(loaded)
}

impl Loaded {
    /// The next samples, decoded.
    pub(super) fn take(
        &mut self,
        count: u64,
        (done, total): (&mut u64, u64),
        context: &Context<'_>,
    ) -> Result<Vec<Sample>, Stop> {
        let mut samples = Vec::new();
        while (samples.len() as u64) < count {
            if context.cancelled() {
                return Err(Stop::Cancelled);
            }
            let Some((number, row)) = self.rows.pop() else {
                let reason = format!(
                    "of {total} samples that are asked for, {} were found: {} rows are none",
                    *done, self.bad
                );
                let hint = format!("write `data.prompts` so that they are at most {}", *done);
                return Err(failure(reason, hint));
            };
            match row.decode() {
                Ok(images) => {
                    *done += 1;
                    context.progress(*done, total, Unit::Prompts, &[]);
                    let Unread { question, answer, category, .. } = row;
                    let answer = Some(answer);
                    samples.push(Sample {
                        id: number,
                        category,
                        question,
                        prompt: None,
                        answer,
                        images,
                    });
                }
                Err(bad) => self.pass_over(&bad)?,
            }
        }
        Ok(samples)
    }

    /// Counts a bad sample, or stops for it.
    fn pass_over(&mut self, bad: &BadSample) -> Result<(), Stop> {
        if self.on_bad_sample == OnBadSample::Fail {
            return Err(failure(bad.to_string(), bad.hint.clone()));
        }
        self.bad += 1;
        if self.told.len() < NAMED {
            self.told.push(bad.to_string());
        }
        Ok(())
    }

    /// Says which rows were passed over.
    pub(super) fn tell(&self, context: &Context<'_>) {
        for bad in &self.told {
            context.note(format!("passed over: {bad}"));
        }
        if self.bad > self.told.len() as u64 {
            context.note(format!("passed over: {} rows in all", self.bad));
        }
    }
}
