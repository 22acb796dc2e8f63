"""Opens what `mstar export` wrote: a whole model, and its adapters on the model that they were trained on.

    python exports.py EXPORTED ADAPTERS BASE TOKENS OUT

TOKENS is a JSON list. Written is OUT, safetensors with the logits `whole` and `adapted` after each token.
"""

import json
import sys

import torch
from peft import PeftModel
from safetensors.torch import save_file
from transformers import AutoModelForImageTextToText, AutoTokenizer


def opened(path):
    model, about = AutoModelForImageTextToText.from_pretrained(
        path, attn_implementation="eager", output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        assert not about.get(kind), (kind, about[kind])
    return model.eval()


@torch.no_grad()
def main(exported, adapters, base, tokens, out):
    tokens = torch.tensor(json.loads(tokens))[None]
    whole = opened(exported)(input_ids=tokens).logits[0].clone()
    adapted = PeftModel.from_pretrained(opened(base), adapters).eval()(input_ids=tokens).logits[0].clone()
    assert AutoTokenizer.from_pretrained(exported).chat_template
    save_file({"whole": whole, "adapted": adapted}, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
