//! `mstar data`: a contact sheet of samples, and what is wrong with data files.

use crate::base::{Hint, Seed, counted};
use crate::cli::arguments::{CheckData, Data, Preview, TextOrJson};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::fetching::data_in_cache;
use crate::cli::outputs::{spare_input, spare_row, spare_written};
use crate::cli::printer::Printer;
use crate::data::contamination::{Fingerprint, Overlap, overlaps};
use crate::data::loaders::{self, BadSample, Columns, FileSource, Unread};
use crate::data::mini_vista::{MiniVista, POOL_ONE_OPERATION, Stream};
use crate::data::{Sample, preview::contact_sheet, source::Source};
use crate::recipe::quoted;
use serde_json::json;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Tiles in a row of the sheet.
const COLUMNS: u32 = 5;
/// Bad rows that are told one by one.
const TOLD: usize = 10;

pub(crate) fn data(arguments: &Data, printer: Printer) -> Result<Exit, Trouble> {
    match arguments {
        Data::Preview(arguments) => preview(arguments, printer),
        Data::Check(arguments) => check(arguments, printer),
    }
}

fn wrong(error: &dyn Hint) -> Trouble {
    Trouble::from_hint(error, Exit::Wrong)
}

fn preview(preview: &Preview, printer: Printer) -> Result<Exit, Trouble> {
    spare_written(&preview.output)?;
    let samples: Vec<Sample> = match FileSource::parse(&preview.source) {
        None => {
            if Source::loadable(&preview.source).is_err() {
                return Err(no_files(&preview.source));
            }
            if !preview.columns.is_empty() {
                let message = format!("`--columns` has no effect on `{}`", preview.source);
                return Err(Trouble::wrong(message, "leave it out: that is no file"));
            }
            let task = MiniVista::new(Seed(preview.seed), POOL_ONE_OPERATION);
            (0..preview.count).map(|index| task.sample(Stream::Train, index)).collect()
        }
        Some(source) => {
            let columns = columns(&preview.columns)?;
            let source = source.map_err(|error| wrong(&error))?;
            spare_source(&preview.output, &source, &columns)?;
            first(&source, (&columns, preview.count), printer)?
        }
    };
    let png = contact_sheet(&samples, COLUMNS).map_err(|error| wrong(&error))?;
    crate::store::write_beside(&preview.output, &png).map_err(super::super::planning::of_store)?;
    printer.talk(&format!("{} in {}", counted(samples.len(), "sample"), preview.output.display()));
    Ok(Exit::Done)
}

/// That a name stands for no files here, and how to have some.
fn no_files(name: &str) -> Trouble {
    let hint = match Source::named(name) {
        Ok(Source { hub: Some(_), .. }) => {
            format!("bring them: `mstar fetch {name}`; or write `{name}:PATH`")
        }
        Err(error) if name.starts_with("builtin:") => error.hint().unwrap_or_default(),
        _ => "write `FORMAT:PATH`, such as `jsonl:train.jsonl`".to_owned(),
    };
    Trouble::wrong(format!("`{}` names no files", quoted(name)), hint)
}

