"""Differentiable augmentation of what the discriminator sees (Zhao et al. 2020, DiffAugment), always or as
often as its overfitting asks for (Karras et al. 2020a, ADA).

By default geometry only: colour is part of the style, so the discriminator has to see it unchanged.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def translate(image: Tensor, rng: torch.Generator, ratio: float = 0.125) -> Tensor:
    """Shift each picture by up to `ratio` of its size; what enters is black (0 in [-1, 1])."""
    n, _, height, width = image.shape
    max_y, max_x = int(height * ratio), int(width * ratio)
    shifts_y = torch.randint(0, 2 * max_y + 1, (n,), generator=rng).tolist()
    shifts_x = torch.randint(0, 2 * max_x + 1, (n,), generator=rng).tolist()
    padded = F.pad(image, (max_x, max_x, max_y, max_y))
    return torch.stack(
        [
            picture[:, y : y + height, x : x + width]
            for picture, y, x in zip(padded, shifts_y, shifts_x, strict=True)
        ]
    )


def cutout(image: Tensor, rng: torch.Generator, ratio: float = 0.4) -> Tensor:
    """Blank a rectangle of `ratio` of the size at a random place of each picture."""
    n, _, height, width = image.shape
    cut_h, cut_w = int(height * ratio), int(width * ratio)
    tops = torch.randint(0, height + 1, (n,), generator=rng).tolist()
    lefts = torch.randint(0, width + 1, (n,), generator=rng).tolist()
    mask = image.new_ones((n, 1, height, width))
    for i, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        y, x = top - cut_h // 2, left - cut_w // 2
        mask[i, :, max(y, 0) : max(y + cut_h, 0), max(x, 0) : max(x + cut_w, 0)] = 0
    return image * mask


def colour(image: Tensor, rng: torch.Generator) -> Tensor:
    """Another brightness (by up to 0.5), saturation (0 to 2 times) and contrast (0.5 to 1.5 times)."""
    brightness, saturation, contrast = torch.rand(3, len(image), 1, 1, 1, generator=rng).to(image.device)
    return _in_light(image, brightness - 0.5, 2 * saturation, contrast + 0.5)


def _in_light(image: Tensor, brightness: Tensor, saturation: Tensor, contrast: Tensor) -> Tensor:
    gray = image.mean(1, keepdim=True)
    image = gray + (image - gray) * saturation
    mean = image.mean((1, 2, 3), keepdim=True)
    return mean + (image - mean) * contrast + brightness


def resample(
    image: Tensor, rng: torch.Generator, zoom: float = 0.15, turn: float = 0.1, share: float = 0.7
) -> Tensor:
    """Show a `share` of the pictures through a window between the pixels.

    The window is turned by up to `turn` radians, up to `zoom` smaller than fits in, and nothing from outside
    the picture comes in. On the lattice of its own convolutions a generator always leaves a trace, far
    below what can be seen (1/255), by which a discriminator that always looks at the same lattice knows a
    result and of which alone its gradient then speaks.
    """
    n = len(image)
    angle = (2 * torch.rand(n, generator=rng) - 1) * turn
    angle = torch.where(torch.rand(n, generator=rng) < share, angle, 0.0)
    fits = 1 / (angle.cos() + angle.abs().sin())
    side = fits * (1 - zoom * torch.rand(n, generator=rng))
    side = torch.where(angle == 0, 1.0, side)
    shift = (2 * torch.rand(n, 2, generator=rng) - 1) * (1 - side / fits)[:, None]
    window = torch.zeros(n, 2, 3)
    window[:, 0, 0] = window[:, 1, 1] = side * angle.cos()
    window[:, 0, 1], window[:, 1, 0] = -side * angle.sin(), side * angle.sin()
    window[:, :, 2] = shift
    grid = F.affine_grid(window.to(image.device), list(image.shape), align_corners=False)
    return F.grid_sample(image, grid.to(image.dtype), "bilinear", "reflection", align_corners=False)


def fade(content: Tensor, rng: torch.Generator) -> Tensor:
    """Contents in another light, mostly a paler one: for the generator, which shall not count on theirs.

    Saturation by a factor of 0.3 to 1.7, contrast by 0.55 to 1.3 (both even in their logarithms, 0.7 and 0.84
    in the middle), brightness by up to 0.2 of N x 3 x H x W pictures in [-1, 1]. What was painted from the
    contents as they are had a little less contrast and colour than the style, and of gray ones half its
    colour.
    """
    brightness, saturation, contrast = torch.rand(3, len(content), 1, 1, 1, generator=rng).to(content.device)
    light = 0.4 * brightness - 0.2, 2 ** (2.5 * saturation - 1.75), 2 ** (1.25 * contrast - 0.875)
    return _in_light(content, *light).clamp(-1, 1)


def disguise(style: Tensor, content: Tensor, rng: torch.Generator, most: float = 2.3) -> Tensor:
    """Style pictures as if they were contents: with the colours of those, and with less detail.

    Each of N x 3 x H x W pictures gets the mean and spread of a content's channels (Reinhard et al. 2001,
    here in RGB), loses what is finer than a random factor up to `most` times the pixels, and gets a little
    noise.
    """
    spread = content.std((2, 3), keepdim=True) / (style.std((2, 3), keepdim=True) + 0.05)
    coloured = (style - style.mean((2, 3), keepdim=True)) * spread + content.mean((2, 3), keepdim=True)
    height, width = style.shape[2:]
    blurred = []
    for picture in coloured.split(1):
        factor = most ** float(torch.rand(1, generator=rng))
        size = (max(int(height / factor), 8), max(int(width / factor), 8))
        small = F.interpolate(picture, size, mode="bilinear", antialias=True)
        blurred.append(F.interpolate(small, (height, width), mode="bilinear"))
    noise = torch.randn(style.shape, generator=rng) * (0.08 * torch.rand(1, generator=rng))
    disguised = torch.cat(blurred) + noise.to(style.device)
    return disguised.clamp(-1, 1).contiguous(memory_format=torch.channels_last)


AUGMENTATIONS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "resample": resample,
    "translate": translate,
    "cutout": cutout,
    "colour": colour,
}
"""Augmentations by name; each takes (pictures, generator of random numbers)."""


def augment(image: Tensor, names: tuple[str, ...], rng: torch.Generator, probability: float = 1.0) -> Tensor:
    """Apply the named augmentations in order, each to each picture with `probability`."""
    for name in names:
        augmented = AUGMENTATIONS[name](image, rng)
        if probability < 1:
            chosen = torch.rand(len(image), 1, 1, 1, generator=rng) < probability
            augmented = torch.where(chosen.to(image.device), augmented, image)
        image = augmented
    return image


class AdaptiveProbability(nn.Module):
    """The probability of augmentation, moved by how much the discriminator overfits; Karras et al. 2020a.

    The sign of overfitting is r = mean(sign(D(y))) over training pictures (Eq. 1): 1 when it takes every one
    for real. Above `target` the probability rises, below it falls, from 0 to 1 in `images` images.
    """

    probability: Tensor

    def __init__(self, target: float = 0.6, images: int = 20_000) -> None:
        super().__init__()
        self.target, self.images = target, images
        self.register_buffer("probability", torch.zeros(()))

    @torch.no_grad()
    def observe(self, real: list[Tensor]) -> None:
        """Take the logits of the style pictures of an update into account."""
        sign = float(torch.stack([logit.sign().mean() for logit in real]).mean())
        step = len(real[0]) / self.images * (1 if sign > self.target else -1)
        self.probability.add_(step).clamp_(0, 1)
