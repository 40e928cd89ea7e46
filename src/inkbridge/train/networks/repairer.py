"""Networks that repair: one that sees every pixel and its surroundings, one that sees the picture's colours.

`Repairer` is a U-Net (Ronneberger et al. 2015) of residual blocks (He et al. 2016) without normalisation, so
that a tile with enough overlap equals the whole picture. `ToneNet` looks at a thumbnail and answers with
numbers that are applied at any size, as in Gharbi et al. 2017 ("Deep bilateral learning"). `ToneNets` are
several of them, asked together.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkbridge.engine import THUMBNAIL
from inkbridge.train.networks.generator import GeneratorConfig, start_relu

DEPTH = 4
"""Times that resolution is halved."""
GRID = 8
"""Side of its map of light."""
STEEP = 8.0
"""Times that logits are multiplied: they go further than colours, and Muon steps equally far for both."""
KNOTS = 9
"""Of its curve of each channel, evenly from black to white."""
GIVEN = 7
"""Channels of the picture, the mask, and the filling below it."""
BINS = 24
"""Of its histogram of each channel."""
TONE = 12 + 3 * KNOTS + 1
"""Numbers for the whole picture: a 3 x 4 matrix, three curves, and whether anything is amiss."""


class Repairer(nn.Module):
    """A damaged picture, a mask of what is hidden and what fills it -> the sound picture, and a mask of what
    it found.

    Its outputs mix two pictures: what is seen is corrected, what is hidden is painted, on the filling where
    there is one, and the network says which is which. So an undamaged pixel passes as it is, and a
    hole needs nothing of what lies in it.
    """

    multiple = 2**DEPTH
    """Height and width must be multiples of this."""
    border: int | None = 0
    """Pictures end where they end, as they did in training."""

    def __init__(self, config: GeneratorConfig, num_styles: int = 1) -> None:
        super().__init__()
        self.num_blocks = config.num_blocks
        self.styles = nn.Parameter(torch.zeros(num_styles, 1), requires_grad=False)
        widths = [config.width, 2 * config.width, 3 * config.width, config.body]
        self.feature_channels = widths
        self.first = nn.Conv2d(4 * GIVEN, widths[0], 3, padding=1)
        self.downs = nn.ModuleList([nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(widths)])
        self.ups = nn.ModuleList([nn.Conv2d(b, a, 1) for a, b in pairwise(widths)])
        self.seen = nn.ModuleList([_blocks(width, config.num_blocks) for width in widths])
        self.made = nn.ModuleList([_blocks(width, config.num_blocks) for width in widths[:-1]])
        # At half resolution too, with what it was given beside what it made of that: the last layers at full
        # resolution took a quarter of the time.
        self.out = nn.Conv2d(widths[0] + 4 * GIVEN, 7 * 4, 3, padding=1)
        self.hidden = nn.Conv2d(widths[0] + 4 * GIVEN, 4, 3, padding=1)
        for conv in (self.first, *self.downs, *self.ups):
            start_relu(conv)
        # At first: nothing is corrected, nothing is hidden, and what would be is grey.
        for last, start in ((self.out, 0.0), (self.hidden, -3.0 / STEEP)):
            assert last.bias is not None
            nn.init.zeros_(last.weight)
            nn.init.constant_(last.bias, start)

    def forward(self, image: Tensor, style: Tensor, grain: Tensor | None = None) -> Tensor:
        """The picture repaired without a mask; `style` and `grain` are ignored."""
        return self._mend(_given(image), self.features(image))[0]

    def repair(self, image: Tensor, mask: Tensor, filling: Tensor) -> tuple[Tensor, Tensor]:
        """N x 3 x H x W in [-1, 1], N x 1 x H x W from 0 to 1 (hidden) and the picture with that filled
        (`inkbridge.filling`; used below the mask) -> the sound picture, and logits of what is hidden."""
        given = torch.cat([image, mask, mask * filling], 1)
        return self._mend(given, self._looked_at(given))

    def features(self, image: Tensor) -> list[Tensor]:
        """Activations at 1/2 to 1/16 of the resolution."""
        return self._looked_at(_given(image))

    def with_features(
        self, image: Tensor, style: Tensor, grain: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """The result and `features(image)`, for the price of the result."""
        found = self.features(image)
        return self._mend(_given(image), found)[0], found

    def _looked_at(self, given: Tensor) -> list[Tensor]:
        x = self.seen[0](_act(self.first(F.pixel_unshuffle(given, 2))))
        levels = [x]
        for down, blocks in zip(self.downs, self.seen[1:], strict=True):
            x = blocks(_act(down(x)))
            levels.append(x)
        return levels

    def _mend(self, given: Tensor, levels: list[Tensor]) -> tuple[Tensor, Tensor]:
        x = levels[-1]
        for up, blocks, skip in zip(self.ups[::-1], self.made[::-1], levels[-2::-1], strict=True):
            x = blocks(F.interpolate(up(x), scale_factor=2.0, mode="bilinear") + skip)
        image, mask, filling = given.split([3, 1, 3], 1)
        both = torch.cat([x, F.pixel_unshuffle(given, 2)], 1)
        correction, painted, needed = F.pixel_shuffle(self.out(both), 2).split([3, 3, 1], 1)
        # Of a sum of many features some small rest is always left; a factor can be none.
        correction = torch.sigmoid(STEEP * needed + 1) * correction
        found = STEEP * F.pixel_shuffle(self.hidden(both), 2)
        hidden = torch.maximum(torch.sigmoid(found), mask)
        return (1 - hidden) * (image + correction) + hidden * (filling + painted), found

    def frozen(self) -> Repairer:
        """A copy for export."""
        return copy.deepcopy(self).eval().requires_grad_(False)

    def receptive_radius(self) -> int:
        """How far, in pixels, an output pixel looks in each direction (an upper bound)."""
        radius = 2 * 2 + 1  # the first and last convolutions at half resolution, and where a pair lies
        for level in range(1, DEPTH + 1):
            sides = 1 if level == DEPTH else 2
            # Two convolutions a block, one on the way down, one pixel of interpolation on the way up.
            radius += 2**level * (2 * self.num_blocks * sides + 2)
        return radius


class ToneNet(nn.Module):
    """A thumbnail (N x 3 x 64 x 64 in [-1, 1]) -> a map of light (N x 3 x 8 x 8) and N x TONE numbers.

    It is told histograms as well: that no dye is dark any more, or no paper white, is seen there.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        widths = [3, width, 2 * width, 3 * width]
        self.downs = nn.ModuleList([nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(widths)])
        self.places = nn.Conv2d(widths[-1], widths[-1], 3, padding=1)
        self.counted = nn.Linear(3 * BINS, widths[-1])
        self.whole = nn.Linear(3 * widths[-1], widths[-1])
        self.mixed = nn.Conv2d(widths[-1], widths[-1], 3, padding=1)
        for layer in (*self.downs, self.places, self.counted, self.whole, self.mixed):
            start_relu(layer)
        self.to_map = nn.Conv2d(widths[-1], 3, 3, padding=1)
        self.to_tone = nn.Linear(widths[-1], TONE)
        for last in (self.to_map, self.to_tone):
            nn.init.zeros_(last.weight)
            assert last.bias is not None
            nn.init.zeros_(last.bias)

    def forward(self, thumbnail: Tensor) -> tuple[Tensor, Tensor]:
        x = thumbnail
        for down in self.downs:
            x = _act(down(x))
        x = _act(self.places(x))
        # Every fourth pixel tells as much.
        counted = histograms(thumbnail[:, :, ::2, ::2]).flatten(1)
        counted = _act(self.counted(counted.add(1e-4).sqrt()))
        both = torch.cat([x.mean((2, 3)), x.square().mean((2, 3)).add(1e-6).sqrt(), counted], 1)
        whole = _act(self.whole(both))
        places = _act(self.mixed(x + whole[:, :, None, None]))
        return self.to_map(places), self.to_tone(whole)


