"""Pools of PyTorch, in one to three dimensions, and nearest upsampling: layers/pooling.json.

Inputs have no ties: there PyTorch gives the gradient of a maximum to the first of equals, and we to all.
"""

import torch

from layers import case, draw, write_layers

nn = torch.nn
MAX = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
AVG = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
ADAPTIVE_MAX = {1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveMaxPool2d, 3: nn.AdaptiveMaxPool3d}
ADAPTIVE_AVG = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}
NAMES = {"ceilMode": "ceil_mode", "countIncludePad": "count_include_pad"}


def tuples(x):
    return tuple(x) if isinstance(x, list) else x


def pool(kinds, layer, suffix="{}d"):
    def record(name, what, size, options={}, batch=2, channels=2):
        net = kinds[len(size)](tuples(what), **{NAMES.get(k, k): tuples(v) for k, v in options.items()})
        args = [what] + ([options] if options else [])
        return case(layer + suffix.format(len(size)), name, args, net, [[draw(batch, channels, *size)]])

    return record


largest = pool(MAX, "maxPool")
mean = pool(AVG, "avgPool")
largest_to = pool(ADAPTIVE_MAX, "adaptiveMaxPool")
mean_to = pool(ADAPTIVE_AVG, "adaptiveAvgPool")
enlarge = pool({d: lambda scale: nn.Upsample(scale_factor=scale) for d in (1, 2, 3)}, "upsample", "")

CEIL = {"ceilMode": True}
write_layers(
    "pooling",
    [
        largest("plain", 2, [6]),
        largest("overlapping, dilated, padded", 3, [9], {"stride": 2, "dilation": 2, "padding": 1}),
        largest("plain, with a rest", 2, [5, 6]),
        largest("overlapping, padded", 3, [6, 7], {"stride": 2, "padding": 1}),
        largest("ceil, no overlap", [2, 3], [5, 7], CEIL),
        largest("ceil, a window that would begin in the padding", 2, [5, 4], CEIL | {"stride": 2, "padding": 1}),
        largest("ceil, stride beyond the window", 2, [9, 8], CEIL | {"stride": [4, 3]}),
        largest("ceil, larger than the input", [3, 2], [2, 3], CEIL | {"stride": 2}),
        largest("dilated per axis", [3, 2], [7, 6], {"dilation": [2, 3], "stride": 1, "padding": 1}),
        largest("padded", [2, 3, 2], [3, 4, 4], {"padding": [1, 1, 0], "stride": [2, 2, 1]}, batch=1),
        mean("plain", 3, [6]),
        mean("overlapping, padded", 4, [7], {"stride": 2, "padding": 1}),
        mean("ceil, padded: three kinds of count", 3, [6], CEIL | {"stride": 2, "padding": 1}),
        mean("plain, with a rest", 2, [4, 5]),
        mean("padding counts", 3, [5, 6], {"stride": 2, "padding": 1}),
        mean("padding does not count", 3, [5, 6], {"stride": 2, "padding": 1, "countIncludePad": False}),
        mean("ceil, padding counts", [3, 2], [6, 5], CEIL | {"stride": 2, "padding": 1}),
        mean("ceil, padding does not count", [3, 2], [6, 5], CEIL | {"stride": 2, "padding": 1, "countIncludePad": False}),
        mean("ceil, larger than the input", [3, 2], [2, 3], CEIL | {"stride": 2}),
        mean("padded", [2, 3, 2], [3, 4, 4], {"padding": [1, 1, 0], "countIncludePad": False}, batch=1),
        mean_to("even", 3, [6]),
        mean_to("uneven, overlapping", 3, [5]),
        mean_to("global", 1, [3, 4]),
        mean_to("one axis even, one not", [2, 3], [4, 7]),
        mean_to("to more than there is", [5, 3], [2, 3]),
        mean_to("uneven", [2, 1, 3], [3, 2, 4], batch=1),
        largest_to("even", 2, [6]),
        largest_to("uneven, overlapping", 4, [7]),
        largest_to("global", 1, [3, 4]),
        largest_to("one axis even, one not", [2, 3], [4, 7]),
        largest_to("to more than there is", [5, 3], [2, 3]),
        largest_to("uneven", [2, 1, 3], [3, 2, 4], batch=1),
        enlarge("nearest", 3, [2]),
        enlarge("nearest, per axis", [2, 3], [3, 2]),
        enlarge("nearest", 2, [2, 1, 2], batch=1),
    ],
)
