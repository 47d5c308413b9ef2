"""Trajectories of rules that average weights or find their own rate, and of what torch and Optax put around a rule.

Schedule-free SGD and AdamW and Prodigy from their authors' packages (dialect torch) and from Optax; EMA and SWA by
torch's AveragedModel over torch's rules, EMA also by optax.ema of the weights, Lookahead by optax.lookahead; running
statistics of batch norms by torch's update_bn. Everything in float64. As in optimizers.py one driver gives each the same
gradients, and a case whose end moves when gradients are taken one ulp beside the point is refused.

The committed numbers are of the packages' single-tensor steps (schedulefree 1.3, its SGD the reference form; prodigyopt
1.1 without slices), typed from their sources where the packages could not be installed.

`points` are what is trained, where the gradient was taken; `evaluated` what the library says to evaluate.
"""

import inspect
import os
from importlib.metadata import version

os.environ["JAX_ENABLE_X64"] = "1"

import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import prodigyopt
import schedulefree
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_avg_fn, update_bn

from emit import write

torch.set_default_dtype(torch.float64)

STEPS = [1, 2, 3, 5, 10, 20, 50, 100]

# ---------------------------------------------------------------------------------------------------- problems

X = np.array([[1, -2, 0.5], [0, 1, 2], [-1, 0.5, 1], [2, 1, -1]])
T = np.array([[0.5, -0.25], [-0.75, 0.5], [0.25, 0], [0, 0.75]])


def rosenbrock(p):
    x, y = p["w"]
    return {"w": np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])}


def two_tensors(p):
    y = np.tanh(X @ p["A"] + p["b"])
    s = 2 * (y - T) * (1 - y**2)
    return {"A": X.T @ s, "b": s.sum(0)}


D = np.array([1, 2, 5, 10, 0.5])
C = np.array([1, -1, 0.5, 2, -2])


def bowl5(p):
    return {"w": D * (p["w"] - C) + 0.1 * (p["w"] - C) ** 3}


PROBLEMS = {
    "bowl5": (bowl5, {"w": np.array([0.3, 0.1, -0.7, 1.5, 3.0])}),
    "rosenbrock": (rosenbrock, {"w": np.array([-1.2, 1.0])}),
    "twoTensors": (
        two_tensors,
        {"A": np.array([[0.5, -1], [0.25, 0.75], [-0.5, 1.0]]), "b": np.array([0.125, -0.5])},
    ),
}
DESCRIPTIONS = {
    "bowl5": {
        "loss": "0.5*sum(d*(w - c)^2) + 0.025*sum((w - c)^4)",
        "constants": {"d": D, "c": C},
        "start": PROBLEMS["bowl5"][1],
    },
    "rosenbrock": {"loss": "(1 - x)^2 + 100*(y - x^2)^2, w = [x, y]", "start": PROBLEMS["rosenbrock"][1]},
    "twoTensors": {
        "loss": "sum((tanh(X @ A + b) - T)^2), A f64[3,2], b f64[2]",
        "constants": {"X": X, "T": T},
        "start": PROBLEMS["twoTensors"][1],
    },
}


def walk(make, problem, rate, noise=0.0):
    """make(start) → step(gradients, lr) → (trained, evaluated). `noise`: relative error of where the gradient is taken."""
    gradient, start = PROBLEMS[problem]
    rng = np.random.default_rng(1)
    step = make({k: v.copy() for k, v in start.items()})
    p, points, evaluated = start, [], []
    for t in range(1, STEPS[-1] + 1):
        near = {k: v * (1 + noise * rng.uniform(-1, 1, v.shape)) for k, v in p.items()}
        p, x = step(gradient(near), rate(t))
        if t in STEPS:
            points.append(p)
            evaluated.append(x)
    return points, evaluated


# ------------------------------------------------------------------------------------------- the oracles as one `step`

plain = lambda p: {k: v.detach().numpy().copy() for k, v in p.items()}


