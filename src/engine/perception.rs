//! Pre-training of the embedded model's patch stem: what does a patch show?
//!
//! Each patch feature is compared with the embeddings of the words for object types and colours, so
//! that stem and words come to mean the same; how far an object fills its patch is read by a
//! throw-away linear head. Without this phase perception does not appear in minutes of training.

use super::models::mini_vlm::MiniVlm;
use super::weights::{Init, Precision, Weights};
use super::{Model, Optimizer, OptimizerSettings};
use crate::base::Seed;
use tch::{Kind, Tensor};

/// Values of row fill and of column fill: 0 to 8 pixels.
const FILLS: i64 = 9;
/// What the similarity of a feature and an embedding is multiplied by.
const SHARPNESS: f64 = 2.0;

/// What one patch shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatchTarget {
    /// Place among the words for types.
    pub kind: u8,
    /// Place among the words for colours.
    pub colour: u8,
    /// Rows of the patch that the object covers, 0 to 8.
    pub rows: u8,
    /// Columns likewise.
    pub columns: u8,
}

/// Trains stem and word embeddings to name patches.
pub struct Perception<'m> {
    model: &'m Model,
    mini: &'m MiniVlm,
    kinds: Tensor,
    colours: Tensor,
    fill_weight: Tensor,
    fill_bias: Tensor,
    optimizers: [Optimizer; 2],
}

impl<'m> Perception<'m> {
    /// For the token ids of the words for types and colours; `None` for another architecture.
    pub fn new(
        model: &'m Model,
        kinds: &[i64],
        colours: &[i64],
        settings: &OptimizerSettings,
        seed: Seed,
    ) -> Option<Self> {
        let mini = model.as_mini_vlm()?;
        let device = model.device();
        let width = mini.config().vision_config.hidden_size;
        let head = Weights::random(seed.named("fill"), Precision::F32, device);
        let deviation = (3.0 * width as f64).powf(-0.5);
        let fill_weight = head.root().leaf("weight", &[2 * FILLS, width], Init::Normal(deviation));
        let fill_bias = head.root().leaf("bias", &[2 * FILLS], Init::Normal(deviation));
        let head = head.finish().expect("fresh weights fit");
        model
            .parameters()
            .train_only(|name| name.starts_with("patch_fc") || name.starts_with("embed_tokens"));
        let optimizers = [
            Optimizer::new(model.parameters(), settings.clone(), |_| false),
            Optimizer::new(&head, settings.clone(), |_| false),
        ];
        let ids = |ids: &[i64]| Tensor::from_slice(ids).to_device(device);
        let (kinds, colours) = (ids(kinds), ids(colours));
        Some(Self { model, mini, kinds, colours, fill_weight, fill_bias, optimizers })
    }

    /// One step on pictures (`[N, side, side, 3]`, flat) and the targets of all their patches; gives
    /// the loss, a sum of four mean cross entropies.
    pub fn step(&mut self, pixels: &[f32], targets: &[PatchTarget], factor: f64) -> f64 {
        let side = self.mini.config().vision_config.image_size;
        let device = self.model.device();
        let pixels = Tensor::from_slice(pixels).view([-1, side, side, 3]).to_device(device);
        let features = self.mini.patch_features(&pixels.to_kind(self.model.kind()));
        let features = features.flatten(0, 1).to_kind(Kind::Float);
        let words = self.mini.embed_tokens();
        let named = |ids: &Tensor| {
            let words = words.index_select(0, ids).to_kind(Kind::Float);
            features.matmul(&words.tr()) * SHARPNESS
        };
        let fills = features.linear(&self.fill_weight, Some(&self.fill_bias));
        let target = |of: fn(&PatchTarget) -> u8| {
            let values: Vec<i64> = targets.iter().map(|target| i64::from(of(target))).collect();
            Tensor::from_slice(&values).to_device(device)
        };
        let loss = named(&self.kinds).cross_entropy_for_logits(&target(|target| target.kind))
            + named(&self.colours).cross_entropy_for_logits(&target(|target| target.colour))
            + fills.narrow(1, 0, FILLS).cross_entropy_for_logits(&target(|target| target.rows))
            + fills
                .narrow(1, FILLS, FILLS)
                .cross_entropy_for_logits(&target(|target| target.columns));
        loss.backward();
        for optimizer in &mut self.optimizers {
            optimizer.step(factor);
        }
        loss.double_value(&[])
    }
}

impl Drop for Perception<'_> {
    fn drop(&mut self) {
        self.model.parameters().train_only(|_| true);
    }
}
