"""How much of a picture's content is still there: SSIM, MS-SSIM, PSNR, edges and structure.

Every measure takes two pictures of the same size, H x W x 3 or H x W uint8, and looks at luminance (Rec. 601)
in 0..255. FSIM has its own file, `fsim.py`. All raise ValueError when sizes differ or a picture is too small.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
WINDOW = 11
"""Side of the Gaussian window; its sigma is 1.5 (Wang et al. 2004, section III-C)."""
_GAUSS = np.exp(-0.5 * ((np.arange(WINDOW) - WINDOW // 2) / 1.5) ** 2)
_GAUSS /= _GAUSS.sum()
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the five scales of MS-SSIM, finest first (Wang et al. 2003, section 3.2)."""
_ROWS = 64


def luminance(picture: Pixels) -> Floats:
    """H x W x 3 or H x W uint8 -> H x W in 0..255."""
    if picture.ndim == 2:
        return picture.astype(np.float64)
    values: Floats = picture.astype(np.float64) @ _LUMA
    return values


def psnr(picture: Pixels, result: Pixels) -> float:
    """Peak signal-to-noise ratio over all channels in decibels; infinite for equal pictures."""
    check_sizes(picture, result, 1)
    error = float(np.square(picture.astype(np.float64) - result).mean())
    return math.inf if error == 0.0 else 10 * math.log10(255**2 / error)


def ssim(picture: Pixels, result: Pixels) -> float:
    """Structural similarity, 1 for equal pictures; Wang et al. 2004, Eq. 13.

    Gaussian window of 11 pixels and sigma 1.5, population covariance, mean over the places where the whole
    window is inside (as scikit-image with gaussian_weights, use_sample_covariance=False).
    """
    a, b = _luminances(picture, result, WINDOW)
    return float(np.mean(_similarity(a, b)[0]))


def ms_ssim(picture: Pixels, result: Pixels) -> float:
    """SSIM over five scales, 1 for equal pictures; Wang et al. 2003, Eq. 7.

    Scales are halved by 2 x 2 means; the short side must be at least 176 pixels. Negative means of contrast
    and structure, which have no real power, count as 0.
    """
    least = WINDOW * 2 ** (len(MS_WEIGHTS) - 1)
    a, b = _luminances(picture, result, least)
    value = 1.0
    for i, weight in enumerate(MS_WEIGHTS):
        if i:
            a, b = _halved(a), _halved(b)
        whole, contrast = _similarity(a, b)
        last = i == len(MS_WEIGHTS) - 1
        value *= max(float(np.mean(whole if last else contrast)), 0.0) ** weight
    return value


def structure_correlation(picture: Pixels, result: Pixels) -> float:
    """Mean of local correlation, from -1 to 1: the structure factor of SSIM (Wang et al. 2004, Eq. 10).

    Blind to brightness, contrast and palette, which a style is meant to change. Window as in `ssim`.
    """
    a, b = _luminances(picture, result, WINDOW)
    _, _, variance_a, variance_b, covariance = _moments(a, b)
    c3 = C2 / 2
    spread = np.sqrt(np.maximum(variance_a, 0.0) * np.maximum(variance_b, 0.0))
    return float(np.mean((covariance + c3) / (spread + c3)))


def edge_correlation(picture: Pixels, result: Pixels, short_side: int = 256) -> float:
    """Pearson correlation of the Sobel gradient magnitudes of both luminances; 1 = same edges.

    Both pictures are first resized to a common short side, antialiased. Returns 0 for a picture without any
    edge.
    """
    check_sizes(picture, result, 1)
    a, b = (_gradient(luminance(_resized(p, short_side))).ravel() for p in (picture, result))
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / norm if norm > 1e-9 else 0.0


def check_sizes(picture: Pixels, result: Pixels, least: int) -> None:
    """Raises ValueError for pictures of different sizes, or smaller than `least` pixels on a side."""
    if picture.shape != result.shape:
        raise ValueError(f"sizes differ: {picture.shape} and {result.shape}")
    if min(picture.shape[:2]) < least:
        raise ValueError(
            f"the picture is {picture.shape[1]} x {picture.shape[0]}; at least {least} x {least} is needed"
        )


def _luminances(picture: Pixels, result: Pixels, least: int) -> tuple[Floats, Floats]:
    check_sizes(picture, result, least)
    return luminance(picture), luminance(result)


def _similarity(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """SSIM at every place, and its contrast and structure factors alone."""
    mean_a, mean_b, variance_a, variance_b, covariance = _moments(a, b)
    contrast = (2 * covariance + C2) / (variance_a + variance_b + C2)
    light = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    return light * contrast, contrast


def _moments(a: Floats, b: Floats) -> tuple[Floats, ...]:
    """Local means, variances and covariance."""
    mean_a, mean_b = _smooth(a), _smooth(b)
    return (
        mean_a,
        mean_b,
        _smooth(a * a) - mean_a**2,
        _smooth(b * b) - mean_b**2,
        _smooth(a * b) - mean_a * mean_b,
    )


def _smooth(values: Floats) -> Floats:
    """The Gaussian window at every place where it is inside: H x W -> H - 10 x W - 10."""
    height, width = values.shape[0] - WINDOW + 1, values.shape[1] - WINDOW + 1
    out = np.empty((height, width))
    for top in range(0, height, _ROWS):  # bands that stay in the processor's cache
        band = values[top : top + _ROWS + WINDOW - 1]
        tall = _weighted(band, len(band) - WINDOW + 1)
        out[top : top + _ROWS] = _weighted(tall.T, width).T
    return out


def _weighted(band: Floats, num: int) -> Floats:
    middle = WINDOW // 2
    total: Floats = band[middle : middle + num] * _GAUSS[middle]
    for i in range(middle):  # the window is symmetric
        both = band[i : i + num] + band[WINDOW - 1 - i : WINDOW - 1 - i + num]
        both *= _GAUSS[i]
        total += both
    return total


def _halved(values: Floats) -> Floats:
    height, width = values.shape[0] // 2 * 2, values.shape[1] // 2 * 2
    even = values[:height, :width]
    halved: Floats = 0.25 * (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2])
    return halved


def _resized(picture: Pixels, short_side: int) -> Pixels:
    scale = short_side / min(picture.shape[:2])
    size = max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1)
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def _gradient(values: Floats) -> Floats:
    p = np.pad(values, 1, mode="edge")
    smooth_x = p[:, :-2] + 2 * p[:, 1:-1] + p[:, 2:]
    smooth_y = p[:-2] + 2 * p[1:-1] + p[2:]
    dy = smooth_x[2:] - smooth_x[:-2]
    dx = smooth_y[:, 2:] - smooth_y[:, :-2]
    return np.hypot(dx, dy)
