"""Trajectories of PyTorch's, Optax's and Keras's optimizers, and of some papers' algorithms in NumPy loops.

One driver, `walk`, gives every optimizer the same gradients of the same three problems, in float64, so that a
trajectory shows the update rule and nothing else. The gradients are written by hand and checked against torch's
autograd. Settings carry Downhill's names; only what is listed is passed on, so a case also witnesses the library's
defaults, which are listed per dialect.
"""

import functools
import inspect
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
torch.set_default_dtype(torch.float64)

STEPS = [1, 2, 3, 5, 10, 20, 50, 100]

# ---------------------------------------------------------------------------------------------------- problems

D = np.array([1, 2, 5, 10, 0.5])
C = np.array([1, -1, 0.5, 2, -2])
X = np.array([[1, -2, 0.5], [0, 1, 2], [-1, 0.5, 1], [2, 1, -1]])
T = np.array([[0.5, -0.25], [-0.75, 0.5], [0.25, 0], [0, 0.75]])


def rosenbrock(p, m=np):
    x, y = p["w"][0], p["w"][1]
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def rosenbrock_gradient(p):
    x, y = p["w"]
    return {"w": np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])}


def bowl5(p, m=np):
    d, c = (D, C) if m is np else (torch.tensor(D), torch.tensor(C))
    return 0.5 * m.sum(d * (p["w"] - c) ** 2) + 0.025 * m.sum((p["w"] - c) ** 4)


def bowl5_gradient(p):
    return {"w": D * (p["w"] - C) + 0.1 * (p["w"] - C) ** 3}


def two_tensors(p, m=np):
    x, t = (X, T) if m is np else (torch.tensor(X), torch.tensor(T))
    return m.sum((m.tanh(x @ p["A"] + p["b"]) - t) ** 2)


def two_tensors_gradient(p):
    y = np.tanh(X @ p["A"] + p["b"])
    s = 2 * (y - T) * (1 - y**2)
    return {"A": X.T @ s, "b": s.sum(0)}


PROBLEMS = {
    "rosenbrock": (rosenbrock, rosenbrock_gradient, {"w": np.array([-1.2, 1.0])}),
    "bowl5": (bowl5, bowl5_gradient, {"w": np.array([0.3, 0.1, -0.7, 1.5, 3.0])}),
    "twoTensors": (
        two_tensors,
        two_tensors_gradient,
        {"A": np.array([[0.5, -1], [0.25, 0.75], [-0.5, 1.0]]), "b": np.array([0.125, -0.5])},
    ),
}

DESCRIPTIONS = {
    "rosenbrock": {"loss": "(1 - x)^2 + 100*(y - x^2)^2, w = [x, y]", "start": PROBLEMS["rosenbrock"][2]},
    "bowl5": {
        "loss": "0.5*sum(d*(w - c)^2) + 0.025*sum((w - c)^4)",
        "constants": {"d": D, "c": C},
        "start": PROBLEMS["bowl5"][2],
    },
    "twoTensors": {
        "loss": "sum((tanh(X @ A + b) - T)^2), A f64[3,2], b f64[2]",
        "constants": {"X": X, "T": T},
        "start": PROBLEMS["twoTensors"][2],
    },
}


def check_gradients():
    for f, gradient, start in PROBLEMS.values():
        p = {k: torch.tensor(v, requires_grad=True) for k, v in start.items()}
        f(p, torch).backward()
        for k, g in gradient(start).items():
            np.testing.assert_allclose(g, p[k].grad.numpy(), rtol=1e-13)


def walk(optimizer, problem, rate, noise=0.0):
    """optimizer(start) → step(gradients, lr) → parameters. `noise`: relative error of where the gradient is taken."""
    f, gradient, start = PROBLEMS[problem]
    rng = np.random.default_rng(1)
    step = optimizer({k: v.copy() for k, v in start.items()})
    p, points, losses = start, [], []
    for t in range(1, STEPS[-1] + 1):
        near = {k: v * (1 + noise * rng.uniform(-1, 1, v.shape)) for k, v in p.items()}
        p = step(gradient(near), rate(t))
        if t in STEPS:
            points.append(p)
            losses.append(float(f(p)))
    return points, losses


# ------------------------------------------------------------------------- the three libraries, as one `step` each


def torch_steps(make, clip=None):
    """make(parameters: dict) → torch.optim.Optimizer; clip(parameters) runs between backward and step."""

    def optimizer(start):
        p = {k: torch.nn.Parameter(torch.tensor(v)) for k, v in start.items()}
        opt = make(p)

        def step(g, lr):
            for k in p:
                p[k].grad = torch.tensor(g[k])
            for group in opt.param_groups:
                group["lr"] = lr
            if clip:
                clip(list(p.values()))
            opt.step()
            return {k: v.detach().numpy().copy() for k, v in p.items()}

        return step

    return optimizer


def optax_steps(make):
    """make(lr: schedule) → GradientTransformation. Optax counts steps from 0."""

    def optimizer(start):
        rates = []
        tx = make(lambda count: jnp.asarray(rates)[count])
        p = {k: jnp.asarray(v) for k, v in start.items()}
        state = tx.init(p)

        def step(g, lr):
            nonlocal p, state
            rates.append(lr)
            updates, state = tx.update({k: jnp.asarray(v) for k, v in g.items()}, state, p)
            p = optax.apply_updates(p, updates)
            assert all(v.dtype == jnp.float64 for v in p.values())
            return {k: np.asarray(v) for k, v in p.items()}

        return step

    return optimizer


