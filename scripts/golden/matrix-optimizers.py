"""Trajectories of rules that see a tensor as a whole: LARS, Adafactor, Muon, Shampoo.

As optimizers.py: one driver gives every optimizer the same gradients of the same problems, in float64, and a trajectory
that amplifies rounding is refused. Oracles are PyTorch, Optax and Keras, and NumPy loops written from the papers. The
libraries round in the middle of these rules, whatever the parameters' dtype:

- PyTorch's Muon iterates in bfloat16. Its own source runs here with that cast taken out; one case keeps it, to be
  compared loosely (`tolerance`).
- Optax' Adafactor computes 1 - t^-0.8 in float32. It is given that function in float64, by the parameter that it has
  for it; one case keeps its own.
- Keras computes means and norms in float32. It is given those of JAX; one case of each rule keeps its own.

Optax' Muon takes a kernel for [inputs, outputs]. Ours are [outputs, inputs], so it is told which axis is which.
"""

import functools
import inspect
import os

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_ENABLE_X64"] = "1"

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import torch
from keras.src import ops
from optax._src import factorized
from torch.optim import _muon

from emit import write

keras.config.set_floatx("float64")
torch.set_default_dtype(torch.float64)

STEPS = [1, 2, 5, 20, 100]

# ---------------------------------------------------------------------------------------------------- problems

X = np.array([[1, -2, 0.5], [0, 1, 2], [-1, 0.5, 1], [2, 1, -1], [0.5, 0.5, -2], [-1.5, -1, 0.25]])
T = np.array([[0.5, -0.25], [-0.75, 0.5], [0.25, 0], [0, 0.75], [-0.5, -0.5], [1, 0.25]])


def layers(p):
    """A network of two layers: sum((tanh(X W1^T + b1) W2^T + b2 - T)^2)."""
    h = np.tanh(X @ p["W1"].T + p["b1"])
    y = h @ p["W2"].T + p["b2"] - T
    dy = 2 * y
    dh = dy @ p["W2"] * (1 - h**2)
    return (y**2).sum(), {"W1": dh.T @ X, "b1": dh.sum(0), "W2": dy.T @ h, "b2": dy.sum(0)}


SHAPES = {"kernel": (3, 2, 2, 2), "square": (3, 3), "row": (1, 4), "column": (4, 1), "vector": (3,), "scalar": ()}


def spread(shape, low, high, turn):
    """Numbers between low and high without a pattern that a matrix could factor."""
    n = int(np.prod(shape))
    return np.round(low + (high - low) * np.mod(turn * np.arange(1, n + 1) ** 2, 1), 4).reshape(shape)


CENTRE = {k: spread(s, -1, 1, 0.618034) for k, s in SHAPES.items()}
WEIGHT = {k: spread(s, 0.5, 4, 0.414214) for k, s in SHAPES.items()}


def tensors(p):
    """A bowl over tensors of every rank: sum over all of 0.5 d (w - c)^2 + 0.025 (w - c)^4."""
    away = {k: p[k] - CENTRE[k] for k in p}
    loss = sum((0.5 * WEIGHT[k] * a**2 + 0.025 * a**4).sum() for k, a in away.items())
    return loss, {k: WEIGHT[k] * a + 0.1 * a**3 for k, a in away.items()}


PROBLEMS = {
    "layers": (
        layers,
        {
            "W1": spread((5, 3), -0.8, 0.8, 0.732051),
            "b1": spread((5,), -0.4, 0.4, 0.236068),
            "W2": spread((2, 5), -0.6, 0.6, 0.645751),
            "b2": np.array([0.125, -0.5]),
        },
    ),
    "tensors": (tensors, {k: spread(s, -2.5, 2.5, 0.316625) for k, s in SHAPES.items()}),
}

DESCRIPTIONS = {
    "layers": {"loss": layers.__doc__, "constants": {"X": X, "T": T}, "start": PROBLEMS["layers"][1]},
    "tensors": {
        "loss": tensors.__doc__,
        "constants": {**{f"d.{k}": v for k, v in WEIGHT.items()}, **{f"c.{k}": v for k, v in CENTRE.items()}},
        "start": PROBLEMS["tensors"][1],
    },
}


