"""Writes what Pillow, transformers and sentencepiece make of pictures and texts into DIR/inputs, for
`tests/it/inputs.rs` to compare with. Called by goldens.py.

Pixels are kept as checksums: a difference of one in one byte changes them. The processors are those
of transformers with the Pillow backend by name (`...Pil`); where transformers has none, the published
code is transcribed below.
"""

import io
import json
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

FILTERS = {1: Image.Resampling.LANCZOS, 2: Image.Resampling.BILINEAR, 3: Image.Resampling.BICUBIC}


def checksum(array):
    """The sum of all bytes, each times an odd number of its place, modulo 2^64."""
    data = np.ascontiguousarray(array).view(np.uint8).reshape(-1).astype(np.uint64)
    with np.errstate(over="ignore"):
        places = np.arange(len(data), dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) | np.uint64(1)
        return f"{int((data * places).sum(dtype=np.uint64)):016x}"


def picture(width, height, seed=0):
    """Ramps, waves, edges and noise."""
    rng = np.random.default_rng([width, height, seed])
    y, x = np.mgrid[0:height, 0:width]
    waves = 127 + 100 * np.sin(x[..., None] / np.array([3, 7, 31]) + y[..., None] / np.array([29, 5, 2]))
    ramps = np.stack([x * 255 / max(width - 1, 1), y * 255 / max(height - 1, 1), (x + y) % 256], -1)
    pixels = np.where(((x // 9 + y // 6) % 2)[..., None] == 0, waves, ramps)
    noisy = (x > width * 2 // 3)[..., None]
    pixels = np.where(noisy, rng.integers(0, 256, (height, width, 3)), pixels)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def png(width, height, depth, colour, rows, extra=b""):
    """A PNG of any depth; Pillow writes only some. `rows` are bytes as the file has them."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    raw = b"".join(b"\0" + row for row in rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def saved(image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def decoded(data):
    return ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")


def files():
    """Every kind of file by name."""
    colour, small = picture(61, 47), picture(7, 5)
    alpha = colour.convert("RGBA")
    alpha.putalpha(Image.fromarray(np.arange(61 * 47, dtype=np.uint32).astype(np.uint8).reshape(47, 61)))
    out = {
        "rgb.png": saved(colour, "PNG"), "rgba.png": saved(alpha, "PNG"), "la.png": saved(alpha.convert("LA"), "PNG"),
        "l.png": saved(colour.convert("L"), "PNG"), "1.png": saved(colour.convert("1"), "PNG"),
        "p.png": saved(colour.quantize(200), "PNG"), "p16.png": saved(colour.quantize(13), "PNG"),
        "p_transparent.png": saved(colour.quantize(17), "PNG", transparency=3),
        "rgb_transparent.png": saved(colour, "PNG", transparency=(1, 2, 3)),
        "l.webp": saved(colour, "WEBP", lossless=True), "rgba.webp": saved(alpha, "WEBP", lossless=True, exact=True),
        "lossy.webp": saved(colour, "WEBP", quality=60), "lossy_alpha.webp": saved(alpha, "WEBP", quality=80, exact=True),
        "p.gif": saved(colour.quantize(99), "GIF"), "l.gif": saved(colour.convert("L"), "GIF"),
        "p_transparent.gif": saved(colour.quantize(17), "GIF", transparency=3),
        "rgb.bmp": saved(colour, "BMP"), "p.bmp": saved(colour.quantize(50), "BMP"), "1.bmp": saved(colour.convert("1"), "BMP"),
        "l.bmp": saved(colour.convert("L"), "BMP"), "rgba.bmp": saved(alpha, "BMP"),
        "l.jpg": saved(colour.convert("L"), "JPEG"), "cmyk.jpg": saved(colour.convert("CMYK"), "JPEG"),
        "restart.jpg": saved(colour, "JPEG", restart_marker_blocks=2), "optimized.jpg": saved(colour, "JPEG", optimize=True),
    }
    wide = np.random.default_rng(9).integers(0, 65536, (11, 13, 4)).astype(">u2")
    grey = wide[..., 0] % 600
    out["grey16.png"] = png(13, 11, 16, 0, [row.astype(">u2").tobytes() for row in grey])
    out["grey_alpha16.png"] = png(13, 11, 16, 4, [row.tobytes() for row in wide[..., :2]])
    out["rgb16.png"] = png(13, 11, 16, 2, [row.tobytes() for row in wide[..., :3]])
    out["rgba16.png"] = png(13, 11, 16, 6, [row.tobytes() for row in wide])
    for depth in (2, 4):
        out[f"grey{depth}.png"] = png(8, 3, depth, 0, [bytes((depth * 37 + 91 * k + r) % 256 for k in range(depth)) for r in range(3)])
    for name, image in (("odd", small), ("even", picture(48, 32)), ("one", picture(1, 1)), ("photo", picture(133, 90))):
        for quality in (30, 75, 96):
            for sampling in ("4:4:4", "4:2:2", "4:2:0"):
                for progressive in (False, True):
                    file = f"{name}_{quality}_{sampling.replace(':', '')}_{'progressive' if progressive else 'baseline'}.jpg"
                    out[file] = saved(image, "JPEG", quality=quality, subsampling=sampling, progressive=progressive)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for form in ("jpg", "png", "webp"):
            kind = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[form]
            options = {"lossless": True} if form == "webp" else {}
            out[f"turned{orientation}.{form}"] = saved(colour, kind, exif=exif, **options)
    return out


def decoding(folder):
    rows = []
    for name, data in files().items():
        (folder / name).write_bytes(data)
        image = decoded(data)
        rows.append({"file": name, "width": image.width, "height": image.height, "sum": checksum(np.array(image))})
    return rows


SIZES = [(1, 1), (3, 200), (200, 3), (37, 53), (64, 64), (128, 96), (150, 101)]
TARGETS = [(1, 1), (28, 28), (64, 64), (45, 97), (196, 84), (150, 101), (301, 17)]


def sources(folder):
    names = {}
    for width, height in SIZES:
        names[width, height] = f"source_{width}x{height}.png"
        (folder / names[width, height]).write_bytes(saved(picture(width, height), "PNG"))
    return names


def resizing(folder):
    rows = []
    for (width, height), name in sources(folder).items():
        image = picture(width, height)
        for new in TARGETS:
            for number, filter in FILTERS.items():
                rows.append({"file": name, "width": new[0], "height": new[1], "filter": number,
                             "sum": checksum(np.array(image.resize(new, filter)))})
    return rows


# The processors. Small tiles keep the sweep quick; the rules are those of the large ones.

SHAPES = [(64, 64), (63, 41), (41, 63), (150, 101), (97, 200), (300, 37), (20, 250), (17, 19), (129, 128), (240, 160)]


def shaped(folder):
    names = {}
    for width, height in SHAPES:
        names[width, height] = f"shape_{width}x{height}.png"
        (folder / names[width, height]).write_bytes(saved(picture(width, height, 1), "PNG"))
    return names


def row(name, kind, files, tiles, pixels, grid, placeholders, exact=True):
    """`tiles` are bytes as height, width, colour; `pixels` the numbers in the model's order."""
    pixels = np.ascontiguousarray(pixels, dtype=np.float32)
    flat = pixels.reshape(-1)
    return {"file": name, "kind": kind, "config": files, "tiles": [checksum(np.asarray(tile)) for tile in tiles],
            "pixels": checksum(pixels) if exact else None, "shape": list(pixels.shape), "grid": [int(n) for n in grid],
            "placeholders": int(placeholders), "first": [float(x) for x in flat[:: max(1, len(flat) // 50)]]}


def unnormalised(processor, image, **options):
    """What the processor makes before it scales, as bytes with colour last."""
    out = processor(image, do_rescale=False, do_normalize=False, return_tensors="np", **options)["pixel_values"]
    return np.asarray(out)


def smolvlm(name, image, settings):
    from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil
    processor = SmolVLMImageProcessorPil(**settings)
    raw = unnormalised(processor, [[image]])[0].astype(np.uint8).transpose(0, 2, 3, 1)
    out = processor([[image]], return_row_col_info=True, return_tensors="np")
    grid = (out["rows"][0][0], out["cols"][0][0])
    files = {"config": {"model_type": "smolvlm"}, "preprocessor": settings, "processor": {"image_seq_len": 9}}
    return row(name, "smolvlm", files, raw, out["pixel_values"][0], grid, 9 * len(raw))


def qwen(name, image, settings, kind="qwen2_vl"):
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil, smart_resize
    processor = Qwen2VLImageProcessorPil(**settings)
    out = processor(image, return_tensors="np")
    grid = out["image_grid_thw"][0]
    side = processor.patch_size
    height, width = grid[1] * side, grid[2] * side
    resized = np.array(image.resize((int(width), int(height)), Image.Resampling.BICUBIC))
    files = {"config": {"model_type": kind}, "preprocessor": settings}
    return row(name, kind, files, [resized], out["pixel_values"], grid[1:], grid.prod() // processor.merge_size**2)


def internvl(name, image, settings):
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil, get_optimal_tiled_canvas
    processor = GotOcr2ImageProcessorPil(**settings, crop_to_patches=True)
    raw = unnormalised(processor, image).astype(np.uint8).transpose(0, 2, 3, 1)
    out = processor(image, return_tensors="np")
    size = settings["size"]["height"]
    columns, rows = get_optimal_tiled_canvas(image.size[::-1], (size, size), processor.min_patches, processor.max_patches)
    files = {"config": {"model_type": "internvl"}, "preprocessor": settings, "processor": {"image_seq_length": 4}}
    return row(name, "internvl", files, raw, out["pixel_values"], (rows, columns), 4 * len(raw))


def standardised(tiles, mean, std):
    return np.stack([((np.asarray(t, np.float64) / 255.0).astype(np.float32) - np.float32(mean)) / np.float32(std) for t in tiles]).transpose(0, 3, 1, 2)


CLIP = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def grids_in_set_order(least, most):
    """InternVL's published tiling tries grids in the order of a set, sorted by their number of tiles."""
    grids = {(i, j) for n in range(least, most + 1) for i in range(1, n + 1) for j in range(1, n + 1) if least <= i * j <= most}
    return sorted(grids, key=lambda grid: grid[0] * grid[1])


def internvl_grid(size, side, least, most):
    best, nearest = (1, 1), float("inf")
    for grid in grids_in_set_order(least, most):
        distance = abs(size[0] / size[1] - grid[0] / grid[1])
        if distance < nearest:
            best, nearest = grid, distance
        elif distance == nearest and size[0] * size[1] > 0.5 * side * side * grid[0] * grid[1]:
            best = grid
    return best


def internvl_original(name, image, least, most, side=28):
    columns, rows = internvl_grid(image.size, side, least, most)
    stretched = image.resize((side * columns, side * rows))
    tiles = [stretched.crop((side * c, side * r, side * c + side, side * r + side)) for r in range(rows) for c in range(columns)]
    if len(tiles) > 1:
        tiles.append(image.resize((side, side)))
    config = {"model_type": "internvl_chat", "force_image_size": side, "min_dynamic_patch": least, "max_dynamic_patch": most,
              "downsample_ratio": 0.5, "use_thumbnail": True, "vision_config": {"patch_size": 7, "image_size": 448}}
    pixels = standardised(tiles, *IMAGENET)
    return row(name, "internvl_chat", {"config": config}, tiles, pixels, (rows, columns), 4 * len(tiles))


def minicpm_tiles(image, most, resolution=56, patch=7):
    """After the published image processor of MiniCPM-Llama3-V-2.5: tiles, and rows and columns of the slices."""
    import math

    def whole(length, step):
        return max(round(length / step) * step, step)

    def fitted(size, enlarge):
        width, height = size
        if width * height > resolution * resolution or enlarge:
            ratio = width / height
            height = int(resolution / math.sqrt(ratio))
            width = int(height * ratio)
        return whole(width, patch), whole(height, patch)

    width, height = image.size
    wanted = min(math.ceil(width * height / (resolution * resolution)), most)
    grid = (0, 0)
    if wanted <= 1:
        tiles = [image.resize(fitted(image.size, True), Image.Resampling.BICUBIC)]
    else:
        tiles = [image.resize(fitted(image.size, False), Image.Resampling.BICUBIC)]
        log_ratio, nearest, best = math.log(width / height), float("inf"), (1, 1)
        for count in (wanted - 1, wanted, wanted + 1):
            if count == 1 or count > most:
                continue
            for columns in (m for m in range(1, count + 1) if count % m == 0):
                distance = abs(log_ratio - math.log(columns / (count // columns)))
                if distance < nearest:
                    best, nearest = (columns, count // columns), distance
        columns, rows = best
        share = fitted((whole(width, columns) / columns, whole(height, rows) / rows), True)
        refined = image.resize((share[0] * columns, share[1] * rows), Image.Resampling.BICUBIC)
        for top in range(0, refined.height, share[1]):
            for left in range(0, refined.width, share[0]):
                tiles.append(refined.crop((left, top, left + share[0], top + share[1])))
        grid = (rows, columns)
    return tiles, grid


def minicpm(name, image, most=9, resolution=56, patch=7):
    tiles, grid = minicpm_tiles(image, most, resolution, patch)
    strips = []
    for tile in tiles:
        numbers = standardised([tile], [0.5] * 3, [0.5] * 3)[0]
        _, h, w = numbers.shape
        strips.append(numbers.reshape(3, h // patch, patch, w).transpose(0, 2, 1, 3).reshape(3, patch, -1))
    settings = {"max_slice_nums": most, "scale_resolution": resolution, "patch_size": patch, "image_feature_size": 5, "version": 2.5}
    files = {"config": {"model_type": "minicpmv"}, "preprocessor": settings}
    return row(name, "minicpmv", files, tiles, np.concatenate(strips, 2), grid, 5 * len(tiles))


def phi_whole(image, most):
    """After the published image processor of Phi-3-vision: the whole, its numbers, and those of its small copy."""
    import torch

    upright = image.width < image.height
    lying = image.transpose(Image.Transpose.TRANSPOSE) if upright else image
    ratio = lying.width / lying.height
    scale = 1
    while scale * np.ceil(scale / ratio) <= most:
        scale += 1
    width = int((scale - 1) * 336)
    height = int(width / ratio)
    resized = lying.resize((width, height), Image.Resampling.BILINEAR)
    full = int(np.ceil(height / 336) * 336)
    padded = Image.new("RGB", (width, full), (255, 255, 255))
    padded.paste(resized, (0, int((full - height) / 2)))
    whole = padded.transpose(Image.Transpose.TRANSPOSE) if upright else padded
    numbers = standardised([whole], *CLIP)
    small = torch.nn.functional.interpolate(torch.from_numpy(numbers), size=(336, 336), mode="bicubic").numpy()
    return whole, numbers, small


def phi(name, image, most):
    whole, numbers, small = phi_whole(image, most)
    columns, rows = whole.width // 336, whole.height // 336
    crops = numbers.reshape(1, 3, rows, 336, columns, 336).transpose(0, 2, 4, 1, 3, 5).reshape(-1, 3, 336, 336)
    tiles = [whole.crop((336 * c, 336 * r, 336 * c + 336, 336 * r + 336)) for r in range(rows) for c in range(columns)]
    files = {"config": {"model_type": "phi3_v"}, "preprocessor": {"num_crops": most}}
    return row(name, "phi3_v", files, tiles, np.concatenate([small, crops]), (rows, columns),
               (rows * columns + 1) * 144 + 1 + (rows + 1) * 12, exact=False)


def processing(folder):
    rows = []
    for size, name in shaped(folder).items():
        image = picture(*size, 1)
        for splitting, longest in ((True, 128), (True, 256), (False, 128)):
            settings = {"size": {"longest_edge": longest}, "max_image_size": {"longest_edge": 32}, "resample": 1,
                        "do_image_splitting": splitting, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
            rows.append(smolvlm(name, image, settings))
        for settings in ({"min_pixels": 56 * 56, "max_pixels": 28 * 28 * 16}, {"size": {"shortest_edge": 3136, "longest_edge": 12845056}},
                         {"patch_size": 16, "size": {"shortest_edge": 16384, "longest_edge": 16777216}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}):
            rows.append(qwen(name, image, settings, "qwen3_vl" if "patch_size" in settings else "qwen2_5_vl"))
        for least, most in ((1, 12), (1, 6), (2, 5)):
            settings = {"size": {"height": 28, "width": 28}, "min_patches": least, "max_patches": most,
                        "image_mean": IMAGENET[0], "image_std": IMAGENET[1]}
            rows.append(internvl(name, image, settings))
            rows.append(internvl_original(name, image, least, most))
        for most in (9, 4):
            rows.append(minicpm(name, image, most))
        if size in SHAPES[::3]:
            rows.append(phi(name, image, 4))
    return rows


def grids(_):
    """InternVL's choice of a grid over many sizes; the order of a set shows where grids are equally near."""
    rng = np.random.default_rng(7)
    sizes = [(int(w), int(h)) for w, h in rng.integers(20, 3000, (150, 2))]
    sizes += [(100 * a, 100 * b) for a in range(1, 13) for b in range(1, 13)]
    return [{"least": least, "most": most, "width": w, "height": h, "grid": internvl_grid((w, h), 448, least, most)}
            for least, most in ((1, 12), (2, 6), (3, 12), (1, 40)) for w, h in sizes]


TEXTS = [
    "What is shown?", "How many circles are red, and how many are blue?", "两条线段的长度之比是多少？", "ما هو مجموع الزوايا؟",
    "Какой столбец выше: A или B?", "त्रिभुज का क्षेत्रफल क्या है?", "三角形の面積は？ 答え：１２", "넓이를 구하세요.",
    "👩‍👩‍👧‍👦 and 🏳️‍🌈 or 🇩🇪?", "Solve \\(x^2 - \\frac{1}{2}x = \\sqrt{\\pi}\\) for $x \\in \\mathbb{R}$.", "∑ᵢ aᵢ² ≤ ∞, α→β ⇒ ¬γ",
    "a  b   c\td\n\ne\r\nf ", " leading", "x" * 40, "3.14159 1,000,000 -42 1e-6", "don't DON'T it's we'll", "é e\u0301 \u00a0 \u200b \ufeff|", "",
]

# What a checkpoint's file looks like, with the idioms that such files use.
TEMPLATES = {
    "smolvlm": "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}{% if message['content'][0]['type'] == 'image' %}{{ ':' }}"
    "{% else %}{{ ': ' }}{% endif %}{% for line in message['content'] %}{% if line['type'] == 'text' %}{{ line['text'] }}{% elif line['type'] == 'image' %}"
    "{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}",
    "qwen2_vl": """{%- set seen = namespace(count=0) -%}
{% for message in messages %}
    {%- if loop.first and message.role != 'system' %}<|im_start|>system\nBe brief.<|im_end|>\n{% endif -%}
    <|im_start|>{{ message['role'] }}
{% if message['content'] is string %}{{ message['content'].strip() }}{% else %}{% for content in message['content'] -%}
    {% if content['type'] == 'image' or 'image' in content %}{% set seen.count = seen.count + 1 %}Picture {{ seen.count }}: <|vision_start|><|image_pad|><|vision_end|>
    {%- elif 'text' in content %}{{ content['text'] }}{% endif %}
{%- endfor %}{% endif %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}""",
    "internvl": "{{ bos_token }}{% for message in messages %}{{ '<|im_start|>' ~ message['role'] + '\n' }}{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<IMG_CONTEXT>\n{% else %}{% generation %}{{ part.text | trim }}{% endgeneration %}{% endif %}{% endfor %}<|im_end|>{% if not loop.last %}{{ {'next': ['<', 1, true, none]} | tojson }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "minicpmv": "{% for message in messages %}{% if message['role'] not in ['user', 'assistant', 'system'] %}{{ raise_exception('who is ' + message['role']) }}{% endif %}"
    "{% set text = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set text = bos_token + text %}{% endif %}{{ text }}{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}",
    "phi3_v": "{% for message in messages %}{{ '<|' + message['role'] + '|>' + '\n' + message['content'] + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
}
SPECIALS = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<image>", "</image>", "<slice>", "</slice>", "<unk>", "<fake_token_around_image>", "<global-img>",
            "<end_of_utterance>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<img>", "</img>", "<IMG_CONTEXT>", "<|start_header_id|>",
            "<|end_header_id|>", "<|eot_id|>", "<|user|>", "<|assistant|>", "<|end|>"] + [f"<row_{r}_col_{c}>" for r in range(1, 4) for c in range(1, 4)]


def tokenizer_of(kind, folder):
    """A byte-level tokenizer with every special token; those after the first ten only in tokenizer_config.json."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    size = tokenizer.get_vocab_size()
    if kind == "phi3_v":
        tokenizer.post_processor = processors.TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", size + 2)])
    tokenizer.add_special_tokens(SPECIALS[:10])
    own = json.loads(tokenizer.to_str())
    tokenizer.add_special_tokens(SPECIALS)
    (folder / f"tokenizer_{kind}.json").write_text(json.dumps(own, ensure_ascii=False))
    config = {"added_tokens_decoder": {str(size + k): {"content": token, "special": True, "normalized": False, "lstrip": False, "rstrip": False, "single_word": False}
                                       for k, token in enumerate(SPECIALS)},
              "bos_token": "<|endoftext|>", "eos_token": {"content": "<|im_end|>", "__type": "AddedToken"}, "pad_token": None,
              "chat_template": TEMPLATES[kind]}
    (folder / f"tokenizer_config_{kind}.json").write_text(json.dumps(config))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<|endoftext|>", eos_token="<|im_end|>", chat_template=TEMPLATES[kind])


def conversations():
    """Messages as parts: text, or none for a picture."""
    for number, text in enumerate(TEXTS):
        yield [("user", [None] * (number % 3) + [text])]
    yield [("system", ["You count."]), ("user", ["first", None, "then", None]), ("assistant", [" two\n"]), ("user", ["and", "?"])]


def prompting(folder):
    import re

    from transformers.models.smolvlm.processing_smolvlm import get_image_prompt_string

    grids = {"smolvlm": [(0, 0), (2, 3)], "qwen2_vl": [(2, 4), (6, 2)], "internvl": [(1, 1), (2, 1)], "minicpmv": [(0, 0), (2, 2)], "phi3_v": [(1, 1), (1, 2)]}
    rows = []
    for kind in TEMPLATES:
        tokenizer = tokenizer_of(kind, folder)
        for turns in conversations():
            pictures = []

            def part(one):
                if one is not None:
                    return one if as_text else {"type": "text", "text": one}
                pictures.append(grids[kind][len(pictures) % 2])
                spelled = {"minicpmv": "(<image>./</image>)\n", "phi3_v": f"<|image_{len(pictures)}|>\n"}
                return spelled[kind] if as_text else {"type": "image"}

            as_text = kind in ("minicpmv", "phi3_v")
            messages = []
            for role, parts in turns:
                parts = [part(one) for one in parts]
                messages.append({"role": role, "content": "".join(parts) if as_text else parts})
            text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            counts = {"smolvlm": lambda r, c: 2 * (r * c + 1), "qwen2_vl": lambda r, c: r * c // 4, "internvl": lambda r, c: 3 * (r * c + (r * c > 1)),
                      "minicpmv": lambda r, c: 2 * (r * c + 1), "phi3_v": lambda r, c: 4 * r * c}[kind]
            count = [counts(*grid) for grid in pictures]

            def expand(k):
                r, c = pictures[k]
                if kind == "smolvlm":
                    return get_image_prompt_string(r, c, 2, "<fake_token_around_image>", "<image>", "<global-img>")
                if kind == "qwen2_vl":
                    return "<|image_pad|>" * count[k]
                if kind == "internvl":
                    return "<img>" + "<IMG_CONTEXT>" * count[k] + "</img>"
                tile = "<image>" + "<unk>" * 2 + "</image>"
                return tile + ("<slice>" + "\n".join([tile * c] * r) + "</slice>" if r else "")

            if kind == "phi3_v":
                chunks = re.split(r"<\|image_\d+\|>", text)
                ids = tokenizer(chunks[0]).input_ids
                for k, chunk in enumerate(chunks[1:]):
                    ids += [-1] * count[k] + tokenizer(chunk).input_ids
            else:
                marker = {"smolvlm": "<image>", "qwen2_vl": "<|image_pad|>", "internvl": "<IMG_CONTEXT>", "minicpmv": "(<image>./</image>)"}[kind]
                chunks = text.split(marker)
                whole = chunks[0] + "".join(expand(k) + chunk for k, chunk in enumerate(chunks[1:]))
                ids = tokenizer(whole).input_ids
            rows.append({"kind": kind, "turns": [[role, list(parts)] for role, parts in turns], "text": text, "tokens": ids,
                         "pictures": [[*grid, n] for grid, n in zip(pictures, count)]})
    return rows


def sentencepieces(folder):
    import sentencepiece

    rows = []
    for name, options in {"llama": {"byte_fallback": True, "remove_extra_whitespaces": False}, "plain": {"byte_fallback": False}}.items():
        out = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([text for text in TEXTS if text] * 3), model_writer=out, model_type="bpe", vocab_size=700,
            character_coverage=0.98, normalization_rule_name="identity", hard_vocab_limit=False, minloglevel=2, **options)
        (folder / f"{name}.model").write_bytes(out.getvalue())
        model = sentencepiece.SentencePieceProcessor(model_proto=out.getvalue())
        for text in TEXTS + ["unseen ☃ snowman", "rereredred  and and  the the"]:
            tokens = model.encode(text)
            rows.append({"model": f"{name}.model", "text": text, "tokens": tokens, "back": model.decode(tokens)})
    return rows


def write(folder):
    folder = folder / "inputs"
    folder.mkdir(parents=True, exist_ok=True)
    index = {"decode": decoding(folder), "resize": resizing(folder), "process": processing(folder), "grids": grids(folder),
             "prompts": prompting(folder), "sentencepiece": sentencepieces(folder)}
    (folder / "index.json").write_text(json.dumps(index, indent=1))
