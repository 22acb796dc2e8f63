//! What is known of each source without having it, so that a recipe plans before a download.
//!
//! Numbers are those of the sources' own pages and papers; what is not known is `None`, never a
//! guess.

use crate::base::Hint;

/// The source that comes with the program.
pub const EMBEDDED: &str = "builtin:mini-vista";

/// How many samples a split has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Counted.
    Exact(u64),
    /// As published, rounded.
    About(u64),
    /// As many as the recipe asks for.
    AsAsked,
}

/// One split of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// Its name, such as `train`.
    pub name: &'static str,
    /// Its size.
    pub size: Size,
}

/// A source of samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Source {
    /// What a recipe calls it.
    pub name: &'static str,
    /// What it is, in one sentence.
    pub about: &'static str,
    /// Its splits. A recipe may cut validation and test out of one of them.
    pub splits: &'static [Split],
    /// The categories that accuracies are broken down by; empty where they are not known.
    pub categories: &'static [&'static str],
    /// Tokens that stand for the picture in a prompt, where the source decides that.
    pub image_tokens: Option<u32>,
    /// Mean length of a response, in tokens.
    pub response_tokens: Option<f64>,
    /// Whether responses with reasoning come with it.
    pub demonstrations: bool,
    /// Whether every step of a response can be checked, for figures of a report.
    pub references: bool,
    /// Whether it can be drawn or loaded without any file.
    pub loadable: bool,
    /// Where its files are on the hub.
    pub hub: Option<OnHub>,
}

/// Files of a data set on the Hugging Face hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnHub {
    /// The repository.
    pub id: &'static str,
    /// Those with rows, as a pattern.
    pub rows: &'static str,
    /// Those beside them, where pictures are not in the rows.
    pub beside: Option<&'static str>,
}

impl OnHub {
    const fn parquet(id: &'static str, rows: &'static str) -> Option<Self> {
        Some(Self { id, rows, beside: None })
    }
}

const FIVE: &[&str] = &["FQA", "GPS", "MWP", "TQA", "VQA"];

/// What most sources have in common: nothing known.
const UNKNOWN: Source = Source {
    name: "",
    about: "",
    splits: &[],
    categories: &[],
    image_tokens: None,
    response_tokens: None,
    demonstrations: false,
    references: false,
    loadable: false,
    hub: None,
};

/// Every source that has a name.
pub const SOURCES: &[Source] = &[
    Source {
        name: EMBEDDED,
        about: "the embedded task: 32 x 32 pictures, exact reasoning, drawn on demand",
        splits: &[
            Split { name: "train", size: Size::AsAsked },
            Split { name: "validation", size: Size::AsAsked },
            Split { name: "test", size: Size::AsAsked },
        ],
        categories: FIVE,
        image_tokens: Some(16),
        response_tokens: Some(20.0),
        demonstrations: true,
        references: true,
        loadable: true,
        hub: None,
    },
    Source {
        name: "mathv360k",
        about: "MathV360K: 360,000 questions about 40,000 pictures out of 24 data sets",
        splits: &[Split { name: "train", size: Size::About(360_000) }],
        categories: FIVE,
        hub: Some(OnHub {
            id: "Zhiqiang007/MathV360K",
            rows: "train_samples_all_tuning.json",
            beside: Some("data_images.zip"),
        }),
        ..UNKNOWN
    },
    Source {
        name: "mathvista",
        about: "MathVista: visual mathematics, a benchmark",
        splits: &[
            Split { name: "testmini", size: Size::Exact(1000) },
            Split { name: "test", size: Size::Exact(5141) },
        ],
        categories: FIVE,
        hub: OnHub::parquet("AI4Math/MathVista", "data/testmini-*.parquet"),
        ..UNKNOWN
    },
    Source {
        name: "m3cot",
        about: "M3CoT: multi-domain, multi-step reasoning about pictures, a benchmark",
        splits: &[
            Split { name: "train", size: Size::Exact(7863) },
            Split { name: "validation", size: Size::Exact(1108) },
            Split { name: "test", size: Size::Exact(2318) },
        ],
        hub: OnHub::parquet("LightChen2333/M3CoT", "data/train-*.parquet"),
        ..UNKNOWN
    },
    Source {
        name: "mmstar",
        about: "MMStar: choice questions that need the picture, a benchmark",
        splits: &[Split { name: "val", size: Size::Exact(1500) }],
        categories: &[
            "coarse perception",
            "fine-grained perception",
            "instance reasoning",
            "logical reasoning",
            "science & technology",
            "math",
        ],
        hub: OnHub::parquet("Lin-Chen/MMStar", "mmstar.parquet"),
        ..UNKNOWN
    },
    Source {
        name: "mmbench",
        about: "MMBench: choice questions of many abilities, a benchmark",
        splits: &[Split { name: "dev", size: Size::Exact(4329) }],
        hub: OnHub::parquet("lmms-lab/MMBench", "en/dev-*.parquet"),
        ..UNKNOWN
    },
    Source {
        name: "ai2d",
        about: "AI2D: questions about diagrams, a benchmark",
        splits: &[Split { name: "test", size: Size::Exact(3088) }],
        hub: OnHub::parquet("lmms-lab/ai2d", "data/test-*.parquet"),
        ..UNKNOWN
    },
];

