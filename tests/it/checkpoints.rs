//! Checkpoints that do not fit, and files that are not what they say: each is an error that names
//! the file, the key or the tensor, and none is a panic.

use mstar::base::{Hint as _, Seed};
use mstar::engine::{
    Device, Model, ModelError, Pixels, Precision, Size, Weights, load, logits,
    weights::{from_safetensors, to_safetensors},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs};
use tch::{Kind, Tensor};

fn text() -> Value {
    json!({
        "vocab_size": 20, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64,
    })
}

fn smol_vlm() -> Value {
    json!({
        "model_type": "smolvlm", "image_token_id": 19, "scale_factor": 2, "tie_word_embeddings": true,
        "text_config": text(),
        "vision_config": {
            "image_size": 8, "patch_size": 2, "hidden_size": 8, "intermediate_size": 8,
            "num_hidden_layers": 1, "num_attention_heads": 2,
        },
    })
}

fn qwen_vl() -> Value {
    let mut config = text();
    config["model_type"] = json!("qwen2_5_vl");
    config["image_token_id"] = json!(19);
    config["rope_scaling"] = json!({"type": "mrope", "mrope_section": [1, 1, 0]});
    config["vision_config"] = json!({
        "patch_size": 2, "hidden_size": 8, "out_hidden_size": 8, "intermediate_size": 8, "depth": 1,
        "num_heads": 2, "window_size": 8, "fullatt_block_indexes": [0],
    });
    config
}

fn qwen3_vl() -> Value {
    let mut config = qwen_vl();
    config["model_type"] = json!("qwen3_vl");
    config["text_config"] = text();
    config["text_config"]["model_type"] = json!("qwen3_vl_text");
    config["text_config"]["rope_scaling"] = config["rope_scaling"].take();
    config["vision_config"]["num_position_embeddings"] = json!(9);
    config["vision_config"]["deepstack_visual_indexes"] = json!([0]);
    config
}

fn intern_vl() -> Value {
    let mut config = smol_vlm();
    config["model_type"] = json!("internvl");
    config["vision_config"]["image_size"] = json!([8, 8]);
    config["downsample_ratio"] = json!(0.5);
    config
}

fn minicpm_v() -> Value {
    let mut config = text();
    let changes = json!({
        "model_type": "minicpmv", "version": "2.5", "hidden_size": 128, "query_num": 2,
        "image_token_id": 19, "drop_vision_last_layer": false, "tie_word_embeddings": false,
    });
    config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    config["vision_config"] = smol_vlm()["vision_config"].clone();
    config
}

fn phi3_vision() -> Value {
    let mut config = text();
    let changes = json!({
        "model_type": "phi3_v", "original_max_position_embeddings": 32, "sliding_window": 48,
        "rope_scaling": {"type": "su", "short_factor": [1, 2], "long_factor": [3, 4]},
        "embd_layer": {
            "hd_transform_order": "sub_glb", "projection_cls": "mlp", "use_hd_transform": true,
            "with_learnable_separator": true,
        },
        "img_processor": {"image_dim_out": 8},
    });
    config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    config["vision_config"] = smol_vlm()["vision_config"].clone();
    config
}

fn build(config: &Value, weights: Weights) -> Result<Model, ModelError> {
    let kind = config["model_type"].as_str().unwrap_or_default();
    load(kind, &config.to_string(), weights)
}

fn fresh(config: &Value) -> Result<Model, ModelError> {
    build(config, Weights::random(Seed(1), Precision::F32, Device::Cpu))
}

fn of_bytes(bytes: &[u8]) -> Weights {
    Weights::from_bytes(bytes, "a file", Precision::F32, Device::Cpu).unwrap()
}

fn tensors(model: &Model) -> BTreeMap<String, Tensor> {
    from_safetensors(&model.parameters().to_bytes(), "fresh").unwrap()
}

fn bytes(tensors: &BTreeMap<String, Tensor>) -> Vec<u8> {
    to_safetensors(tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)))
}

#[test]
fn what_is_written_is_read_again_in_any_spelling() {
    for config in [smol_vlm(), qwen_vl(), qwen3_vl(), intern_vl(), minicpm_v(), phi3_vision()] {
        let model = fresh(&config).unwrap();
        let written = model.parameters().to_bytes();
        let again = build(&config, of_bytes(&written)).unwrap();
        assert_eq!(again.parameters().digest(), model.parameters().digest());
        let respelled = |(name, tensor): (String, Tensor)| {
            let name = match name.strip_prefix("model.text_model.") {
                Some(rest) => format!("model.language_model.{rest}"),
                None => name,
            };
            (name, tensor)
        };
        let mut respelled: BTreeMap<_, _> = tensors(&model).into_iter().map(respelled).collect();
        let buffer = "model.language_model.rotary_emb.inv_freq".to_owned();
        drop(respelled.insert(buffer, Tensor::ones([4], (Kind::Float, Device::Cpu))));
        let again = build(&config, of_bytes(&bytes(&respelled))).unwrap();
        assert_eq!(again.parameters().digest(), model.parameters().digest());
    }
}

