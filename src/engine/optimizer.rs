//! AdamW (Loshchilov and Hutter 2019), and Muon (Jordan 2024) for the matrices inside blocks.
//!
//! Moments and master weights are 32-bit, whatever the parameters are. A trained parameter that a
//! batch does not touch has gradient 0, so that a step is the same right after a restart.

mod adamw;
mod muon;

use super::weights::{Parameters, WeightsError, from_safetensors, write_safetensors};
use adamw::AdamW;
use muon::Muon;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    io::{self, Write},
};
use tch::{Kind, Tensor};

/// What an optimizer is made with; every field takes part in the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OptimizerSettings {
    /// Peak learning rate of AdamW.
    pub learning_rate: f64,
    /// Peak learning rate of Muon; block matrices are AdamW's too if absent.
    pub muon_learning_rate: Option<f64>,
    /// Decay rates of AdamW's moments.
    pub betas: (f64, f64),
    /// Added to the root of AdamW's second moment.
    pub eps: f64,
    /// Decoupled weight decay; never on tensors of one dimension.
    pub weight_decay: f64,
    /// The largest global norm of a gradient.
    pub clip: f64,
}

impl OptimizerSettings {
    /// AdamW alone, with the customary rest.
    pub fn adamw(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            muon_learning_rate: None,
            betas: (0.9, 0.999),
            eps: 1e-8,
            weight_decay: 0.01,
            clip: 1.0,
        }
    }

    /// Muon on block matrices, AdamW on the rest.
    pub fn muon(learning_rate: f64, muon_learning_rate: f64) -> Self {
        let muon_learning_rate = Some(muon_learning_rate);
        Self { muon_learning_rate, betas: (0.9, 0.98), ..Self::adamw(learning_rate) }
    }
}

/// A parameter and the numbers that are updated in its stead.
struct Slot {
    name: String,
    parameter: Tensor,
    /// The parameter itself if it is 32-bit, else a 32-bit copy.
    master: Tensor,
    /// AdamW's learning rate for it, if it has one of its own.
    rate: Option<f64>,
}

impl Slot {
    fn new(name: &str, parameter: &Tensor, rate: Option<f64>) -> Self {
        let master = match parameter.kind() {
            Kind::Float => parameter.detach(),
            _ => parameter.detach().to_kind(Kind::Float),
        };
        Self { name: name.to_owned(), parameter: parameter.shallow_clone(), master, rate }
    }

    /// The gradient in 32 bits.
    fn gradient(&self) -> Tensor {
        let gradient = self.parameter.grad();
        match gradient.defined() {
            true => gradient.to_kind(Kind::Float),
            false => self.master.zeros_like(),
        }
    }

    /// Rounds the master into a parameter of fewer bits.
    fn publish(&mut self) {
        if self.parameter.kind() != Kind::Float {
            self.parameter.copy_(&self.master);
        }
    }
}

/// An optimizer with its state, for the parameters it was made with.
pub struct Optimizer {
    settings: OptimizerSettings,
    adamw: AdamW,
    muon: Muon,
    steps: u64,
}

/// A state that an [`Optimizer`] can take up.
pub struct OptimizerState(BTreeMap<String, Tensor>);

impl Optimizer {
    /// A fresh optimizer for every parameter that needs a gradient. Muon takes those that
    /// `is_block_matrix` accepts.
    pub fn new(
        parameters: &Parameters,
        settings: OptimizerSettings,
        is_block_matrix: impl Fn(&str) -> bool,
    ) -> Self {
        Self::with_rates(parameters, settings, is_block_matrix, |_| None)
    }

    /// The same where AdamW has learning rates of their own for some parameters, by name.
    pub fn with_rates(
        parameters: &Parameters,
        settings: OptimizerSettings,
        is_block_matrix: impl Fn(&str) -> bool,
        rate: impl Fn(&str) -> Option<f64>,
    ) -> Self {
        let (mut for_adamw, mut for_muon) = (Vec::new(), Vec::new());
        for (name, parameter) in parameters.iter().filter(|(_, p)| p.requires_grad()) {
            let slot = Slot::new(name, parameter, rate(name));
            let muon = settings.muon_learning_rate.is_some()
                && parameter.dim() == 2
                && is_block_matrix(name);
            if muon { &mut for_muon } else { &mut for_adamw }.push(slot);
        }
        Self { settings, adamw: AdamW::new(for_adamw), muon: Muon::new(for_muon), steps: 0 }
    }

