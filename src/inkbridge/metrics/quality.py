"""The quality of a generator in training: a few figures, asked for often, of the same pictures each time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inkbridge.metrics.distribution import PatchSample, StyleDistance
from inkbridge.metrics.evaluation import style_floor
from inkbridge.metrics.memorisation import Layouts
from inkbridge.metrics.similarity import edge_correlation

RGB = npt.NDArray[np.uint8]

PATCHES = 8000
DIRECTIONS = 64


class QualityMeter:
    """Measures what was painted from the same contents (H x W x 3 uint8) in one style, again and again.

    What does not depend on the results is looked at once.
    """

    def __init__(self, contents: Sequence[RGB], styles: Sequence[RGB]) -> None:
        self._contents = contents
        self._distance = StyleDistance(styles, patches=PATCHES, directions=DIRECTIONS)
        self._floor = sum(style_floor(styles))
        self._before = self._of_all_and_all_but_each(contents)
        self._layouts = Layouts(styles)

    def __call__(self, results: Sequence[RGB]) -> list[dict[str, float]]:
        """Figures of all pictures, then, if there are several, of all but the first, all but the second ...

        "covered": share of the way from the contents to the style, 0 when contents are as near as style
        pictures are to each other; "edges": correlation of edges with the contents'; "repeats": largest
        correlation of a result's layout with a style picture's, above 0.9 that one was learned by heart.
        """
        after = self._of_all_and_all_but_each(results)
        edges = np.array([edge_correlation(a, b) for a, b in zip(self._contents, results, strict=True)])
        repeats = np.array([self._layouts.nearest(result).correlation for result in results])
        found = []
        for left_out, (a, b) in enumerate(zip(self._before, after, strict=True), -1):
            kept = np.arange(len(results)) != left_out
            found.append(
                {
                    "covered": (a - b) / (a - self._floor) if a > self._floor else 0.0,
                    "edges": float(edges[kept].mean()),
                    "repeats": float(repeats[kept].max()),
                }
            )
        return found

    def _of_all_and_all_but_each(self, pictures: Sequence[RGB]) -> list[float]:
        sample = self._distance.sample(len(pictures))
        for picture in pictures:
            sample.add(picture)
        samples: list[PatchSample] = [sample]
        if len(pictures) > 1:
            samples += [sample.without(i) for i in range(len(pictures))]
        return [sum(self._distance.of_sample(some)) for some in samples]
