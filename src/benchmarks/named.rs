//! The benchmarks by their names.

use crate::base::{Hint, did_you_mean};
use crate::data::loaders::Format;
use crate::data::source::SOURCES;
use std::fmt;

/// Whose rules count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Visual mathematics: choices and free answers.
    MathVista,
    /// Multi-domain, multi-step reasoning: choices.
    M3Cot,
    /// Choices that need the picture.
    MmStar,
    /// Choices of many abilities, asked in several rotations.
    MmBench,
    /// Choices about diagrams.
    Ai2d,
}

impl Family {
    /// What its rows are to a loader.
    pub(super) fn format(self) -> Format {
        match self {
            Self::MathVista => Format::MathVista,
            Self::M3Cot => Format::M3Cot,
            Self::MmStar => Format::MmStar,
            Self::MmBench => Format::MmBench,
            Self::Ai2d => Format::Ai2d,
        }
    }
}

/// A benchmark, and the split of it that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Benchmark {
    /// Whose rules count.
    pub family: Family,
    /// Whether the questions of mere perception are left out: MMStar-R and MMBench-R.
    pub reasoning: bool,
    /// The split, as its files are named.
    pub split: String,
}

/// Name, family, whether perception is left out, and the split that is meant without a word.
const NAMES: [(&str, Family, bool, &str); 7] = [
    ("mathvista", Family::MathVista, false, "testmini"),
    ("m3cot", Family::M3Cot, false, "test"),
    ("mmstar", Family::MmStar, false, "val"),
    ("mmstar-r", Family::MmStar, true, "val"),
    ("mmbench", Family::MmBench, false, "dev"),
    ("mmbench-r", Family::MmBench, true, "dev"),
    ("ai2d", Family::Ai2d, false, "test"),
];

/// No benchmark has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no benchmark `{name}`")]
pub struct UnknownBenchmark {
    /// The name that was asked for.
    pub name: String,
}

impl Hint for UnknownBenchmark {
    fn hint(&self) -> Option<String> {
        let names = || NAMES.iter().map(|(name, ..)| *name);
        let written = self.name.split('/').next().unwrap_or_default();
        Some(match did_you_mean(written, names()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are `{}`", names().collect::<Vec<_>>().join("`, `")),
        })
    }
}

impl Benchmark {
    /// The benchmark of a name such as `mathvista` or `mathvista/testmini`.
    ///
    /// # Errors
    /// [`UnknownBenchmark`].
    pub fn named(name: &str) -> Result<Self, UnknownBenchmark> {
        let (plain, split) = name.split_once('/').unwrap_or((name, ""));
        let unknown = || UnknownBenchmark { name: name.to_owned() };
        let lower = plain.to_lowercase();
        let (_, family, reasoning, usual) =
            NAMES.iter().find(|(name, ..)| *name == lower).ok_or_else(unknown)?;
        let split = if split.is_empty() { usual } else { split };
        Ok(Self { family: *family, reasoning: *reasoning, split: split.to_owned() })
    }
}

impl Benchmark {
    /// The data source that has its files, and the files of its split among theirs.
    pub fn source(&self) -> (&'static str, String) {
        let name = match self.family {
            Family::MathVista => "mathvista",
            Family::M3Cot => "m3cot",
            Family::MmStar => "mmstar",
            Family::MmBench => "mmbench",
            Family::Ai2d => "ai2d",
        };
        let source = SOURCES.iter().find(|source| source.name == name);
        let rows = source.and_then(|source| source.hub).map_or("", |hub| hub.rows);
        // Where files have a split's name it stands before the number of a part.
        let files = match (rows.strip_suffix("-*.parquet"), rows.rsplit_once('/')) {
            (Some(_), Some((folder, _))) => format!("{folder}/{}-*.parquet", self.split),
            _ => rows.to_owned(),
        };
        (name, files)
    }
}

impl fmt::Display for Benchmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let same = |(_, family, reasoning, _): &&(&str, Family, bool, &str)| {
            (*family, *reasoning) == (self.family, self.reasoning)
        };
        let name = NAMES.iter().find(same).map_or("", |(name, ..)| *name);
        write!(f, "{name}/{}", self.split)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_or_explained() {
        let name = |name: &str| Benchmark::named(name).unwrap().to_string();
        assert_eq!(name("mathvista"), "mathvista/testmini");
        assert_eq!(name("MathVista/test"), "mathvista/test");
        assert_eq!(name("mmstar-r"), "mmstar-r/val");
        let files = |name: &str| Benchmark::named(name).unwrap().source().1;
        assert_eq!(files("m3cot"), "data/test-*.parquet");
        assert_eq!(files("mmbench-r"), "en/dev-*.parquet");
        assert_eq!(files("mmstar"), "mmstar.parquet");
        let typo = Benchmark::named("mathvist/testmini").unwrap_err();
        assert_eq!(typo.hint().as_deref(), Some("did you mean `mathvista`?"));
        assert!(Benchmark::named("vqa").unwrap_err().hint().unwrap().contains("`ai2d`"));
    }
}
