"""What the eye sees of a picture: strokes, the picture as a whole, and what is where.

Statistics of a trained network's feature maps tell textures and styles apart as people do, pixels do not
(Gatys et al. 2016, section 2.2; Johnson et al. 2016, section 3.2). Of each depth we take the means and
spreads of its channels (Huang and Belongie 2017, section 5), which need no memory and few pictures. Early and
middle depths are "strokes" (line, hatching, grain, washes), the deepest are "picture" (how things are drawn
and put together).

Two sets are compared by the kernel of `features.kid`, (x y / D + 1)^3: closeness is the cosine of the angle
between their means in the kernel's space (Jenssen et al. 2006, "The Cauchy-Schwarz divergence and Parzen
windowing"), its parts estimated without bias, so that it is about 1 for two halves of a set, however few
pictures there are. Unlike the distance of KID it is bounded: results that are all alike, or overdone, are far
from a style, but not without end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inkbridge.eye import BUNDLED, Eye, resized
from inkbridge.metrics.features import kernel, mean_of_pairs

RGB = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

SIDE = 256
"""Short side at which pictures are looked at: strokes are compared at a common size."""
LONGEST = 2
"""Of longer pictures the middle part, so many times as long as it is short, is looked at."""
GRID = 8
"""Places, in each direction, at which it is compared what is where."""
LEAST_SPREAD = 0.5
"""Channels that hardly ever answer count as if they had this share of their depth's spread."""
LEAST_DISTANCE = 0.1
"""Sets nearer than this can hardly be told apart by some pictures."""
LEVELS = ("strokes", "picture")


@dataclass(frozen=True)
class Seen:
    """One picture, as the eye sees it."""

    traits: list[npt.NDArray[np.float32]]
    """For each depth, finest first, the means and then the spreads of its channels."""
    scene: npt.NDArray[np.float16]
    """The first of the deepest depths on a grid: channels x 8 x 8."""


class Sight:
    """Looks at pictures (H x W x 3 uint8) through one eye."""

    def __init__(self, which: str = BUNDLED, threads: int = 0) -> None:
        """`which` and `threads` as for `inkbridge.eye.Eye`, which may raise ConfigError."""
        self._eye = Eye(which, threads)
        self.name = self._eye.name
        """Of the eye, with a hash: figures of different eyes cannot be compared."""
        self._known: dict[bytes, Seen] = {}

    def see(self, picture: RGB) -> Seen:
        """Look at one picture."""
        maps = self._eye.maps_of(_middle(resized(_middle(picture), SIDE)))
        flat = [found.reshape(len(found), -1) for found in maps]
        traits = [np.concatenate([found.mean(1), found.std(1)]) for found in flat]
        return Seen(traits, _on_grid(maps[deepest(len(maps))[0]]).astype(np.float16))

    def see_again(self, picture: RGB) -> Seen:
        """The same, remembered: for the contents, which are looked at for every style."""
        key = hashlib.sha256(repr(picture.shape).encode() + picture.tobytes()).digest()
        if key not in self._known:
            self._known[key] = self.see(picture)
        return self._known[key]


