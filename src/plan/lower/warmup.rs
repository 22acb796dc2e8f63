//! The warm-up: sampled responses that are right, or what the data set gives.

use super::{Lowering, Policy};
use crate::base::Key;
use crate::plan::{Branch, Explore, Port, Select, Stage, Train, TrainingSet};

/// What a training stage learns from, and the ports at which it comes in.
pub(super) struct Lessons {
    pub(super) set: TrainingSet,
    pub(super) labelled: u64,
    pub(super) inputs: Vec<(Port, Key)>,
}

impl Lowering<'_> {
    /// The policy that the first iteration starts from, and what it has learned from.
    pub(super) fn warmup(&mut self, prompts: Key, base: Policy) -> (Policy, Option<Lessons>) {
        let warmup = &self.member.recipe.warmup;
        if !warmup.enabled {
            return (base, None);
        }
        let labelled = self.labelled();
        let count = if warmup.prompts == 0 { labelled } else { warmup.prompts.min(labelled) };
        let epochs = warmup.epochs;
        let lessons = match warmup.supervision {
            Some(supervision) => Lessons {
                set: TrainingSet::Given(supervision),
                labelled: count,
                inputs: vec![(Port::Prompts, prompts)],
            },
            None => {
                let selected = self.sampled(prompts, base, count);
                let inputs = vec![(Port::Selected, selected), (Port::Prompts, prompts)];
                Lessons { set: TrainingSet::Selected, labelled: 0, inputs }
            }
        };
        let Lessons { set, labelled, .. } = lessons;
        let train = Train { set, labelled, epochs, steps: 0, steps_cap: 0, ..self.training(0) };
        let mut inputs = vec![(Port::Policy, base.key)];
        inputs.extend(&lessons.inputs);
        let at = (Branch::Ground, 0);
        let key = self.add(Stage::Train(train), "warm-up train".into(), at, &inputs);
        (Policy { key, trained: true }, Some(lessons))
    }

    /// Right responses of the base model.
    fn sampled(&mut self, prompts: Key, base: Policy, count: u64) -> Key {
        let recipe = &self.member.recipe;
        let warmup = &recipe.warmup;
        let at = (Branch::Ground, 0);
        let explore = Explore {
            count,
            samples: warmup.samples,
            temperature: warmup.temperature,
            hint: warmup.hint,
            ..self.exploration(0)
        };
        let inputs = [(Port::Policy, base.key), (Port::Prompts, prompts)];
        let rollouts = self.add(Stage::Explore(explore), "warm-up explore".into(), at, &inputs);
        let select = Select {
            rule: crate::recipe::Select::All,
            distinct: recipe.reward.distinct,
            keep_per_prompt: warmup.keep_per_prompt,
            pseudo_answer: None,
            keep: warmup.keep,
            seed: self.seed("select", 0),
            hooks: None,
        };
        let inputs = [(Port::Rollouts, rollouts), (Port::Prompts, prompts)];
        self.add(Stage::Select(select), "warm-up select".into(), at, &inputs)
    }
}
