"""Value, first and second derivative of activations at their seams, twice: from PyTorch's double autograd in float64,
and exact (closed forms in 2000-digit arithmetic, rounded to double).

PyTorch decides what happens at a kink, where `exact` is null. Elsewhere exact is the target: PyTorch loses digits where
a derivative is a difference of near equals (sigmoid' at 20 is right to 8 digits, gelu(-20) is 0)."""

import mpmath
import torch
import torch.nn.functional as F
from mpmath import mpf

from emit import write

torch.set_default_dtype(torch.float64)
mpmath.mp.dps = 2000

POINTS = [-1000.0, -90.0, -20.0, -1.0, -1e-3, -0.0, 0.0, 1e-3, 1.0, 20.0, 90.0, 1000.0]


# Each gives (f, f', f'') at the exact value of a double.
def ramp(slope):
    return lambda x: (max(x, slope * x), None if x == 0 else 1 if x > 0 else slope, None if x == 0 else 0)


def elu(x):
    e = mpmath.exp(x)
    return (x, 1, None if x == 0 else 0) if x >= 0 else (e - 1, e, e)


def tanh(x):
    t = mpmath.tanh(x)
    return t, 1 - t**2, -2 * t * (1 - t**2)


def sigmoid(x):
    s = 1 / (1 + mpmath.exp(-x))
    return s, s * (1 - s), s * (1 - s) * (1 - 2 * s)


def softplus(x):
    s, ds, _ = sigmoid(x)
    return mpmath.log1p(mpmath.exp(x)), s, ds


def silu(x):
    s, ds, dds = sigmoid(x)
    return x * s, s + x * ds, 2 * ds + x * dds


def gelu(x):
    cdf = mpmath.erfc(-x / mpmath.sqrt(2)) / 2
    pdf = mpmath.exp(-(x**2) / 2) / mpmath.sqrt(2 * mpmath.pi)
    return x * cdf, cdf + x * pdf, (2 - x**2) * pdf


def gelu_tanh(x):
    c = mpf("0.044715")
    k = mpmath.sqrt(2 / mpmath.pi)
    t, dt, ddt = tanh(k * (x + c * x**3))
    du, ddu = k * (1 + 3 * c * x**2), 6 * k * c * x
    return x * (1 + t) / 2, (1 + t) / 2 + x * dt * du / 2, dt * du + x * (ddt * du**2 + dt * ddu) / 2


FUNCTIONS = {
    "relu": (F.relu, ramp(mpf(0)), "slope 0 at 0"),
    "leakyRelu": (lambda x: F.leaky_relu(x, 0.01), ramp(mpf(0.01)), "negative slope 0.01, at 0 too"),
    "elu": (F.elu, elu, "alpha 1; second derivative 0 at 0"),
    "tanh": (torch.tanh, tanh, ""),
    "sigmoid": (torch.sigmoid, sigmoid, ""),
    "softplus": (F.softplus, softplus, "torch switches to x itself above 20; exact does not"),
    "silu": (F.silu, silu, ""),
    "gelu": (F.gelu, gelu, "x * Phi(x), Phi the normal distribution function (erf)"),
    "geluTanh": (lambda x: F.gelu(x, approximate="tanh"), gelu_tanh, "0.5*x*(1 + tanh(sqrt(2/pi)*(x + 0.044715*x^3)))"),
}


def derivatives(f, x):
    y = f(x)
    (first,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    return {"value": y, "first": first, "second": second}


def rounded(v):
    return None if v is None else float(v)


pointwise = []
for name, (f, exact, note) in FUNCTIONS.items():
    by_torch = derivatives(f, torch.tensor(POINTS, requires_grad=True))
    triples = [exact(mpf(x)) for x in POINTS]
    by_hand = {k: [rounded(t[i]) for t in triples] for i, k in enumerate(("value", "first", "second"))}
    for k in by_hand:  # the two oracles agree to what a float64 formula can give
        for x, a, b in zip(POINTS, by_torch[k].tolist(), by_hand[k]):
            assert b is None or abs(a - b) <= 3e-9 + 1e-12 * abs(b), (name, k, x, a, b)
    pointwise.append({"name": name, "note": note, "torch": by_torch, "exact": by_hand})

ROWS = [
    [1.0, 2.0, 3.0],
    [0.0, -0.0, 1e-3],
    [0.0, 0.0, 0.0],
    [1000.0, 0.0, -1000.0],
    [1000.0, 1000.0, 1000.0],
    [-1000.0, -1000.0, -1001.0],
    [90.0, -90.0, 0.0],
    [-20.0, 20.0, 1.0],
    [0.5, -float("inf"), 1.5],
]
COTANGENT = torch.tensor([1.0, -2.0, 0.5])
DIRECTION = torch.tensor([0.5, 1.0, -1.0])


def row_case(f, x, cotangent):
    y = f(x)
    (first,) = torch.autograd.grad((y * cotangent).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad((first * DIRECTION).sum(), x)
    return {"value": y, "first": first, "second": second}


rowwise = []
for row in ROWS:
    x = torch.tensor(row, requires_grad=True)
    rowwise.append(
        {
            "x": row,
            "softmax": row_case(lambda x: torch.softmax(x, 0), x, COTANGENT),
            "logSoftmax": row_case(lambda x: torch.log_softmax(x, 0), x, COTANGENT) if min(row) > -1e9 else None,
            "logSumExp": row_case(lambda x: torch.logsumexp(x, 0), x, torch.tensor(1.0)),
        }
    )

write(
    "activations.json",
    {
        "about": "scripts/golden/activations.py. pointwise: f, f', f'' at points; exact is null where the derivative "
        "does not exist, and there torch holds the convention. torch is accurate to about 1e-15 absolute, "
        "exact to the last digit. rowwise: value; first = gradient of sum(cotangent * value) (of the value "
        "itself for logSumExp); second = gradient of sum(direction * first).",
        "library": f"torch {torch.__version__.split('+')[0]}, mpmath {mpmath.__version__}",
        "points": POINTS,
        "cotangent": COTANGENT,
        "direction": DIRECTION,
        "pointwise": pointwise,
        "rowwise": rowwise,
    },
)
