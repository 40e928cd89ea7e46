"""The style encoder: a picture in, its style code out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkbridge.train.networks.generator import start_relu


@dataclass
class EncoderConfig:
    """Size of the style encoder."""

    width: int = 24
    """Channels at half resolution; 2, 4 and 4 times as many at 1/4, 1/8 and 1/16."""


class StyleEncoder(nn.Module):
    """Mean and spread of each channel of four convolutions, and a linear layer from them to the code.

    Means and spreads of feature maps are what describes a texture, wherever it stands (Gatys et al. 2015;
    Huang and Belongie 2017, Eq. 8); nothing of the example's layout can reach the generator through them.
    Input N x 3 x H x W in [-1, 1], H and W at least 32; output N x dim.
    """

    def __init__(self, config: EncoderConfig, dim: int) -> None:
        super().__init__()
        w = config.width
        channels = [3, w, 2 * w, 4 * w, 4 * w]
        convs = [nn.Conv2d(a, b, 4, stride=2) for a, b in pairwise(channels)]
        for conv in convs:
            start_relu(conv)
        self.convs = nn.ModuleList(convs)
        self.to_code = nn.Linear(2 * sum(channels), dim)

    def forward(self, image: Tensor) -> Tensor:
        statistics = [*_mean_and_spread(image)]
        x = image
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
            statistics += _mean_and_spread(x)
        code: Tensor = self.to_code(torch.cat(statistics, dim=1))
        return code


def _mean_and_spread(x: Tensor) -> tuple[Tensor, Tensor]:
    mean = x.mean((2, 3))
    variance = (x - mean[:, :, None, None]).square().mean((2, 3))
    return mean, (variance + 1e-4).sqrt()
