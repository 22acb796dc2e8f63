//! The stages of the reward model and of the balanced temperature.
//!
//! Reward model: `explore` with the warmed-up policy, `label` its steps (a process model only),
//! `train-reward`; then `score` in each iteration. Balance: in each iteration that searches a
//! `monitor` over the candidates and a `balance` of what it measured.

use super::{Lowering, Policy};
use crate::base::Key;
use crate::plan::{
    Balance, Branch, Explore, Label, Monitor, Port, Score, Scored, Stage, TrainReward,
};
use crate::recipe::{Candidates, Maximise, Moment, RewardModel, RewardStart, TemperatureMode};

impl Lowering<'_> {
    /// Trains a reward model on rollouts of `policy`; none where the recipe has none.
    pub(super) fn reward_model(
        &mut self,
        prompts: Key,
        (base, start): (Policy, Policy),
        policy: Policy,
        iteration: u32,
    ) -> Option<Key> {
        let scored = self.scored()?;
        let recipe = &self.member.recipe;
        let training = &recipe.reward.training;
        let at = (Branch::Reward, iteration);
        let after = if iteration == 0 { String::new() } else { format!(" {iteration}") };
        let labelled = self.labelled();
        let explore = Explore {
            count: if training.prompts == 0 { labelled } else { training.prompts.min(labelled) },
            samples: training.samples,
            temperature: training.temperature,
            seed: self.seed("reward explore", iteration),
            ..self.exploration(0)
        };
        let mut inputs = vec![(Port::Policy, policy.key), (Port::Prompts, prompts)];
        let explore = Stage::Explore(explore);
        let rollouts = self.add(explore, format!("reward explore{after}"), at, &inputs);
        inputs.push((Port::Rollouts, rollouts));
        let labels = match scored {
            Scored::Outcome => None,
            Scored::Process => {
                let label = Stage::Label(Label {
                    rollouts: training.labels,
                    completions: training.completions,
                    temperature: training.temperature,
                    max_new_tokens: recipe.exploration.max_new_tokens,
                    steps: recipe.reward.steps.clone(),
                    dtype: recipe.policy.dtype,
                    seed: self.seed("label", iteration),
                    hooks: self.calls(&[
                        Moment::Prompt,
                        Moment::Extract,
                        Moment::Correct,
                        Moment::Steps,
                    ]),
                });
                Some(self.add(label, format!("label{after}"), at, &inputs))
            }
        };
        let from = match training.from {
            RewardStart::Base => base,
            RewardStart::WarmUp => start,
        };
        inputs[0] = (Port::Policy, from.key);
        inputs.extend(labels.map(|labels| (Port::Labels, labels)));
        let train = Stage::TrainReward(TrainReward {
            scored,
            targets: training.targets,
            balance: training.balance,
            held_out: training.held_out,
            parts: training.train.clone(),
            epochs: training.epochs,
            batch_size: training.batch_size,
            learning_rate: training.learning_rate,
            steps: recipe.reward.steps.clone(),
            max_length: recipe.training.max_length,
            dtype: recipe.policy.dtype,
            seed: self.seed("reward", iteration),
            hooks: self.calls(&[Moment::Prompt]),
        });
        Some(self.add(train, format!("train reward{after}"), at, &inputs))
    }

    /// Whether an iteration trains the reward model again.
    pub(super) fn refreshes(&self, iteration: u32) -> bool {
        let every = self.member.recipe.reward.training.refresh_every;
        every > 0 && iteration > 1 && (iteration - 1).is_multiple_of(every)
    }

    /// Scores the rollouts of an iteration.
    pub(super) fn score(&mut self, prompts: Key, rollouts: Key, iteration: u32) -> Option<Key> {
        let inputs = [
            (Port::RewardModel, self.reward?),
            (Port::Prompts, prompts),
            (Port::Rollouts, rollouts),
        ];
        let hooks = self.calls(&[Moment::Prompt, Moment::Steps]);
        let score = Stage::Score(Score { hooks, ..self.scoring() });
        let at = (Branch::Evolution, iteration);
        Some(self.add(score, format!("score {iteration}"), at, &inputs))
    }

    pub(super) fn scoring(&self) -> Score {
        let recipe = &self.member.recipe;
        Score {
            steps: recipe.reward.steps.clone(),
            aggregate: recipe.reward.aggregate,
            dtype: recipe.policy.dtype,
            hooks: None,
        }
    }

    fn scored(&self) -> Option<Scored> {
        match self.member.recipe.reward.model {
            RewardModel::Outcome => Some(Scored::Outcome),
            RewardModel::Process => Some(Scored::Process),
            RewardModel::Answer | RewardModel::Hook => None,
        }
    }

    /// The temperature that the exploration of an iteration reads, when it is balanced: that of the
    /// last search, which this iteration makes if it is its turn.
    pub(super) fn balance(
        &mut self,
        prompts: Key,
        policy: Policy,
        before: Option<Key>,
        iteration: u32,
    ) -> Option<Key> {
        let recipe = &self.member.recipe;
        let temperature = &recipe.temperature;
        if temperature.mode != TemperatureMode::Balanced {
            return None;
        }
        if !(iteration - 1).is_multiple_of(temperature.every) {
            return before;
        }
        let maximise = temperature.maximise?;
        let mut candidates = candidates(&temperature.candidates);
        let ranks = matches!(maximise, Maximise::RewardPass(_) | Maximise::Balance(_));
        let reward = self.reward.filter(|_| ranks);
        let search = Stage::Monitor(Monitor {
            samples: temperature.samples,
            temperature: candidates.remove(0),
            max_new_tokens: recipe.exploration.max_new_tokens,
            temperatures: candidates,
            prompts: temperature.prompts,
            score: reward.map(|_| self.scoring()),
            dtype: recipe.policy.dtype,
            seed: self.seed("search", iteration),
            hooks: self.calls(match ranks {
                true => &RANKING,
                false => &RANKING[..3],
            }),
        });
        let initial = temperature.value;
        let at = (Branch::Search, iteration);
        let mut inputs = vec![(Port::Policy, policy.key), (Port::Prompts, prompts)];
        inputs.extend(reward.map(|reward| (Port::RewardModel, reward)));
        let search = self.add(search, format!("search {iteration}"), at, &inputs);
        let mut inputs = vec![(Port::Search, search)];
        inputs.extend(before.map(|before| (Port::Temperature, before)));
        let balance = Stage::Balance(Balance { maximise, initial });
        Some(self.add(balance, format!("balance {iteration}"), at, &inputs))
    }
}

/// Moments of a search; all of them where responses are ranked.
const RANKING: [Moment; 5] =
    [Moment::Prompt, Moment::Extract, Moment::Correct, Moment::Steps, Moment::Reward];

/// The temperatures of a range, ends included; rounded, so that they are what people would write.
fn candidates(range: &Candidates) -> Vec<f64> {
    let count = ((range.to - range.from) / range.step + 1e-9).floor().max(0.0) as u64;
    let at = |index: u64| ((range.from + index as f64 * range.step) * 1e6).round() / 1e6;
    (0..=count).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_are_those_of_the_paper() {
        let found = candidates(&Candidates { from: 0.3, to: 1.6, step: 0.1 });
        assert_eq!(found.len(), 14);
        assert_eq!((found[0], found[2], found[13]), (0.3, 0.5, 1.6));
        assert_eq!(candidates(&Candidates { from: 1.0, to: 1.0, step: 0.5 }), [1.0]);
    }
}
