//! Which of the names that there are somebody may have meant.

/// The nearest of several names, if it is near: a few letters changed, swapped, left out or added,
/// or the beginning of the right one.
pub fn did_you_mean<'n>(
    written: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    let plain = |name: &str| name.to_lowercase().replace('-', "_");
    let written: String = plain(&written.chars().take(64).collect::<String>());
    names
        .into_iter()
        .map(|name| {
            let distance = strsim::damerau_levenshtein(&written, &plain(name));
            let shortened = written.len() >= 3 && plain(name).starts_with(&written);
            (if shortened { 1 } else { distance }, name)
        })
        .filter(|(distance, name)| !name.is_empty() && *distance <= 1 + name.len() / 5)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let names = ["interval", "iterations", "batch_size", "rest-em", "fp32"];
        for (written, meant) in [
            ("intervall", Some("interval")),
            ("iteration", Some("iterations")),
            ("batch-size", Some("batch_size")),
            ("rest_em", Some("rest-em")),
            ("inter", Some("interval")),
            ("FP32", Some("fp32")),
            ("momentum", None),
            ("", None),
        ] {
            assert_eq!(did_you_mean(written, names), meant, "{written}");
        }
        assert_eq!(did_you_mean("a", [""]), None, "what has no name is not meant");
    }
}