def keras_steps(make):
    def optimizer(start):
        p = {k: keras.Variable(v, dtype="float64", name=k) for k, v in start.items()}
        opt = make(p)
        opt.build(list(p.values()))

        def step(g, lr):
            opt.learning_rate = lr
            opt.apply([jnp.asarray(g[k]) for k in p])
            return {k: np.asarray(v.value).copy() for k, v in p.items()}

        return step

    return optimizer


# ----------------------------------------------------------------------------------- algorithms from their papers


def paper_amsgrad(b1, b2, eps):
    """Reddi, Kale & Kumar 2018, algorithm 2: no bias correction. The paper has no ε; here it is outside the root."""

    def optimizer(p):
        m = {k: np.zeros_like(w) for k, w in p.items()}
        v = {k: np.zeros_like(w) for k, w in p.items()}
        vmax = {k: np.zeros_like(w) for k, w in p.items()}

        def step(g, lr):
            for k in p:
                m[k] = b1 * m[k] + (1 - b1) * g[k]
                v[k] = b2 * v[k] + (1 - b2) * g[k] ** 2
                vmax[k] = np.maximum(vmax[k], v[k])
                p[k] = p[k] - lr * m[k] / (np.sqrt(vmax[k]) + eps)
            return dict(p)

        return step

    return optimizer


def paper_adamw(base, decay, b1=0.9, b2=0.999, eps=1e-8):
    """Loshchilov & Hutter 2019, algorithm 2: θ ← θ − η(α·m̂/(√v̂ + ε) + λθ). α is `base`, η = lr/α the schedule."""

    def optimizer(p):
        m = {k: np.zeros_like(w) for k, w in p.items()}
        v = {k: np.zeros_like(w) for k, w in p.items()}
        t = 0

        def step(g, lr):
            nonlocal t
            t += 1
            eta = lr / base
            for k in p:
                m[k] = b1 * m[k] + (1 - b1) * g[k]
                v[k] = b2 * v[k] + (1 - b2) * g[k] ** 2
                mhat = m[k] / (1 - b1**t)
                vhat = v[k] / (1 - b2**t)
                p[k] = p[k] - eta * (base * mhat / (np.sqrt(vhat) + eps) + decay * p[k])
            return dict(p)

        return step

    return optimizer


def paper_lamb(decay, low, high, b1=0.9, b2=0.999, eps=1e-6):
    """You et al. 2020, algorithm 2, φ(z) = min(max(z, γl), γu); the ratio is 1 where a norm is 0."""

    def optimizer(p):
        m = {k: np.zeros_like(w) for k, w in p.items()}
        v = {k: np.zeros_like(w) for k, w in p.items()}
        t = 0

        def step(g, lr):
            nonlocal t
            t += 1
            for k in p:
                m[k] = b1 * m[k] + (1 - b1) * g[k]
                v[k] = b2 * v[k] + (1 - b2) * g[k] ** 2
                r = (m[k] / (1 - b1**t)) / (np.sqrt(v[k] / (1 - b2**t)) + eps) + decay * p[k]
                weight, update = np.sqrt((p[k] ** 2).sum()), np.sqrt((r**2).sum())
                ratio = min(max(weight, low), high) / update if weight * update > 0 else 1.0
                p[k] = p[k] - lr * ratio * r
            return dict(p)

        return step

    return optimizer


def elementwise(rule, **buffers):
    """rule(g, t, w, lr, **buffers) → (w, buffers): one tensor's step of a paper's loop, for each tensor. t from 1."""

    def optimizer(p):
        state = {k: {b: np.full_like(w, x) for b, x in buffers.items()} for k, w in p.items()}
        t = 0

        def step(g, lr):
            nonlocal t
            t += 1
            for k in p:
                p[k], state[k] = rule(g[k], t, p[k], lr, **state[k])
            return dict(p)

        return step

    return optimizer


def paper_adadelta(rho, eps):
    """Zeiler 2012, algorithm 1; lr is not in it, and multiplies the step."""

    def rule(g, t, w, lr, squares, deltas):
        squares = rho * squares + (1 - rho) * g**2
        delta = -np.sqrt(deltas + eps) / np.sqrt(squares + eps) * g
        deltas = rho * deltas + (1 - rho) * delta**2
        return w + lr * delta, {"squares": squares, "deltas": deltas}

    return elementwise(rule, squares=0, deltas=0)


def paper_adamax(b1, b2):
    """Kingma & Ba 2015, algorithm 2."""

    def rule(g, t, w, lr, m, u):
        m = b1 * m + (1 - b1) * g
        u = np.maximum(b2 * u, np.abs(g))
        return w - lr / (1 - b1**t) * m / u, {"m": m, "u": u}

    return elementwise(rule, m=0, u=0)


def paper_radam(b1, b2):
    """Liu et al. 2020, algorithm 2."""
    rho_inf = 2 / (1 - b2) - 1

    def rule(g, t, w, lr, m, v):
        v = b2 * v + (1 - b2) * g**2
        m = b1 * m + (1 - b1) * g
        mhat = m / (1 - b1**t)
        rho = rho_inf - 2 * t * b2**t / (1 - b2**t)
        if rho > 4:
            l = np.sqrt((1 - b2**t) / v)
            r = np.sqrt(((rho - 4) * (rho - 2) * rho_inf) / ((rho_inf - 4) * (rho_inf - 2) * rho))
            return w - lr * r * mhat * l, {"m": m, "v": v}
        return w - lr * mhat, {"m": m, "v": v}

    return elementwise(rule, m=0, v=0)


