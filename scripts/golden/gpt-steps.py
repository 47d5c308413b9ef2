"""gpt-steps.json: losses of a small GPT trained by nanoGPT's recipe, in float64, from numbers that an integer formula gives.

The formula is formula.py's. The parameters in the order of their names, the k-th from seed 100 + k: (2u - 1) / 4, and 1 more
for the weight of a norm. Tokens, from seed 1: floor(11 u). Step i reads the windows that start at (7 i + 5 j) mod 192, j < 4.
"""

import math

import torch
import torch.nn.functional as F

from emit import write
from formula import labels, uniforms
from models import GPT

VOCABULARY, CONTEXT, WIDTH, HEADS, LAYERS, BATCH, STEPS, WARMUP = 11, 8, 16, 2, 2, 4, 40, 10
LR, FLOOR = 1e-2, 1e-3


def rate(i):
    if i < WARMUP:
        return LR * (i + 1) / (WARMUP + 1)
    return FLOOR + 0.5 * (1 + math.cos(math.pi * (i - WARMUP) / (STEPS - WARMUP))) * (LR - FLOOR)


net = GPT(VOCABULARY, CONTEXT, WIDTH, HEADS, LAYERS).double()
named = sorted(net.named_parameters())
with torch.no_grad():
    for k, (name, p) in enumerate(named):
        u = torch.tensor(uniforms(100 + k, p.numel())).view(p.shape)
        p.copy_((2 * u - 1) / 4 + (".ln_" in name and name.endswith("weight")))
tokens = torch.tensor(labels(1, 200, VOCABULARY))
rule = torch.optim.AdamW(
    [
        {"params": [p for _, p in named if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for _, p in named if p.dim() < 2], "weight_decay": 0.0},
    ],
    betas=(0.9, 0.99),
)
losses, norms = [], []
for i in range(STEPS):
    for group in rule.param_groups:
        group["lr"] = rate(i)
    starts = [(7 * i + 5 * j) % 192 for j in range(BATCH)]
    x = torch.stack([tokens[s : s + CONTEXT] for s in starts])
    y = torch.stack([tokens[s + 1 : s + CONTEXT + 1] for s in starts])
    loss = F.cross_entropy(net(x).flatten(0, 1), y.flatten())
    rule.zero_grad()
    loss.backward()
    norms.append(torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0).item())
    rule.step()
    losses.append(loss.item())

write(
    "gpt-steps.json",
    {
        "about": "scripts/golden/gpt-steps.py: the loss before each update, and the norm of its gradient before it is clipped.",
        "library": f"torch {torch.__version__.split('+')[0]}",
        "names": [name for name, _ in named],
        "losses": losses,
        "norms": norms,
    },
)
