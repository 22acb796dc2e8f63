//! Text that anybody may have written, so that no terminal obeys it.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The same text, with every character written out that moves a cursor, colours, or turns the order
/// of what is read around: `\u001b`, as JSON and TOML write them too. What ends a line stays, and so
/// do tabs.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            // The end of a line of CSV.
            '\r' if characters.peek() == Some(&'\n') => clean.push('\r'),
            steering if steers(steering) => {
                write!(clean, "\\u{:04x}", u32::from(steering)).expect("a string takes every text")
            }
            other => clean.push(other),
        }
    }
    Cow::Owned(clean)
}

fn steers(character: char) -> bool {
    let turns_around = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns_around || character.is_control() && !matches!(character, '\n' | '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_written_out_and_nothing_else_changes() {
        for (text, shown) in [
            ("ä\tb\nשלום ▀", "ä\tb\nשלום ▀"),
            ("a\r\nb\rc", "a\r\nb\\u000dc"),
            ("\u{1b}[31m\u{7}\u{7f}\u{9b}2J", "\\u001b[31m\\u0007\\u007f\\u009b2J"),
            ("safe\u{202e}txt.exe", "safe\\u202etxt.exe"),
        ] {
            assert_eq!(printable(text), shown);
        }
        let text = serde_json::Value::from("\u{9b}2J\u{2067}\u{1b}").to_string();
        assert_eq!(
            serde_json::from_str::<String>(&printable(&text)).expect("it is still JSON"),
            "\u{9b}2J\u{2067}\u{1b}"
        );
    }
}