def paper_lion(b1, b2, decay):
    """Chen et al. 2023, algorithm 2."""

    def rule(g, t, w, lr, m):
        c = b1 * m + (1 - b1) * g
        m = b2 * m + (1 - b2) * g
        return w - lr * (np.sign(c) + decay * w), {"m": m}

    return elementwise(rule, m=0)


def paper_ademamix(b1, b2, b3, alpha, eps, decay, warmup=None):
    """Pagliardini, Ablin & Grangier 2024, algorithm 1, with its schedules of α and β3 where there is a warm-up."""

    def rule(g, t, w, lr, m1, m2, nu):
        a, b = alpha, b3
        if warmup:
            a = min(t * alpha / warmup, alpha)
            ends = np.log(b1) * np.log(b3)
            b = min(np.exp(ends / ((1 - t / warmup) * np.log(b3) + t / warmup * np.log(b1))), b3) if t < warmup else b3
        m1 = b1 * m1 + (1 - b1) * g
        m2 = b * m2 + (1 - b) * g
        nu = b2 * nu + (1 - b2) * g**2
        m1hat, nuhat = m1 / (1 - b1**t), nu / (1 - b2**t)
        w = w - lr * ((m1hat + a * m2) / (np.sqrt(nuhat) + eps) + decay * w)
        return w, {"m1": m1, "m2": m2, "nu": nu}

    return elementwise(rule, m1=0, m2=0, nu=0)


def paper_adabelief(b1, b2, eps):
    """Zhuang et al. 2020, algorithm 2."""

    def rule(g, t, w, lr, m, s):
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m) ** 2 + eps
        return w - lr * (m / (1 - b1**t)) / (np.sqrt(s / (1 - b2**t)) + eps), {"m": m, "s": s}

    return elementwise(rule, m=0, s=0)


# ---------------------------------------------------------------------------------------------------------- cases

cases = []
worst = 0.0
SIGNS = ("lion", "rprop")


def case(dialect, optimizer, variant, lr, settings, run, problems=("rosenbrock", "bowl5"), halve=False, **notes):
    """Walk every problem. lr: one number, or one per problem. halve: steps 1-5 use lr, the later ones lr/2."""
    global worst
    for problem in problems:
        base = lr[problem] if isinstance(lr, dict) else lr
        rate = lambda t: base / 2 if halve and t > 5 else base
        steps = run(base)
        points, losses = walk(steps, problem, rate)
        # Rounding amplification: the same walk with gradients taken an ulp beside must end in the same place.
        shaken, _ = walk(run(base), problem, rate, noise=2.0**-52)
        change = max(np.abs(a[k] - b[k]).max() / np.abs(a[k]).max() for a, b in zip(points, shaken) for k in a)
        if not change < 1e-11:
            raise SystemExit(f"{dialect}/{optimizer}-{variant}/{problem}: lr {base} amplifies rounding to {change:.1e}")
        worst = max(worst, change)
        if optimizer in SIGNS:  # a sign must not hang on digits that f32 has not
            coarse, _ = walk(run(base), problem, rate, noise=2.0**-22)
            change = max(np.abs(a[k] - b[k]).max() / np.abs(a[k]).max() for a, b in zip(points, coarse) for k in a)
            if not change < 1e-5:
                raise SystemExit(f"{dialect}/{optimizer}-{variant}/{problem}: lr {base} turns a sign in f32: {change:.1e}")
        entry = {
            "name": f"{dialect}/{optimizer}{'-' + variant if variant else ''}/{problem}",
            "dialect": dialect,
            "library": {
                "torch": f"torch {torch.__version__.split('+')[0]}",
                "optax": f"optax {optax.__version__}",
                "keras": f"keras {keras.__version__}",
                "paper": f"numpy {np.__version__} loop",
            }[dialect],
            "optimizer": optimizer,
            "settings": {"lr": base, **settings},
            **notes,
            "problem": problem,
        }
        if halve:
            entry["lrFromStep"] = [[1, base], [6, base / 2]]
        entry["points"] = {k: [q[k] for q in points] for k in points[0]}
        entry["loss"] = losses
        cases.append(entry)


NAMES = {  # Downhill's option → the library's
    "torch": {
        "b1": None,
        "b2": None,
        "rho": "alpha",
        "weightDecay": "weight_decay",
        "lrDecay": "lr_decay",
        "initialAccumulator": "initial_accumulator_value",
        "momentumDecay": "momentum_decay",
        "decoupled": "decoupled_weight_decay",
        "etaMinus": None,
        "etaPlus": None,
        "minStep": None,
        "maxStep": None,
    },
    "optax": {
        "rho": "decay",
        "weightDecay": "weight_decay",
        "initialAccumulator": "initial_accumulator_value",
        "epsRoot": "eps_root",
        "etaMinus": "eta_minus",
        "etaPlus": "eta_plus",
        "minStep": "min_step_size",
        "maxStep": "max_step_size",
    },
    "keras": {
        "b1": "beta_1",
        "b2": "beta_2",
        "eps": "epsilon",
        "weightDecay": "weight_decay",
        "initialAccumulator": "initial_accumulator_value",
    },
}

