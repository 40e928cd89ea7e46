"""Networks by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from inkbridge.train.networks.dense import DenseHeadDiscriminator, FullyConnectedDiscriminator
from inkbridge.train.networks.discriminator import Discriminator, DiscriminatorConfig
from inkbridge.train.networks.generator import Generator, GeneratorConfig
from inkbridge.train.networks.published import (
    PatchDiscriminator70,
    PixelDiscriminator,
    Published,
    ResNet,
    UNet,
)
from inkbridge.train.networks.repairer import Repairer

AnyGenerator = Generator | Published | Repairer
AnyDiscriminator = (
    Discriminator
    | PatchDiscriminator70
    | PixelDiscriminator
    | FullyConnectedDiscriminator
    | DenseHeadDiscriminator
)

GENERATORS: dict[str, Callable[[GeneratorConfig, int], AnyGenerator]] = {
    "modulated": Generator,
    "resnet6": partial(ResNet, num_blocks=6),
    "resnet9": partial(ResNet, num_blocks=9),
    "unet256": UNet,
    "repairer": Repairer,
}
"""Generators by name; each takes (config, number of styles)."""

DISCRIMINATORS: dict[str, Callable[[DiscriminatorConfig, int, int], AnyDiscriminator]] = {
    "multi-scale": Discriminator,
    "patch": PatchDiscriminator70,
    "pixel": PixelDiscriminator,
    "fully-connected": FullyConnectedDiscriminator,
    "dense-head": DenseHeadDiscriminator,
}
"""Discriminators by name; each takes (config, number of styles, channels of what it judges) and has an
output for each style."""


def make_generator(config: GeneratorConfig, num_styles: int = 1) -> AnyGenerator:
    """The generator that `config.kind` names."""
    return GENERATORS[config.kind](config, num_styles)


def make_discriminator(
    config: DiscriminatorConfig, num_styles: int = 1, channels: int = 3
) -> AnyDiscriminator:
    """The discriminator that `config.kind` names."""
    return DISCRIMINATORS[config.kind](config, num_styles, channels)
