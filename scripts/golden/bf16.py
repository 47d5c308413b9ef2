"""PyTorch's rounding of f32 to bfloat16, in bits. → test/golden/bf16.json

Pairs [f32, bf16] of bit patterns: signed zeros, denormals of both, ties to both sides, the largest numbers and what
overflows, infinities, and bits without a plan. A NaN's bits are a machine's own affair: there are none here.
"""
import random

import torch
from emit import write

random.seed(1)
upper = [0x0000, 0x0001, 0x007F, 0x0080, 0x3F80, 0x3F81, 0x4049, 0x7F7E, 0x7F7F]
lower = [0x0000, 0x0001, 0x7FFF, 0x8000, 0x8001, 0xFFFF]
bits = [s | u << 16 | l for s in (0, 1 << 31) for u in upper for l in lower]
bits += [0x7F800000, 0xFF800000]
bits += [b for b in (random.getrandbits(32) for _ in range(220)) if b >> 23 & 0xFF != 0xFF]
signed = torch.tensor([b - (b >> 31 << 32) for b in bits], dtype=torch.int32)
rounded = signed.view(torch.float32).to(torch.bfloat16).view(torch.int16)
write(
    "bf16.json",
    {
        "about": "scripts/golden/bf16.py. bits: patterns of an f32 and of the bfloat16 that it is rounded to.",
        "library": f"torch {torch.__version__.split('+')[0]}",
        "bits": [[b, r & 0xFFFF] for b, r in zip(bits, rounded.tolist())],
    },
)