def shallow(depths: int) -> range:
    """Of so many depths those that see strokes: of the bundled eye's nine conv1 and fire2 to fire5."""
    return range(-(-depths // 2))


def deepest(depths: int) -> range:
    """Those that see the picture as a whole: of the bundled eye's nine fire8 and fire9."""
    return range(depths - max(depths // 4, 1), depths)


class Standard:
    """Traits in units of their spread over contents and style pictures, both sides weighing the same."""

    def __init__(self, contents: Sequence[Seen], styles: Sequence[Seen]) -> None:
        self._middles, self._spreads = [], []
        for depth in range(len(styles[0].traits)):
            a, b = (
                np.stack([seen.traits[depth] for seen in side]).astype(np.float64)
                for side in (contents, styles)
            )
            ours, theirs = a.mean(0), b.mean(0)
            spread = np.sqrt((a.var(0) + b.var(0)) / 2 + np.square(ours - theirs) / 4)
            least = LEAST_SPREAD * np.sqrt(np.square(spread).mean())
            self._middles.append((ours + theirs) / 2)
            self._spreads.append(np.maximum(spread, max(float(least), 1e-9)))
        depths = len(self._middles)
        self._depths = {"strokes": shallow(depths), "picture": deepest(depths), "all": range(depths)}

    def vectors(self, seen: Sequence[Seen], level: str) -> Floats:
        """N x D for a level of `LEVELS` or "all" depths: each picture's traits as a vector of length sqrt(D).

        Each depth is brought to unit length, so that all weigh alike and no odd channel can decide.
        """
        found = []
        for depth in self._depths[level]:
            rows = np.stack([one.traits[depth] for one in seen]).astype(np.float64)
            rows = (rows - self._middles[depth]) / self._spreads[depth]
            found.append(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9))
        joined = np.concatenate(found, axis=1)
        vectors: Floats = joined * np.sqrt(joined.shape[1] / len(found))
        return vectors


class StyleSight:
    """How far sets of results are from a style, and what share of the way from the contents they have gone.

    `contents` are what is painted; `styles` pictures of the style, three at least to be relied on. A single
    picture has no pairs: its kernel with itself stands for them, so that less of the way seems covered.
    """

    def __init__(self, contents: Sequence[Seen], styles: Sequence[Seen]) -> None:
        self.standard = Standard(contents, styles)
        self._contents, self._styles = contents, styles
        self._before = {level: self._kernels(contents, level) for level in LEVELS}
        self.before = {level: _apart(*kernels) for level, kernels in self._before.items()}
        """The distance of the contents from the style at each of `LEVELS`, as by `distances`."""

    def distances(self, results: Sequence[Seen]) -> dict[str, float]:
        """The same of results."""
        return distances(self.standard, results, self._styles)

    def covered(self, results: Sequence[Seen]) -> list[dict[str, float]]:
        """Shares of the way at each of `LEVELS` of all results, then, if there are several, of all but the
        first, all but the second ...: from the contents (0) to the style (1), below 0 for what leads away.
        """
        after = {level: self._kernels(results, level) for level in LEVELS}
        count = len(results)
        kept = [np.arange(count)]
        if count > 1:
            kept += [np.delete(kept[0], i) for i in range(count)]
        found = []
        for chosen in kept:
            # Contents and results are of the same pictures, so both lose one.
            of_contents = chosen if len(self._contents) == count else np.arange(len(self._contents))
            shares = {}
            for level in LEVELS:
                before = _apart(*_without(self._before[level], of_contents))
                gone = before - _apart(*_without(after[level], chosen))
                shares[level] = gone / max(before, LEAST_DISTANCE)
            found.append(shares)
        return found

    def _kernels(self, seen: Sequence[Seen], level: str) -> tuple[Floats, Floats, Floats]:
        return _kernels(self.standard, seen, self._styles, level)


def distances(standard: Standard, ours: Sequence[Seen], theirs: Sequence[Seen]) -> dict[str, float]:
    """How far two sets are apart at each of `LEVELS`, 1 less closeness: about 0 for parts of one set (a
    little below 0 by chance), 1 for sets with nothing in common. What is compared must share its
    `standard`."""
    return {level: _apart(*_kernels(standard, ours, theirs, level)) for level in LEVELS}


def _apart(within_a: Floats, within_b: Floats, across: Floats) -> float:
    return 1 - float(across.mean()) / float(np.sqrt(mean_of_pairs(within_a) * mean_of_pairs(within_b)))


def _kernels(
    standard: Standard, ours: Sequence[Seen], theirs: Sequence[Seen], level: str
) -> tuple[Floats, Floats, Floats]:
    a, b = (standard.vectors(side, level) for side in (ours, theirs))
    return kernel(a, a), kernel(b, b), kernel(a, b)


def recognised(contents: Sequence[Seen], results: Sequence[Seen]) -> Floats:
    """For each result how surely its own content is recognised in it: 1 for the content itself, 0 for a
    picture that is no more like it than like the other contents.

    Deep features are compared place by place (as by Johnson et al. 2016, section 3.2), each channel in units
    of its spread over its own set: so what a style does to all results alike does not count. With c the
    cosine between result and its content, mean over places, and o its mean with the other contents: (c - o) /
    (1 - o), 0 at least.
    """
    ours, theirs = _scenes(results), _scenes(contents)
    alike = (ours @ theirs.T).astype(np.float64) / GRID**2
    own, count = np.diag(alike), len(contents)
    others = (alike.sum(1) - own) / (count - 1) if count > 1 else np.zeros(1)
    found: Floats = np.clip((own - others) / np.maximum(1 - others, 1e-9), 0.0, 1.0)
    return found


def _scenes(seen: Sequence[Seen]) -> npt.NDArray[np.float32]:
    """N x (places x channels): at each place a vector of length 1."""
    maps = np.stack([one.scene for one in seen]).astype(np.float32)
    spread = maps.std((0, 2, 3), keepdims=True)
    least = LEAST_SPREAD / 2 * np.sqrt(np.square(spread).mean())
    maps = (maps - maps.mean((0, 2, 3), keepdims=True)) / np.maximum(spread, max(float(least), 1e-9))
    maps /= np.maximum(np.linalg.norm(maps, axis=1, keepdims=True), 1e-9)
    scenes: npt.NDArray[np.float32] = maps.reshape(len(maps), -1)
    return scenes


def _without(
    kernels: tuple[Floats, Floats, Floats], kept: npt.NDArray[np.int64]
) -> tuple[Floats, Floats, Floats]:
    within, theirs, across = kernels
    return within[np.ix_(kept, kept)], theirs, across[kept]


def _middle(picture: RGB) -> RGB:
    """The middle part of what is longer than `LONGEST` times its short side."""
    longest = LONGEST * min(picture.shape[:2])
    top, left = (max(side - longest, 0) // 2 for side in picture.shape[:2])
    return picture[top : top + longest, left : left + longest]


def _on_grid(maps: npt.NDArray[np.float32]) -> Floats:
    """C x H x W -> C x 8 x 8: means over the parts of a grid, whose borders may cut through places."""
    down, across = (_shares(side) for side in maps.shape[1:])
    on_grid: Floats = down @ maps.astype(np.float64) @ across.T
    return on_grid


def _shares(side: int) -> Floats:
    """8 x side: how much of each of `side` places lies in each of 8 equal parts of them; rows sum to 1."""
    ends = np.linspace(0, side, GRID + 1)[:, None]
    places = np.arange(side)[None]
    inside = np.minimum(ends[1:], places + 1) - np.maximum(ends[:-1], places)
    shares = np.maximum(inside, 0.0)
    found: Floats = shares / shares.sum(1, keepdims=True)
    return found