class ToneNets(nn.Module):
    """Tone networks whose answers' mean, of a picture and of its mirror image, is the answer
    (Lakshminarayanan et al. 2017, "Simple and scalable predictive uncertainty estimation using deep
    ensembles").

    Each errs in its own way about pictures that it never saw: colours of pictures that are pale or yellow by
    themselves are left more often, changed ones found better.
    """

    def __init__(self, num: int) -> None:
        super().__init__()
        self.members = nn.ModuleList([ToneNet() for _ in range(num)])

    def forward(self, thumbnail: Tensor) -> tuple[Tensor, Tensor]:
        lights, tones = [], []
        for member in self.members:
            light, tone = member(thumbnail)
            mirrored, same = member(thumbnail.flip(3))
            lights += [light, mirrored.flip(3)]
            tones += [tone, same]
        return torch.stack(lights).mean(0), torch.stack(tones).mean(0)


def tone_nets(weights: Mapping[str, Tensor]) -> ToneNets:
    """Those that had `weights`, also the single network of older packs; KeyError or RuntimeError if none."""
    if not any(key.startswith("members.") for key in weights):
        weights = {f"members.0.{key}": value for key, value in weights.items()}
    tones = ToneNets(1 + max(int(key.split(".")[1]) for key in weights))
    tones.load_state_dict({key: weights[key] for key in tones.state_dict()})
    return tones


