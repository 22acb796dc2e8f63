"""Memory and time that loading a checkpoint takes beside its weights: mstar, then transformers, each in a
process of its own. The checkpoint is made here, of random numbers: Qwen2.5-VL with the sizes of its 7B
(8.3 billion parameters with the tower), or with fewer layers.

    python benches/loading.py FOLDER [--layers 28]

FOLDER is made if it is not there and stays; with 28 layers it takes 16.6 GB.
"""

import argparse
import json
import pathlib
import subprocess
import sys

SHARD = 4 << 30
THEIRS = """
import resource, sys, time, torch
from transformers import AutoModelForImageTextToText as Model
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
model = Model.from_pretrained(sys.argv[1], dtype=torch.bfloat16)
seconds = time.perf_counter() - start
peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
weights = 2 * sum(p.numel() for p in model.parameters())
print(f"{weights / 2**30:.2f} GiB of weights: at most {peak / 2**30:.2f} GiB of memory, files included, {peak / weights:.3f} of them; {seconds:.1f} s")
"""


def config(layers):
    text = {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": layers, "num_attention_heads": 28, "num_key_value_heads": 4,
            "vocab_size": 152064, "max_position_embeddings": 32768, "rope_theta": 1e6, "rms_norm_eps": 1e-6, "tie_word_embeddings": False,
            "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}}
    vision = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584}
    return {"text_config": text, "vision_config": vision, "tie_word_embeddings": False}


def make(folder, layers):
    import torch
    from safetensors.torch import save_file
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    with torch.device("meta"):
        model = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(**config(layers)))
    folder.mkdir(parents=True)
    model.config.save_pretrained(folder)
    generator = torch.Generator().manual_seed(0)
    shard, size, number, where = {}, 0, 0, {}

    def write():
        name = f"model-{number:05}.safetensors"
        save_file(shard, folder / name, metadata={"format": "pt"})
        where.update(dict.fromkeys(shard, name))
        shard.clear()

    for name, tensor in model.state_dict().items():
        shard[name] = torch.empty(tensor.shape, dtype=torch.bfloat16).normal_(0, 0.02, generator=generator)
        size += shard[name].nbytes
        if size > SHARD:
            write()
            size, number = 0, number + 1
    write()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--layers", type=int, default=28)
    parser.add_argument("--mstar", default="cargo bench --locked --quiet --bench loading --")
    args = parser.parse_args()
    if not args.folder.exists():
        make(args.folder, args.layers)
    for name, command in (("mstar", args.mstar.split()), ("transformers", [sys.executable, "-c", THEIRS])):
        out = subprocess.run([*command, str(args.folder)], capture_output=True, text=True)
        if out.returncode:
            raise SystemExit(out.stderr)
        print(f"{name}: {out.stdout.strip().splitlines()[-1]}", flush=True)
