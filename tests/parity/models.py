"""Tiny random checkpoints of every architecture as transformers saves them, and what it computes.

Called by `goldens.py`. Each case is a folder below `models/`:

    config.json, model.safetensors    the checkpoint (or shards with an index)
    gradients/                        the same tensors, holding gradients of the loss
    goldens.safetensors               tokens.I, pixels.I.J, prompt.I, logits.I, bf16.I, greedy.I, loss

`tokens.I` is a whole sequence, of which the first `prompt.I` are the prompt; `pixels.I.J` are its
images by rows, columns, channels, and `tiles.I` how many of these each picture consists of; the loss is the mean over the tokens after the prompts.
"""

import json

import torch
from composed import MiniCpmV, Phi3Vision
from safetensors.torch import load_file, save_file
from transformers import (
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    InternVLConfig,
    InternVLForConditionalGeneration,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    SmolVLMConfig,
    SmolVLMForConditionalGeneration,
)

VOCABULARY, IMAGE, GREEDY = 120, 119, 64


def text(**changes):
    return dict(
        vocab_size=VOCABULARY, hidden_size=48, intermediate_size=80, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
        rms_norm_eps=1e-6, pad_token_id=None, bos_token_id=None, eos_token_id=None,
    ) | changes


def randomise(model):
    """Weights with logits of about 1, hardly two of them equal, and no more noise than in trained ones."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() == 1 and not name.endswith("bias"):
                p.uniform_(0.5, 1.5)
            elif p.dim() == 1:
                p.normal_(0, 0.2)
            elif "embed" in name and "patch" not in name or "lm_head" in name or "cls_token" in name:
                p.normal_(0, 0.5)
            else:
                p.normal_(0, 0.6 * p[0].numel() ** -0.5)
        # A continuation must not hold a placeholder.
        model.get_output_embeddings().weight[IMAGE] = 0


def squares(side, counts):
    """Sizes of the images of each sequence."""
    return [[(side, side)] * count for count in counts]


def as_tiles(image_sizes, images):
    return {"pixel_values": torch.stack(images).permute(0, 3, 1, 2)} if images else {}


def as_batch_of_tiles(image_sizes, images):
    return {"pixel_values": torch.stack(images).permute(0, 3, 1, 2)[None]} if images else {}


def as_patches(patch, merge):
    """Qwen's flattened patches in merge order, each twice in time."""

    def make(image_sizes, images):
        if not images:
            return {}
        rows, grids = [], []
        for image in images:
            h, w = image.shape[0] // patch, image.shape[1] // patch
            x = image.view(h // merge, merge, patch, w // merge, merge, patch, 3)
            x = x.permute(0, 3, 1, 4, 6, 2, 5)  # blocks, places in a block, channel, row, column
            x = x.reshape(h * w, 3, 1, patch, patch).expand(-1, -1, 2, -1, -1)
            rows.append(x.reshape(h * w, -1))
            grids.append([1, h, w])
        return {"pixel_values": torch.cat(rows), "image_grid_thw": torch.tensor(grids)}

    return make


def as_pictures(pictures, images):
    images = iter(images)
    return {"pictures": [[next(images) for _ in picture] for picture in pictures]}


def case(folder, name, model, sizes, tokens_of, inputs_of, seed, finish=None, types=False,
         placeholder=lambda place: IMAGE, **saving):
    torch.manual_seed(seed)
    folder = folder / "models" / name
    model = model.eval()
    randomise(model)
    model.save_pretrained(folder, **saving)
    goldens, losses, learned = {}, [], 0

    def forward(tokens, images, image_sizes):
        extra = inputs_of(image_sizes, images)
        if types:
            extra["mm_token_type_ids"] = (tokens == IMAGE).int()[None]
        return model(input_ids=tokens[None], use_cache=False, **extra).logits[0]

    for index, image_sizes in enumerate(sizes):
        # A picture of several images is a list of their sizes.
        pictures = [size if isinstance(size, list) else [size] for size in image_sizes]
        images = [torch.rand(h, w, 3) * 2 - 1 for picture in pictures for h, w in picture]
        parts = [torch.randint(0, IMAGE, (3 + index,))]
        for place, size in enumerate(image_sizes):
            parts += [torch.full((tokens_of(size),), placeholder(place)), torch.randint(0, IMAGE, (2 + index,))]
        response = torch.randint(0, IMAGE, (5 + 7 * index,))
        prompt = torch.cat(parts)
        tokens = torch.cat([prompt, response])
        logits = forward(tokens, images, image_sizes)
        losses.append(torch.nn.functional.cross_entropy(
            logits[len(prompt) - 1 : -1], response, reduction="sum"))
        learned += len(response)
        greedy = prompt
        with torch.no_grad():
            for _ in range(GREEDY):
                greedy = torch.cat([greedy, forward(greedy, images, image_sizes)[-1:].argmax(-1)])
        assert IMAGE not in greedy[len(prompt) :], "another seed is needed"
        goldens |= {f"pixels.{index}.{j}": image for j, image in enumerate(images)}
        goldens |= {
            f"tokens.{index}": tokens, f"prompt.{index}": torch.tensor([len(prompt)]),
            f"logits.{index}": logits.detach(), f"greedy.{index}": greedy[len(prompt) :],
        }
        if any(len(picture) > 1 for picture in pictures):
            goldens[f"tiles.{index}"] = torch.tensor([len(picture) for picture in pictures])
    loss = sum(losses) / learned
    loss.backward()
    goldens["loss"] = loss.detach().view(1)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.zeros_like(p) if p.grad is None else p.grad)
        model.save_pretrained(folder / "gradients")
        # Read anew, because a converted model would have its frequencies rounded, too.
        model = type(model).from_pretrained(folder, dtype=torch.bfloat16, attn_implementation="eager")
        for index, image_sizes in enumerate(sizes):
            count = sum(len(size) if isinstance(size, list) else 1 for size in image_sizes)
            images = [goldens[f"pixels.{index}.{j}"].bfloat16() for j in range(count)]
            goldens[f"bf16.{index}"] = forward(goldens[f"tokens.{index}"], images, image_sizes).float()
    save_file({k: v.contiguous().clone() for k, v in goldens.items()}, folder / "goldens.safetensors")
    if finish:
        finish(folder)
        finish(folder / "gradients")


