"""Adaptive clipping, centralisation and sharpness-aware steps: Optax, the papers' formulas in NumPy loops.

Weights are [out, in] and [out, in, kh, kw] as in PyTorch; Optax' adaptive_grad_clip has the output last, so it is given
the transposes. Of sam, every trajectory is walked a second time with gradients taken an ulp beside the point, and must
end in the same place."""

import os

os.environ["JAX_ENABLE_X64"] = "1"

import jax
import jax.numpy as jnp
import numpy as np
import optax

from emit import write

rng = np.random.default_rng(7)

# ------------------------------------------------------------------------------------- gradients, before and after

SHAPES = {"linear": (3, 4), "conv": (2, 3, 2, 2), "conv1d": (2, 3, 2), "vector": (5,), "number": ()}
PARAMS = {k: rng.normal(size=s) * 0.3 for k, s in SHAPES.items()}
GRADIENTS = {k: rng.normal(size=s) * 0.01 for k, s in SHAPES.items()}
PARAMS["zeros"], GRADIENTS["zeros"] = np.zeros((2, 3)), rng.normal(size=(2, 3))
PARAMS["still"], GRADIENTS["still"] = rng.normal(size=(2, 3)), np.zeros((2, 3))


def agc_by_hand(p, g, limit, eps):
    """Brock et al. 2021, eq. 3, unit by unit."""
    if p.ndim < 2:
        p, g = p.reshape(1, -1), g.reshape(1, -1)
    out = np.empty_like(g)
    for i in range(len(g)):
        weight = max(np.sqrt((p[i] ** 2).sum()), eps)
        length = np.sqrt((g[i] ** 2).sum())
        out[i] = g[i] * limit * weight / length if length > limit * weight else g[i]
    return out


def agc_by_optax(p, g, limit, eps):
    last = lambda x: jnp.moveaxis(jnp.asarray(x), 0, -1) if x.ndim > 1 else jnp.asarray(x)
    # of three axes Optax takes a multi-head linear layer, whose units are not a convolution's: say which axes
    tx = optax.adaptive_grad_clip(limit, eps, axis=(0, 1) if p.ndim == 3 else None)
    out = np.asarray(tx.update(last(g), tx.init(last(p)), last(p))[0])
    return np.moveaxis(out, -1, 0) if p.ndim > 1 else out


cases = []
for limit, eps in ((0.01, 1e-3), (0.1, 1e-3), (0.02, 0.5)):
    for name, p in PARAMS.items():
        g = GRADIENTS[name]
        clipped = agc_by_optax(p, g, limit, eps)
        np.testing.assert_allclose(clipped, agc_by_hand(p, g, limit, eps).reshape(p.shape), rtol=1e-13, atol=1e-300)
        settings = {"limit": limit, "eps": eps}
        cases.append({"kind": "agc", "settings": settings, "name": name, "p": p, "g": g, "u": clipped})

for name, g in GRADIENTS.items():
    tx = optax.centralize()
    u = np.asarray(tx.update(jnp.asarray(g), tx.init(jnp.asarray(g)))[0])
    by_hand = np.array([row - row.mean() for row in g]) if g.ndim > 1 else g
    np.testing.assert_allclose(u, by_hand, rtol=1e-13, atol=1e-17)
    cases.append({"kind": "centralize", "settings": {}, "name": name, "p": PARAMS[name], "g": g, "u": u})

# ---------------------------------------------------------------------------------------------------- trajectories

X = np.array([[1, -2, 0.5], [0, 1, 2], [-1, 0.5, 1], [2, 1, -1]])
T = np.array([[0.5, -0.25], [-0.75, 0.5], [0.25, 0], [0, 0.75]])
START = {"A": np.array([[0.5, -1], [0.25, 0.75], [-0.5, 1.0]]), "b": np.array([0.125, -0.5])}
STEPS = [1, 2, 3, 5, 10, 20, 50]


