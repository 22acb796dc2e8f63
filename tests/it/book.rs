//! The README and the book say what is true: the reference of keys is what the language explains,
//! recipes in them resolve, commands in them parse, and links lead somewhere.

use indexmap::IndexMap;
use mstar::{
    base::{FAULT_CODES, Fault, FaultCode, Faults, Place, Source},
    event::event_docs,
    plan::stage_docs,
    recipe::{Experiment, Layers, Recipe, Stack, check_trials, explain, is_experiment, resolve},
};
use serde::de::IgnoredAny;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const REFERENCE: &str = "book/src/reference/keys.md";

const REFERENCE_HEAD: &str = "\
<!-- Made by `MSTAR_UPDATE_BOOK=1 cargo test --test it book` from src/recipe/keys.rs. -->

# Recipe keys

Every key of a recipe, table by table. `mstar explain KEY` says the same on the command line.";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page for people, by its path from the root of the repository.
fn pages() -> Vec<String> {
    let mut pages: Vec<String> = [
        "README.md",
        "experiments/README.md",
        "experiments/quickstart/README.md",
        "src/data/mini_vlm/README.md",
    ]
    .map(str::to_owned)
    .into();
    for folder in ["book/src", "book/src/reference"] {
        for entry in fs::read_dir(root().join(folder)).expect("the book has this folder") {
            let entry = entry.expect("a folder of the book can be listed");
            let name = entry.file_name().into_string().expect("names of pages are text");
            if name.ends_with(".md") {
                pages.push(format!("{folder}/{name}"));
            }
        }
    }
    pages.sort();
    pages
}

