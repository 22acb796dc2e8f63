//! The page that leads a newcomer from an empty folder to a table of her own: every file and every
//! command of it as it is printed, only with fewer prompts.

use crate::sandbox::Sandbox;
use std::fs;
use std::path::Path;

/// What makes the runs of the page short.
const SMALL: [&str; 6] = [
    "data.prompts=80",
    "data.validation=8",
    "data.test=24",
    "warmup.prompts=40",
    "training.iterations=1",
    "evaluation.pass_samples=2",
];

/// Blocks of a page: what each is written in, and its lines.
fn blocks(page: &str) -> Vec<(&str, Vec<&str>)> {
    let mut blocks: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(_) if inside => inside = false,
            Some(language) => {
                blocks.push((language, Vec::new()));
                inside = true;
            }
            None if inside => blocks.last_mut().expect("one is open").1.push(line),
            None => {}
        }
    }
    blocks
}

#[test]
fn an_ablation_is_made_as_the_book_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("book/src/ablation.md");
    let page = fs::read_to_string(page).unwrap();
    let sandbox = Sandbox::new();
    let mut told = Vec::new();
    for (language, lines) in blocks(&page) {
        if language != "sh" {
            // The first line of a file names it.
            let name = lines[0].trim_start_matches(['#', '/', ' ']);
            let name = name.split(':').next().unwrap();
            sandbox.write(name, lines.join("\n") + "\n");
            continue;
        }
        for line in lines {
            let mut arguments: Vec<&str> = line.split(' ').skip(1).collect();
            if arguments[0] == "run" {
                arguments.extend(SMALL.iter().flat_map(|it| ["--set", it]));
                arguments.extend(["--workers", "1", "--device", "cpu"]);
            }
            told.push((line.to_owned(), sandbox.mstar(&arguments).exits(0).stdout));
        }
    }
    let said = |line: &str| &told.iter().find(|(command, _)| command == line).expect(line).1;
    assert!(said("mstar run brevity.toml").contains("teaches more than any right one"));
    let table = said("mstar report --format markdown");
    for row in ["| member | test.accuracy |", "| any | ", "| shortest | "] {
        assert!(table.contains(row), "{row} is not in {table}");
    }
    assert!(sandbox.path("brevity.tex").is_file() && sandbox.path("brevity.lock").is_file());
    let diff = said("mstar diff brevity-2/any,seed=1 brevity-2/shortest,seed=1");
    assert!(diff.contains("{ random = 1 }") && diff.contains("{ top = 1 }"), "{diff}");
}
