//! What a verifier makes of N responses to a prompt: the best by score, the answer of most, and the
//! answer with the highest sum of scores.
//!
//! Of K responses that were drawn, N are looked at. The number of a prompt is the expectation over
//! subsets of N: exact for the best by score, and for votes the mean over all subsets, or over
//! [`MOST_SUBSETS`] of them drawn from a seed where there are more.

use super::pass::best_first;
use super::votes::{parties, winner};
use crate::base::Seed;

/// Subsets that a vote is counted in at most.
const MOST_SUBSETS: usize = 256;

/// A response as a verifier sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled {
    /// Its answer; none where it gives none.
    pub answer: Option<String>,
    /// Whether the answer is right.
    pub correct: bool,
    /// Its score.
    pub score: f64,
}

/// Which of the responses to a prompt are looked at together: lists of places, each ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subsets(Vec<Vec<usize>>);

impl Subsets {
    /// Subsets of `size` of `count` places; none where there are not so many.
    pub fn new(count: usize, size: usize, seed: Seed) -> Self {
        if size > count {
            return Self(Vec::new());
        }
        let all = (1..=size).fold(1.0, |all, at| all * (count - size + at) as f64 / at as f64);
        if all.round() <= MOST_SUBSETS as f64 {
            return Self(every(count, size));
        }
        let mut generator = seed.generator();
        let draw = |_| {
            let mut places = rand::seq::index::sample(&mut generator, count, size).into_vec();
            places.sort_unstable();
            places
        };
        Self((0..MOST_SUBSETS).map(draw).collect())
    }
}

/// All subsets, in the order of their places.
fn every(count: usize, size: usize) -> Vec<Vec<usize>> {
    let mut places: Vec<usize> = (0..size).collect();
    let mut all = vec![places.clone()];
    // The last place that can still move up does, and those behind it follow closely.
    while let Some(at) = (0..size).rfind(|&at| places[at] < count - size + at) {
        places[at] += 1;
        for next in at + 1..size {
            places[next] = places[next - 1] + 1;
        }
        all.push(places.clone());
    }
    all
}

/// What the responses to one prompt come to at one N.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verified {
    /// How often the response with the highest score is right; of equal scores the earlier one.
    pub best_of_n: f64,
    /// How often the answer that most responses give is right; ties as in
    /// [`vote`](super::vote). Without any answer it is wrong.
    pub majority: f64,
    /// The same of the answer with the highest sum of scores.
    pub weighted: f64,
}

/// Verifies the responses to a prompt, `size` at a time; `None` where there are not so many.
pub fn verify(responses: &[Sampled], size: usize, subsets: &Subsets) -> Option<Verified> {
    if size == 0 || size > responses.len() || subsets.0.is_empty() {
        return None;
    }
    let parties = parties(responses.iter().map(|response| response.answer.as_deref()));
    let share = |weight: fn(&Sampled) -> f64| {
        let right = subsets.0.iter().filter(|places| {
            let votes =
                places.iter().filter_map(|&at| Some((parties[at]?, weight(&responses[at]))));
            winner(votes).is_some_and(|party| responses[party].correct)
        });
        right.count() as f64 / subsets.0.len() as f64
    };
    Some(Verified {
        best_of_n: best_of(responses, size),
        majority: share(|_| 1.0),
        weighted: share(|response| response.score),
    })
}

/// The probability that the best by score of `size` responses, drawn without replacement, is right:
/// the response at rank r is the best of them with C(K - 1 - r, N - 1) / C(K, N).
fn best_of(responses: &[Sampled], size: usize) -> f64 {
    let mut chance = size as f64 / responses.len() as f64;
    let mut sum = 0.0;
    for (at, response) in best_first(responses, |it| it.score).into_iter().enumerate() {
        sum += if response.correct { chance } else { 0.0 };
        let worse = responses.len() - 1 - at;
        if worse < size {
            break;
        }
        chance *= (worse + 1 - size) as f64 / worse as f64;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn responses(told: &[(&str, bool, f64)]) -> Vec<Sampled> {
        let response = |&(answer, correct, score): &(&str, bool, f64)| Sampled {
            answer: (answer != "-").then(|| answer.to_owned()),
            correct,
            score,
        };
        told.iter().map(response).collect()
    }

    fn at(responses: &[Sampled], size: usize) -> Verified {
        verify(responses, size, &Subsets::new(responses.len(), size, Seed(1))).unwrap()
    }

    #[test]
    fn of_one_response_all_verifiers_make_the_mean() {
        let responses = responses(&[("4", true, 0.1), ("5", false, 0.9), ("-", false, 0.5)]);
        let third = 1.0 / 3.0;
        let one = at(&responses, 1);
        for value in [one.best_of_n, one.majority, one.weighted] {
            assert!((value - third).abs() < 1e-12, "{one:?}");
        }
    }

    #[test]
    fn votes_and_the_best_differ_where_they_should() {
        // Most say 5, the surest says 4, and the sum of scores is for 4.
        let told = [("5", false, 0.2), ("5", false, 0.2), ("4", true, 0.3), ("4.", true, 0.3)];
        let all = at(&responses(&[told[0], told[1], told[2]]), 3);
        assert_eq!(all, Verified { best_of_n: 1.0, majority: 0.0, weighted: 0.0 });
        let all = at(&responses(&told), 4);
        // Two votes each: the answer that was given first wins; by weight the other.
        assert_eq!(all, Verified { best_of_n: 1.0, majority: 0.0, weighted: 1.0 });
        let silent = at(&responses(&[("-", false, 0.9), ("-", false, 0.1)]), 2);
        assert_eq!(silent, Verified { best_of_n: 0.0, majority: 0.0, weighted: 0.0 });
    }

    #[test]
    fn the_best_of_n_is_the_share_of_subsets_in_which_it_is_right() {
        let told = [
            ("1", true, 0.5),
            ("2", false, 0.5),
            ("1", true, 0.1),
            ("3", false, 0.9),
            ("1", true, f64::NAN),
            ("1", true, 0.6),
        ];
        let responses = responses(&told);
        for size in 1..=6 {
            let subsets = every(6, size);
            let right = subsets.iter().filter(|places| {
                let rank = |place: usize| {
                    let score = responses[place].score;
                    if score.is_nan() { f64::NEG_INFINITY } else { score }
                };
                let best = places
                    .iter()
                    .copied()
                    .reduce(|best, place| if rank(place) > rank(best) { place } else { best });
                responses[best.unwrap()].correct
            });
            let counted = right.count() as f64 / subsets.len() as f64;
            assert!((best_of(&responses, size) - counted).abs() < 1e-12, "{size}");
        }
    }

    #[test]
    fn subsets_are_all_or_a_seeded_draw() {
        assert_eq!(every(4, 2).len(), 6);
        assert_eq!(every(4, 4), [[0, 1, 2, 3]]);
        let few = Subsets::new(8, 4, Seed(1));
        assert_eq!((few.0.len(), &few), (70, &Subsets::new(8, 4, Seed(2))));
        let many = Subsets::new(16, 8, Seed(1));
        assert_eq!((many.0.len(), &many), (MOST_SUBSETS, &Subsets::new(16, 8, Seed(1))));
        assert_ne!(many, Subsets::new(16, 8, Seed(2)));
        let is_plain = |places: &Vec<usize>| {
            places.len() == 8 && places.windows(2).all(|pair| pair[0] < pair[1]) && places[7] < 16
        };
        assert!(many.0.iter().all(is_plain));
        assert_eq!(verify(&[], 1, &Subsets::new(0, 1, Seed(1))), None);
    }
}
