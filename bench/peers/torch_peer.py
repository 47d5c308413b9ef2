"""The workloads in PyTorch: python torch_peer.py FOLDER THREADS eager|compiled

Fused optimizers, data and parameters resident, gradients set to None between steps; `compiled` has torch.compile for
loss and gradient.
"""

import sys

from protocol import Given, place, samples, serve

folder, threads, way = sys.argv[1], int(sys.argv[2]), sys.argv[3]
place(threads)

import torch  # noqa: E402
from torch.nn import functional as F  # noqa: E402

torch.set_num_threads(threads)
torch.set_num_interop_threads(1)
given = Given(folder, most=1000)
name = given.workload


def tensor(a):
    t = torch.from_numpy(a)  # the same memory
    return t.long() if t.dtype == torch.int32 else t


data = {k: tensor(v) for k, v in given.data.items()}
feeds = {k: tensor(v) for k, v in given.feeds.items()}
params = {k: tensor(v).requires_grad_(name[:6] not in ("ADAMW-", "MATMUL")) for k, v in given.params.items()}


def dense(*layers):
    def loss(p, s):
        x = data["x"][feeds["rows"][s]]
        for k in layers[:-1]:
            x = F.relu(F.linear(x, p[f"layers.{k}.weight"], p[f"layers.{k}.bias"]))
        last = layers[-1]
        y = F.linear(x, p[f"layers.{last}.weight"], p[f"layers.{last}.bias"])
        return F.cross_entropy(y, data["labels"][feeds["rows"][s]])

    return loss


def logistic(p, s):
    x, y = data["x"][feeds["rows"][s]], data["y"][feeds["rows"][s]]
    return F.binary_cross_entropy_with_logits(F.linear(x, p["weight"], p["bias"]), y)


def cnn(p, s):
    x = data["x"][feeds["rows"][s]]
    for k in (0, 4):
        x = F.conv2d(x, p[f"layers.{k}.weight"], p[f"layers.{k}.bias"], padding=1)
        n = k + 1
        x = F.batch_norm(x, *running[n], p[f"layers.{n}.weight"], p[f"layers.{n}.bias"], training=True)
        x = F.max_pool2d(F.relu(x), 2)
    y = F.linear(x.flatten(1), p["layers.9.weight"], p["layers.9.bias"])
    return F.cross_entropy(y, data["labels"][feeds["rows"][s]])


running = {k: (torch.zeros(c), torch.ones(c)) for k, c in ((1, 16), (5, 32))}


def gpt(layers, heads, context):
    places = torch.arange(context)

    def loss(p, s):
        at = feeds["starts"][s] + places
        x = F.embedding(data["tokens"][at], p["transformer.wte.weight"]) + p["transformer.wpe.weight"]
        n, t, w = x.shape
        for k in range(layers):
            h = f"transformer.h.{k}"
            y = F.layer_norm(x, (w,), p[f"{h}.ln_1.weight"])
            parts = F.linear(y, p[f"{h}.attn.c_attn.weight"]).split(w, dim=2)
            q, key, v = (part.view(n, t, heads, w // heads).transpose(1, 2) for part in parts)
            y = F.scaled_dot_product_attention(q, key, v, is_causal=True)
            x = x + F.linear(y.transpose(1, 2).reshape(n, t, w), p[f"{h}.attn.c_proj.weight"])
            y = F.linear(F.layer_norm(x, (w,), p[f"{h}.ln_2.weight"]), p[f"{h}.mlp.c_fc.weight"])
            x = x + F.linear(F.gelu(y), p[f"{h}.mlp.c_proj.weight"])
        y = F.linear(F.layer_norm(x, (w,), p["transformer.ln_f.weight"]), p["transformer.wte.weight"])
        return F.cross_entropy(y.flatten(0, 1), data["tokens"][at + 1].flatten())

    return loss


def rosenbrock(p, s):
    return (1 - p["x"]) ** 2 + 100 * (p["y"] - p["x"] ** 2) ** 2


def adam(p):
    return torch.optim.Adam(p.values(), lr=1e-3, fused=True)


def adamw(p):
    groups = [
        {"params": [t for t in p.values() if t.dim() >= 2], "weight_decay": 0.1},
        {"params": [t for t in p.values() if t.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), fused=True)


trainings = {
    "SGD-1": (logistic, lambda p: torch.optim.SGD(p.values(), lr=0.01, fused=True)),
    "WIDE-512": (dense(0, 2, 4), adam),
    "CNN": (cnn, lambda p: torch.optim.SGD(p.values(), lr=0.01, momentum=0.9, fused=True)),
    "GPT": (gpt(4, 4, 64), adamw),
    "GPT-M": (gpt(6, 6, 256), adamw),
    "ROSENBROCK": (rosenbrock, adam),
}


def trained():
    loss_of, rule_of = (dense(0, 2), adam) if name.startswith("MLP-") else trainings[name]
    if way == "compiled":
        loss_of = torch.compile(loss_of)
    clipped = name.startswith("GPT")
    now = {}
    first = {k: t.detach().clone() for k, t in params.items()} if given.restart else {}
    steps = torch.arange(max(given.steps, given.checked))

    def reset():
        with torch.no_grad():
            for k, t in first.items():
                params[k].copy_(t)
            for mean, variance in running.values():
                mean.zero_()
                variance.fill_(1)
        now["rule"] = rule_of(params)

    def call(n):
        losses = []
        for s in steps[:n]:  # a tensor, which compiled code takes without compiling again
            loss = loss_of(params, s)
            now["rule"].zero_grad(set_to_none=True)
            loss.backward()
            if clipped:
                torch.nn.utils.clip_grad_norm_(params.values(), 1.0)
            now["rule"].step()
            losses.append(loss.detach())
        return torch.stack(losses).numpy()

    def check():
        reset()
        return call(given.checked)

    return reset, call, check


def update():
    """The optimizer's step alone, on gradients that stay."""
    tensors = list(params.values())
    for t, g in zip(tensors, data.values()):
        t.requires_grad_().grad = g
    rule = torch.optim.AdamW(tensors, lr=1e-3, fused=True)

    def call(n):
        for _ in range(n):
            rule.step()

    def check():
        call(given.checked)
        return samples([t.detach() for t in tensors])

    return (lambda: None), call, check


def matmul():
    c = params["c"]
    m, n = c.shape
    a = data["a"] if name[-2] != "T" else data["a"].T
    b = data["b"] if name[-1] != "T" else data["b"].T

    def call(times):
        for _ in range(times):
            torch.mm(a, b, out=c)

    def check():
        call(1)
        return samples([c])

    return (lambda: None), call, check


form = {"ADAMW-25M": update}.get(name, matmul if name.startswith("MATMUL") else trained)
kind = "compiled" if way == "compiled" else "eager"
serve(given, f"PyTorch {torch.__version__}, {kind}, {threads} threads", *form())
