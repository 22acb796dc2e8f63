"""Architectures that transformers does not have, composed of parts that it has.

What stands between the parts is written after the code that was published with the checkpoints of
MiniCPM-Llama3-V-2.5 and Phi-3-vision, quirks included; nothing of that code runs. Called by `models.py`.
"""

import json
from types import SimpleNamespace

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3ForCausalLM
from transformers.models.idefics2.configuration_idefics2 import Idefics2VisionConfig
from transformers.models.idefics2.modeling_idefics2 import Idefics2VisionTransformer

# The place of each tensor in the checkpoint, by its place in the modules here.
MINICPM = [("llm.", "llm."), ("tower.", "vpm."), ("resampler.", "resampler.")]
PHI = [("llm.", ""), ("tower.", "model.vision_embed_tokens.img_processor.vision_model."), ("", "model.vision_embed_tokens.")]


class Composed(nn.Module):
    """A model with `config`, what `config.json` says, and `names`."""

    def get_output_embeddings(self):
        return self.llm.lm_head

    def save_pretrained(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(self.config))
        tensors = {self.name(k): v.detach().clone() for k, v in self.named_parameters()}
        save_file(tensors, folder / "model.safetensors")

    def name(self, own):
        return next(theirs + own.removeprefix(ours) for ours, theirs in self.names if own.startswith(ours))

    @classmethod
    def from_pretrained(cls, folder, dtype, attn_implementation):
        model = cls(json.loads((folder / "config.json").read_text())).eval()
        tensors = load_file(folder / "model.safetensors")
        for name, parameter in model.named_parameters():
            # Frequencies are buffers, which stay in 32 bits.
            parameter.data = tensors[model.name(name)].to(dtype)
        return model

    def forward(self, input_ids, use_cache=False, pictures=()):
        is_image = input_ids[0] < 0 if self.placeholder is None else input_ids[0] == self.placeholder
        words = self.llm.get_input_embeddings()(input_ids[0].clamp_min(0))
        if pictures:
            seen = torch.cat([self.seen(tiles) for tiles in pictures])
            words = words.index_put((is_image.nonzero()[:, 0],), seen.to(words.dtype))
        return self.llm(inputs_embeds=words[None], use_cache=use_cache)


def sines(width, rows, columns):
    """Sines and cosines of the column in the first half, of the row in the second."""

    def along(places):
        waves = np.arange(width // 4, dtype=np.float32)
        waves /= width / 4.0
        angles = np.einsum("m,d->md", places.reshape(-1).astype(np.float32), 1.0 / 10000**waves)
        return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)

    column, row = np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32))
    return torch.from_numpy(np.concatenate([along(column), along(row)], axis=1)).float()


