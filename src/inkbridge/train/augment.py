"""Differentiable augmentation of what the discriminator sees (Zhao et al. 2020, DiffAugment).

Translation and cutout only: colour is part of the style, so the discriminator has to see it unchanged.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


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


AUGMENTATIONS = {"translate": translate, "cutout": cutout}
"""Augmentations by name; each takes (pictures, generator of random numbers)."""


def augment(image: Tensor, names: tuple[str, ...], rng: torch.Generator) -> Tensor:
    """Apply the named augmentations in order."""
    for name in names:
        image = AUGMENTATIONS[name](image, rng)
    return image
