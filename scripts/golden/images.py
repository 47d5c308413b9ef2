"""Small PNG and JPEG files written by Pillow with the pixels that Pillow reads back, and images resized by Pillow and PyTorch."""

import base64
import io

import numpy as np
import PIL
import torch
from emit import write
from PIL import Image, ImageOps

rng = np.random.default_rng(7)


def noise(h, w, c=None):
    return rng.integers(0, 256, (h, w) if c is None else (h, w, c), dtype=np.uint8)


def smooth(h, w):
    """Red grows to the right, green downwards, blue both ways: survives JPEG within a level or two."""
    y, x = np.mgrid[0:h, 0:w]
    return np.stack([255 * x / (w - 1), 255 * y / (h - 1), 255 * (x + y) / (w + h - 2)], -1).round().astype(np.uint8)


def case(name, image, kind, channels, read="RGBA", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    again = Image.open(io.BytesIO(stream.getvalue()))
    turned = ImageOps.exif_transpose(again)
    pixels = np.asarray(turned if read is None else turned.convert(read))
    return {
        "name": name,
        "channels": channels,
        "shape": list(pixels.shape),
        "file": base64.b64encode(stream.getvalue()).decode(),
        "pixels": pixels.ravel().tolist(),
    }


def palette(bits):
    image = Image.fromarray(rng.integers(0, 2**bits, (3, 5), dtype=np.uint8), "P")
    image.putpalette(rng.integers(0, 256, 3 * 2**bits, dtype=np.uint8).tobytes())
    return image


files = [
    case("PNG, grey, 1 bit", Image.fromarray(noise(3, 11) > 127), "PNG", 1),
    case("PNG, grey, 8 bits", Image.fromarray(noise(3, 5)), "PNG", 1),
    case("PNG, grey, 16 bits", Image.fromarray(rng.integers(0, 65536, (3, 5), dtype=np.uint16)), "PNG", 1, read=None),
    case("PNG, grey and alpha", Image.fromarray(noise(3, 5, 2), "LA"), "PNG", 1),
    case("PNG, grey, one level transparent", Image.fromarray(noise(3, 5) // 64 * 64), "PNG", 1, transparency=64),
    case("PNG, colour", Image.fromarray(noise(3, 5, 3)), "PNG", 3),
    case("PNG, colour and alpha", Image.fromarray(noise(3, 5, 4)), "PNG", 3),
    case("PNG, colour, one transparent", Image.fromarray(noise(1, 4, 1).repeat(3, 2) // 99 * 99), "PNG", 3, transparency=(99, 99, 99)),
    *[case(f"PNG, palette, {bits} bits", palette(bits), "PNG", 3, bits=bits) for bits in (1, 2, 4, 8)],
    case("PNG, palette with alpha", palette(2), "PNG", 3, bits=2, transparency=bytes([0, 100, 255])),
    case("JPEG, baseline", Image.fromarray(smooth(11, 13)), "JPEG", 3, quality=95, subsampling=0),
    case("JPEG, progressive", Image.fromarray(smooth(11, 13)), "JPEG", 3, quality=95, subsampling=0, progressive=True),
    case("JPEG, half the colours", Image.fromarray(smooth(24, 24)), "JPEG", 3, quality=95, subsampling=2),
    case("JPEG, restart markers", Image.fromarray(smooth(20, 20)), "JPEG", 3, quality=95, subsampling=0, restart_marker_blocks=2),
    case("JPEG, grey", Image.fromarray(smooth(11, 13)[..., 2]), "JPEG", 1, quality=95),
    case("JPEG, grey, restart markers", Image.fromarray(smooth(20, 20)[..., 2]), "JPEG", 1, quality=95, restart_marker_blocks=4),
    case("JPEG, red green blue", Image.fromarray(smooth(11, 13)), "JPEG", 3, quality=95, keep_rgb=True, subsampling=0),
]
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[274] = orientation
    files.append(case(f"JPEG, orientation {orientation}", Image.fromarray(smooth(5, 9)[..., 2]), "JPEG", 1, quality=95, exif=exif))

refused = []
for name, image, options in [
    ("JPEG of four colours", Image.fromarray(noise(4, 4, 4), "CMYK"), {"format": "JPEG", "quality": 20}),
    ("GIF", Image.fromarray(noise(2, 2)), {"format": "GIF"}),
    ("BMP", Image.fromarray(noise(2, 2)), {"format": "BMP"}),
    ("TIFF", Image.fromarray(noise(2, 2)), {"format": "TIFF"}),
    ("WebP", Image.fromarray(noise(2, 2, 3)), {"format": "WEBP", "lossless": True}),
    ("AVIF", Image.fromarray(noise(2, 2, 3)), {"format": "AVIF"}),
]:
    stream = io.BytesIO()
    image.save(stream, **options)
    refused.append({"name": name, "file": base64.b64encode(stream.getvalue()).decode()})


def stretched(image, size):
    """PyTorch in f64; Pillow in f32 must say the same."""
    x = torch.from_numpy(image)[None].double()
    y = torch.nn.functional.interpolate(x, size=size, mode="bilinear", antialias=True, align_corners=False)[0].numpy()
    for plane, other in zip(image, y):
        pillow = Image.fromarray(plane.astype(np.float32)).resize(size[::-1], Image.Resampling.BILINEAR)
        assert np.abs(np.asarray(pillow) - other).max() < 1e-5
    return y


def cropped(image, size):
    """torchvision's Resize(shorter side) and CenterCrop, for sizes that are squares (transforms/functional.py)."""
    h, w = image.shape[1:]
    side = size[0]
    long = int(side * max(h, w) / min(h, w))
    y = stretched(image, (side, long) if h <= w else (long, side))
    top, left = (round((n - side) / 2.0) for n in y.shape[1:])
    return y[:, top : top + side, left : left + side]


resized = []
for c, h, w, size, fit in [
    (1, 7, 9, (3, 4), "stretch"),
    (2, 5, 4, (8, 11), "stretch"),
    (1, 10, 3, (4, 6), "stretch"),
    (1, 1, 6, (3, 2), "stretch"),
    (1, 8, 8, (1, 1), "stretch"),
    (1, 6, 11, (4, 4), "crop"),
    (1, 13, 5, (4, 4), "crop"),
    (1, 3, 4, (6, 6), "crop"),
]:
    x = rng.integers(0, 100, (c, h, w)) / 100
    y = (stretched if fit == "stretch" else cropped)(x, size)
    resized.append({"x": {"shape": x.shape, "data": x.ravel()}, "size": size, "fit": fit, "y": [float(f"{v:.12g}") for v in y.ravel()]})

write(
    "images.json",
    {
        "about": f"Pillow {PIL.__version__}, PyTorch {torch.__version__}. files: base64, and what Pillow decodes, turned as EXIF says, "
        "as RGBA (grey of 16 bits: as it is), row-major [h, w, c]; refused: base64; resized: [c, h, w], bilinear, antialias",
        "files": files,
        "refused": refused,
        "resized": resized,
    },
)
