//! Why something could not be had from the hub, and the way out of each.

use super::Repo;
use crate::base::{Bytes, Duration, Hint, did_you_mean};
use crate::store;
use std::path::PathBuf;
use thiserror::Error;

/// What went wrong with the hub.
#[derive(Debug, Error)]
pub enum HubError {
    /// No repository can have such an id.
    #[error("`{id}` is no id of the hub: it {fault}")]
    BadId {
        /// As it was given.
        id: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// No branch, tag or commit can have such a name.
    #[error("`{revision}` is no branch, tag or commit")]
    BadRevision {
        /// As it was given.
        revision: String,
    },
    /// The hub lets nobody in who is not known, or not this one.
    #[error("the hub refuses `{repo}` with status {status}{}", said(.message))]
    Refused {
        /// What was asked for.
        repo: String,
        /// 401 or 403.
        status: u16,
        /// What the hub said.
        message: String,
        /// Whether its owners give consent to each who asks.
        is_gated: bool,
        /// Where the token that was sent came from, or where one was looked for.
        token: Result<String, String>,
        /// The page on which consent is asked for.
        page: String,
    },
    /// There is no such repository, or this user may not know of it.
    #[error("the hub has no `{repo}`")]
    NoSuchRepo {
        /// What was asked for.
        repo: Repo,
        /// Whether a token was sent.
        has_token: bool,
    },
    /// The repository has no such branch, tag or commit.
    #[error("`{repo}` has no revision `{}`", repo.revision())]
    NoSuchRevision {
        /// What was asked for.
        repo: Repo,
        /// Branches and tags that it has.
        known: Vec<String>,
    },
    /// The hub wants to be asked less often.
    #[error("the hub asks to wait {} before `{url}`", Duration(*.seconds as f64))]
    TooMany {
        /// What was asked.
        url: String,
        /// How long.
        seconds: u64,
    },
    /// Nobody answers, or the connection broke too often.
    #[error("`{url}` could not be had in {tries} tries: {reason}")]
    Broken {
        /// What was asked.
        url: String,
        /// How often.
        tries: u32,
        /// What was wrong the last time.
        reason: String,
    },
    /// The hub answers with an error.
    #[error("`{url}` answers with status {status}{}", said(.message))]
    Status {
        /// What was asked.
        url: String,
        /// The status of HTTP.
        status: u16,
        /// What it said.
        message: String,
    },
    /// What answers is no hub.
    #[error("`{url}` answers what is no answer of a hub: {reason}")]
    Nonsense {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What came, twice, is not what the hub says it has.
    #[error(
        "`{file}` of `{repo}` arrives with another {what}: {found}, and {expected} is expected"
    )]
    Altered {
        /// The repository.
        repo: String,
        /// The file.
        file: String,
        /// What of it was compared.
        what: &'static str,
        /// As the hub says.
        expected: String,
        /// As it came.
        found: String,
    },
    /// There is no room for it.
    #[error("`{repo}` needs {needed} in `{}`, and {free} are free", folder.display())]
    Full {
        /// What was asked for.
        repo: String,
        /// The cache.
        folder: PathBuf,
        /// What is to be brought.
        needed: Bytes,
        /// What is free there.
        free: Bytes,
    },
    /// An archive of pictures that is not unpacked.
    #[error("the archive `{}` {fault}", archive.display())]
    BadArchive {
        /// Where it lies.
        archive: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// It is not in the cache, and nothing may be asked.
    #[error("`{repo}` at `{revision}` is not in the cache `{}`", folder.display())]
    NotCached {
        /// What was asked for.
        repo: String,
        /// The revision.
        revision: String,
        /// The cache.
        folder: PathBuf,
    },
    /// The repository holds nothing that can be read.
    #[error("`{repo}` has {}", without(.pickles))]
    NothingWanted {
        /// What was asked for.
        repo: Repo,
        /// Weights that are pickled.
        pickles: Vec<String>,
    },
    /// The cache cannot be read or written.
    #[error(transparent)]
    Store(#[from] store::Error),
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn without(pickles: &[String]) -> String {
    match pickles {
        [] => "no file that can be read".to_owned(),
        [first, ..] => format!("only pickled weights, such as `{first}`, which are never opened"),
    }
}

impl Hint for HubError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::BadId { .. } => {
                "a model is `ORG/NAME` and a data set `datasets/ORG/NAME`, as in their addresses"
                    .to_owned()
            }
            Self::BadRevision { .. } => "`main` is the branch that each has".to_owned(),
            Self::Refused { is_gated, token, page, .. } => refused(*is_gated, token, page),
            Self::NoSuchRepo { repo, has_token } => {
                let other = match repo.kind() {
                    super::Kind::Model => "a data set is written `datasets/ORG/NAME`",
                    super::Kind::Data => "a model is written `ORG/NAME`",
                };
                let private = match has_token {
                    true => "the token may not see it if it is private",
                    false => "if it is private, set `HF_TOKEN`",
                };
                format!("see whether the name is right; {other}; {private}")
            }
            Self::NoSuchRevision { repo, known } => {
                let names = known.iter().map(String::as_str);
                match did_you_mean(repo.revision(), names) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if known.is_empty() => "`main` is the branch that each has".to_owned(),
                    None => format!("there are `{}`", known.join("`, `")),
                }
            }
            Self::TooMany { .. } => {
                "ask again then; what came is kept, and who sends a token may ask more often"
                    .to_owned()
            }
            Self::Broken { .. } => {
                "what came is kept: the same command goes on from there; `HF_ENDPOINT` names \
                 another address of the hub"
                    .to_owned()
            }
            Self::Status { .. } => "ask again later; what came is kept".to_owned(),
            Self::Nonsense { .. } => {
                "see whether `HF_ENDPOINT`, or a proxy on the way, is right".to_owned()
            }
            Self::Altered { .. } => {
                "ask again; if it stays so, a proxy on the way changes what it hands on".to_owned()
            }
            Self::Full { .. } => {
                "`HF_HUB_CACHE` names a folder on another disk; `hf cache` removes what is not \
                 needed"
                    .to_owned()
            }
            Self::NotCached { repo, revision, .. } => format!(
                "unset `HF_HUB_OFFLINE`, or bring it on a machine that may ask: `mstar fetch {repo} \
                 --revision {revision}`"
            ),
            Self::NothingWanted { pickles, .. } if !pickles.is_empty() => {
                "convert them on a machine that you can spare: `python -c \"from transformers import \
                 AutoModel; AutoModel.from_pretrained('ORG/NAME').save_pretrained('FOLDER')\"`, and \
                 name that folder"
                    .to_owned()
            }
            Self::NothingWanted { .. } => "see whether the name is right".to_owned(),
            Self::BadArchive { archive, .. } => {
                let folder = archive.parent().unwrap_or(archive).display();
                format!("unpack what you trust of it by hand into a folder of its name in `{folder}`")
            }
            Self::Store(error) if error.is_disk_full() => {
                "the disk is full: `HF_HUB_CACHE` names a folder on another; what came is kept"
                    .to_owned()
            }
            Self::Store(_) => "`HF_HUB_CACHE` names another folder for the cache".to_owned(),
        })
    }
}

