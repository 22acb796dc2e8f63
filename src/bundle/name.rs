//! Names of members: relative, plain, and one thing on every system.

use super::Error;

/// Bytes of a name, which fit the oldest header of a tar.
const LONGEST: usize = 100;

/// Refuses a name that could leave a folder, hide in it, or mean something else on another system.
///
/// # Errors
/// [`Error::BadName`].
pub fn check_name(name: &str) -> Result<(), Error> {
    let bad = |reason| {
        let name = name.chars().take(LONGEST).flat_map(char::escape_default).collect();
        Err(Error::BadName { name, reason })
    };
    if name.is_empty() || name.len() > LONGEST {
        return bad("names have 1 to 100 bytes");
    }
    if name.starts_with('/') {
        return bad("it begins at the root");
    }
    if name.split('/').any(|part| part == "..") {
        return bad("it leaves its folder");
    }
    if !name.chars().all(|c| is_plain(c) || c == '/') {
        return bad("only letters, digits, `.`, `_` and `-` are plain");
    }
    if name.split('/').any(|part| part.is_empty() || part.starts_with('.') || part.ends_with('.')) {
        return bad("a part of it is empty, or begins or ends with a dot");
    }
    Ok(())
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-".contains(c)
}

/// A text as one part of a name: what is not plain becomes `-`, and what is long is cut.
pub fn safe_name(text: &str) -> String {
    let plain: String = text.chars().map(|c| if is_plain(c) { c } else { '-' }).take(60).collect();
    let plain = plain.trim_matches('.');
    if plain.is_empty() { "unnamed".to_owned() } else { plain.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_harm_are_refused_and_any_text_becomes_a_good_one() {
        let long = "a".repeat(101);
        for bad in [
            "",
            "/a",
            "..",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            "a/.",
            ".git/config",
            "a\\b",
            "a\0b",
            "a b",
            "C:",
            "a=b",
            "ä",
            "a\n",
            "a.",
            &long,
        ] {
            assert!(check_name(bad).is_err(), "{bad:?}");
            assert!(check_name(&safe_name(bad)).is_ok(), "{bad:?}");
        }
        for good in ["a", "recipe/resolved.toml", "weights/seed-1/a-b_c.x"] {
            assert_eq!(check_name(good), Ok(()));
        }
    }
}