def check_gradients():
    for f, start in PROBLEMS.values():
        for k, g in f(start)[1].items():
            turn = np.cos(np.arange(g.size)).reshape(g.shape)
            up, down = ({**start, k: start[k] + sign * 1e-6 * turn} for sign in (1, -1))
            np.testing.assert_allclose((f(up)[0] - f(down)[0]) / 2e-6, (g * turn).sum(), rtol=1e-7)


def walk(optimizer, problem, rate, noise=0.0):
    """optimizer(start, rates) -> step(gradients, lr) -> parameters. `noise`: relative error of where the gradient is taken."""
    f, start = PROBLEMS[problem]
    rng = np.random.default_rng(1)
    step = optimizer({k: v.copy() for k, v in start.items()}, [rate(t) for t in range(1, STEPS[-1] + 1)])
    p, points, losses = start, [], []
    for t in range(1, STEPS[-1] + 1):
        near = {k: v * (1 + noise * rng.uniform(-1, 1, v.shape)) for k, v in p.items()}
        p = step(f(near)[1], rate(t))
        if t in STEPS:
            points.append(p)
            losses.append(float(f(p)[0]))
    return points, losses


# ------------------------------------------------------------------------- the three libraries, as one `step` each


def torch_steps(make):
    """make(parameters: dict) -> [(optimizer, part of lr)]."""

    def optimizer(start, _):
        p = {k: torch.nn.Parameter(torch.tensor(v)) for k, v in start.items()}
        made = make(p)

        def step(g, lr):
            for k in p:
                p[k].grad = torch.tensor(g[k])
            for opt, part in made:
                opt.param_groups[0]["lr"] = lr * part
                opt.step()
            return {k: v.detach().numpy().copy() for k, v in p.items()}

        return step

    return optimizer


def optax_steps(make):
    """make(lr: schedule) -> GradientTransformation. Optax counts steps from 0."""

    def optimizer(start, rates):
        table = jnp.asarray(rates)
        tx = make(lambda count: table[count])
        p = {k: jnp.asarray(v) for k, v in start.items()}
        state = tx.init(p)
        update = jax.jit(tx.update)

        def step(g, lr):
            nonlocal p, state
            updates, state = update({k: jnp.asarray(v) for k, v in g.items()}, state, p)
            p = optax.apply_updates(p, updates)
            assert all(v.dtype == jnp.float64 for v in p.values())
            return {k: np.asarray(v) for k, v in p.items()}

        return step

    return optimizer


def keras_steps(make):
    def optimizer(start, _):
        p = {k: keras.Variable(v, dtype="float64", name=k) for k, v in start.items()}
        opt = make()
        opt.build(list(p.values()))
        rate = next(i for i, v in enumerate(opt.variables) if v is opt._learning_rate)
        kept, now = [v.value for v in opt.variables], [v.value for v in p.values()]
        apply = jax.jit(opt.stateless_apply)

        def step(g, lr):
            nonlocal kept, now
            kept[rate] = jnp.asarray(lr)
            now, kept = apply(kept, [jnp.asarray(g[k]) for k in p], now)
            assert all(v.dtype == jnp.float64 for v in now)
            return {k: np.asarray(v) for k, v in zip(p, now)}

        return step

    return optimizer


# ----------------------------------------------------------------------------------------------- loops from papers


def paper_lars(eta=0.001, decay=5e-4, momentum=0.9, where=lambda v: True):
    """You, Gitman & Ginsburg 2017, algorithm 1. Where a norm is 0, which the paper does not speak of, the ratio is 1."""

    def optimizer(p, _):
        v = {k: np.zeros_like(w) for k, w in p.items()}

        def step(g, lr):
            for k in p:
                beta = decay if where(p[k]) else 0
                weight, length = np.sqrt((p[k] ** 2).sum()), np.sqrt((g[k] ** 2).sum())
                local = eta * weight / (length + beta * weight) if weight * length > 0 else 1.0
                v[k] = momentum * v[k] + lr * local * (g[k] + beta * p[k])
                p[k] = p[k] - v[k]
            return dict(p)

        return step

    return optimizer