/// Why a source cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// No source has this name.
    #[error("there is no data source `{name}`")]
    Unknown {
        /// The name that was asked for.
        name: String,
    },
    /// The source is described here, but there is no loader for it.
    #[error("the data source `{name}` can be planned for, but not loaded")]
    NotLoadable {
        /// The name that was asked for.
        name: &'static str,
    },
}

impl Hint for SourceError {
    fn hint(&self) -> Option<String> {
        let Self::Unknown { name } = self else {
            return Some("use `builtin:mini-vista`".into());
        };
        let nearest = SOURCES
            .iter()
            .map(|source| (strsim::jaro_winkler(name, source.name), source.name))
            .max_by(|one, other| one.0.total_cmp(&other.0))
            .filter(|(similarity, _)| *similarity > 0.75);
        Some(match nearest {
            Some((_, nearest)) => format!("did you mean `{nearest}`?"),
            None => {
                let names: Vec<String> =
                    SOURCES.iter().map(|source| format!("`{}`", source.name)).collect();
                format!("known sources are {}", names.join(", "))
            }
        })
    }
}

impl Source {
    /// The source of a name.
    ///
    /// # Errors
    /// [`SourceError::Unknown`].
    pub fn named(name: &str) -> Result<&'static Self, SourceError> {
        SOURCES
            .iter()
            .find(|source| source.name == name)
            .ok_or_else(|| SourceError::Unknown { name: name.to_owned() })
    }

    /// The source of a name, if it can be loaded.
    ///
    /// # Errors
    /// [`SourceError`].
    pub fn loadable(name: &str) -> Result<&'static Self, SourceError> {
        let source = Self::named(name)?;
        if source.loadable {
            Ok(source)
        } else {
            Err(SourceError::NotLoadable { name: source.name })
        }
    }

    /// One of its splits.
    pub fn split(&self, name: &str) -> Option<Split> {
        self.splits.iter().copied().find(|split| split.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_or_explained() {
        assert_eq!(
            Source::named("mathv360k").unwrap().split("train").unwrap().size,
            Size::About(360_000)
        );
        assert!(Source::loadable("builtin:mini-vista").is_ok());
        let refused = Source::loadable("mathv360k").unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the data source `mathv360k` can be planned for, but not loaded"
        );
        let typo = Source::named("builtin:minivista").unwrap_err();
        assert_eq!(typo.hint().as_deref(), Some("did you mean `builtin:mini-vista`?"));
        let other = Source::named("zzz").unwrap_err();
        assert!(other.hint().unwrap().contains("`mathvista`"));
    }
}