def torch_steps(make, evaluate):
    """make(list of parameters) → Optimizer; evaluate(opt, parameters: dict) → what to evaluate."""

    def begin(start):
        p = {k: torch.nn.Parameter(torch.tensor(v)) for k, v in start.items()}
        opt = make(list(p.values()))

        def step(g, lr):
            for k in p:
                p[k].grad = torch.tensor(g[k])
            for group in opt.param_groups:
                group["lr"] = lr
            opt.step()
            return plain(p), evaluate(opt, p)

        return step

    return begin


def switching(opt, p):
    """The packages' eval(), and back."""
    before = plain(p)
    opt.eval()
    x = plain(p)
    opt.train()
    with torch.no_grad():
        for k in p:
            p[k].copy_(torch.tensor(before[k]))  # x → y by division would add its own rounding
    return x


def in_training(opt):
    opt.train()
    return opt


def averaged(make, average, every, first):
    """torch's rule with an AveragedModel that is updated after step `first` and each `every` steps later."""

    def begin(start):
        model = torch.nn.ParameterDict({k: torch.nn.Parameter(torch.tensor(v)) for k, v in start.items()})
        mean = AveragedModel(model, avg_fn=average)
        opt = make(list(model.parameters()))
        t = 0

        def step(g, lr):
            nonlocal t
            t += 1
            for k in model:
                model[k].grad = torch.tensor(g[k])
            opt.param_groups[0]["lr"] = lr
            opt.step()
            if t >= first and (t - first) % every == 0:
                mean.update_parameters(model)
            return plain(model), plain(mean.module if t >= first else model)

        return step

    return begin


def optax_steps(make, evaluate=lambda state, p: p):
    def begin(start):
        tx = None
        p = {k: jnp.asarray(v) for k, v in start.items()}
        state = None

        def step(g, lr):
            nonlocal tx, state, p
            if tx is None:
                tx = make(lr)
                state = tx.init(p)
            updates, state = tx.update({k: jnp.asarray(v) for k, v in g.items()}, state, p)
            p = optax.apply_updates(p, updates)
            assert all(v.dtype == jnp.float64 for v in p.values())
            return {k: np.asarray(v) for k, v in p.items()}, {k: np.asarray(v) for k, v in evaluate(state, p).items()}

        return step

    return begin


def optax_lookahead(make, k, alpha):
    def begin(start):
        tx, p = None, optax.LookaheadParams.init_synced({k: jnp.asarray(v) for k, v in start.items()})
        state = None

        def step(g, lr):
            nonlocal tx, state, p
            if tx is None:
                tx = optax.lookahead(make(lr), sync_period=k, slow_step_size=alpha)
                state = tx.init(p)
            updates, state = tx.update({k: jnp.asarray(v) for k, v in g.items()}, state, p)
            p = optax.apply_updates(p, updates)
            return tuple({k: np.asarray(v) for k, v in tree.items()} for tree in (p.fast, p.slow))

        return step

    return begin


def optax_ema(make, decay):
    """optax.ema, given the weights after each step in place of updates."""

    def begin(start):
        tx, mean = None, optax.ema(decay, debias=True)
        p = {k: jnp.asarray(v) for k, v in start.items()}
        state, kept = None, mean.init(p)

        def step(g, lr):
            nonlocal tx, state, kept, p
            if tx is None:
                tx = make(lr)
                state = tx.init(p)
            updates, state = tx.update({k: jnp.asarray(v) for k, v in g.items()}, state, p)
            p = optax.apply_updates(p, updates)
            x, kept = mean.update(p, kept)
            return {k: np.asarray(v) for k, v in p.items()}, {k: np.asarray(v) for k, v in x.items()}

        return step

    return begin


# ---------------------------------------------------------------------------------------------------------- cases

