//! Records of runs: what was asked for, and the log of what happened.

use super::{
    disk::{self, Sync},
    error::{At as _, Error, READ},
    layout::Store,
    lock::Held,
};
use crate::base::Key;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

const EVENTS: &str = "events.jsonl";
const ABOUT: &str = "run.json";

/// What is written down when a run begins.
#[derive(Clone, Copy, Debug)]
pub struct RunFiles<'a> {
    /// The recipe's or experiment's text, as given.
    pub recipe: &'a str,
    /// Every value it resolved to.
    pub resolved: &'a str,
    /// The graph as JSON.
    pub graph: &'a str,
    /// All stages of the graph; `gc` keeps their artifacts.
    pub keys: &'a [Key],
}

/// What `run.json` holds.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    format: u32,
    number: u64,
    keys: Vec<Key>,
}

/// A recorded run.
#[derive(Clone, Debug)]
pub struct Run {
    id: String,
    folder: PathBuf,
    number: u64,
    keys: Vec<Key>,
}

impl Run {
    /// Its name in the store: the recipe's and a number that grows from run to run.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Position in the order in which the store's runs began, from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// All stages of its graph.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The log so far, one event a line; the last line may be torn.
    ///
    /// # Errors
    /// [`Error::NoLog`], or when it cannot be read.
    pub fn events(&self) -> Result<String, Error> {
        // A torn line may end inside a character.
        let bytes = disk::read(&self.folder.join(EVENTS))?.ok_or_else(|| self.no_log())?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn no_log(&self) -> Error {
        Error::NoLog { run: self.id.clone() }
    }

    /// The bytes of the log from an offset on; none when the log is not so long.
    ///
    /// # Errors
    /// [`Error::NoLog`], or when it cannot be read.
    pub fn events_from(&self, offset: u64) -> Result<Vec<u8>, Error> {
        let path = self.folder.join(EVENTS);
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(self.no_log()),
            opened => opened.at(READ, &path)?,
        };
        let mut bytes = Vec::new();
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_to_end(&mut bytes));
        read.at(READ, &path)?;
        Ok(bytes)
    }

    /// The recipe's text as it was given.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn recipe(&self) -> Result<String, Error> {
        self.text("recipe.toml")
    }

    /// Every value it resolved to.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn resolved(&self) -> Result<String, Error> {
        self.text("resolved.toml")
    }

    /// The graph as JSON.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn graph(&self) -> Result<String, Error> {
        self.text("graph.json")
    }

    fn text(&self, name: &str) -> Result<String, Error> {
        let path = self.folder.join(name);
        fs::read_to_string(&path).at(READ, &path)
    }
}

/// The log of a run that is going on. Holds the run's lock, which keeps `gc` away.
#[derive(Debug)]
pub struct RunLog {
    id: String,
    path: PathBuf,
    file: File,
    lock: Held,
}

impl RunLog {
    /// The run's name in the store.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Adds a line, given without its newline, in one write.
    ///
    /// # Errors
    /// When the disk is full or refuses.
    pub fn append(&mut self, line: &str) -> Result<(), Error> {
        self.file.write_all(format!("{line}\n").as_bytes()).at("write", &self.path)
    }

    /// Makes all lines so far outlast a loss of power.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&mut self) -> Result<(), Error> {
        self.file.sync_data().at("sync", &self.path)
    }

    /// Ends the log: syncs it and lets `gc` have the run.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn close(mut self) -> Result<(), Error> {
        self.sync()?;
        self.lock.remove()
    }
}

