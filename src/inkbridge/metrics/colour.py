"""Colour: CIELAB, how far apart the colours of two sets are, and a picture's palette."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

_LINEAR = np.where(
    np.arange(256) / 255 <= 0.04045,
    np.arange(256) / 255 / 12.92,
    ((np.arange(256) / 255 + 0.055) / 1.055) ** 2.4,
)
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = _TO_XYZ.sum(1)  # of D65: what RGB 255, 255, 255 is
_TRIPLES = 12


def to_lab(pixels: Pixels) -> Floats:
    """... x 3 uint8 sRGB -> ... x 3 CIELAB (D65, 2 degrees): L 0 to 100, a and b about -100 to 100."""
    xyz = _LINEAR[pixels] @ _TO_XYZ.T / _WHITE
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def colour_distance(pictures: Sequence[Pixels], reference: Sequence[Pixels], pixels: int = 20_000) -> float:
    """Sliced Wasserstein distance between the colours of two sets in CIELAB; 0 for the same colours.

    In CIELAB units, where 2 is just to be seen and 100 is from black to white; if one set is the other
    shifted by a vector, its length. Each picture of a set counts the same.
    """
    ours, theirs = _colours(pictures, pixels), _colours(reference, pixels)
    rng = np.random.default_rng(0)
    # Orthogonal triples of directions: the lengths moved along three of them make up a vector.
    axes = np.concatenate([np.linalg.qr(rng.standard_normal((3, 3)))[0] for _ in range(_TRIPLES)], axis=1)
    left, right = np.sort(ours @ axes, axis=0), np.sort(theirs @ axes, axis=0)
    moved = np.abs(left - right).mean(0).reshape(-1, 3)
    return float(np.linalg.norm(moved, axis=1).mean())


def palette(picture: Pixels, num: int = 6) -> list[tuple[tuple[int, int, int], float]]:
    """Up to `num` colours (RGB) that stand for the picture, with their shares of its area, largest first."""
    image = Image.fromarray(picture).convert("RGB")
    image.thumbnail((256, 256), Image.Resampling.BOX)
    quantized = image.quantize(num, Image.Quantize.MEDIANCUT, kmeans=4, dither=Image.Dither.NONE)
    colours = np.array(quantized.getpalette(), np.uint8).reshape(-1, 3)
    counts = np.bincount(np.asarray(quantized).ravel(), minlength=len(colours))
    order = np.argsort(-counts, kind="stable")
    found = []
    for i in order[:num]:
        if counts[i]:
            red, green, blue = (int(value) for value in colours[i])
            found.append(((red, green, blue), float(counts[i] / counts.sum())))
    return found


def _colours(pictures: Sequence[Pixels], num: int) -> Floats:
    rng = np.random.default_rng(1)
    shares = np.diff(np.linspace(0, num, len(pictures) + 1).round().astype(int))
    chosen = []
    for picture, each in zip(pictures, shares, strict=True):
        flat = picture.reshape(-1, 3)
        chosen.append(flat[rng.integers(0, len(flat), each)])
    return to_lab(np.concatenate(chosen))
