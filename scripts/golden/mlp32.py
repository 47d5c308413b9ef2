"""Losses of two short trainings from weights and data that an integer formula gives, so that nothing large is stored.

mlp32: 784-128-10, ReLU, mean softmax cross-entropy, Adam (PyTorch's defaults, lr 1e-3), one batch of 32, 20 steps.
sgd1: logistic regression on 100 features, plain SGD, lr 0.01, batch 1, 50 examples in order.

The formula, 32-bit unsigned integers: s ← s*1664525 + 1013904223 mod 2^32, u = s / 2^32, starting from a seed per
tensor; the first number uses s after one step. Tensors are filled in row-major order. The product stays below 2^53, so
a double holds it exactly.
  weight, bias: float32((2u - 1) / sqrt(fan_in)), in float64, then rounded
  x:            float32(u)
  label:        floor(u * classes)
"""

import numpy as np
import torch
import torch.nn.functional as F

from emit import write
from formula import labels, uniforms


def weights(seed, shape, fan_in):
    return ((2 * uniforms(seed, int(np.prod(shape))) - 1) / np.sqrt(fan_in)).astype(np.float32).reshape(shape)


def data(seed, shape):
    return uniforms(seed, int(np.prod(shape))).astype(np.float32).reshape(shape)


def sums(parameters):
    """Σ and Σ|·| of each final tensor, summed in float64."""
    return {k: {"sum": p.double().sum().item(), "abs": p.double().abs().sum().item()} for k, p in parameters.items()}


MLP = {"w1": (1, (784, 128), 784), "b1": (2, (128,), 784), "w2": (3, (128, 10), 128), "b2": (4, (10,), 128)}
X_SEED, Y_SEED = 5, 6


def mlp32(dtype):
    p = {k: torch.tensor(weights(*v)).to(dtype).requires_grad_() for k, v in MLP.items()}
    x = torch.tensor(data(X_SEED, (32, 784))).to(dtype)
    y = torch.tensor(labels(Y_SEED, 32, 10))
    opt = torch.optim.Adam(list(p.values()), lr=1e-3)
    losses = []
    for _ in range(20):
        opt.zero_grad()
        loss = F.cross_entropy(torch.relu(x @ p["w1"] + p["b1"]) @ p["w2"] + p["b2"], y)
        loss.backward()
        opt.step()
        losses.append(loss.item())
    return {"losses": losses, "final": sums(p)}


def sgd1(dtype):
    w = torch.tensor(weights(11, (100, 1), 100)).to(dtype).requires_grad_()
    b = torch.zeros(1, dtype=dtype, requires_grad=True)
    xs = torch.tensor(data(12, (50, 100))).to(dtype)
    ys = torch.tensor(labels(13, 50, 2)).to(dtype)
    opt = torch.optim.SGD([w, b], lr=0.01)
    losses = []
    for x, y in zip(xs, ys):
        opt.zero_grad()
        loss = F.binary_cross_entropy_with_logits(x @ w + b, y[None])
        loss.backward()
        opt.step()
        losses.append(loss.item())
    return {"losses": losses, "final": sums({"w": w, "b": b})}


def sample(array):
    """The first three numbers: a check of the generator on the other side."""
    return array.ravel()[:3]


write(
    "mlp32.json",
    {
        "about": "scripts/golden/mlp32.py. s = (s*1664525 + 1013904223) mod 2^32 from each tensor's seed, u = s/2^32,"
        " one u per entry in row-major order (the first u after one step). weights: float32((2u - "
        "1)/sqrt(fanIn)); x: float32(u); labels: floor(u*classes). Weights are [in, out] and y = x @ w + b. "
        "losses[i] is the loss before update i + 1. final: sum and sum of absolute values of each tensor "
        "after the last update. first: the first three entries. f64 runs start from the same float32 "
        "numbers.",
        "library": f"torch {torch.__version__.split('+')[0]}",
        "mlp32": {
            "model": {"layers": [784, 128, 10], "activation": "relu", "loss": "softmax cross-entropy, mean over 32"},
            "optimizer": {"name": "adam", "lr": 1e-3, "b1": 0.9, "b2": 0.999, "eps": 1e-8},
            "steps": 20,
            "tensors": {
                **{
                    k: {"seed": s, "shape": d, "fanIn": f, "first": sample(weights(s, d, f))}
                    for k, (s, d, f) in MLP.items()
                },
                "x": {"seed": X_SEED, "shape": [32, 784], "first": sample(data(X_SEED, (32, 784)))},
                "labels": {"seed": Y_SEED, "shape": [32], "classes": 10, "first": sample(labels(Y_SEED, 32, 10))},
            },
            "f32": mlp32(torch.float32),
            "f64": mlp32(torch.float64),
        },
        "sgd1": {
            "model": {"features": 100, "loss": "binary cross-entropy with logits", "batch": 1},
            "optimizer": {"name": "sgd", "lr": 0.01},
            "steps": 50,
            "tensors": {
                "w": {"seed": 11, "shape": [100, 1], "fanIn": 100, "first": sample(weights(11, (100, 1), 100))},
                "b": {"shape": [1], "value": 0},
                "x": {"seed": 12, "shape": [50, 100], "first": sample(data(12, (50, 100)))},
                "labels": {"seed": 13, "shape": [50], "classes": 2, "first": sample(labels(13, 50, 2))},
            },
            "f32": sgd1(torch.float32),
            "f64": sgd1(torch.float64),
        },
    },
)
