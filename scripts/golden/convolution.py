"""Convolutions and their transposes of PyTorch, in one to three dimensions: layers/convolution.json."""

import torch

from layers import case, draw, write_layers

PLAIN = {
    1: torch.nn.Conv1d,
    2: torch.nn.Conv2d,
    3: torch.nn.Conv3d,
}
TRANSPOSED = {
    1: torch.nn.ConvTranspose1d,
    2: torch.nn.ConvTranspose2d,
    3: torch.nn.ConvTranspose3d,
}
NAMES = {"outputPadding": "output_padding", "paddingMode": "padding_mode"}


def convolution(kinds, layer):
    def record(name, inputs, outputs, kernel, size, options={}, batch=2):
        theirs = {NAMES.get(k, k): tuple(v) if isinstance(v, list) else v for k, v in options.items()}
        net = kinds[len(size)](inputs, outputs, tuple(kernel) if isinstance(kernel, list) else kernel, **theirs)
        args = [inputs, outputs, kernel] + ([options] if options else [])
        return case(f"{layer}{len(size)}d", name, args, net, [[draw(batch, inputs, *size)]])

    return record


conv = convolution(PLAIN, "conv")
back = convolution(TRANSPOSED, "convTranspose")

write_layers(
    "convolution",
    [
        conv("plain", 3, 2, 3, [7]),
        conv("stride 2, padding 2, no bias", 3, 2, 5, [8], {"stride": 2, "padding": 2, "bias": False}),
        conv("causal: dilation 2, groups", 4, 2, 2, [6], {"dilation": 2, "groups": 2, "padding": 2}),
        conv("same, an even window", 2, 3, 4, [6], {"padding": "same"}),
        conv("a kernel of 1", 3, 4, 1, [4]),
        conv("circular", 2, 2, 3, [5], {"padding": 2, "paddingMode": "circular"}),
        conv("plain", 3, 2, 3, [5, 6]),
        conv("stride 2, padding 1", 3, 4, 3, [7, 6], {"stride": 2, "padding": 1}),
        conv(
            "everything per axis",
            4, 6, [2, 3], [7, 8],
            {"stride": [1, 2], "padding": [2, 1], "dilation": [3, 2], "groups": 2},
        ),
        conv("depthwise", 3, 3, 3, [4, 5], {"groups": 3, "padding": 1}),
        conv("depthwise with two filters for each channel", 2, 4, 2, [4, 4], {"groups": 2}),
        conv("1 × 1 with stride 2", 3, 2, 1, [4, 5], {"stride": 2}),
        conv("patches that do not overlap", 2, 3, 2, [5, 4], {"stride": 2}),
        conv("stride beyond the window", 1, 2, 2, [8, 7], {"stride": 3}),
        conv("as large as the input", 2, 3, [3, 4], [3, 4], batch=3),
        conv("padding beyond the window", 1, 1, [1, 2], [2, 3], {"padding": 3, "stride": [2, 7]}),
        conv("same, dilated", 2, 2, [2, 3], [5, 4], {"padding": "same", "dilation": [3, 2]}),
        conv("reflect", 2, 2, 3, [4, 4], {"padding": [2, 1], "paddingMode": "reflect"}),
        conv("replicate, same", 2, 2, [2, 3], [3, 4], {"padding": "same", "paddingMode": "replicate"}),
        conv("circular, stride 2", 2, 2, 3, [4, 5], {"padding": [0, 2], "stride": 2, "paddingMode": "circular"}),
        conv("padding and stride", 2, 2, [2, 3, 2], [3, 4, 3], {"padding": [1, 1, 0], "stride": [2, 1, 1]}, batch=1),
        conv("groups and dilation", 2, 4, 2, [3, 3, 4], {"groups": 2, "dilation": [1, 2, 2]}, batch=1),
        back("plain", 3, 2, 3, [4]),
        back("stride 3, padding, output padding", 2, 3, 4, [3], {"stride": 3, "padding": 1, "outputPadding": 2}),
        back("output padding beyond the stride", 2, 1, 2, [3], {"stride": 1, "dilation": 3, "outputPadding": 2}),
        back("a kernel of 1, no bias", 2, 3, 1, [4], {"bias": False}),
        back("stride 2, padding 1", 3, 2, 4, [3, 2], {"stride": 2, "padding": 1}),
        back(
            "everything per axis",
            4, 6, [2, 3], [3, 2],
            {"stride": [2, 1], "padding": [1, 2], "outputPadding": [1, 0], "dilation": [2, 3], "groups": 2},
        ),
        back("depthwise, stride beyond the window", 3, 3, 2, [2, 2], {"groups": 3, "stride": 3}),
        back("padding beyond the window", 1, 2, 2, [4, 4], {"padding": 2}),
        back("stride and padding", 2, 2, 2, [2, 2, 3], {"stride": [1, 2, 1], "padding": [0, 1, 1]}, batch=1),
    ],
)
