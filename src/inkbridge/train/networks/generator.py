"""The generator: a picture and a style code in, the picture in that style out.

No layer looks at picture-wide statistics, so a tile with enough overlap equals the whole picture.
Style enters by modulated, demodulated convolutions (Karras et al. 2020, "Analyzing and improving the
image quality of StyleGAN", section 2.2).
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDE = 8
"""The body works at 1/8 of the resolution; pictures are padded to a multiple of this."""
FULL = 12
"""Channels at full resolution."""
SURFACE = 8
"""Channels of the surface's texture."""
RELIEF = 0.3
"""How much, before the last nonlinearity, the surface may add: paper, not a picture. Stripes as a style were
painted by an unbounded one all alone, and nothing was left of the content."""
SPOT = 7
"""Pixels of the squares of grain that are averaged, twice, to spots."""
LEAST_SLOPE = 0.01
"""The last nonlinearity passes at least this share of a gradient on."""


@dataclass
class GeneratorConfig:
    """Which generator, and its size; the defaults give 1.1 million parameters."""

    kind: str = "modulated"
    """modulated; one as published: resnet6, resnet9, unet256; or repairer, of recipe repair
    (`networks.GENERATORS`)."""
    width: int = 32
    """Modulated: channels at half resolution, twice as many at 1/4. Published ones: after the first layer."""
    body: int = 128
    """Channels at 1/8 resolution (modulated)."""
    num_blocks: int = 2
    """Residual blocks at 1/8 resolution, and as many again at 1/4 (modulated)."""
    style_dim: int = 64
    """Numbers in a style code (modulated)."""
    uneven: float = 0.0
    """Root mean square of the spots that are added to a picture before it is painted (modulated)."""


class Shift(nn.Module):
    """What a style adds to the biases: N x style_dim -> N x channels, linear, at first 0.

    It learns only where a recipe says so (`requires_grad`): with one style a bias does the same, and a weight
    for each number of the code makes its steps many times longer.
    """

    def __init__(self, style_dim: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels, style_dim), requires_grad=False)

    def forward(self, style: Tensor) -> Tensor:
        return F.linear(style, self.weight)


