"""Networks as they were published, for comparison: ResNet-6/9, U-Net-256, the 70 x 70 patch discriminator.

Written from the appendices of Zhu et al. 2017 ("CycleGAN", 7.2) and Isola et al. 2017 ("pix2pix", 6.1).
Instance normalisation (Ulyanov et al. 2017) looks at the whole picture, so tiles of a large one may differ.
These generators have no style code: they learn one style.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from inkbridge.train.networks.discriminator import DiscriminatorConfig
from inkbridge.train.networks.generator import GeneratorConfig
from inkbridge.train.networks.instance_norm import InstanceNorm


class Published(nn.Module):
    """What the published generators share: no style code, no grain, weights drawn from N(0, 0.02^2).

    `forward(image, style, grain)` takes N x 3 x H x W in [-1, 1], H and W multiples of `multiple`, and
    ignores `style` and `grain`. `styles` is there for the sake of the pack, which gives every style a code.
    """

    multiple: int
    """Height and width must be multiples of this."""
    border: int | None = None
    """Whoever applies it mirrors as much of a picture as it sees."""
    feature_channels: list[int]
    """Channels of each of `features`."""

    def __init__(self, num_styles: int) -> None:
        super().__init__()
        self.styles = nn.Parameter(torch.zeros(num_styles, 1), requires_grad=False)

    def forward(self, image: Tensor, style: Tensor, grain: Tensor | None = None) -> Tensor:
        raise NotImplementedError

    def features(self, image: Tensor) -> list[Tensor]:
        """What the content loss compares."""
        raise NotImplementedError

    def receptive_radius(self) -> int:
        """How far, in pixels, convolutions look in each direction."""
        raise NotImplementedError

    def with_features(
        self, image: Tensor, style: Tensor, grain: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """The result and `features(image)`; those without gradient, for they are only compared with."""
        with torch.no_grad():
            found = self.features(image)
        return self(image, style, grain), found

    def frozen(self) -> Published:
        """A copy for export."""
        return copy.deepcopy(self).eval().requires_grad_(False)


class Block(nn.Module):
    """x + norm(conv(relu(norm(conv(x))))), reflection padding; He et al. 2016, Johnson et al. 2016."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), InstanceNorm(channels)),
            nn.ReLU(True),
            *(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), InstanceNorm(channels)),
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.layers(x)
        return result


class ResNet(Published):
    """c7s1-64, d128, d256, 6 or 9 residual blocks, u128, u64, c7s1-3; Zhu et al. 2017, 7.2."""

    multiple = 4

    def __init__(self, config: GeneratorConfig, num_styles: int, num_blocks: int) -> None:
        super().__init__(num_styles)
        w = config.width
        self.stem = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(3, w, 7), *_norm_relu(w))
        self.down1 = nn.Sequential(nn.Conv2d(w, 2 * w, 3, 2, 1), *_norm_relu(2 * w))
        self.down2 = nn.Sequential(nn.Conv2d(2 * w, 4 * w, 3, 2, 1), *_norm_relu(4 * w))
        self.blocks = nn.ModuleList([Block(4 * w) for _ in range(num_blocks)])
        self.up = nn.Sequential(
            *(nn.ConvTranspose2d(4 * w, 2 * w, 3, 2, 1, 1), *_norm_relu(2 * w)),
            *(nn.ConvTranspose2d(2 * w, w, 3, 2, 1, 1), *_norm_relu(w)),
            *(nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7), nn.Tanh()),
        )
        self.feature_channels = [3, 2 * w, 4 * w, 4 * w, 4 * w]
        start_published(self)

    def forward(self, image: Tensor, style: Tensor, grain: Tensor | None = None) -> Tensor:
        x = self.down2(self.down1(self.stem(image)))
        for block in self.blocks:
            x = block(x)
        result: Tensor = self.up(x)
        return result

    def features(self, image: Tensor) -> list[Tensor]:
        """Five depths: the picture, both downsamplings, blocks 1 and 5 (Park et al. 2020, appendix C.2)."""
        first = self.down1(self.stem(image))
        x = self.down2(first)
        found = [image, first, x]
        for i, block in enumerate(self.blocks[:5]):
            x = block(x)
            if i in (0, 4):
                found.append(x)
        return found

    def receptive_radius(self) -> int:
        return 3 + 1 + 2 + 4 * 2 * len(self.blocks) + 4 + 2 + 3


