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

/// Of each response the place of the first that gives the same answer, as [`matches()`] compares
/// them; none where a response gives no answer.
pub(super) fn parties<'a>(answers: impl Iterator<Item = Option<&'a str>>) -> Vec<Option<usize>> {
    let mut first: Vec<(usize, &str)> = Vec::new();
    let party = |(place, answer): (usize, Option<&'a str>)| {
        let answer = answer.filter(|answer| matches(answer, answer))?;
        if let Some((known, _)) = first.iter().find(|(_, known)| matches(answer, known)) {
            return Some(*known);
        }
        first.push((place, answer));
        Some(place)
    };
    answers.enumerate().map(party).collect()
}

/// The party with the highest sum of weights; of equal sums that of more votes wins, and of equally
/// many the one that voted first. `None` without a vote.
pub(super) fn winner(votes: impl Iterator<Item = (usize, f64)>) -> Option<usize> {
    let mut sums: Vec<(usize, f64, usize)> = Vec::new();
    for (party, weight) in votes {
        match sums.iter_mut().find(|(other, ..)| *other == party) {
            Some((_, sum, count)) => (*sum, *count) = (*sum + weight, *count + 1),
            None => sums.push((party, weight, 1)),
        }
    }
    // Of equal ones `max_by` takes the last.
    let strongest =
        sums.iter().rev().max_by(|one, other| one.1.total_cmp(&other.1).then(one.2.cmp(&other.2)));
    strongest.map(|(party, ..)| *party)
}

/// The answer with the highest sum of weights, in the form in which it was given first; of equal sums
/// that of more responses, and of equally many the one that was given first. `None` without an answer.
pub fn vote<'a>(ballots: &[Ballot<'a>]) -> Option<&'a str> {
    let parties = parties(ballots.iter().map(|ballot| Some(ballot.answer)));
    let votes = parties.iter().zip(ballots);
    winner(votes.filter_map(|(party, ballot)| Some(((*party)?, ballot.weight))))
        .map(|party| ballots[party].answer)
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