worst = 0.0
VERSIONS = {
    "torch": f"torch {torch.__version__.split('+')[0]}",
    "optax": f"optax {optax.__version__}",
    "schedulefree": f"schedulefree {version('schedulefree')}",
    "prodigyopt": f"prodigyopt {version('prodigyopt')}",
}


def trajectories(name, library, make, lr, warmup=0, problems=("rosenbrock", "twoTensors"), **about):
    """make(lr) → begin. lr: a number, or one per problem. warmup: lr t / warmup in the first steps."""
    global worst
    out = []
    for problem in problems:
        base = lr[problem] if isinstance(lr, dict) else lr
        rate = lambda t: base * min(1, t / warmup) if warmup else base
        points, evaluated = walk(make(base), problem, rate)
        shaken = walk(make(base), problem, rate, noise=2.0**-52)
        pairs = [*zip(points, shaken[0]), *zip(evaluated, shaken[1])]
        change = max(np.abs(a[k] - b[k]).max() / np.abs(a[k]).max() for a, b in pairs for k in a)
        if not change < 1e-11:
            raise SystemExit(f"{name}/{problem}: lr {base} amplifies rounding to {change:.1e}")
        worst = max(worst, change)
        entry = {"name": f"{name}/{problem}", "library": VERSIONS[library], **about, "problem": problem}
        entry["settings"] = {"lr": base, **about.get("settings", {})}
        if warmup:
            entry["lrFromStep"] = [[t, rate(t)] for t in range(1, warmup + 1)]
        entry["points"] = {k: [q[k] for q in points] for k in points[0]}
        entry["evaluated"] = {k: [q[k] for q in evaluated] for k in evaluated[0]}
        out.append(entry)
    return out


NAMES = {
    "weightDecay": "weight_decay",
    "weightLrPower": "weight_lr_power",
    "d0": "d0",
    "dCoef": "d_coef",
    "biasCorrection": "use_bias_correction",
    "safeguardWarmup": "safeguard_warmup",
    "b3": "beta3",
    "r": "r",
    "eps": "eps",
}
OPTAX_NAMES = {**NAMES, "b1": "b1", "b2": "b2", "d0": "estim_lr0", "dCoef": "estim_lr_coef"}


def package(optimizer, variant, make, lr, settings={}, dialect="torch", library="schedulefree", **kw):
    args = {NAMES[k]: v for k, v in settings.items() if k in NAMES}
    if "b1" in settings:
        if "b2" in settings:
            args["betas"] = (settings["b1"], settings["b2"])
        else:
            args["momentum"] = settings["b1"]
    free = library == "schedulefree"
    begin = lambda base: torch_steps(
        lambda p: in_training(make(p, lr=base, **args)) if free else make(p, lr=base, **args),
        switching if free else lambda _, p: plain(p),
    )
    name = f"{dialect}/{optimizer}{'-' + variant if variant else ''}"
    return trajectories(name, library, begin, lr, dialect=dialect, optimizer=optimizer, settings=settings, **kw)


def contrib(optimizer, variant, make, lr, settings={}, **kw):
    args = {OPTAX_NAMES[k]: v for k, v in settings.items() if k not in ("b1", "b2") or optimizer != "prodigy"}
    if optimizer == "prodigy" and "b1" in settings:
        args["betas"] = (settings["b1"], settings["b2"])
    free = optimizer != "prodigy"
    evaluate = optax.contrib.schedule_free_eval_params if free else lambda state, p: p
    begin = lambda base: optax_steps(lambda lr: make(lr, **args), evaluate)
    name = f"optax/{optimizer}{'-' + variant if variant else ''}"
    return trajectories(name, "optax", begin, lr, dialect="optax", optimizer=optimizer, settings=settings, **kw)


