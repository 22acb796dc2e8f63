//! `mstar eval`: scores of responses that some engine gave to a benchmark's questions.

use crate::base::{Hint, counted};
use crate::benchmarks::{self, Benchmark, Extractor, Question, Responses, Scores, Settings};
use crate::cli::arguments::{Eval, ScoresFormat};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::fetching::benchmark_here;
use crate::cli::printer::Printer;
use std::path::{Path, PathBuf};

/// Ids that a line lists.
const LISTED: usize = 8;
/// Where the key of a server is read from.
const KEY: &str = "OPENAI_API_KEY";

pub(crate) fn eval(arguments: &Eval, responses: &Path, printer: Printer) -> Result<Exit, Trouble> {
    let wrong = |error: &dyn Hint| Trouble::from_hint(error, Exit::Wrong);
    let (benchmark, data) = named(arguments, printer)?;
    let questions = benchmarks::questions(&benchmark, &data).map_err(|error| wrong(&error))?;
    let responses = benchmarks::responses(responses).map_err(|error| wrong(&error))?;
    show(arguments, &benchmark, &questions, &responses, printer)
}

/// The benchmark, and where its questions lie: where somebody says, or else in the cache of the hub, into
/// which they are brought.
pub(super) fn named(arguments: &Eval, printer: Printer) -> Result<(Benchmark, PathBuf), Trouble> {
    let (name, beside) = match arguments.benchmark.split_once(':') {
        Some((name, path)) => (name, Some(PathBuf::from(path))),
        None => (arguments.benchmark.as_str(), None),
    };
    let known = Benchmark::named(name);
    let benchmark = known.map_err(|error| Trouble::from_hint(&error, Exit::Wrong))?;
    let data = match (beside, arguments.data.clone()) {
        (Some(_), Some(_)) => {
            let message = "`--benchmark` and `--data` both say where the questions lie";
            return Err(Trouble::wrong(message, "leave one of the two out"));
        }
        (Some(path), None) | (None, Some(path)) => path,
        (None, None) => benchmark_here(&benchmark, printer)?,
    };
    Ok((benchmark, data))
}

/// Scores responses and shows what they are worth.
pub(super) fn show(
    arguments: &Eval,
    benchmark: &Benchmark,
    questions: &[Question],
    responses: &Responses,
    printer: Printer,
) -> Result<Exit, Trouble> {
    let mut extractor = arguments.extractor.as_deref().map(|url| {
        let model = arguments.extractor_model.as_deref().unwrap_or_default();
        Extractor::new(url, model, std::env::var(KEY).ok().filter(|key| !key.is_empty()))
    });
    let settings =
        Settings { ignore_empty: arguments.ignore_empty_extractions, partial: arguments.partial };
    let scored = benchmarks::score(benchmark, questions, responses, settings, extractor.as_mut());
    let scores = scored.map_err(|error| Trouble::from_hint(&error, Exit::Wrong))?;
    tell(&scores, settings, printer);
    let shown = match arguments.format {
        ScoresFormat::Text => benchmarks::text(&scores),
        ScoresFormat::Json => benchmarks::json(&scores),
        ScoresFormat::Markdown => benchmarks::markdown(&scores),
    };
    printer.data(&shown)?;
    Ok(Exit::Done)
}

/// Says which responses are missing, there twice, or to nothing.
fn tell(scores: &Scores, settings: Settings, printer: Printer) {
    let missing = match settings.partial {
        true => "without a response, left out",
        false => "without a response, counted as wrong",
    };
    for (ids, of, what) in [
        (&scores.missing, "question", missing),
        (&scores.repeated, "question", "with several responses, of which the last counts"),
        (&scores.unknown, "response", "to no question of the benchmark"),
    ] {
        if ids.is_empty() {
            continue;
        }
        let listed: Vec<&str> = ids.iter().take(LISTED).map(String::as_str).collect();
        let more = if ids.len() > LISTED { ", …" } else { "" };
        let count = counted(ids.len(), of);
        printer.talk(&format!("{count} {what}: {}{more}", listed.join(", ")));
    }
}
