"""How far apart are two sets of pictures: sliced Wasserstein distance over Laplacian pyramid levels.

Karras et al. 2018, "Progressive growing of GANs", section 5: local 7 x 7 patches of each level of a
Laplacian pyramid, compared by random projections, in which the Wasserstein distance is the mean difference
of sorted values. We depart from it in one point: patches are not normalised to zero mean and unit
variance per set, because palette and contrast belong to a style; instead each level's distance is given
in units of the reference set's spread on that level.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

RGB = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

PATCH = 7
NUM_LEVELS = 5
_BINOMIAL = np.array([1, 4, 6, 4, 1], dtype=np.float64) / 16


def laplacian_levels(picture: RGB, short_side: int = 256, num_levels: int = NUM_LEVELS) -> list[Floats]:
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


class PatchSample:
    """Random patches of each Laplacian level of a set of pictures, which are added one by one and not kept.

    `patches` of each level in all, equally many from each of `num_pictures`.
    """

    def __init__(
        self,
        num_pictures: int,
        *,
        short_side: int = 256,
        num_levels: int = NUM_LEVELS,
        patches: int = 20_000,
        seed: int = 0,
    ) -> None:
        self.short_side, self.num_levels = short_side, num_levels
        self._shares = iter(np.diff(np.linspace(0, patches, num_pictures + 1).round().astype(int)))
        self._rng = np.random.default_rng(seed)
        self._found: list[list[npt.NDArray[np.float32]]] = [[] for _ in range(num_levels)]

    def add(self, picture: RGB) -> None:
        """Take patches of an H x W x 3 uint8 picture."""
        self.add_levels(laplacian_levels(picture, self.short_side, self.num_levels))

    def add_levels(self, levels: Sequence[Floats]) -> None:
        """The same for a picture's `laplacian_levels`, of the same short side and number."""
        each = int(next(self._shares))
        for found, values in zip(self._found, levels, strict=True):
            windows = np.lib.stride_tricks.sliding_window_view(values, (PATCH, PATCH), axis=(0, 1))
            rows = self._rng.integers(0, windows.shape[0], each)
            columns = self._rng.integers(0, windows.shape[1], each)
            found.append(windows[rows, columns].reshape(each, -1).astype(np.float32))

    def without(self, index: int) -> PatchSample:
        """The sample as it would be without the picture that was added at `index`."""
        rest = copy.copy(self)
        rest._found = [found[:index] + found[index + 1 :] for found in self._found]
        return rest

    def levels(self) -> list[npt.NDArray[np.float32]]:
        """The patches of each level, finest first: num x 147. Raises ValueError when no picture was added."""
        if not self._found[0]:
            raise ValueError("the set is empty")
        return [np.concatenate(level) for level in self._found]


class StyleDistance:
    """Distance from one reference set, which is looked at once, however often it is asked for.

    Sets are looked at through `PatchSample`s. Raises ValueError for an empty set.
    """

    def __init__(
        self,
        reference: Sequence[RGB],
        *,
        short_side: int = 256,
        num_levels: int = NUM_LEVELS,
        patches: int = 20_000,
        directions: int = 128,
        seed: int = 0,
    ) -> None:
        self._sampling = {"short_side": short_side, "num_levels": num_levels, "patches": patches}
        self._seed = seed
        rng = np.random.default_rng([seed, 2])
        self._axes: list[npt.NDArray[np.float32]] = []
        self._sorted: list[npt.NDArray[np.float32]] = []
        sample = PatchSample(len(reference), **self._sampling, seed=seed)
        for picture in reference:
            sample.add(picture)
        for patch_values in sample.levels():
            axes = rng.standard_normal((patch_values.shape[1], directions))
            axes /= np.linalg.norm(axes, axis=0)
            self._axes.append(axes.astype(np.float32))
            self._sorted.append(np.sort(self._axes[-1].T @ patch_values.T, axis=1))

    def sample(self, num_pictures: int) -> PatchSample:
        """An empty sample for a set of `num_pictures`, to be filled and given to `of_sample`."""
        return PatchSample(num_pictures, **self._sampling, seed=self._seed + 1)

    def of(self, pictures: Sequence[RGB]) -> list[float]:
        """The distance of `pictures` for each level, finest first.

        0 is equal; 1 means that projections are one standard deviation of the reference apart on average.
        """
        sample = self.sample(len(pictures))
        for picture in pictures:
            sample.add(picture)
        return self.of_sample(sample)

    def of_sample(self, sample: PatchSample) -> list[float]:
        """The same for a sample that `sample` gave, after all its pictures were added."""
        distances = []
        for patch_values, axes, all_of_theirs in zip(sample.levels(), self._axes, self._sorted, strict=True):
            ours = np.sort(axes.T @ patch_values.T, axis=1)
            # Fewer pictures may have been added than announced: then ranks are matched by their share.
            ranks = (np.arange(ours.shape[1]) + 0.5) * all_of_theirs.shape[1] / ours.shape[1]
            theirs = all_of_theirs[:, ranks.astype(int)]
            spread = np.maximum(theirs.std(1), 1e-6)
            distances.append(float((np.abs(ours - theirs).mean(1) / spread).mean()))
        return distances


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
