"""What PyTorch's initialisers promise: bounds and standard deviations, from its own formulas and from its own samples.

bound, std: the theoretical numbers (std of a uniform on ±a is a/√3). measured: mean, standard deviation, smallest and
largest entry of PyTorch's draw with seed 0, which the script holds against the theory."""

import math

import torch
from torch import nn

from emit import write

torch.set_default_dtype(torch.float64)
# torch's weight is [out, in].
SHAPES = {
    "linear(57, 32)": (32, 57),
    "linear(784, 128)": (128, 784),
    "linear(128, 10)": (10, 128),
    "conv(3, 16, 5)": (16, 3, 5, 5),
}
GAIN = nn.init.calculate_gain("relu")
cases = []


def fans(shape):
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def case(name, label, shape, fill, settings={}, bound=None, std=None):
    torch.manual_seed(0)
    w = torch.empty(shape)
    fill(w)
    fan_in, fan_out = fans(shape) if len(shape) > 1 else (None, None)
    if bound is not None:
        assert w.abs().max() <= bound, name
    if std is not None:
        assert abs(w.std().item() - std) <= 5 * std / math.sqrt(2 * w.numel()), (name, label)
    cases.append(
        {
            "name": f"{name}/{label}",
            "initialiser": name,
            "shape": shape,
            "fanIn": fan_in,
            "fanOut": fan_out,
            "settings": settings,
            "bound": bound,
            "std": std,
            "measured": {"mean": w.mean(), "std": w.std(), "min": w.min(), "max": w.max()},
        }
    )


for label, shape in SHAPES.items():
    fan_in, fan_out = fans(shape)
    if len(shape) == 2:
        a = 1 / math.sqrt(fan_in)
        layer = nn.Linear(fan_in, fan_out)
        assert layer.weight.abs().max() <= a and layer.bias.abs().max() <= a
        case(
            "linearWeight",
            label,
            shape,
            lambda w: w.copy_(nn.Linear(fan_in, fan_out).weight.detach()),
            {"note": "kaiming_uniform with a = sqrt(5), which is U(±1/sqrt(in))"},
            a,
            a / math.sqrt(3),
        )
        case(
            "linearBias",
            label,
            (shape[0],),
            lambda w: w.copy_(nn.Linear(fan_in, fan_out).bias.detach()),
            {"fanIn": fan_in},
            a,
            a / math.sqrt(3),
        )
    s = math.sqrt(2 / (fan_in + fan_out))
    case("xavierUniform", label, shape, nn.init.xavier_uniform_, {"gain": 1}, s * math.sqrt(3), s)
    case(
        "xavierUniform",
        f"{label}-relu",
        shape,
        lambda w: nn.init.xavier_uniform_(w, GAIN),
        {"gain": GAIN},
        GAIN * s * math.sqrt(3),
        GAIN * s,
    )
    case("xavierNormal", label, shape, nn.init.xavier_normal_, {"gain": 1}, None, s)
    s = GAIN / math.sqrt(fan_in)
    case(
        "kaimingUniform",
        label,
        shape,
        lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu"),
        {"gain": GAIN, "mode": "fanIn"},
        s * math.sqrt(3),
        s,
    )
    case(
        "kaimingNormal",
        label,
        shape,
        lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
        {"gain": GAIN, "mode": "fanIn"},
        None,
        s,
    )
    s = GAIN / math.sqrt(fan_out)
    case(
        "kaimingNormal",
        f"{label}-fanOut",
        shape,
        lambda w: nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"),
        {"gain": GAIN, "mode": "fanOut"},
        None,
        s,
    )
    # torch's a and b are absolute: ±2 is 100 standard deviations, so nothing is cut.
    case(
        "truncatedNormal",
        label,
        shape,
        lambda w: nn.init.trunc_normal_(w, std=0.02, a=-2, b=2),
        {"std": 0.02, "a": -2, "b": 2},
        2,
        0.02,
    )
    # Cut at ±2σ the deviation shrinks by sqrt(1 - 2·2φ(2)/(2Φ(2) - 1)).
    phi, mass = math.exp(-2) / math.sqrt(2 * math.pi), math.erf(math.sqrt(2))
    case(
        "truncatedNormal",
        f"{label}-two-sigma",
        shape,
        lambda w: nn.init.trunc_normal_(w, std=0.02, a=-0.04, b=0.04),
        {"std": 0.02, "a": -0.04, "b": 0.04},
        0.04,
        0.02 * math.sqrt(1 - 4 * phi / mass),
    )
    # Rows (or columns, the fewer) are orthonormal: Σ w² = min(rows, columns), so the mean square is 1/max.
    rows, columns = shape[0], math.prod(shape[1:])
    case(
        "orthogonal",
        label,
        shape,
        nn.init.orthogonal_,
        {"gain": 1, "sumOfSquares": min(rows, columns)},
        1,
        1 / math.sqrt(max(rows, columns)),
    )

write(
    "linear-init.json",
    {
        "about": "scripts/golden/linear-init.py. shape is torch's [out, in, ...]. bound: no entry is larger in "
        "magnitude; std: the distribution's standard deviation; measured: PyTorch's own draw with seed 0, "
        "for scale only. For orthogonal std is the root mean square, and the rows or columns, whichever are "
        "fewer, are orthonormal.",
        "library": f"torch {torch.__version__.split('+')[0]}",
        "gains": {n: nn.init.calculate_gain(n) for n in ("linear", "sigmoid", "tanh", "relu", "selu")}
        | {"leakyRelu(0.01)": nn.init.calculate_gain("leaky_relu", 0.01)},
        "cases": cases,
    },
)