def inverse_root(h, order, eps, ridge):
    e, q = np.linalg.eigh(h + (eps + ridge * np.linalg.norm(h)) * np.eye(len(h)))
    return (q * e ** (-1 / order)) @ q.T


def paper_shampoo(
    eps=1e-4, ridge=1e-6, max_dim=1024, graft="none", momentum=0.9, b2=None, decay=0.0, where=lambda v: True
):
    """Gupta, Koren & Singer 2018, algorithm 2, by eigendecompositions. Longer axes than max_dim: the diagonal alone.
    The ridge, grafting, and averages (b2) in place of sums: Anil et al. 2020. Decoupled decay, lr outside of momentum."""

    def optimizer(p, _):
        axes = {k: np.atleast_1d(w).shape for k, w in p.items()}
        h = {k: [np.zeros((n, n)) for n in axes[k]] for k in p}
        b = {k: np.zeros_like(w) for k, w in p.items()}
        v = {k: np.zeros_like(w) for k, w in p.items()}
        t = 0

        def step(g, lr):
            nonlocal t
            t += 1
            for k in p:
                gradient = np.atleast_1d(g[k])
                u = gradient
                for i, n in enumerate(axes[k]):
                    others = [j for j in range(gradient.ndim) if j != i]
                    moment = np.tensordot(gradient, gradient, axes=(others, others))
                    h[k][i] = h[k][i] + moment if b2 is None else b2 * h[k][i] + (1 - b2) * moment
                    order = 2 * gradient.ndim
                    if 1 < n <= max_dim:
                        root = inverse_root(h[k][i], order, eps, ridge)
                    else:
                        root = np.diag((np.diag(h[k][i]) + eps) ** (-1 / order))
                    u = np.moveaxis(np.tensordot(root, u, axes=(1, i)), 0, i)
                u = u.reshape(g[k].shape)
                v[k] = 0.999 * v[k] + 0.001 * g[k] ** 2
                if graft != "none":
                    adam = g[k] / (np.sqrt(v[k] / (1 - 0.999**t)) + 1e-8)
                    long = g[k] if graft == "sgd" else adam
                    u = u * np.sqrt((long**2).sum()) / np.sqrt((u**2).sum())
                b[k] = momentum * b[k] + u
                p[k] = p[k] - lr * (b[k] + (decay if where(p[k]) else 0) * p[k])
            return dict(p)

        return step

    return optimizer


# ------------------------------------------------------------------- libraries without their rounding in the middle

rounded = _muon._zeropower_via_newtonschulz


def exact_iterations():
    """torch.optim.Muon's iterations from its own source, in the dtype of the gradient."""
    source = inspect.getsource(rounded)
    assert source.count(".bfloat16()") == 1
    names = dict(vars(_muon))
    exec(source.replace(".bfloat16()", ".clone()"), names)
    return names["_zeropower_via_newtonschulz"]


def torch_muon(p, only, aux=0.015, **settings):
    """Muon for `only`, and torch.optim.AdamW for the others."""
    own = [w for k, w in p.items() if only(w)]
    rest = [w for k, w in p.items() if not only(w)]
    return [(torch.optim.Muon(own, **settings), 1), (torch.optim.AdamW(rest), aux)]


def exact_keras():
    """Means and norms in the dtype of what they are of."""
    mean = lambda x, axis=None, keepdims=False: jnp.mean(ops.convert_to_tensor(x), axis, keepdims=keepdims)
    norm = lambda x, axis, keepdims: jnp.linalg.norm(ops.convert_to_tensor(x), axis=axis, keepdims=keepdims)
    ops.mean, ops.norm = mean, norm


