"""Trajectories of PyTorch's optimizers whose momentum, or beta1, a scheduler cycles against the rate.

Every trajectory is walked a second time with gradients taken an ulp beside the point, and must end in the same place."""

import numpy as np
import torch
from torch.optim import lr_scheduler as lrs

from emit import write

torch.set_default_dtype(torch.float64)

X = np.array([[1, -2, 0.5], [0, 1, 2], [-1, 0.5, 1], [2, 1, -1]])
T = np.array([[0.5, -0.25], [-0.75, 0.5], [0.25, 0], [0, 0.75]])
START = {"A": np.array([[0.5, -1], [0.25, 0.75], [-0.5, 1.0]]), "b": np.array([0.125, -0.5])}
STEPS = [1, 2, 3, 5, 10, 20, 40]


def walk(make, scheduler, noise):
    shake = np.random.default_rng(1)
    p = {k: torch.nn.Parameter(torch.tensor(v)) for k, v in START.items()}
    optimizer = make(list(p.values()))
    schedule = scheduler(optimizer)
    points = []
    for t in range(1, STEPS[-1] + 1):
        beside = {k: v.detach() * torch.tensor(1 + noise * shake.uniform(-1, 1, v.shape)) for k, v in p.items()}
        near = {k: v.requires_grad_() for k, v in beside.items()}
        ((torch.tanh(torch.tensor(X) @ near["A"] + near["b"]) - torch.tensor(T)) ** 2).sum().backward()
        for k, v in p.items():
            v.grad = near[k].grad
        optimizer.step()
        if t < STEPS[-1]:
            schedule.step()
        if t in STEPS:
            points.append({k: v.detach().numpy().copy() for k, v in p.items()})
    return points


cases = []


def case(optimizer, make, cycle, settings, scheduler):
    """settings: of the schedule and of the momentum's cycle, in Downhill's names."""
    points, shaken = walk(make, scheduler, 0.0), walk(make, scheduler, 2.0**-52)
    change = max(np.abs(a[k] - b[k]).max() / np.abs(a[k]).max() for a, b in zip(points, shaken) for k in a)
    assert change < 1e-11, (optimizer, change)
    cases.append(
        {"optimizer": optimizer, "cycle": cycle, **settings, "points": {k: [q[k] for q in points] for k in START}}
    )


to = torch.optim
one = {"schedule": {"lr": 0.05, "steps": 40}, "momentum": {"steps": 40}}
case("momentum", lambda p: to.SGD(p, momentum=0.9), "oneCycle", one, lambda o: lrs.OneCycleLR(o, 0.05, total_steps=40))
case("adamW", lambda p: to.AdamW(p), "oneCycle", one, lambda o: lrs.OneCycleLR(o, 0.05, total_steps=40))
case(
    "adam",
    lambda p: to.Adam(p),
    "oneCycle",
    {
        "schedule": {"lr": 0.02, "steps": 40, "pctStart": 0.5},
        "momentum": {"steps": 40, "pctStart": 0.5, "high": 0.9, "low": 0.5},
    },
    lambda o: lrs.OneCycleLR(o, 0.02, total_steps=40, pct_start=0.5, max_momentum=0.9, base_momentum=0.5),
)
case(
    "nesterov",
    lambda p: to.SGD(p, lr=0.01, momentum=0.9, nesterov=True),
    "triangular",
    {"schedule": {"lr": 0.04, "floor": 0.01, "up": 3, "down": 5}, "momentum": {"up": 3, "down": 5}},
    lambda o: lrs.CyclicLR(o, 0.01, 0.04, 3, 5),
)
case(
    "momentum",
    lambda p: to.SGD(p, lr=0.01, momentum=0.9),
    "triangular",
    {
        "schedule": {"lr": 0.04, "floor": 0.01, "up": 4, "mode": "triangular2"},
        "momentum": {"up": 4, "mode": "triangular2", "high": 0.95, "low": 0.6},
    },
    lambda o: lrs.CyclicLR(o, 0.01, 0.04, 4, mode="triangular2", max_momentum=0.95, base_momentum=0.6),
)
case(
    "adam",
    lambda p: to.Adam(p, lr=0.01),
    "triangular",
    {
        "schedule": {"lr": 0.04, "floor": 0.01, "up": 4, "mode": "exp_range", "gamma": 0.95},
        "momentum": {"up": 4, "mode": "exp_range", "gamma": 0.95},
    },
    lambda o: lrs.CyclicLR(o, 0.01, 0.04, 4, mode="exp_range", gamma=0.95),
)

write(
    "momentum-cycle.json",
    {
        "about": "scripts/golden/momentum-cycle.py. Parameters after the listed steps of PyTorch's optimizers under "
        "OneCycleLR and CyclicLR, which set momentum or beta1 as well, on sum((tanh(X @ A + b) - T)^2).",
        "libraries": {"torch": torch.__version__.split("+")[0]},
        "problem": {"X": X, "T": T, "start": START},
        "steps": STEPS,
        "cases": cases,
    },
)