class Resampler(nn.Module):
    def __init__(self, queries, width, given):
        super().__init__()
        self.query = nn.Parameter(torch.zeros(queries, width))
        if given != width:
            self.kv_proj = nn.Linear(given, width, bias=False)
        self.attn = nn.MultiheadAttention(width, width // 128)
        self.ln_q, self.ln_kv, self.ln_post = (nn.LayerNorm(width, eps=1e-6) for _ in range(3))
        self.proj = nn.Parameter(torch.zeros(width, width))

    def forward(self, xs, sizes):
        longest = xs.shape[1]
        places = torch.zeros(len(sizes), longest, self.proj.shape[0], dtype=xs.dtype)
        padding = torch.ones(len(sizes), longest, dtype=torch.bool)
        for index, (rows, columns) in enumerate(sizes):
            places[index, : rows * columns] = sines(self.proj.shape[0], rows, columns).to(xs.dtype)
            padding[index, : rows * columns] = False
        xs = self.ln_kv(self.kv_proj(xs) if hasattr(self, "kv_proj") else xs).transpose(0, 1)
        query = self.ln_q(self.query)[:, None].expand(-1, len(sizes), -1)
        out = self.attn(query, xs + places.transpose(0, 1), xs, key_padding_mask=padding)[0]
        return self.ln_post(out.transpose(0, 1)) @ self.proj


class MiniCpmV(Composed):
    names = MINICPM

    def __init__(self, config):
        super().__init__()
        self.config, self.placeholder = config, config["image_token_id"]
        vision = Idefics2VisionConfig(**config["vision_config"], attn_implementation="eager")
        self.tower = Idefics2VisionTransformer(vision)
        if config["drop_vision_last_layer"]:
            self.tower.encoder.layers = self.tower.encoder.layers[:-1]
        self.tower.embeddings.forward = self.embedded
        words = json.loads(json.dumps(config | {"model_type": "llama"}))
        self.llm = LlamaForCausalLM(LlamaConfig(**words, attn_implementation="eager"))
        self.resampler = Resampler(config["query_num"], config["hidden_size"], vision.hidden_size)

    def embedded(self, pixel_values, patch_attention_mask):
        """As transformers 4.40 had it: places along a strip by `arange`, whose step is of 32 bits."""
        own, side = self.tower.embeddings, self.tower.embeddings.num_patches_per_side
        places = torch.arange(0, 1 - 1e-6, 1 / patch_attention_mask[0].sum())
        places = torch.bucketize(places, torch.arange(1 / side, 1.0, 1 / side), right=True)
        return own.patch_embedding(pixel_values).flatten(2).transpose(1, 2) + own.position_embedding(places)

    def seen(self, tiles):
        """The slices of one picture, padded to the longest, all of which everything sees."""
        patch = self.config["vision_config"]["patch_size"]
        sizes = [(tile.shape[0] // patch, tile.shape[1] // patch) for tile in tiles]
        strips = [self.strip(tile.permute(2, 0, 1), patch) for tile in tiles]
        if not self.config["batch_vision_input"]:
            each = [self.resampler(self.through(strip[None]), [size]) for strip, size in zip(strips, sizes)]
            return torch.cat(each).flatten(0, 1)
        longest = max(strip.shape[2] for strip in strips)
        padded = torch.stack([nn.functional.pad(strip, (0, longest - strip.shape[2])) for strip in strips])
        return self.resampler(self.through(padded), sizes).flatten(0, 1)

    def through(self, strips):
        mask = torch.ones(len(strips), 1, strips.shape[3] // strips.shape[2], dtype=torch.bool)
        return self.tower(strips, patch_attention_mask=mask).last_hidden_state

    def strip(self, image, patch):
        columns = nn.functional.unfold(image[None], (patch, patch), stride=(patch, patch))
        columns = columns.view(3, patch, patch, -1)
        return columns.permute(0, 1, 3, 2).reshape(3, patch, -1)


class Phi3Vision(Composed):
    names = PHI

    def __init__(self, config):
        super().__init__()
        self.config, self.placeholder = config, None
        vision = CLIPVisionConfig(**config["vision_config"], attn_implementation="eager")
        self.tower = CLIPVisionModel(vision)
        # The configuration takes its tables apart, and wants the length in that of the positions.
        words = json.loads(json.dumps(config | {"model_type": "phi3"}))
        if words["rope_scaling"]:
            words["rope_scaling"]["original_max_position_embeddings"] = words["original_max_position_embeddings"]
        self.llm = Phi3ForCausalLM(Phi3Config(**words, attn_implementation="eager"))
        joined, width = 4 * vision.hidden_size, config["hidden_size"]
        self.sub_GN, self.glb_GN = nn.Parameter(torch.zeros(1, 1, 1, joined)), nn.Parameter(torch.zeros(1, 1, joined))
        self.img_projection = nn.Sequential(nn.Linear(joined, width), nn.GELU(), nn.Linear(width, width))

    def seen(self, tiles):
        copy, whole = tiles
        side = self.config["vision_config"]["image_size"]
        rows, columns = whole.shape[0] // side, whole.shape[1] // side
        crops = [whole[r * side : (r + 1) * side, c * side : (c + 1) * side] for r in range(rows) for c in range(columns)]
        crops = torch.stack([copy, *crops]).permute(0, 3, 1, 2)
        seen = self.tower(pixel_values=crops, output_hidden_states=True).hidden_states[-2][:, 1:]
        parts = [self.ended(seen[1:], rows, columns), self.glb_GN[0], self.ended(seen[:1], 1, 1)]
        return self.img_projection(torch.cat(parts))

    def ended(self, crops, rows, columns):
        side, width = int(crops.shape[1] ** 0.5) // 2, crops.shape[2]
        xs = crops.reshape(rows, columns, side, 2, side, 2, width).permute(0, 2, 1, 4, 3, 5, 6)
        xs = xs.reshape(rows * side, columns * side, 4 * width)
        return torch.cat([xs, self.sub_GN[0].expand(rows * side, 1, -1)], 1).flatten(0, 1)