SPELLED = {"rho"}  # what AdaDelta calls as Downhill does, and RMSProp does not


def names_of(dialect, make):
    """Downhill's names → those of this constructor."""
    theirs = inspect.signature(make).parameters
    return {k: None if v is None else k if k in SPELLED and k in theirs else v for k, v in NAMES[dialect].items()}


def arguments(dialect, make, settings):
    names = names_of(dialect, make)
    out = {names.get(k, k): v for k, v in settings.items() if names.get(k, k)}
    if dialect == "torch" and "b1" in settings:
        out["betas"] = (settings["b1"], settings["b2"])
    if dialect == "torch" and "etaMinus" in settings:
        out["etas"] = (settings["etaMinus"], settings["etaPlus"])
        out["step_sizes"] = (settings["minStep"], settings["maxStep"])
    return out


def torch_case(optimizer, variant, make, lr, settings={}, **kw):
    args = arguments("torch", make, settings)
    case(
        "torch",
        optimizer,
        variant,
        lr,
        settings,
        lambda base: torch_steps(lambda p: make(list(p.values()), lr=base, **args)),
        **kw,
    )


def optax_case(optimizer, variant, make, lr, settings={}, **kw):
    args = arguments("optax", make, settings)
    case("optax", optimizer, variant, lr, settings, lambda base: optax_steps(lambda s: make(s, **args)), **kw)


def keras_case(optimizer, variant, make, lr, settings={}, **kw):
    args = arguments("keras", make, settings)
    case("keras", optimizer, variant, lr, settings, lambda _: keras_steps(lambda p: make(**args)), **kw)


ALL = ("rosenbrock", "bowl5", "twoTensors")
SMALL = {"rosenbrock": 1e-3, "bowl5": 0.02, "twoTensors": 0.02}  # for rules whose step grows with the gradient
GENTLE = {"rosenbrock": 1e-3, "bowl5": 0.01, "twoTensors": 0.01}  # where 0.01 enters a cycle that amplifies rounding
L2 = {"decay": "l2"}
DECOUPLED = {"decay": "decoupled"}

