"""layers/transformer.json: nn.TransformerEncoderLayer, a Llama-like block, and a GPT in nanoGPT's form, in float64."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from attention import GroupedAttention
from layers import case, draw, write_layers


def padded(net, x, *mask):
    return net(x, src_key_padding_mask=~mask[0]) if mask else net(x)


def encoder_layer(name, options, inputs, forward=padded, **torch_options):
    width, heads = 4, 2
    settings = {"dim_feedforward": 4 * width, "dropout": 0.0, "activation": F.gelu, "batch_first": True}
    net = nn.TransformerEncoderLayer(width, heads, **(settings | torch_options))
    return case("transformerBlock", name, [width, heads, options], net, [inputs], forward=forward)


def causal(net, x):
    t = x.shape[1]
    return net(x, src_mask=torch.ones(t, t).triu(1).bool())


class LlamaLike(nn.Module):
    """Root-mean-square norms in front, rotary positions, grouped queries, no biases; silu without Llama's gate."""

    def __init__(self, width, heads, kv_heads, hidden):
        super().__init__()
        self.self_attn = GroupedAttention(width, heads, kv_heads)
        self.linear1 = nn.Linear(width, hidden, bias=False)
        self.linear2 = nn.Linear(hidden, width, bias=False)
        self.norm1 = nn.RMSNorm(width, eps=1e-6)
        self.norm2 = nn.RMSNorm(width, eps=1e-6)

    def forward(self, x):
        x = x + self.self_attn(self.norm1(x))
        return x + self.linear2(F.silu(self.linear1(self.norm2(x))))


# The rest is nanoGPT's model.py (Andrej Karpathy, MIT licence), with what training alone needs left out.


class CausalSelfAttention(nn.Module):
    def __init__(self, width, heads, bias):
        super().__init__()
        self.c_attn = nn.Linear(width, 3 * width, bias=bias)
        self.c_proj = nn.Linear(width, width, bias=bias)
        self.heads = heads

    def forward(self, x):
        n, t, c = x.size()
        q, k, v = self.c_attn(x).split(c, dim=2)
        q, k, v = (y.view(n, t, self.heads, c // self.heads).transpose(1, 2) for y in (q, k, v))
        scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
        scores = scores.masked_fill(torch.tril(torch.ones(t, t)) == 0, float("-inf"))
        y = F.softmax(scores, dim=-1) @ v
        return self.c_proj(y.transpose(1, 2).contiguous().view(n, t, c))


class MLP(nn.Module):
    def __init__(self, width, bias, approximate):
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width, bias=bias)
        self.gelu = nn.GELU(approximate)
        self.c_proj = nn.Linear(4 * width, width, bias=bias)

    def forward(self, x):
        return self.c_proj(self.gelu(self.c_fc(x)))


class Block(nn.Module):
    def __init__(self, width, heads, bias, approximate):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, bias=bias)
        self.attn = CausalSelfAttention(width, heads, bias)
        self.ln_2 = nn.LayerNorm(width, bias=bias)
        self.mlp = MLP(width, bias, approximate)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    def __init__(self, vocabulary, context, layers, heads, width, bias=True, tie=True, approximate="none"):
        super().__init__()
        self.transformer = nn.ModuleDict(
            dict(
                wte=nn.Embedding(vocabulary, width),
                wpe=nn.Embedding(context, width),
                h=nn.ModuleList([Block(width, heads, bias, approximate) for _ in range(layers)]),
                ln_f=nn.LayerNorm(width, bias=bias),
            )
        )
        self.lm_head = nn.Linear(width, vocabulary, bias=False)
        if tie:
            self.transformer.wte.weight = self.lm_head.weight

    def forward(self, x):
        y = self.transformer.wte(x) + self.transformer.wpe(torch.arange(x.size(1)))
        for block in self.transformer.h:
            y = block(y)
        return self.lm_head(self.transformer.ln_f(y))


def model(name, options, inputs, **torch_options):
    size = {"vocabulary": 7, "context": 6, "layers": 2, "heads": 2, "width": 4}
    return case("gpt", name, [size | options], GPT(**size, **torch_options), [inputs])


def layers():
    padding = torch.tensor([[True, True, True], [True, True, False]])
    tokens = [torch.tensor([[3, 0, 6, 6, 1], [2, 2, 5, 0, 4]], dtype=torch.int32)]
    whole = [torch.tensor([[1, 5, 0, 3, 6, 2]], dtype=torch.int32)]
    return [
        encoder_layer("norms in front", {}, [draw(2, 3, 4)], norm_first=True),
        encoder_layer("norms behind", {"placement": "post"}, [draw(2, 3, 4)]),
        encoder_layer(
            "PyTorch's defaults but for the sizes, and padding",
            {"placement": "post", "activation": {"layer": "relu"}, "mlp": 6},
            [draw(2, 3, 4), padding],
            activation=F.relu,
            dim_feedforward=6,
        ),
        encoder_layer(
            "causal, no biases", {"causal": True, "bias": False}, [draw(2, 3, 4)], causal, norm_first=True, bias=False
        ),
        case(
            "transformerBlock",
            "like Llama's",
            [8, 4, {"kvHeads": 2, "bias": False, "causal": True, "rotary": True, "norm": "rms", "mlp": 6}
             | {"epsilon": 1e-6, "activation": {"layer": "silu"}}],
            LlamaLike(8, 4, 2, 6),
            [[draw(1, 4, 8)]],
        ),
        model("GPT-2's form, tied", {}, tokens, approximate="tanh"),
        model("nanoGPT's form without biases, a full context", {"bias": False, "activation": "gelu"}, whole, bias=False),
        model("not tied", {"tie": False}, tokens, tie=False, approximate="tanh"),
    ]


if __name__ == "__main__":
    write_layers("transformer", layers())
