"""What people do to a line before they have it read, without any learning: the baseline to beat."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from inkbridge.images import RGB
from inkbridge.uses.text_recognition.page import flat, ink_threshold

MOST_TURNED = 4.0
"""Degrees within which a line is turned upright."""


def binarised(rgb: RGB) -> RGB:
    """Black ink on white paper, by Otsu's threshold after the paper was made even."""
    grey = flat(rgb)
    threshold = ink_threshold(grey)
    dark = grey < (threshold if threshold is not None else 0.0)
    return np.repeat(np.where(dark, 0, 255).astype(np.uint8)[..., None], 3, 2)


def dilated(rgb: RGB) -> RGB:
    """Binarised, strokes a pixel wider on each side."""
    return _filtered(binarised(rgb), ImageFilter.MinFilter(3))


def eroded(rgb: RGB) -> RGB:
    """Binarised, strokes a pixel narrower on each side."""
    return _filtered(binarised(rgb), ImageFilter.MaxFilter(3))


def deskewed(rgb: RGB) -> RGB:
    """Binarised and turned by the angle at which its rows of ink are parted best."""
    image = Image.fromarray(binarised(rgb))

    def turned(degrees: float) -> Image.Image:
        return image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=(255, 255, 255))

    def parted(degrees: float) -> float:
        return float((255.0 - np.asarray(turned(degrees).convert("L"), np.float32)).sum(1).var())

    return np.asarray(turned(max(np.linspace(-MOST_TURNED, MOST_TURNED, 17).tolist(), key=parted)))


METHODS: dict[str, Callable[[RGB], RGB]] = {
    "binarise": binarised,
    "dilate": dilated,
    "erode": eroded,
    "deskew": deskewed,
}


def _filtered(rgb: RGB, by: ImageFilter.Filter) -> RGB:
    return np.asarray(Image.fromarray(rgb).filter(by))
