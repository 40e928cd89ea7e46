"""How large small pictures are painted."""

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

FINER = 1.4
"""How much larger than the contents of training pictures are painted, if that is better."""
MOST_LOST = 0.01
"""Share of the way to a style that may be lost by painting larger: no more than measuring may differ."""
MOST_STYLES = 32
"""Pictures of a style that results are measured against."""


def choose_short_side(
    pack: StylePack,
    contents: Sequence[RGB],
    styles: Mapping[str, Sequence[RGB]],
    measure: Measure,
    advance: Callable[[float, float], None] = lambda done, total: None,
) -> int:
    """The short side up to which smaller pictures are to be painted enlarged; 0: as they are.

    An outline is some pixels wide, and of small pictures it takes arches and faces away; painted larger more
    is kept, but strokes become finer than the style's, and the picture more of a photograph. So up to
    `MOST_PAINTED` contents are painted as they are and `FINER` times larger, and the larger is taken if its
    score of training is higher, mean over the styles, and no style covers less (by more than `MOST_LOST`).
    Pictures are H x W x 3 uint8, `styles` by the names of the pack's; `advance(done, total)` tells how far it
    is.
    """
    painted = spread(contents, MOST_PAINTED)
    meters = {name: measure(painted, spread(pictures, MOST_STYLES)) for name, pictures in styles.items()}
    larger = min(round(FINER * median_short_side(painted)), MAX_SHORT_SIDE)
    done, total = 0, 2 * len(styles) * len(painted)
    covered, scores = [], []
    before = pack.info.size.short_side
    for size in (0, larger):
        pack.info.size.short_side = size
        for name, meter in meters.items():
            results = []
            for content in painted:
                results.append(pack.apply(content, name))
                done += 1
                advance(done, total)
            figures = meter(results)[0]
            covered.append(min(figures["covered"], 1.0))
            scores.append(score(figures))
    pack.info.size.short_side = before
    (small, large), lost = np.split(np.array(scores), 2), -np.diff(np.split(np.array(covered), 2), axis=0)
    return larger if large.sum() > small.sum() and lost.max() <= MOST_LOST else 0
