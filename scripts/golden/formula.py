"""Numbers from an integer formula, the one of bench/noise.ts; mlp32.py says it in words."""

import numpy as np


def uniforms(seed, count):
    s, out = seed, []
    for _ in range(count):
        s = (s * 1664525 + 1013904223) % 2**32
        out.append(s / 2**32)
    return np.array(out)


def labels(seed, count, classes):
    return np.floor(uniforms(seed, count) * classes).astype(np.int64)
