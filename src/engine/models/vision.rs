//! What the decoders see with: one closed enum, and how each architecture is put together.

use super::{
    ModelError, Places,
    config::Keys,
    decoder::{self, Decoder},
    in_line, intern_vl, minicpm_v, names, phi3_vision,
    qwen_vl::{self, Generation},
    rope::Scaling,
    smol_vlm,
    tower::Shape,
};
use crate::engine::{
    pack::{Given, Images},
    pixels::Size,
    weights::Weights,
};
use tch::Tensor;

/// The architectures that consist of a decoder and one of these, by `model_type`.
pub(super) const KINDS: [&str; 9] = [
    "idefics3",
    "internvl",
    "internvl_chat",
    "minicpmv",
    "phi3_v",
    "qwen2_5_vl",
    "qwen2_vl",
    "qwen3_vl",
    "smolvlm",
];

/// The shares of a head that turn with time, height and width where a configuration has none.
const SECTIONS: [i64; 3] = [16, 24, 24];
/// The same in Qwen3-VL.
const INTERLEAVED: [i64; 3] = [24, 20, 20];

/// What a model sees in images.
pub(super) struct Seen {
    /// For each placeholder what stands there, `[tokens, D]`.
    pub(super) features: Tensor,
    /// What is added there after each of the first layers of the decoder.
    pub(super) deep: Vec<Tensor>,
}

/// A vision tower with its projector.
pub(super) enum Vision {
    SmolVlm(smol_vlm::Vision),
    QwenVl(qwen_vl::Vision),
    InternVl(intern_vl::Vision),
    MiniCpmV(minicpm_v::Vision),
    Phi3V(phi3_vision::Vision),
}

/// Builds both halves of a model of one of [`KINDS`].
pub(super) fn build(
    kind: &str,
    top: &Keys<'_>,
    weights: Weights,
) -> Result<(Decoder, Vision, Weights), ModelError> {
    // Old versions wrote the language model's keys beside those of the whole.
    let text = top.table(&["text_config", "llm_config"])?.unwrap_or_else(|| top.clone());
    let language = decoder::Config::read(top, &text)?;
    match kind {
        "qwen2_vl" => qwen_vl(Generation::Two, top, language, weights),
        "qwen2_5_vl" => qwen_vl(Generation::TwoAndAHalf, top, language, weights),
        "qwen3_vl" => qwen_vl(Generation::Three, top, language, weights),
        "internvl" | "internvl_chat" => intern_vl(top, language, weights),
        "minicpmv" => minicpm_v(top, language, weights),
        "phi3_v" => phi3_vision(top, language, weights),
        _ => smol_vlm(top, language, weights),
    }
}

type Built = Result<(Decoder, Vision, Weights), ModelError>;

fn smol_vlm(top: &Keys<'_>, mut language: decoder::Config, weights: Weights) -> Built {
    let mut weights = weights.named(&names::smol_vlm());
    language.tied = weights.tied("lm_head.weight", language.tied);
    let config = smol_vlm::Config::read(top, language.vocabulary)?;
    let root = weights.root();
    let model = &root / "model";
    let vision = smol_vlm::Vision::new(&model, config, language.width);
    let decoder = Decoder::new(&(&model / "text_model"), &root, language);
    drop((root, model));
    Ok((decoder, Vision::SmolVlm(vision), weights))
}

fn qwen_vl(
    generation: Generation,
    top: &Keys<'_>,
    mut language: decoder::Config,
    weights: Weights,
) -> Built {
    if matches!(language.rope.scaling, Scaling::Long { .. }) {
        return Err(top.unsupported("rope_scaling", "positions with axes").into());
    }
    let third = generation == Generation::Three;
    let mut weights = weights.named(&if third { names::qwen3_vl() } else { names::qwen_vl() });
    language.tied = weights.tied("lm_head.weight", language.tied);
    let sections = if third { INTERLEAVED } else { SECTIONS };
    language.rope.sections = language.rope.sections.or(Some(sections));
    language.rope.interleaved = third;
    let config = qwen_vl::Config::read(top, generation, &language)?;
    let root = weights.root();
    let model = &root / "model";
    let (tower, words) = match third {
        true => (&model / "visual", &model / "language_model"),
        false => (&root / "visual", model.clone()),
    };
    let vision = qwen_vl::Vision::new(&tower, config, language.width);
    let decoder = Decoder::new(&words, &root, language);
    drop((root, model, tower, words));
    Ok((decoder, Vision::QwenVl(vision), weights))
}

fn intern_vl(top: &Keys<'_>, mut language: decoder::Config, weights: Weights) -> Built {
    let config = intern_vl::Config::read(top, language.vocabulary)?;
    let mut weights = weights.named(&names::intern_vl(config.tower.width, language.heads));
    language.tied = weights.tied("language_model.lm_head.weight", language.tied);
    let root = weights.root();
    let vision = intern_vl::Vision::new(&root, config, language.width);
    let head = &root / "language_model";
    let decoder = Decoder::new(&(&head / "model"), &head, language);
    drop((root, head));
    Ok((decoder, Vision::InternVl(vision), weights))
}

