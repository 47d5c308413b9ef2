"""Learning rates of the schedulers of PyTorch, Optax and transformers at steps 0 to 25, lr0 = 0.1.

rates[t] is the rate that the step after t finished steps uses: PyTorch's get_last_lr after t calls of step(),
Optax's schedule(t). Two schedulers follow what is measured after each step, `measured`."""

import math
import os
import warnings

os.environ["JAX_ENABLE_X64"] = "1"

import jax.numpy as jnp
import optax
import torch
import transformers
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


def transformers_case(name, settings, make, shift=0):
    """shift: how many steps later than here that library counts."""
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    factor = make(opt).lr_lambdas[0]
    rates = [LR * factor(t + shift) for t in range(STEPS)]
    cases.append({"name": name, "dialect": "transformers", "settings": settings, "rates": rates})


def measured(n):
    """Losses that fall, stall, rise and fall again, with one that is not a number."""
    down = [1, 0.9, 0.9, 0.90001, 0.95, 0.9, 0.9, 0.9, 0.8, 0.79995, 0.8, math.nan, 0.8, 0.85, 0.7, 0.6, 0.6, 0.6, 0.6]
    return (down + [0.6] * n)[:n]


def torch_plateau(settings, **arguments):
    metrics = [1 - m if settings.get("better") == "higher" else m for m in measured(STEPS - 1)]
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    plateau = lrs.ReduceLROnPlateau(opt, **arguments)
    rates = [LR]
    for m in metrics:
        plateau.step(m)
        rates.append(opt.param_groups[0]["lr"])
    case = {"name": "plateau", "dialect": "torch", "settings": {"lr": LR, **settings}}
    cases.append(case | {"measured": metrics, "rates": rates})


def optax_plateau(settings, **arguments):
    """Optax scales updates: of an update of 1 by lr there remains the rate."""
    plateau = optax.contrib.reduce_on_plateau(atol=0.0, **arguments)
    state, rates = plateau.init(jnp.zeros(())), [LR]
    for m in measured(STEPS - 1):
        rate, state = plateau.update(jnp.asarray(LR), state, value=m)
        rates.append(float(rate))
    case = {"name": "plateau", "dialect": "optax", "settings": {"lr": LR, **settings}}
    cases.append(case | {"measured": measured(STEPS - 1), "rates": rates})


def paper_case(name, settings, rate):
    """rate(n) of step number n = 1, 2, … as a paper writes it, scaled so that its largest value is lr."""
    rates = [rate(n) for n in range(1, 10_000)]
    cases.append(
        {"name": name, "dialect": "paper", "settings": settings, "rates": [LR * r / max(rates) for r in rates[:STEPS]]}
    )


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
    "warmRestarts",
    {"lr": LR, "first": 5, "multiply": 1, "floor": 0.01},
    lambda o: lrs.CosineAnnealingWarmRestarts(o, 5, 1, 0.01),
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
torch_case("triangular", {"floor": 0.01, "max": LR, "up": 3, "down": 5}, lambda o: lrs.CyclicLR(o, 0.01, LR, 3, 5))
torch_case(
    "triangular",
    {"floor": 0.01, "max": LR, "up": 4, "mode": "triangular2"},
    lambda o: lrs.CyclicLR(o, 0.01, LR, 4, mode="triangular2"),
    momentum=True,
)
torch_case(
    "triangular",
    {"floor": 0.02, "max": LR, "up": 2, "down": 4, "mode": "exp_range", "gamma": 0.9},
    lambda o: lrs.CyclicLR(o, 0.02, LR, 2, 4, mode="exp_range", gamma=0.9),
)
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
torch_plateau({"factor": 0.5, "patience": 2}, factor=0.5, patience=2)
torch_plateau({"factor": 0.5, "patience": 0, "cooldown": 2}, factor=0.5, patience=0, cooldown=2)
torch_plateau({"factor": 0.3, "patience": 1, "floor": 0.02}, factor=0.3, patience=1, min_lr=0.02)
torch_plateau(
    {"factor": 0.5, "patience": 1, "threshold": 0.2, "metric": "score", "better": "higher"},
    factor=0.5,
    patience=1,
    threshold=0.2,
    mode="max",
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
CYCLES = [(LR, 4), (LR * 0.5, 8), (LR * 0.25, 16)]
optax_case(
    "warmRestarts",
    {"lr": LR, "first": 4, "multiply": 2, "decay": 0.5, "floor": 0.0},
    optax.sgdr_schedule(
        [dict(init_value=p, peak_value=p, decay_steps=n, warmup_steps=0, end_value=0.0) for p, n in CYCLES]
    ),
)
optax_plateau({"factor": 0.5, "patience": 3, "note": "counts one less"}, factor=0.5, patience=3)
optax_plateau(
    {"factor": 0.5, "patience": 2, "cooldown": 3, "floor": 0.02}, factor=0.5, patience=2, cooldown=3, min_scale=0.2
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

for shape in ("linear", "1-sqrt", "cosine"):
    transformers_case(
        "wsd",
        {"lr": LR, "warmup": 4, "cooldown": 8, "steps": 22, "shape": shape.removeprefix("1-")},
        lambda o: transformers.get_wsd_schedule(o, 4, 8, num_training_steps=22, decay_type=shape),
    )
transformers_case(
    "wsd",
    {"lr": LR, "warmup": 3, "cooldown": 5, "steps": 20, "shape": "sqrt", "from": 0.01, "floor": 0.01},
    lambda o: transformers.get_wsd_schedule(o, 3, 5, num_training_steps=20, decay_type="1-sqrt", min_lr_ratio=0.1),
)
transformers_case(
    "inverseSquareRoot",
    {"lr": LR, "warmup": 6},
    lambda o: transformers.get_inverse_sqrt_schedule(o, 6),
    shift=1,
)
# Vaswani et al. 2017, eq. 3
paper_case("inverseSquareRoot", {"lr": LR, "warmup": 10}, lambda n: 512**-0.5 * min(n**-0.5, n * 10**-1.5))

write(
    "schedules.json",
    {
        "about": "scripts/golden/schedules.py. rates[t]: the learning rate after t finished steps, t = 0..25. torch "
        "computes some of them by recurrence, so its last digits differ from the closed form's by a few "
        "1e-17. momenta: the momentum that the same scheduler sets. every: steps per factor gamma. div: "
        "max/start; finalDiv: start/end. transformers counts the steps of its inverse square root from 1. measured[t]: "
        "what is measured after t + 1 steps.",
        "libraries": {
            "torch": torch.__version__.split("+")[0],
            "optax": optax.__version__,
            "transformers": transformers.__version__,
        },
        "cases": cases,
    },
)
