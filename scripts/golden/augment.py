"""normalize, and what augmentation does outside training, where nothing is drawn."""

import torch
from layers import case, draw, write_layers

nn = torch.nn


class Normalize(nn.Module):
    """torchvision.transforms.functional.normalize"""

    def __init__(self, mean, std):
        super().__init__()
        self.mean, self.std = torch.tensor(mean).view(-1, 1, 1), torch.tensor(std).view(-1, 1, 1)

    def forward(self, x):
        return x.sub(self.mean).div(self.std)


class CentreCrop(nn.Module):
    """torchvision.transforms.functional.center_crop, after zeros on all sides"""

    def __init__(self, height, width, padding=0):
        super().__init__()
        self.height, self.width, self.padding = height, width, padding

    def forward(self, x):
        x = nn.functional.pad(x, [self.padding] * 4)
        top = int(round((x.shape[-2] - self.height) / 2.0))
        left = int(round((x.shape[-1] - self.width) / 2.0))
        return x[..., top : top + self.height, left : left + self.width]


write_layers(
    "augment",
    [
        case("normalize", "per channel, in training", [[0.1, -0.2, 0.3], [0.5, 2, 0.25]], Normalize([0.1, -0.2, 0.3], [0.5, 2, 0.25]), [[draw(2, 3, 2, 3)]], training=True),
        case("normalize", "the same for all channels", [0.3, 0.35], Normalize([0.3], [0.35]), [[draw(2, 3, 2, 2)]]),
        case("randomCrop", "the middle, one row and no column to spare", [[4, 5]], CentreCrop(4, 5), [[draw(2, 2, 5, 5)]]),
        case("randomCrop", "the middle of padded images", [3, {"padding": 1}], CentreCrop(3, 3, 1), [[draw(2, 1, 4, 6)]]),
        case("randomCrop", "larger than the image", [[6, 5], {"padding": 2}], CentreCrop(6, 5, 2), [[draw(1, 2, 3, 3)]]),
        case("randomFlip", "outside training", [], nn.Identity(), [[draw(2, 1, 2, 3)]]),
    ],
)
