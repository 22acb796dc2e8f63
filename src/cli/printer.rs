//! The one place that prints: data to stdout, talk to stderr.
#![expect(clippy::print_stderr, reason = "this is the printer")]

use std::io::{self, IsTerminal as _, Write as _};

/// How much is said, and to whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    /// Say only what went wrong.
    quiet: bool,
}

impl Printer {
    pub(crate) fn new(quiet: bool) -> Self {
        Self { quiet }
    }

    /// Prints data. A reader that went away (`mstar … | head`) is no failure.
    pub(crate) fn data(self, text: &str) -> io::Result<()> {
        let newline = if text.ends_with('\n') { "" } else { "\n" };
        self.bytes(format!("{text}{newline}").as_bytes())
    }

    /// Prints data that may be no text.
    pub(crate) fn bytes(self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// Says something that a user may want to know.
    pub(crate) fn talk(self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// Says what went wrong.
    pub(crate) fn complain(self, text: &str) {
        eprintln!("{text}");
    }

    /// Whether data goes before somebody's eyes.
    pub(crate) fn shows_data(self) -> bool {
        io::stdout().is_terminal()
    }

    /// Whether progress is redrawn in place.
    pub(crate) fn redraws(self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// Whether plain lines tell of progress.
    pub(crate) fn quiet(self) -> bool {
        self.quiet
    }
}
