"""The workloads in JAX: python jax_peer.py FOLDER THREADS step|scan

One jitted function per step with a donated state, or all steps of a call as one lax.scan. Update rules are written out.
"""

import sys

from protocol import Given, place, samples, serve

folder, threads, way = sys.argv[1], int(sys.argv[2]), sys.argv[3]
place(threads)

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax import lax  # noqa: E402

given = Given(folder, most=1000 if way == "step" else None)
name = given.workload


def resident(tree):
    return {k: jnp.array(v) for k, v in tree}


data = resident(given.take("data"))


def cross_entropy(y, labels):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(y), labels[..., None], -1))


def dense(*layers):
    def loss(p, f, data):
        x = data["x"][f["rows"]]
        for k in layers:
            x = x @ p[f"layers.{k}.weight"].T + p[f"layers.{k}.bias"]
            x = x if k == layers[-1] else jax.nn.relu(x)
        return cross_entropy(x, data["labels"][f["rows"]])

    return loss


def logistic(p, f, data):
    z = data["x"][f["rows"]] @ p["weight"].T + p["bias"]
    return jnp.mean(jax.nn.softplus(z) - z * data["y"][f["rows"]])


def cnn(p, f, data):
    x = data["x"][f["rows"]]
    for k in (0, 4):
        x = lax.conv_general_dilated(x, p[f"layers.{k}.weight"], (1, 1), "SAME")
        x = x + p[f"layers.{k}.bias"][:, None, None]
        mean = x.mean((0, 2, 3), keepdims=True)
        variance = jnp.square(x - mean).mean((0, 2, 3), keepdims=True)
        x = (x - mean) * lax.rsqrt(variance + 1e-5) * p[f"layers.{k + 1}.weight"][:, None, None]
        x = jax.nn.relu(x + p[f"layers.{k + 1}.bias"][:, None, None])
        x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")
    x = x.reshape(x.shape[0], -1) @ p["layers.9.weight"].T + p["layers.9.bias"]
    return cross_entropy(x, data["labels"][f["rows"]])