class ModulatedConv(nn.Module):
    """3 x 3 convolution whose input channels are scaled by the style and whose output is renormalised.

    y = d * conv(s * x, W) + b + shift(style), with s = affine(style) and d_o = 1 / sqrt(sum (s_i W_oik)^2):
    Eq. 1 and 3 of Karras et al. 2020, but for the shift. One style for the whole batch is folded into the
    weights, which is the same function and spares two passes over the activations.
    """

    def __init__(self, in_channels: int, out_channels: int, style_dim: int, mirror: bool = False) -> None:
        """`mirror`: pad by mirroring instead of by zeros."""
        super().__init__()
        self.mirror = mirror
        self.frozen_power: Tensor | None = None
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 3, 3) / math.sqrt(in_channels * 9))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.affine = nn.Linear(style_dim, in_channels)
        nn.init.normal_(self.affine.weight, std=0.3 / math.sqrt(style_dim))
        nn.init.ones_(self.affine.bias)
        self.shift = Shift(style_dim, out_channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale, bias = self.affine(style), self.bias + self.shift(style)
        padding = 1
        if self.mirror:
            x, padding = F.pad(x, (1, 1, 1, 1), mode="reflect"), 0
        power = self.power() if self.frozen_power is None else self.frozen_power
        demodulation = torch.rsqrt(scale.square() @ power + 1e-8)
        if style.shape[0] == 1 and not torch.onnx.is_in_onnx_export():
            weight = self.weight * scale[0, None, :, None, None]
            weight = weight * demodulation.view(-1, 1, 1, 1)
            return F.conv2d(x, weight, bias[0], padding=padding)
        y = F.conv2d(x * scale[:, :, None, None], self.weight, padding=padding)
        return y * demodulation[:, :, None, None] + bias[:, :, None, None]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        # Networks of before shifts were had none.
        state_dict.setdefault(f"{prefix}shift.weight", torch.zeros_like(self.shift.weight))
        super()._load_from_state_dict(state_dict, prefix, *others)

    def power(self) -> Tensor:
        """Sum of squares of each input-output pair of kernels: in_channels x out_channels."""
        return self.weight.square().sum((2, 3)).t()


class ResidualBlock(nn.Module):
    """x + conv(act(conv(x))), both convolutions modulated; x is let through at unit variance.

    Padding is mirrored: with zeros, the deep layers know how far the border of a training crop is, and
    the generator paints the style's palette there instead of in the picture.
    """

    def __init__(self, channels: int, style_dim: int) -> None:
        super().__init__()
        self.conv1 = ModulatedConv(channels, channels, style_dim, mirror=True)
        self.conv2 = ModulatedConv(channels, channels, style_dim, mirror=True)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        y = F.leaky_relu(self.conv1(x, style), 0.2, inplace=True)
        return F.leaky_relu((x + self.conv2(y, style)) * math.sqrt(0.5), 0.2)


class Unevenness(nn.Module):
    """Grain (N x 1 x H x W), smoothed to spots some pixels wide, which are added to a picture.

    Where a picture is even, moments of the eye's features still ask for the strokes of the example, and a
    network that is the same everywhere answers with a lattice. It draws strokes along spots as it does along
    forms. Losses compare the result with the picture as it was. Nothing here learns.
    """

    def __init__(self, amount: float) -> None:
        """`amount`: root mean square of the spots, in units of [-1, 1]."""
        super().__init__()
        once = torch.ones(SPOT)
        twice = F.conv1d(once[None, None], once[None, None], padding=SPOT - 1)[0, 0]
        twice = twice / twice.norm()
        size = len(twice)
        self.down = nn.Conv2d(1, 1, (size, 1), padding=(size // 2, 0), bias=False)
        self.across = nn.Conv2d(1, 1, (1, size), padding=(0, size // 2), bias=False)
        self.down.weight = nn.Parameter(twice.view(1, 1, -1, 1), requires_grad=False)
        self.across.weight = nn.Parameter(amount * twice.view(1, 1, 1, -1), requires_grad=False)

    def forward(self, grain: Tensor) -> Tensor:
        spots: Tensor = self.across(self.down(grain))
        return spots

    @property
    def amount(self) -> float:
        """Root mean square of the spots."""
        return float(self.across.weight.norm())

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        # Networks of before there was unevenness had none.
        state_dict.setdefault(f"{prefix}down.weight", self.down.weight.detach())
        state_dict.setdefault(f"{prefix}across.weight", torch.zeros_like(self.across.weight))
        super()._load_from_state_dict(state_dict, prefix, *others)


class Surface(nn.Module):
    """What paper, silk or wood looks like close by, from grain alone: N x 1 x H x W to N x 3 x H x W.

    Without it a flat area of the picture leaves nothing to make such a texture of but the lattice of
    the convolutions, and the generator painted a mesh there. Noise inside the network (Karras et al.
    2019, section 3.2) did away with the mesh, but was drawn upon everywhere: outlines came out as rows
    of teeth and cloth as a crust, which no measure of patches minded. Here it knows nothing of the
    picture, only of the style.
    """

    def __init__(self, style_dim: int) -> None:
        super().__init__()
        self.half1 = nn.Conv2d(4, SURFACE, 3, padding=1)
        self.half2 = nn.Conv2d(SURFACE, SURFACE, 3, padding=1)
        self.full = nn.Conv2d(1, SURFACE, 3, padding=1)
        self.gain = nn.Linear(style_dim, SURFACE)
        self.to_rgb = nn.Conv2d(SURFACE, 3, 3, padding=1, bias=False)
        for conv in (self.half1, self.half2, self.full):
            start_relu(conv)
        nn.init.zeros_(self.gain.weight)
        nn.init.ones_(self.gain.bias)
        nn.init.normal_(self.to_rgb.weight, std=0.02)

    def forward(self, grain: Tensor, style: Tensor) -> Tensor:
        coarse = self.half2(_act(self.half1(F.pixel_unshuffle(grain, 2))))
        texture = _act(_double(coarse) + self.full(grain))
        added = self.to_rgb(texture * self.gain(style)[:, :, None, None])
        return RELIEF * torch.tanh(added / RELIEF)


class Generator(nn.Module):
    """Encoder to 1/8 resolution, styled residual blocks there and at 1/4, one skip at 1/4.

    Input: N x 3 x H x W in [-1, 1], H and W multiples of 8; style codes N x style_dim, or
    1 x style_dim for the whole batch; grain N x 1 x H x W, random numbers of mean 0 and variance 1, or None
    for none. Output: N x 3 x H x W in [-1, 1]. Zero padding inside: whoever applies it mirrors the
    picture's border first (`inkbridge.tiling`).

    The last two convolutions stand before and after the doubling to full resolution, with a nonlinearity
    between: one that shuffled 12 channels into 2 x 2 pixels gave each of the four its own weights, and left a
    mesh of two pixels, too faint to be seen, that the discriminator spoke of and of nothing else.

    Grain becomes the surface that is painted on, and is added last. Where `uneven` is more than 0 the picture
    is first made uneven by it.
    """

    multiple = STRIDE
    """Height and width must be multiples of this."""
    border: int | None = 2 * STRIDE
    """Pixels of a picture, mirrored, that it is to be shown beyond the border: its deep layers mirror there
    themselves, and what the zeros of the others do further in is faint (benchmarks/border.py)."""

    def __init__(self, config: GeneratorConfig, num_styles: int = 1) -> None:
        super().__init__()
        width, body, dim = config.width, config.body, config.style_dim
        self.styles = nn.Parameter(torch.randn(num_styles, dim))
        convs = [
            nn.Conv2d(12, width, 3, padding=1),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.Conv2d(2 * width, body, 4, stride=2, padding=1),
        ]
        for conv in convs:
            start_relu(conv)
        self.encoder = nn.ModuleList(convs)
        self.feature_channels = [width, 2 * width, body]
        """Channels of each of `features`."""
        self.blocks = nn.ModuleList([ResidualBlock(body, dim) for _ in range(config.num_blocks)])
        self.up1 = ModulatedConv(body, 2 * width, dim)
        self.skip = nn.Conv2d(2 * width, 2 * width, 1)
        self.blocks1 = nn.ModuleList([ResidualBlock(2 * width, dim) for _ in range(config.num_blocks)])
        self.up2 = ModulatedConv(2 * width, width, dim)
        self.refine = ModulatedConv(width, width, dim)
        self.to_full = ModulatedConv(width, FULL, dim)
        self.to_rgb = nn.Conv2d(FULL, 3, 3, padding=1)
        self.surface = Surface(dim)
        self.uneven = Unevenness(config.uneven) if config.uneven else None

    def forward(self, image: Tensor, style: Tensor, grain: Tensor | None = None) -> Tensor:
        if self.uneven is not None and grain is not None:
            image = image + self.uneven(grain)
        _, quarter, deep = self.features(image)
        return self._decode(quarter, deep, style, grain)

    def with_features(
        self, image: Tensor, style: Tensor, grain: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """The result and the features of what is painted, for the price of the result."""
        if self.uneven is not None and grain is not None:
            image = image + self.uneven(grain)
        half, quarter, deep = self.features(image)
        return self._decode(quarter, deep, style, grain), [half, quarter, deep]

    def features(self, image: Tensor) -> list[Tensor]:
        """What the content loss compares: the encoder's activations at 1/2, 1/4 and 1/8 of the resolution."""
        half = _act(self.encoder[0](F.pixel_unshuffle(image, 2)))
        quarter = _act(self.encoder[1](half))
        return [half, quarter, _act(self.encoder[2](quarter))]

    @torch.no_grad()
    def frozen(self) -> Generator:
        """A copy for export: what depends on weights alone is a constant, which halves the file."""
        generator = copy.deepcopy(self).eval().requires_grad_(False)
        for module in generator.modules():
            if isinstance(module, ModulatedConv):
                module.frozen_power = module.power().contiguous()
        return generator

    def receptive_radius(self) -> int:
        """How far, in pixels, an output pixel looks in each direction (an upper bound)."""
        num_blocks = len(self.blocks)
        at_full, at_half, at_quarter, at_eighth = 3, 2 * 4, 4 * (3 + 2 * num_blocks), 8 * (3 + 2 * num_blocks)
        spots = 0 if self.uneven is None else SPOT - 1
        return at_full + at_half + at_quarter + at_eighth + spots

    def _decode(self, quarter: Tensor, deep: Tensor, style: Tensor, grain: Tensor | None) -> Tensor:
        for block in self.blocks:
            deep = block(deep, style)
        x = _double(self.up1(deep, style)) + self.skip(quarter)
        x = _act(x)
        for block in self.blocks1:
            x = block(x, style)
        fine = _double(_act(self.up2(x, style)))
        fine = _act(self.refine(fine, style))
        full = _double(self.to_full(fine, style))
        painted = self.to_rgb(_act(full))
        if grain is not None:
            painted = painted + self.surface(grain, style)
        return bounded(painted)


def bounded(x: Tensor) -> Tensor:
    """tanh(x); the gradient is at least LEAST_SLOPE of what comes in.

    Where a step too far made a result white everywhere, no gradient of tanh's own (none at all in bfloat16)
    brings it back.
    """
    if torch.onnx.is_in_onnx_export():
        return torch.tanh(x)
    result: Tensor = _Bounded.apply(x)
    return result


class _Bounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        result = torch.tanh(x)
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (result,) = ctx.saved_tensors
        slope = 1.0 - result.float().square()
        return (gradients[0] * slope.clamp(min=LEAST_SLOPE)).to(result.dtype)


def draw_grain(image: Tensor, rng: torch.Generator) -> Tensor:
    """Grain for a batch of pictures: N x 1 x H x W, uniform with mean 0 and variance 1."""
    n, _, height, width = image.shape
    values = torch.rand(n, 1, height, width, generator=rng) * (2 * math.sqrt(3.0)) - math.sqrt(3.0)
    return values.to(image.device, image.dtype)


def start_relu(conv: nn.Conv2d | nn.Linear) -> None:
    """Weights that keep the variance through a leaky ReLU (He et al. 2015), no bias."""
    nn.init.kaiming_normal_(conv.weight, 0.2)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)


def _double(x: Tensor) -> Tensor:
    # Bilinear: nearest or sub-pixel upsampling left a mesh of 4 and 8 pixels that training kept using.
    return F.interpolate(x, scale_factor=2.0, mode="bilinear")


def _act(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2, inplace=True)
