//! `mstar reproduce`: runs what a bundle holds and says, metric by metric, whether it agrees.

use super::list::{aligned, shown};
use super::run::{Job, carry_out, machine};
use super::torch::worker_program;
use super::verify;
use crate::cli::arguments::{self, Over, Reproduce, TextOrJson};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::planning::{log_of, of_store};
use crate::cli::printer::Printer;
use crate::cli::sharing::{Agreement, Opened, Verdict, relocated};
use crate::report::Study;
use crate::store::Store;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Where the store is when none is named.
const DEFAULT_STORE: &str = ".mstar";

pub(crate) fn reproduce(
    arguments: &Reproduce,
    store_path: &Path,
    printer: Printer,
) -> Result<Exit, Trouble> {
    let mut opened = Opened::read(&arguments.bundle)?;
    let checked = opened.check()?;
    opened.planned = relocated(&opened.planned, printer)?;
    // Refused before a long run, not after it.
    let planned = opened.placed(&arguments.data)?;
    let (resources, _) = machine(&arguments.device, arguments.workers)?;
    worker_program()?;
    printer.talk(&verify::in_words(&opened, &checked));
    let folder = arguments.folder.clone();
    let folder =
        folder.unwrap_or_else(|| PathBuf::from(crate::bundle::safe_name(&opened.manifest.run)));
    opened.unpack(&folder)?;
    printer.talk(&format!("unpacked to {}", folder.display()));
    let store_path = match store_path == Path::new(DEFAULT_STORE) {
        true => folder.join(DEFAULT_STORE),
        false => store_path.to_owned(),
    };
    let run = arguments::Run {
        file: None,
        over: Over::default(),
        resume: None,
        device: arguments.device.clone(),
        workers: arguments.workers,
        keep_going: false,
        no_keep_going: false,
        retries: None,
        timeout: None,
        shown: arguments::Shown::default(),
        track: Vec::new(),
    };
    let job = Job::again(&opened, planned, &folder);
    let (exit, id) = carry_out(&run, job, &store_path, printer)?;
    if exit != Exit::Done {
        return Ok(exit);
    }
    let store = Store::open(&store_path).map_err(of_store)?;
    let recorded = store.run(&id).map_err(of_store)?;
    let study = Study::read(&log_of(&recorded)?);
    let agreement = Agreement::of(&opened, (&store, &study), &resources.machine())?;
    printer.data(&match arguments.format {
        TextOrJson::Text => in_words(&opened, &agreement),
        TextOrJson::Json => to_json(&opened, &id, &agreement),
    })?;
    Ok(if agreement.agrees() { Exit::Done } else { Exit::StageFailed })
}

fn in_words(opened: &Opened, agreement: &Agreement) -> String {
    let several = opened.planned.members.len() > 1;
    let mut rows = vec![["metric", "bundle", "here", ""].map(str::to_owned).to_vec()];
    for row in &agreement.rows {
        let name = &row.bundled.name;
        let name = if several { format!("{} of {}", name, row.member) } else { name.clone() };
        let interval = row
            .bundled
            .interval
            .map_or(String::new(), |[low, high]| format!(" [{low:.3}, {high:.3}]"));
        let now = row.now.map_or("–".to_owned(), shown);
        let word = row.verdict.word().to_owned();
        rows.push(vec![name, format!("{}{interval}", shown(row.bundled.value)), now, word]);
    }
    let mut lines = vec![aligned(&rows).trim_end().to_owned(), String::new()];
    let [equal, both] = agreement.files;
    lines.push(format!("{equal} of {both} files of stages are equal"));
    if !agreement.other_kind.is_empty() {
        lines.push("another kind of machine, so that numbers need not be equal:".to_owned());
        lines.extend(agreement.other_kind.iter().map(|it| format!("  {it}")));
    }
    let count = |verdict: Verdict| agreement.rows.iter().filter(|it| it.verdict == verdict).count();
    let all = agreement.rows.len();
    let against = agreement.rows.iter().filter(|row| !row.verdict.agrees()).count();
    lines.push(match (against, count(Verdict::Equal)) {
        (0, equal) if equal == all => {
            format!("equal: all {all} metrics of {}", opened.manifest.run)
        }
        (0, equal) => {
            format!("agrees: {equal} of {all} metrics equal, the others as far as stated")
        }
        (against, _) => format!("does not agree: {against} of {all} metrics"),
    });
    lines.join("\n")
}

fn to_json(opened: &Opened, run: &str, agreement: &Agreement) -> String {
    let rows = agreement.rows.iter().map(|row| {
        json!({
            "member": row.member, "metric": row.bundled.name, "bundle": row.bundled.value,
            "interval": row.bundled.interval, "here": row.now, "verdict": row.verdict.word(),
        })
    });
    let [equal, both] = agreement.files;
    json!({
        "format": 1, "bundle": opened.manifest.run, "run": run, "agrees": agreement.agrees(),
        "other_kind": agreement.other_kind, "files": { "equal": equal, "of": both },
        "metrics": rows.collect::<Vec<Value>>(),
    })
    .to_string()
}
