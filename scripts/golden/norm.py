"""Normalisation layers of PyTorch: outputs, gradients and running statistics over training steps, then evaluation."""

import torch

from layers import case, draw, write_layers

nn = torch.nn


def shifted(*shape):
    """Means and spreads that differ by channel, far from 0 and 1."""
    c = torch.arange(shape[1], dtype=torch.float64).reshape([-1] + [1] * (len(shape) - 2))
    return draw(*shape) * (0.5 + c) + 3 - 2 * c


# Two steps of training, then evaluation.
THREE = [True, True, False]


def batches(*rest):
    return [[shifted(4, *rest)] for _ in THREE]


write_layers(
    "norm",
    [
        case(
            "batchNorm1d",
            "[n, c], a batch of another size",
            [3],
            nn.BatchNorm1d(3),
            [*batches(3), [shifted(3, 3)], [shifted(1, 3)]],
            modes=[*THREE, True, False],
        ),
        case("batchNorm1d", "[n, c, l]", [3], nn.BatchNorm1d(3), batches(3, 2), modes=THREE),
        case(
            "batchNorm1d",
            "epsilon and momentum",
            [2, {"epsilon": 0.1, "momentum": 0.4}],
            nn.BatchNorm1d(2, eps=0.1, momentum=0.4),
            batches(2),
            modes=THREE,
        ),
        case(
            "batchNorm1d",
            "the mean of all batches",
            [2, {"momentum": None}],
            nn.BatchNorm1d(2, momentum=None),
            batches(2),
            modes=THREE,
            skip=(),
        ),
        case("batchNorm2d", "training, then evaluation", [3], nn.BatchNorm2d(3), batches(3, 2, 2), modes=THREE),
        case("batchNorm2d", "one example", [2], nn.BatchNorm2d(2), [[shifted(1, 2, 2, 3)]], training=True),
        case(
            "batchNorm2d",
            "affine false",
            [2, {"affine": False}],
            nn.BatchNorm2d(2, affine=False),
            batches(2, 2, 1),
            modes=THREE,
        ),
        case(
            "batchNorm2d",
            "without running statistics",
            [2, {"trackRunningStats": False}],
            nn.BatchNorm2d(2, track_running_stats=False),
            batches(2, 2, 1),
            modes=THREE,
        ),
        case("batchNorm3d", "training, then evaluation", [2], nn.BatchNorm3d(2), batches(2, 2, 1, 2), modes=THREE),
        case("instanceNorm1d", "plain", [2], nn.InstanceNorm1d(2), [[shifted(3, 2, 4)]], training=True),
        case(
            "instanceNorm1d",
            "with weight and running statistics",
            [2, {"affine": True, "trackRunningStats": True}],
            nn.InstanceNorm1d(2, affine=True, track_running_stats=True),
            batches(2, 4),
            modes=THREE,
        ),
        case("instanceNorm2d", "plain", [2], nn.InstanceNorm2d(2), [[shifted(2, 2, 2, 3)]]),
        case(
            "instanceNorm2d",
            "with weight, momentum 0.3",
            [2, {"affine": True, "trackRunningStats": True, "momentum": 0.3}],
            nn.InstanceNorm2d(2, affine=True, track_running_stats=True, momentum=0.3),
            batches(2, 2, 2),
            modes=THREE,
        ),
        case(
            "instanceNorm3d",
            "affine",
            [2, {"affine": True, "epsilon": 0.01}],
            nn.InstanceNorm3d(2, affine=True, eps=0.01),
            [[shifted(2, 2, 2, 1, 2)]],
        ),
        case("layerNorm", "one axis", [4], nn.LayerNorm(4), [[shifted(2, 3, 4)]], training=True),
        case("layerNorm", "two axes", [[3, 2]], nn.LayerNorm([3, 2]), [[shifted(2, 3, 2)]], training=True),
        case("layerNorm", "no bias", [4, {"bias": False}], nn.LayerNorm(4, bias=False), [[shifted(3, 4)]]),
        case(
            "layerNorm",
            "affine false, epsilon",
            [4, {"affine": False, "epsilon": 0.2}],
            nn.LayerNorm(4, elementwise_affine=False, eps=0.2),
            [[shifted(3, 4)], [torch.ones(1, 4)]],
        ),
        case("rmsNorm", "machine epsilon", [4], nn.RMSNorm(4), [[shifted(2, 3, 4)]], training=True),
        case("rmsNorm", "two axes, epsilon", [[2, 3], {"epsilon": 0.1}], nn.RMSNorm([2, 3], eps=0.1), [[draw(2, 2, 3)]]),
        case(
            "rmsNorm",
            "affine false",
            [3, {"affine": False}],
            nn.RMSNorm(3, elementwise_affine=False),
            [[shifted(2, 3)]],
        ),
        case("groupNorm", "two groups of images", [2, 4], nn.GroupNorm(2, 4), [[shifted(2, 4, 2, 2)]], training=True),
        case("groupNorm", "one group, [n, c]", [1, 4], nn.GroupNorm(1, 4), [[shifted(3, 4)]]),
        case(
            "groupNorm",
            "a group per channel, affine false",
            [3, 3, {"affine": False, "epsilon": 0.1}],
            nn.GroupNorm(3, 3, affine=False, eps=0.1),
            [[shifted(2, 3, 4)]],
        ),
    ],
)
