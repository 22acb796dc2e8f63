//! Why something cannot be judged.

use crate::base::Hint;
use crate::rewards::SelectError;

/// Why something cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JudgingError {
    /// A function of the script failed, or gave what cannot be used.
    #[error("`{moment}` of {about}: {told}")]
    Hook {
        /// The function.
        moment: &'static str,
        /// What it was asked about, such as `sample 1 of prompt 7`.
        about: String,
        /// The place in the script, and what happened there.
        told: String,
        /// The way out.
        hint: Option<String>,
    },
    /// The rule of selection needs a score that is not there.
    #[error(transparent)]
    Select(#[from] SelectError),
}

impl Hint for JudgingError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Hook { hint, .. } => hint.clone(),
            Self::Select(error) => error.hint(),
        }
    }
}
