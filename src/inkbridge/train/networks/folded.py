"""The generator with one style folded into its weights: nothing but convolutions that every framework has.

What a style code does to a modulated convolution (`networks.generator`, Eq. 1 and 3 of Karras et al. 2020) is
one factor for each pair of channels, so that with the code known it is a plain convolution.
"""

from __future__ import annotations

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkbridge.train.networks.generator import (
    FULL,
    RELIEF,
    SPOT,
    STRIDE,
    SURFACE,
    Generator,
    ModulatedConv,
    Unevenness,
)

SLOPE = 0.2
"""Of all leaky ReLUs."""


class FoldedBlock(nn.Module):
    """`generator.ResidualBlock` of one style."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.conv1(x), SLOPE)
        return F.leaky_relu((x + self.conv2(y)) * math.sqrt(0.5), SLOPE)


class Folded(nn.Module):
    """`generator.Generator` of one style: the same function of N x 3 x H x W in [-1, 1] and grain.

    H and W are multiples of 8; `style` is ignored. All layers have the names that they have there.
    """

    multiple = STRIDE
    border: int | None = Generator.border

    def __init__(self, width: int, body: int, num_blocks: int, uneven: bool = False) -> None:
        """The numbers are those of `generator.GeneratorConfig`; `uneven`: whether it has any `Unevenness`."""
        super().__init__()
        self.styles = nn.Parameter(torch.zeros(1, 1), requires_grad=False)
        self.encoder = nn.ModuleList(
            [
                nn.Conv2d(12, width, 3, padding=1),
                nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
                nn.Conv2d(2 * width, body, 4, stride=2, padding=1),
            ]
        )
        self.blocks = nn.ModuleList([FoldedBlock(body) for _ in range(num_blocks)])
        self.up1 = nn.Conv2d(body, 2 * width, 3, padding=1)
        self.skip = nn.Conv2d(2 * width, 2 * width, 1)
        self.blocks1 = nn.ModuleList([FoldedBlock(2 * width) for _ in range(num_blocks)])
        self.up2 = nn.Conv2d(2 * width, width, 3, padding=1)
        self.refine = nn.Conv2d(width, width, 3, padding=1)
        self.to_full = nn.Conv2d(width, FULL, 3, padding=1)
        self.to_rgb = nn.Conv2d(FULL, 3, 3, padding=1)
        self.surface = nn.ModuleDict(
            {
                "half1": nn.Conv2d(4, SURFACE, 3, padding=1),
                "half2": nn.Conv2d(SURFACE, SURFACE, 3, padding=1),
                "full": nn.Conv2d(1, SURFACE, 3, padding=1),
                "to_rgb": nn.Conv2d(SURFACE, 3, 3, padding=1, bias=False),
            }
        )
        self.uneven = Unevenness(1.0) if uneven else None

    def forward(self, image: Tensor, style: Tensor | None = None, grain: Tensor | None = None) -> Tensor:
        if self.uneven is not None and grain is not None:
            image = image + self.uneven(grain)
        half = F.leaky_relu(self.encoder[0](F.pixel_unshuffle(image, 2)), SLOPE)
        quarter = F.leaky_relu(self.encoder[1](half), SLOPE)
        x = F.leaky_relu(self.encoder[2](quarter), SLOPE)
        for block in self.blocks:
            x = block(x)
        x = F.leaky_relu(_double(self.up1(x)) + self.skip(quarter), SLOPE)
        for block in self.blocks1:
            x = block(x)
        x = _double(F.leaky_relu(self.up2(x), SLOPE))
        x = F.leaky_relu(self.refine(x), SLOPE)
        x = F.leaky_relu(_double(self.to_full(x)), SLOPE)
        x = self.to_rgb(x)
        if grain is not None:
            x = x + self._paper(grain)
        return torch.tanh(x)

    def frozen(self) -> Folded:
        """A copy for export."""
        return copy.deepcopy(self).eval().requires_grad_(False)

    def receptive_radius(self) -> int:
        """How far, in pixels, an output pixel looks in each direction (an upper bound)."""
        return 3 + 8 + 12 * (3 + 2 * len(self.blocks)) + (0 if self.uneven is None else SPOT - 1)

    def _paper(self, grain: Tensor) -> Tensor:
        layers = self.surface
        coarse = F.leaky_relu(layers["half1"](F.pixel_unshuffle(grain, 2)), SLOPE)
        texture = F.leaky_relu(_double(layers["half2"](coarse)) + layers["full"](grain), SLOPE)
        return RELIEF * torch.tanh(layers["to_rgb"](texture) / RELIEF)


@torch.no_grad()
def fold(generator: Generator, code: Tensor) -> Folded:
    """The generator for one style code (1 x style_dim), on the CPU."""
    found = {
        name: value.clone()
        for name, value in generator.state_dict().items()
        if ".affine." not in name and ".shift." not in name
    }
    for name, module in generator.named_modules():
        if isinstance(module, ModulatedConv):
            scale = module.affine(code)
            demodulation = torch.rsqrt(scale.square() @ module.power() + 1e-8)
            found[f"{name}.weight"] = (
                module.weight * scale[0, None, :, None, None] * demodulation.view(-1, 1, 1, 1)
            )
            found[f"{name}.bias"] = module.bias + module.shift(code)[0]
    gain = generator.surface.gain(code)[0]
    found["surface.to_rgb.weight"] = generator.surface.to_rgb.weight * gain[None, :, None, None]
    half, _, body = generator.feature_channels
    folded = (
        Folded(half, body, len(generator.blocks), generator.uneven is not None).eval().requires_grad_(False)
    )
    found["styles"] = torch.zeros(1, 1)
    folded.load_state_dict({name: found[name] for name in folded.state_dict()})
    return folded


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear")
