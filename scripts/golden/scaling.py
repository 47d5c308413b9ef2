"""The scales of PyTorch's GradScaler for sequences of finite and non-finite gradients. → test/golden/scaling.json

Each case: the scale after every step, for steps whose gradients were finite (1) or not (0).
"""
import random

import torch
from emit import write


def scales(start, interval, finite):
    w = torch.nn.Parameter(torch.ones(1))
    rule = torch.optim.SGD([w], lr=0.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=start, growth_interval=interval)
    out = []
    for ok in finite:
        rule.zero_grad()
        scaler.scale(w.sum() * (1.0 if ok else float("inf"))).backward()
        scaler.step(rule)
        scaler.update()
        out.append(scaler.get_scale())
    return out


random.seed(3)
cases = [
    (65536.0, 3, [1] * 10),
    (65536.0, 2, [0] * 20),
    (65536.0, 4, [1, 1, 1, 0, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1]),
    (1.0, 1, [1, 1, 0, 1, 0, 0, 1]),
    (2.0**126, 1, [1, 1, 1, 0, 1]),
    (1024.0, 3, [int(random.random() < 0.75) for _ in range(60)]),
]
default = torch.amp.GradScaler("cpu")
write(
    "scaling.json",
    {
        "about": "scripts/golden/scaling.py. scales: after each step whose gradients were finite (1) or not (0).",
        "library": f"torch {torch.__version__.split('+')[0]}",
        "defaults": {
            "start": default._init_scale,
            "growth": default.get_growth_factor(),
            "backoff": default.get_backoff_factor(),
            "interval": default.get_growth_interval(),
        },
        "cases": [
            {"start": s, "interval": i, "finite": f, "scales": scales(s, i, f)} for s, i, f in cases
        ],
    },
)
