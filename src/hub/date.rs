//! Dates as servers write them, which say when to come again.

/// Days of a year before each month, in a year without a leap day.
const MONTHS: [(&str, i64); 12] = [
    ("Jan", 0),
    ("Feb", 31),
    ("Mar", 59),
    ("Apr", 90),
    ("May", 120),
    ("Jun", 151),
    ("Jul", 181),
    ("Aug", 212),
    ("Sep", 243),
    ("Oct", 273),
    ("Nov", 304),
    ("Dec", 334),
];

/// Seconds from 1970 to a date in any of the three forms of RFC 9110, such as `Sun, 06 Nov 1994 08:49:37
/// GMT`; `None` for what is none.
pub(super) fn seconds(text: &str) -> Option<i64> {
    let parts = text.split([' ', ',', '-', ':']).filter(|part| !part.is_empty());
    let parts: Vec<&str> = parts.collect();
    let (day, month, year, time) = match parts.as_slice() {
        [_, day, month, year, time @ .., "GMT"] if time.len() == 3 => (day, month, year, time),
        [_, month, day, time @ .., year] if time.len() == 3 => (day, month, year, time),
        _ => return None,
    };
    let number = |text: &&str, most: i64| -> Option<i64> {
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| is_plain && *number <= most)
    };
    let year = match (number(year, 9999)?, year.len()) {
        (year, 2) if year < 70 => year + 2000,
        (year, 2) => year + 1900,
        (year, _) => year,
    };
    let (at, (_, before)) = MONTHS.iter().enumerate().find(|(_, (name, _))| name == month)?;
    // Leap days up to the end of that month.
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    let whole = if at < 2 { year - 1 } else { year };
    let days = 365 * (year - 1970) + before + leaps(whole) - leaps(1969) + number(day, 31)? - 1;
    let [hours, minutes, seconds] = time else { return None };
    let of_day = number(hours, 23)? * 3600 + number(minutes, 59)? * 60 + number(seconds, 60)?;
    Some(days * 86_400 + of_day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_three_forms_are_one_instant_and_others_are_none() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(seconds(text), Some(784_111_777), "{text}");
        }
        assert_eq!(seconds("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(seconds("Tue, 29 Feb 2000 00:00:00 GMT"), Some(951_782_400));
        assert_eq!(seconds("Mon, 23 Nov 2026 20:00:00 GMT"), Some(1_795_464_000));
        for text in
            ["", "120", "soon", "Sun, 06 Nov 1994 08:49 GMT", "Sun, +6 Nov 1994 08:49:37 GMT"]
        {
            assert_eq!(seconds(text), None, "{text}");
        }
        assert_eq!(seconds("Sun, 06 Now 1994 08:49:37 GMT"), None);
        assert_eq!(seconds("Sun, 06 Nov 1994 24:49:37 GMT"), None);
    }
}