fn minicpm_v(top: &Keys<'_>, mut language: decoder::Config, weights: Weights) -> Built {
    let config = minicpm_v::Config::read(top, (language.width, language.vocabulary))?;
    let mut weights = weights.named(&names::minicpm_v());
    language.tied = weights.tied("llm.lm_head.weight", language.tied);
    let root = weights.root();
    let vision = minicpm_v::Vision::new(&root, config, language.width);
    let head = &root / "llm";
    let decoder = Decoder::new(&(&head / "model"), &head, language);
    drop((root, head));
    Ok((decoder, Vision::MiniCpmV(vision), weights))
}

fn phi3_vision(top: &Keys<'_>, mut language: decoder::Config, weights: Weights) -> Built {
    let config = phi3_vision::Config::read(top)?;
    let mut weights = weights.named(&names::phi3_v());
    // The embedding may be there a second time, as what sees has it, too.
    let _also = weights.tied("model.vision_embed_tokens.wte.weight", true);
    language.tied = weights.tied("lm_head.weight", language.tied);
    let root = weights.root();
    let model = &root / "model";
    let vision =
        phi3_vision::Vision::new(&(&model / "vision_embed_tokens"), config, language.width);
    let decoder = Decoder::new(&model, &root, language);
    drop((root, model));
    Ok((decoder, Vision::Phi3V(vision), weights))
}

impl Vision {
    pub(super) fn token(&self) -> i64 {
        match self {
            Self::MiniCpmV(vision) => vision.config.token,
            Self::Phi3V(_) => -1,
            Self::SmolVlm(vision) => vision.config.token,
            Self::QwenVl(vision) => vision.config.token,
            Self::InternVl(vision) => vision.config.token,
        }
    }

    /// Whether a token stands for an image.
    pub(super) fn is_token(&self, token: i64) -> bool {
        match self {
            Self::Phi3V(_) => phi3_vision::is_placeholder(token),
            _ => token == self.token(),
        }
    }

    /// Placeholders for a picture of images of these sizes.
    pub(super) fn tokens(&self, picture: &[Size]) -> Option<usize> {
        let each = |size: &Size| match self {
            Self::SmolVlm(vision) => vision.config.tokens(*size),
            Self::QwenVl(vision) => vision.config.tokens(*size),
            Self::InternVl(vision) => vision.config.tokens(*size),
            Self::MiniCpmV(vision) => vision.config.tokens(*size),
            Self::Phi3V(_) => None,
        };
        match self {
            Self::Phi3V(vision) => vision.config.tokens(picture),
            _ => picture.iter().map(each).sum(),
        }
    }

    pub(super) fn sizes(&self) -> String {
        let square = |tower: &Shape| format!("{0} x {0}", tower.side);
        match self {
            Self::SmolVlm(vision) => square(&vision.config.tower),
            Self::QwenVl(vision) => format!("multiples of {}", vision.config.unit()),
            Self::InternVl(vision) => square(&vision.config.tower),
            Self::MiniCpmV(vision) => format!("multiples of {}", vision.config.patch()),
            Self::Phi3V(vision) => {
                let Shape { side, .. } = vision.config.tower;
                format!("{side} x {side} and a picture in multiples of {side}, together")
            }
        }
    }

    pub(super) fn places(&self, tokens: &[i64], images: &[Size]) -> Places {
        match self {
            Self::QwenVl(vision) => vision.config.places(tokens, images),
            _ => in_line(tokens.len()),
        }
    }

    /// What is seen in all images.
    pub(super) fn features(&self, images: &Images) -> Seen {
        match &images.given {
            Given::Pixels(_) => self.projected(&self.tower(images), images),
            Given::Tower(outputs) => self.projected(outputs, images),
        }
    }

    /// What the tower makes of all images: of each output `[patches, V]`, image after image.
    pub(super) fn tower(&self, images: &Images) -> Vec<Tensor> {
        let squares = |tower: &Shape| images.squares(tower.side as usize);
        vec![match self {
            Self::QwenVl(it) => return it.tower(images),
            Self::SmolVlm(it) => it.tower(&squares(&it.config.tower)).flatten(0, 1),
            Self::InternVl(it) => it.tower(&squares(&it.config.tower)).flatten(0, 1),
            Self::MiniCpmV(it) => it.tower(images),
            Self::Phi3V(it) => it.tower(images),
        }]
    }

    /// What the projector makes of that.
    fn projected(&self, outputs: &[Tensor], images: &Images) -> Seen {
        let [patches, ..] = outputs else { panic!("every tower has an output") };
        let tiles = |tower: &Shape| patches.view([-1, tower.grid() * tower.grid(), tower.width]);
        let features = match self {
            Self::QwenVl(it) => return it.projected(outputs),
            Self::SmolVlm(it) => it.projected(&tiles(&it.config.tower)).flatten(0, 1),
            Self::InternVl(it) => it.projected(&tiles(&it.config.tower)).flatten(0, 1),
            Self::MiniCpmV(it) => it.projected(patches, &images.sizes),
            Self::Phi3V(it) => it.projected(patches, images),
        };
        Seen { features, deep: Vec::new() }
    }
}
