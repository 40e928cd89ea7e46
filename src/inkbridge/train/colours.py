"""Thumbnails to learn colours from: of sound pictures, squeezed as whole ones are, and with other colours."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from inkbridge.damage import damage, draw_kinds
from inkbridge.images import RGB
from inkbridge.train.networks.repairer import thumbnail
from inkbridge.train.processes import Processes

CHANGED = 0.6
"""Share of thumbnails whose colours are changed."""
SQUEEZED = 0.7
"""Logarithm, at most, of the proportions that are squeezed into a square: whole pictures are not square."""


def squeezed(content: Tensor, rng: torch.Generator) -> Tensor:
    """Thumbnails of parts of N x 3 x H x W pictures, as large as can be, in proportions of their own."""
    places = torch.rand(len(content), 3, generator=rng).tolist()
    height, width = content.shape[2:]
    found = []
    for picture, (proportions, down, right) in zip(content.split(1), places, strict=True):
        squeeze = math.exp(SQUEEZED * (2 * proportions - 1))
        tall, wide = round(height / max(squeeze, 1)), round(width * min(squeeze, 1))
        top, left = round(down * (height - tall)), round(right * (width - wide))
        found.append(thumbnail(picture[:, :, top : top + tall, left : left + wide]))
    return torch.cat(found)


def changed(
    small: Tensor,
    kinds: tuple[str, ...],
    strengths: tuple[float, float],
    rng: torch.Generator,
    processes: Processes,
) -> Tensor:
    """Thumbnails, of most of which the colours were damaged by some of `kinds`; each process makes its
    share."""
    seeds, made = torch.randint(1 << 62, (len(small),), generator=rng).tolist(), []
    pictures = pictures_of(small)
    for i in processes.places(len(small)):
        drawn = draw_kinds(np.random.default_rng(seeds[i]), kinds, strengths, (CHANGED, 0.0, 0.0))
        made.append(damage(pictures[i], drawn, seeds[i]).rgb)
    return processes.gather(image_of(made, small), len(small))


def pictures_of(image: Tensor) -> RGB:
    """N x 3 x H x W in [-1, 1] -> N x H x W x 3 uint8."""
    pixels = ((image + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    pictures: RGB = pixels.permute(0, 2, 3, 1).cpu().numpy()
    return pictures


def image_of(pictures: list[RGB], like: Tensor) -> Tensor:
    """H x W x 3 uint8 pictures -> N x 3 x H x W in [-1, 1], where and of the type that `like` is."""
    image = torch.from_numpy(np.stack(pictures)).to(like.device).permute(0, 3, 1, 2).to(like.dtype)
    return image.div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)
