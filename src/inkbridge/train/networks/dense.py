"""Discriminators that judge a picture as a whole, with one logit for it: the textbook ones."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from inkbridge.train.networks.discriminator import DiscriminatorConfig
from inkbridge.train.networks.generator import start_relu


class FullyConnectedDiscriminator(nn.Module):
    """Every pixel to every unit, two hidden layers, one logit; Goodfellow et al. 2014 (there with maxout
    units).

    N x channels x H x W, shrunk to `side` x `side` -> logits N x 1 and the activations of both hidden
    layers as maps of 1 x 1.
    """

    def __init__(self, config: DiscriminatorConfig, num_styles: int = 1, channels: int = 3) -> None:
        super().__init__()
        self.side = config.side
        sizes = [channels * config.side**2, 8 * config.width, 8 * config.width, num_styles]
        layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        for layer in layers:
            start_relu(layer)
        self.layers = nn.ModuleList([spectral_norm(x) if config.spectral_norm else x for x in layers])

    def forward(self, image: Tensor, style: int = 0) -> tuple[list[Tensor], list[Tensor]]:
        x = F.adaptive_avg_pool2d(image, self.side).flatten(1)
        activations = []
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
            activations.append(x[:, :, None, None])
        return [self.layers[-1](x)[:, style : style + 1]], activations


class DenseHeadDiscriminator(nn.Module):
    """Four convolutions of stride 2 and a dense layer over all that is left of the picture; Radford et al.
    2016.

    N x channels x H x W, shrunk to `side` x `side` -> logits N x 1 and the activations at 1/4 and 1/8.
    Without batch normalisation, under which pictures of a batch judge each other.
    """

    def __init__(self, config: DiscriminatorConfig, num_styles: int = 1, channels: int = 3) -> None:
        super().__init__()
        self.side = config.side
        widths = [channels, *(config.width * factor for factor in (1, 2, 4, 8))]
        convs = [nn.Conv2d(a, b, 4, 2, 1) for a, b in pairwise(widths)]
        head = nn.Linear(8 * config.width * (config.side // 16) ** 2, num_styles)
        for conv in convs:
            start_relu(conv)
        start_relu(head)
        self.convs = nn.ModuleList([spectral_norm(x) if config.spectral_norm else x for x in convs])
        self.head = spectral_norm(head) if config.spectral_norm else head

    def forward(self, image: Tensor, style: int = 0) -> tuple[list[Tensor], list[Tensor]]:
        x = F.adaptive_avg_pool2d(image, self.side)
        activations = []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
            activations.append(x)
        return [self.head(x.flatten(1))[:, style : style + 1]], activations[1:3]
