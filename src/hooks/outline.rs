//! Where the functions of a script stand: Rhai tells their names but not their places.
//!
//! Reads text that the engine has compiled already, so that brackets and strings are known to close.

use std::ops::Range;

/// A function of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Function {
    /// Its name.
    pub(super) name: String,
    /// Where the name stands in the text.
    pub(super) span: Range<usize>,
}

/// The functions of a script, and what stands outside of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outline {
    /// Functions, in their order.
    pub(super) functions: Vec<Function>,
    /// The first word that belongs to no function.
    pub(super) stray: Option<Range<usize>>,
    /// Every word of the code, with the words of strings, by which functions may be called.
    words: Vec<String>,
}

impl Outline {
    pub(super) fn of(text: &str) -> Self {
        let code = without_texts(text, false);
        let mut outline = Self { words: words_of(&without_texts(text, true)), ..Self::default() };
        let mut depth = 0_i32;
        let mut expected = Expected::Function;
        for span in tokens(&code) {
            let token = &code[span.clone()];
            match token {
                "{" | "(" | "[" | "#{" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                _ => {}
            }
            expected = match expected {
                Expected::Function if token == "fn" => Expected::Name,
                Expected::Function if matches!(token, "private" | ";") => Expected::Function,
                Expected::Function => {
                    outline.stray = Some(span);
                    return outline;
                }
                Expected::Name => {
                    outline.functions.push(Function { name: token.to_owned(), span });
                    Expected::Body
                }
                Expected::Body if depth == 0 && token == "}" => Expected::Function,
                Expected::Body => Expected::Body,
            };
        }
        outline
    }

    /// Whether anything but its own declarations names a function.
    pub(super) fn names(&self, function: &str) -> bool {
        let declared = self.functions.iter().filter(|it| it.name == function).count();
        self.words.iter().filter(|word| *word == function).count() > declared
    }
}

enum Expected {
    Function,
    Name,
    Body,
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Words, `#{`, and every other character that is no white space.
fn tokens(code: &str) -> impl Iterator<Item = Range<usize>> {
    let bytes = code.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        let begin = at;
        let first = *bytes.get(at)?;
        at += match first {
            _ if is_word(first) => bytes[at..].iter().take_while(|byte| is_word(**byte)).count(),
            b'#' if bytes.get(at + 1) == Some(&b'{') => 2,
            _ => code[at..].chars().next().map_or(1, char::len_utf8),
        };
        Some(begin..at)
    })
}

fn words_of(code: &str) -> Vec<String> {
    let words = code.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The text with blanks in place of comments and, unless they are to stay, of strings; of equal
/// length, so that offsets stay what they are.
fn without_texts(text: &str, keeps_strings: bool) -> String {
    let mut eraser = Eraser { bytes: text.as_bytes().to_vec(), at: 0, keeps_strings };
    eraser.code(false);
    String::from_utf8(eraser.bytes).expect("only whole characters and their bytes are blanked")
}

struct Eraser {
    bytes: Vec<u8>,
    at: usize,
    keeps_strings: bool,
}

impl Eraser {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn blank(&mut self, begin: usize) {
        for byte in &mut self.bytes[begin..self.at] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    }

    fn string(&mut self, begin: usize) {
        if !self.keeps_strings {
            self.blank(begin);
        }
    }

    /// Code up to the end, or up to the bracket that closes an interpolation.
    fn code(&mut self, is_interpolated: bool) {
        let mut depth = 0;
        while !self.is_at_end() {
            let begin = self.at;
            match (self.peek(0), self.peek(1)) {
                (b'/', b'/') => {
                    while !self.is_at_end() && self.peek(0) != b'\n' {
                        self.at += 1;
                    }
                    self.blank(begin);
                }
                (b'/', b'*') => {
                    self.comment();
                    self.blank(begin);
                }
                (quote @ (b'"' | b'\''), _) => {
                    self.quoted(quote);
                    self.string(begin);
                }
                (b'`', _) => {
                    self.interpolated();
                    self.string(begin);
                }
                (b'#', b'"' | b'#') => {
                    self.raw();
                    self.string(begin);
                }
                (b'{', _) => (depth, self.at) = (depth + 1, self.at + 1),
                (b'}', _) if is_interpolated && depth == 0 => return,
                (b'}', _) => (depth, self.at) = (depth - 1, self.at + 1),
                _ => self.at += 1,
            }
        }
    }

    /// Comments in stars nest.
    fn comment(&mut self) {
        let mut depth = 0;
        while !self.is_at_end() {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => (depth, self.at) = (depth + 1, self.at + 2),
                (b'*', b'/') => (depth, self.at) = (depth - 1, self.at + 2),
                _ => self.at += 1,
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn quoted(&mut self, quote: u8) {
        self.at += 1;
        while !self.is_at_end() && self.peek(0) != quote {
            self.at += if self.peek(0) == b'\\' { 2 } else { 1 };
        }
        self.at = (self.at + 1).min(self.bytes.len());
    }

    /// Between backticks, with code in `${…}`; two backticks are one.
    fn interpolated(&mut self) {
        self.at += 1;
        while !self.is_at_end() {
            match (self.peek(0), self.peek(1)) {
                (b'`', b'`') => self.at += 2,
                (b'`', _) => {
                    self.at += 1;
                    return;
                }
                (b'$', b'{') => {
                    self.at += 2;
                    self.code(true);
                    self.at = (self.at + 1).min(self.bytes.len());
                }
                _ => self.at += 1,
            }
        }
    }

    /// Between as many `#` on both sides.
    fn raw(&mut self) {
        let begin = self.at;
        while self.peek(0) == b'#' {
            self.at += 1;
        }
        let marks = self.at - begin;
        if self.peek(0) != b'"' {
            return;
        }
        self.at += 1;
        while !self.is_at_end() {
            let closes = self.peek(0) == b'"' && (1..=marks).all(|at| self.peek(at) == b'#');
            self.at += if closes { 1 + marks } else { 1 };
            if closes {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(text: &str) -> Vec<String> {
        let outline = Outline::of(text);
        assert_eq!(outline.stray, None, "{text}");
        outline.functions.iter().map(|it| text[it.span.clone()].to_owned()).collect()
    }

    #[test]
    fn functions_are_found_among_strings_and_comments() {
        let text = r##"
            // fn no(x) {}
            /* fn no(x) { /* fn no() */ } */
            private fn one(a) { let m = #{ "fn": "}" }; `x ${ "}" + m["fn"] } `` {` }
            fn two(ä_b) { #"}"# + '"' + "\"}" }
            fn three() { if true { [1] } else { #{} } };
        "##;
        assert_eq!(names(text), ["one", "two", "three"]);
    }

    #[test]
    fn what_stands_outside_is_found() {
        let text = "fn one() { 1 }\nlet x = 3;\n";
        assert_eq!(Outline::of(text).stray, Some(15..18));
        assert_eq!(Outline::of("").functions, []);
    }

    #[test]
    fn calls_are_known_from_declarations() {
        let text = "fn one() { two() }\nfn two() { Fn(\"three\") }\nfn three() { 1 } // one()";
        let outline = Outline::of(text);
        assert_eq!(["one", "two", "three"].map(|it| outline.names(it)), [false, true, true]);
    }

    proptest! {
        #[test]
        fn any_text_has_an_outline(text in "[fn xä\"'`#${}/*\\\\\n()\\[\\];]{0,40}") {
            let outline = Outline::of(&text);
            for function in outline.functions {
                prop_assert_eq!(&text[function.span], function.name.as_str());
            }
        }
    }
}
