//! The index of runs: an SQLite file beside the records, to find runs by value and metric.
//!
//! A cache, never a truth. Whoever asks brings it up to date first: of each run it holds the size and
//! the time of the files that it was made from, and what has others is read anew. An index that is
//! missing, damaged, of another version, or on a disk that may not be written is made again, in
//! memory if need be, and the answers are the same.

use super::{
    disk,
    error::{At as _, Error},
    layout::Store,
    query::{self, Found, Names, Query},
    record::Run,
};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, params};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

/// Version of the tables and of what is kept of a run.
const VERSION: i32 = 2;
/// How long another process may write before this one makes an index of its own in memory.
const PATIENCE: Duration = Duration::from_secs(2);

const TABLES: &str = "
CREATE TABLE runs (
  run TEXT PRIMARY KEY, number INTEGER NOT NULL, name TEXT NOT NULL, recipe_file TEXT NOT NULL,
  started_ms INTEGER NOT NULL, outcome TEXT NOT NULL, seconds REAL, accuracy REAL, problem TEXT,
  stamp TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE members (
  run TEXT NOT NULL, ordinal INTEGER NOT NULL, member TEXT NOT NULL, state TEXT NOT NULL,
  axes TEXT NOT NULL, PRIMARY KEY (run, ordinal)
) WITHOUT ROWID;
CREATE TABLE resolved_values (
  run TEXT NOT NULL, key TEXT NOT NULL, member TEXT NOT NULL, text TEXT NOT NULL, number REAL,
  PRIMARY KEY (run, key, member)
) WITHOUT ROWID;
CREATE TABLE metrics (
  run TEXT NOT NULL, member TEXT NOT NULL, name TEXT NOT NULL, value REAL NOT NULL, low REAL,
  high REAL, count INTEGER, PRIMARY KEY (run, member, name)
) WITHOUT ROWID;
";

/// What is kept of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// The recipe's or experiment's name.
    pub name: String,
    /// Path of the file, as it was given.
    pub recipe_file: String,
    /// When it began, in milliseconds since 1970.
    pub started_ms: u64,
    /// How it ended, in a word.
    pub outcome: String,
    /// Wall seconds, when it ended by itself.
    pub seconds: Option<f64>,
    /// Accuracy of the member to show first.
    pub accuracy: Option<f64>,
    /// What of its record cannot be read.
    pub problem: Option<String>,
    /// Values of the recipe, by dotted key.
    pub values: BTreeMap<String, Value>,
    /// Its members, in their order.
    pub members: Vec<IndexedMember>,
}

/// What is kept of a member.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IndexedMember {
    /// Its name.
    pub name: String,
    /// What became of it, in a word.
    pub state: String,
    /// Its values on the axes, which stand over the recipe's.
    pub axes: Map<String, Value>,
    /// What was measured.
    pub metrics: Vec<IndexedMetric>,
}

/// A number that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexedMetric {
    /// Such as `test.accuracy`.
    pub name: String,
    /// The number.
    pub value: f64,
    /// Its 95 % interval.
    pub interval: Option<[f64; 2]>,
    /// Of how many trials.
    pub count: Option<u64>,
}

/// How much an index holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Runs.
    pub runs: u64,
    /// Members of them.
    pub members: u64,
    /// Values.
    pub values: u64,
    /// Metrics.
    pub metrics: u64,
}

/// Reads what is to be kept of a run.
pub type ReadEntry<'a> = &'a dyn Fn(&Run) -> Result<Entry, Error>;

impl Store {
    /// Where the index lies.
    pub fn index_path(&self) -> PathBuf {
        self.path().join("index-v1.sqlite")
    }

    /// Finds runs and members.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn find(&self, query: &Query, read: ReadEntry<'_>) -> Result<Vec<Found>, Error> {
        Ok(self.ask(read, &|index| query::find(index, query))?.0)
    }

    /// Keys and metrics that some run has.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn indexed_names(&self, read: ReadEntry<'_>) -> Result<Names, Error> {
        Ok(self.ask(read, &query::names)?.0)
    }

    /// Brings the index up to date, and says how much it holds and why it could not be kept.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn refresh_index(&self, read: ReadEntry<'_>) -> Result<(Counts, Option<String>), Error> {
        self.ask(read, &query::counts)
    }

    /// Makes the index anew from the records.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub fn rebuild_index(&self, read: ReadEntry<'_>) -> Result<(Counts, Option<String>), Error> {
        let removed = remove(&self.index_path());
        let (counts, problem) = self.refresh_index(read)?;
        Ok((counts, removed.err().map(|error| error.to_string()).or(problem)))
    }

    /// Asks an index that is up to date; tells too why it does not lie on disk.
    fn ask<T>(
        &self,
        read: ReadEntry<'_>,
        question: &dyn Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<(T, Option<String>), Error> {
        let records = records(self)?;
        let path = self.index_path();
        let mut problem = "it is damaged, and cannot be removed".to_owned();
        // A damaged index is removed once; whatever else is wrong is not for this one to mend.
        for _ in 0..2 {
            match open(&path).and_then(|index| answer(index, &records, read, question)) {
                Ok(answer) => return Ok((answer, None)),
                Err(Failure::Record(error)) => return Err(error),
                Err(Failure::Index(error)) if is_damaged(&error) => {
                    if remove(&path).is_err() {
                        break;
                    }
                }
                Err(Failure::Index(error)) => {
                    problem = error.to_string();
                    break;
                }
            }
        }
        let index = Connection::open_in_memory().map_err(Failure::from);
        match index.and_then(|index| answer(index, &records, read, question)) {
            Ok(answer) => Ok((answer, Some(problem))),
            Err(Failure::Record(error)) => Err(error),
            Err(Failure::Index(error)) => Err(Error::Index { reason: error.to_string() }),
        }
    }
}

