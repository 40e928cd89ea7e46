"""What is wrong with results, seen from the pictures alone: each sign is one small function with its limit.

Pictures are squares of equal size, H x W x 3 uint8: contents, what the averaged generator makes of them, and
style pictures. A sign must not be raised by a sound run of any style, so limits are far from what those have.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from inkbridge.images import RGB

Floats = npt.NDArray[np.float64]

SMALL = 32
"""Side at which layouts are compared."""
PERIODS = (2, 4, 8)
"""Pixels after which what strides and pixel shuffles leave behind repeats itself."""


class Eye:
    """Looks at results of the same contents in one style, again and again; at what is usual, once."""

    def __init__(self, contents: Sequence[RGB], styles: Sequence[RGB]) -> None:
        self._contents, self._styles = contents, styles
        self._varieties = variety(contents), variety(styles)
        self._mesh, self._spots = lattice(styles), max(spots(contents), spots(styles))

    def seen(self, results: Sequence[RGB]) -> dict[str, float]:
        """What is wrong, by the names of `inkbridge.train.health.SIGNS`, with values."""
        contents, styles = self._contents, self._styles
        mine, ours = difference(contents, results), agreement(contents, results)
        varied = variety(results)
        alike = varied / max(self._varieties[0], 1e-6)
        off, mesh, speckle = cast(results, styles), lattice(results), spots(results)
        repeated = by_heart(contents, results, styles)
        checks = {
            "copies": (mine, mine < 5),
            "inverted": (ours, ours < -0.2),
            # Results of a style whose pictures are all alike may be alike too.
            "collapse": (alike, alike < 0.15 and varied < self._varieties[1] / 2),
            "cast": (off, off > 4),
            "mesh": (mesh, mesh > max(0.1, 3 * self._mesh)),
            "spots": (speckle, speckle > 0.02 + 3 * self._spots),
            "by-heart": (repeated, repeated > 0.25),
        }
        return {name: value for name, (value, is_seen) in checks.items() if is_seen}


def difference(contents: Sequence[RGB], results: Sequence[RGB]) -> float:
    """Mean difference of result and content, of 255."""
    pairs = zip(contents, results, strict=True)
    return float(np.mean([np.abs(a.astype(float) - b).mean() for a, b in pairs]))


def agreement(contents: Sequence[RGB], results: Sequence[RGB]) -> float:
    """Mean correlation of light and dark of result and content, -1 to 1."""
    return float(
        np.mean([_correlation(_small(a), _small(b)) for a, b in zip(contents, results, strict=True)])
    )


def variety(pictures: Sequence[RGB]) -> float:
    """How far pictures are from their mean, of 255."""
    small = np.stack([_small(picture) for picture in pictures])
    return float(np.sqrt(np.square(small - small.mean(0)).mean()))


def cast(results: Sequence[RGB], styles: Sequence[RGB]) -> float:
    """Mean colour of results outside what style pictures' mean colours span, in their standard deviations."""
    ours, theirs = (np.stack([picture.mean((0, 1)) for picture in side]) for side in (results, styles))
    spread = np.maximum(theirs.std(0), 10.0)
    return float((np.abs(ours.mean(0) - theirs.mean(0)) / spread).max())


def lattice(pictures: Sequence[RGB]) -> float:
    """How much of the finest detail repeats itself every 2, 4 or 8 pixels, 0 to 1.

    The mean of a high-pass over all places of one phase is 0 where there is no lattice.
    """
    shares = []
    for picture in pictures:
        gray = picture.mean(2)
        fine = gray[1:-1, 1:-1] - (gray[:-2, 1:-1] + gray[2:, 1:-1] + gray[1:-1, :-2] + gray[1:-1, 2:]) / 4
        side = min(fine.shape) // max(PERIODS) * max(PERIODS)
        fine = fine[:side, :side]
        whole = np.square(fine).mean() + 1.0  # a flat picture has no detail, and noise of half a level
        for period in PERIODS:
            phases = fine.reshape(side // period, period, side // period, period).mean((0, 2))
            shares.append(np.square(phases).mean() / whole)
    return float(np.max(np.reshape(shares, (len(pictures), -1)).mean(0)))


def spots(pictures: Sequence[RGB]) -> float:
    """Share of pixels that stand out by 64 of 255 levels from the median of the 5 x 5 around them."""
    found = []
    for picture in pictures:
        gray = Image.fromarray(picture).convert("L")
        smooth = np.asarray(gray.filter(ImageFilter.MedianFilter(5)), dtype=int)
        found.append((np.abs(np.asarray(gray) - smooth) > 64).mean())
    return float(np.mean(found))


def by_heart(contents: Sequence[RGB], results: Sequence[RGB], styles: Sequence[RGB]) -> float:
    """Share of results whose layout is a style picture's (correlation above 0.9) more than the content's."""
    layouts = [_small(picture[:, ::step]) for picture in styles for step in (1, -1)]
    repeats = []
    for content, result in zip(contents, results, strict=True):
        ours = _small(result)
        nearest = max(_correlation(ours, layout) for layout in layouts)
        repeats.append(nearest > 0.9 and nearest > _correlation(ours, _small(content)))
    return float(np.mean(repeats))


def _small(picture: RGB) -> Floats:
    image = Image.fromarray(picture).convert("L").resize((SMALL, SMALL), Image.Resampling.BOX)
    return np.asarray(image, dtype=np.float64)


def _correlation(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    length = float(np.sqrt(np.square(a).sum() * np.square(b).sum()))
    return float((a * b).sum()) / length if length > 1e-6 else 0.0
