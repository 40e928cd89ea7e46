"""At which size a pack paints: that at which its strokes are as broad as in the style."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from inkbridge.images import RGB
from inkbridge.pack import StylePack
from inkbridge.pack_format import MAX_SHORT_SIDE
from inkbridge.train.data import median_short_side
from inkbridge.train.looks import MOST_PAINTED, spread
from inkbridge.train.moments import Measure
from inkbridge.train.scores import score

SHARES = (1.0, 0.75, 1.4)
"""Sizes that are tried, in units of the contents of training; the first is taken unless another is better."""
MOST_LOST = 0.01
"""Share of the way to a style that may be lost by another size: no more than measuring may differ."""
MOST_STYLES = 32
"""Pictures of a style that results are measured against."""


def choose_working_side(
    pack: StylePack,
    contents: Sequence[RGB],
    styles: Mapping[str, Sequence[RGB]],
    measure: Measure,
    advance: Callable[[float, float], None] = lambda done, total: None,
) -> int:
    """The short side at which pictures are to be painted, whatever their size.

    A stroke is some pixels wide: painted at a smaller size it is a larger share of the picture, and of an
    outline less is kept. Up to `MOST_PAINTED` contents are painted at each size of `SHARES`, and the one is
    taken whose score of training is the highest, mean over the styles, of those at which no style covers less
    than at the first (by more than `MOST_LOST`). Pictures are H x W x 3 uint8, `styles` by the names of the
    pack's; `advance(done, total)` tells how far it is.
    """
    painted = spread(contents, MOST_PAINTED)
    meters = {name: measure(painted, spread(pictures, MOST_STYLES)) for name, pictures in styles.items()}
    sides = [min(round(share * median_short_side(painted)), MAX_SHORT_SIDE) for share in SHARES]
    done, total = 0, len(sides) * len(styles) * len(painted)
    covered, scores = np.zeros((len(sides), len(meters))), np.zeros((len(sides), len(meters)))
    before = pack.info.size.working_side
    for number, side in enumerate(sides):
        pack.info.size.working_side = side
        for place, (name, meter) in enumerate(meters.items()):
            results = []
            for content in painted:
                results.append(pack.apply(content, name))
                done += 1
                advance(done, total)
            figures = meter(results)[0]
            covered[number, place] = min(figures["covered"], 1.0)
            scores[number, place] = score(figures)
    pack.info.size.working_side = before
    kept = (covered[0] - covered).max(1) <= MOST_LOST
    return sides[int(np.where(kept, scores.mean(1), -np.inf).argmax())]
