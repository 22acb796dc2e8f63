//! The data files that recipes name: found beside the file that names them, and read once for their
//! digest and the number of their samples.

use super::fetching::{benchmark_in_cache, data_in_cache, is_named};
use crate::base::{Fault, Faults, Hint, Place};
use crate::benchmarks::{self, Benchmark};
use crate::data::Sample;
use crate::data::loaders::{self, Columns, FileSource, FileSourceError, Survey, survey};
use crate::hub::Inside;
use crate::plan::{FilesFacts, Member};
use crate::recipe::{Data, DataColumns, OnBadSample, Origin};
use image::RgbImage;
use std::collections::{BTreeMap, btree_map::Entry};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Surveys the data files of all members. In each, the source gets the path at which its files lie.
///
/// # Errors
/// Every source that cannot be read, and the first row that is no sample where none may be left out.
pub(crate) fn read(
    members: &mut [Member],
    file: &Path,
    origin: &dyn Fn(&str, &str) -> Option<Origin>,
) -> Result<BTreeMap<String, FilesFacts>, Faults> {
    let mut surveys: BTreeMap<(String, String), Survey> = BTreeMap::new();
    let mut found: BTreeMap<String, FilesFacts> = BTreeMap::new();
    let mut faults: Vec<Fault> = Vec::new();
    for member in members.iter_mut() {
        let named_by = origin(&member.name, "data.benchmarks");
        let folder = beside(named_by.as_ref(), file);
        read_benchmarks(member, &folder, &mut found, &mut |error| {
            let fault = fault(error, named_by.as_ref().and_then(Origin::place).cloned());
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        });
        let data = &mut member.recipe.data;
        let origin = origin(&member.name, "data.source");
        let place = origin.as_ref().and_then(Origin::place).cloned();
        let mut tell = |error: &dyn Hint| {
            let fault = fault(error, place.clone());
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        };
        let source = match located(data, origin.as_ref(), file) {
            None => continue,
            Some(Ok(source)) => source,
            Some(Err(error)) => {
                tell(&error);
                continue;
            }
        };
        let format = source.format.to_string();
        let path = source.path.display().to_string();
        let columns = columns(&data.columns);
        let survey = match surveys.entry((data.source.clone(), format!("{columns:?}"))) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => match survey(&source, &columns) {
                Ok(surveyed) => place.insert(surveyed),
                Err(error) => {
                    tell(&error);
                    continue;
                }
            },
        };
        // Where no row is good, the first says why.
        let refused = data.on_bad_sample == OnBadSample::Fail || survey.samples == 0;
        if let Some(bad) = survey.first_bad.as_ref().filter(|_| refused) {
            tell(bad);
            continue;
        }
        let (digest, samples) = (survey.digest, survey.samples);
        found.insert(data.source.clone(), FilesFacts { format, path, digest, samples });
    }
    if faults.is_empty() { Ok(found) } else { Err(Faults(faults)) }
}

/// Gives the source of each member the path at which its files lie, without a look at them.
pub(crate) fn locate(
    members: &mut [Member],
    file: &Path,
    origin: &dyn Fn(&str, &str) -> Option<Origin>,
) {
    for member in members {
        let origin = origin(&member.name, "data.source");
        // What is no format is told when somebody reads it.
        drop(located(&mut member.recipe.data, origin.as_ref(), file));
    }
}

fn located(
    data: &mut Data,
    origin: Option<&Origin>,
    file: &Path,
) -> Option<Result<FileSource, FileSourceError>> {
    if let Some(in_cache) = data_in_cache(&data.source) {
        data.source = in_cache;
    }
    let mut source = match FileSource::parse(&data.source)? {
        Ok(source) => source,
        Err(error) => return Some(Err(error)),
    };
    source.path = beside(origin, file).join(&source.path);
    data.source = format!("{}:{}", source.format, source.path.display());
    Some(Ok(source))
}

