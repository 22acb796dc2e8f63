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


def write(folder):
    folder = folder / "inputs"
    folder.mkdir(parents=True, exist_ok=True)
    index = {"decode": decoding(folder), "resize": resizing(folder)}
    (folder / "index.json").write_text(json.dumps(index, indent=1))
