//! The stages of the reward model: `explore` with the warmed-up policy, `label` its steps (a process
//! model only), `train-reward`; then `score` in each iteration.

use super::{Lowering, Policy};
use crate::base::Key;
use crate::plan::{Branch, Explore, Label, Port, Score, Scored, Stage, TrainReward};
use crate::recipe::{Moment, RewardModel, RewardStart};

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
        let micro_batch_size = match recipe.training.micro_batch_size {
            // The whole batch is one.
            size if size >= training.batch_size => 0,
            size => size,
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
            micro_batch_size,
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
}
