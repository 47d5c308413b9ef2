"""Learning rates of PyTorch's schedulers and Optax's schedules at steps 0 to 25, lr0 = 0.1.

rates[t] is the rate that the step after t finished steps uses: PyTorch's get_last_lr after t calls of step(),
Optax's schedule(t)."""

import os
import warnings

os.environ["JAX_ENABLE_X64"] = "1"

import jax.numpy as jnp
import optax
import torch
from torch.optim import lr_scheduler as lrs

from emit import write

STEPS = 26
LR = 0.1
cases = []


def torch_case(name, settings, make, momentum=False, steps=STEPS):
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR, momentum=0.9)
    schedule = make(opt)
    rates, momenta = [], []
    for t in range(steps):
        rates.append(opt.param_groups[0]["lr"])
        momenta.append(opt.param_groups[0]["momentum"])
        opt.step()
        if t + 1 < steps:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # SequentialLR passes a deprecated argument to itself
                schedule.step()
    case = {"name": name, "dialect": "torch", "settings": settings, "rates": rates}
    cases.append(case | {"momenta": momenta} if momentum else case)


def optax_case(name, settings, schedule):
    rates = [float(schedule(jnp.asarray(t))) for t in range(STEPS)]
    cases.append({"name": name, "dialect": "optax", "settings": settings, "rates": rates})


torch_case("constant", {"lr": LR}, lambda o: lrs.LambdaLR(o, lambda t: 1.0))
torch_case("step", {"lr": LR, "every": 3, "gamma": 0.5}, lambda o: lrs.StepLR(o, 3, 0.5))
torch_case(
    "multiStep", {"lr": LR, "milestones": [2, 5, 13], "gamma": 0.1}, lambda o: lrs.MultiStepLR(o, [2, 5, 13], 0.1)
)
torch_case("exponential", {"lr": LR, "gamma": 0.9}, lambda o: lrs.ExponentialLR(o, 0.9))
for power in (1.0, 2.0, 0.5):
    torch_case("polynomial", {"lr": LR, "steps": 10, "power": power}, lambda o: lrs.PolynomialLR(o, 10, power))
torch_case(
    "linear", {"lr": LR, "startFactor": 1 / 3, "endFactor": 1.0, "steps": 5}, lambda o: lrs.LinearLR(o, 1 / 3, 1.0, 5)
)
torch_case(
    "linear", {"lr": LR, "startFactor": 0.01, "endFactor": 1.0, "steps": 8}, lambda o: lrs.LinearLR(o, 0.01, 1.0, 8)
)
torch_case(
    "cosine",
    {"lr": LR, "steps": 10, "floor": 1e-3, "note": "torch climbs again after `steps`"},
    lambda o: lrs.CosineAnnealingLR(o, 10, 1e-3),
)
torch_case("cosine", {"lr": LR, "steps": 20, "floor": 0.0}, lambda o: lrs.CosineAnnealingLR(o, 20))
torch_case(
    "warmRestarts",
    {"lr": LR, "first": 4, "multiply": 2, "floor": 0.0},
    lambda o: lrs.CosineAnnealingWarmRestarts(o, 4, 2),
)
torch_case(
    "oneCycle",
    {"max": LR, "steps": 20, "pctStart": 0.3, "div": 25, "finalDiv": 1e4, "note": "steps 0 to 19 only"},
    lambda o: lrs.OneCycleLR(o, LR, total_steps=20),
    momentum=True,
    steps=20,
)
torch_case(
    "oneCycle",
    {"max": LR, "steps": 26, "pctStart": 0.25, "div": 10, "finalDiv": 100},
    lambda o: lrs.OneCycleLR(o, LR, total_steps=26, pct_start=0.25, div_factor=10, final_div_factor=100),
    momentum=True,
)
torch_case("triangular", {"floor": 0.01, "max": LR, "up": 4}, lambda o: lrs.CyclicLR(o, 0.01, LR, 4), momentum=True)
torch_case(
    "warmupCosine",
    {
        "lr": LR,
        "warmup": 5,
        "startFactor": 0.01,
        "steps": 15,
        "floor": 0.0,
        "note": "SequentialLR of linear and cosine; the cosine (10 steps) climbs again after 15",
    },
    lambda o: lrs.SequentialLR(o, [lrs.LinearLR(o, 0.01, 1.0, 5), lrs.CosineAnnealingLR(o, 10)], [5]),
)

optax_case("constant", {"lr": LR}, optax.constant_schedule(LR))
optax_case("linear", {"from": 0.0, "to": LR, "steps": 5}, optax.linear_schedule(0.0, LR, 5))
optax_case("exponential", {"lr": LR, "gamma": 0.9, "every": 1}, optax.exponential_decay(LR, 1, 0.9))
optax_case("exponential", {"lr": LR, "gamma": 0.5, "every": 4}, optax.exponential_decay(LR, 4, 0.5))
optax_case(
    "exponential",
    {"lr": LR, "gamma": 0.5, "every": 4, "staircase": True},
    optax.exponential_decay(LR, 4, 0.5, staircase=True),
)
for power in (1, 2):
    optax_case(
        "polynomial",
        {"lr": LR, "to": 1e-3, "steps": 10, "power": power},
        optax.polynomial_schedule(LR, 1e-3, power, 10),
    )
optax_case("cosine", {"lr": LR, "steps": 10, "floor": 1e-3}, optax.cosine_decay_schedule(LR, 10, alpha=1e-2))
optax_case("cosine", {"lr": LR, "steps": 20, "floor": 0.0}, optax.cosine_decay_schedule(LR, 20))
optax_case(
    "warmupCosine",
    {"from": 0.0, "peak": LR, "warmup": 5, "steps": 15, "floor": 0.0},
    optax.warmup_cosine_decay_schedule(0.0, LR, 5, 15, 0.0),
)
optax_case(
    "warmupCosine",
    {"from": 0.01, "peak": LR, "warmup": 4, "steps": 20, "floor": 0.005},
    optax.warmup_cosine_decay_schedule(0.01, LR, 4, 20, 0.005),
)
optax_case(
    "oneCycle",
    {"max": LR, "steps": 20, "pctStart": 0.3, "div": 25, "finalDiv": 1e4},
    optax.cosine_onecycle_schedule(20, LR),
)
optax_case(
    "join",
    {
        "parts": [
            {"schedule": "linear", "from": 0.0, "to": LR, "steps": 5},
            {"schedule": "constant", "lr": LR},
            {"schedule": "exponential", "lr": LR, "gamma": 0.5, "every": 2},
        ],
        "boundaries": [5, 12],
    },
    optax.join_schedules(
        [optax.linear_schedule(0.0, LR, 5), optax.constant_schedule(LR), optax.exponential_decay(LR, 2, 0.5)], [5, 12]
    ),
)

write(
    "schedules.json",
    {
        "about": "scripts/golden/schedules.py. rates[t]: the learning rate after t finished steps, t = 0..25. torch "
        "computes some of them by recurrence, so its last digits differ from the closed form's by a few "
        "1e-17. momenta: the momentum that the same scheduler sets. every: steps per factor gamma. div: "
        "max/start; finalDiv: start/end.",
        "libraries": {"torch": torch.__version__.split("+")[0], "optax": optax.__version__},
        "cases": cases,
    },
)
