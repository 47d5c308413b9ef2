"""PyTorch's rounding of f32 to bfloat16 and to IEEE half, in bits. → test/golden/halves.json

Pairs [f32, rounded] of bit patterns: signed zeros, denormals of both, ties to both sides, the largest numbers and what
overflows, infinities, and bits without a plan. A NaN's bits are a machine's own affair: there are none here. NumPy has
to agree on the halves.
"""
import random

import numpy as np
import torch
from emit import write

random.seed(1)
upper = [0x0000, 0x0001, 0x007F, 0x0080, 0x3F80, 0x3F81, 0x4049, 0x7F7E, 0x7F7F]
lower = [0x0000, 0x0001, 0x7FFF, 0x8000, 0x8001, 0xFFFF]
bits = [s | u << 16 | l for s in (0, 1 << 31) for u in upper for l in lower]
bits += [0x7F800000, 0xFF800000]
bits += [b for b in (random.getrandbits(32) for _ in range(220)) if b >> 23 & 0xFF != 0xFF]

# Seams of halves: multiples of half a spacing and their neighbours, around 0, 2^-14, 1, 65504 and 65520.
spots = [k * 2.0**-25 for k in (0, 1, 2, 3, 4, 5, 1022, 1023, 1024, 1025, 2046, 2047, 2048, 2049, 2050, 4095, 4096, 4097)]
spots += [1 + k * 2.0**-11 for k in (-3, -2, -1, 0, 1, 2, 3, 4, 5)]
spots += [65488.0, 65504.0, 65512.0, 65519.0, 65520.0, 65535.0, 65536.0, 131072.0]
spots = np.array(spots, dtype=np.float32)
near = np.concatenate([spots, np.nextafter(spots, np.float32(np.inf)), np.nextafter(spots, np.float32(-np.inf))])
halved = bits + [int(b) for b in np.concatenate([near, -near]).view(np.uint32)]
halved += [s << 31 | random.randrange(100, 145) << 23 | random.getrandbits(23) for s in (0, 1) for _ in range(150)]


def rounded(patterns, dtype):
    signed = torch.tensor([b - (b >> 31 << 32) for b in patterns], dtype=torch.int32)
    out = signed.view(torch.float32).to(dtype).view(torch.int16)
    return [[b, r & 0xFFFF] for b, r in zip(patterns, out.tolist())]


f16 = rounded(halved, torch.float16)
with np.errstate(over="ignore"):
    numpy = np.array(halved, dtype=np.uint32).view(np.float32).astype(np.float16).view(np.uint16)
assert [r for _, r in f16] == numpy.tolist()
write(
    "halves.json",
    {
        "about": "scripts/golden/halves.py. Patterns of an f32 and of the float of 16 bits that it is rounded to.",
        "library": f"torch {torch.__version__.split('+')[0]}, numpy {np.__version__}",
        "bf16": rounded(bits, torch.bfloat16),
        "f16": f16,
    },
)
