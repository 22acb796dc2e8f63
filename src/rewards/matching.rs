//! Whether an answer is the gold answer.

/// The form of an answer in which equal ones are the same text.
///
/// White space is collapsed, a closing full stop and dollar signs around it are dropped, letters are
/// lower case, and a single letter loses its brackets: ` (B). ` becomes `b`.
pub fn normalise(answer: &str) -> String {
    let mut text = answer.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    loop {
        let trimmed = text.trim_end_matches('.').trim().trim_matches('$').trim();
        if trimmed.len() == text.len() {
            break;
        }
        text = trimmed.to_owned();
    }
    let inner = text.strip_prefix('(').unwrap_or(&text);
    let inner = inner.strip_suffix(')').unwrap_or(inner);
    let mut letters = inner.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) if letter.is_alphabetic() => letter.to_string(),
        _ => text,
    }
}

/// Whether an answer equals the gold one: the same text after [`normalise`], or the same number
/// (`3.0` is `3`, `1,200` is `1200`). An empty answer equals nothing.
pub fn matches(answer: &str, gold: &str) -> bool {
    matches_within(answer, gold, 0.0)
}

/// As [`matches()`], but numbers may differ by `tolerance` times the gold number.
pub fn matches_within(answer: &str, gold: &str, tolerance: f64) -> bool {
    let (answer, gold) = (normalise(answer), normalise(gold));
    if answer.is_empty() {
        return false;
    }
    match (number(&answer), number(&gold)) {
        (Some(answer), Some(gold)) => (answer - gold).abs() <= tolerance * gold.abs(),
        _ => answer == gold,
    }
}

/// The number that a text is; words such as `inf`, which Rust would read as one, are not.
fn number(text: &str) -> Option<f64> {
    let plain =
        text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b',' | b'+' | b'-' | b'e'));
    if !plain {
        return None;
    }
    let value: f64 = without_thousands(text)?.parse().ok()?;
    value.is_finite().then_some(value)
}

/// Drops commas that group digits by three; `None` where a comma does something else.
fn without_thousands(text: &str) -> Option<String> {
    let mut groups = text.split(',');
    let mut digits = groups.next()?.to_owned();
    for group in groups {
        let whole = group.split('.').next()?;
        if whole.len() != 3 || digits.contains('.') {
            return None;
        }
        digits.push_str(group);
    }
    Some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_answers_match() {
        for (answer, gold) in [
            ("7", "7"),
            (" (B). ", "b"),
            ("B", "(B)"),
            ("3.0", "3"),
            ("1,200", "1200"),
            ("$42$.", "42"),
            ("1e3", "1000"),
            ("The  Cat.", "the cat"),
            ("-0.5", "-.5"),
        ] {
            assert!(matches(answer, gold), "{answer} {gold}");
        }
    }

    #[test]
    fn different_answers_do_not() {
        for (answer, gold) in [
            ("", ""),
            (".", ""),
            ("7", "17"),
            ("1,2", "12"),
            ("0.1,234", "0.1234"),
            ("nan", "7"),
            ("inf", "1e999"),
            ("3.0001", "3"),
            ("(ab)", "ab"),
            ("b", "a"),
        ] {
            assert!(!matches(answer, gold), "{answer} {gold}");
        }
        assert!(matches_within("3.1", "3", 0.05));
        assert!(!matches_within("3.1", "3", 0.01));
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in "\\PC{0,12}") {
            let once = normalise(&text);
            prop_assert_eq!(normalise(&once), once.clone());
        }

        #[test]
        fn integers_match_only_themselves(one in -500_i64..500, other in -500_i64..500) {
            prop_assert_eq!(matches(&one.to_string(), &format!("{other}.0")), one == other);
        }
    }
}