to = torch.optim
torch_case("sgd", "", to.SGD, SMALL, problems=ALL)
torch_case("sgd", "l2", to.SGD, SMALL, {"weightDecay": 0.1}, **L2)
torch_case("sgd", "halved", to.SGD, SMALL, halve=True)
torch_case("momentum", "", to.SGD, SMALL, {"momentum": 0.9}, problems=ALL)
torch_case("momentum", "dampening", to.SGD, SMALL, {"momentum": 0.9, "dampening": 0.1})
torch_case("momentum", "l2", to.SGD, SMALL, {"momentum": 0.9, "weightDecay": 0.1}, **L2)
torch_case("momentum", "halved", to.SGD, SMALL, {"momentum": 0.9}, halve=True)
torch_case("nesterov", "", to.SGD, SMALL, {"momentum": 0.9, "nesterov": True}, problems=ALL)
torch_case("nesterov", "halved", to.SGD, SMALL, {"momentum": 0.9, "nesterov": True}, halve=True)
torch_case("adagrad", "", to.Adagrad, 0.1, problems=ALL)
torch_case("adagrad", "lr-decay", to.Adagrad, 0.1, {"lrDecay": 0.01})
torch_case("adagrad", "accumulator", to.Adagrad, 0.1, {"initialAccumulator": 0.5})
torch_case("adagrad", "l2", to.Adagrad, 0.1, {"weightDecay": 0.1}, **L2)
torch_case("rmsprop", "", to.RMSprop, 0.01, problems=ALL)
torch_case("rmsprop", "rho", to.RMSprop, GENTLE, {"rho": 0.9, "eps": 1e-3})
torch_case("rmsprop", "centered", to.RMSprop, 0.01, {"centered": True})
torch_case("rmsprop", "momentum", to.RMSprop, 0.01, {"momentum": 0.9})
torch_case("rmsprop", "centered-momentum", to.RMSprop, 0.01, {"centered": True, "momentum": 0.9})
torch_case("rmsprop", "momentum-halved", to.RMSprop, 0.01, {"momentum": 0.9}, halve=True)
torch_case("adam", "", to.Adam, 0.01, problems=ALL)
torch_case("adam", "betas-eps", to.Adam, 0.05, {"b1": 0.8, "b2": 0.95, "eps": 1e-3})
torch_case("adam", "l2", to.Adam, 0.01, {"weightDecay": 0.1}, **L2)
torch_case("adam", "halved", to.Adam, 0.01, halve=True)
torch_case("amsgrad", "", to.Adam, 0.01, {"amsgrad": True}, problems=ALL)
torch_case("amsgrad", "b2", to.Adam, 0.05, {"amsgrad": True, "b1": 0.9, "b2": 0.9})
torch_case("adamw", "default-decay", to.AdamW, 0.01, {}, **DECOUPLED)
torch_case("adamw", "", to.AdamW, 0.01, {"weightDecay": 0.1}, problems=ALL, **DECOUPLED)
torch_case("adamw", "amsgrad", to.AdamW, 0.01, {"weightDecay": 0.1, "amsgrad": True}, **DECOUPLED)
torch_case("adamw", "halved", to.AdamW, 0.01, {"weightDecay": 0.1}, halve=True, **DECOUPLED)
case(
    "torch",
    "adamw",
    "matrices-only",
    0.01,
    {"weightDecay": 0.5},
    lambda base: torch_steps(
        lambda p: to.AdamW(
            [{"params": [p["A"]], "weight_decay": 0.5}, {"params": [p["b"]], "weight_decay": 0.0}], lr=base
        )
    ),
    problems=("twoTensors",),
    decay="decoupled",
    decayOnly="matrices",
)
case(
    "torch",
    "momentum",
    "l2-matrices-only",
    0.02,
    {"momentum": 0.9, "weightDecay": 0.5},
    lambda base: torch_steps(
        lambda p: to.SGD(
            [{"params": [p["A"]], "weight_decay": 0.5}, {"params": [p["b"]], "weight_decay": 0.0}],
            lr=base,
            momentum=0.9,
        )
    ),
    problems=("twoTensors",),
    decay="l2",
    decayOnly="matrices",
)
torch_case("adadelta", "", to.Adadelta, 1, problems=ALL)
torch_case("adadelta", "rho-eps", to.Adadelta, 0.5, {"rho": 0.95, "eps": 1e-5})
torch_case("adadelta", "l2", to.Adadelta, 1, {"weightDecay": 0.1}, **L2)
torch_case("adadelta", "halved", to.Adadelta, 1, halve=True)
torch_case("adamax", "", to.Adamax, 0.01, problems=ALL)
torch_case("adamax", "betas-eps", to.Adamax, 0.02, {"b1": 0.8, "b2": 0.9, "eps": 0.1})
torch_case("adamax", "l2", to.Adamax, 0.01, {"weightDecay": 0.1}, **L2)
torch_case("adamax", "halved", to.Adamax, 0.01, halve=True)
torch_case("nadam", "", to.NAdam, 0.01, problems=ALL)
torch_case("nadam", "betas-eps", to.NAdam, 0.01, {"b1": 0.8, "b2": 0.95, "eps": 1e-3, "momentumDecay": 0.1})
torch_case("nadam", "l2", to.NAdam, 0.01, {"weightDecay": 0.1}, **L2)
torch_case("nadam", "halved", to.NAdam, 0.01, halve=True)
nadamw = functools.partial(to.NAdam, decoupled_weight_decay=True)
torch_case("nadamw", "no-decay", nadamw, 0.01, {}, **DECOUPLED)
torch_case("nadamw", "", nadamw, 0.01, {"weightDecay": 0.1}, problems=ALL, **DECOUPLED)
torch_case("nadamw", "halved", nadamw, 0.01, {"weightDecay": 0.1}, halve=True, **DECOUPLED)
torch_case("radam", "", to.RAdam, SMALL, problems=ALL)
torch_case("radam", "betas-eps", to.RAdam, SMALL, {"b1": 0.8, "b2": 0.95, "eps": 0.1})
torch_case("radam", "l2", to.RAdam, SMALL, {"weightDecay": 0.1}, **L2)
torch_case("radam", "decoupled", to.RAdam, SMALL, {"weightDecay": 0.1, "decoupled": True}, **DECOUPLED)
torch_case("radam", "halved", to.RAdam, SMALL, halve=True)
torch_case("rprop", "", to.Rprop, 0.01, problems=ALL)
etas = {"etaMinus": 0.4, "etaPlus": 1.5, "minStep": 0.002, "maxStep": 0.03}
torch_case("rprop", "etas", to.Rprop, 0.1, etas, problems=("rosenbrock", "twoTensors"))
torch_case("rprop", "halved", to.Rprop, 0.01, halve=True)
for name, lr, make, settings in (
    ("sgd", SMALL, to.SGD, {}),
    ("momentum", SMALL, to.SGD, {"momentum": 0.9}),
    ("adam", 0.01, to.Adam, {}),
):
    case(
        "torch",
        name,
        "clip-global-norm",
        lr,
        settings,
        lambda base: torch_steps(
            lambda p: make(list(p.values()), lr=base, **settings), lambda p: torch.nn.utils.clip_grad_norm_(p, 0.5)
        ),
        problems=("twoTensors", "rosenbrock"),
        clip={"globalNorm": 0.5},
    )
    case(
        "torch",
        name,
        "clip-value",
        lr,
        settings,
        lambda base: torch_steps(
            lambda p: make(list(p.values()), lr=base, **settings), lambda p: torch.nn.utils.clip_grad_value_(p, 0.5)
        ),
        problems=("twoTensors",),
        clip={"value": 0.5},
    )

