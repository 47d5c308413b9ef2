"""Attention and positions against PyTorch, in float64.

layers/attention.json  nn.MultiheadAttention, and the formulas of rotary and sinusoidal positions as transformers (Llama)
                       and Vaswani et al. write them; a grouped, rotary attention of the same parts
attention.json         scaled_dot_product_attention with masks: outputs and gradients of Σ output · cotangent"""

import torch
from torch import nn
from torch.nn.functional import linear, scaled_dot_product_attention

from emit import write
from layers import case, data, draw, numbers, rounded, write_layers


def rotate_half(x):
    """transformers, modeling_llama.py."""
    a, b = x.chunk(2, -1)
    return torch.cat((-b, a), -1)


def rotary(x, base=10_000.0):
    """transformers' LlamaRotaryEmbedding and apply_rotary_pos_emb, for the places 0, 1, … of axis −2."""
    t, d = x.shape[-2:]
    frequency = 1.0 / (base ** (torch.arange(0, d, 2).double() / d))
    angle = torch.outer(torch.arange(t).double(), frequency)
    angle = torch.cat((angle, angle), -1)
    return x * angle.cos() + rotate_half(x) * angle.sin()


class Rotary(nn.Module):
    def forward(self, x):
        return rotary(x)


class Sinusoidal(nn.Module):
    def forward(self, x):
        t, d = x.shape[-2:]
        at = torch.arange(t).double()[:, None] / 10_000 ** (torch.arange(0, d, 2).double() / d)
        p = torch.empty(t, d)
        p[:, 0::2] = at.sin()
        p[:, 1::2] = at.cos()
        return x + p


class Dot(nn.Module):
    def forward(self, q, k, v):
        return scaled_dot_product_attention(q, k, v)


class GroupedAttention(nn.Module):
    """Llama's attention, with the names of nn.MultiheadAttention: rotary positions, a key head for several query heads."""

    def __init__(self, width, heads, kv_heads, turn=True):
        super().__init__()
        self.cut = (heads, kv_heads, kv_heads)
        self.d = width // heads
        self.turn = turn
        self.in_proj_weight = nn.Parameter(draw(sum(self.cut) * self.d, width))
        self.out_proj = nn.Linear(width, width, bias=False)

    def forward(self, x):
        n, t, width = x.shape
        parts = linear(x, self.in_proj_weight).split([h * self.d for h in self.cut], -1)
        q, k, v = (p.reshape(n, t, h, self.d).transpose(1, 2) for p, h in zip(parts, self.cut))
        if self.turn:
            q, k = rotary(q), rotary(k)
        y = scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.out_proj(y.transpose(1, 2).reshape(n, t, width))


def attend(net, x, *more):
    """As our module is called: (x), (x, padding), (x, memory), (x, memory, padding). True is a real token."""
    mask = more[-1] if more and more[-1].dtype == torch.bool else None
    memory = more[0] if more and more[0].dtype != torch.bool else x
    hidden = {} if mask is None else {"key_padding_mask": ~mask} if mask.dim() == 2 else {"attn_mask": ~mask[0, 0]}
    return net(x, memory, memory, need_weights=False, **hidden)[0]


def causal(net, x):
    t = x.shape[1]
    return net(x, x, x, need_weights=False, attn_mask=torch.ones(t, t).triu(1).bool())[0]


