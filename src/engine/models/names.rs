//! What the tensors of checkpoints are called: the one table of spellings, and what names tell.
//!
//! A model walks over the names of the checkpoints on the hub. transformers keeps others in memory
//! since version 5 and wrote others before; original repositories have their own.

use super::Part;
use crate::engine::{
    nn::Heads,
    weights::{Fused, Names, Rows},
};

/// Buffers that old versions wrote into checkpoints.
const COMPUTED: &[&str] = &[".inv_freq", ".position_ids"];

/// Idefics3 and SmolVLM.
pub(super) fn smol_vlm() -> Names {
    Names {
        beginnings: &[
            ("model.language_model.", "model.text_model."),
            ("text_model.", "model.text_model."),
            ("vision_model.", "model.vision_model."),
            ("connector.", "model.connector."),
            ("model.lm_head.", "lm_head."),
        ],
        computed: COMPUTED,
        ..Names::default()
    }
}

/// Qwen2-VL and Qwen2.5-VL.
pub(super) fn qwen_vl() -> Names {
    Names {
        beginnings: &[
            ("model.language_model.", "model."),
            ("language_model.model.", "model."),
            ("language_model.lm_head.", "lm_head."),
            ("model.visual.", "visual."),
        ],
        computed: COMPUTED,
        ..Names::default()
    }
}

/// Qwen3-VL, whose names on the hub are those in memory.
pub(super) fn qwen3_vl() -> Names {
    Names {
        beginnings: &[("visual.", "model.visual."), ("model.lm_head.", "lm_head.")],
        computed: COMPUTED,
        ..Names::default()
    }
}

/// MiniCPM-Llama3-V-2.5, in the only layout that there is.
pub(super) fn minicpm_v() -> Names {
    Names { computed: COMPUTED, ..Names::default() }
}

/// Phi-3-vision and Phi-3.5-vision; the embedding may lie where what sees has it.
pub(super) fn phi3_v() -> Names {
    Names {
        beginnings: &[("model.vision_embed_tokens.wte.", "model.embed_tokens.")],
        computed: COMPUTED,
        ..Names::default()
    }
}

/// InternVL, also in the layout of the original repositories, where the tower of `width` has one
/// matrix for queries, keys and values and InternLM2 one that is ordered by key heads.
pub(super) fn intern_vl(width: i64, heads: Heads) -> Names {
    Names {
        beginnings: &[
            ("model.language_model.", "language_model.model."),
            ("model.vision_tower.", "vision_tower."),
            ("model.multi_modal_projector.", "multi_modal_projector."),
            ("lm_head.", "language_model.lm_head."),
            ("vision_model.", "vision_tower."),
            ("mlp1.0.", "multi_modal_projector.layer_norm."),
            ("mlp1.1.", "multi_modal_projector.linear_1."),
            ("mlp1.3.", "multi_modal_projector.linear_2."),
            ("language_model.output.", "language_model.lm_head."),
        ],
        parts: &[
            ("embeddings.class_embedding", "embeddings.cls_token"),
            ("embeddings.patch_embedding", "embeddings.patch_embeddings.projection"),
            ("embeddings.position_embedding", "embeddings.position_embeddings"),
            ("encoder.layers", "encoder.layer"),
            ("attn.qkv", "attention.qkv"),
            ("attn.proj", "attention.projection_layer"),
            ("attn.q_norm", "attention.q_norm"),
            ("attn.k_norm", "attention.k_norm"),
            ("norm1", "layernorm_before"),
            ("norm2", "layernorm_after"),
            ("ls1", "lambda_1"),
            ("ls2", "lambda_2"),
            ("tok_embeddings", "embed_tokens"),
            ("attention.wo", "self_attn.o_proj"),
            ("attention_norm", "input_layernorm"),
            ("ffn_norm", "post_attention_layernorm"),
            ("feed_forward.w1", "mlp.gate_proj"),
            ("feed_forward.w2", "mlp.down_proj"),
            ("feed_forward.w3", "mlp.up_proj"),
        ],
        computed: COMPUTED,
        fused: vec![
            Fused {
                part: "attention.qkv",
                of: &["attention.q_proj", "attention.k_proj", "attention.v_proj"],
                rows: Rows::Stacked(vec![width; 3]),
            },
            Fused {
                part: "attention.wqkv",
                of: &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
                rows: Rows::Grouped {
                    repeats: heads.queries / heads.keys,
                    keys: heads.keys,
                    width: heads.width,
                },
            },
        ],
    }
}

