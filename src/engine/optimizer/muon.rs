//! Muon: momentum whose singular values are all brought near 1 by Newton and Schulz's iteration.
//!
//! Matrices of one shape, up to transposition, are iterated together. A step is scaled by
//! `sqrt(max(1, rows / columns))`, as in Jordan's reference implementation.

use super::{OptimizerSettings, Slot};
use std::collections::BTreeMap;
use tch::{Kind, Tensor};

const MOMENTUM: f64 = 0.95;
const ITERATIONS: usize = 5;
/// The quintic's coefficients: steepest at 0 while keeping singular values in about 0.7..=1.2.
const QUINTIC: (f64, f64, f64) = (3.4445, -4.7750, 2.0315);

/// Matrices of one shape; taller ones lie transposed in the stack.
struct Stack {
    slots: Vec<Slot>,
    tall: bool,
    /// `[n, rows, columns]`, rows at most columns.
    momentum: Tensor,
}

pub(super) struct Muon {
    stacks: Vec<Stack>,
}

impl Muon {
    pub(super) fn new(slots: Vec<Slot>) -> Self {
        let mut by_shape: BTreeMap<Vec<i64>, Vec<Slot>> = BTreeMap::new();
        for slot in slots {
            by_shape.entry(slot.master.size()).or_default().push(slot);
        }
        let stack = |(shape, slots): (Vec<i64>, Vec<Slot>)| {
            let (tall, count) = (shape[0] > shape[1], slots.len() as i64);
            let (rows, columns) = (shape[0].min(shape[1]), shape[0].max(shape[1]));
            let device = slots[0].master.device();
            let momentum = Tensor::zeros([count, rows, columns], (Kind::Float, device));
            Stack { slots, tall, momentum }
        };
        Self { stacks: by_shape.into_iter().map(stack).collect() }
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.stacks.iter().flat_map(|stack| &stack.slots)
    }

    /// Gradients are in the order of [`Muon::slots`]; each is multiplied by `scale` first.
    pub(super) fn step(
        &mut self,
        gradients: &[Tensor],
        scale: f64,
        settings: &OptimizerSettings,
        factor: f64,
    ) {
        let rate = settings.muon_learning_rate.unwrap_or(0.0) * factor;
        let mut rest = gradients;
        for stack in &mut self.stacks {
            let (of_stack, others) = rest.split_at(stack.slots.len());
            let gradient = Tensor::stack(of_stack, 0);
            let gradient = if stack.tall { gradient.transpose(1, 2) } else { gradient };
            let gradient = gradient * ((1.0 - MOMENTUM) * scale);
            let _ = stack.momentum.g_mul_scalar_(MOMENTUM).g_add_(&gradient);
            // Nesterov's look ahead.
            let direction = orthogonalised(gradient + &stack.momentum * MOMENTUM);
            let direction = if stack.tall { direction.transpose(1, 2) } else { direction };
            let shape = stack.slots[0].master.size();
            let stretch = (shape[0] as f64 / shape[1] as f64).max(1.0).sqrt();
            let direction = direction * (-rate * stretch);
            for (slot, direction) in stack.slots.iter_mut().zip(direction.unbind(0)) {
                let _ = slot.master.g_mul_scalar_(1.0 - rate * settings.weight_decay);
                let _ = slot.master.g_add_(&direction);
                slot.publish();
            }
            rest = others;
        }
    }

    pub(super) fn add_state(&self, state: &mut BTreeMap<String, Tensor>) {
        for stack in &self.stacks {
            for (slot, momentum) in stack.slots.iter().zip(stack.momentum.unbind(0)) {
                state.insert(format!("momentum.{}", slot.name), momentum);
            }
        }
    }
}

/// Newton and Schulz's iteration on each matrix of `[n, rows, columns]`.
fn orthogonalised(matrices: Tensor) -> Tensor {
    let norms = matrices.norm_scalaropt_dim(2, [1_i64, 2].as_slice(), true) + 1e-7;
    let mut x = matrices / norms;
    let (a, b, c) = QUINTIC;
    for _ in 0..ITERATIONS {
        let gram = x.bmm(&x.transpose(1, 2));
        let polynomial = gram.baddbmm(&gram, &gram, b, c);
        x = x.baddbmm(&polynomial, &x, a, 1.0);
    }
    x
}
