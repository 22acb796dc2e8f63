//! Early stopping: a `stop` after each evaluation, which every later stage reads. The graph is as long
//! as the recipe says; what comes after a stop is skipped when it runs.

use super::{Lowering, Measures, Policy};
use crate::base::Key;
use crate::plan::{Branch, Port, Stage, StopRule};
use crate::recipe::Moment;

/// What the evolution so far has ended by.
#[derive(Clone, Copy, Default)]
pub(super) struct Watch {
    /// The last `stop`, also the one that only begins the history.
    history: Option<Key>,
    /// The last one that may have stopped it.
    pub(super) stop: Option<Key>,
}

impl Lowering<'_> {
    /// Adds what was measured of a policy to the history and decides whether to go on.
    pub(super) fn watch(
        &mut self,
        (branch, iteration): (Branch, u32),
        measures: &Measures,
        drawn: &[(Port, Key)],
    ) {
        let recipe = &self.member.recipe;
        let hooks = self.calls(&[Moment::Stop]);
        let Some(evaluated) = measures.validation else { return };
        let is_watched = recipe.training.stop.patience > 0 || hooks.is_some();
        // What comes after the last iteration need not be told to go on.
        if !is_watched || iteration >= recipe.training.iterations {
            return;
        }
        let mut inputs = vec![(Port::Evaluated, evaluated)];
        inputs.extend(measures.monitor.map(|monitor| (Port::Monitored, monitor)));
        inputs.extend(self.watch.history.map(|before| (Port::Stop, before)));
        inputs.extend(drawn);
        let label = if iteration == 0 { "start".to_owned() } else { iteration.to_string() };
        let rule = recipe.training.stop.clone();
        let stage = Stage::Stop(StopRule { iteration, rule, hooks });
        let key = self.add(stage, format!("stop {label}"), (branch, iteration), &inputs);
        self.watch.history = Some(key);
        if iteration > 0 {
            self.watch.stop = Some(key);
        }
    }

    /// The policy that stays when an iteration is skipped or has nothing to do, and under a cap the
    /// count of steps.
    pub(super) fn after(&self, before: Policy, may_stay: bool) -> Option<(Port, Key)> {
        let is_needed = may_stay || self.watch.stop.is_some();
        (is_needed && before.trained).then_some((Port::After, before.key))
    }
}
