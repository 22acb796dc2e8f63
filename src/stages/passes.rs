//! Passes over what is trained on, a batch at a step: the order of each pass, and what is seen in
//! it, made ahead.

use super::ahead::Ahead;
use crate::engine::Pixels;
use crate::run::Stop;

/// What is seen of the examples of a pass, in its order.
pub(super) type Sights = Ahead<Result<Pixels, Stop>>;

/// Where training is in its passes.
pub(super) struct Passes {
    batch_size: usize,
    /// Steps of one pass.
    steps: u64,
    /// The pass under way: its number, its order, what is seen in it.
    current: Option<(u64, Vec<usize>, Sights)>,
}

impl Passes {
    /// Passes of so many steps each.
    pub(super) fn new(batch_size: usize, steps: u64) -> Self {
        Self { batch_size, steps, current: None }
    }

    /// The pass that a step belongs to.
    pub(super) fn pass(&self, step: u64) -> u64 {
        step / self.steps
    }

    /// The examples of a step, and what is seen in them and in those after them. Steps follow one
    /// another; `order` gives the order of a pass that begins, `sights` what is seen from there on.
    pub(super) fn batch(
        &mut self,
        step: u64,
        order: impl FnOnce(u64) -> Vec<usize>,
        sights: impl FnOnce(&[usize]) -> Sights,
    ) -> (&[usize], &mut Sights) {
        let pass = self.pass(step);
        let begin = (step % self.steps) as usize * self.batch_size;
        let current = match self.current.take() {
            Some(current) if current.0 == pass => current,
            _ => {
                let order = order(pass);
                let last = order.len().min(self.steps as usize * self.batch_size);
                let sights = sights(&order[begin..last]);
                (pass, order, sights)
            }
        };
        let (_, order, sights) = self.current.insert(current);
        let end = (begin + self.batch_size).min(order.len());
        (&order[begin..end], sights)
    }
}