#[test]
fn all_that_does_not_fit_is_listed_at_once_by_the_names_of_the_file() {
    let config = smol_vlm();
    let mut found = tensors(&fresh(&config).unwrap());
    drop(found.remove("model.text_model.norm.weight"));
    drop(found.remove("model.connector.modality_projection.proj.weight"));
    let three = Tensor::ones([3], (Kind::Float, Device::Cpu));
    drop(found.insert("model.vision_model.post_layernorm.bias".into(), three.shallow_clone()));
    drop(found.insert("model.language_model.extra.weight".into(), three));
    let error = build(&config, of_bytes(&bytes(&found))).err().unwrap();
    assert_eq!(
        error.to_string(),
        "weights do not fit the model: `model.connector.modality_projection.proj.weight` is missing; \
         `model.text_model.norm.weight` is missing; `model.language_model.extra.weight` is not part \
         of the model; `model.vision_model.post_layernorm.bias` has shape [3], the model needs [8]"
    );
    assert!(error.hint().is_some());
}

#[test]
fn a_head_is_tied_by_the_configuration_or_where_there_is_none() {
    let mut config = smol_vlm();
    let tied = tensors(&fresh(&config).unwrap());
    assert!(!tied.contains_key("lm_head.weight"));
    config["tie_word_embeddings"] = json!(false);
    let untied = tensors(&fresh(&config).unwrap());
    assert!(untied.contains_key("lm_head.weight"));
    let without_one = build(&config, of_bytes(&bytes(&tied))).unwrap();
    assert_eq!(tensors(&without_one).len(), tied.len());
    config["tie_word_embeddings"] = json!(true);
    let ignored = build(&config, of_bytes(&bytes(&untied))).unwrap();
    assert_eq!(tensors(&ignored).len(), tied.len());
}

#[test]
fn configurations_that_no_model_can_have_name_the_key() {
    let told = |mut config: Value, pointer: &str, value: Value| {
        let (table, key) = pointer.rsplit_once('/').unwrap();
        config.pointer_mut(table).unwrap()[key] = value;
        fresh(&config).err().unwrap().to_string()
    };
    for (pointer, value, expected) in [
        ("/hidden_size", json!("8"), "`hidden_size` must be an integer, found \"8\""),
        (
            "/vision_config/num_heads",
            json!(3),
            "`vision_config.hidden_size` (8) must be a multiple of `4 x num_heads` (12)",
        ),
        ("/vision_config/depth", json!(0), "`vision_config.depth` must be at least 1, found 0"),
        (
            "/rope_scaling/type",
            json!("yarn"),
            "`rope_scaling.type` is \"yarn\": only `default`, `mrope`, `dynamic`, `linear`, `llama3` or `longrope` can be computed",
        ),
        (
            "/rope_scaling/mrope_section",
            json!([1, 1, 1]),
            "`rope_scaling` is {\"mrope_section\":[1,1,1],\"type\":\"mrope\"}: only sections of half the width of a head together can be computed",
        ),
        ("/image_token_id", json!(20), "`image_token_id` (20) is outside the vocabulary of 20"),
        (
            "/use_sliding_window",
            json!(true),
            "`use_sliding_window` is true: only full attention can be computed",
        ),
    ] {
        assert_eq!(told(qwen_vl(), pointer, value), format!("config.json: {expected}"));
    }
    for (pointer, value, expected) in [
        ("/version", json!(2.6), "`version` is 2.6: only 2.5 can be computed"),
        ("/vision_config", json!(null), "`vision_config` is missing"),
        ("/hidden_size", json!(64), "`hidden_size` is 64: only multiples of 128 can be computed"),
        (
            "/vision_config/model_type",
            json!("siglip_vision_model"),
            "`vision_config.model_type` is \"siglip_vision_model\": only `idefics2` can be computed",
        ),
        (
            "/image_token_id",
            json!(null),
            "`image_token_id` (128002) is outside the vocabulary of 20",
        ),
    ] {
        assert_eq!(told(minicpm_v(), pointer, value), format!("config.json: {expected}"));
    }
    for (pointer, value, expected) in [
        ("/embd_layer", json!(null), "`embd_layer` is missing"),
        (
            "/embd_layer/hd_transform_order",
            json!("glb_sub"),
            "`embd_layer.hd_transform_order` is \"glb_sub\": only `sub_glb` can be computed",
        ),
        (
            "/img_processor/image_dim_out",
            json!(9),
            "`img_processor.image_dim_out` is 9: only the width of the tower can be computed",
        ),
        ("/rope_scaling/long_factor", json!(null), "`rope_scaling.long_factor` is missing"),
        (
            "/rope_scaling/long_factor",
            json!([1, 0]),
            "`rope_scaling.long_factor` is [1,0]: only numbers above 0 can be computed",
        ),
        (
            "/rope_scaling/long_factor",
            json!([1]),
            "`rope_scaling` is {\"long_factor\":[1],\"short_factor\":[1,2],\"type\":\"su\"}: only `short_factor` and `long_factor` of half the width of a head each can be computed",
        ),
        (
            "/original_max_position_embeddings",
            json!(null),
            "`original_max_position_embeddings` is missing",
        ),
    ] {
        assert_eq!(told(phi3_vision(), pointer, value), format!("config.json: {expected}"));
    }
    let unknown = fresh(&json!({"model_type": "gpt2"})).err().unwrap();
    assert_eq!(unknown.to_string(), "no architecture claims the `model_type` `gpt2`");
    assert!(unknown.hint().unwrap().contains("`qwen2_vl`, `qwen3_vl`, `smolvlm`"));
}

