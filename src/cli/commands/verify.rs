//! `mstar verify`: whether a bundle is what was bundled, without running anything of it.

use crate::base::{Bytes, counted};
use crate::cli::arguments::{TextOrJson, Verify};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::printer::Printer;
use crate::cli::sharing::{Checked, Opened};
use serde_json::json;

pub(crate) fn verify(arguments: &Verify, printer: Printer) -> Result<Exit, Trouble> {
    let opened = Opened::read(&arguments.bundle)?;
    let checked = opened.check()?;
    let text = match arguments.format {
        TextOrJson::Json => {
            let Checked { files, bytes, stages, metrics } = checked;
            json!({
                "format": 1, "name": opened.manifest.name, "run": opened.manifest.run,
                "files": files, "bytes": bytes, "stages": stages,
                "members": opened.planned.members.len(), "metrics": metrics,
                "needs": opened.planned.needed(),
            })
            .to_string()
        }
        TextOrJson::Text => in_words(&opened, &checked),
    };
    printer.data(&text)?;
    Ok(Exit::Done)
}

/// What was found good, a line each.
pub(super) fn in_words(opened: &Opened, checked: &Checked) -> String {
    let members = match opened.planned.members.len() {
        1 => String::new(),
        many => format!(" of {many} members"),
    };
    let data: String = opened
        .planned
        .needed()
        .into_iter()
        .map(|name| format!("\n  to run it again, `{name}` has to be there"))
        .collect();
    format!(
        "{}: {} of `{}`\n  {}, {}: every digest agrees\n  {}{members} {} from the recipe\n  {} can be \
         read{data}",
        opened.path.display(),
        opened.manifest.run,
        opened.manifest.name,
        counted(checked.files, "file"),
        Bytes(checked.bytes),
        counted(checked.stages, "stage"),
        if checked.stages == 1 { "follows" } else { "follow" },
        counted(checked.metrics, "metric"),
    )
}