def optax_muon(lr, only=lambda w: w.ndim == 2, aux=1, **settings):
    axes = lambda w: optax.contrib.MuonDimensionNumbers(tuple(range(1, w.ndim)), 0) if only(w) else None
    return optax.contrib.muon(
        lr,
        muon_weight_dimension_numbers=lambda params: jax.tree.map(axes, params),
        adam_learning_rate=lambda count: lr(count) * aux,
        **settings,
    )


def optax_adafactor(lr, own_rate=False, **settings):
    original = factorized.scale_by_factored_rms
    if not own_rate:
        rate = lambda i, power: 1 - jnp.asarray(i + 1, jnp.float64) ** -power
        factorized.scale_by_factored_rms = functools.partial(original, decay_rate_fn=rate)
    made = optax.adafactor(lr, dtype_momentum=jnp.float64, **settings)
    factorized.scale_by_factored_rms = original
    return made


# ---------------------------------------------------------------------------------------------------------- cases

cases = []
worst = 0.0
LIBRARY = {
    "torch": f"torch {torch.__version__.split('+')[0]}",
    "optax": f"optax {optax.__version__}",
    "keras": f"keras {keras.__version__}",
    "paper": f"numpy {np.__version__} loop",
}


def case(dialect, optimizer, variant, lr, settings, make, problems=("layers", "tensors"), halve=False, **notes):
    """Walk every problem. halve: steps 1-5 use lr, the later ones lr/2."""
    global worst
    for problem in problems:
        rate = lambda t: lr / 2 if halve and t > 5 else lr
        points, losses = walk(make, problem, rate)
        # Rounding amplification: the same walk with gradients taken an ulp beside must end in the same place.
        shaken, _ = walk(make, problem, rate, noise=2.0**-52)
        change = max(np.abs(a[k] - b[k]).max() / np.abs(a[k]).max() for a, b in zip(points, shaken) for k in a)
        name = f"{dialect}/{optimizer}{'-' + variant if variant else ''}/{problem}"
        if not change < 1e-11:
            raise SystemExit(f"{name}: lr {lr} amplifies rounding to {change:.1e}")
        if not losses[-1] < losses[0]:
            raise SystemExit(f"{name}: the loss goes from {losses[0]} to {losses[-1]}")
        if "tolerance" not in notes:
            worst = max(worst, change)
        entry = {
            "name": name,
            "dialect": dialect,
            "library": LIBRARY[dialect],
            "optimizer": optimizer,
            "settings": {"lr": lr, **settings},
            **notes,
            "problem": problem,
        }
        if halve:
            entry["lrFromStep"] = [[1, lr], [6, lr / 2]]
        entry["points"] = {k: [q[k] for q in points] for k in points[0]}
        entry["loss"] = losses
        cases.append(entry)


is_matrix = lambda w: w.ndim >= 2
mask = lambda params: jax.tree.map(is_matrix, params)
to, ko = torch.optim, keras.optimizers

# LARS. The trust coefficient of 0.001 wants large rates.
case("paper", "lars", "", 2, {}, paper_lars())
case("paper", "lars", "halved", 2, {"trustCoefficient": 0.002}, paper_lars(0.002), halve=True)
case("paper", "lars", "decay", 1, {"weightDecay": 0.5, "momentum": 0.5}, paper_lars(decay=0.5, momentum=0.5))
case(
    "paper",
    "lars",
    "matrices-only",
    2,
    {"weightDecay": 0.2},
    paper_lars(decay=0.2, where=is_matrix),
    decayOnly="matrices",
)
case("optax", "lars", "", 2, {}, optax_steps(optax.lars))
case(
    "optax",
    "lars",
    "decay",
    2,
    {"weightDecay": 0.5, "trustCoefficient": 0.002, "eps": 0.01, "nesterov": True, "momentum": 0.8},
    optax_steps(
        lambda lr: optax.lars(
            lr, weight_decay=0.5, trust_coefficient=0.002, eps=0.01, nesterov=True, momentum=0.8
        )
    ),
)
case("optax", "lars", "halved", 2, {}, optax_steps(optax.lars), halve=True)
case(
    "optax",
    "lars",
    "matrices-only",
    2,
    {"weightDecay": 0.2},
    optax_steps(lambda lr: optax.lars(lr, weight_decay=0.2, weight_decay_mask=mask)),
    decayOnly="matrices",
)

