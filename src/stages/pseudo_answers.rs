//! The answers that a selection takes unlabelled prompts to have: by a vote of their responses, by the
//! script, or by the oracle, which alone has the port of the hidden ones.
//!
//! All responses to a prompt vote, repetitions too: how often something is said is what a vote counts.

use super::failure::failure;
use super::hide;
use super::hooks::Hooks;
use super::prompts::Sample;
use super::verifier::by_id;
use crate::data::table::{PseudoAnswer, Rollout};
use crate::recipe;
use crate::rewards::{Ballot, vote};
use crate::run::{Context, Stop};
use indexmap::IndexMap;
use std::collections::BTreeMap;

/// The score of each response by prompt and sample; empty without a reward model.
pub(super) type Scores = BTreeMap<(u64, u32), f64>;

/// What answers are found from.
pub(super) struct Finder<'a> {
    way: recipe::PseudoAnswer,
    scores: &'a Scores,
    samples: BTreeMap<u64, &'a Sample>,
    hooks: &'a Hooks,
    /// The hidden answers, for the oracle.
    hidden: BTreeMap<u64, String>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(
        way: recipe::PseudoAnswer,
        (scores, samples, hooks): (&'a Scores, &'a [Sample], &'a Hooks),
        context: &Context<'_>,
    ) -> Result<Self, Stop> {
        let hidden = match way {
            recipe::PseudoAnswer::Oracle => hide::answers(context)?,
            _ => BTreeMap::new(),
        };
        Ok(Self { way, scores, samples: by_id(samples), hooks, hidden })
    }

    /// Gives the responses to unlabelled prompts the answer that is found for them to be compared
    /// with, and says which are right by it.
    pub(super) fn answer(&self, rollouts: &mut [Rollout]) -> Result<Vec<PseudoAnswer>, Stop> {
        let mut prompts: IndexMap<u64, Vec<usize>> = IndexMap::new();
        for (place, rollout) in rollouts.iter().enumerate().filter(|(_, it)| it.gold.is_none()) {
            prompts.entry(rollout.prompt).or_default().push(place);
        }
        let mut found = Vec::with_capacity(prompts.len());
        for (prompt, places) in prompts {
            let responses: Vec<&Rollout> = places.iter().map(|&place| &rollouts[place]).collect();
            let answered = responses.iter().filter(|it| it.extracted.is_some()).count() as u32;
            let answer = self.find(prompt, &responses)?;
            let mut agreeing = 0;
            for place in places {
                rollouts[place].gold.clone_from(&answer);
                rollouts[place].correct = self.hooks.agrees(&rollouts[place])?;
                agreeing += u32::from(rollouts[place].correct);
            }
            found.push(PseudoAnswer { prompt, answer, answered, agreeing });
        }
        Ok(found)
    }

    fn find(&self, prompt: u64, responses: &[&Rollout]) -> Result<Option<String>, Stop> {
        match self.way {
            recipe::PseudoAnswer::Oracle => match self.hidden.get(&prompt) {
                Some(answer) => Ok(Some(answer.clone())),
                None => {
                    let reason = format!("prompt {prompt} has no hidden answer");
                    Err(failure(reason, "plan again: the prompts are not those that were planned"))
                }
            },
            recipe::PseudoAnswer::MajorityVote => self.vote(responses, |_| Ok(1.0)),
            recipe::PseudoAnswer::WeightedVote => self.vote(responses, |rollout| {
                self.score(rollout)?.ok_or_else(|| {
                    let sample = rollout.sample;
                    let reason = format!("sample {sample} of prompt {prompt} has no score to vote");
                    failure(reason, "vote without: `prompts.pseudo_answer = \"majority-vote\"`")
                })
            }),
            recipe::PseudoAnswer::Hook => {
                let mut candidates = Vec::with_capacity(responses.len());
                for rollout in responses {
                    candidates.push((*rollout, self.score(rollout)?));
                }
                let sample = self.samples.get(&prompt).copied();
                Ok(self.hooks.pseudo_answer(sample, &candidates)?)
            }
        }
    }

    fn vote(
        &self,
        responses: &[&Rollout],
        weight: impl Fn(&Rollout) -> Result<f64, Stop>,
    ) -> Result<Option<String>, Stop> {
        let mut ballots = Vec::with_capacity(responses.len());
        for rollout in responses {
            if let Some(answer) = &rollout.extracted {
                ballots.push(Ballot { answer, weight: weight(rollout)? });
            }
        }
        Ok(vote(&ballots).map(str::to_owned))
    }

    /// What the reward model says of a response, or else the script.
    fn score(&self, rollout: &Rollout) -> Result<Option<f64>, Stop> {
        match self.scores.get(&(rollout.prompt, rollout.sample)) {
            Some(score) => Ok(Some(*score)),
            None => {
                let sample = self.samples.get(&rollout.prompt).copied();
                Ok(self.hooks.reward(rollout, sample)?)
            }
        }
    }
}
