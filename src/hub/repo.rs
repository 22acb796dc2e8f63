//! A repository on the hub, at a revision.

use super::HubError;
use std::fmt;

/// Characters of the longest id that the hub gives.
const LONGEST_ID: usize = 96;
/// Characters of the longest name of a branch or tag that is taken.
const LONGEST_REVISION: usize = 200;
/// What the hub writes before ids of data sets.
const DATA_PREFIX: &str = "datasets/";

/// What a repository holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A checkpoint.
    Model,
    /// A data set.
    Data,
}

/// A repository at a revision.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Repo {
    kind: Kind,
    id: String,
    revision: String,
    files: Vec<String>,
}

impl Repo {
    /// The revision of who names none.
    pub const MAIN: &'static str = "main";

    /// A model by its id, such as `HuggingFaceTB/SmolVLM-256M-Instruct`, at a branch, a tag or a
    /// commit.
    ///
    /// # Errors
    /// When the hub can have no such id or revision.
    pub fn model(id: &str, revision: &str) -> Result<Self, HubError> {
        Self::of(Kind::Model, id, revision)
    }

    /// A data set by its id.
    ///
    /// # Errors
    /// When the hub can have no such id or revision.
    pub fn data(id: &str, revision: &str) -> Result<Self, HubError> {
        Self::of(Kind::Data, id, revision)
    }

    /// A model `ORG/NAME`, or a data set `datasets/ORG/NAME`.
    ///
    /// # Errors
    /// When the hub can have no such id or revision.
    pub fn parse(text: &str, revision: &str) -> Result<Self, HubError> {
        match text.strip_prefix(DATA_PREFIX) {
            Some(id) => Self::data(id, revision),
            None => Self::model(text, revision),
        }
    }

    /// Whether a text has the form `ORG/NAME` of an id.
    pub fn is_id(text: &str) -> bool {
        text.contains('/') && fault_of(text).is_none()
    }

    fn of(kind: Kind, id: &str, revision: &str) -> Result<Self, HubError> {
        if let Some(fault) = fault_of(id) {
            return Err(HubError::BadId { id: id.to_owned(), fault });
        }
        if !is_revision(revision) {
            return Err(HubError::BadRevision { revision: revision.to_owned() });
        }
        let (id, revision) = (id.to_owned(), revision.to_owned());
        Ok(Self { kind, id, revision, files: Vec::new() })
    }

    /// Only the files of a data set whose names fit one of these patterns, such as `data/test-*`.
    #[must_use]
    pub fn with_files(mut self, patterns: &[&str]) -> Self {
        self.files = patterns.iter().map(|it| (*it).to_owned()).collect();
        self
    }

    /// What it holds.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its id, without what is written before those of data.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The branch, tag or commit.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// Patterns of the files that are wanted; none for all.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// The commit that the revision is itself, if it is one.
    pub(super) fn commit(&self) -> Option<&str> {
        is_commit(&self.revision).then_some(self.revision.as_str())
    }

    /// The name of its folder in the cache.
    pub(super) fn folder(&self) -> String {
        let kind = match self.kind {
            Kind::Model => "models",
            Kind::Data => "datasets",
        };
        format!("{kind}--{}", self.id.replace('/', "--"))
    }
}

impl fmt::Display for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Model => f.write_str(&self.id),
            Kind::Data => write!(f, "{DATA_PREFIX}{}", self.id),
        }
    }
}

/// Whether a text is a commit.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it))
}

/// Whether a name of the hub's stays inside the folder that it is put in.
pub(super) fn is_inside(path: &str) -> bool {
    !path.is_empty()
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && path.chars().all(|it| !it.is_control() && it != '\\')
}

/// Whether a branch, tag or commit can have such a name.
pub(super) fn is_revision(text: &str) -> bool {
    let is_taken = |it: char| it.is_ascii_alphanumeric() || "._-/+@=".contains(it);
    is_inside(text) && text.len() <= LONGEST_REVISION && text.chars().all(is_taken)
}

/// The rules that the hub has for ids.
fn fault_of(id: &str) -> Option<&'static str> {
    let part_is_good = |part: &str| {
        let is_taken = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
        !part.is_empty()
            && part.chars().all(is_taken)
            && !part.starts_with(['.', '-'])
            && !part.ends_with(['.', '-'])
    };
    if id.len() > LONGEST_ID {
        Some("is longer than 96 characters")
    } else if id.matches('/').count() > 1 {
        Some("has more than one `/`")
    } else if !id.split('/').all(part_is_good) {
        Some("may have letters, digits, `-`, `_` and `.` in each part, `-` and `.` only inside")
    } else if id.contains("--") || id.contains("..") || id.ends_with(".git") {
        Some("may not have `--` or `..`, or end with `.git`")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_rules_of_the_hub() {
        for good in ["gpt2", "OpenGVLab/InternVL2-4B", "a/b.c_d", "HuggingFaceTB/SmolVLM2-2.2B"] {
            assert_eq!(fault_of(good), None, "{good}");
        }
        let long = "a".repeat(97);
        for bad in ["", "a/", "/a", "a/b/c", "a/..", "../b", "a--b/c", "a/b.git", "a b/c", &long] {
            assert!(Repo::model(bad, "main").is_err(), "{bad}");
        }
        assert!(Repo::is_id("a/b") && !Repo::is_id("gpt2") && !Repo::is_id("./a"));
    }

    #[test]
    fn revisions_stay_inside_their_folder() {
        for good in ["main", "refs/pr/1", "v1.0", &"0af".repeat(13)] {
            assert!(is_revision(good), "{good}");
        }
        for bad in ["", "..", "../main", "a//b", "/main", "a\nb", "a?b", "a#b", "ä"] {
            assert!(!is_revision(bad), "{bad}");
        }
    }

    #[test]
    fn data_are_told_from_models() {
        let data = Repo::parse("datasets/AI4Math/MathVista", "main").unwrap();
        assert_eq!((data.kind(), data.id()), (Kind::Data, "AI4Math/MathVista"));
        assert_eq!(data.folder(), "datasets--AI4Math--MathVista");
        assert_eq!(data.to_string(), "datasets/AI4Math/MathVista");
    }
}