# Adafactor
case("torch", "adafactor", "", 0.01, {}, torch_steps(lambda p: [(to.Adafactor(p.values()), 1)]))
case(
    "torch",
    "adafactor",
    "ceiling",
    0.15,
    {"decayPower": 0.9, "clipThreshold": 1.5, "minScale": 0.01, "eps": 1e-3, "weightDecay": 0.1},
    torch_steps(
        lambda p: [(to.Adafactor(p.values(), beta2_decay=-0.9, d=1.5, eps=(1e-3, 0.01), weight_decay=0.1), 1)]
    ),
)
case("torch", "adafactor", "halved", 0.02, {}, torch_steps(lambda p: [(to.Adafactor(p.values()), 1)]), halve=True)
for variant, settings, args in (
    ("", {"factorFrom": 2}, {"min_dim_size_to_factor": 2}),
    ("whole", {}, {}),
    ("momentum", {"factorFrom": 3, "momentum": 0.8}, {"min_dim_size_to_factor": 3, "momentum": 0.8}),
    (
        "decay",
        {"factorFrom": 2, "weightDecay": 0.001, "clipThreshold": 2, "decayPower": 0.6, "eps": 1e-4},
        {
            "min_dim_size_to_factor": 2,
            "weight_decay_rate": 0.001,
            "clipping_threshold": 2,
            "decay_rate": 0.6,
            "eps": 1e-4,
        },
    ),
    (
        "absolute",
        {"factorFrom": 2, "scaleByParameter": False},
        {"min_dim_size_to_factor": 2, "multiply_by_parameter_scale": False},
    ),
):
    case(
        "optax",
        "adafactor",
        variant,
        0.004 if variant in ("decay", "absolute") else 0.02,
        settings,
        optax_steps(lambda lr: optax_adafactor(lr, **args)),
        halve=variant == "momentum",
    )
case(
    "optax",
    "adafactor",
    "own-rate",
    0.02,
    {"factorFrom": 2},
    optax_steps(lambda lr: optax_adafactor(lr, own_rate=True, min_dim_size_to_factor=2)),
    tolerance=1e-5,
)
case(
    "optax",
    "adafactor",
    "matrices-only",
    0.02,
    {"factorFrom": 2, "weightDecay": 0.001},
    optax_steps(
        lambda lr: optax_adafactor(lr, min_dim_size_to_factor=2, weight_decay_rate=0.001, weight_decay_mask=mask)
    ),
    decayOnly="matrices",
)
for name, make in (("adafactor", ko.Adafactor), ("muon", ko.Muon)):
    case("keras", name, "own-rounding", 0.01, {}, keras_steps(make), problems=("layers",), tolerance=1e-6)
exact_keras()
case("keras", "adafactor", "", 0.01, {}, keras_steps(ko.Adafactor))
case(
    "keras",
    "adafactor",
    "ceiling",
    0.15,
    {"decayPower": 0.9, "clipThreshold": 1.5, "minScale": 0.01, "eps": 1e-3, "weightDecay": 0.1},
    keras_steps(
        lambda: ko.Adafactor(
            beta_2_decay=-0.9, clip_threshold=1.5, epsilon_1=1e-3, epsilon_2=0.01, weight_decay=0.1
        )
    ),
)