def normed(x, weight):
    mean = x.mean(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(jnp.square(x - mean).mean(-1, keepdims=True) + 1e-5) * weight


def gpt(layers, heads, context):
    places = jnp.arange(context)
    seen = places[:, None] >= places

    def loss(p, f, data):
        at = f["starts"] + places
        x = p["transformer.wte.weight"][data["tokens"][at]] + p["transformer.wpe.weight"]
        n, t, w = x.shape
        for k in range(layers):
            h = f"transformer.h.{k}"
            parts = jnp.split(normed(x, p[f"{h}.ln_1.weight"]) @ p[f"{h}.attn.c_attn.weight"].T, 3, -1)
            q, key, v = (part.reshape(n, t, heads, w // heads).transpose(0, 2, 1, 3) for part in parts)
            scores = jnp.where(seen, q @ key.swapaxes(2, 3) / np.sqrt(w // heads).astype(np.float32), -jnp.inf)
            y = (jax.nn.softmax(scores) @ v).transpose(0, 2, 1, 3).reshape(n, t, w)
            x = x + y @ p[f"{h}.attn.c_proj.weight"].T
            y = normed(x, p[f"{h}.ln_2.weight"]) @ p[f"{h}.mlp.c_fc.weight"].T
            x = x + jax.nn.gelu(y, approximate=False) @ p[f"{h}.mlp.c_proj.weight"].T
        y = normed(x, p["transformer.ln_f.weight"]) @ p["transformer.wte.weight"].T
        return cross_entropy(y, data["tokens"][at + 1])

    return loss


def rosenbrock(p, f, data):
    return (1 - p["x"]) ** 2 + 100 * (p["y"] - p["x"] ** 2) ** 2


def adam(g, p, m, v, t, lr=1e-3, b1=0.9, b2=0.999, decay=0.0):
    m = b1 * m + (1 - b1) * g
    v = b2 * v + (1 - b2) * g * g
    u = (m / (1 - b1**t)) / (jnp.sqrt(v / (1 - b2**t)) + 1e-8)
    return p - lr * (u + decay * p), m, v


def by_adam(g, p, opt, t, **options):
    out = {k: adam(g[k], p[k], opt["m"][k], opt["v"][k], t, **options) for k in p}
    part = lambda n: {k: x[n] for k, x in out.items()}  # noqa: E731
    return part(0), {"m": part(1), "v": part(2)}


def by_clipped_adamw(g, p, opt, t):
    size = jnp.sqrt(sum(jnp.vdot(x, x) for x in g.values()))
    scale = jnp.minimum(1.0, 1.0 / (size + 1e-6))
    out = {
        k: adam(g[k] * scale, p[k], opt["m"][k], opt["v"][k], t, b2=0.99, decay=0.1 if p[k].ndim >= 2 else 0.0) for k in p
    }
    part = lambda n: {k: x[n] for k, x in out.items()}  # noqa: E731
    return part(0), {"m": part(1), "v": part(2)}


def by_sgd(g, p, opt, t):
    return {k: p[k] - 0.01 * g[k] for k in p}, opt


def by_momentum(g, p, opt, t):
    m = {k: 0.9 * opt["m"][k] + g[k] for k in p}
    return {k: p[k] - 0.01 * m[k] for k in p}, {"m": m}


trainings = {
    "SGD-1": (logistic, by_sgd, ""),
    "WIDE-512": (dense(0, 2, 4), by_adam, "mv"),
    "CNN": (cnn, by_momentum, "m"),
    "GPT": (gpt(4, 4, 64), by_clipped_adamw, "mv"),
    "GPT-M": (gpt(6, 6, 256), by_clipped_adamw, "mv"),
    "ROSENBROCK": (rosenbrock, by_adam, "mv"),
}


def trained():
    loss_of, rule, kept = (dense(0, 2), by_adam, "mv") if name.startswith("MLP-") else trainings[name]
    feeds = resident(given.feeds.items())

    def step(state, f, data):
        p, opt = state
        loss, g = jax.value_and_grad(loss_of)(p, f, data)
        return rule(g, p, opt, f["step"]), loss

    one = jax.jit(step, donate_argnums=0)
    all_of = jax.jit(lambda state, fs, data: lax.scan(lambda s, f: step(s, f, data), state, fs), donate_argnums=0)
    now = {}

    def reset():
        p = resident(given.params.items())
        now["state"] = (p, {letter: {k: jnp.zeros_like(x) for k, x in p.items()} for letter in kept})
        jax.block_until_ready(now["state"])

    # Slices of the feeds are what a data loader would give: they are made once, as numpy's are in a loader.
    slices = [{k: np.array(v[s]) for k, v in given.feeds.items()} for s in range(max(given.steps, given.checked))]

    def by_steps(n):
        losses, state = [], now["state"]
        for s in range(n):
            state, loss = one(state, slices[s], data)
            losses.append(loss)
        now["state"] = jax.block_until_ready(state)
        return [np.asarray(x) for x in jax.block_until_ready(losses)]

    def by_scan(n):
        now["state"], losses = all_of(now["state"], {k: v[:n] for k, v in feeds.items()}, data)
        jax.block_until_ready(now["state"])
        return np.asarray(losses)

    call = by_scan if way == "scan" else by_steps

    def check():
        reset()
        return call(given.checked)

    return reset, call, check


def update():
    now = {"p": list(resident(given.take("params")).values())}
    now["m"], now["v"] = ([jnp.zeros_like(x) for x in now["p"]] for _ in "mv")
    gradients = list(data.values())

    def step(ps, ms, vs, gs, t):
        return tuple(zip(*(adam(g, p, m, v, t, decay=0.01) for g, p, m, v in zip(gs, ps, ms, vs))))

    one = jax.jit(step, donate_argnums=(0, 1, 2))
    taken = {"t": 0}

    def call(n):
        for _ in range(n):
            taken["t"] += 1
            now["p"], now["m"], now["v"] = one(now["p"], now["m"], now["v"], gradients, np.float32(taken["t"]))
        jax.block_until_ready(now)

    def check():
        call(given.checked)
        return samples(now["p"])

    return (lambda: None), call, check


def matmul():
    a, b = data["a"], data["b"]
    product = jax.jit(lambda a, b: (a if name[-2] != "T" else a.T) @ (b if name[-1] != "T" else b.T))

    def call(n):
        c = None
        for _ in range(n):
            c = product(a, b)
            c.block_until_ready()
        return c

    return (lambda: None), call, lambda: samples([call(1)])


form = {"ADAMW-25M": update}.get(name, matmul if name.startswith("MATMUL") else trained)
kind = "one scan per call" if way == "scan" else "one jitted step"
serve(given, f"JAX {jax.__version__}, {kind}, {threads} threads", *form())