fn refused(is_gated: bool, token: &Result<String, String>, page: &str) -> String {
    match (is_gated, token) {
        (true, Ok(place)) => {
            format!("ask for consent on {page} with the account of the token from {place}")
        }
        (true, Err(looked)) => format!(
            "ask for consent on {page}, then set `HF_TOKEN`; no token was found in {looked}"
        ),
        (false, Ok(place)) => {
            format!("the token from {place} is no longer good, or may not see it: {page}")
        }
        (false, Err(looked)) => format!(
            "it is not there, or private: see whether the name is right, or set `HF_TOKEN`; no token \
             was found in {looked}"
        ),
    }
}

impl HubError {
    /// Whether the command or the recipe is wrong; else the world is.
    pub fn is_of_what_was_named(&self) -> bool {
        match self {
            Self::TooMany { .. } | Self::Broken { .. } | Self::Status { .. } => false,
            Self::Nonsense { .. } | Self::Altered { .. } | Self::Full { .. } => false,
            Self::BadArchive { .. } => false,
            Self::BadId { .. } | Self::BadRevision { .. } | Self::Refused { .. } => true,
            Self::NoSuchRepo { .. } | Self::NoSuchRevision { .. } => true,
            Self::NotCached { .. } | Self::NothingWanted { .. } => true,
            Self::Store(error) => error.is_of_what_was_named(),
        }
    }
}
