"""Colours put right as the tone network of a repair pack answered, at any size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from inkbridge.engine import THUMBNAIL
from inkbridge.images import RGB

ROWS = 256
"""Pictures are worked on in bands of this many rows, so that a large one needs no large float copy."""

BLACK, WHITE = 12.0, 243.0
"""Luma that the darkest and lightest half percent of a picture of good contrast reaches."""
MOST = 10.0
"""Luma by which contrast moves them."""

Floats = npt.NDArray[np.float32]


def thumbnail(rgb: RGB) -> RGB:
    """A picture, H x W x 3, as the network looks at it: 64 x 64, each pixel the mean of those below it."""
    return np.asarray(Image.fromarray(rgb).resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX))


def toned(rgb: RGB, light: Floats, tone: Floats) -> RGB:
    """H x W x 3 with other colours: each place's light, then a 3 x 4 matrix, then a curve for each channel.

    `light` is 1 x 3 x h x w, logarithms of what a place is multiplied by; `tone` 1 x (12 + 3 k + 1): a matrix
    beside the identity, by rows, k knots of what each curve adds, from black to white, and whether anything
    was amiss (unused here).
    """
    height, width = rgb.shape[:2]
    matrix = tone[0, :12].reshape(3, 4)
    curves = tone[0, 12:-1].reshape(3, -1)
    knots = np.linspace(0, 1, curves.shape[1], dtype=np.float32)
    maps = [Image.fromarray(channel) for channel in light[0]]
    rows = light.shape[2] / height
    out = np.empty_like(rgb)
    for top in range(0, height, ROWS):
        bottom = min(top + ROWS, height)
        box = (0.0, top * rows, float(light.shape[3]), bottom * rows)
        size = width, bottom - top
        gain = np.stack([np.asarray(m.resize(size, Image.Resampling.BILINEAR, box=box)) for m in maps], -1)
        values = rgb[top:bottom].astype(np.float32) / np.float32(255) * np.exp(gain)
        values = values + values @ matrix[:, :3].T + matrix[:, 3]
        for channel, curve in enumerate(curves):
            bent = np.interp(values[..., channel], knots, curve)
            values[..., channel] += bent.astype(np.float32)
        out[top:bottom] = np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)
    return out


def with_contrast(rgb: RGB) -> RGB:
    """Darkest and lightest places moved towards black and white, by MOST at most; where they are there, the
    very same array comes back."""
    luma = np.asarray(Image.fromarray(rgb).convert("L"))
    low, high = np.percentile(luma, (0.5, 99.5))
    down, up = min(max(low - BLACK, 0.0), MOST), min(max(WHITE - high, 0.0), MOST)
    if down + up < 1 or high - low < 2 * MOST:
        return rgb
    levels = (np.arange(256) - low) * ((high - low + down + up) / (high - low)) + low - down
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    better: RGB = table[rgb]
    return better


def amiss(tone: Floats) -> float:
    """How surely colours were amiss, 0 to 1."""
    return float(1 / (1 + np.exp(-tone[0, -1])))