class UNet(Published):
    """Encoder C64-C128-C256-C512 x 5, decoder CD512 x 3-C512-C256-C128-C64, skips between equal sizes.

    Isola et al. 2017, appendix 6.1.1, for pictures whose sides are multiples of 256. The bottleneck of a
    256-pixel picture is one pixel and therefore has no norm.
    """

    multiple = 256

    def __init__(self, config: GeneratorConfig, num_styles: int) -> None:
        super().__init__(num_styles)
        w = config.width
        widths = [w, 2 * w, 4 * w, *[8 * w] * 5]
        downs: list[nn.Module] = [nn.Conv2d(3, w, 4, 2, 1)]
        for i, (a, b) in enumerate(pairwise(widths), 1):
            norm = [InstanceNorm(b)] if i < 7 else []
            downs.append(nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(a, b, 4, 2, 1), *norm))
        self.downs = nn.ModuleList(downs)
        ups: list[nn.Module] = []
        for i in range(7, 0, -1):
            entering = widths[i] if i == 7 else 2 * widths[i]
            layers = [nn.ReLU(), nn.ConvTranspose2d(entering, widths[i - 1], 4, 2, 1)]
            layers += [InstanceNorm(widths[i - 1]), *([nn.Dropout(0.5)] if i >= 5 else [])]
            ups.append(nn.Sequential(*layers))
        ups.append(nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(2 * w, 3, 4, 2, 1), nn.Tanh()))
        self.ups = nn.ModuleList(ups)
        self.feature_channels = widths[:4]
        start_published(self)

    def forward(self, image: Tensor, style: Tensor, grain: Tensor | None = None) -> Tensor:
        found = self._down(image, len(self.downs))
        x = self.ups[0](found.pop())
        for up in self.ups[1:]:
            x = up(torch.cat([found.pop(), x], 1))
        result: Tensor = x
        return result

    def features(self, image: Tensor) -> list[Tensor]:
        """The encoder's first four activations."""
        return self._down(image, 4)

    def receptive_radius(self) -> int:
        return 256  # the bottleneck sees everything

    def _down(self, image: Tensor, num: int) -> list[Tensor]:
        found = []
        x = image
        for down in self.downs[:num]:
            x = down(x)
            found.append(x)
        return found


class PatchDiscriminator70(nn.Module):
    """C64-C128-C256-C512 and one channel for each style: each logit looks at 70 x 70 pixels; Isola et al.
    2017.

    N x channels x H x W -> logits N x 1 x about H/8 x W/8 and the activations of the second and third layer.
    """

    def __init__(self, config: DiscriminatorConfig, num_styles: int = 1, channels: int = 3) -> None:
        super().__init__()
        w = config.width
        keep = spectral_norm if config.spectral_norm else _unchanged
        stages: list[nn.Module] = [
            nn.Sequential(keep(nn.Conv2d(channels, w, 4, 2, 1)), nn.LeakyReLU(0.2, True))
        ]
        for a, b, stride in ((w, 2 * w, 2), (2 * w, 4 * w, 2), (4 * w, 8 * w, 1)):
            conv = keep(nn.Conv2d(a, b, 4, stride, 1))
            stages.append(nn.Sequential(conv, InstanceNorm(b), nn.LeakyReLU(0.2, True)))
        self.stages = nn.ModuleList(stages)
        self.head = keep(nn.Conv2d(8 * w, num_styles, 4, 1, 1))
        start_published(self)

    def forward(self, image: Tensor, style: int = 0) -> tuple[list[Tensor], list[Tensor]]:
        activations = []
        x = image
        for stage in self.stages:
            x = stage(x)
            activations.append(x)
        return [self.head(x)[:, style : style + 1]], activations[1:3]


class PixelDiscriminator(nn.Module):
    """C64-C128 of 1 x 1 convolutions: each logit looks at one pixel's colour; Isola et al. 2017, 4.4."""

    def __init__(self, config: DiscriminatorConfig, num_styles: int = 1, channels: int = 3) -> None:
        super().__init__()
        w = config.width
        keep = spectral_norm if config.spectral_norm else _unchanged
        self.first = nn.Sequential(keep(nn.Conv2d(channels, w, 1)), nn.LeakyReLU(0.2, True))
        self.second = nn.Sequential(
            keep(nn.Conv2d(w, 2 * w, 1)), InstanceNorm(2 * w), nn.LeakyReLU(0.2, True)
        )
        self.head = keep(nn.Conv2d(2 * w, num_styles, 1))
        start_published(self)

    def forward(self, image: Tensor, style: int = 0) -> tuple[list[Tensor], list[Tensor]]:
        first = self.first(image)
        second = self.second(first)
        return [self.head(second)[:, style : style + 1]], [first, second]


def start_published(network: nn.Module) -> None:
    """Weights from N(0, 0.02^2), no biases; Zhu et al. 2017, section 7.1."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            with torch.no_grad():
                module.weight.normal_(0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _norm_relu(channels: int) -> list[nn.Module]:
    return [InstanceNorm(channels), nn.ReLU(True)]


_Wrap = Callable[[nn.Conv2d], nn.Conv2d]


def _unchanged(conv: nn.Conv2d) -> nn.Conv2d:
    return conv