def gradient(p):
    y = np.tanh(X @ p["A"] + p["b"])
    s = 2 * (y - T) * (1 - y**2)
    return {"A": X.T @ s, "b": s.sum(0)}


loss = lambda p: jnp.sum((jnp.tanh(X @ p["A"] + p["b"]) - T) ** 2)
for k, g in jax.grad(loss)({k: jnp.asarray(v) for k, v in START.items()}).items():
    np.testing.assert_allclose(g, gradient(START)[k], rtol=1e-13)


def walk(make, noise):
    """make(): gradient function → (params → params), one step."""
    shake = np.random.default_rng(1)
    near = lambda p: {k: v * (1 + noise * shake.uniform(-1, 1, v.shape)) for k, v in p.items()}
    step = make(lambda p: gradient(near({k: np.asarray(v) for k, v in p.items()})))
    p, points = START, []
    for t in range(1, STEPS[-1] + 1):
        p = {k: np.asarray(v) for k, v in step(p).items()}
        if t in STEPS:
            points.append(p)
    return points


def case(library, rule, settings, make):
    points, shaken = walk(make, 0.0), walk(make, 2.0**-52)
    change = max(np.abs(a[k] - b[k]).max() / np.abs(a[k]).max() for a, b in zip(points, shaken) for k in a)
    assert change < 1e-11, (rule, settings, change)
    walks.append(
        {"library": library, "rule": rule, "settings": settings, "points": {k: [q[k] for q in points] for k in START}}
    )


def optax_sam(make_rule, rho):
    """The paper's SAM in Optax: climb by ρ g / ‖g‖, go down from where it began."""

    def make(gradient):
        climb = optax.chain(optax.contrib.normalize(), optax.sgd(rho))
        tx = optax.contrib.sam(make_rule(), climb, sync_period=2, opaque_mode=True)
        state = tx.init({k: jnp.asarray(v) for k, v in START.items()})

        def step(p):
            nonlocal state
            p = {k: jnp.asarray(v) for k, v in p.items()}
            u, state = tx.update(gradient(p), state, p, grad_fn=lambda q, _: gradient(q))
            return optax.apply_updates(p, u)

        return step

    return make


def asam_by_hand(lr, rho, eta):
    """Kwon et al. 2021, algorithm 1, with plain descent: T = |w| + η, number by number."""

    def make(gradient):
        def step(p):
            g = gradient(p)
            square = 0.0
            for k in p:
                for w, d in zip(p[k].ravel(), g[k].ravel()):
                    square += ((abs(w) + eta) * d) ** 2
            climbed = {k: p[k] + rho * (abs(p[k]) + eta) ** 2 * g[k] / np.sqrt(square) for k in p}
            at = gradient(climbed)
            return {k: p[k] - lr * at[k] for k in p}

        return step

    return make


walks = []
for rule, lr, make in (
    ("sgd", 0.05, lambda: optax.sgd(0.05)),
    ("momentum", 0.02, lambda: optax.sgd(0.02, momentum=0.9)),
    ("adam", 0.01, lambda: optax.adam(0.01)),
):
    for rho in (0.05, 0.2):
        case(f"optax {optax.__version__}", rule, {"lr": lr, "rho": rho}, optax_sam(make, rho))
for rho, eta in ((0.5, 0.01), (0.2, 0.0)):
    settings = {"lr": 0.02, "rho": rho, "eta": eta, "adaptive": True}
    case(f"numpy {np.__version__} loop", "sgd", settings, asam_by_hand(0.02, rho, eta))

write(
    "gradient-transforms.json",
    {
        "about": "scripts/golden/gradient-transforms.py. cases: u is what the transform makes of the gradient g at the "
        "parameter p. sam: parameters after the listed steps of the rule on sum((tanh(X @ A + b) - T)^2).",
        "libraries": {"optax": optax.__version__, "numpy": np.__version__},
        "problem": {"X": X, "T": T, "start": START},
        "steps": STEPS,
        "cases": cases,
        "sam": walks,
    },
)
