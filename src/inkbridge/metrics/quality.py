"""The quality of a generator in training: a few figures, asked for often, of the same pictures each time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from inkbridge.eye import BUNDLED
from inkbridge.metrics.distribution import PatchSample, StyleDistance
from inkbridge.metrics.evaluation import style_floor
from inkbridge.metrics.memorisation import Layouts
from inkbridge.metrics.probe import Probe, covered, look_twice
from inkbridge.metrics.sight import Sight, Standard, StyleSight, distances, recognised
from inkbridge.metrics.similarity import edge_correlation

RGB = npt.NDArray[np.uint8]
Figures = dict[str, float]

NO_EYE = "none"
PIXELS = "pixels"
"""Who judges without an eye: sliced Wasserstein distance and edges."""
PATCHES = 8000
DIRECTIONS = 64


class Quality:
    """Makes meters that look through one eye, or through none."""

    def __init__(self, eye: str = BUNDLED, threads: int = 0) -> None:
        """`eye` as for `inkbridge.eye.read_eye`, or "none". Raises ConfigError if it cannot be used."""
        self.sight = None if eye == NO_EYE else Sight(eye, threads)
        self.judge = self.sight.name if self.sight else PIXELS
        """Who judges: figures of different ones cannot be compared."""

    def __call__(self, contents: Sequence[RGB], styles: Sequence[RGB]) -> QualityMeter:
        """A meter for results of `contents` in the style of `styles` (H x W x 3 uint8)."""
        return QualityMeter(contents, styles, self.sight)

    def distance(
        self, contents: Sequence[RGB], styles: Sequence[RGB]
    ) -> Callable[[list[RGB], list[RGB]], float]:
        """What tells how far results of `contents` are from some of `styles`."""
        if self.sight is None:
            return lambda results, some: sum(StyleDistance(some).of(results))
        sight = self.sight
        of_style = [sight.see(picture) for picture in styles]
        known = {_key(picture): seen for picture, seen in zip(styles, of_style, strict=True)}
        standard = Standard([sight.see_again(picture) for picture in contents], of_style)

        def far(results: list[RGB], some: list[RGB]) -> float:
            of_results = [sight.see(picture) for picture in results]
            of_some = [known.get(_key(picture)) or sight.see(picture) for picture in some]
            return sum(distances(standard, of_results, of_some).values())

        return far


class QualityMeter:
    """Measures what was painted from the same contents (H x W x 3 uint8) in one style, again and again.

    What does not depend on the results is looked at once.
    """

    def __init__(self, contents: Sequence[RGB], styles: Sequence[RGB], sight: Sight | None = None) -> None:
        """`sight`: the eye to look through; without one pixels decide."""
        self._contents, self._sight = contents, sight
        self._pixels = StyleDistance(styles, patches=PATCHES, directions=DIRECTIONS)
        self._floor = sum(style_floor(styles))
        self._layouts = Layouts(styles)
        self._before = self._far(contents, each=sight is None)
        if sight is not None:
            ours = [look_twice(sight.see_again, picture) for picture in contents]
            theirs = [look_twice(sight.see, picture) for picture in styles]
            self._seen = [seen for seen, _ in ours]
            self._style = StyleSight(self._seen, [seen for seen, _ in theirs])
            enough = min(len(ours), len(theirs)) > 1
            self._probe = Probe(self._style.standard, ours, theirs) if enough else None

    def __call__(self, results: Sequence[RGB]) -> list[Figures]:
        """Figures of all pictures, then, if there are several, of all but the first, all but the second ...

        "covered": share of the way from the contents to the style; "edges": correlation of edges with the
        contents'; "repeats": largest correlation of a result's layout with a style picture's, above 0.9 that
        one was learned by heart. With an eye, "covered" is the mean of "strokes", "picture" and, from two
        pictures a side on, "judged" (`probe.covered`), "recognised" says how surely contents are recognised
        (`sight.recognised`), and, of all pictures alone, "as_content" is the share of results that a judge
        takes for contents, "judged_right" the share of unseen pictures that it judges rightly (`Probe`), and
        "pixels" the share covered as it is measured without an eye: by patches of pixels.
        """
        after = self._far(results, each=self._sight is None)
        pixels = [
            (before - far) / (before - self._floor) if before > self._floor else 0.0
            for before, far in zip(self._before, after, strict=True)
        ]
        found: list[Figures] = [{"covered": share} for share in pixels]
        means = {
            "edges": np.array([edge_correlation(a, b) for a, b in zip(self._contents, results, strict=True)])
        }
        if self._sight is not None:
            seen = [self._sight.see(result) for result in results]
            found, verdict = covered(self._style, self._probe, seen)
            found[0]["pixels"] = pixels[0]
            means["recognised"] = recognised(self._seen, seen)
            if verdict is not None:
                found[0] |= {
                    "as_content": float(verdict.as_content.mean()),
                    "judged_right": verdict.accuracy,
                }
        repeats = np.array([self._layouts.nearest(result).correlation for result in results])
        for left_out, figures in enumerate(found, -1):
            kept = np.arange(len(results)) != left_out
            figures.update({name: float(values[kept].mean()) for name, values in means.items()})
            figures["repeats"] = float(repeats[kept].max())
        return found

    def _far(self, pictures: Sequence[RGB], *, each: bool) -> list[float]:
        """Distance from the style by pixels of all pictures, then, with `each`, of all but each one."""
        sample = self._pixels.sample(len(pictures))
        for picture in pictures:
            sample.add(picture)
        samples: list[PatchSample] = [sample]
        if each and len(pictures) > 1:
            samples += [sample.without(i) for i in range(len(pictures))]
        return [sum(self._pixels.of_sample(some)) for some in samples]


def _key(picture: RGB) -> bytes:
    return hashlib.sha256(picture.tobytes()).digest()