    /// Steps taken so far, those of a restored state included.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// One step with learning rates times `factor`; clears the gradients. Gives the global norm of
    /// the gradient before clipping. When that is infinite or not a number, nothing is changed.
    pub fn step(&mut self, factor: f64) -> f64 {
        tch::no_grad(|| {
            let for_adamw: Vec<Tensor> = self.adamw.slots().map(Slot::gradient).collect();
            let for_muon: Vec<Tensor> = self.muon.slots().map(Slot::gradient).collect();
            let norm = global_norm(for_adamw.iter().chain(&for_muon));
            if norm.is_finite() {
                let scale = (self.settings.clip / (norm + 1e-6)).min(1.0);
                self.steps += 1;
                self.adamw.step(&for_adamw, scale, &self.settings, factor, self.steps);
                self.muon.step(&for_muon, scale, &self.settings, factor);
            }
            self.clear_gradients();
            norm
        })
    }

    /// Forgets the gradients of all parameters.
    pub fn clear_gradients(&mut self) {
        for slot in self.adamw.slots().chain(self.muon.slots()) {
            slot.parameter.shallow_clone().zero_grad();
        }
    }

    /// Writes its state as a safetensors file, one tensor in memory at a time: moments and master
    /// weights by `kind.parameter`, and `steps`.
    ///
    /// # Errors
    /// When the sink refuses.
    pub fn write(&self, sink: &mut dyn Write) -> io::Result<()> {
        let state = self.state();
        write_safetensors(state.iter().map(|(name, tensor)| (name.as_str(), tensor)), sink)
    }

    /// Takes up a state that [`Optimizer::write`] wrote for the same parameters and settings; the
    /// next step is then the one that would have followed. The parameters themselves are restored
    /// before, by [`Parameters::restore`].
    ///
    /// # Errors
    /// When the bytes are no safetensors file, or of other parameters; nothing is changed then.
    pub fn restore(&mut self, bytes: &[u8], name: &str) -> Result<(), WeightsError> {
        let state = self.read(bytes, name)?;
        self.take_up(&state);
        Ok(())
    }

    /// The first half of [`Optimizer::restore`], which changes nothing.
    ///
    /// # Errors
    /// As there.
    pub fn read(&self, bytes: &[u8], name: &str) -> Result<OptimizerState, WeightsError> {
        let stored = from_safetensors(bytes, name)?;
        super::weights::check_same(&self.state(), &stored)?;
        Ok(OptimizerState(stored))
    }

    /// The second half, with what [`Optimizer::read`] of this optimizer gave.
    pub fn take_up(&mut self, OptimizerState(stored): &OptimizerState) {
        tch::no_grad(|| {
            for (name, tensor) in &mut self.state() {
                tensor.copy_(&stored[name]);
            }
        });
        self.steps = stored["steps"].int64_value(&[0]) as u64;
    }

    fn state(&self) -> BTreeMap<String, Tensor> {
        let mut state = BTreeMap::new();
        self.adamw.add_state(&mut state);
        self.muon.add_state(&mut state);
        for slot in self.adamw.slots().chain(self.muon.slots()) {
            if slot.parameter.kind() != Kind::Float {
                state.insert(format!("master.{}", slot.name), slot.master.shallow_clone());
            }
        }
        state.insert("steps".to_owned(), Tensor::from_slice(&[self.steps as i64]));
        state
    }
}

fn global_norm<'t>(gradients: impl Iterator<Item = &'t Tensor>) -> f64 {
    let norms: Vec<Tensor> = gradients.map(Tensor::norm).collect();
    match norms.is_empty() {
        true => 0.0,
        false => Tensor::stack(&norms, 0).norm().double_value(&[]),
    }
}

#[cfg(test)]
mod tests;
