"""Loss values and input gradients of PyTorch, float64, on small fixed inputs with extremes and ties.

Each case: the arguments of the loss, its reductions' values, and the gradient of each value with respect to the first
argument (the prediction or the logits). Hinge is the expression max(0, 1 - y*f)."""

import warnings

import torch
import torch.nn.functional as F

from emit import write

torch.set_default_dtype(torch.float64)
warnings.filterwarnings("ignore", message="reduction: 'mean' divides")  # kl: wanted, beside batchmean
cases = []


def case(loss, variant, arguments, f, settings={}, reductions=("mean", "sum")):
    """f(input, reduction) → scalar. `arguments` are written out; `arguments["input"]` is what f gets, as a leaf."""
    out = {}
    for reduction in reductions:
        x = torch.tensor(arguments["input"], requires_grad=True)
        value = f(x, reduction)
        value.backward()
        out[reduction] = {"value": value.item(), "gradient": x.grad}
    cases.append({"name": f"{loss}/{variant}", "loss": loss, **arguments, "settings": settings, "results": out})


# Regression: 2 x 3, residuals 0 (a tie), ±0.5 and ±1 (the seams of Huber), and large ones.
PREDICTION = [[0.5, -1.0, 2.5], [3.0, -0.25, 100.0]]
TARGET = [[0.5, 0.0, 2.0], [4.0, 1.25, -50.0]]
t = torch.tensor(TARGET)
regression = {"input": PREDICTION, "target": TARGET}
case("mse", "plain", regression, lambda x, r: F.mse_loss(x, t, reduction=r))
case("mae", "plain", regression, lambda x, r: F.l1_loss(x, t, reduction=r))
for delta in (1.0, 0.5):
    case(
        "huber",
        f"delta-{delta}",
        regression,
        lambda x, r: F.huber_loss(x, t, reduction=r, delta=delta),
        {"delta": delta},
    )

