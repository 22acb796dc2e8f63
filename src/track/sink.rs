//! The trackers behind one door: each takes items from the front and says how many it took.

use super::error::TrackError;
use super::item::{Item, Parameters, Reader};
use super::mlflow::Mlflow;
use super::target::{Credentials, Target};
use super::tensorboard;
use crate::base::Digest;
use crate::store::Growing;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How far a tracker was told: items of the log after `offset`, of which it took `taken`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Cursor {
    pub(super) offset: u64,
    pub(super) taken: u64,
    /// Bytes of the event files, by their paths in the tracker's folder.
    pub(super) lengths: BTreeMap<String, u64>,
    /// The tracker's own names for members.
    pub(super) runs: BTreeMap<String, String>,
}

/// A tracker of one kind.
pub(super) enum Sink {
    TensorBoard(EventFiles),
    Mlflow(Box<Mlflow>),
}

impl Sink {
    pub(super) fn new(target: &Target, credentials: &Credentials, parameters: Parameters) -> Self {
        match target {
            Target::TensorBoard(folder) => {
                Self::TensorBoard(EventFiles { folder: folder.clone(), files: BTreeMap::new() })
            }
            Target::Mlflow(url) => {
                Self::Mlflow(Box::new(Mlflow::new(url, credentials, parameters)))
            }
        }
    }

    /// Whether what it was told before is still there; when not, it is told anew.
    pub(super) fn still_has(&self, cursor: &Cursor) -> Result<bool, TrackError> {
        let Self::TensorBoard(files) = self else { return Ok(true) };
        for (name, length) in &cursor.lengths {
            if Growing::open(&files.folder.join(name), *length)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Tells the first of these items, of which there is at least one; returns how many it took.
    pub(super) fn tell(
        &mut self,
        items: &[Item],
        reader: &Reader,
        cursor: &mut Cursor,
    ) -> Result<usize, TrackError> {
        match self {
            Self::TensorBoard(files) => files.tell(items, reader, cursor),
            Self::Mlflow(mlflow) => mlflow.tell(items, reader, cursor),
        }
    }
}

/// A folder of event files, one for each member.
pub(super) struct EventFiles {
    folder: PathBuf,
    files: BTreeMap<Arc<str>, (String, Growing)>,
}

impl EventFiles {
    fn tell(
        &mut self,
        items: &[Item],
        reader: &Reader,
        cursor: &mut Cursor,
    ) -> Result<usize, TrackError> {
        let before = cursor.lengths.clone();
        let told = self.append(items, reader, cursor);
        if told.is_err() {
            // What was half written is cut when the files are opened again.
            cursor.lengths = before;
            self.files.clear();
        }
        told
    }

    fn append(
        &mut self,
        items: &[Item],
        reader: &Reader,
        cursor: &mut Cursor,
    ) -> Result<usize, TrackError> {
        let mut records: BTreeMap<&Arc<str>, Vec<u8>> = BTreeMap::new();
        for item in items {
            records.entry(&item.member).or_default().extend(tensorboard::record(item));
        }
        for (member, bytes) in records {
            if !self.files.contains_key(member) {
                let opened = open(&self.folder, member, reader, cursor)?;
                self.files.insert(Arc::clone(member), opened);
            }
            let (name, file) = self.files.get_mut(member).expect("it was just put there");
            file.append(&bytes)?;
            *cursor.lengths.entry(name.clone()).or_default() += bytes.len() as u64;
        }
        Ok(items.len())
    }
}

/// The file of a member, which begins with its version.
fn open(
    folder: &Path,
    member: &str,
    reader: &Reader,
    cursor: &mut Cursor,
) -> Result<(String, Growing), TrackError> {
    let run = match reader.members.len() {
        0 | 1 => as_name(&reader.run),
        _ => format!("{}/{}", as_name(&reader.run), as_name(member)),
    };
    let name = format!("{run}/events.out.tfevents.{}.mstar", reader.started_ms / 1000);
    let path = folder.join(&name);
    let length = cursor.lengths.get(&name).copied().unwrap_or(0);
    let (mut file, length) = match Growing::open(&path, length)? {
        Some(file) => (file, length),
        // Somebody took it away since this began.
        None => (Growing::open(&path, 0)?.expect("no file is shorter than nothing"), 0),
    };
    if length == 0 {
        let first = tensorboard::first_record(reader.started_ms);
        file.append(&first)?;
        cursor.lengths.insert(name.clone(), first.len() as u64);
    }
    Ok((name, file))
}

/// A text as the name of one folder; one that had to be changed keeps apart from others.
fn as_name(text: &str) -> String {
    let keep = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ',' | '=' | '+');
    let name: String = text.chars().map(|c| if keep(c) { c } else { '-' }).take(120).collect();
    if name == text && !name.starts_with('.') && !name.is_empty() {
        return name;
    }
    let digest = Digest::of(text.as_bytes()).to_string();
    format!("{}-{}", name.trim_start_matches('.'), &digest[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_become_folders_that_lead_nowhere_else() {
        assert_eq!(as_name("method=sft,seed=1.5"), "method=sft,seed=1.5");
        for text in ["..", "../../etc", "/etc/passwd", ".", "", "a b\n", ".hidden"] {
            let name = as_name(text);
            assert!(!name.contains('/') && !name.starts_with('.') && name.len() > 8, "{name}");
        }
        assert_ne!(as_name("a/b"), as_name("a b"));
    }
}
