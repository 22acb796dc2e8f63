//! AdamW as in PyTorch, on many tensors at once: they are joined into one flat vector, so that a
//! step of a model with many small tensors is a handful of operations.

use super::{OptimizerSettings, Slot};
use std::collections::BTreeMap;
use tch::{Kind, Tensor};

/// Tensors with the same weight decay and learning rate.
struct Flat {
    slots: Vec<Slot>,
    decays: bool,
    rate: Option<f64>,
    first: Tensor,
    second: Tensor,
}

pub(super) struct AdamW {
    parts: Vec<Flat>,
}

impl AdamW {
    pub(super) fn new(slots: Vec<Slot>) -> Self {
        let (decaying, rest): (Vec<_>, Vec<_>) =
            slots.into_iter().partition(|slot| slot.master.dim() > 1);
        let mut parts = Vec::new();
        for (mut slots, decays) in [(decaying, true), (rest, false)] {
            while let Some(rate) = slots.first().map(|slot| slot.rate) {
                let (alike, others) = slots.into_iter().partition(|slot| slot.rate == rate);
                parts.push(Flat::new(alike, decays, rate));
                slots = others;
            }
        }
        Self { parts }
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.parts.iter().flat_map(|part| &part.slots)
    }

    /// Gradients are in the order of [`AdamW::slots`]; each is multiplied by `scale` first.
    pub(super) fn step(
        &mut self,
        gradients: &[Tensor],
        scale: f64,
        settings: &OptimizerSettings,
        factor: f64,
        steps: u64,
    ) {
        let mut rest = gradients;
        for part in &mut self.parts {
            let (of_part, others) = rest.split_at(part.slots.len());
            part.step(&flatten(of_part.iter()), scale, settings, factor, steps);
            rest = others;
        }
    }

    pub(super) fn add_state(&self, state: &mut BTreeMap<String, Tensor>) {
        for part in &self.parts {
            for (slot, (first, second)) in
                part.slots.iter().zip(part.views(&part.first).zip(part.views(&part.second)))
            {
                state.insert(format!("first_moment.{}", slot.name), first);
                state.insert(format!("second_moment.{}", slot.name), second);
            }
        }
    }
}

impl Flat {
    fn new(slots: Vec<Slot>, decays: bool, rate: Option<f64>) -> Self {
        let first = flatten(slots.iter().map(|slot| &slot.master)).zeros_like();
        let second = first.zeros_like();
        Self { slots, decays, rate, first, second }
    }

    fn step(
        &mut self,
        gradient: &Tensor,
        scale: f64,
        settings: &OptimizerSettings,
        factor: f64,
        steps: u64,
    ) {
        let rate = self.rate.unwrap_or(settings.learning_rate) * factor;
        let (beta1, beta2) = settings.betas;
        let exponent = i32::try_from(steps).unwrap_or(i32::MAX);
        let (unbias1, unbias2) = (1.0 - beta1.powi(exponent), 1.0 - beta2.powi(exponent));
        let gradient = if scale < 1.0 { gradient * scale } else { gradient.shallow_clone() };
        let mut values = flatten(self.slots.iter().map(|slot| &slot.master));
        if self.decays {
            drop(values.g_mul_scalar_(1.0 - rate * settings.weight_decay));
        }
        drop(self.first.lerp_(&gradient, 1.0 - beta1));
        let scaled = &gradient * (1.0 - beta2);
        drop(self.second.g_mul_scalar_(beta2).addcmul_(&gradient, &scaled));
        let mut root = self.second.sqrt();
        let root = root.g_div_scalar_(unbias2.sqrt()).g_add_scalar_(settings.eps);
        drop(values.addcdiv_(&(&self.first * (-rate / unbias1)), &root));
        let views: Vec<Tensor> = self.views(&values).collect();
        for (slot, value) in self.slots.iter_mut().zip(&views) {
            slot.master.copy_(value);
            slot.publish();
        }
    }

    /// The part of each slot in a flat vector, in the slot's shape.
    fn views<'a>(&'a self, flat: &'a Tensor) -> impl Iterator<Item = Tensor> + 'a {
        let mut start = 0;
        self.slots.iter().map(move |slot| {
            let count = slot.master.numel() as i64;
            start += count;
            flat.narrow(0, start - count, count).view(slot.master.size().as_slice())
        })
    }
}

fn flatten<'t>(tensors: impl Iterator<Item = &'t Tensor>) -> Tensor {
    let flat: Vec<Tensor> = tensors.map(|tensor| tensor.reshape(-1)).collect();
    Tensor::cat(&flat, 0).to_kind(Kind::Float)
}
