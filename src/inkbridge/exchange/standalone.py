"""A pack's generator as one network that needs nothing around it: a picture of any size in, its painting out.

What `StylePack.apply` does around the network is inside: the picture mirrored at its border, its size brought
to what the network takes and back, and the grain of the paper. Not inside: tiles, the size at which a pack
paints, and the enlarger.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from inkbridge.engine import Engine
from inkbridge.errors import DataError, PackError
from inkbridge.exchange.foreign import Foreign, foreign_network
from inkbridge.look import Code
from inkbridge.pack_format import PackFile
from inkbridge.tiling import grain, least_seen, plan_tiles
from inkbridge.train.from_pack import generator_of, network_weights
from inkbridge.train.networks.folded import Folded, fold
from inkbridge.train.networks.generator import GeneratorConfig
from inkbridge.train.networks.instance_norm import InstanceNorm
from inkbridge.train.networks.published import ResNet, UNet

NetworkT = TypeVar("NetworkT", bound=nn.Module)
OneStyle = Folded | ResNet | UNet | Foreign
"""Generators of one style."""


class Painting(nn.Module):
    """What `Standalone` calls: a generator without a style code, with grain or without."""

    def __init__(self, network: OneStyle) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, grain: Tensor) -> Tensor:
        result: Tensor = self.network(image, None, grain)
        return result


class Standalone(nn.Module):
    """N x 3 x H x W in [-1, 1] -> the same, of any size."""

    def __init__(self, network: nn.Module, multiple: int, border: int) -> None:
        """`network` is a `Painting` of sides that are multiples of `multiple`."""
        super().__init__()
        self.network = network
        self.border = border
        self.least = least_seen(multiple)
        self.multiple = multiple

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[2], image.shape[3]
        x = image.index_select(2, self.seen(height, image)).index_select(3, self.seen(width, image))
        painted = self.network(x, self.grain(x))
        return painted[:, :, self.border : self.border + height, self.border : self.border + width]

    def seen(self, size: int, image: Tensor) -> Tensor:
        """What the network sees along an axis, as places of the picture (those of `tiling.plan_tiles`)."""
        end = (size + self.multiple - 1) // self.multiple * self.multiple + self.border
        positions = torch.arange(-self.border, end, device=image.device)
        least = torch.arange(self.least, device=image.device) - self.border
        positions = torch.cat([least, positions[self.least :]])
        period = (2 * torch.arange(size, device=image.device)[-1:]).clamp(min=1)
        folded = positions % period
        return torch.minimum(folded, period - folded)

    def grain(self, image: Tensor) -> Tensor:
        """`tiling.grain` of the picture that starts at -border, -border."""
        rows = torch.arange(image.shape[2], device=image.device) - self.border
        columns = torch.arange(image.shape[3], device=image.device) - self.border
        x = ((rows & 0xFFFF) << 16)[:, None] + (columns & 0xFFFF)[None]
        for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
            x = (_xor(x, x >> shift) * factor) & 0xFFFFFFFF
        x = _xor(x, x >> 16)
        return ((x.float() / 2.0**32 - 0.5) * (2 * 3**0.5))[None, None].expand(image.shape[0], -1, -1, -1)


def _xor(a: Tensor, b: Tensor) -> Tensor:
    # PyTorch's exporter knows no exclusive or of numbers.
    return a + b - 2 * (a & b)


def border_of(file: PackFile) -> int:
    """How far the picture is mirrored beyond its border."""
    size = file.info.size
    return size.overlap if size.border is None else size.border


def network_of(file: PackFile, name: str, code: Code) -> OneStyle:
    """The generator of a pack for one style code (1 x dim) in PyTorch; PackError if it is not one of ours."""
    if file.info.kind != "style":
        raise PackError(f"{name} is a {file.info.kind} pack; only packs of styles go to other frameworks.")
    weights = network_weights(file.generator)
    if "up1.affine.weight" in weights:
        return fold(generator_of(file, name), torch.from_numpy(code))
    try:
        if any(key.startswith("network.") for key in weights):
            state = {key.removeprefix("network."): value for key, value in weights.items()}
            return foreign_network(state, name)[0]
        network = network_with(
            {key.removesuffix(".weight"): len(value) for key, value in weights.items() if value.ndim == 4}
        )
        found = {key: weights[key] for key in network.state_dict() if key != "styles"}
        network.load_state_dict(found | {"styles": network.styles})
    except (DataError, KeyError, IndexError, RuntimeError):
        raise PackError(
            f"{name}: its generator is none of the networks that go to other frameworks (docs/keras.md)."
        ) from None
    return exportable(network)


def network_with(channels: Mapping[str, int]) -> OneStyle:
    """The network that has convolutions of these names and numbers of channels that they give.

    Dots in names may be underscores. Raises KeyError when there is none.
    """
    channels = {name.replace(".", "_"): num for name, num in channels.items()}
    if "stem_1" in channels:
        num_blocks = sum(name.startswith("blocks_") and name.endswith("layers_1") for name in channels)
        return ResNet(GeneratorConfig(width=channels["stem_1"]), 1, num_blocks)
    if "downs_0" in channels:
        return UNet(GeneratorConfig(width=channels["downs_0"]), 1)
    num_blocks = sum(name.startswith("blocks_") and name.endswith("conv1") for name in channels)
    return Folded(channels["encoder_0"], channels["encoder_2"], num_blocks, "uneven_down" in channels)


def painted_by_pack(
    file: PackFile, name: str, code: Code, image: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """What the pack makes of 1 x 3 x H x W in [-1, 1], in float32: what other forms are compared with."""
    size, (height, width) = file.info.size, image.shape[2:]
    engine = Engine(file.generator, name, code.shape[1], size.multiple)
    (whole,) = plan_tiles(height, width, size.overlap, size.multiple, max(height, width), border_of(file))
    seen = image.take(whole.rows, axis=2).take(whole.columns, axis=3)
    painted = engine.run(seen, code, grain(whole.first_row, whole.first_column, *seen.shape[2:]))
    return whole.kept(painted)[None]


def exportable(network: NetworkT) -> NetworkT:
    """The network, frozen, with PyTorch's own instance norms: ours, for training, no exporter knows."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, InstanceNorm):
                setattr(module, name, nn.InstanceNorm2d(child.num_features, child.eps))
    return network.eval().requires_grad_(False)
