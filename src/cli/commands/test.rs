//! `mstar test`: tries the tests that recipes hold, without a model.

use crate::cli::arguments::{Over, Test, TextOrJson};
use crate::cli::asked::Asked;
use crate::cli::exit::{Exit, Trouble};
use crate::cli::printer::Printer;
use crate::cli::trials::Trials;
use crate::recipe::is_experiment;
use crate::trial::{Finding, Tried};
use serde_json::{Value, json};
use std::path::Path;

/// What came of the tests of one recipe.
struct Tested {
    file: String,
    tried: Vec<Tried>,
}

pub(crate) fn test(arguments: &Test, printer: Printer) -> Result<Exit, Trouble> {
    let (mut tested, mut wrong) = (Vec::new(), 0);
    for file in &arguments.files {
        match try_recipe(file, arguments) {
            Ok(recipe) => tested.push(recipe),
            Err(trouble) => {
                wrong += 1;
                printer.complain(&trouble.to_string());
            }
        }
    }
    let all = || tested.iter().flat_map(|recipe| &recipe.tried);
    let failed = all().filter(|tried| !tried.passed()).count();
    let passed = all().count() - failed;
    if let Some(words) = arguments.filter.as_deref().filter(|_| passed + failed + wrong == 0) {
        let message = format!("no test fits `{words}`");
        return Err(Trouble::wrong(message, "give a part of a test's name"));
    }
    match arguments.format {
        TextOrJson::Json => printer.data(&in_json(&tested, passed, failed).to_string())?,
        // Where nothing could be tried, what is wrong was told.
        TextOrJson::Text if tested.is_empty() => {}
        TextOrJson::Text => {
            let lines: String = tested.iter().map(in_words).collect();
            printer.data(&format!("{lines}{passed} passed, {failed} failed"))?;
        }
    }
    Ok(match (wrong, failed) {
        (0, 0) => Exit::Done,
        (0, _) => Exit::StageFailed,
        _ => Exit::Wrong,
    })
}

fn try_recipe(file: &Path, arguments: &Test) -> Result<Tested, Trouble> {
    let over = Over { set: arguments.set.clone(), ..Over::default() };
    let source = crate::cli::files::read_recipe(file)?;
    if is_experiment(&source) {
        let message = format!("`{}` is an experiment and holds no tests", file.display());
        return Err(Trouble::wrong(message, "test the recipe that it names as its `base`"));
    }
    let asked = Asked::read_for_tests(file, &over)?;
    let trials = Trials::read(&asked, file)?;
    let recipe = &asked.resolved.recipe;
    let is_meant = |name: &str| arguments.filter.as_ref().is_none_or(|it| name.contains(it));
    let meant = trials.cases.iter().filter(|case| is_meant(case.name()));
    let tried = meant.map(|case| case.run(recipe, &trials.hooks)).collect();
    Ok(Tested { file: file.display().to_string(), tried })
}

fn in_words(tested: &Tested) -> String {
    let mut lines = vec![tested.file.clone()];
    if tested.tried.is_empty() {
        lines.push("  no tests".to_owned());
    }
    for tried in &tested.tried {
        let word = if tried.passed() { "pass" } else { "FAIL" };
        lines.push(format!("  {word}  {}", plain(&tried.name)));
        for finding in tried.findings.iter().filter(|finding| !finding.agrees) {
            let Finding { what, expected, found, why, place, .. } = finding;
            lines.push(match expected == found {
                true => format!("        {place}: `{what}` is {found}, as expected"),
                false => format!("        {place}: `{what}` is {found}, not {expected}"),
            });
            lines.extend(why.iter().map(|why| format!("        {}", plain(why))));
        }
        if let Some((reason, hint)) = &tried.failure {
            lines.push(format!("        {}: {}", tried.place, plain(reason)));
            lines.extend(hint.iter().map(|hint| format!("        hint: {hint}")));
        }
    }
    lines.join("\n") + "\n"
}

/// A stranger's words on one line.
fn plain(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join(" ")
}

fn in_json(tested: &[Tested], passed: usize, failed: usize) -> Value {
    let finding = |it: &Finding| {
        json!({
            "what": it.what, "expected": it.expected, "found": it.found, "agrees": it.agrees,
            "why": it.why, "line": it.place.line_and_column().0,
        })
    };
    let test = |it: &Tried| {
        json!({
            "name": it.name, "line": it.place.line_and_column().0, "passed": it.passed(),
            "findings": it.findings.iter().map(finding).collect::<Vec<_>>(),
            "failure": it.failure.as_ref().map(|(reason, _)| reason),
        })
    };
    let recipe = |it: &Tested| {
        let tests: Vec<Value> = it.tried.iter().map(test).collect();
        json!({ "file": it.file, "tests": tests })
    };
    let recipes: Vec<Value> = tested.iter().map(recipe).collect();
    json!({ "format": 1, "passed": passed, "failed": failed, "recipes": recipes })
}