optax_case("sgd", "", optax.sgd, SMALL)
optax_case("momentum", "", optax.sgd, SMALL, {"momentum": 0.9})
optax_case("momentum", "halved", optax.sgd, SMALL, {"momentum": 0.9}, halve=True)
optax_case("nesterov", "", optax.sgd, SMALL, {"momentum": 0.9, "nesterov": True})
optax_case("adagrad", "", optax.adagrad, 0.1, problems=ALL)
optax_case("adagrad", "accumulator", optax.adagrad, 0.1, {"initialAccumulator": 0.5, "eps": 1e-3})
optax_case("rmsprop", "", optax.rmsprop, GENTLE, problems=ALL)
optax_case("rmsprop", "rho", optax.rmsprop, 0.01, {"rho": 0.99, "eps": 1e-3})
optax_case("rmsprop", "centered", optax.rmsprop, GENTLE, {"centered": True})
optax_case("rmsprop", "momentum", optax.rmsprop, 0.01, {"momentum": 0.9})
optax_case("rmsprop", "nesterov", optax.rmsprop, 0.001, {"momentum": 0.9, "nesterov": True})
optax_case("rmsprop", "centered-momentum", optax.rmsprop, 0.01, {"centered": True, "momentum": 0.9})
optax_case("rmsprop", "momentum-halved", optax.rmsprop, 0.01, {"momentum": 0.9}, halve=True)
optax_case("adam", "", optax.adam, 0.01)
optax_case("adam", "eps-root", optax.adam, 0.01, {"epsRoot": 1e-2})
optax_case("amsgrad", "", optax.amsgrad, 0.01, problems=ALL)
optax_case("amsgrad", "b2", optax.amsgrad, 0.05, {"b1": 0.9, "b2": 0.9})
optax_case("adamw", "default-decay", optax.adamw, 0.01, {}, **DECOUPLED)
optax_case("adamw", "", optax.adamw, 0.01, {"weightDecay": 0.1}, **DECOUPLED)
optax_case("lamb", "", optax.lamb, 0.01, {"weightDecay": 0.0}, problems=ALL)
optax_case("lamb", "decay", optax.lamb, 0.01, {"weightDecay": 0.1}, problems=ALL)
optax_case("adadelta", "", optax.adadelta, 1, problems=ALL)
optax_case("adadelta", "decay", optax.adadelta, 1, {"weightDecay": 0.1}, **L2)
optax_case("adamax", "", optax.adamax, 0.01, problems=ALL)
optax_case("nadam", "", optax.nadam, 0.01, problems=ALL)
optax_case("nadam", "eps-root", optax.nadam, 0.01, {"b1": 0.8, "epsRoot": 1e-2})
optax_case("nadamw", "default-decay", optax.nadamw, 0.01, {}, **DECOUPLED)
optax_case("nadamw", "", optax.nadamw, 0.01, {"weightDecay": 0.1}, **DECOUPLED)
optax_case("radam", "", optax.radam, SMALL, problems=ALL)
optax_case("radam", "eps-root", optax.radam, SMALL, {"b2": 0.95, "epsRoot": 1e-2})
optax_case("radam", "threshold", optax.radam, SMALL, {"threshold": 10})
optax_case("lion", "default-decay", optax.lion, 1e-3, {}, problems=ALL, **DECOUPLED)
optax_case("lion", "", optax.lion, 0.01, {"weightDecay": 0.1}, **DECOUPLED)
optax_case("lion", "halved", optax.lion, 1e-3, {"b1": 0.8, "b2": 0.95}, halve=True, **DECOUPLED)
for variant, settings in (("", {}), ("etas", etas)):
    case(
        "optax",
        "rprop",
        variant,
        0.01,
        settings,
        lambda base: optax_steps(lambda _: optax.rprop(base, **arguments("optax", optax.rprop, settings))),
        problems=ALL,
    )
ademamix = optax.contrib.ademamix
optax_case("ademamix", "", ademamix, 0.01, problems=ALL)
optax_case("ademamix", "b3-alpha", ademamix, 0.01, {"b3": 0.99, "alpha": 2, "epsRoot": 1e-2})
optax_case("ademamix", "decay", ademamix, 0.01, {"weightDecay": 0.1}, **DECOUPLED)
optax_case("adabelief", "", optax.adabelief, 0.01, problems=ALL)
optax_case("adabelief", "betas-eps", optax.adabelief, 0.01, {"b1": 0.8, "b2": 0.95, "eps": 1e-3, "epsRoot": 1e-4})
optax_case("yogi", "", optax.yogi, 0.01, problems=ALL)
optax_case("yogi", "betas-eps", optax.yogi, 0.05, {"b1": 0.8, "b2": 0.95, "eps": 1e-2})
case(
    "optax",
    "adamw",
    "matrices-only",
    0.01,
    {"weightDecay": 0.5},
    lambda _: optax_steps(lambda s: optax.adamw(s, weight_decay=0.5, mask={"A": True, "b": False})),
    problems=("twoTensors",),
    decay="decoupled",
    decayOnly="matrices",
)
case(
    "optax",
    "lamb",
    "matrices-only",
    0.01,
    {"weightDecay": 0.5},
    lambda _: optax_steps(lambda s: optax.lamb(s, weight_decay=0.5, mask={"A": True, "b": False})),
    problems=("twoTensors",),
    decayOnly="matrices",
)
case(
    "optax",
    "adam",
    "clip-global-norm",
    0.01,
    {},
    lambda _: optax_steps(lambda s: optax.chain(optax.clip_by_global_norm(0.5), optax.adam(s))),
    problems=("twoTensors", "rosenbrock"),
    clip={"globalNorm": 0.5},
)
case(
    "optax",
    "momentum",
    "clip-global-norm",
    SMALL,
    {"momentum": 0.9},
    lambda _: optax_steps(lambda s: optax.chain(optax.clip_by_global_norm(0.5), optax.sgd(s, 0.9))),
    problems=("twoTensors", "rosenbrock"),
    clip={"globalNorm": 0.5},
)

