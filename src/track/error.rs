//! Why a tracker could not be told.

use crate::base::Hint;
use crate::store;
use thiserror::Error;

/// A tracker that could not be told. Nothing is lost: it is told from there on later.
#[derive(Debug, Error)]
pub enum TrackError {
    /// Nobody answers, or not in time.
    #[error("`{url}` does not answer: {reason}")]
    Down {
        /// What was asked.
        url: String,
        /// What the system or the connection said.
        reason: String,
    },
    /// It answers with an error.
    #[error("`{url}` refuses with status {status}: {message}")]
    Refused {
        /// What was asked.
        url: String,
        /// The status of HTTP.
        status: u16,
        /// What it said.
        message: String,
    },
    /// What it answers is not what such a tracker answers.
    #[error("`{url}` answers what is no answer of MLflow: {reason}")]
    Nonsense {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another process tells it of the same run.
    #[error("another process tells `{target}` of this run")]
    Busy {
        /// The tracker, as it was named.
        target: String,
    },
    /// The store, or the folder of a tracker, cannot be read or written.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Hint for TrackError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Down { .. } | Self::Nonsense { .. } => {
                Some("see whether the address is that of an MLflow server that runs".to_owned())
            }
            Self::Refused { status: 401 | 403, .. } => {
                Some("set `MLFLOW_TRACKING_TOKEN` to a token that may write".to_owned())
            }
            Self::Refused { .. } => None,
            Self::Busy { .. } => Some("wait until it has ended".to_owned()),
            Self::Store(error) => error.hint(),
        }
    }
}
