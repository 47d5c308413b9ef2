"""Parameter groups of PyTorch: a small net whose trunk and head have rates and weight decays, or optimizers, of their own.

Every trajectory is walked a second time with gradients taken an ulp beside the point, and must end in the same place."""

import numpy as np
import torch

from emit import write

torch.set_default_dtype(torch.float64)

X = np.array([[1, -2, 0.5], [0, 1, 2], [-1, 0.5, 1], [2, 1, -1]])
T = np.array([[0.5], [-0.75], [0.25], [0.5]])
START = {
    "trunk.weight": np.array([[0.5, -1, 0.25], [0.75, -0.5, 1.0]]),
    "trunk.bias": np.array([0.125, -0.5]),
    "head.weight": np.array([[0.7, -0.4]]),
    "head.bias": np.array([0.1]),
}
STEPS = [1, 2, 5, 10, 20]
LR = {"trunk": 0.01, "head": 0.1}
DECAY = {"trunk": 0.05, "head": 0.3}


def loss(p):
    hidden = torch.tanh(torch.tensor(X) @ p["trunk.weight"].T + p["trunk.bias"])
    return ((hidden @ p["head.weight"].T + p["head.bias"] - torch.tensor(T)) ** 2).sum()


def walk(make, scale, noise):
    """make(trunk, head) → optimizers. `scale`: of both rates."""
    shake = np.random.default_rng(1)
    p = {k: torch.nn.Parameter(torch.tensor(v)) for k, v in START.items()}
    part = lambda name: [v for k, v in p.items() if k.startswith(name)]
    optimizers = make(part("trunk"), part("head"), {k: scale * v for k, v in LR.items()})
    points = []
    for t in range(1, STEPS[-1] + 1):
        beside = {k: v.detach() * torch.tensor(1 + noise * shake.uniform(-1, 1, v.shape)) for k, v in p.items()}
        near = {k: v.requires_grad_() for k, v in beside.items()}
        loss(near).backward()
        for k, v in p.items():
            v.grad = near[k].grad
        for optimizer in optimizers:
            optimizer.step()
        if t in STEPS:
            points.append({k: v.detach().numpy().copy() for k, v in p.items()})
    return points


cases = []


def case(name, rules, scale, make):
    points, shaken = walk(make, scale, 0.0), walk(make, scale, 2.0**-52)
    change = max(np.abs(a[k] - b[k]).max() / np.abs(a[k]).max() for a, b in zip(points, shaken) for k in a)
    assert change < 1e-11, (name, change)
    rates = {k: scale * v for k, v in LR.items()}
    cases.append({"name": name, **rules, "lr": rates, "points": {k: [q[k] for q in points] for k in START}})


def grouped(name, make, scale=1.0, settings={}, **arguments):
    def both(trunk, head, lr):
        groups = [
            {"params": trunk, "lr": lr["trunk"], "weight_decay": DECAY["trunk"]},
            {"params": head, "lr": lr["head"], "weight_decay": DECAY["head"]},
        ]
        return [make(groups, **arguments)]

    rules = {part: {"optimizer": name, "settings": {"weightDecay": DECAY[part], **settings}} for part in LR}
    case(name, rules, scale, both)


to = torch.optim
grouped("sgd", to.SGD, 0.5)
grouped("momentum", to.SGD, 0.3, {"momentum": 0.8}, momentum=0.8)
grouped("nesterov", to.SGD, 0.3, {"momentum": 0.8}, momentum=0.8, nesterov=True)
grouped("adagrad", to.Adagrad)
grouped("rmsprop", to.RMSprop, 0.1)
grouped("adam", to.Adam)
grouped("amsgrad", to.Adam, amsgrad=True)
grouped("adamW", to.AdamW)
grouped("adadelta", to.Adadelta, 10.0)
grouped("adamax", to.Adamax)
grouped("nadam", to.NAdam)
grouped("radam", to.RAdam, 0.3)

case(
    "momentum in the trunk, adamW in the head",
    {
        "trunk": {"optimizer": "momentum", "settings": {"momentum": 0.9}},
        "head": {"optimizer": "adamW", "settings": {"weightDecay": 0.1}},
    },
    1.0,
    lambda trunk, head, lr: [
        to.SGD(trunk, lr=lr["trunk"], momentum=0.9),
        to.AdamW(head, lr=lr["head"], weight_decay=0.1),
    ],
)

write(
    "groups.json",
    {
        "about": "scripts/golden/groups.py. Trajectories of PyTorch's optimizers with two parameter groups, of rates lr and "
        "settings of their own, on sum((tanh(X @ trunk.weight^T + trunk.bias) @ head.weight^T + head.bias - T)^2).",
        "libraries": {"torch": torch.__version__.split("+")[0]},
        "problem": {"X": X, "T": T, "start": START},
        "steps": STEPS,
        "cases": cases,
    },
)