ko = keras.optimizers
keras_case("sgd", "", ko.SGD, SMALL)
keras_case("momentum", "", ko.SGD, SMALL, {"momentum": 0.9})
keras_case("momentum", "halved", ko.SGD, SMALL, {"momentum": 0.9}, halve=True)
keras_case("nesterov", "", ko.SGD, SMALL, {"momentum": 0.9, "nesterov": True})
keras_case("nesterov", "halved", ko.SGD, SMALL, {"momentum": 0.9, "nesterov": True}, halve=True)
keras_case("adagrad", "", ko.Adagrad, 0.1)
keras_case("adagrad", "accumulator", ko.Adagrad, 0.1, {"initialAccumulator": 0.5, "eps": 1e-3})
keras_case("rmsprop", "", ko.RMSprop, GENTLE, problems=ALL)
keras_case("rmsprop", "rho", ko.RMSprop, GENTLE, {"rho": 0.99, "eps": 1e-3})
keras_case("rmsprop", "centered", ko.RMSprop, GENTLE, {"centered": True})
keras_case("rmsprop", "momentum", ko.RMSprop, GENTLE, {"momentum": 0.9})
keras_case("rmsprop", "centered-momentum", ko.RMSprop, GENTLE, {"centered": True, "momentum": 0.9})
keras_case("rmsprop", "momentum-halved", ko.RMSprop, GENTLE, {"momentum": 0.9}, halve=True)
keras_case("adam", "", ko.Adam, 0.01, problems=ALL)
keras_case("adam", "betas-eps", ko.Adam, 0.05, {"b1": 0.8, "b2": 0.95, "eps": 1e-3})
keras_case("amsgrad", "", ko.Adam, 0.01, {"amsgrad": True}, problems=ALL)
keras_case("amsgrad", "b2", ko.Adam, 0.05, {"amsgrad": True, "b1": 0.9, "b2": 0.9})
keras_case("adamw", "default-decay", ko.AdamW, 0.01, {}, **DECOUPLED)
keras_case("adamw", "", ko.AdamW, 0.01, {"weightDecay": 0.1}, **DECOUPLED)
keras_case("adamw", "halved", ko.AdamW, 0.01, {"weightDecay": 0.1}, halve=True, **DECOUPLED)
keras_case("lamb", "", ko.Lamb, 0.01, problems=ALL)
keras_case("lamb", "decay", ko.Lamb, 0.01, {"weightDecay": 0.1}, problems=ALL, **DECOUPLED)
keras_case("adadelta", "", ko.Adadelta, 1, problems=ALL)
keras_case("adadelta", "decay", ko.Adadelta, 0.5, {"rho": 0.9, "eps": 1e-5, "weightDecay": 0.1}, **DECOUPLED)
keras_case("adamax", "", ko.Adamax, 0.01, problems=ALL)
keras_case("adamax", "betas-eps", ko.Adamax, 0.05, {"b1": 0.8, "b2": 0.9, "eps": 0.1})
keras_case("adamax", "decay", ko.Adamax, 0.01, {"weightDecay": 0.1}, halve=True, **DECOUPLED)
keras_case("nadam", "", ko.Nadam, 0.01, problems=ALL)
keras_case("nadam", "betas-eps", ko.Nadam, 0.05, {"b1": 0.8, "b2": 0.95, "eps": 1e-3})
keras_case("nadam", "decay", ko.Nadam, 0.01, {"weightDecay": 0.1}, halve=True, **DECOUPLED)
keras_case("lion", "", ko.Lion, 1e-3, problems=ALL)
keras_case("lion", "decay", ko.Lion, 0.01, {"b1": 0.8, "weightDecay": 0.1}, **DECOUPLED)
for name, option in (
    ("clip-tensor-norm", "clipnorm"),
    ("clip-global-norm", "global_clipnorm"),
    ("clip-value", "clipvalue"),
):
    key = {"clipnorm": "tensorNorm", "global_clipnorm": "globalNorm", "clipvalue": "value"}[option]
    case(
        "keras",
        "momentum",
        name,
        0.02,
        {"momentum": 0.9},
        lambda _: keras_steps(lambda p: ko.SGD(momentum=0.9, **{option: 0.5})),
        problems=("twoTensors",),
        clip={key: 0.5},
    )

for eps in (0.0, 1e-8):
    case(
        "paper",
        "amsgrad",
        "no-eps" if eps == 0 else "",
        0.01,
        {"b1": 0.9, "b2": 0.999, "eps": eps},
        lambda _: paper_amsgrad(0.9, 0.999, eps),
    )
case("paper", "amsgrad", "b2", 0.05, {"b1": 0.9, "b2": 0.9, "eps": 1e-8}, lambda _: paper_amsgrad(0.9, 0.9, 1e-8))
case("paper", "adamw", "", 0.01, {"weightDecay": 0.001}, lambda base: paper_adamw(base, 0.001), **DECOUPLED)
case(
    "paper",
    "adamw",
    "halved",
    0.01,
    {"weightDecay": 0.001},
    lambda base: paper_adamw(base, 0.001),
    halve=True,
    **DECOUPLED,
)
case("paper", "lamb", "", 0.01, {"weightDecay": 0.0}, lambda _: paper_lamb(0.0, 0, np.inf), problems=ALL)
case("paper", "lamb", "decay", 0.01, {"weightDecay": 0.1}, lambda _: paper_lamb(0.1, 0, np.inf), problems=ALL)
case(
    "paper",
    "lamb",
    "phi",
    0.01,
    {"weightDecay": 0.1},
    lambda _: paper_lamb(0.1, 0.75, 1.25),
    problems=ALL,
    phi={"low": 0.75, "high": 1.25},
)

