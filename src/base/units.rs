//! Quantities as people read them.

use std::fmt;

/// A size in bytes, shown with binary prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = self.0 as f64;
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if value < 1024.0 {
                return if unit == "B" {
                    write!(f, "{value:.0} B")
                } else {
                    write!(f, "{value:.1} {unit}")
                };
            }
            value /= 1024.0;
        }
        write!(f, "{value:.1} TiB")
    }
}

/// A length of time in seconds, shown in the two largest units that matter.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Duration(pub f64);

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0;
        if seconds < 0.1 {
            write!(f, "{:.0} ms", seconds * 1e3)
        } else if seconds < 60.0 {
            write!(f, "{seconds:.1} s")
        } else {
            let whole = seconds.round() as u64;
            match whole {
                0..3600 => write!(f, "{} min {:02} s", whole / 60, whole % 60),
                3600..86_400 => write!(f, "{} h {:02} min", whole / 3600, whole % 3600 / 60),
                _ => write!(f, "{} d {:02} h", whole / 86_400, whole % 86_400 / 3600),
            }
        }
    }
}

/// So many units in a second.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Rate(pub f64);

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            rate if rate < 10.0 => write!(f, "{rate:.1}/s"),
            rate if rate < 10_000.0 => write!(f, "{rate:.0}/s"),
            rate => write!(f, "{:.1}k/s", rate / 1e3),
        }
    }
}

/// Such as `1 question` or `3 questions`.
pub fn counted(number: usize, thing: &str) -> String {
    format!("{number} {}", plural(number as u64, thing))
}

/// The word for so many of a thing, whose plural ends with an s or, after a consonant and y, with ies.
pub fn plural(number: u64, thing: &str) -> String {
    match thing.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u'])) {
        _ if number == 1 => thing.to_owned(),
        Some(stem) => format!("{stem}ies"),
        None => format!("{thing}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!(counted(1, "question"), "1 question");
        assert_eq!(counted(0, "question"), "0 questions");
        assert_eq!(plural(2, "category"), "categories");
        assert_eq!(plural(2, "key"), "keys");
    }

    #[test]
    fn quantities_read_well() {
        assert_eq!(Bytes(512).to_string(), "512 B");
        assert_eq!(Bytes(3 << 20).to_string(), "3.0 MiB");
        assert_eq!(Duration(0.004).to_string(), "4 ms");
        assert_eq!(Duration(12.34).to_string(), "12.3 s");
        assert_eq!(Duration(125.0).to_string(), "2 min 05 s");
        assert_eq!(Duration(7384.0).to_string(), "2 h 03 min");
        assert_eq!(Rate(3.25).to_string(), "3.2/s");
        assert_eq!(Rate(73_211.0).to_string(), "73.2k/s");
    }
}