/// A sample of the files that a recipe names, by its number in them from 0, without its picture.
///
/// # Errors
/// What is wrong, and the way out where there is one.
pub(crate) fn sample(data: &Data, number: u64) -> Result<Sample, (String, Option<String>)> {
    let said = |error: &dyn Hint| (error.to_string(), error.hint());
    let source = FileSource::parse(&data.source);
    let source = source.ok_or_else(|| (format!("`{}` names no files", data.source), None))?;
    let source = source.map_err(|error| said(&error))?;
    let (mut found, mut count) = (None, 0);
    let read = loaders::samples(&source, &columns(&data.columns), &mut |at, row| {
        count = at + 1;
        if at < number {
            return ControlFlow::Continue(());
        }
        found = Some(row);
        ControlFlow::Break(())
    });
    read.map_err(|error| said(&error))?;
    let none = || {
        let path = source.path.display();
        let hint = format!("they are numbered from 0 to {}", count.saturating_sub(1));
        (format!("there is no sample {number} among the {count} of `{path}`"), Some(hint))
    };
    let row = found.ok_or_else(none)?.map_err(|bad| said(&bad))?;
    Ok(Sample {
        id: number,
        category: row.category,
        question: row.question,
        prompt: None,
        answer: Some(row.answer),
        // No function of a script is shown the pictures.
        images: vec![RgbImage::new(1, 1); row.images.len()],
    })
}

/// The folder that the paths of a value are taken from: that of the file which names it.
pub(crate) fn beside(origin: Option<&Origin>, file: &Path) -> PathBuf {
    let by_file = match origin {
        Some(Origin::Extends(place) | Origin::File(place) | Origin::Axis(place)) => {
            Path::new(&place.source.name)
        }
        _ => file,
    };
    by_file.parent().unwrap_or(Path::new("")).to_owned()
}

/// A source without the folder in which its files lie: what is shared with others does not depend on
/// where somebody stood. What the files hold is in the keys.
pub(crate) fn without_folder(source: &str) -> String {
    match FileSource::parse(source) {
        Some(Ok(FileSource { format, .. })) if is_named(format, source) => format.to_string(),
        Some(Ok(FileSource { format, path })) => {
            let name = path.file_name().unwrap_or(path.as_os_str());
            format!("{format}:{}", name.display())
        }
        _ => source.to_owned(),
    }
}

/// A benchmark of a recipe in the same way.
pub(crate) fn benchmark_without_folder(written: &str) -> String {
    let Some((benchmark, path)) = benchmark_of(written) else { return written.to_owned() };
    let hub = benchmark.source();
    let is_of_hub = |path: &&str| Inside::of(path).is_some_and(|inside| inside.rest == hub.1);
    match path.filter(|path| !is_of_hub(path)) {
        Some(path) => {
            let name = Path::new(path).file_name().unwrap_or(path.as_ref());
            format!("{benchmark}:{}", name.display())
        }
        None => benchmark.to_string(),
    }
}

/// A benchmark that a recipe writes, and where its files lie, if it says that.
fn benchmark_of(written: &str) -> Option<(Benchmark, Option<&str>)> {
    let (name, path) = match written.split_once(':') {
        Some((name, path)) => (name, Some(path)),
        None => (written, None),
    };
    Some((Benchmark::named(name).ok()?, path))
}

/// Surveys the benchmarks of a member. Each gets its whole name, and the path at which its files lie;
/// those that are not in the cache of the hub have none.
fn read_benchmarks(
    member: &mut Member,
    folder: &Path,
    found: &mut BTreeMap<String, FilesFacts>,
    tell: &mut dyn FnMut(&dyn Hint),
) {
    for written in &mut member.recipe.data.benchmarks {
        let Some((benchmark, path)) = benchmark_of(written) else { continue };
        let path = match path {
            Some(path) => Some(folder.join(path)),
            None => benchmark_in_cache(&benchmark),
        };
        let format = benchmark.to_string();
        let Some(path) = path else {
            *written = format;
            continue;
        };
        let path_text = path.display().to_string();
        *written = format!("{format}:{path_text}");
        if found.contains_key(written) {
            continue;
        }
        match benchmarks::survey(&benchmark, &path) {
            Ok(it) => {
                let (digest, samples) = (it.digest, it.questions);
                let facts = FilesFacts { format, path: path_text, digest, samples };
                found.insert(written.clone(), facts);
            }
            Err(error) => tell(&error),
        }
    }
}

/// The columns of a recipe, as loaders take them.
fn columns(written: &DataColumns) -> Columns {
    let DataColumns { question, answer, image, category, choices } = written.clone();
    Columns { question, answer, image, category, choices }
}

fn fault(error: &dyn Hint, place: Option<Place>) -> Fault {
    Fault { code: "bad-data", message: error.to_string(), hint: error.hint(), place }
}