# Binary cross-entropy with logits.
logits = [0.7, -1.3, 2.2, -0.1, 4.0]
labels = [1.0, 0.0, 1.0, 0.25, 0.0]  # 0.25: a soft label
bce = lambda y, **kw: lambda x, r: F.binary_cross_entropy_with_logits(x, torch.tensor(y), reduction=r, **kw)
case("bceWithLogits", "plain", {"input": logits, "target": labels}, bce(labels))
case(
    "bceWithLogits",
    "pos-weight",
    {"input": logits, "target": labels},
    bce(labels, pos_weight=torch.tensor(3.0)),
    {"posWeight": 3.0},
)
extreme = [1000.0, 1000.0, -1000.0, -1000.0, 90.0, 90.0, -90.0, -90.0, 0.0, 0.0, -0.0]
ends = [1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0]
case("bceWithLogits", "extreme", {"input": extreme, "target": ends}, bce(ends))
case(
    "bceWithLogits",
    "extreme-pos-weight",
    {"input": extreme, "target": ends},
    bce(ends, pos_weight=torch.tensor(3.0)),
    {"posWeight": 3.0},
)
matrix = [[0.7, -1.3, 2.2], [-0.1, 4.0, -2.5]]
matrix_labels = [[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]
case(
    "bceWithLogits",
    "pos-weight-per-column",
    {"input": matrix, "target": matrix_labels},
    bce(matrix_labels, pos_weight=torch.tensor([3.0, 0.5, 1.0])),
    {"posWeight": [3.0, 0.5, 1.0]},
)

# Cross-entropy: 5 examples, 4 classes; the last row is a tie of all classes.
LOGITS = [
    [0.5, -1.0, 2.0, 0.25],
    [1.5, 1.5, -0.5, 0.0],
    [-2.0, 0.75, 0.5, 3.0],
    [4.0, -3.0, 1.0, 2.0],
    [0.0, 0.0, 0.0, 0.0],
]
CLASSES = [2, 0, 1, 3, 1]
IGNORED = [2, -100, 1, 3, -100]
SOFT = [
    [0.1, 0.2, 0.6, 0.1],
    [0.5, 0.5, 0.0, 0.0],
    [0.0, 1.0, 0.0, 0.0],
    [0.25, 0.25, 0.25, 0.25],
    [0.0, 0.3, 0.3, 0.4],
]
WEIGHTS = [1.0, 2.0, 0.5, 3.0]


def cross_entropy(variant, inputs, target, weight=None, smoothing=0.0, ignore=None):
    settings = {}
    if weight:
        settings["classWeights"] = weight
    if smoothing:
        settings["labelSmoothing"] = smoothing
    if ignore is not None:
        settings["ignoreIndex"] = ignore
    case(
        "crossEntropy",
        variant,
        {"input": inputs, "target": target},
        lambda x, r: F.cross_entropy(
            x,
            torch.tensor(target),
            torch.tensor(weight) if weight else None,
            reduction=r,
            label_smoothing=smoothing,
            ignore_index=-100 if ignore is None else ignore,
        ),
        settings,
    )


cross_entropy("integer", LOGITS, CLASSES)
cross_entropy("soft", LOGITS, SOFT)
cross_entropy("smoothing", LOGITS, CLASSES, smoothing=0.1)
cross_entropy("soft-smoothing", LOGITS, SOFT, smoothing=0.1)
cross_entropy("weights", LOGITS, CLASSES, weight=WEIGHTS)
cross_entropy("soft-weights", LOGITS, SOFT, weight=WEIGHTS)
cross_entropy("ignore", LOGITS, IGNORED, ignore=-100)
cross_entropy("ignore-class-3", LOGITS, CLASSES, ignore=3)
cross_entropy("weights-smoothing", LOGITS, CLASSES, weight=WEIGHTS, smoothing=0.1)
cross_entropy("weights-ignore", LOGITS, IGNORED, weight=WEIGHTS, ignore=-100)
cross_entropy("weights-smoothing-ignore", LOGITS, IGNORED, weight=WEIGHTS, smoothing=0.1, ignore=-100)
cross_entropy("smoothing-ignore", LOGITS, IGNORED, smoothing=0.1, ignore=-100)
cross_entropy("all-ignored", LOGITS, [-100] * 5, ignore=-100)
EXTREME = [
    [1000.0, 0.0, -1000.0],
    [1000.0, 0.0, -1000.0],
    [1000.0, 1000.0, 1000.0],
    [-1000.0, -1000.0, -1000.0],
    [90.0, -90.0, 0.0],
]
cross_entropy("extreme", EXTREME, [0, 2, 1, 0, 1])
cross_entropy("extreme-smoothing", EXTREME, [0, 2, 1, 0, 1], smoothing=0.1)

# Hinge: y in ±1; the third margin is exactly 1, where the slope is torch.relu's: 0.
scores = [0.3, -2.0, 1.0, 5.0, -0.5, 0.0]
signs = [1.0, -1.0, 1.0, -1.0, 1.0, -1.0]


def hinge(x, reduction):
    loss = torch.relu(1 - torch.tensor(signs) * x)
    return loss.mean() if reduction == "mean" else loss.sum()


case("hinge", "binary", {"input": scores, "target": signs}, hinge)
multi = lambda target, **kw: lambda x, r: F.multi_margin_loss(x, torch.tensor(target), reduction=r, **kw)
case(
    "hinge",
    "multi-class",
    {"input": LOGITS, "target": CLASSES},
    multi(CLASSES),
    {"note": "sum over j != y of max(0, 1 - x[y] + x[j]) / classes; ties have margin exactly 1"},
)
case("hinge", "multi-class-squared", {"input": LOGITS, "target": CLASSES}, multi(CLASSES, p=2), {"power": 2})

# Kullback-Leibler: the input holds log-probabilities, the target probabilities (zeros included).
LOG_Q = torch.log_softmax(torch.tensor(LOGITS), 1).tolist()
case(
    "kl",
    "plain",
    {"input": LOG_Q, "target": SOFT},
    lambda x, r: F.kl_div(x, torch.tensor(SOFT), reduction=r),
    {"input": "log-probabilities"},
    reductions=("mean", "sum", "batchmean"),
)

write(
    "losses.json",
    {
        "about": "scripts/golden/losses.py. results[reduction].value is the loss and gradient its derivative with "
        "respect to input. torch's mean: over all entries for mse, mae, huber, bceWithLogits, hinge/binary "
        "and kl; over examples for crossEntropy and multi-class hinge; with class weights or an ignored "
        "index crossEntropy divides by the summed weights of the examples kept (with soft targets always by "
        "their number). batchmean divides by examples.",
        "library": f"torch {torch.__version__.split('+')[0]}",
        "cases": cases,
    },
)
