//! Rationalisation (Zelikman et al. 2022, STaR): a second exploration of an iteration's slice, of the
//! prompts that the first one did not solve, with the gold answer as a hint.

use super::Lowering;
use crate::base::Key;
use crate::plan::{Branch, Explore, Port, Stage};

impl Lowering<'_> {
    /// The rollouts that are selected from: those of `rollouts`, and what the hint adds to them.
    /// `explored` is what the first exploration read.
    pub(super) fn rationalise(
        &mut self,
        explored: &[(Port, Key)],
        rollouts: Key,
        iteration: u32,
    ) -> Key {
        if !self.member.recipe.exploration.rationalise {
            return rollouts;
        }
        let explore = Stage::Explore(Explore {
            hint: true,
            seed: self.seed("rationalise", iteration),
            ..self.exploration(iteration)
        });
        // What a search drew had no hint.
        let mut inputs: Vec<_> =
            explored.iter().copied().filter(|(port, _)| *port != Port::Search).collect();
        inputs.push((Port::Rollouts, rollouts));
        let at = (Branch::Evolution, iteration);
        self.add(explore, format!("rationalise {iteration}"), at, &inputs)
    }
}