# Muon
two = lambda w: w.ndim == 2
_muon._zeropower_via_newtonschulz = exact_iterations()
case("torch", "muon", "", 0.01, {}, torch_steps(lambda p: torch_muon(p, two)))
case(
    "torch",
    "muon",
    "rms",
    0.01,
    {"updateRms": 0.2, "auxLr": 1},
    torch_steps(lambda p: torch_muon(p, two, 1, adjust_lr_fn="match_rms_adamw")),
)
case(
    "torch",
    "muon",
    "heavy-ball",
    0.01,
    {"nesterov": False, "momentum": 0.8, "nsSteps": 3, "weightDecay": 0.5, "eps": 0.1},
    torch_steps(lambda p: torch_muon(p, two, nesterov=False, momentum=0.8, ns_steps=3, weight_decay=0.5, eps=0.1)),
    halve=True,
)
_muon._zeropower_via_newtonschulz = rounded
case(
    "torch",
    "muon",
    "bf16",
    0.01,
    {},
    torch_steps(lambda p: torch_muon(p, two)),
    problems=("layers",),
    tolerance=0.1,
)
case("optax", "muon", "", 0.01, {}, optax_steps(optax_muon))
case(
    "optax",
    "muon",
    "kernels",
    0.01,
    {"weightDecay": 0.1, "auxDecay": 0.2, "auxLr": 0.5, "updateRms": 0.2, "auxB1": 0.8, "auxB2": 0.9, "eps": 1e-3}
    | {"auxEps": 1e-3},
    optax_steps(
        lambda lr: optax_muon(
            lr,
            is_matrix,
            0.5,
            weight_decay=0.1,
            adam_weight_decay=0.2,
            consistent_rms=0.2,
            adam_b1=0.8,
            adam_b2=0.9,
            eps=1e-3,
        )
    ),
    only="matrices",
)
case(
    "optax",
    "muon",
    "heavy-ball",
    0.01,
    {"nesterov": False, "momentum": 0.8, "nsSteps": 3},
    optax_steps(lambda lr: optax_muon(lr, nesterov=False, beta=0.8, ns_steps=3)),
    halve=True,
)
case("keras", "muon", "", 0.01, {}, keras_steps(ko.Muon))
case(
    "keras",
    "muon",
    "heavy-ball",
    0.01,
    {"nesterov": False, "momentum": 0.8, "nsSteps": 4, "updateRms": 0.1, "weightDecay": 0.2, "auxDecay": 0.1}
    | {"auxLr": 0.5, "auxB1": 0.8, "auxB2": 0.95, "auxEps": 1e-3},
    keras_steps(
        lambda: ko.Muon(
            nesterov=False,
            momentum=0.8,
            ns_steps=4,
            rms_rate=0.1,
            weight_decay=0.2,
            adam_weight_decay=0.1,
            adam_lr_ratio=0.5,
            adam_beta_1=0.8,
            adam_beta_2=0.95,
            epsilon=1e-3,
        )
    ),
)

# Shampoo
# A matrix of one row has moments of rank 1. With the default eps their condition is 1e6, which amplifies rounding.
case("paper", "shampoo", "", 0.1, {}, paper_shampoo(), problems=("layers",))
case(
    "paper",
    "shampoo",
    "sgd",
    0.02,
    {"graft": "sgd", "b2": 0.9, "eps": 0.1},
    paper_shampoo(graft="sgd", b2=0.9, eps=0.1),
)
case(
    "paper",
    "shampoo",
    "adam",
    0.01,
    {"graft": "adam", "b2": 0.99, "weightDecay": 0.1, "eps": 0.1},
    paper_shampoo(graft="adam", b2=0.99, decay=0.1, eps=0.1, where=is_matrix),
    decayOnly="matrices",
    halve=True,
)
case(
    "paper",
    "shampoo",
    "diagonal",
    0.1,
    {"maxDim": 3, "momentum": 0, "eps": 0.01, "ridge": 0.001},
    paper_shampoo(max_dim=3, momentum=0, eps=0.01, ridge=0.001),
)


# ------------------------------------------------------------------------------------------------------- defaults


def given(make, **names):
    """Defaults of the library's signature, in Downhill's names."""
    signature = inspect.signature(make).parameters
    return {ours: signature[theirs].default for ours, theirs in names.items()}


