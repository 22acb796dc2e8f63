//! Numbers as the report writes them: per cent with one decimal, thousands apart, signs said.

use crate::base::plural;
use crate::event::Outcome;
use crate::recipe::to_toml;
use serde_json::Value;

/// A share in 0..=1 as `45.9`, in per cent without the sign.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1}", share * 100.0)
}

/// A 95 % interval as `42.8–49.0`, in per cent.
pub(super) fn range(interval: [f64; 2]) -> String {
    format!("{}–{}", percent(interval[0]), percent(interval[1]))
}

/// A difference in points, always with its sign.
pub(super) fn points(difference: f64) -> String {
    let rounded = (difference * 1000.0).round() / 10.0;
    if rounded < 0.0 { format!("−{:.1}", -rounded) } else { format!("+{:.1}", rounded.abs()) }
}

/// A share or a dash.
pub(super) fn percent_or_dash(share: Option<f64>) -> String {
    share.map_or_else(|| "–".into(), percent)
}

/// A whole number with thin spaces between thousands, from 10,000 on.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    if digits.len() < 5 {
        return digits;
    }
    let mut text = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A number of things, such as `1 prompt` or `9800 prompts`.
pub(super) fn counted(number: u64, thing: &str) -> String {
    format!("{} {}", count(number), plural(number, thing))
}

/// A value of a recipe as people write it.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        other => to_toml(other),
    }
}

/// Milliseconds since 1970 as `2026-07-14 09:41 UTC` (civil calendar from days, after Hinnant).
pub fn instant(time_ms: u64) -> String {
    let minutes = time_ms / 60_000;
    let days = minutes / 1440 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (minutes % 1440 / 60, minutes % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// An outcome in one word.
pub(super) fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Stored => "stored",
        Outcome::Failed => "failed",
        Outcome::Interrupted => "interrupted",
    }
}

/// Steps of 1, 2 or 5 times a power of ten: about `wanted` ticks from 0 to at least `top`.
pub(super) fn ticks(top: f64, wanted: u32) -> Vec<f64> {
    if !(top.is_finite() && top > 0.0) {
        return vec![0.0, 1.0];
    }
    let rough = top / f64::from(wanted);
    let magnitude = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|factor| factor * magnitude)
        .into_iter()
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(magnitude * 10.0);
    let last = (top / step - 1e-9).ceil().max(1.0) as u32;
    (0..=last).map(|index| f64::from(index) * step).collect()
}

/// The same for what is counted: no two ticks are the same whole number.
pub(super) fn whole_ticks(top: f64, wanted: u32) -> Vec<f64> {
    if top < f64::from(wanted) {
        return (0..=top.max(1.0).ceil() as u32).map(f64::from).collect();
    }
    ticks(top, wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(percent(0.7214), "72.1");
        assert_eq!(range([0.692, 0.7479]), "69.2–74.8");
        assert_eq!(points(0.398), "+39.8");
        assert_eq!(points(-0.0523), "−5.2");
        assert_eq!(points(-0.0001), "+0.0");
        assert_eq!(count(9800), "9800");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(instant(1_784_021_000_000), "2026-07-14 09:23 UTC");
        assert_eq!(instant(951_782_400_000), "2000-02-29 00:00 UTC");
    }

    #[test]
    fn ticks_cover_the_range_in_round_steps() {
        assert_eq!(ticks(0.83, 5), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(ticks(1200.0, 6), [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0, 1200.0]);
        assert_eq!(ticks(0.0, 5), [0.0, 1.0]);
        assert_eq!(ticks(f64::NAN, 5), [0.0, 1.0]);
        assert_eq!(whole_ticks(3.0, 7), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(whole_ticks(0.0, 7), [0.0, 1.0]);
        assert_eq!(whole_ticks(20.0, 7), ticks(20.0, 7));
    }
}