/// Why a question found no answer.
enum Failure {
    Record(Error),
    Index(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Index(error)
    }
}

/// Whether an index is not one, rather than out of reach.
fn is_damaged(error: &rusqlite::Error) -> bool {
    !matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::PermissionDenied
                | ErrorCode::OutOfMemory
        )
    )
}

fn open(path: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Ok(Connection::open_with_flags(path, flags)?)
}

/// Removes an index with what a killed process left beside it.
fn remove(path: &Path) -> Result<(), Error> {
    let mut journal = path.as_os_str().to_owned();
    journal.push("-journal");
    disk::remove_file(path)?;
    disk::remove_file(Path::new(&journal))
}

/// A run with the sizes and times of the files that its entry is made from.
fn records(store: &Store) -> Result<Vec<(Run, String)>, Error> {
    let with_stamp = |run: Run| Ok((stamp(&run)?, run)).map(|(stamp, run)| (run, stamp));
    store.runs()?.into_iter().map(with_stamp).collect()
}

fn stamp(run: &Run) -> Result<String, Error> {
    let mut stamp = run.number().to_string();
    for name in ["events.jsonl", "graph.json", "resolved.toml"] {
        let path = run.folder().join(name);
        let of_file = match fs::metadata(&path) {
            Ok(about) => {
                let modified = about.modified().at("look at", &path)?;
                let nanoseconds = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
                format!(" {}.{}", about.len(), nanoseconds.as_nanos())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => " -".to_owned(),
            Err(error) => return Err(error).at("look at", &path),
        };
        stamp.push_str(&of_file);
    }
    Ok(stamp)
}

fn answer<T>(
    mut index: Connection,
    records: &[(Run, String)],
    read: ReadEntry<'_>,
    question: &dyn Fn(&Connection) -> rusqlite::Result<T>,
) -> Result<T, Failure> {
    index.busy_timeout(PATIENCE)?;
    make_tables(&mut index)?;
    refresh(&mut index, records, read)?;
    // One transaction, so that all parts of an answer are of one state.
    let asked = index.transaction()?;
    Ok(question(&asked)?)
}

fn version(index: &Connection) -> rusqlite::Result<i32> {
    index.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn make_tables(index: &mut Connection) -> rusqlite::Result<()> {
    if version(index)? == VERSION {
        return Ok(());
    }
    let transaction = index.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have made them meanwhile. Tables of another version are damage.
    if version(&transaction)? != VERSION {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()
}

/// Reads anew what has changed and forgets what is gone. Writes only if there is something to.
fn refresh(
    index: &mut Connection,
    records: &[(Run, String)],
    read: ReadEntry<'_>,
) -> Result<(), Failure> {
    let known: BTreeMap<String, String> = {
        let mut statement = index.prepare("SELECT run, stamp FROM runs")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<Result<_, _>>()?
    };
    let changed = records.iter().filter(|(run, stamp)| known.get(run.id()) != Some(stamp));
    // Read before the index is locked, so that others need not wait for it.
    let entries = changed
        .map(|(run, stamp)| Ok((run, stamp.as_str(), read(run)?)))
        .collect::<Result<Vec<_>, Error>>()
        .map_err(Failure::Record)?;
    let there: BTreeSet<&str> = records.iter().map(|(run, _)| run.id()).collect();
    let gone: Vec<&String> = known.keys().filter(|id| !there.contains(id.as_str())).collect();
    if entries.is_empty() && gone.is_empty() {
        return Ok(());
    }
    let transaction = index.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for run in entries.iter().map(|(run, ..)| run.id()).chain(gone.iter().map(|id| id.as_str())) {
        for table in ["runs", "members", "resolved_values", "metrics"] {
            transaction.execute(&format!("DELETE FROM {table} WHERE run = ?"), [run])?;
        }
    }
    for (run, stamp, entry) in &entries {
        insert(&transaction, run, stamp, entry)?;
    }
    Ok(transaction.commit()?)
}

fn insert(index: &Connection, run: &Run, stamp: &str, entry: &Entry) -> rusqlite::Result<()> {
    let mut runs = index.prepare("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")?;
    runs.execute(params![
        run.id(),
        signed(run.number()),
        entry.name,
        entry.recipe_file,
        signed(entry.started_ms),
        entry.outcome,
        entry.seconds,
        entry.accuracy,
        entry.problem,
        stamp
    ])?;
    let mut values =
        index.prepare("INSERT OR REPLACE INTO resolved_values VALUES (?, ?, ?, ?, ?)")?;
    let mut members = index.prepare("INSERT INTO members VALUES (?, ?, ?, ?, ?)")?;
    let mut metrics =
        index.prepare("INSERT OR REPLACE INTO metrics VALUES (?, ?, ?, ?, ?, ?, ?)")?;
    for (key, value) in &entry.values {
        values.execute(params![run.id(), key, "", query::text(value), value.as_f64()])?;
    }
    for (ordinal, member) in (0_i64..).zip(&entry.members) {
        let axes = Value::Object(member.axes.clone()).to_string();
        members.execute(params![run.id(), ordinal, member.name, member.state, axes])?;
        for (key, value) in &member.axes {
            let (text, number) = (query::text(value), value.as_f64());
            values.execute(params![run.id(), key, member.name, text, number])?;
        }
        for metric in &member.metrics {
            let [low, high] = metric.interval.map_or([None; 2], |ends| ends.map(Some));
            let count = metric.count.map(signed);
            let IndexedMetric { name, value, .. } = metric;
            metrics.execute(params![run.id(), member.name, name, value, low, high, count])?;
        }
    }
    Ok(())
}

/// SQLite's integers have a sign; counts and times are far below their end.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
