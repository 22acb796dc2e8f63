//! The data that recipes name: what planning must know of it, and names that nothing has.

use crate::base::{Fault, Faults, Hint, Place, did_you_mean};
use crate::data::checkpoint;
use crate::data::source::{SOURCES, Size, Source};
use crate::plan::{Facts, Member, SourceFacts};
use crate::recipe::{Data, benchmark_name};
use std::collections::BTreeMap;

/// Question and separator of the embedded task, in tokens; pictures come on top.
const QUESTION_TOKENS: f64 = 7.0;

/// Adds the sizes of all sources: the training prompts of each, and the prompts of each benchmark.
pub(super) fn add_sizes(facts: &mut Facts) {
    for source in SOURCES {
        for split in source.splits {
            let (Size::Exact(count) | Size::About(count)) = split.size else { continue };
            if split.name == "train" {
                facts.prompts.insert(source.name.to_owned(), count);
            } else {
                facts.benchmarks.insert(format!("{}/{}", source.name, split.name), count);
                // At most so many are about more than perception.
                if matches!(source.name, "mmstar" | "mmbench") {
                    facts.benchmarks.insert(format!("{}-r/{}", source.name, split.name), count);
                }
            }
        }
    }
    let embedded = "builtin:mini-vista".to_owned();
    facts.prompts.insert(embedded.clone(), checkpoint::DEFAULT_PROMPTS);
    facts.demonstrations.insert(embedded, checkpoint::DEMONSTRATIONS);
}

/// Lengths by source, where they are known.
pub(super) fn lengths() -> BTreeMap<String, SourceFacts> {
    let known = SOURCES.iter().filter_map(|source| {
        let prompt_tokens = f64::from(source.image_tokens?) + QUESTION_TOKENS;
        let facts = SourceFacts { prompt_tokens, response_tokens: source.response_tokens? };
        Some((source.name.to_owned(), facts))
    });
    known.collect()
}

/// The code of names that nothing has.
const UNKNOWN: &str = "unknown-source";

/// What so many samples are too few for, and the way out.
fn too_few(data: &Data, samples: u64) -> Option<(String, &'static str)> {
    let Data { prompts, validation, test, .. } = *data;
    let parts = format!("{validation} for `data.validation` and {test} for `data.test`");
    if samples < prompts + validation + test {
        let asked = match prompts {
            0 => parts,
            prompts => format!("{prompts} for `data.prompts`, {parts}"),
        };
        let hint = "lower `data.prompts`, `data.validation` or `data.test`";
        return Some((format!("has {samples} samples, and {asked} are asked for"), hint));
    }
    (samples == validation + test).then(|| {
        let said = format!("has {samples} samples, and {parts} leave none to train on");
        (said, "lower `data.validation` or `data.test`")
    })
}

/// Refuses names of data that there is not. `place` says where a member's key is written.
pub(super) fn check(
    members: &[Member],
    facts: &Facts,
    place: &dyn Fn(&str, &str) -> Option<Place>,
) -> Result<(), Faults> {
    let mut faults: Vec<Fault> = Vec::new();
    for Member { name, recipe } in members {
        let mut tell = |code, key: &str, message: String, hint: Option<String>| {
            if faults.iter().all(|fault| fault.message != message) {
                let place = place(name, key);
                faults.push(Fault { code, message, hint, place });
            }
        };
        let data = &recipe.data;
        let source = &data.source;
        if let Some(files) = facts.files.get(source) {
            if let Some((what, hint)) = too_few(data, files.samples) {
                let (message, hint) = (format!("`{}` {what}", files.path), hint.to_owned());
                tell("too-few-samples", "data.source", message, Some(hint));
            }
        } else if let Err(error) = Source::named(source) {
            tell(UNKNOWN, "data.source", error.to_string(), error.hint());
        } else if recipe.data.prompts == 0 && !facts.prompts.contains_key(source) {
            let message = format!("the data source `{source}` has no training prompts");
            let hint = "it is a benchmark: name it in `data.benchmarks`".to_owned();
            tell(UNKNOWN, "data.source", message, Some(hint));
        }
        for benchmark in &recipe.data.benchmarks {
            let name = benchmark_name(benchmark);
            if recipe.data.benchmarks.iter().filter(|other| benchmark_name(other) == name).count()
                > 1
            {
                let message = format!("`{name}` is among the benchmarks twice");
                let hint = "evaluate on another split in a recipe of its own".to_owned();
                tell("benchmark-twice", "data.benchmarks", message, Some(hint));
            }
            if facts.benchmarks.contains_key(benchmark) || facts.files.contains_key(benchmark) {
                continue;
            }
            let message = format!("there is no benchmark `{benchmark}`");
            let known: Vec<&str> = facts.benchmarks.keys().map(String::as_str).collect();
            let hint = match did_you_mean(benchmark, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are `{}`", known.join("`, `")),
            };
            tell(UNKNOWN, "data.benchmarks", message, Some(hint));
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(Faults(faults)) }
}
