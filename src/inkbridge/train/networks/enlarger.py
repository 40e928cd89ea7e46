"""The enlarger: a painting of a few hundred pixels four times as large, with the texture of a real scan."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkbridge.enlarge import FACTOR, GRAIN
from inkbridge.train.networks.generator import start_relu


class Enlarger(nn.Module):
    """Convolutions at the size of the picture, then 4 x 4 pixels of each at once (Shi et al. 2016, section
    3.2), added to a smooth enlargement.

    Nothing in it looks at the whole picture, so tiles agree with it; a pixel of the result looks
    `num_layers + 2` pixels of the picture far.
    """

    smooth: Tensor

    def __init__(self, width: int = 64, num_layers: int = 8) -> None:
        """`width` channels in each of `num_layers` convolutions between the first and the last."""
        super().__init__()
        widths = [3 + GRAIN**2, *[width] * (num_layers + 1)]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))
        for conv in self.convs:
            assert isinstance(conv, nn.Conv2d)
            start_relu(conv)
        # It begins as the smooth enlargement alone.
        self.last = nn.Conv2d(width, 3 * FACTOR**2, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)
        self.register_buffer("smooth", bicubic(FACTOR).repeat(3, 1, 1, 1), persistent=False)

    def forward(self, image: Tensor, grain: Tensor) -> Tensor:
        """N x 3 x H x W in [-1, 1] and N x 1 x 2H x 2W grain (`tiling.grain`) -> N x 3 x 4H x 4W."""
        x = torch.cat([image, F.pixel_unshuffle(grain, GRAIN)], 1)
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.1)
        smooth = F.conv2d(F.pad(image, (2, 2, 2, 2), mode="replicate"), self.smooth, groups=3)
        return F.pixel_shuffle(self.last(x) + smooth, FACTOR)


def bicubic(factor: int) -> Tensor:
    """factor^2 x 1 x 5 x 5: the weights of the pixels around each place within one (Keys 1981, Eq. 15)."""
    places = (torch.arange(factor) + 0.5) / factor - 0.5
    far = (torch.arange(-2, 3)[None] - places[:, None]).abs()
    near = 1.5 * far**3 - 2.5 * far**2 + 1
    beyond = -0.5 * far**3 + 2.5 * far**2 - 4 * far + 2
    weights = torch.where(far <= 1, near, torch.where(far < 2, beyond, torch.zeros(())))
    return torch.einsum("ij,kl->ikjl", weights, weights).reshape(factor**2, 1, 5, 5)
