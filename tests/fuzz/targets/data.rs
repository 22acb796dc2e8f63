//! Data sets and the pictures in them.

use super::said;
use crate::campaign::file;
use mstar::benchmarks::{self, Benchmark};
use mstar::data::{
    loaders::{Columns, FileSource, Format, Picture, samples, survey},
    picture::{PictureLimits, decode},
};
use std::ops::ControlFlow;
use std::path::Path;

pub(crate) fn picture(bytes: &[u8], _: &Path) -> String {
    let small = decode(bytes, &PictureLimits { pixels: 1 << 22 });
    [said(&small), said(&decode(bytes, &PictureLimits::default()))].concat()
}

/// Every sample of a file, as each of the formats that read it.
fn read(path: &Path, formats: &[Format]) -> String {
    let mut all = String::new();
    for &format in formats {
        let source = FileSource { format, path: path.to_owned() };
        let name = |name: &str| name.to_owned();
        let columns = Columns {
            question: name("question"),
            answer: name("answer"),
            image: name("image"),
            category: name("category"),
            choices: name("choices"),
        };
        let _survey = survey(&source, &columns);
        let mut first = None;
        let read = samples(&source, &columns, &mut |_, sample| {
            // A path may name what has no end; reading those is another part's job.
            let is_file = |picture: &Picture| matches!(picture, Picture::File(_));
            let decoded = sample.and_then(|sample| match sample.images.iter().any(is_file) {
                true => Ok(None),
                false => sample.decode().map(Some),
            });
            let told = match decoded {
                Ok(_) => String::new(),
                Err(bad) => bad.to_string(),
            };
            first.get_or_insert(told);
            ControlFlow::Continue(())
        });
        all.push_str(&said(&read));
        all.push_str(&first.unwrap_or_default());
    }
    all
}

pub(crate) fn jsonl(bytes: &[u8], folder: &Path) -> String {
    let whole = bytes.starts_with(b"[");
    let path = file(folder, if whole { "rows.json" } else { "rows.jsonl" }, bytes);
    read(&path, &[Format::Jsonl])
}

pub(crate) fn llava(bytes: &[u8], folder: &Path) -> String {
    read(&file(folder, "rows.json", bytes), &[Format::Llava, Format::MathV360k])
}

pub(crate) fn tsv(bytes: &[u8], folder: &Path) -> String {
    let path = file(folder, "rows.tsv", bytes);
    let read = read(&path, &[Format::Tsv, Format::MmBench]);
    [read, scored(&path, &["mmbench", "mmbench-r"])].concat()
}

pub(crate) fn parquet(bytes: &[u8], folder: &Path) -> String {
    let path = file(folder, "rows.parquet", bytes);
    read(&path, &[Format::Parquet, Format::M3Cot, Format::MmStar, Format::Ai2d])
}

pub(crate) fn benchmark(bytes: &[u8], folder: &Path) -> String {
    let rows = file(folder, "rows.jsonl", bytes);
    let whole = file(folder, "rows.json", bytes);
    let all = [
        read(&rows, &[Format::M3Cot, Format::MmStar, Format::Ai2d, Format::MmBench]),
        read(&whole, &[Format::MathVista]),
        scored(&whole, &["mathvista"]),
        scored(&rows, &["m3cot", "mmstar", "mmstar-r", "ai2d"]),
        said(&benchmarks::responses(&rows)),
    ];
    all.concat()
}

/// The questions of a file, and scores of responses to them.
fn scored(path: &Path, names: &[&str]) -> String {
    let mut all = String::new();
    for name in names {
        let Ok(benchmark) = Benchmark::named(name) else { continue };
        let questions = benchmarks::questions(&benchmark, path);
        all.push_str(&said(&questions));
        let Ok(questions) = questions else { continue };
        let texts = ["It is (B).", "", "Answer: \\boxed{\\frac{1}{2}} 1,000.5e3"];
        for text in texts {
            let response = |id: &str| {
                let line = serde_json::json!({ "id": id, "response": text });
                line.to_string() + "\n"
            };
            let lines: String = questions.iter().map(|it| response(&it.id)).collect();
            let path = file(path.parent().unwrap(), "responses.jsonl", lines.as_bytes());
            let Ok(responses) = benchmarks::responses(&path) else { continue };
            let settings = benchmarks::Settings { ignore_empty: false, partial: true };
            let scores = benchmarks::score(&benchmark, &questions, &responses, settings, None);
            all.push_str(&said(&scores));
            if let Ok(scores) = scores {
                let _views = (benchmarks::text(&scores), benchmarks::json(&scores));
            }
        }
    }
    all
}
