//! `mstar fetch`: brings a model or a data set from the hub, and says where it lies.

use crate::cli::arguments::{Fetch, TextOrJson};
use crate::cli::exit::{Exit, Trouble};
use crate::cli::fetching::{bring, of_hub, repo_of, settings};
use crate::cli::printer::Printer;
use serde_json::json;

pub(crate) fn fetch(arguments: &Fetch, printer: Printer) -> Result<Exit, Trouble> {
    let Fetch { name, revision, format } = arguments;
    let repo = repo_of(name, revision).map_err(|error| of_hub(&error))?;
    let snapshot = bring(&repo, &settings(), printer)?;
    let folder = snapshot.folder.display().to_string();
    let commit = snapshot.commit;
    match format {
        TextOrJson::Text => printer.data(&format!("commit {commit}\nfolder {folder}"))?,
        TextOrJson::Json => {
            let value = json!({
                "format": 1, "name": repo.to_string(), "revision": revision, "commit": commit,
                "folder": folder,
            });
            printer.data(&value.to_string())?;
        }
    }
    Ok(Exit::Done)
}
