"""Holes filled from what lies round them before the network paints: then no shade of them is left."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from inkbridge.images import RGB

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.uint8]
"""H x W: 255 where the picture is hidden, 0 where it can be seen."""

ROUNDS = 30
"""Of diffusion, that smooth what came from coarse levels."""
NEAR = 8
"""Pixels round a place over which its opacity is judged."""


def filled(rgb: RGB, mask: Mask) -> RGB:
    """H x W x 3 with new colours where `mask` is 255, from all sides as smoothly as can be; never all of it.

    Pull-push (Gortler et al. 1996, "The Lumigraph", section 4.3): sums of what is seen at ever half the
    size, then back, each level where finer ones saw nothing; then a few rounds of diffusion.
    """
    seen = (mask == 0).astype(np.float32)[..., None]
    level = np.concatenate([rgb.astype(np.float32) * seen, seen], -1)
    finer = []
    while (level[..., 3] == 0).any() and max(level.shape[:2]) > 1:
        finer.append(level)
        level = _halved(level)
    values = level[..., :3] / np.maximum(level[..., 3:], np.float32(1e-6))
    for level in reversed(finer):
        size = level.shape[1], level.shape[0]
        channels = [Image.fromarray(np.ascontiguousarray(values[..., c])) for c in range(3)]
        coarse = np.stack([np.asarray(c.resize(size, Image.Resampling.BILINEAR)) for c in channels], -1)
        share = level[..., 3:]
        values = np.where(share > 0, level[..., :3] / np.maximum(share, np.float32(1e-6)), coarse)
    for _ in range(ROUNDS):
        wide = np.pad(values, ((1, 1), (1, 1), (0, 0)), "edge")
        mean = (wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]) / 4
        values = np.where(seen > 0, values, mean)
    result: RGB = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return result


def opacity(hidden: Mask, mask: Mask) -> Mask:
    """How surely what lies below the mask cannot be seen, 0 to 255: the mean of what the network says of its
    pixels (`hidden`) round each. Of a stain it says little, of a hole much."""
    inside = np.where(mask > 0, hidden, 0).astype(np.uint8)
    said, whole = (
        np.asarray(Image.fromarray(part).filter(ImageFilter.BoxBlur(NEAR)), np.float32)
        for part in (inside, mask)
    )
    mean: Mask = np.where(mask > 0, 255 * said / np.maximum(whole, 1), 0).clip(0, 255).astype(np.uint8)
    return mean


def grown(mask: Mask) -> Mask:
    """By a pixel to all sides: where a hole ends it is half seen."""
    return np.asarray(Image.fromarray(mask).filter(ImageFilter.MaxFilter(3)))


def _halved(level: Floats) -> Floats:
    height, width = level.shape[:2]
    even = np.pad(level, ((0, height % 2), (0, width % 2), (0, 0)))
    sums: Floats = even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
    return sums
