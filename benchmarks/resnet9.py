"""The baseline of the speed benchmarks: CycleGAN's networks as published, in plain PyTorch.

Generator: ResNet-9 of Johnson et al. 2016 as used by Zhu et al. 2017 (appendix 7.2: c7s1-64, d128, d256,
9 x R256, u128, u64, c7s1-3; instance norm, reflection padding). Discriminator: the 70 x 70 patch
discriminator C64-C128-C256-C512. Written from the papers' appendices; 11.4 and 2.8 million parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for last in (False, True):
            layers += [
                nn.ReflectionPad2d(1),
                nn.Conv2d(channels, channels, 3),
                nn.InstanceNorm2d(channels),
            ]
            if not last:
                layers.append(nn.ReLU(True))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class ResNet9(nn.Module):
    """Takes (image, style) like our generator and ignores the style."""

    def __init__(self) -> None:
        super().__init__()
        self.styles = nn.Parameter(torch.zeros(1, 1))
        self.feature_channels = [3, 128, 256, 256, 256]
        norm, act = nn.InstanceNorm2d, nn.ReLU
        self.stem = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(3, 64, 7), norm(64), act(True))
        self.down1 = nn.Sequential(nn.Conv2d(64, 128, 3, 2, 1), norm(128), act(True))
        self.down2 = nn.Sequential(nn.Conv2d(128, 256, 3, 2, 1), norm(256), act(True))
        self.blocks = nn.ModuleList([Block(256) for _ in range(9)])
        self.up = nn.Sequential(
            nn.ConvTranspose2d(256, 128, 3, 2, 1, 1),
            norm(128),
            act(True),
            nn.ConvTranspose2d(128, 64, 3, 2, 1, 1),
            norm(64),
            act(True),
            nn.ReflectionPad2d(3),
            nn.Conv2d(64, 3, 7),
            nn.Tanh(),
        )

    def forward(self, image: Tensor, style: Tensor) -> Tensor:
        x = self.down2(self.down1(self.stem(image)))
        for block in self.blocks:
            x = block(x)
        return self.up(x)

    def with_features(self, image: Tensor, style: Tensor) -> tuple[Tensor, list[Tensor]]:
        """As CUT does it: the content is encoded once more for the keys."""
        with torch.no_grad():
            found = self.features(image)
        return self(image, style), found

    def features(self, image: Tensor) -> list[Tensor]:
        """CUT's five depths: picture, both downsamplings, blocks 1 and 5."""
        stem = self.stem(image)
        first = self.down1(stem)
        second = self.down2(first)
        found = [image, first, second]
        x = second
        for i, block in enumerate(self.blocks[:5]):
            x = block(x)
            if i in (0, 4):
                found.append(x)
        return found


class PatchGAN70(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        stages = [nn.Sequential(nn.Conv2d(3, 64, 4, 2, 1), nn.LeakyReLU(0.2, True))]
        for a, b, stride in ((64, 128, 2), (128, 256, 2), (256, 512, 1)):
            norm = nn.InstanceNorm2d(b)
            stages.append(nn.Sequential(nn.Conv2d(a, b, 4, stride, 1), norm, nn.LeakyReLU(0.2, True)))
        self.stages = nn.ModuleList(stages)
        self.head = nn.Conv2d(512, 1, 4, 1, 1)

    def forward(self, image: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        activations = [image]
        for stage in self.stages:
            activations.append(stage(activations[-1]))
        return [self.head(activations[-1])], activations[2:]
