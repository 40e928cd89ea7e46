"""Line and empty space: what tells a drawing or a scroll from a photograph.

Measured on luminance at a short side of 256 pixels, so that pictures of any size compare.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]

SHORT_SIDE = 256
_WIDTHS = (1, 3, 5, 7, 11, 15)
"""Widths up to which dark strokes are filled, in pixels (odd: a filter's side less one step)."""
_INK = 24
"""A stroke is darker than its ground by at least this much, of 255."""
_CALM = 10
"""Where luminance varies less than this within 1/16 of the short side, nothing is painted."""


@dataclass(frozen=True)
class Line:
    """How a picture is drawn."""

    void: float
    """Share of the picture where nothing happens, 0 to 1."""
    line_density: float
    """Share of the picture that is dark stroke on lighter ground, 0 to 1."""
    stroke_width: float
    """Mean width of those strokes in pixels at a short side of 256; 0 without any."""


def measure_line(picture: Pixels) -> Line:
    """Void, line density and stroke width of an H x W x 3 or H x W uint8 picture.

    Strokes are what a morphological closing fills: the difference between closings of growing width is a
    histogram of stroke widths (granulometry, Matheron 1975).
    """
    image = Image.fromarray(picture).convert("L")
    scale = SHORT_SIDE / min(image.size)
    # A panorama is not enlarged without end along its long side; a tiny picture may be.
    size = (
        min(max(round(image.width * scale), 16), 8 * SHORT_SIDE),
        min(max(round(image.height * scale), 16), 8 * SHORT_SIDE),
    )
    image = image.resize(size, Image.Resampling.LANCZOS)
    picture = np.asarray(image)
    window = SHORT_SIDE // 16 + 1
    swing = _dilated(picture, window).astype(int) + _dilated(255 - picture, window) - 255
    filled = [picture.astype(int)]
    for width in _WIDTHS[1:]:
        closed = 255 - _dilated(255 - _dilated(picture, width), width)
        filled.append(closed.astype(int))
    void = float((swing < _CALM).mean())
    ink = filled[-1] - filled[0] >= _INK
    if not ink.any():
        return Line(void, 0.0, 0.0)
    # What a closing of this width fills and the narrower one did not is about as wide as between the two.
    shares = np.array([np.maximum(b - a, 0)[ink].sum() for a, b in pairwise(filled)])
    between = np.array([(a + b) / 2 for a, b in pairwise(_WIDTHS)]) - 0.5
    return Line(void, float(ink.mean()), float((shares @ between) / shares.sum()))


def _dilated(picture: Pixels, width: int) -> Pixels:
    """The maximum over a square of odd `width`, the border repeated; by doubling, so wide ones are cheap."""
    half = width // 2
    values = np.pad(picture, half, mode="edge")
    for axis in (0, 1):
        reach = 1
        while reach < width:
            step = min(reach, width - reach)
            kept = values.shape[axis] - step
            values = np.maximum(values.take(range(kept), axis), values.take(range(step, step + kept), axis))
            reach += step
    return values