adamw = given(to.AdamW, betas="betas", auxEps="eps", auxDecay="weight_decay")
adamw |= dict(zip(("auxB1", "auxB2"), adamw.pop("betas")))
eps1, eps2 = inspect.signature(to.Adafactor).parameters["eps"].default
muon = dict(momentum="momentum", nsSteps="ns_steps", weightDecay="weight_decay", nesterov="nesterov")
DEFAULTS = {
    "torch": {
        "adafactor": given(to.Adafactor, lr="lr", decayPower="beta2_decay", clipThreshold="d", weightDecay="weight_decay")
        | {"eps": eps1, "minScale": eps2},
        "muon": given(to.Muon, lr="lr", eps="eps", updateRms="adjust_lr_fn", **muon) | adamw,
    },
    "optax": {
        "lars": given(
            optax.lars,
            weightDecay="weight_decay",
            trustCoefficient="trust_coefficient",
            momentum="momentum",
            nesterov="nesterov",
        ),
        "adafactor": given(
            optax.adafactor,
            factorFrom="min_dim_size_to_factor",
            decayPower="decay_rate",
            scaleByParameter="multiply_by_parameter_scale",
            clipThreshold="clipping_threshold",
            momentum="momentum",
            weightDecay="weight_decay_rate",
            eps="eps",
        )
        | given(optax.scale_by_param_block_rms, minScale="min_scale"),
        "muon": given(
            optax.contrib.muon,
            **{**muon, "momentum": "beta"},
            eps="eps",
            auxEps="eps",
            auxB1="adam_b1",
            auxB2="adam_b2",
            auxDecay="adam_weight_decay",
            updateRms="consistent_rms",
        ),
    },
    "keras": {
        "adafactor": given(
            ko.Adafactor,
            lr="learning_rate",
            decayPower="beta_2_decay",
            eps="epsilon_1",
            minScale="epsilon_2",
            clipThreshold="clip_threshold",
            relativeStep="relative_step",
            weightDecay="weight_decay",
        ),
        "muon": given(
            ko.Muon,
            lr="learning_rate",
            auxB1="adam_beta_1",
            auxB2="adam_beta_2",
            auxEps="epsilon",
            auxDecay="adam_weight_decay",
            auxLr="adam_lr_ratio",
            updateRms="rms_rate",
            **muon,
        ),
    },
}
for rules in DEFAULTS.values():  # 1 - t^-0.8 is written with both signs
    rules["adafactor"]["decayPower"] = abs(rules["adafactor"]["decayPower"])

# ---------------------------------------------------------------------------------------------------------- roots

rng = np.random.default_rng(3)


def roots():
    """Symmetric A of eigenvalues from 1 to 1 / condition, times a scale, and (A + (eps + ridge ||A||) I)^(-1/p)."""
    for n, condition, order in ((4, 1e2, 4), (8, 1e6, 4), (8, 1e6, 2), (6, 1e6, 6), (5, 1e8, 8), (3, 1e3, 3)):
        q, _ = np.linalg.qr(rng.normal(size=(n, n)))
        unit = (q * np.geomspace(1, 1 / condition, n)) @ q.T
        for scale in (1, 1e5):
            a = scale * (unit + unit.T) / 2
            ridge, eps = 0.1 / condition, 0.01 * scale / condition
            root = inverse_root(a, order, eps, ridge)
            yield {"order": order, "condition": condition, "ridge": ridge, "eps": eps, "a": a, "root": root}


check_gradients()
write(
    "matrix-optimizers.json",
    {
        "about": "scripts/golden/matrix-optimizers.py. float64. points[tensor][i] and loss[i] are the values after "
        "steps[i] steps. settings: what was passed, in Downhill's names; everything else is the default. tolerance: "
        "the library rounds in the middle, so agree loosely. lrFromStep: pairs [step, lr], lr from that step (counted "
        "from 1) on. Keras runs on its JAX backend. roots: A^(-1/order) by eigh, for the coupled Newton iteration.",
        "rounding": worst,  # largest relative change of a point when gradients are taken at weights off by one ulp
        "steps": STEPS,
        "problems": DESCRIPTIONS,
        "defaults": DEFAULTS,
        "roots": list(roots()),
        "cases": cases,
    },
)
print(f"{len(cases)} cases, largest rounding amplification {worst:.1e}")
