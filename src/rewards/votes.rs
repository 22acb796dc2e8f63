//! Votes of a prompt's responses on its answer.

use super::matches;

/// What one response says, and how much that counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ballot<'a> {
    /// The answer.
    pub answer: &'a str,
    /// Its weight: the score of the response, or 1 where all count alike.
    pub weight: f64,
}

/// An answer with those that gave it.
struct Party<'a> {
    answer: &'a str,
    weight: f64,
    ballots: usize,
}

/// The answer with the highest sum of weights; answers that [`matches()`] takes for one are one, in
/// the form in which it was given first. Of equal sums the answer that more responses give wins, and
/// of equally many the one that was given first. `None` without an answer.
pub fn vote<'a>(ballots: &[Ballot<'a>]) -> Option<&'a str> {
    let mut parties: Vec<Party<'a>> = Vec::new();
    for &Ballot { answer, weight } in ballots.iter().filter(|it| matches(it.answer, it.answer)) {
        match parties.iter_mut().find(|party| matches(answer, party.answer)) {
            Some(party) => {
                party.weight += weight;
                party.ballots += 1;
            }
            None => parties.push(Party { answer, weight, ballots: 1 }),
        }
    }
    let stronger = |one: &Party<'_>, other: &Party<'_>| {
        one.weight.total_cmp(&other.weight).then(one.ballots.cmp(&other.ballots))
    };
    // Of equal ones `max_by` takes the last.
    parties.iter().rev().max_by(|one, other| stronger(one, other)).map(|party| party.answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn winner<'a>(ballots: &[(&'a str, f64)]) -> Option<&'a str> {
        let ballot = |&(answer, weight)| Ballot { answer, weight };
        vote(&ballots.iter().map(ballot).collect::<Vec<_>>())
    }

    #[test]
    fn most_responses_win_where_all_count_alike() {
        assert_eq!(winner(&[("7", 1.0), ("8", 1.0), ("8", 1.0)]), Some("8"));
        assert_eq!(winner(&[("7", 1.0)]), Some("7"));
    }

    #[test]
    fn the_highest_sum_of_scores_wins_against_more_responses() {
        assert_eq!(winner(&[("7", 0.9), ("8", 0.2), ("8", 0.3)]), Some("7"));
        assert_eq!(winner(&[("7", 0.9), ("8", 0.5), ("8", 0.6)]), Some("8"));
        // Scores of a script may be below zero.
        assert_eq!(winner(&[("7", -3.0), ("8", -1.0), ("8", -1.0)]), Some("8"));
    }

    #[test]
    fn ties_go_to_more_responses_and_then_to_the_first() {
        assert_eq!(winner(&[("7", 1.0), ("8", 1.0)]), Some("7"));
        assert_eq!(winner(&[("8", 1.0), ("7", 1.0), ("7", 1.0), ("8", 1.0)]), Some("8"));
        assert_eq!(winner(&[("7", 1.0), ("8", 0.5), ("8", 0.5)]), Some("8"));
        assert_eq!(winner(&[("7", 0.0), ("8", 0.0), ("9", 0.0)]), Some("7"));
    }

    #[test]
    fn equal_answers_are_one_and_empty_ones_are_none() {
        assert_eq!(winner(&[("9", 1.0), ("9", 0.5), ("7.0", 1.0), ("7", 1.0)]), Some("7.0"));
        assert_eq!(winner(&[("B", 1.0), ("c", 1.0), (" (b).", 1.0)]), Some("B"));
        assert_eq!(winner(&[(" ", 5.0), ("", 5.0), ("7", 0.1)]), Some("7"));
        assert_eq!(winner(&[(".", 1.0)]), None);
        assert_eq!(winner(&[]), None);
    }
}