SMALL = {"rosenbrock": 1e-3, "twoTensors": 0.05}
sf, oc = schedulefree, optax.contrib
far = {"b1": 0.8, "b2": 0.95, "eps": 1e-3}
cases = [
    *package("schedulefreesgd", "", sf.SGDScheduleFree, SMALL),
    *package("schedulefreesgd", "decay", sf.SGDScheduleFree, SMALL, {"b1": 0.8, "weightDecay": 0.1}),
    *package("schedulefreesgd", "warmup", sf.SGDScheduleFree, SMALL, warmup=10),
    *package("schedulefreesgd", "powers", sf.SGDScheduleFree, SMALL, {"r": 1.5, "weightLrPower": 1}, warmup=10),
    *package("schedulefreeadamw", "", sf.AdamWScheduleFree, 0.01),
    *package("schedulefreeadamw", "decay", sf.AdamWScheduleFree, 0.02, {**far, "weightDecay": 0.1}),
    *package("schedulefreeadamw", "warmup", sf.AdamWScheduleFree, 0.02, {"r": 1}, warmup=10),
    *package("schedulefreeadamw", "", sf.AdamWScheduleFreePaper, 0.01, dialect="paper"),
    *package("schedulefreeadamw", "decay", sf.AdamWScheduleFreePaper, 0.02, {**far, "weightDecay": 0.1}, "paper"),
    *contrib("schedulefreesgd", "", oc.schedule_free_sgd, SMALL),
    *contrib("schedulefreesgd", "decay", oc.schedule_free_sgd, SMALL, {"b1": 0.8, "weightDecay": 0.1}),
    *contrib("schedulefreeadamw", "", oc.schedule_free_adamw, 0.01),
    *contrib("schedulefreeadamw", "decay", oc.schedule_free_adamw, 0.02, {**far, "weightDecay": 0.1}),
]
quiet = {"problems": ("bowl5", "twoTensors")}  # Rosenbrock's valley amplifies what d was rounded to
pp = {"library": "prodigyopt", **quiet}
cases += [
    *package("prodigy", "", prodigyopt.Prodigy, 1, **pp),
    *package("prodigy", "d0", prodigyopt.Prodigy, 1, {"d0": 1e-3, "dCoef": 0.5, "weightDecay": 0.1}, **pp),
    *package("prodigy", "corrected", prodigyopt.Prodigy, 0.5, {**far, "b3": 0.9, "biasCorrection": True}, **pp),
    *package("prodigy", "safeguard", prodigyopt.Prodigy, 0.2, {"d0": 1e-3, "safeguardWarmup": True}, warmup=10, **pp),
    *contrib("prodigy", "", oc.prodigy, 1, **quiet),
    *contrib("prodigy", "d0", oc.prodigy, 1, {"d0": 1e-3, "dCoef": 0.5, "weightDecay": 0.1}, **quiet),
    *contrib("prodigy", "safeguard", oc.prodigy, 0.5, {**far, "b3": 0.9, "safeguardWarmup": True}, **quiet),
]

to = torch.optim
inner = {
    "adam": lambda lr: lambda p: to.Adam(p, lr=lr),
    "momentum": lambda lr: lambda p: to.SGD(p, lr=lr, momentum=0.9),
}
outer = {"adam": lambda lr: optax.adam(lr), "momentum": lambda lr: optax.sgd(lr, 0.9)}
rates = {"adam": 0.01, "momentum": {"rosenbrock": 1e-3, "twoTensors": 0.02}}


def wrapped(wrapper, library, options, begin):
    tables = {"torch": inner, "optax": outer}[library]
    detail = "-".join(f"{k}-{v}" for k, v in options.items())
    return [
        entry
        for rule in ("adam", "momentum")
        for entry in trajectories(
            f"{library}/{wrapper}-{detail}/{rule}",
            library,
            lambda lr: begin(tables[rule](lr) if library == "torch" else tables[rule]),
            rates[rule],
            wrapper=wrapper,
            rule=rule,
            dialect=library,
            options=options,
        )
    ]