def layers():
    def multihead(name, args, steps, forward=attend, **options):
        net = nn.MultiheadAttention(args[0], args[1], batch_first=True, **options)
        return case("multiheadAttention", name, args, net, steps, forward=forward)

    padding = torch.tensor([[True, True, True, False], [True, True, False, False]])
    some = torch.tensor([[True, False, True], [False, True, True], [True, True, True]])
    return [
        multihead("of a sequence to itself", [4, 2], [[draw(2, 3, 4)]]),
        multihead("no bias, one head", [4, 1, {"bias": False}], [[draw(2, 3, 4)]], bias=False),
        multihead("causal", [6, 3, {"causal": True}], [[draw(2, 4, 6)]], forward=causal),
        multihead("padding", [4, 2], [[draw(2, 4, 4), padding]]),
        multihead("mask of [1, 1, t, t]", [4, 2], [[draw(2, 3, 4), some[None, None]]]),
        multihead("of a sequence to a longer memory", [4, 2], [[draw(2, 3, 4), draw(2, 5, 4)]]),
        multihead("of a sequence to a memory with padding", [4, 2], [[draw(2, 3, 4), draw(2, 4, 4), padding]]),
        case(
            "multiheadAttention",
            "grouped queries, causal",
            [8, 4, {"kvHeads": 2, "bias": False, "causal": True}],
            GroupedAttention(8, 4, 2, turn=False),
            [[draw(2, 3, 8)]],
        ),
        case(
            "multiheadAttention",
            "rotary, multi-query, causal",
            [8, 2, {"kvHeads": 1, "bias": False, "causal": True, "rotary": True}],
            GroupedAttention(8, 2, 1),
            [[draw(2, 5, 8)]],
        ),
        case("attention", "of three tensors", None, Dot(), [[draw(2, 2, 3, 4), draw(2, 2, 5, 4), draw(2, 2, 5, 3)]]),
        case("rotary", "transformers' layout", None, Rotary(), [[draw(2, 2, 5, 6)]]),
        case("sinusoidal", "shorter than its context", [7, 6], Sinusoidal(), [[draw(2, 5, 6)]]),
        case(
            "positionEmbedding",
            "shorter than its context",
            [5, 3],
            nn.Embedding(5, 3),
            [[draw(2, 4, 3)]],
            forward=lambda net, x: x + net(torch.arange(x.shape[1])),
        ),
    ]


def dot_product(name, q, kv, causal=False, mask=None, scale=None, dv=None):
    """q, kv: (n, h, t, d) and (n, hkv, s, d)."""
    tensors = [rounded(draw(*shape)).requires_grad_() for shape in (q, kv, (*kv[:3], dv or kv[3]))]
    if mask is not None and mask.is_floating_point():
        mask = rounded(mask).requires_grad_()
        tensors.append(mask)
    y = scaled_dot_product_attention(
        *tensors[:3], attn_mask=mask, is_causal=causal, scale=scale, enable_gqa=q[1] != kv[1]
    )
    cotangent = rounded(draw(*y.shape))
    slopes = torch.autograd.grad((y * cotangent).sum(), tensors)
    inputs = dict(zip("qkv", map(numbers, tensors)))
    options = {"causal": causal, **({} if scale is None else {"scale": scale})}
    return {
        "name": name,
        **inputs,
        **({} if mask is None else {"mask": numbers(mask)}),
        "options": options,
        "cotangent": numbers(cotangent),
        "output": numbers(y),
        "gradients": dict(zip(["q", "k", "v", "mask"], map(data, slopes))),
    }


def masks():
    visible = torch.tensor([[True, False, True, True], [False, False, True, False], [True, True, True, True]])
    padding = torch.tensor([[True, True, False, False], [True, True, True, False]])[:, None, None, :]
    none = visible.clone()
    none[1] = False
    forbidden = torch.zeros(3, 4).masked_fill(~none, -torch.inf)
    q, kv = (2, 2, 3, 4), (2, 2, 4, 4)
    return [
        dot_product("no mask", q, kv),
        dot_product("causal, as many keys as queries", (2, 2, 4, 4), kv, causal=True),
        dot_product("causal, more keys than queries", q, kv, causal=True),
        dot_product("causal, fewer keys than queries", (2, 2, 5, 4), kv, causal=True),
        dot_product("scale, values of another width", q, kv, scale=0.3, dv=3),
        dot_product("bool mask [t, s]", q, kv, mask=visible),
        dot_product("bool mask [n, 1, 1, s]", q, kv, mask=padding),
        dot_product("bool mask with a row of nothing", q, kv, mask=none),
        dot_product("added mask [h, t, s]", q, kv, mask=draw(2, 3, 4)),
        dot_product("added mask with a row of −∞", q, kv, mask=forbidden),
        dot_product("grouped queries, causal", (2, 4, 3, 4), (2, 2, 3, 4), causal=True),
        dot_product("multi-query, bool mask", (2, 3, 3, 2), (2, 1, 4, 2), mask=visible),
    ]


if __name__ == "__main__":
    write_layers("attention", layers())
    write(
        "attention.json",
        {
            "about": f"torch {torch.__version__} scaled_dot_product_attention in float64: flat data, row-major; gradients "
            "of Σ output · cotangent. A bool mask is true where attention is allowed.",
            "cases": masks(),
        },
    )