def smol_vlm(folder):
    def config(kind, side, patch, factor, tied, changes, **vision):
        return kind(
            text_config=text(model_type="llama", **changes),
            vision_config=dict(
                hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                image_size=side, patch_size=patch, **vision),
            scale_factor=factor, image_token_id=IMAGE, tie_word_embeddings=tied, pad_token_id=0,
            attn_implementation="eager",
        )

    tokens = lambda side, patch, factor: lambda size: (side // patch // factor) ** 2
    case(folder, "smolvlm", SmolVLMForConditionalGeneration(config(SmolVLMConfig, 32, 8, 2, True, {})),
         squares(32, [1, 0, 3]), tokens(32, 8, 2), as_batch_of_tiles, 11)
    case(folder, "smolvlm-untied",
         SmolVLMForConditionalGeneration(config(
             SmolVLMConfig, 75, 12, 3, False,
             dict(num_key_value_heads=4, head_dim=16, rope_parameters=dict(rope_type="default", rope_theta=1e5)))),
         squares(75, [2, 1, 0, 1]), tokens(75, 12, 3), as_batch_of_tiles, 12, max_shard_size="40KB")
    rope = dict(rope_type="llama3", rope_theta=5e5, factor=4.0, low_freq_factor=1.0,
                high_freq_factor=4.0, original_max_position_embeddings=64)
    case(folder, "idefics3",
         Idefics3ForConditionalGeneration(config(
             Idefics3Config, 28, 4, 7, False, dict(num_key_value_heads=1, rope_parameters=rope))),
         squares(28, [1, 2]), tokens(28, 4, 7), as_batch_of_tiles, 13, finish=old_spelling)


def old_spelling(folder):
    """The keys of `rope_parameters` as configurations had them before transformers 5."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for table in (config, config.get("text_config", {})):
        rope = table.pop("rope_parameters", None)
        if rope:
            table["rope_theta"] = rope.pop("rope_theta")
            table["rope_scaling"] = None if rope == {"rope_type": "default"} else rope
    path.write_text(json.dumps(config))


def qwen_vl(folder):
    sizes = [[(16, 24)], [], [(8, 8), (40, 16)], [(32, 32)]]
    tokens, inputs = lambda size: size[0] * size[1] // 64, as_patches(4, 2)

    def second(tied, **changes):
        return Qwen2VLForConditionalGeneration(Qwen2VLConfig(
            text_config=text(**rope, **changes), image_token_id=IMAGE, video_token_id=VOCABULARY,
            vision_config=dict(
                embed_dim=32, hidden_size=48, depth=2, num_heads=4, patch_size=4, mlp_ratio=2,
                spatial_merge_size=2, temporal_patch_size=2),
            tie_word_embeddings=tied, attn_implementation="eager"))

    def second_and_half(tied, **changes):
        return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(
            text_config=text(**rope, **changes), image_token_id=IMAGE, video_token_id=VOCABULARY,
            vision_config=dict(
                hidden_size=32, intermediate_size=40, out_hidden_size=48, depth=3, num_heads=2,
                patch_size=4, spatial_merge_size=2, temporal_patch_size=2, window_size=16,
                fullatt_block_indexes=[1]),
            tie_word_embeddings=tied, attn_implementation="eager"))

    rope = dict(rope_parameters=dict(rope_type="default", rope_theta=1e4, mrope_section=[2, 1, 3]))
    case(folder, "qwen2-vl", second(False), sizes, tokens, inputs, 21, types=True)
    case(folder, "qwen2-vl-hub", second(True, num_key_value_heads=1), sizes[:2], tokens, inputs, 22,
         types=True, finish=hub_spelling)
    case(folder, "qwen2.5-vl", second_and_half(False), sizes, tokens, inputs, 23, types=True)
    case(folder, "qwen2.5-vl-tied", second_and_half(True, num_key_value_heads=4), sizes[2:], tokens,
         inputs, 24, types=True, finish=hub_spelling)


def qwen3_vl(folder):
    sizes = [[(16, 24)], [], [(8, 8), (40, 16)]]
    rope = dict(rope_parameters=dict(
        rope_type="default", rope_theta=1e4, mrope_section=[2, 3, 1], mrope_interleaved=True))

    def model(tied, deep, **changes):
        return Qwen3VLForConditionalGeneration(Qwen3VLConfig(
            text_config=text(head_dim=12, **rope, **changes), image_token_id=IMAGE,
            video_token_id=VOCABULARY,
            vision_config=dict(
                hidden_size=32, intermediate_size=40, out_hidden_size=48, depth=3, num_heads=2,
                patch_size=4, spatial_merge_size=2, temporal_patch_size=2, num_position_embeddings=25,
                deepstack_visual_indexes=deep),
            tie_word_embeddings=tied, attn_implementation="eager"))

    tokens, inputs = lambda size: size[0] * size[1] // 64, as_patches(4, 2)
    case(folder, "qwen3-vl", model(False, [0, 2]), sizes, tokens, inputs, 41, types=True)
    case(folder, "qwen3-vl-tied", model(True, [1], num_key_value_heads=1), sizes[1:], tokens, inputs,
         42, types=True)


def hub_spelling(folder):
    """One flat table, `mrope` as a kind of scaling, and the names that are kept in memory."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    words = config.pop("text_config")
    rope = words.pop("rope_parameters")
    scaling = {"type": "mrope", "mrope_section": rope["mrope_section"]}
    words = {k: v for k, v in words.items() if k not in config}
    path.write_text(json.dumps(config | words | {"rope_theta": rope["rope_theta"], "rope_scaling": scaling}))
    rewrite(folder, lambda name, tensor: {name.replace("model.", "model.language_model.", 1)
                                          if name.startswith("model.") else
                                          name.replace("visual.", "model.visual.", 1): tensor})


def intern_vl(folder):
    def model(tied, words, **vision):
        return InternVLForConditionalGeneration(InternVLConfig(
            text_config=text(**words), image_token_id=IMAGE,
            vision_config=dict(
                hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                image_size=[32, 32], patch_size=[8, 8], **vision),
            downsample_ratio=0.5, tie_word_embeddings=tied, attn_implementation="eager"))

    tokens = lambda size: 4
    case(folder, "internvl", model(True, dict(model_type="qwen2")), squares(32, [1, 0, 3]), tokens,
         as_tiles, 31)
    case(folder, "internvl-6b-tower",
         model(False, dict(model_type="qwen2", num_key_value_heads=4), norm_type="rms_norm",
               use_qk_norm=True, attention_bias=True),
         squares(32, [2, 1]), tokens, as_tiles, 32)
    case(folder, "internvl-phi-3", model(False, dict(model_type="phi3", sliding_window=256)),
         squares(32, [1, 0]), tokens, as_tiles, 34)
    case(folder, "internvl2-original", model(False, dict(model_type="llama")), squares(32, [1, 0, 2]),
         tokens, as_tiles, 33, finish=original_layout)


def original_layout(folder):
    """An `internvl_chat` checkpoint with InternLM2, as in the original repositories."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    words, vision = config["text_config"], config["vision_config"]
    heads, keys = words["num_attention_heads"], words["num_key_value_heads"]
    rope = words.pop("rope_parameters")
    vision = {k: v for k, v in vision.items() if "pooling" not in k and "position" not in k}
    path.write_text(json.dumps({
        "model_type": "internvl_chat", "downsample_ratio": 0.5, "ps_version": "v2", "select_layer": -1,
        "img_context_token_id": IMAGE,
        "llm_config": words | {"model_type": "internlm2", "bias": False, "rope_theta": rope["rope_theta"],
                               "rope_scaling": {"type": "dynamic", "factor": 2.0}},
        "vision_config": vision | {"image_size": 32, "patch_size": 8, "qkv_bias": False},
    }))
    spellings = [
        ("vision_tower.", "vision_model."), ("embeddings.cls_token", "embeddings.class_embedding"),
        ("patch_embeddings.projection", "patch_embedding"), ("position_embeddings", "position_embedding"),
        ("encoder.layer.", "encoder.layers."), ("attention.projection_layer", "attn.proj"),
        ("layernorm_before", "norm1"), ("layernorm_after", "norm2"), ("lambda_", "ls"),
        ("multi_modal_projector.layer_norm", "mlp1.0"), ("multi_modal_projector.linear_1", "mlp1.1"),
        ("multi_modal_projector.linear_2", "mlp1.3"), ("embed_tokens", "tok_embeddings"),
        ("self_attn.o_proj", "attention.wo"), ("input_layernorm", "attention_norm"),
        ("post_attention_layernorm", "ffn_norm"), ("mlp.gate_proj", "feed_forward.w1"),
        ("mlp.down_proj", "feed_forward.w2"), ("mlp.up_proj", "feed_forward.w3"),
        ("language_model.lm_head", "language_model.output"),
    ]
    waiting = {}

    def respell(name, tensor):
        for kind in ("q_proj", "k_proj", "v_proj"):
            if f".{kind}." in name:
                waiting.setdefault(name.replace(kind, "?"), {})[kind[0]] = tensor
                parts = waiting[name.replace(kind, "?")]
                if len(parts) < 3:
                    return {}
                if "vision" in name:
                    return {name.replace("vision_tower", "vision_model").replace(
                        "encoder.layer.", "encoder.layers.").replace(f"attention.{kind}", "attn.qkv"):
                        torch.cat([parts["q"], parts["k"], parts["v"]])}
                width = tensor.shape[1]
                q, k, v = (parts[it].view(keys, -1, words["hidden_size"] // heads, width) for it in "qkv")
                grouped = torch.cat([q, k, v], 1).reshape(-1, width)
                return {name.replace(f"self_attn.{kind}", "attention.wqkv"): grouped}
        for ours, theirs in spellings:
            name = name.replace(ours, theirs)
        return {name: tensor}

    rewrite(folder, respell)


def minicpm_v(folder):
    def model(tied, together, vision, **words):
        return MiniCpmV(text(**words) | dict(
            model_type="minicpmv", version="2.5", query_num=5, batch_vision_input=together,
            drop_vision_last_layer=not together, image_token_id=IMAGE, tie_word_embeddings=tied,
            rope_theta=5e5, vision_config=dict(
                model_type="idefics2", image_size=40, patch_size=4, intermediate_size=48, num_attention_heads=4,
            ) | vision))

    sizes = [[[(12, 16)]], [], [[(12, 16), (8, 20), (8, 20), (8, 20)]], [[(8, 8)], [(20, 8), (28, 12), (28, 12)]]]
    tokens = lambda picture: 5 * len(picture)
    case(folder, "minicpm-v-2.5",
         model(False, True, dict(hidden_size=32, num_hidden_layers=2), hidden_size=256), sizes, tokens,
         as_pictures, 51)
    case(folder, "minicpm-v-2.5-alone",
         model(True, False, dict(hidden_size=128, num_hidden_layers=3), hidden_size=128, num_key_value_heads=1),
         sizes[2:], tokens, as_pictures, 52)


def phi3_vision(folder):
    def model(tied, rope, **words):
        return Phi3Vision(text(**words) | dict(
            model_type="phi3_v", tie_word_embeddings=tied, rope_theta=1e4, rope_scaling=rope,
            embd_layer=dict(
                embedding_cls="image", hd_transform_order="sub_glb", projection_cls="mlp", use_hd_transform=True,
                with_learnable_separator=True),
            img_processor=dict(name="clip_vision_model", image_dim_out=32, num_img_tokens=4),
            vision_config=dict(
                image_size=16, patch_size=4, hidden_size=32, intermediate_size=48, num_hidden_layers=3,
                num_attention_heads=4)))

    def tokens(picture):
        rows, columns = (length // 16 for length in picture[1])
        return (rows * columns + 1) * 4 + (rows + 1) * 2 + 1

    whole = lambda rows, columns: [(16, 16), (16 * rows, 16 * columns)]
    # Sequences on both sides of the length at which the frequencies change.
    rope = dict(type="su", short_factor=[1.0, 1.1, 1.3, 1.7, 2.2, 3.0], long_factor=[1.2, 2.0, 3.5, 6.0, 9.0, 14.0])
    case(folder, "phi-3.5-vision",
         model(False, rope, num_key_value_heads=4, max_position_embeddings=512, original_max_position_embeddings=100,
               sliding_window=512),
         [[whole(1, 1)], [], [whole(4, 3), whole(2, 5)]], tokens, as_pictures, 61, placeholder=lambda place: -1 - place)
    case(folder, "phi-3-vision-tied", model(True, None, num_key_value_heads=2, head_dim=12), [[whole(1, 2)], [whole(2, 1)]],
         tokens, as_pictures, 62, placeholder=lambda place: -1 - place, finish=shared_embedding)


def shared_embedding(folder):
    """The embedding where what sees has it."""
    place = "model.vision_embed_tokens.wte.weight"
    rewrite(folder, lambda name, tensor: {place if name == "model.embed_tokens.weight" else name: tensor})


def rewrite(folder, change):
    path = folder / "model.safetensors"
    tensors = {}
    for name, tensor in sorted(load_file(path).items()):
        tensors |= change(name, tensor)
    save_file({k: v.contiguous() for k, v in tensors.items()}, path)


def models(folder):
    """Every architecture."""
    smol_vlm(folder)
    qwen_vl(folder)
    qwen3_vl(folder)
    intern_vl(folder)
    minicpm_v(folder)
    phi3_vision(folder)