wraps = [
    *wrapped("lookahead", "optax", {"steps": 5, "alpha": 0.5}, lambda make: optax_lookahead(make, 5, 0.5)),
    *wrapped("lookahead", "optax", {"steps": 3, "alpha": 0.8}, lambda make: optax_lookahead(make, 3, 0.8)),
    *wrapped("ema", "optax", {"decay": 0.9}, lambda make: optax_ema(make, 0.9)),
    *wrapped("ema", "optax", {"decay": 0.999}, lambda make: optax_ema(make, 0.999)),
    *wrapped("ema", "torch", {"decay": 0.9, "debias": False}, lambda make: averaged(make, get_ema_avg_fn(0.9), 1, 1)),
    *wrapped(
        "ema",
        "torch",
        {"decay": 0.8, "debias": False, "every": 4},
        lambda make: averaged(make, get_ema_avg_fn(0.8), 4, 4),
    ),
    *wrapped("swa", "torch", {}, lambda make: averaged(make, None, 1, 1)),
    *wrapped("swa", "torch", {"from": 8, "every": 3}, lambda make: averaged(make, None, 3, 8)),
]


# -------------------------------------------------------------------------------------------------------- update_bn


def recalibrations():
    """A net with two batch norms that has seen something; update_bn over batches in the order of the rows."""
    nn = torch.nn
    out = []
    for momentum, rows in ((0.1, 24), (0.1, 22), (None, 24)):
        torch.manual_seed(3)
        net = nn.Sequential(
            nn.Linear(3, 5),
            nn.BatchNorm1d(5, momentum=momentum),
            nn.ReLU(),
            nn.Linear(5, 4),
            nn.BatchNorm1d(4, momentum=momentum),
            nn.ReLU(),
            nn.Linear(4, 1),
        )
        x = 2 + 3 * torch.randn(rows, 3)
        for k in range(3):
            net(x[8 * k : 8 * k + 6])
        before = {k: v.clone() for k, v in net.state_dict().items()}
        update_bn(torch.split(x, 6), net)
        out.append({"momentum": momentum, "rows": rows, "batch": 6, "x": x, "before": before, "after": net.state_dict()})
    return out


def defaults(make, names):
    back = {v: k for k, v in names.items()} | {"learning_rate": "lr", "momentum": "b1"}
    taken = {}
    for k, v in inspect.signature(make).parameters.items():
        if k == "betas":
            taken["b1"], taken["b2"] = v.default
        elif k in back or k == "lr":
            taken[back.get(k, k)] = v.default
    return {k: v for k, v in taken.items() if v is not inspect.Parameter.empty}


write(
    "averaging-optimizers.json",
    {
        "about": "scripts/golden/averaging.py. float64. points[tensor][i] is what is trained after steps[i] steps, "
        "evaluated[tensor][i] what is to be evaluated then. settings: what was passed, in Downhill's names (everything "
        "else is the package's default, listed under defaults). lrFromStep: pairs [step, lr], lr from that step "
        "(counted from 1) on. wrapped: wrapper(rule, options) with the rule of that dialect. recalibrations: torch "
        "state dicts before and after update_bn over x in batches of 6.",
        "versions": VERSIONS,
        "rounding": worst,
        "steps": STEPS,
        "problems": DESCRIPTIONS,
        "defaults": {
            "torch": {
                "schedulefreesgd": defaults(sf.SGDScheduleFree, NAMES),
                "schedulefreeadamw": defaults(sf.AdamWScheduleFree, NAMES),
                "prodigy": defaults(prodigyopt.Prodigy, NAMES),
            },
            "optax": {
                "schedulefreesgd": defaults(oc.schedule_free_sgd, OPTAX_NAMES),
                "schedulefreeadamw": defaults(oc.schedule_free_adamw, OPTAX_NAMES),
                "prodigy": defaults(oc.prodigy, OPTAX_NAMES),
            },
        },
        "cases": cases,
        "wrapped": wraps,
        "recalibrations": recalibrations(),
    },
)
print(f"{len(cases) + len(wraps)} cases, largest rounding amplification {worst:.1e}")
