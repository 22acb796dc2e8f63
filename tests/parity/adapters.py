"""Adapters through PEFT: opens those that mstar wrote, and writes its own.

    python adapters.py MODELS FOLDER NAME...

For each NAME of a tiny checkpoint below MODELS, `FOLDER/NAME/ours` holds PEFT's two files as mstar
wrote them. Written are `FOLDER/NAME/theirs`, random adapters as PEFT saves them, and
`FOLDER/NAME/logits.safetensors` with `ours.I`, `merged.I` and `theirs.I` for each golden sequence, and
`exported.I` of the whole model that mstar wrote into `FOLDER/NAME/exported`.
"""

import pathlib
import sys

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

from models import IMAGE, as_batch_of_tiles, as_patches, as_tiles

# Of the language model, and a layer of each kind of vision tower.
TARGETS = (
    r".*(language_model|text_model).*\.(q_proj|o_proj|up_proj)"
    r"|.*blocks\.0\.attn\.qkv|.*encoder\.layers?\.0\.(self_attn|attention)\.k_proj"
)


def cases(name, goldens):
    """What the reference reads of each golden sequence."""
    qwen = name.startswith("qwen")
    inputs = as_patches(4, 2) if qwen else as_tiles if name.startswith("internvl") else as_batch_of_tiles
    index = 0
    while f"tokens.{index}" in goldens:
        tokens, images = goldens[f"tokens.{index}"], []
        while f"pixels.{index}.{len(images)}" in goldens:
            images.append(goldens[f"pixels.{index}.{len(images)}"])
        extra = inputs(None, images)
        if qwen:
            extra["mm_token_type_ids"] = (tokens == IMAGE).int()[None]
        yield index, dict(input_ids=tokens[None], use_cache=False, **extra)
        index += 1


def opened(path):
    return AutoModelForImageTextToText.from_pretrained(path, attn_implementation="eager").eval()


@torch.no_grad()
def main(models, folder, names):
    for name in names:
        goldens = load_file(models / name / "goldens.safetensors")
        logits = lambda model, of: {
            f"{of}.{index}": model(**inputs).logits[0].clone() for index, inputs in cases(name, goldens)
        }
        here = folder / name
        model = PeftModel.from_pretrained(opened(models / name), here / "ours").eval()
        stored, read = load_file(here / "ours" / "adapter_model.safetensors"), get_peft_model_state_dict(model)
        assert stored.keys() == read.keys(), stored.keys() ^ read.keys()
        found = logits(model, "ours") | logits(model.merge_and_unload(), "merged")
        found |= logits(opened(here / "exported"), "exported")
        torch.manual_seed(3)
        config = LoraConfig(
            r=3, lora_alpha=5, lora_dropout=0.1, target_modules=TARGETS, init_lora_weights=False)
        model = get_peft_model(opened(models / name), config).eval()
        assert any("vis" in key for key in get_peft_model_state_dict(model)), "no layer of the tower"
        model.save_pretrained(here / "theirs")
        save_file(found | logits(model, "theirs"), here / "logits.safetensors")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3:])
