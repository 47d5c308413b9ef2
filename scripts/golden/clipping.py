"""Gradients before and after each kind of clipping: PyTorch (global norm, value), Optax (global norm, value, per
tensor), Keras (per tensor, global norm, value). float64, and the float32 example [3, 4], [12]."""

import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_ENABLE_X64"] = "1"

import jax.numpy as jnp
import keras
import numpy as np
import optax
import torch

from emit import write

keras.config.set_floatx("float64")

GRADIENTS = {
    "example": [[3.0, 4.0], [12.0]],  # norm 13
    "mixed": [[[0.5, -2.0], [1.5, 0.25], [-0.75, 3.0]], [0.125, -4.0]],
    "small": [[0.01, -0.02], [0.005]],  # below every limit: unchanged
    "zero": [[0.0, 0.0], [0.0]],
    "one-zero-tensor": [[0.0, 0.0], [5.0, -12.0]],
}
LIMITS = [6.5, 1.0, 0.5]


def with_torch(clip, gradients, limit, dtype=torch.float64):
    parameters = [torch.nn.Parameter(torch.zeros(np.shape(g), dtype=dtype)) for g in gradients]
    for p, g in zip(parameters, gradients):
        p.grad = torch.tensor(g, dtype=dtype)
    norm = clip(parameters, limit)
    return [p.grad for p in parameters], norm


def with_optax(tx, gradients, dtype=jnp.float64):
    g = [jnp.asarray(g, dtype) for g in gradients]
    return tx.update(g, tx.init(g))[0]


def with_keras(option, gradients, limit):
    # SGD at rate 1 from zero weights: the step is the clipped gradient, negated.
    w = [keras.Variable(np.zeros(np.shape(g)), dtype="float64") for g in gradients]
    keras.optimizers.SGD(1.0, **{option: limit}).apply([jnp.asarray(g) for g in gradients], w)
    return [0.0 - np.asarray(v.value) for v in w]


cases = []
for name, g in GRADIENTS.items():
    for limit in LIMITS:
        after, norm = with_torch(torch.nn.utils.clip_grad_norm_, g, limit)
        common = {"gradients": g, "limit": limit}
        cases += [
            {
                "name": f"{name}-{limit}",
                "dialect": "torch",
                "kind": "globalNorm",
                **common,
                "norm": norm,
                "clipped": after,
            },
            {
                "name": f"{name}-{limit}",
                "dialect": "torch",
                "kind": "value",
                **common,
                "clipped": with_torch(torch.nn.utils.clip_grad_value_, g, limit)[0],
            },
            {
                "name": f"{name}-{limit}",
                "dialect": "optax",
                "kind": "globalNorm",
                **common,
                "norm": float(optax.global_norm([jnp.asarray(x) for x in g])),
                "clipped": with_optax(optax.clip_by_global_norm(limit), g),
            },
            {
                "name": f"{name}-{limit}",
                "dialect": "optax",
                "kind": "value",
                **common,
                "clipped": with_optax(optax.clip(limit), g),
            },
            {
                "name": f"{name}-{limit}",
                "dialect": "keras",
                "kind": "tensorNorm",
                **common,
                "clipped": with_keras("clipnorm", g, limit),
            },
            {
                "name": f"{name}-{limit}",
                "dialect": "keras",
                "kind": "globalNorm",
                **common,
                "clipped": with_keras("global_clipnorm", g, limit),
            },
            {
                "name": f"{name}-{limit}",
                "dialect": "keras",
                "kind": "value",
                **common,
                "clipped": with_keras("clipvalue", g, limit),
            },
        ]
for c in cases:
    c["dtype"] = "f64"

g = GRADIENTS["example"]
cases += [
    {
        "name": "example-6.5",
        "dialect": "torch",
        "kind": "globalNorm",
        "gradients": g,
        "limit": 6.5,
        "clipped": with_torch(torch.nn.utils.clip_grad_norm_, g, 6.5, torch.float32)[0],
        "dtype": "f32",
    },
    {
        "name": "example-6.5",
        "dialect": "optax",
        "kind": "globalNorm",
        "gradients": g,
        "limit": 6.5,
        "clipped": with_optax(optax.clip_by_global_norm(6.5), g, jnp.float32),
        "dtype": "f32",
    },
]

write(
    "clipping.json",
    {
        "about": "scripts/golden/clipping.py. gradients: a list of tensors; clipped: the same after clipping. "
        "globalNorm: one norm over all tensors; tensorNorm: each tensor by its own; value: each entry to "
        "[-limit, limit]. norm: before clipping. torch scales by min(1, limit/(norm + 1e-6)), the others by "
        "limit/norm.",
        "libraries": {"torch": torch.__version__.split("+")[0], "optax": optax.__version__, "keras": keras.__version__},
        "cases": cases,
    },
)