/// What transformers calls a tensor in memory that is `name` here, in a model of the type `kind`.
pub(super) fn in_memory(kind: &str, name: &str) -> String {
    let beginnings: &[(&str, &str)] = match kind {
        "qwen2_vl" | "qwen2_5_vl" => {
            &[("model.", "model.language_model."), ("visual.", "model.visual.")]
        }
        "internvl" | "internvl_chat" => &[
            ("language_model.model.", "model.language_model."),
            ("language_model.lm_head.", "lm_head."),
            ("vision_tower.", "model.vision_tower."),
            ("multi_modal_projector.", "model.multi_modal_projector."),
        ],
        _ => &[],
    };
    let respelled = |(from, to): &(&str, &str)| Some(format!("{to}{}", name.strip_prefix(from)?));
    beginnings.iter().find_map(respelled).unwrap_or_else(|| name.to_owned())
}

/// To which part the parameter `name` of any architecture belongs.
pub(super) fn part(name: &str) -> Part {
    const VISION: [&str; 10] = [
        "img_processor",
        "vpm",
        "patch_fc1",
        "patch_fc2",
        "row_embed",
        "col_embed",
        "vision",
        "vision_model",
        "vision_tower",
        "visual",
    ];
    const PROJECTOR: [&str; 9] = [
        "projector",
        "connector",
        "multi_modal_projector",
        "merger",
        "deepstack_merger_list",
        "resampler",
        "img_projection",
        "sub_GN",
        "glb_GN",
    ];
    let mut parts = name.split('.').take(3);
    match parts.clone().any(|part| PROJECTOR.contains(&part)) {
        true => Part::Projector,
        false if parts.any(|part| VISION.contains(&part)) => Part::Vision,
        false => Part::Language,
    }
}

/// Whether `name` is a matrix inside a block.
pub(super) fn is_block_matrix(name: &str) -> bool {
    let inside = name.split('.').zip(name.split('.').skip(1)).any(|(list, index)| {
        matches!(list, "layers" | "layer" | "blocks" | "vision") && index.parse::<u16>().is_ok()
    });
    inside && !name.contains("norm") && name.ends_with(".weight")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_by_names() {
        for (name, expected) in [
            ("patch_fc1.weight", Part::Vision),
            ("projector.bias", Part::Projector),
            ("layers.0.q_proj.weight", Part::Language),
            ("model.vision_model.encoder.layers.0.mlp.fc1.bias", Part::Vision),
            ("model.connector.modality_projection.proj.weight", Part::Projector),
            ("model.text_model.layers.0.mlp.up_proj.weight", Part::Language),
            ("visual.blocks.3.attn.qkv.weight", Part::Vision),
            ("visual.merger.mlp.0.weight", Part::Projector),
            ("vision_tower.encoder.layer.0.lambda_1", Part::Vision),
            ("multi_modal_projector.linear_1.weight", Part::Projector),
            ("lm_head.weight", Part::Language),
            ("vpm.encoder.layers.0.mlp.fc1.weight", Part::Vision),
            ("resampler.attn.in_proj_weight", Part::Projector),
            ("llm.model.layers.0.mlp.up_proj.weight", Part::Language),
            (
                "model.vision_embed_tokens.img_processor.vision_model.pre_layrnorm.bias",
                Part::Vision,
            ),
            ("model.vision_embed_tokens.img_projection.0.weight", Part::Projector),
            ("model.vision_embed_tokens.sub_GN", Part::Projector),
            ("model.layers.0.self_attn.qkv_proj.weight", Part::Language),
        ] {
            assert_eq!(part(name), expected, "{name}");
        }
        assert!(is_block_matrix("visual.blocks.3.attn.qkv.weight"));
        assert!(!is_block_matrix("visual.patch_embed.proj.weight"));
    }
}
