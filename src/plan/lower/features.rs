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
        let prepared = self.graph.get(prompts)?.name.strip_prefix("prepare")?;
        // Worked examples and benchmarks are prepared apart, each with one split.
        let name = match prepared {
            "" => format!("features {}", split.name()),
            apart => format!("features{apart}"),
        };
        let stage = Stage::Features(Features { split, dtype: policy.dtype });
        let inputs = [(Port::Policy, self.base?), (Port::Prompts, prompts)].into();
        let role = Role { branch: Branch::Ground, iteration: 0 };
        Some((Port::Features, self.graph.add_once(&self.member.name, stage, name, role, inputs)))
    }
}
