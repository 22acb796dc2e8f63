//! The stages of the balanced temperature: in each iteration that searches a `monitor` over the
//! candidates and a `balance` of what it measured.

use super::{Lowering, Policy};
use crate::base::Key;
use crate::plan::{Balance, Branch, Drawn, Explore, Knobs, Monitor, Port, Setting, Slice, Stage};
use crate::recipe::{Also, Maximise, Moment, SearchOn, Select, TemperatureMode};

/// What an exploration reads of a balance.
#[derive(Default)]
pub(super) struct Balanced {
    /// What decided the temperature.
    pub(super) temperature: Option<Key>,
    /// The search whose responses the exploration takes over, and how it drew.
    pub(super) search: Option<Key>,
    pub(super) searched: Vec<Drawn>,
}

impl Lowering<'_> {
    /// The temperature that the exploration of an iteration reads, when it is balanced: that of the
    /// last search, which this iteration makes if it is its turn. `evaluated` is the greedy accuracy
    /// of the policy, where it was measured.
    pub(super) fn balance(
        &mut self,
        prompts: Key,
        policy: Policy,
        (before, evaluated): (Option<Key>, Option<Key>),
        iteration: u32,
    ) -> Balanced {
        let recipe = &self.member.recipe;
        let temperature = &recipe.temperature;
        let TemperatureMode::Balanced = temperature.mode else { return Balanced::default() };
        let is_due = (iteration - 1).is_multiple_of(temperature.every);
        let Some(maximise) = temperature.maximise.filter(|_| is_due) else {
            return Balanced { temperature: before, ..Balanced::default() };
        };
        let range = &temperature.candidates;
        let candidates = steps(range.from, range.to, range.step);
        let ranks = !matches!(maximise, Maximise::Pass(_));
        let reward = self.reward.filter(|_| ranks);
        let draws = self.draws(&candidates);
        let also = self.knobs(&draws);
        let slice = self.slice(iteration);
        let hooks = self.calls(if ranks { &RANKING } else { &RANKING[..3] });
        let is_rewarded =
            hooks.as_ref().is_some_and(|calls| calls.functions.contains(&Moment::Reward));
        let purpose = if slice.is_some() { "explore" } else { "search" };
        let search = Stage::Monitor(Monitor {
            samples: temperature.samples,
            temperature: candidates[0],
            max_new_tokens: recipe.exploration.max_new_tokens,
            temperatures: candidates[1..].to_vec(),
            draws: if also.is_some() || slice.is_some() { draws.clone() } else { Vec::new() },
            slice,
            prompts: temperature.prompts,
            score: reward.map(|_| self.scoring()),
            // What is balanced beside the temperature is tried on the responses themselves.
            keep_scores: also.is_some() && (reward.is_some() || is_rewarded),
            verifiers: false,
            dtype: recipe.policy.dtype,
            seed: self.seed(purpose, iteration),
            hooks,
        });
        let initial = temperature.value;
        let at = (Branch::Search, iteration);
        let mut inputs = vec![(Port::Policy, policy.key), (Port::Prompts, prompts)];
        inputs.extend(reward.map(|reward| (Port::RewardModel, reward)));
        let search = self.add(search, format!("search {iteration}"), at, &inputs);
        let mut inputs = vec![(Port::Search, search)];
        inputs.extend(before.map(|before| (Port::Temperature, before)));
        let mut hooks = None;
        if maximise == Maximise::Hook {
            hooks = self.calls(&[Moment::Temperature]);
            inputs.extend(evaluated.map(|evaluated| (Port::Evaluated, evaluated)));
        }
        let balance = Stage::Balance(Balance { maximise, initial, also, hooks });
        let temperature = Some(self.add(balance, format!("balance {iteration}"), at, &inputs));
        match slice {
            Some(_) => Balanced { temperature, search: Some(search), searched: draws },
            None => Balanced { temperature, ..Balanced::default() },
        }
    }

    /// The prompts that an iteration explores, when it searches on them.
    fn slice(&self, iteration: u32) -> Option<Slice> {
        let Explore { from, count, labelled, .. } = self.exploration(iteration);
        let on_training = self.member.recipe.temperature.search_on == SearchOn::Training;
        on_training.then_some(Slice { from, count, labelled })
    }

    /// Every way in which a search draws, at these temperatures.
    fn draws(&self, temperatures: &[f64]) -> Vec<Drawn> {
        fn or<T: Copy>(values: &[T], value: T) -> Vec<T> {
            if values.is_empty() { vec![value] } else { values.to_vec() }
        }
        let recipe = &self.member.recipe;
        let (also, exploration) = (&recipe.temperature.also, &recipe.exploration);
        let mut draws = Vec::new();
        for &temperature in temperatures {
            for top_p in or(&also.top_p, exploration.top_p) {
                for top_k in or(&also.top_k, exploration.top_k) {
                    let with = |min_p| Drawn { temperature, top_p, top_k, min_p };
                    draws.extend(or(&also.min_p, exploration.min_p).into_iter().map(with));
                }
            }
        }
        draws
    }

    /// What is balanced beside the temperature; none where nothing is.
    fn knobs(&self, draws: &[Drawn]) -> Option<Knobs> {
        let recipe = &self.member.recipe;
        let (also, exploration) = (&recipe.temperature.also, &recipe.exploration);
        if *also == Also::default() {
            return None;
        }
        let thresholds = also.threshold.as_ref().map(|it| steps(it.from, it.to, it.step));
        let initial = Setting {
            drawn: Drawn {
                temperature: recipe.temperature.value,
                top_p: exploration.top_p,
                top_k: exploration.top_k,
                min_p: exploration.min_p,
            },
            samples: exploration.samples,
            threshold: match recipe.reward.select {
                Select::Above(threshold) => Some(threshold),
                _ => None,
            },
        };
        let thresholds = thresholds.unwrap_or_default();
        Some(Knobs { draws: draws.to_vec(), samples: also.samples.clone(), thresholds, initial })
    }

    /// What decides the threshold of a selection, where it is balanced.
    pub(super) fn threshold(&self, temperature: Option<Key>) -> Option<(Port, Key)> {
        let balanced = self.member.recipe.temperature.also.threshold.is_some();
        temperature.filter(|_| balanced).map(|chosen| (Port::Temperature, chosen))
    }
}

/// Moments of a search; all of them where responses are ranked.
const RANKING: [Moment; 5] =
    [Moment::Prompt, Moment::Extract, Moment::Correct, Moment::Steps, Moment::Reward];

/// The values of a range, ends included; rounded, so that they are what people would write.
fn steps(from: f64, to: f64, step: f64) -> Vec<f64> {
    let count = ((to - from) / step + 1e-9).floor().max(0.0) as u64;
    let at = |index: u64| ((from + index as f64 * step) * 1e6).round() / 1e6;
    (0..=count).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_those_of_the_paper() {
        let found = steps(0.3, 1.6, 0.1);
        assert_eq!(found.len(), 14);
        assert_eq!((found[0], found[2], found[13]), (0.3, 0.5, 1.6));
        assert_eq!(steps(1.0, 1.0, 0.5), [1.0]);
        assert_eq!(steps(-1.0, 1.0, 0.01).len(), 201);
    }
}
