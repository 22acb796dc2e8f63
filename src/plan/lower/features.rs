//! Stored features: a stage makes those of each split, and whatever looks at its pictures reads them.

use super::Lowering;
use crate::base::Key;
use crate::plan::{Branch, Features, Port, Role, Stage};
use crate::recipe;
use std::collections::BTreeMap;

impl Lowering<'_> {
    /// The features of the pictures that a stage looks at, where the recipe has them stored.
    pub(super) fn features(
        &mut self,
        stage: &Stage,
        inputs: &BTreeMap<Port, Key>,
    ) -> Option<(Port, Key)> {
        let policy = &self.member.recipe.policy;
        if policy.features != recipe::Features::Stored {
            return None;
        }
        let (split, prompts) = (stage.looks_at()?, *inputs.get(&Port::Prompts)?);
        let Stage::Prepare(prepared) = &self.graph.get(prompts)?.stage else { return None };
        // Of a benchmark there is one split, and it has the benchmark's name.
        let name = match prepared.is_benchmark() {
            true => format!("features {}", prepared.source),
            false => format!("features {}", split.name()),
        };
        let stage = Stage::Features(Features { split, dtype: policy.dtype });
        let inputs = [(Port::Policy, self.base?), (Port::Prompts, prompts)].into();
        let role = Role { branch: Branch::Ground, iteration: 0 };
        Some((Port::Features, self.graph.add_once(&self.member.name, stage, name, role, inputs)))
    }
}
