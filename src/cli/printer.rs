//! The one place that prints: data to stdout, talk to stderr. Whatever text comes here may hold what
//! strangers wrote, in data files or bundles; no terminal obeys any of it.
#![expect(clippy::print_stderr, reason = "this is the printer")]

use crate::base::{Fault, printable};
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
        self.drawn("", text)
    }

    /// Prints a piece of data, which goes on.
    #[cfg(feature = "torch")]
    pub(crate) fn piece(self, text: &str) -> io::Result<()> {
        self.bytes(printable(text).as_bytes())
    }

    /// Prints data below what this program itself drew in colours or with the cursor.
    pub(crate) fn drawn(self, drawing: &str, text: &str) -> io::Result<()> {
        let newline = if text.ends_with('\n') { "" } else { "\n" };
        self.bytes(format!("{drawing}{}{newline}", printable(text)).as_bytes())
    }

    /// Prints data that is no text, or a file's text to the byte.
    pub(crate) fn bytes(self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// Characters in a line of the terminal that data goes to; `None` where it goes elsewhere.
    pub(crate) fn width(self) -> Option<usize> {
        terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0))
    }

    /// Prints over the last lines, so many, which this printed before.
    pub(crate) fn redraw(self, text: &str, lines: usize) -> io::Result<()> {
        self.drawn(&format!("\x1b[{lines}A\x1b[J"), text)
    }

    /// As many lines as can be printed over in the terminal that data goes to.
    pub(crate) fn fitting(self, text: &str) -> String {
        let height = terminal_size::terminal_size_of(io::stdout()).map(|(_, it)| usize::from(it.0));
        let most = height.map_or(usize::MAX, |height| height.saturating_sub(1));
        text.lines().take(most).map(|line| format!("{line}\n")).collect()
    }

    /// Says something that a user may want to know.
    pub(crate) fn talk(self, text: &str) {
        if !self.quiet {
            eprintln!("{}", printable(text));
        }
    }

    /// Says what is worth knowing about a file, each with its place.
    pub(crate) fn notes(self, notes: &[Fault]) {
        for note in notes {
            self.talk(&format!("note: {}", note.to_text().trim_end()));
        }
    }

    /// Says what went wrong.
    pub(crate) fn complain(self, text: &str) {
        eprintln!("{}", printable(text));
    }

    /// Whether data goes before somebody's eyes.
    pub(crate) fn shows_data(self) -> bool {
        io::stdout().is_terminal()
    }

    /// Whether progress is redrawn in place.
    pub(crate) fn redraws(self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// Whether the terminal may be drawn in.
    pub(crate) fn shows_pictures(self) -> bool {
        io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty())
    }

    /// Whether somebody is there to answer.
    pub(crate) fn asks(self) -> bool {
        io::stdin().is_terminal() && io::stdout().is_terminal()
    }

    /// Asks for a line; `None` when there are no more.
    pub(crate) fn ask(self, question: &str) -> io::Result<Option<String>> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(printable(question).as_bytes())?;
        stdout.flush()?;
        let mut line = String::new();
        let length = io::stdin().read_line(&mut line)?;
        Ok((length > 0).then(|| line.trim().to_owned()))
    }

    /// Whether plain lines tell of progress.
    pub(crate) fn quiet(self) -> bool {
        self.quiet
    }
}
