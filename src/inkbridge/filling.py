"""Holes filled from what lies round them: what the network paints on, so that no shade of them is left."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from inkbridge.images import RGB

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.uint8]
"""H x W: 255 where the picture is hidden, 0 where it can be seen."""

ROUNDS = 4
"""Of diffusion, that smooth what came from coarse levels."""


def filled(rgb: RGB, mask: Mask) -> RGB:
    """H x W x 3 with new colours where `mask` is 255, from all sides as smoothly as can be; where that is all
    of it or nothing, as it is.

    Pull-push (Gortler et al. 1996, "The Lumigraph", section 4.3): sums of what is seen at ever half the
    size, then back, each level where finer ones saw nothing; then a few rounds of diffusion. Where a hole
    ends a pixel is half seen, so one more to all sides is filled.
    """
    mask = np.asarray(Image.fromarray(mask).filter(ImageFilter.MaxFilter(3)))
    if mask.all() or not mask.any():
        return rgb
    seen = (mask == 0).astype(np.float32)
    level = np.concatenate([rgb.transpose(2, 0, 1) * seen, seen[None]])
    finer = []
    while not level[3].all() and max(level.shape[1:]) > 1:
        finer.append(level)
        level = _halved(level)
    values = level[:3] / np.maximum(level[3], np.float32(1e-6))
    for level in reversed(finer):
        size = level.shape[2], level.shape[1]
        values = np.stack(
            [np.asarray(Image.fromarray(c).resize(size, Image.Resampling.BILINEAR)) for c in values]
        )
        np.divide(level[:3], level[3], out=values, where=level[3] > 0)
    hidden = mask > 0
    for _ in range(ROUNDS):
        wide = np.pad(values, ((0, 0), (1, 1), (1, 1)), "edge")
        mean = wide[:, :-2, 1:-1] + wide[:, 2:, 1:-1] + wide[:, 1:-1, :-2] + wide[:, 1:-1, 2:]
        np.multiply(mean, np.float32(0.25), out=values, where=hidden)
    whole = np.clip(np.rint(values), 0, 255).astype(np.uint8).transpose(1, 2, 0)
    return np.ascontiguousarray(whole)


def _halved(level: Floats) -> Floats:
    height, width = level.shape[1:]
    even = np.pad(level, ((0, 0), (0, height % 2), (0, width % 2)))
    rows = even[:, ::2] + even[:, 1::2]
    sums: Floats = rows[:, :, ::2] + rows[:, :, 1::2]
    return sums
