"""Writes what PyTorch and transformers compute, for `tests/it/parity.rs` to compare with.

    python tests/parity/goldens.py DIR
    MSTAR_PARITY_DIR=DIR cargo test --test parity

Tiny models with random weights; every file holds inputs, weights and outputs. Needs torch 2.11,
transformers and safetensors from PyPI.
"""

import sys
from pathlib import Path

import inputs
import judges
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.idefics3.modeling_idefics3 import Idefics3Connector

from checkpoints import checkpoints
from models import models


def save(folder, name, tensors):
    save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()}, folder / f"{name}.safetensors")


def llama(folder):
    """Logits of a decoder with grouped queries, eager attention, 32 bits."""
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=233, hidden_size=64, intermediate_size=176, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
        rms_norm_eps=1e-6, tie_word_embeddings=True, attn_implementation="eager",
        initializer_range=0.2,
    )
    model = LlamaForCausalLM(config).eval()
    for name, parameter in model.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    tokens = torch.randint(0, 232, (1, 40))
    weights = {
        name.removeprefix("model.").replace("self_attn.", "").replace("mlp.", ""): tensor
        for name, tensor in model.state_dict().items() if name != "lm_head.weight"
    }
    with torch.no_grad():
        logits = model(tokens).logits[0]
    save(folder, "llama", {f"model.{k}": v for k, v in weights.items()} | {"tokens": tokens[0], "logits": logits})


def adamw(folder):
    """Five steps with weight decay on a matrix and none on a vector; gradients are given."""
    torch.manual_seed(3)
    matrix, vector = torch.nn.Parameter(torch.randn(6, 5)), torch.nn.Parameter(torch.randn(7))
    tensors = {"start.matrix": matrix.clone(), "start.vector": vector.clone()}
    optimizer = torch.optim.AdamW(
        [{"params": [matrix], "weight_decay": 0.1}, {"params": [vector], "weight_decay": 0.0}],
        lr=3e-2, betas=(0.9, 0.98), eps=1e-8,
    )
    for step in range(5):
        matrix.grad, vector.grad = torch.randn(6, 5) * 3, torch.randn(7) * 3
        tensors |= {f"gradient.{step}.matrix": matrix.grad.clone(), f"gradient.{step}.vector": vector.grad.clone()}
        torch.nn.utils.clip_grad_norm_([matrix, vector], 1.0)
        optimizer.step()
        tensors |= {f"after.{step}.matrix": matrix.clone(), f"after.{step}.vector": vector.clone()}
    save(folder, "adamw", tensors)


def muon(folder):
    """Five steps of the rule in `engine/optimizer/muon.rs`, one matrix at a time, untransposed where wide."""
    torch.manual_seed(4)
    parameters = {"layers.wide.weight": torch.randn(4, 6), "layers.tall.weight": torch.randn(6, 4), "layers.too.weight": torch.randn(4, 6)}
    momenta = {name: torch.zeros_like(p) for name, p in parameters.items()}
    tensors = {f"start.{name}": p.clone() for name, p in parameters.items()}
    rate, decay = 2e-2, 0.01
    for step in range(5):
        gradients = {name: torch.randn_like(p) * 0.01 for name, p in parameters.items()}
        tensors |= {f"gradient.{step}.{name}": g.clone() for name, g in gradients.items()}
        for name, p in parameters.items():
            momenta[name].lerp_(gradients[name], 0.05)
            update = gradients[name].lerp(momenta[name], 0.95)
            x = update.T if update.shape[0] > update.shape[1] else update
            x = x / (x.norm() + 1e-7)
            for _ in range(5):
                gram = x @ x.T
                x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
            x = x.T if update.shape[0] > update.shape[1] else x
            p.mul_(1 - rate * decay).sub_(x, alpha=rate * max(1, p.shape[0] / p.shape[1]) ** 0.5)
        tensors |= {f"after.{step}.{name}": p.clone() for name, p in parameters.items()}
    save(folder, "muon", tensors)


def pixel_shuffle(folder):
    """Idefics3's method, and InternVL's of `ps_version` v2 written after its model card's code."""
    torch.manual_seed(5)
    xs = torch.randn(2, 64, 6)
    idefics = Idefics3Connector.pixel_shuffle(None, xs, 2)

    def intern(x, scale=0.5):
        n, w, h, c = x.size()
        x = x.view(n, w, int(h * scale), int(c / scale)).permute(0, 2, 1, 3).contiguous()
        x = x.view(n, int(h * scale), int(w * scale), int(c / (scale * scale)))
        return x.permute(0, 2, 1, 3).contiguous()

    internvl = intern(xs.view(2, 8, 8, 6)).reshape(2, 16, 24)
    save(folder, "pixel_shuffle", {"input": xs, "idefics": idefics, "internvl": internvl})


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    writers = (llama, adamw, muon, pixel_shuffle, models, checkpoints, inputs.write, judges.write)
    for write in writers:
        write(folder)
