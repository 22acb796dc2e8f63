//! Benchmarks: each prepared once, and evaluated on whenever the splits of the recipe's data are.

use super::{Lowering, Policy};
use crate::base::Key;
use crate::plan::{Branch, Evaluate, Port, Prepare, Split, Stage};
use crate::recipe::Moment;

impl Lowering<'_> {
    /// Prepares every benchmark. They are what they are: no seed enters their keys.
    pub(super) fn prepare_benchmarks(&mut self) -> Vec<(String, Key)> {
        let names = &self.member.recipe.data.benchmarks;
        let prepared = names.iter().map(|name| {
            let stage = Stage::Prepare(Prepare {
                source: name.clone(),
                loading: None,
                seed: 0,
                prompts: 0,
                validation: 0,
                test: self.facts.benchmarks.get(name).copied().unwrap_or(0),
                demonstrations: 0,
                labelled: None,
            });
            (name.clone(), self.add(stage, format!("prepare {name}"), (Branch::Ground, 0), &[]))
        });
        prepared.collect()
    }

    /// Measures a policy on each of them.
    pub(super) fn evaluate_on_benchmarks(
        &mut self,
        policy: Policy,
        label: &str,
        at: (Branch, u32),
    ) {
        let recipe = &self.member.recipe;
        for (name, prompts) in self.benchmarks.clone() {
            let stage = Stage::Evaluate(Evaluate {
                split: Split::Test,
                benchmark: Some(name.clone()),
                max_new_tokens: recipe.exploration.max_new_tokens,
                dtype: recipe.policy.dtype,
                hooks: self.calls(&[
                    Moment::Prompt,
                    Moment::Extract,
                    Moment::Correct,
                    Moment::Metric,
                ]),
            });
            let inputs = [(Port::Policy, policy.key), (Port::Prompts, prompts)];
            let short = name.split('/').next().unwrap_or(&name);
            self.add(stage, format!("evaluate {label} {short}"), at, &inputs);
        }
    }
}