#[test]
fn pictures_are_read_as_the_architecture_cuts_them() {
    let sizes = |sizes: &[(usize, usize)]| -> Vec<Size> {
        sizes.iter().map(|&(height, width)| Size { height, width }).collect()
    };
    let model = fresh(&minicpm_v()).unwrap();
    assert_eq!(model.image_tokens(&sizes(&[(4, 6), (8, 2)])), Some(4));
    assert_eq!(model.image_tokens(&sizes(&[(4, 6), (8, 3)])), None);

    // Four patches along a side become two tokens, and one vector more ends each row.
    let model = fresh(&phi3_vision()).unwrap();
    assert_eq!(model.image_tokens(&sizes(&[(8, 8), (16, 24)])), Some(35));
    assert_eq!(model.image_tokens(&sizes(&[(8, 8)])), None);
    assert_eq!(model.image_tokens(&sizes(&[(8, 8), (16, 20)])), None);
    assert_eq!(model.positions(), 48, "no more than the window");
    assert!([-1, -7].iter().all(|&token| model.is_image(token)) && !model.is_image(0));
    let picture = Pixels::picture(
        sizes(&[(8, 8), (4, 8)]).into_iter().map(|size| (size, vec![0.0; size.values()])),
    );
    let told = |tokens: &[i64]| logits(&model, &[(tokens, &picture)]).err().unwrap().to_string();
    assert_eq!(
        told(&[1, -1]),
        "sequence 0 has an image of 8 x 8 pixels: the model reads 8 x 8 and a picture in multiples of 8, together"
    );
}

fn open(folder: &std::path::Path) -> String {
    let error = Weights::open(folder, Precision::F32, Device::Cpu).err().unwrap();
    format!("{error} ({})", error.hint().unwrap()).replace(&folder.display().to_string(), "FOLDER")
}

#[test]
fn an_index_leads_to_whole_files_beside_it_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let index = |map: Value| {
        let text = json!({"metadata": {}, "weight_map": map}).to_string();
        fs::write(folder.path().join("model.safetensors.index.json"), text).unwrap();
    };
    let one = Tensor::ones([1], (Kind::Float, Device::Cpu));
    fs::write(folder.path().join("1.safetensors"), to_safetensors([("a", &one)].into_iter()))
        .unwrap();
    index(json!({"a": "../1.safetensors"}));
    assert!(open(folder.path()).contains("`../1.safetensors` is not the name of a file beside it"));
    index(json!({"a": "1.safetensors", "b": "1.safetensors"}));
    assert!(open(folder.path()).contains("index.json`: no file has its `b`"));
    index(json!({"a": "1.safetensors", "b": "2.safetensors"}));
    assert!(open(folder.path()).starts_with("cannot read `FOLDER/2.safetensors`"));
    fs::copy(folder.path().join("1.safetensors"), folder.path().join("2.safetensors")).unwrap();
    assert!(open(folder.path()).contains("`a` is in another file of the checkpoint too"));
    fs::write(folder.path().join("model.safetensors.index.json"), "{").unwrap();
    assert!(open(folder.path()).starts_with("`FOLDER/model.safetensors.index.json`: EOF"));
}

#[test]
fn a_pickled_checkpoint_is_refused_with_the_command_that_converts_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pytorch_model.bin"), b"PK\x03\x04").unwrap();
    let told = open(folder.path());
    assert!(told.contains("`FOLDER/pytorch_model.bin` is a pickled PyTorch checkpoint"), "{told}");
    assert!(told.contains("torch.load('FOLDER/pytorch_model.bin', weights_only=True)"), "{told}");
}

/// Every place of a configuration that a value can be put at.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(table) = value.as_object() {
        for (key, inner) in table {
            found.push(format!("{at}/{key}"));
            places(inner, &format!("{at}/{key}"), found);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn no_configuration_makes_a_panic(
        which in 0..6_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize), 1..4),
    ) {
        let all = [smol_vlm(), qwen_vl(), qwen3_vl(), intern_vl(), minicpm_v(), phi3_vision()];
        let mut config = all[which].clone();
        let odd = [
            json!(null), json!(-1), json!(0), json!(1), json!(7), json!(1 << 24), json!(i64::MAX),
            json!(1e300), json!("x"), json!([]), json!([1, 2, 3]), json!({}),
        ];
        for (place, value) in changes {
            let mut found = Vec::new();
            places(&config, "", &mut found);
            let place: &String = place.get(&found);
            if let Some(slot) = config.pointer_mut(place) {
                *slot = odd[value].clone();
            }
        }
        let nothing = of_bytes(&bytes(&BTreeMap::new()));
        let error = build(&config, nothing).err();
        prop_assert!(error.is_some(), "a model without a tensor");
    }
}
