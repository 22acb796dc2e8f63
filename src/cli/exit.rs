//! Exit codes, and what is said before one.

use crate::base::{Faults, Hint};
use std::collections::BTreeSet;
use std::fmt;
use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything asked for is done.
    Done,
    /// At least one stage, or a test of a recipe, failed.
    StageFailed,
    /// The recipe or the command is wrong.
    Wrong,
    /// A defect of mstar.
    Broke,
    /// Stopped by the user.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::StageFailed => 1,
            Exit::Wrong => 2,
            Exit::Broke => 3,
            Exit::Interrupted => 130,
        })
    }
}

/// Faults that are told one by one; of a file gone wrong the first say it all.
const MOST_TOLD: usize = 100;

/// Why a command could not be carried out.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Faults in what the user wrote.
    Faults(Faults),
    /// Anything else: what happened and the way out.
    Said {
        /// What happened.
        message: String,
        /// The way out.
        hint: Option<String>,
        /// How the program ends.
        exit: Exit,
    },
}

impl Trouble {
    /// A wrong command, with the way out.
    pub(crate) fn wrong(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Said { message: message.into(), hint: Some(hint.into()), exit: Exit::Wrong }
    }

    /// An error of another room that ends the program with `exit`.
    pub(crate) fn from_hint(error: &dyn Hint, exit: Exit) -> Self {
        let mut message = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !message.contains(&cause_text) {
                message.push_str(": ");
                message.push_str(&cause_text);
            }
            source = cause.source();
        }
        Self::Said { message, hint: error.hint(), exit }
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Faults(_) => Exit::Wrong,
            Self::Said { exit, .. } => *exit,
        }
    }
}

impl From<Faults> for Trouble {
    fn from(faults: Faults) -> Self {
        Self::Faults(faults)
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        let message = format!("standard output could not be written: {error}");
        Self::Said { message, hint: None, exit: Exit::Broke }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Faults(faults) => {
                let count = faults.0.len();
                let told = &faults.0[..count.min(MOST_TOLD)];
                for fault in told {
                    write!(f, "{}\n\n", fault.to_text().trim_end())?;
                }
                match count - told.len() {
                    0 => write!(f, "{count} {}", if count == 1 { "fault" } else { "faults" })?,
                    more => write!(f, "{} faults told, and there are {more} more", told.len())?,
                }
                let codes: BTreeSet<&str> = told.iter().map(|fault| fault.code).collect();
                let codes: Vec<&str> = codes.into_iter().collect();
                match codes.as_slice() {
                    [] => Ok(()),
                    [code] => write!(f, "; `mstar explain {code}` says more"),
                    codes => {
                        write!(f, "; `mstar explain CODE` says more of {}", codes.join(", "))
                    }
                }
            }
            Self::Said { message, hint, .. } => {
                write!(f, "error: {message}")?;
                if let Some(hint) = hint {
                    write!(f, "\nhint: {hint}")?;
                }
                Ok(())
            }
        }
    }
}

/// Prints what clap has to say, help included, and gives its exit code.
pub(crate) fn of_clap(error: &clap::Error) -> ExitCode {
    match error.print() {
        Ok(()) if !error.use_stderr() => Exit::Done.into(),
        Err(cause) if cause.kind() == std::io::ErrorKind::BrokenPipe => Exit::Done.into(),
        _ => Exit::Wrong.into(),
    }
}