case("paper", "adadelta", "", 1, {}, lambda _: paper_adadelta(0.95, 1e-6), problems=ALL)
case("paper", "adamax", "", 0.01, {}, lambda _: paper_adamax(0.9, 0.999), problems=ALL)
case("paper", "radam", "", SMALL, {}, lambda _: paper_radam(0.9, 0.999), problems=ALL)
case("paper", "radam", "betas", SMALL, {"b1": 0.8, "b2": 0.9}, lambda _: paper_radam(0.8, 0.9))
case("paper", "lion", "", 1e-3, {}, lambda _: paper_lion(0.9, 0.99, 0.0), problems=ALL)
case("paper", "lion", "decay", 0.01, {"weightDecay": 0.1}, lambda _: paper_lion(0.9, 0.99, 0.1), **DECOUPLED)
case("paper", "ademamix", "", 0.01, {}, lambda _: paper_ademamix(0.9, 0.999, 0.9999, 5, 1e-8, 0), problems=ALL)
case(
    "paper",
    "ademamix",
    "warmup",
    0.01,
    {"b3": 0.999, "weightDecay": 0.1, "warmup": 60},
    lambda _: paper_ademamix(0.9, 0.999, 0.999, 5, 1e-8, 0.1, warmup=60),
    problems=ALL,
    **DECOUPLED,
)
case("paper", "adabelief", "", 0.01, {}, lambda _: paper_adabelief(0.9, 0.999, 1e-8), problems=ALL)


def defaults(dialect, make):
    """The library's own defaults, from its signature."""
    back = {v: k for k, v in names_of(dialect, make).items() if v} | {"learning_rate": "lr"}
    drop = {
        "params",
        "foreach",
        "maximize",
        "capturable",
        "differentiable",
        "fused",
        "name",
        "kwargs",
        "clipnorm",
        "clipvalue",
        "global_clipnorm",
        "use_ema",
        "ema_momentum",
        "ema_overwrite_frequency",
        "loss_scale_factor",
        "gradient_accumulation_steps",
        "mask",
        "weight_decay_mask",
        "mu_dtype",
        "accumulator_dtype",
    }
    out = {}
    for k, v in inspect.signature(make).parameters.items():
        if k in drop or v.default is inspect.Parameter.empty:
            continue
        if k == "betas":
            out["b1"], out["b2"] = v.default
        elif k == "etas":
            out["etaMinus"], out["etaPlus"] = v.default
        elif k == "step_sizes":
            out["minStep"], out["maxStep"] = v.default
        elif v.default is None or isinstance(v.default, (bool, int, float)):
            out[back.get(k, k)] = v.default
    return out


CONSTRUCTORS = {
    "torch": {
        "sgd": to.SGD,
        "adagrad": to.Adagrad,
        "rmsprop": to.RMSprop,
        "adam": to.Adam,
        "adamw": to.AdamW,
        "adadelta": to.Adadelta,
        "adamax": to.Adamax,
        "nadam": to.NAdam,
        "nadamw": nadamw,
        "radam": to.RAdam,
        "rprop": to.Rprop,
    },
    "optax": {
        **{k: getattr(optax, k) for k in ("sgd", "adagrad", "rmsprop", "adam", "amsgrad", "adamw", "lamb")},
        **{k: getattr(optax, k) for k in ("adadelta", "adamax", "nadam", "nadamw", "radam", "lion", "rprop")},
        "ademamix": ademamix,
        "adabelief": optax.adabelief,
        "yogi": optax.yogi,
    },
    "keras": {
        "sgd": ko.SGD,
        "adagrad": ko.Adagrad,
        "rmsprop": ko.RMSprop,
        "adam": ko.Adam,
        "adamw": ko.AdamW,
        "lamb": ko.Lamb,
        "adadelta": ko.Adadelta,
        "adamax": ko.Adamax,
        "nadam": ko.Nadam,
        "lion": ko.Lion,
    },
}

check_gradients()
write(
    "optimizers.json",
    {
        "about": "scripts/golden/optimizers.py. float64. points[tensor][i] and loss[i] are the values after steps[i] "
        "steps. settings: what was passed, in Downhill's names (everything else is the library's default, "
        "listed under defaults). decay says whether weightDecay is added to the gradient (l2) or taken from "
        "the weights (decoupled). clip acts on the gradient before the rule. lrFromStep: pairs [step, lr], "
        "lr from that step (counted from 1) on. paper/adamw: lr is alpha, the schedule multiplier eta is lr "
        "/ (lr of step 1), and weightDecay is multiplied by eta only. paper/lamb: phi clamps the weight "
        "norm. Keras runs on its JAX backend.",
        "rounding": worst,  # largest relative change of a point when gradients are taken at weights off by one ulp
        "steps": STEPS,
        "problems": DESCRIPTIONS,
        "defaults": {d: {k: defaults(d, make) for k, make in made.items()} for d, made in CONSTRUCTORS.items()},
        "cases": cases,
    },
)
print(f"{len(cases)} cases, largest rounding amplification {worst:.1e}")
