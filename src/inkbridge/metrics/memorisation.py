"""Has a generator learned a style, or a picture by heart?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from inkbridge.metrics.similarity import luminance

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

_SIDE = 32


@dataclass(frozen=True)
class Nearest:
    """The training picture that a result is most like in layout."""

    index: int
    correlation: float
    """Of luminance at 32 x 32 pixels, mirrored or not, -1 to 1."""


class Layouts:
    """The layouts of training pictures: luminance at 32 x 32, whatever the size.

    Pictures are H x W x 3 or H x W uint8.
    """

    def __init__(self, training: Sequence[Pixels]) -> None:
        self._layouts = np.stack([_layout(picture) for picture in training])
        self._mirrored = np.stack([_layout(picture[:, ::-1]) for picture in training])

    def nearest(self, result: Pixels) -> Nearest:
        """The training picture with the layout most like that of `result`.

        A result that correlates above 0.9 with a training picture, and less with its own content, repeats it.
        """
        ours = _layout(result)
        correlations = np.maximum(self._layouts @ ours, self._mirrored @ ours)
        best = int(correlations.argmax())
        return Nearest(best, float(correlations[best]))


def _layout(picture: Pixels) -> Floats:
    """Zero mean and unit length, so that a product of two is their correlation; zeros if constant."""
    image = Image.fromarray(np.ascontiguousarray(picture)).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    values = luminance(np.asarray(image)).ravel()
    values = values - values.mean()
    length = float(np.linalg.norm(values))
    unit: Floats = values / length if length > 1e-6 else np.zeros_like(values)
    return unit
