//! The script of a recipe: which stages call which of its functions, and the stage that they read it
//! from. What calls nothing knows nothing of it, so that another script leaves its key alone.

use super::Lowering;
use crate::base::{Digest, Key};
use crate::plan::{Branch, Calls, Hooks, Stage};
use crate::recipe::{Moment, moments_called};

impl Lowering<'_> {
    /// What a stage calls that comes to these moments; none where the script serves none of them.
    pub(super) fn calls(&self, moments: &[Moment]) -> Option<Calls> {
        let recipe = &self.member.recipe;
        let script = self.facts.scripts.get(recipe.hooks.script.as_ref()?)?;
        let called = moments_called(recipe);
        let is_called =
            |moment: &Moment| script.moments.contains(moment) && called.contains(moment);
        let functions: Vec<Moment> = moments.iter().copied().filter(is_called).collect();
        (!functions.is_empty()).then(|| Calls { script: script.name.clone(), functions })
    }

    /// What the selection of an iteration calls.
    pub(super) fn selection_calls(&self, iteration: u32) -> Option<Calls> {
        let mut moments = vec![Moment::Reward, Moment::Keep];
        if self.pseudo_answer(iteration).is_some() {
            moments.extend([Moment::PseudoAnswer, Moment::Correct]);
        }
        self.calls(&moments)
    }

    /// The stage that holds the script.
    pub(super) fn script(&mut self) -> Key {
        let name = self.member.recipe.hooks.script.as_deref().unwrap_or_default();
        let text = self.facts.scripts.get(name).map_or("", |script| &script.text).to_owned();
        let stage = Stage::Hooks(Hooks { digest: Digest::of(text.as_bytes()), text });
        self.add_once(stage, "hooks".into(), (Branch::Ground, 0))
    }
}
