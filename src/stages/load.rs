//! Samples out of files: which row goes into which split, and reading them.
//!
//! Rows are put in an order that the seed of the data decides; the first go to the test split, the
//! next to validation, the rest to training. A row that is no sample is passed over, where the recipe
//! has it so, and the next takes its place.

use super::failure::{failed, failure};
use super::spill::Spill;
use crate::base::Seed;
use crate::data::loaders::{self, BadSample, Columns, FileSource, Unread};
use crate::data::{Sample, table::Row as _};
use crate::event::Unit;
use crate::plan::Loading;
use crate::recipe::{DataColumns, OnBadSample};
use crate::run::{Context, Stop};
use image::RgbImage;
use std::ops::ControlFlow;

/// Bad samples that are named one by one.
const NAMED: usize = 5;
/// Rows between two looks at whether to stop.
const AT_A_TIME: u64 = 256;
/// Rows that each thread decodes before anybody looks at them.
const AHEAD: u64 = 4;
/// Bytes of pixels that are held at most, but for what is decoded ahead.
pub(super) const HELD: usize = 64 << 20;

/// The samples of a source in the order of its splits, their images undecoded in files.
pub(super) struct Loaded {
    /// By their number in the source.
    rows: Vec<(u64, Unread)>,
    /// Whether each of them has exactly one image.
    pub(super) one_each: bool,
    on_bad_sample: OnBadSample,
    /// Rows that are no samples: how many, and the first of them.
    pub(super) bad: u64,
    told: Vec<String>,
}