def histograms(image: Tensor) -> Tensor:
    """N x 3 x H x W in [-1, 1] -> N x 3 x BINS shares of pixels; one between two bins counts for both."""
    place = ((image + 1) / 2).clamp(0, 1).flatten(2) * (BINS - 1)
    shares = [(1 - (place - bin).abs()).clamp_min(0).mean(2) for bin in range(BINS)]
    return torch.stack(shares, 2)


def thumbnail(image: Tensor) -> Tensor:
    """What the tone network looks at, of N x 3 x H x W pictures."""
    return F.interpolate(image, size=(THUMBNAIL, THUMBNAIL), mode="area")


def toned(image: Tensor, light: Tensor, tone: Tensor) -> Tensor:
    """N x 3 x H x W pictures in [-1, 1] with the colours that a `ToneNet` answered: first each place's
    light (exp of the map), then a 3 x 4 matrix beside the identity, then a curve for each channel."""
    values = (image + 1) / 2
    values = values * torch.exp(F.interpolate(light, size=image.shape[2:], mode="bilinear"))
    matrix = tone[:, :12].view(-1, 3, 4)
    values = values + torch.einsum("nij,njhw->nihw", matrix[:, :, :3], values) + matrix[:, :, 3, None, None]
    curves = tone[:, 12 : 12 + 3 * KNOTS].view(-1, 3, KNOTS)
    place = values.clamp(0, 1) * (KNOTS - 1)
    for knot in range(KNOTS):
        values = values + curves[:, :, knot, None, None] * (1 - (place - knot).abs()).clamp_min(0)
    return values * 2 - 1


def _given(image: Tensor) -> Tensor:
    """What the network is given with a picture alone."""
    return torch.cat([image, torch.zeros_like(image[:, :1]), torch.zeros_like(image)], 1)


class _Block(nn.Module):
    """x + conv(act(conv(x))); at first x alone."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        start_relu(self.conv1)
        start_relu(self.conv2)
        with torch.no_grad():
            self.conv2.weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.conv2(_act(self.conv1(x)))
        return result


def _blocks(channels: int, num: int) -> nn.Sequential:
    return nn.Sequential(*[_Block(channels) for _ in range(num)])


def _act(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)
