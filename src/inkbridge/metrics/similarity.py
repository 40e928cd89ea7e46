"""How much of a picture's content is still there."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

RGB = npt.NDArray[np.uint8]
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def edge_correlation(picture: RGB, result: RGB, short_side: int = 256) -> float:
    """Pearson correlation of the Sobel gradient magnitudes of both luminances; 1 = same edges.

    Both pictures (H x W x 3 uint8, same size) are first resized to a common short side, antialiased.
    Returns 0 for a picture without any edge. Raises ValueError for different sizes.
    """
    if picture.shape != result.shape:
        raise ValueError(f"sizes differ: {picture.shape} and {result.shape}")
    a, b = (_gradient(_luminance(p, short_side)).ravel() for p in (picture, result))
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 1e-9 else 0.0


def _luminance(picture: RGB, short_side: int) -> npt.NDArray[np.float64]:
    scale = short_side / min(picture.shape[:2])
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    image = Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)
    luminance: npt.NDArray[np.float64] = np.asarray(image, dtype=np.float64) @ _LUMA
    return luminance


def _gradient(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    p = np.pad(values, 1, mode="edge")
    smooth_x = p[:, :-2] + 2 * p[:, 1:-1] + p[:, 2:]
    smooth_y = p[:-2] + 2 * p[1:-1] + p[2:]
    dy = smooth_x[2:] - smooth_x[:-2]
    dx = smooth_y[:, 2:] - smooth_y[:, :-2]
    return np.hypot(dx, dy)
