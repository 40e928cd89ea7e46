"""How far apart are two sets of pictures: sliced Wasserstein distance over Laplacian pyramid levels.

Karras et al. 2018, "Progressive growing of GANs", section 5: local 7 x 7 patches of each level of a
Laplacian pyramid, compared by random projections, in which the Wasserstein distance is the mean difference
of sorted values. We depart from it in one point: patches are not normalised to zero mean and unit
variance per set, because palette and contrast belong to a style; instead each level's distance is given
in units of the reference set's spread on that level.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

RGB = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

PATCH = 7
_BINOMIAL = np.array([1, 4, 6, 4, 1], dtype=np.float64) / 16


def laplacian_levels(picture: RGB, short_side: int = 256, num_levels: int = 5) -> list[Floats]:
    """H x W x 3 uint8 -> band-pass pictures in [-1, 1] units, finest first, last the low-pass rest.

    The picture is first resized (antialiased) so that its short side is `short_side`.
    """
    scale = short_side / min(picture.shape[:2])
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    if size != (picture.shape[1], picture.shape[0]):
        image = Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)
        picture = np.asarray(image)
    current = picture.astype(np.float64) / 127.5 - 1.0
    levels = []
    for _ in range(num_levels - 1):
        low = _blur(current)[::2, ::2]
        levels.append(current - _enlarge(low, current.shape[:2]))
        current = low
    return [*levels, current]


class StyleDistance:
    """Distance from one reference set, which is looked at once, however often it is asked for.

    Each set contributes `patches` patches a level, equally many from each picture.
    """

    def __init__(
        self,
        reference: Sequence[RGB],
        *,
        short_side: int = 256,
        num_levels: int = 5,
        patches: int = 20_000,
        directions: int = 128,
        seed: int = 0,
    ) -> None:
        self._sampling = (short_side, num_levels, patches)
        self._seed = seed
        rng = np.random.default_rng([seed, 0])
        self._axes: list[Floats] = []
        self._sorted: list[Floats] = []
        for patch_values in _descriptors(reference, *self._sampling, rng):
            axes = rng.standard_normal((patch_values.shape[1], directions))
            axes /= np.linalg.norm(axes, axis=0)
            self._axes.append(axes)
            self._sorted.append(np.sort(patch_values @ axes, axis=0))

    def of(self, pictures: Sequence[RGB]) -> list[float]:
        """The distance of `pictures` for each level, finest first.

        0 is equal; 1 means that projections are one standard deviation of the reference apart on average.
        """
        rng = np.random.default_rng([self._seed, 1])
        found = _descriptors(pictures, *self._sampling, rng)
        distances = []
        for patch_values, axes, theirs in zip(found, self._axes, self._sorted, strict=True):
            ours = np.sort(patch_values @ axes, axis=0)
            distances.append(float((np.abs(ours - theirs).mean(0) / theirs.std(0)).mean()))
        return distances


def _descriptors(
    pictures: Sequence[RGB],
    short_side: int,
    num_levels: int,
    patches: int,
    rng: np.random.Generator,
) -> list[Floats]:
    found: list[list[Floats]] = [[] for _ in range(num_levels)]
    # Exactly `patches` in all, so that two sets can be compared rank by rank.
    shares = np.diff(np.linspace(0, patches, len(pictures) + 1).round().astype(int))
    for picture, each in zip(pictures, shares, strict=True):
        for level, values in enumerate(laplacian_levels(picture, short_side, num_levels)):
            windows = np.lib.stride_tricks.sliding_window_view(values, (PATCH, PATCH), axis=(0, 1))
            rows = rng.integers(0, windows.shape[0], each)
            columns = rng.integers(0, windows.shape[1], each)
            found[level].append(windows[rows, columns].reshape(each, -1))
    return [np.concatenate(level) for level in found]


def _blur(values: Floats) -> Floats:
    for axis in (0, 1):
        pad = [(2, 2) if i == axis else (0, 0) for i in range(3)]
        padded = np.pad(values, pad, mode="reflect")
        size = values.shape[axis]
        values = sum(
            weight * np.take(padded, range(i, i + size), axis=axis) for i, weight in enumerate(_BINOMIAL)
        )
    return values


def _enlarge(low: Floats, shape: tuple[int, int]) -> Floats:
    spread = np.zeros((shape[0], shape[1], 3))
    spread[::2, ::2] = low
    return 4.0 * _blur(spread)
