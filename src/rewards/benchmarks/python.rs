//! Numbers as Python reads and writes them, for rules that are defined by it.

/// The first of each run of ten decimal digits in Unicode, all of which Python reads in a number.
#[rustfmt::skip]
const ZEROS: [u32; 66] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66,
    0xde6, 0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
    0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0,
    0xff10, 0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0,
    0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0,
    0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];
/// More digits Python refuses to read as an integer.
const MOST_DIGITS: usize = 4300;

/// Whether Python counts a character as white space.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// A text without the white space around it.
pub(super) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// A numeral in ASCII, without the white space around it and the underscores between its digits;
/// `None` for an underscore elsewhere.
fn plain(text: &str) -> Option<String> {
    // Of a text in ASCII alone, separators of files and records are no white space around a number.
    let stripped = if text.is_ascii() { text.trim() } else { strip(text) };
    let ascii: Vec<char> = stripped.chars().map(ascii_digit).collect();
    let is_digit = |at: Option<&char>| at.is_some_and(char::is_ascii_digit);
    let mut plain = String::with_capacity(ascii.len());
    for (at, &c) in ascii.iter().enumerate() {
        if c != '_' {
            plain.push(c);
        } else if at == 0 || !is_digit(ascii.get(at - 1)) || !is_digit(ascii.get(at + 1)) {
            return None;
        }
    }
    Some(plain)
}

fn ascii_digit(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    let code = u32::from(c);
    let run = ZEROS.partition_point(|&zero| zero <= code).checked_sub(1).map(|at| ZEROS[at]);
    let digit = run.map(|zero| code - zero).filter(|&digit| digit < 10);
    digit.and_then(|digit| char::from_digit(digit, 10)).unwrap_or(c)
}

/// `str(int(text))`.
pub(super) fn integer(text: &str) -> Option<String> {
    let plain = plain(text)?;
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || digits.len() > MOST_DIGITS {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    Some(if digits.is_empty() { "0".to_owned() } else { format!("{sign}{digits}") })
}

/// `float(text)`.
pub(super) fn float(text: &str) -> Option<f64> {
    plain(text)?.parse().ok()
}

/// `str(int(value))`; `None` for what is no finite number.
pub(super) fn truncated(value: f64) -> Option<String> {
    let whole = value.trunc();
    if !whole.is_finite() {
        return None;
    }
    Some(if whole == 0.0 { "0".to_owned() } else { format!("{whole:.0}") })
}

/// `round(value, digits)`: half to even, on the exact value of the float.
pub(super) fn rounded(value: f64, digits: i64) -> f64 {
    // Python gives the number itself back where more digits are asked for than it rounds to.
    let Ok(digits) = usize::try_from(digits) else {
        return rounded_before_the_point(value, digits);
    };
    if !value.is_finite() || digits > 323 {
        return value;
    }
    format!("{value:.digits$}").parse().unwrap_or(value)
}

/// As [`rounded`], to tens and hundreds.
fn rounded_before_the_point(value: f64, digits: i64) -> f64 {
    if !value.is_finite() {
        return value;
    }
    if digits < -308 {
        return 0.0_f64.copysign(value);
    }
    // A number with so many digits that the last one kept stands at the right place.
    let places = digits.unsigned_abs() as usize;
    let whole = format!("{:.0}", value.abs().trunc());
    let Some(kept) = whole.len().checked_sub(places) else { return 0.0_f64.copysign(value) };
    let (head, tail) = whole.split_at(kept);
    let fraction = value.abs().fract() > 0.0;
    let half = format!("5{}", "0".repeat(places.saturating_sub(1)));
    let above = tail > half.as_str() || (tail == half && fraction);
    let is_odd = head.bytes().last().is_some_and(|byte| byte % 2 == 1);
    let up = above || (tail == half && is_odd);
    let head: f64 =
        format!("{}e{places}", if head.is_empty() { "0" } else { head }).parse().unwrap_or(value);
    let step: f64 = format!("1e{places}").parse().unwrap_or(0.0);
    (if up { head + step } else { head }).copysign(value)
}

/// `repr(value)`: the shortest digits that read back the same, with an exponent below 1e-4 and from
/// 1e16.
pub fn repr(value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let text = value.to_string();
        return if text.contains('.') { text } else { text + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_read_as_python_reads_them() {
        assert_eq!(integer(" +1_000\n").as_deref(), Some("1000"));
        assert_eq!(integer("\u{1f}٣").as_deref(), Some("3"));
        assert_eq!(integer("\u{1f}3"), None);
        assert_eq!(integer("-0").as_deref(), Some("0"));
        assert_eq!(integer("٣٤").as_deref(), Some("34"));
        for wrong in ["", "_1", "1_", "1__0", "1.0", "+", "²", "1 2"] {
            assert_eq!(integer(wrong), None, "{wrong}");
        }
        assert_eq!(float("1_0.5e-1"), Some(1.05));
        assert_eq!(float("1_.5"), None);
        assert_eq!(float("-Infinity"), Some(f64::NEG_INFINITY));
    }

    #[test]
    fn numbers_are_written_as_python_writes_them() {
        for (value, text) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (1e16, "1e+16"),
            (123_456_789_012_345.6, "123456789012345.6"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (1.5e-300, "1.5e-300"),
        ] {
            assert_eq!(repr(value), text);
        }
        assert_eq!(truncated(-0.5).as_deref(), Some("0"));
        assert_eq!(truncated(1e22).as_deref(), Some("10000000000000000000000"));
        assert_eq!(truncated(f64::NAN), None);
        assert_eq!(rounded(2.675, 2), 2.67);
        assert_eq!(rounded(0.125, 2), 0.12);
        assert_eq!(rounded(1250.0, -2), 1200.0);
        assert_eq!(rounded(1350.0, -2), 1400.0);
        assert_eq!(rounded(51.0, -2), 100.0);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            let back: f64 = repr(value).parse().unwrap();
            prop_assert!(back == value || value.is_nan());
        }

        #[test]
        fn no_number_breaks_rounding(bits in any::<u64>(), digits in -400_i64..400) {
            let value = f64::from_bits(bits);
            let near = rounded(value, digits);
            prop_assert!(near.is_nan() == value.is_nan());
        }
    }
}
