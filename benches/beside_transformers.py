"""Tokens per second of sampling and of training, mstar beside transformers: the same checkpoint, prompts,
picture, threads and number formats, one after the other in one run.

    make smol
    python benches/beside_transformers.py recipes/smol/checkpoint recipes/smol/easy-vqa/images/0.png

Sampling: SAMPLES responses to each of PROMPTS prompts at temperature 1, at most TOKENS tokens, ended by
the model's own end. transformers generates them in batches of 64 rows, which is its best here. Training:
forward and backward over batches of 8 of unequal length, no optimizer; transformers pads them. Only
tokens that count are counted. The best of REPEATS tries.
"""

import argparse
import json
import subprocess
import time

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoTokenizer
from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

BATCH, ROWS = 8, 64
QUESTIONS = ["what color is the shape?", "does the image contain a circle, and if so, which color does it have?", "is there a triangle?",
             "describe the picture in as many words as you need, and then say what you are not sure of."]
ANSWERS = ["# Answer\nblue", "The shape has no corners and the same width everywhere, so it is a circle.\n\n# Answer\nyes", "# Answer\nno",
           "There is one shape on a plain ground. " * 8 + "\n\n# Answer\nrectangle"]


def prompts(folder, image, count):
    """Token ids and pixels as the checkpoint's own files make them."""
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    processor = SmolVLMImageProcessorPil.from_pretrained(folder)
    tokens = json.loads((open(f"{folder}/processor_config.json")).read())["image_seq_len"]
    pixels = processor([[image]], return_tensors="pt")["pixel_values"][0]
    picture = "<fake_token_around_image><global-img>" + "<image>" * tokens + "<fake_token_around_image>"
    texts = []
    for k in range(count):
        content = [{"type": "image"}, {"type": "text", "text": QUESTIONS[k % len(QUESTIONS)]}]
        text = tokenizer.apply_chat_template([{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True)
        texts.append(text.replace("<image>", picture))
    return tokenizer, texts, pixels


def best(repeats, work):
    rates = []
    for _ in range(repeats):
        start = time.perf_counter()
        tokens = work()
        rates.append(tokens / (time.perf_counter() - start))
    return max(rates)


def theirs(args, precision):
    model = AutoModelForImageTextToText.from_pretrained(args.checkpoint, dtype=getattr(torch, {"f32": "float32", "bf16": "bfloat16"}[precision]))
    tokenizer, texts, pixels = prompts(args.checkpoint, Image.open(args.image).convert("RGB"), args.prompts)
    pixels = pixels.to(model.dtype)
    ends = model.generation_config.eos_token_id
    ends = torch.tensor(ends if isinstance(ends, list) else [ends])
    tokenizer.pad_token_id = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else int(ends[0])

    def sample():
        count = 0
        for k in range(0, len(texts), ROWS // args.samples):
            batch = tokenizer(texts[k : k + ROWS // args.samples], return_tensors="pt", padding=True)
            rows = len(batch["input_ids"])
            with torch.inference_mode():
                out = model.generate(**batch, pixel_values=pixels.expand(rows, *pixels.shape), do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
                                     max_new_tokens=args.tokens, num_return_sequences=args.samples, pad_token_id=tokenizer.pad_token_id)
            drawn = out[:, batch["input_ids"].shape[1] :]
            ended = torch.isin(drawn, ends)
            lengths = torch.where(ended.any(1), ended.int().argmax(1) + 1, drawn.shape[1])
            count += int(lengths.sum())
        return count

    end = tokenizer.convert_ids_to_tokens(int(ends[0]))
    whole = [text + ANSWERS[k % len(ANSWERS)] + end for k, text in enumerate(texts)]

    def train():
        count = 0
        for k in range(0, len(whole), BATCH):
            batch = tokenizer(whole[k : k + BATCH], return_tensors="pt", padding=True)
            rows = len(batch["input_ids"])
            labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
            for row, text in enumerate(texts[k : k + BATCH]):
                left = int((batch["attention_mask"][row] == 0).sum())
                labels[row, : left + len(tokenizer(text)["input_ids"])] = -100
            model(**batch, pixel_values=pixels.expand(rows, *pixels.shape), labels=labels, use_cache=False).loss.backward()
            model.zero_grad(set_to_none=True)
            # The last token of each is learned and not read.
            count += int(batch["attention_mask"].sum()) - rows
        return count

    return {"sampled": best(args.repeats, sample), "trained": best(args.repeats, train)}


def ours(args, precision):
    asked = {"checkpoint": args.checkpoint, "image": args.image, "samples": args.samples, "tokens": args.tokens, "batch": BATCH, "threads": args.threads,
             "precision": precision, "repeats": args.repeats, "questions": [QUESTIONS[k % len(QUESTIONS)] for k in range(args.prompts)],
             "answers": [ANSWERS[k % len(ANSWERS)] for k in range(args.prompts)]}
    out = subprocess.run(args.mstar.split(), input=json.dumps(asked), capture_output=True, text=True)
    if out.returncode:
        raise SystemExit(out.stderr)
    return json.loads(out.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("image")
    for name, value in (("prompts", 32), ("samples", 8), ("tokens", 128), ("repeats", 3), ("threads", 2)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--precision", nargs="*", default=["f32", "bf16"])
    parser.add_argument("--mstar", default="cargo bench --locked --quiet --bench checkpoint")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print("| tokens per second | mstar | transformers | ratio |\n|---|---|---|---|")
    for precision in args.precision:
        here, there = ours(args, precision), theirs(args, precision)
        for what, name in (("sampled", "sampling"), ("trained", "training")):
            print(f"| {name}, {precision} | {here[what]:.0f} | {there[what]:.0f} | {here[what] / there[what]:.2f} |", flush=True)