/// Refuses an output in the place of a file with rows, or of a picture that any row names.
fn spare_source(output: &Path, source: &FileSource, columns: &Columns) -> Result<(), Trouble> {
    let files = source.files().map_err(|error| wrong(&error))?;
    files.iter().try_for_each(|file| spare_input(output, file))?;
    let Ok(there) = output.canonicalize() else { return Ok(()) };
    // Where no picture of these rows can be, none is looked for.
    let may_hold = |folder: PathBuf| folder.canonicalize().is_ok_and(|it| there.starts_with(it));
    let folders: BTreeSet<&Path> = files.iter().filter_map(|file| file.parent()).collect();
    let folders = folders.into_iter().map(|folder| Path::new(".").join(folder));
    let mut folders = folders.flat_map(|it| [it.join("../data_images"), it]);
    if !folders.any(may_hold) {
        return Ok(());
    }
    let mut spared = Ok(());
    let read = loaders::samples(source, columns, &mut |_, row| {
        spared = row.map_or(Ok(()), |row| spare_row(output, &row));
        if spared.is_err() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    read.map_err(|error| wrong(&error))?;
    spared
}

/// The columns as they are named on the command line.
fn columns(named: &[String]) -> Result<Columns, Trouble> {
    let mut columns = Columns::default();
    for text in named {
        let unknown = || {
            let hint = "write `FIELD=COLUMN`; fields are `question`, `answer`, `image`, `category` \
                        and `choices`";
            Trouble::wrong(format!("`{text}` names no column"), hint)
        };
        let (field, column) = text.split_once('=').ok_or_else(unknown)?;
        let place = match field {
            "question" => &mut columns.question,
            "answer" => &mut columns.answer,
            "image" => &mut columns.image,
            "category" => &mut columns.category,
            "choices" => &mut columns.choices,
            _ => return Err(unknown()),
        };
        column.clone_into(place);
    }
    Ok(columns)
}

/// The first samples of files; bad ones are told and passed over.
fn first(
    source: &FileSource,
    (columns, count): (&Columns, u64),
    printer: Printer,
) -> Result<Vec<Sample>, Trouble> {
    let (mut samples, mut bad_rows): (Vec<Sample>, usize) = (Vec::new(), 0);
    let mut first_bad = None;
    let read = loaders::samples(source, columns, &mut |id, row| {
        let sample = row.and_then(|row| Ok((row.decode()?, row)));
        match sample {
            Ok((images, row)) => samples.push(Sample {
                id,
                category: row.category,
                question: row.question,
                prompt: None,
                answer: Some(row.answer),
                images,
            }),
            Err(bad) => {
                bad_rows += 1;
                if bad_rows <= TOLD {
                    printer.talk(&bad.to_string());
                }
                first_bad.get_or_insert(bad);
            }
        }
        let enough = samples.len() as u64 >= count;
        if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    read.map_err(|error| wrong(&error))?;
    if bad_rows > TOLD {
        printer.talk(&counted(bad_rows - TOLD, "more bad row"));
    }
    if samples.is_empty() {
        return Err(no_samples(&source.path.display().to_string(), first_bad.as_ref()));
    }
    Ok(samples)
}

/// What was found in one source.
struct Found<'a> {
    source: &'a str,
    prints: Vec<Fingerprint>,
    bad: Vec<BadSample>,
    /// Rows with choices whose answer is none of them, with the answer.
    no_choice: Vec<NoChoice>,
}

/// A row with choices whose answer is none of them: no response to it can be right by its letter.
struct NoChoice {
    file: Arc<Path>,
    row: u64,
    answer: String,
}

fn check(arguments: &CheckData, printer: Printer) -> Result<Exit, Trouble> {
    let columns = columns(&arguments.columns)?;
    let mut found: Vec<Found<'_>> = Vec::new();
    for name in &arguments.sources {
        let in_cache = data_in_cache(name);
        let source = FileSource::parse(in_cache.as_deref().unwrap_or(name));
        let source = source.ok_or_else(|| no_files(name))?;
        let source = source.map_err(|error| wrong(&error))?;
        let mut of_it =
            Found { source: name, prints: Vec::new(), bad: Vec::new(), no_choice: Vec::new() };
        let read = loaders::samples(&source, &columns, &mut |id, row| {
            match row.and_then(|row| Ok((row.decode()?, row))) {
                Ok((images, row)) => {
                    of_it.prints.push(Fingerprint::of_parts(id, &row.question, &images));
                    if row.is_no_choice {
                        let Unread { file, row, answer, .. } = row;
                        of_it.no_choice.push(NoChoice { file, row, answer });
                    }
                }
                Err(bad) => of_it.bad.push(bad),
            }
            ControlFlow::Continue(())
        });
        read.map_err(|error| wrong(&error))?;
        found.push(of_it);
    }
    let prints: Vec<(&str, Vec<Fingerprint>)> =
        found.iter_mut().map(|it| (it.source, std::mem::take(&mut it.prints))).collect();
    let counts: Vec<usize> = prints.iter().map(|(_, prints)| prints.len()).collect();
    let shared = overlaps(&prints);
    let text = match arguments.format {
        TextOrJson::Json => to_json(&found, &counts, &shared),
        TextOrJson::Text => to_text(&found, &counts, &shared),
    };
    printer.data(&text)?;
    let Some((empty, _)) = found.iter().zip(&counts).find(|(_, count)| **count == 0) else {
        return Ok(Exit::Done);
    };
    Err(no_samples(empty.source, empty.bad.first()))
}

/// That nothing is a sample, with what the first row lacks.
fn no_samples(source: &str, first: Option<&BadSample>) -> Trouble {
    let Some(first) = first else {
        let hint = "it holds no row: see whether it is the right file";
        return Trouble::wrong(format!("`{source}` is empty"), hint);
    };
    let hint = first.hint.replace("in `data.columns`", "with `--columns FIELD=COLUMN`");
    Trouble::wrong(format!("no row of `{source}` is a sample"), hint)
}

fn to_text(found: &[Found<'_>], counts: &[usize], shared: &[Overlap]) -> String {
    let mut lines = Vec::new();
    for (it, count) in found.iter().zip(counts) {
        lines.push(format!(
            "{}: {}, {}",
            it.source,
            counted(*count, "sample"),
            counted(it.bad.len(), "bad row")
        ));
        lines.extend(it.bad.iter().take(TOLD).map(|bad| format!("  {bad}")));
        lines.extend(it.no_choice.iter().take(TOLD).map(|NoChoice { file, row, answer }| {
            let file = file.display();
            format!("  row {row} of `{file}`: the answer `{answer}` is none of its choices")
        }));
        for (all, what) in [(it.bad.len(), "bad rows"), (it.no_choice.len(), "such answers")] {
            if all > TOLD {
                lines.push(format!("  {} more {what}", all - TOLD));
            }
        }
    }
    lines.extend(shared.iter().map(Overlap::to_string));
    lines.join("\n")
}

fn to_json(found: &[Found<'_>], counts: &[usize], shared: &[Overlap]) -> String {
    let sources = found.iter().zip(counts).map(|(it, count)| {
        let bad = it.bad.iter().map(|bad| {
            let field = Some(&bad.field).filter(|field| !field.is_empty());
            json!({ "file": bad.file, "row": bad.row, "field": field, "fault": bad.fault })
        });
        let no_choice = it.no_choice.iter().map(|NoChoice { file, row, answer }| {
            json!({ "file": file.display().to_string(), "row": row, "answer": answer })
        });
        json!({
            "source": it.source, "samples": count, "bad": bad.collect::<Vec<_>>(),
            "no_choice": no_choice.collect::<Vec<_>>(),
        })
    });
    let shared = shared
        .iter()
        .map(|it| json!({ "parts": [it.parts.0, it.parts.1], "exact": it.exact, "near": it.near }));
    let (sources, shared) = (sources.collect::<Vec<_>>(), shared.collect::<Vec<_>>());
    json!({ "format": 1, "sources": sources, "shared": shared }).to_string()
}
