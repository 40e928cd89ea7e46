"""How good a moment of a run was, in one number, and which moment was best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float64]
"""The score over all measured contents, then over all but each one."""

KEPT = {"recognised": "content recognised", "edges": "edges kept"}
"""Figures that say how much is left of the contents, the better one first."""
PIXELS = "pixels"
"""The judge where no eye looks (`inkbridge.metrics.quality.PIXELS`)."""
ENOUGH = 0.5
"""How surely contents are to be recognised; more is not asked for, lest results stay photographs. Line
drawings made of photographs are at 0.6, photographs blurred by 6 pixels of 256 at 0.45, others at 0."""
AS_GOOD = 0.5
"""A moment is as good as that of the highest score if it is less than so many standard errors of their
difference below it. The highest of many nearly equal scores is high by luck, and later results are calmer:
after 319 images a run of `cyclegan` had 0.369, after 550 0.363; on other photographs 0.445 and 0.482."""


def score(figures: Mapping[str, float]) -> float:
    """Style and content in one number: the harmonic mean of the style "covered" and the content kept, 0 to 1.

    0 for a copy of the content, and for a style without the content; as high as both are together. Kept is
    how surely contents are "recognised", of which `ENOUGH` is all that counts; without an eye "edges".
    """
    name = kept_by(figures)
    kept = figures[name] / (ENOUGH if name == "recognised" else 1.0)
    covered, kept = (min(max(share, 0.0), 1.0) for share in (figures["covered"], kept))
    return 2 * covered * kept / (covered + kept) if covered + kept else 0.0


def kept_by(figures: Mapping[str, Any]) -> str:
    """The name of the figure that says how much is left of the contents."""
    return "recognised" if "recognised" in figures else "edges"


def judged_by(entries: Sequence[dict[str, Any]], judge: str | None = None) -> list[dict[str, Any]]:
    """The lines of a quality curve that this judge wrote, or that of the last line.

    Scores of different judges cannot be compared. Lines of earlier versions name none; pixels judged them.
    """
    if judge is None and entries:
        judge = entries[-1].get("judge", PIXELS)
    return [entry for entry in entries if entry.get("judge", PIXELS) == judge]


def interval(scores: Scores) -> tuple[float, float]:
    """95% interval of the first value, from those without each picture (jackknife; Efron and Stein 1981).

    Given the differences of two moments, that of the difference: both were measured on the same pictures.
    """
    value, half = float(scores[0]), 1.96 * standard_error(scores)
    return value - half, value + half


def standard_error(scores: Scores) -> float:
    """Of the first value, from those without each picture (the same jackknife); 0 for fewer than two."""
    without = scores[1:]
    if len(without) < 2:
        return 0.0
    return float(np.sqrt((len(without) - 1) / len(without) * np.square(without - without.mean()).sum()))


def as_good(scores: Scores, highest: Scores) -> bool:
    """Whether a moment's score is the highest, or only by chance below it (`AS_GOOD`)."""
    below = highest - scores
    return bool(below[0] <= AS_GOOD * standard_error(below))


def best_moment(moments: Mapping[int, Scores]) -> int:
    """Images seen at the best of moments, given in their order: the last as good as the highest by then."""
    best, highest = -1, np.full(1, -np.inf)
    for images_seen, scores in moments.items():
        if scores[0] >= highest[0]:
            highest = scores
        if as_good(scores, highest):
            best = images_seen
    return best


def over_styles(entries: Iterable[Mapping[str, Any]]) -> dict[int, Scores]:
    """Lines of a run's quality curve, one for each moment and style -> the mean scores of each moment."""
    found: dict[int, list[list[float]]] = {}
    for entry in entries:
        found.setdefault(entry["images_seen"], []).append(entry["scores"])
    return {images_seen: np.mean(scores, axis=0) for images_seen, scores in found.items()}
