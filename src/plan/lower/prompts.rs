//! Unlabelled prompts: what is hidden of them, when they join, and how well their pseudo answers agree.

use super::{Lowering, slice};
use crate::base::Key;
use crate::plan::{Agreement, Branch, Hide, Port, Stage, Unlabelled};
use crate::recipe::{Moment, PseudoAnswer, Variation, first_mixed};

impl Lowering<'_> {
    /// Prompts whose answers are hidden; they come after the labelled ones.
    fn hidden_prompts(&self) -> u64 {
        self.prompts().saturating_sub(self.labelled())
    }

    /// What `prepare` is told of them: nothing where there are none.
    pub(super) fn visible(&self) -> Option<u64> {
        (self.hidden_prompts() > 0).then(|| self.labelled())
    }

    /// The slice of the unlabelled prompts that an iteration explores, once they have joined. Slices
    /// begin with the iteration in which they do.
    pub(super) fn unlabelled(&self, iteration: u32) -> Option<Unlabelled> {
        let recipe = &self.member.recipe;
        let of = self.hidden_prompts();
        if recipe.prompts.variation != Variation::Mixed || of == 0 {
            return None;
        }
        let index = iteration.checked_sub(first_mixed(recipe))?;
        let (from, count) = slice(of, recipe.training.interval, index);
        Some(Unlabelled { from, count, of })
    }

    /// Where the answers of unlabelled prompts come from in an iteration.
    pub(super) fn pseudo_answer(&self, iteration: u32) -> Option<PseudoAnswer> {
        self.unlabelled(iteration).and(self.member.recipe.prompts.pseudo_answer)
    }

    /// The stage that hides the answers.
    fn hide(&mut self) -> Key {
        let data = &self.member.recipe.data;
        let stage = Stage::Hide(Hide {
            source: self.source(),
            loading: self.loading(),
            seed: data.seed,
            labelled: self.labelled(),
            prompts: self.prompts(),
            held_out: self.held_out(),
        });
        self.add_once(stage, "hide".into(), (Branch::Ground, 0))
    }

    /// The hidden answers, for a selection that asks the oracle.
    pub(super) fn oracle(&mut self, iteration: u32) -> Option<(Port, Key)> {
        (self.pseudo_answer(iteration)? == PseudoAnswer::Oracle)
            .then(|| (Port::Hidden, self.hide()))
    }

    /// Measures how many pseudo answers are the hidden ones. Nothing reads that.
    pub(super) fn agreement(&mut self, selected: Key, iteration: u32) {
        if self.pseudo_answer(iteration).is_none() {
            return;
        }
        let inputs = [(Port::Selected, selected), (Port::Hidden, self.hide())];
        let stage = Stage::Agreement(Agreement { hooks: self.calls(&[Moment::Correct]) });
        let at = (Branch::Evolution, iteration);
        self.add(stage, format!("agreement {iteration}"), at, &inputs);
    }
}