fn text(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// A fenced block: what it is written in, the number of its first line, its text.
struct Block {
    language: String,
    line: usize,
    text: String,
}

/// A page cut into its fenced blocks and the prose around them, whose lines keep their numbers.
fn cut(page: &str) -> (Vec<Block>, String) {
    let (mut blocks, mut prose) = (Vec::<Block>::new(), String::new());
    let mut inside = false;
    for (number, line) in (1..).zip(page.lines()) {
        if let Some(language) = line.strip_prefix("```") {
            if !inside {
                let language = language.trim().to_owned();
                blocks.push(Block { language, line: number + 1, text: String::new() });
            }
            inside = !inside;
            prose.push('\n');
        } else if inside {
            let block = blocks.last_mut().expect("a fence was opened");
            block.text += line;
            block.text.push('\n');
            prose.push('\n');
        } else {
            prose += line;
            prose.push('\n');
        }
    }
    assert!(!inside, "a fence stays open");
    (blocks, prose)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The keys of the top level in their order, which JSON text keeps.
fn top_level() -> Vec<String> {
    let text = serde_json::to_string(&Recipe::default()).expect("a recipe is plain data");
    let keys: IndexMap<String, IgnoredAny> =
        serde_json::from_str(&text).expect("it was just written");
    let own = |key: &str| std::iter::once(key.to_owned());
    own("extends").chain(keys.into_keys()).chain(own("test")).collect()
}

/// Adds the paragraphs of a key and of all keys below it.
fn add_key(key: &str, paragraphs: &mut Vec<String>) {
    let known = explain(key).unwrap_or_else(|| panic!("`{key}` is no key"));
    let level = if key.contains('.') { "###" } else { "##" };
    paragraphs.push(format!("{level} `{key}`"));
    paragraphs.push(one_line(&known.doc));
    if ["a table", "tables, as many as there are"].contains(&known.takes.as_str()) {
        for (name, _) in &known.parts {
            add_key(&format!("{key}.{name}"), paragraphs);
        }
        return;
    }
    let default = match known.default.is_null() {
        true => "not set".to_owned(),
        false => format!("`{}`", known.default),
    };
    paragraphs.push(format!("* takes {}\n* default: {default}", known.takes));
    if !known.parts.is_empty() {
        let row = |(written, meaning): &(String, String)| {
            format!("\n| {written} | {} |", one_line(meaning))
        };
        let rows: String = known.parts.iter().map(row).collect();
        paragraphs.push(format!("| value | meaning |\n|---|---|{rows}"));
    }
}

#[test]
fn the_book_has_every_field_that_a_function_is_given() {
    let text = fs::read_to_string(root().join("book/src/hooks.md")).unwrap();
    for moment in mstar::hooks::Moment::ALL {
        for field in moment.fields() {
            assert!(text.contains(&format!("`{field}`")), "`{field}` of `{moment}`");
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "writes the reference when it is asked to")]
fn the_reference_of_keys_is_what_the_language_explains() {
    let mut paragraphs = vec![REFERENCE_HEAD.to_owned()];
    for key in top_level() {
        add_key(&key, &mut paragraphs);
    }
    let wanted = paragraphs.join("\n\n") + "\n";
    if env::var_os("MSTAR_UPDATE_BOOK").is_some() {
        fs::write(root().join(REFERENCE), &wanted).unwrap();
        return;
    }
    let found = text(REFERENCE);
    let differs = (1..).zip(wanted.lines()).zip(found.lines()).find(|((_, a), b)| a != b);
    assert!(
        found == wanted,
        "{REFERENCE} is not what the language explains{}; make it again with \
         `MSTAR_UPDATE_BOOK=1 cargo test --test it book`",
        differs.map_or(String::new(), |((line, wanted), found)| format!(
            ": line {line} is `{found}` and should be `{wanted}`"
        )),
    );
}

const FAULTS: &str = "book/src/reference/faults.md";

const FAULTS_HEAD: &str = "\
<!-- Made by `MSTAR_UPDATE_BOOK=1 cargo test --test it book` from src/base/codes.rs. -->

# Faults

Everything that can be wrong with a recipe, an experiment or a script, by its code. The codes of what is
wrong are told below the faults; `mstar explain CODE` says the same on the command line.

| code | what it means | what to do |
|---|---|---|
";

#[test]
#[expect(clippy::disallowed_methods, reason = "writes the reference when it is asked to")]
fn the_reference_of_faults_is_the_table_of_codes() {
    let row = |it: &FaultCode| format!("| `{}` | {} | {} |\n", it.code, it.means, it.way_out);
    let rows: String = FAULT_CODES.iter().map(row).collect();
    let wanted = format!("{FAULTS_HEAD}{rows}");
    if env::var_os("MSTAR_UPDATE_BOOK").is_some() {
        fs::write(root().join(FAULTS), &wanted).unwrap();
        return;
    }
    let remake = "make it again with `MSTAR_UPDATE_BOOK=1 cargo test --test it book`";
    assert!(text(FAULTS) == wanted, "{FAULTS} is not the table of codes: {remake}");
}

const STAGES: &str = "book/src/reference/stages.md";

const STAGES_HEAD: &str = "\
<!-- Made by `MSTAR_UPDATE_BOOK=1 cargo test --test it book` from src/plan/stage. -->

# Stages

The kinds of stages that a [plan](../plan.md) is made of. A stage reads the artifacts of others by its ports, and
writes files into one of its own; [files and formats](../files.md) says what tables hold. Beside the ports that
are listed, what calls functions of the recipe's script reads it by `hooks`, and whatever may be skipped after an early
stop reads `stop`. Options are what a recipe resolved to: they decide the key. `mstar explain KIND` says the
same on the command line.
";

const EVENTS: &str = "book/src/reference/events.md";

const EVENTS_HEAD: &str = "\
<!-- Made by `MSTAR_UPDATE_BOOK=1 cargo test --test it book` from src/event/vocabulary.rs. -->

# Events

What the [log](../files.md) of a run, `events.jsonl`, may say: an object a line, with `event`, `time_ms`, which is
milliseconds since 1970, and the fields below. Readers pass over events and fields that they do not know.
`mstar explain EVENT` says the same on the command line.
";

/// Rows of a table, or nothing where there are none.
fn rows<'r>(head: &str, rows: impl Iterator<Item = (&'r str, &'r str)>) -> String {
    let rows: String = rows.map(|(name, meaning)| format!("| `{name}` | {meaning} |\n")).collect();
    match rows.is_empty() {
        true => String::new(),
        false => format!("\n| {head} | |\n|---|---|\n{rows}"),
    }
}

#[test]
fn the_references_of_stages_and_events_are_their_types() {
    let mut wanted = STAGES_HEAD.to_owned();
    for doc in stage_docs() {
        let reads = doc.reads.iter().map(|(port, meaning)| (*port, meaning.as_str()));
        let options = doc.options.iter().map(|(name, meaning)| (name.as_str(), meaning.as_str()));
        wanted += &format!("\n## `{}`\n\n{}\n", doc.kind, doc.does);
        wanted += &rows("reads by", reads);
        wanted += &rows("writes", doc.writes.iter().copied());
        wanted += &rows("option", options);
    }
    is_or_becomes(STAGES, &wanted);
    let mut wanted = EVENTS_HEAD.to_owned();
    for doc in event_docs() {
        let fields = doc.fields.iter().map(|(name, meaning)| (name.as_str(), meaning.as_str()));
        wanted += &format!("\n## `{}`\n\n{}\n", doc.name, doc.means);
        wanted += &rows("field", fields);
    }
    is_or_becomes(EVENTS, &wanted);
    let every = stage_docs()
        .into_iter()
        .flat_map(|doc| doc.options)
        .chain(event_docs().into_iter().flat_map(|doc| doc.fields));
    for (name, meaning) in every {
        assert!(!meaning.is_empty(), "`{name}` is not documented");
    }
}

/// Compares a page that is made with what it should be, or makes it when it is asked to.
#[expect(clippy::disallowed_methods, reason = "writes the reference when it is asked to")]
fn is_or_becomes(page: &str, wanted: &str) {
    if env::var_os("MSTAR_UPDATE_BOOK").is_some() {
        fs::write(root().join(page), wanted).unwrap();
        return;
    }
    let remake = "make it again with `MSTAR_UPDATE_BOOK=1 cargo test --test it book`";
    assert!(text(page) == wanted, "{page} is not what the program says: {remake}");
}

/// Recipes in the book are told as if they lay beside those of `recipes/`.
fn load_extends(path: &str, place: &Place) -> Result<Source, Fault> {
    let text = fs::read_to_string(root().join("recipes").join(path)).map_err(|error| Fault {
        code: "unreadable-file",
        message: format!("`recipes/{path}`: {error}"),
        hint: None,
        place: Some(place.clone()),
    })?;
    Ok(Source { name: path.to_owned(), text: text.into() })
}

/// Resolves a recipe, or every member of an experiment.
fn check(file: Source) -> Result<(), Faults> {
    let layers = |file| Layers { file, environment: Vec::new(), set: Vec::new() };
    if !is_experiment(&file) {
        return check_trials(&resolve(&layers(file), &mut load_extends)?);
    }
    let experiment = Experiment::read(&file)?;
    let (base, place) = experiment.base.clone().expect("an experiment of the book has a base");
    let base = base.strip_prefix("../recipes/").expect("its base is among the recipes");
    let base = load_extends(base, &place).map_err(|fault| Faults(vec![fault]))?;
    experiment.expand(&Stack::read(&layers(base), &mut load_extends)?).map(drop)
}

#[test]
fn recipes_in_the_book_resolve() {
    let mut resolved = 0;
    for page in pages() {
        for block in cut(&text(&page)).0 {
            let place = format!("{page}:{}", block.line);
            match block.language.as_str() {
                "toml" => {
                    let file = Source { name: place.clone(), text: block.text.into() };
                    if let Err(faults) = check(file) {
                        panic!("{faults}");
                    }
                    resolved += 1;
                }
                "toml,fragment" => {
                    if let Err(error) = toml::from_str::<toml::Table>(&block.text) {
                        panic!("{place}: {error}");
                    }
                }
                // Compared with what the tests of hooks run.
                "rhai" if page.ends_with("hooks.md") => {}
                // Made and run by the test that walks the page.
                "rhai" | "toml,file" => assert!(page.ends_with("ablation.md"), "{place}"),
                "sh" | "text" => {}
                other => panic!("{place}: a block in `{other}` is tested by nobody"),
            }
        }
    }
    assert!(resolved >= 3, "{resolved} recipes");
}

/// The words of a command line, without quotes, as a shell would cut them.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for character in line.chars() {
        match (character, quote) {
            (_, Some(open)) if character == open => quote = None,
            (_, Some(_)) => word.get_or_insert_default().push(character),
            ('"' | '\'', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (' ', None) => words.extend(word.take()),
            ('#', None) if word.is_none() => break,
            (_, None) => word.get_or_insert_default().push(character),
        }
    }
    assert!(quote.is_none(), "a quote stays open: {line}");
    words.extend(word);
    words
}

/// The arguments of a line that calls mstar, perhaps with variables before it.
fn arguments(line: &str) -> Option<Vec<String>> {
    let mut words = words(line).into_iter().skip_while(|word| {
        word.split_once('=').is_some_and(|(name, _)| name.starts_with("MSTAR_"))
    });
    (words.next()? == "mstar").then(|| words.take_while(|word| word != ">").collect())
}

/// Code within the lines of a text, between single backticks.
fn inline_code(prose: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(prose.lines());
    lines.flat_map(|(number, line)| line.split('`').skip(1).step_by(2).map(move |it| (number, it)))
}

#[test]
fn commands_in_the_book_parse() {
    let mut parsed = 0;
    for page in pages() {
        let text = text(&page);
        let (blocks, prose) = cut(&text);
        let shown = blocks
            .iter()
            .filter(|block| block.language == "sh")
            .flat_map(|block| (block.line..).zip(block.text.lines()));
        let named = inline_code(&prose).filter(|(_, code)| code.starts_with("mstar "));
        for (line, command) in shown.chain(named) {
            let Some(arguments) = arguments(command) else { continue };
            // With `--help` nothing runs, and what stands before it is still parsed.
            let mut mstar = Command::new(env!("CARGO_BIN_EXE_mstar"));
            let output = mstar.args(arguments).arg("--help").output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{page}:{line}: `{command}`: {said}");
            parsed += 1;
        }
    }
    assert!(parsed >= 40, "{parsed} commands");
}

#[test]
fn every_page_is_in_the_summary_and_links_lead_to_pages() {
    let summary = text("book/src/SUMMARY.md");
    for page in pages() {
        if let Some(name) = page.strip_prefix("book/src/").filter(|name| *name != "SUMMARY.md") {
            assert!(summary.contains(&format!("]({name})")), "`{name}` is not in the summary");
        }
        let folder = root().join(&page).parent().map(PathBuf::from).expect("a page is in a folder");
        let (_, prose) = cut(&text(&page));
        for link in prose.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            // Pictures are made by a run.
            if file.is_empty() || file.contains("://") || file.ends_with(".png") {
                continue;
            }
            assert!(folder.join(file).exists(), "{page}: `{link}` leads nowhere");
        }
    }
}

#[test]
fn lines_are_cut_as_a_shell_does() {
    let line = "MSTAR_SEED=3 mstar sample M \"bar red ?\" --set 'a={ b = 1 }' # why";
    let expected = ["sample", "M", "bar red ?", "--set", "a={ b = 1 }"];
    assert_eq!(arguments(line).unwrap(), expected);
    assert_eq!(arguments("make test"), None);
}