impl Store {
    /// Records a new run under `<name>-<number>`. The record appears whole, and no `gc` runs
    /// meanwhile, so that a run's artifacts are named before it looks for them.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create_run(&self, name: &str, files: &RunFiles<'_>) -> Result<RunLog, Error> {
        let whole = self.lock_whole("store.lock")?;
        let number = self.last_number()?.saturating_add(1);
        let id = format!("{}-{number}", folder_name(name));
        let lock = self.lock_whole(&run_lock(&id))?;
        let about = About { format: 1, number, keys: files.keys.to_vec() };
        let draft = self.temporary_folder().join(disk::unique());
        let folder = self.runs_folder().join(&id);
        let written = write_draft(&draft, &about, files)
            .and_then(|()| fs::rename(&draft, &folder).at("rename into place", &folder));
        if let Err(error) = written {
            // A full disk is not to be filled further with records of what never began.
            disk::remove_folder(&draft)?;
            lock.remove()?;
            return Err(error);
        }
        disk::sync_folder(&self.runs_folder(), Sync::Now)?;
        let path = folder.join(EVENTS);
        let file = File::options().append(true).open(&path).at("open", &path)?;
        drop(whole);
        Ok(RunLog { id, path, file, lock })
    }

    /// Goes on with the log of a run that ended or was killed. A last line that was torn is cut.
    ///
    /// # Errors
    /// [`Error::NoSuchRun`], [`Error::LivingRun`] when the run is still going on, and when its record
    /// cannot be read or its log not be opened.
    pub fn reopen_run(&self, id: &str) -> Result<RunLog, Error> {
        let whole = self.lock_whole("store.lock")?;
        let run = self.run(id)?;
        let living = || Error::LivingRun { run: id.to_owned() };
        let lock = self.try_run_lock(id)?.ok_or_else(living)?;
        drop(whole);
        let path = run.folder.join(EVENTS);
        let file = File::options().create(true).append(true).open(&path).at("open", &path)?;
        let bytes = disk::read(&path)?.unwrap_or_default();
        let whole_lines = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if whole_lines < bytes.len() {
            file.set_len(whole_lines as u64).at("cut", &path)?;
        }
        Ok(RunLog { id: run.id, path, file, lock })
    }

    /// The lock of a run, if it is free. Somebody who only looks holds it for a moment.
    fn try_run_lock(&self, id: &str) -> Result<Option<Held>, Error> {
        if let Some(lock) = self.try_lock(&run_lock(id))? {
            return Ok(Some(lock));
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
        self.try_lock(&run_lock(id))
    }

    /// Whether a living process carries the run out. Looks without making or changing a file.
    ///
    /// # Errors
    /// When the lock cannot be looked at.
    pub fn is_living(&self, run: &Run) -> Result<bool, Error> {
        self.is_held(&run_lock(run.id()))
    }

    /// All runs whose records can be read, in the order in which they began.
    ///
    /// # Errors
    /// When the runs cannot be listed.
    pub fn runs(&self) -> Result<Vec<Run>, Error> {
        self.records().map(|(runs, _)| runs)
    }

    /// What is wrong with the records that [`Store::runs`] passes over.
    ///
    /// # Errors
    /// When the runs cannot be listed.
    pub fn unreadable_runs(&self) -> Result<Vec<Error>, Error> {
        self.records().map(|(_, unreadable)| unreadable)
    }

    /// All runs, and what is wrong with those whose records cannot be read.
    pub(super) fn records(&self) -> Result<(Vec<Run>, Vec<Error>), Error> {
        let (mut runs, mut unreadable) = (Vec::new(), Vec::new());
        for id in disk::names(&self.runs_folder())? {
            match self.run(&id) {
                Ok(run) => runs.push(run),
                // It was removed meanwhile, or is no folder.
                Err(Error::NoSuchRun { .. }) => {}
                Err(error) => unreadable.push(error),
            }
        }
        runs.sort_by_key(|run| run.number);
        Ok((runs, unreadable))
    }

    /// The number of the run that began last; 0 before the first. One whose record cannot be read
    /// has it in its name.
    fn last_number(&self) -> Result<u64, Error> {
        let in_name = |id: String| id.rsplit_once('-').and_then(|(_, end)| end.parse().ok());
        let named = disk::names(&self.runs_folder())?.into_iter().filter_map(in_name);
        Ok(named.max().unwrap_or(0))
    }

    /// The run that began last; `None` before the first.
    ///
    /// # Errors
    /// When the runs cannot be listed.
    pub fn latest_run(&self) -> Result<Option<Run>, Error> {
        Ok(self.runs()?.pop())
    }

    /// One run by its name.
    ///
    /// # Errors
    /// [`Error::NoSuchRun`], or when its record cannot be read.
    pub fn run(&self, id: &str) -> Result<Run, Error> {
        let missing = || Error::NoSuchRun { run: id.to_owned() };
        super::staging::check_name(id).map_err(|_| missing())?;
        let folder = self.runs_folder().join(id);
        if !folder.is_dir() {
            return Err(missing());
        }
        let bad = |reason: String| Error::BadRun { run: id.to_owned(), reason };
        let bytes =
            disk::read(&folder.join(ABOUT))?.ok_or_else(|| bad(format!("`{ABOUT}` is missing")))?;
        let about: About =
            serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
        Ok(Run { id: id.to_owned(), folder, number: about.number, keys: about.keys })
    }
}

fn write_draft(draft: &Path, about: &About, files: &RunFiles<'_>) -> Result<(), Error> {
    disk::remove_folder(draft)?;
    disk::make_folder(draft)?;
    let about = serde_json::to_string(about).expect("a record is plain data");
    for (name, text, sync) in [
        ("recipe.toml", files.recipe, Sync::Later),
        ("resolved.toml", files.resolved, Sync::Later),
        ("graph.json", files.graph, Sync::Later),
        (ABOUT, about.as_str(), Sync::Now),
        (EVENTS, "", Sync::Later),
    ] {
        disk::write(&draft.join(name), text.as_bytes(), sync)?;
    }
    Ok(())
}

/// Name of the lock that a living run holds.
pub(super) fn run_lock(id: &str) -> String {
    format!("run-{id}.lock")
}

/// A recipe's name as a folder's: what does not belong there becomes `-`.
fn folder_name(name: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.';
    let name: String = name.chars().map(|c| if keep(c) { c } else { '-' }).take(80).collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() { "run".to_owned() } else { name.to_owned() }
}
