"""How far apart two picture cultures are, axis by axis.

Every picture gets a short vector of traits for each axis; two sets are compared by the energy coefficient

    H = (2 E|X - Y| - E|X - X'| - E|Y - Y'|) / (2 E|X - Y|)

(Szekely and Rizzo 2013, "Energy statistics", section 3), which is 0 for two halves of one set and 1 for two
sets that are constant and differ. X and X' are always different pictures, so that few pictures do not make a
distance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inkbridge.metrics.distribution import laplacian_levels
from inkbridge.metrics.line import Line
from inkbridge.metrics.similarity import luminance

RGB = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Traits = Mapping[str, Floats]

AXES = {
    "palette": "hues and how strong they are",
    "tone": "from dark to light",
    "line": "how much of the picture is dark stroke, and its width",
    "texture": "contrast at each of four scales",
    "empty space": "how much is left unpainted",
    "geometry": "which way edges run, and how light is spread from top to bottom",
}
"""What is compared, each counting the same."""
_ORIENTATIONS, _BANDS = 8, 6


@dataclass(frozen=True)
class AxisDistance:
    """How far apart two sets are on one axis."""

    axis: str
    distance: float
    """0 for the same culture, 1 at most."""
    first: int
    second: int
    """The pictures of either side that show it best, by their places."""


@dataclass(frozen=True)
class CulturalDistance:
    """How far apart two sets of pictures are."""

    total: float
    """Mean over the axes: 0 for two halves of one set, 1 at most."""
    axes: list[AxisDistance]


def cultural_distance(ours: Sequence[Traits], theirs: Sequence[Traits]) -> CulturalDistance:
    """Compare two sets of pictures by their traits. Raises ValueError for fewer than 2 pictures on a side."""
    if min(len(ours), len(theirs)) < 2:
        raise ValueError("each side needs at least 2 pictures")
    axes = []
    for axis in AXES:
        a, b = (np.stack([traits[axis] for traits in side]) for side in (ours, theirs))
        axes.append(AxisDistance(axis, *_compare(a, b)))
    return CulturalDistance(float(np.mean([found.distance for found in axes])), axes)


def _compare(a: Floats, b: Floats) -> tuple[float, int, int]:
    """The energy coefficient, and the picture of each side that is least like the other side."""
    # Each number of a trait in units of its spread, that of both sides weighing the same.
    spread = np.sqrt((a.var(0) + b.var(0)) / 2 + (a.mean(0) - b.mean(0)) ** 2 / 4)
    a, b = (x / np.maximum(spread, 1e-9) for x in (a, b))
    across = _distances(a, b)
    within_a, within_b = _distances(a, a), _distances(b, b)
    n, m = len(a), len(b)
    mean_a, mean_b = within_a.sum() / (n * (n - 1)), within_b.sum() / (m * (m - 1))
    between = 2 * across.mean()
    coefficient = (between - mean_a - mean_b) / between if between > 1e-12 else 0.0
    # Far from the other side, but not far from its own.
    first = int((across.mean(1) - within_a.sum(1) / (n - 1)).argmax())
    second = int((across.mean(0) - within_b.sum(1) / (m - 1)).argmax())
    return float(np.clip(coefficient, 0.0, 1.0)), first, second


def _distances(a: Floats, b: Floats) -> Floats:
    found: Floats = np.sqrt(np.square(a[:, None] - b[None]).sum(-1))
    return found


def traits(picture: RGB, lab: Floats, line: Line) -> dict[str, Floats]:
    """The traits of an H x W x 3 uint8 picture, of which CIELAB (pixels x 3) and `Line` are known."""
    shares = (5, 25, 50, 75, 95)
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    hues = [np.percentile(lab[:, i], shares) for i in (1, 2)]
    levels = laplacian_levels(picture)[:-1]
    contrast = [np.log(np.percentile(np.abs(level), (50, 80, 95)) + 0.004) for level in levels]
    return {
        "palette": np.concatenate([*hues, np.percentile(chroma, shares)]),
        "tone": np.percentile(lab[:, 0], shares),
        "line": np.array([np.sqrt(line.line_density), line.stroke_width]),
        "texture": np.concatenate(contrast),
        "empty space": np.array([np.sqrt(line.void)]),
        "geometry": _geometry(picture),
    }


def _geometry(picture: RGB) -> Floats:
    gray = luminance(picture)
    coarse = laplacian_levels(picture)[2].mean(-1)
    dy, dx = np.gradient(coarse)
    strength = np.hypot(dx, dy)
    direction = np.mod(np.arctan2(dy, dx), np.pi) / np.pi * _ORIENTATIONS
    # Mirroring a picture does not change its culture: what leans left and right counts together.
    histogram = np.bincount(
        direction.astype(int).ravel() % _ORIENTATIONS, strength.ravel(), minlength=_ORIENTATIONS
    )
    histogram = histogram + histogram[(-np.arange(_ORIENTATIONS) - 1) % _ORIENTATIONS]
    bands = np.array([band.mean() for band in np.array_split(gray, _BANDS)])
    return np.concatenate(
        [histogram[: _ORIENTATIONS // 2] / max(histogram.sum(), 1e-9), (bands - bands.mean()) / 128]
    )