/// Reads the rows of a source, with their pictures or without any.
pub(super) fn open(
    format: &str,
    loading: &Loading,
    (seed, with_pictures): (u64, bool),
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
    let mut loaded = Loaded {
        rows: Vec::new(),
        one_each: true,
        on_bad_sample: loading.on_bad_sample,
        bad: 0,
        told: Vec::new(),
    };
    let mut spill = Spill::begin(context.work())?;
    let mut stop = None;
    let read = loaders::samples(&source, &columns, &mut |number, sample| {
        match sample {
            Ok(mut sample) => {
                loaded.one_each &= sample.images.len() == 1;
                if !with_pictures {
                    sample.images.clear();
                }
                stop = sample.images.iter_mut().try_for_each(|it| spill.put(it)).err();
                loaded.rows.push((number, sample));
            }
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
    // Taken from the end.
    loaded.rows.sort_by_key(|(number, _)| std::cmp::Reverse((order.nth(*number), *number)));
    Ok(loaded)
}

impl Loaded {
    /// Gives the next samples to `visit`, decoded, some at a time: as many as a group of their table
    /// has, and fewer where their pixels are many.
    pub(super) fn each(
        &mut self,
        count: u64,
        (done, total): (&mut u64, u64),
        context: &Context<'_>,
        visit: &mut dyn FnMut(Vec<Sample>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let tell = |done: u64| match context.cancelled() {
            true => Err(Stop::Cancelled),
            false => {
                context.progress(done, total, Unit::Prompts, &[]);
                Ok(())
            }
        };
        let threads = context.threads().max(1) as usize;
        self.decoded(count, (done, total), (threads, HELD), &tell, visit)
    }

    fn decoded(
        &mut self,
        count: u64,
        (done, total): (&mut u64, u64),
        (threads, most): (usize, usize),
        tell: &dyn Fn(u64) -> Result<(), Stop>,
        visit: &mut dyn FnMut(Vec<Sample>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let (mut taken, mut held, mut bytes) = (0, Vec::new(), 0);
        while taken < count {
            let next = (threads as u64 * AHEAD).min(count - taken);
            let rows: Vec<_> = (0..next).map_while(|_| self.rows.pop()).collect();
            if rows.is_empty() {
                let reason = format!(
                    "of {total} samples that are asked for, {} were found: {} rows are none",
                    *done, self.bad
                );
                let hint = format!("write `data.prompts` so that they are at most {}", *done);
                return Err(failure(reason, hint));
            }
            let decoded = decode(&rows, threads);
            for ((id, row), images) in rows.into_iter().zip(decoded) {
                let images = match images {
                    Ok(images) => images,
                    Err(bad) => {
                        self.pass_over(&bad)?;
                        continue;
                    }
                };
                (taken, *done) = (taken + 1, *done + 1);
                tell(*done)?;
                bytes += images.iter().map(|image| image.as_raw().len()).sum::<usize>();
                let Unread { question, answer, category, .. } = row;
                let answer = Some(answer);
                held.push(Sample { id, category, question, prompt: None, answer, images });
                if held.len() == Sample::<Vec<RgbImage>>::ROWS_IN_GROUP || bytes >= most {
                    visit(std::mem::take(&mut held))?;
                    bytes = 0;
                }
            }
        }
        if held.is_empty() { Ok(()) } else { visit(held) }
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

/// The pictures of rows in their order, whatever the number of threads.
fn decode(rows: &[(u64, Unread)], threads: usize) -> Vec<Result<Vec<RgbImage>, BadSample>> {
    let all = |rows: &[(u64, Unread)]| rows.iter().map(|(_, row)| row.decode()).collect::<Vec<_>>();
    std::thread::scope(|scope| {
        let each = rows.len().div_ceil(threads).max(1);
        let parts: Vec<_> = rows.chunks(each).map(|part| scope.spawn(move || all(part))).collect();
        let joined = |part: std::thread::ScopedJoinHandle<'_, _>| {
            part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        parts.into_iter().flat_map(joined).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{loaders::Picture, preview::png};
    use image::Rgb;
    use std::sync::Arc;

    const SIDE: u32 = 20;
    const BYTES: usize = (SIDE * SIDE * 3) as usize;

    /// Rows of which the fourth is broken and the others have a picture each, but one has two.
    fn loaded() -> Loaded {
        let picture = |at: u64| {
            let image = RgbImage::from_pixel(SIDE, SIDE, Rgb([at as u8; 3]));
            Picture::Bytes(if at == 3 { vec![7] } else { png(&image).unwrap() })
        };
        let row = |at: u64| Unread {
            question: "q".to_owned(),
            answer: "a".to_owned(),
            category: "all".to_owned(),
            images: vec![picture(at); if at == 5 { 2 } else { 1 }],
            is_no_choice: false,
            file: Arc::from(std::path::Path::new("rows.jsonl")),
            row: at + 1,
        };
        let rows = (0..30).rev().map(|at| (at, row(at))).collect();
        let on_bad_sample = OnBadSample::Skip;
        Loaded { rows, one_each: false, on_bad_sample, bad: 0, told: Vec::new() }
    }

    fn batches(threads: usize, most: usize) -> Vec<Vec<Sample>> {
        let (mut loaded, mut batches, mut done) = (loaded(), Vec::new(), 0);
        let mut visit = |samples| {
            batches.push(samples);
            Ok(())
        };
        let read = loaded.decoded(20, (&mut done, 20), (threads, most), &|_| Ok(()), &mut visit);
        assert!(read.is_ok());
        assert_eq!((done, loaded.bad, loaded.rows.len()), (20, 1, 9));
        batches
    }

    #[test]
    fn samples_come_in_bounded_batches_whatever_the_threads() {
        let most = 4 * BYTES;
        let one = batches(1, most);
        for batch in &one {
            let bytes: usize =
                batch.iter().flat_map(|it| &it.images).map(|image| image.as_raw().len()).sum();
            // A batch is over the bound by less than its last sample.
            assert!((1..most + 2 * BYTES).contains(&bytes), "{bytes}");
        }
        assert!(one.len() >= 5, "{}", one.len());
        let ids: Vec<u64> = one.iter().flatten().map(|sample| sample.id).collect();
        assert_eq!(ids, (0..21).filter(|at| *at != 3).collect::<Vec<_>>());
        for threads in [2, 3, 16] {
            assert_eq!(batches(threads, most), one);
        }
        assert_eq!(batches(2, usize::MAX).concat(), one.concat());
    }
}
