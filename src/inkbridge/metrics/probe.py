"""Is a result taken for a content picture, or for one of the style? A small judge that learns the two apart.

A linear classifier on what a frozen network sees (Alain and Bengio 2017). It knows these two sides alone, so
what is like neither is judged by chance: read its answer beside the distances, and look.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from inkbridge.metrics.sight import Seen, Standard, StyleSight

RGB = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

FOLDS = 4
PENALTY = 0.01
SMALLEST = 0.5
"""Copies of pictures are reduced to half at most, and saved as JPEG, so that sharpness does not decide."""
QUALITIES = (50, 95)
LEAST_GAP = 0.2
"""A judge whose chances for contents and style pictures differ by less knows too little."""


Judge = Callable[[Floats], Floats]
"""Rows -> chances."""
Twice = tuple[Seen, Seen]
"""A picture and a worse copy of it."""


def look_twice(look: Callable[[RGB], Seen], picture: RGB) -> Twice:
    """See a picture, and its copy that was reduced and saved as JPEG, by `Sight.see` or `Sight.see_again`."""
    return look(picture), look(worse(picture))


@dataclass(frozen=True)
class Verdict:
    """What the probe says."""

    as_content: npt.NDArray[np.bool_]
    """For each result, whether it is taken for a content picture."""
    shares: list[float]
    """How far results have gone from what it says of contents (0) to what it says of style pictures (1), by
    the chances that it gives: of all results, then, if there are several, of all but each one."""
    accuracy: float
    """Share of pictures that it had not seen and judged rightly, mean of both sides; 0.5 is chance."""


class Probe:
    """Learns contents and style pictures apart; judges results of these contents, again and again.

    It learns once for each of up to four parts of the pictures, without that part: so every result is judged
    by one that has not seen its content, and accuracy is measured on pictures not seen.
    """

    def __init__(self, standard: Standard, contents: Sequence[Twice], styles: Sequence[Twice]) -> None:
        """Both sides looked at by `look_twice`. Raises ValueError for fewer than two pictures on a side."""
        if min(len(contents), len(styles)) < 2:
            raise ValueError("each side needs at least 2 pictures")
        self._standard = standard
        self._folds = min(FOLDS, len(contents), len(styles))
        sides = [np.stack([self._vectors(twice) for twice in side]) for side in (contents, styles)]
        self._judges: list[Judge] = []
        for fold in range(self._folds):
            seen = [side[np.arange(len(side)) % self._folds != fold] for side in sides]
            ours, theirs = (side.reshape(-1, side.shape[-1]) for side in seen)
            self._judges.append(logistic(ours, theirs, PENALTY))
        self._contents, of_styles = (self._chances(side[:, 0]) for side in sides)
        self._style = float(of_styles.mean())
        self._accuracy = float(((self._contents > 0.5).mean() + (of_styles <= 0.5).mean()) / 2)

    def __call__(self, results: Sequence[Seen]) -> Verdict:
        """Judge results, one of each content in the order of contents."""
        chances = self._chances(self._vectors(results))
        gone = self._contents - chances
        shares = []
        for left_out in range(-1, len(results) if len(results) > 1 else 0):
            kept = np.arange(len(results)) != left_out
            whole = float(self._contents[kept].mean()) - self._style
            shares.append(float(gone[kept].mean()) / max(whole, LEAST_GAP))
        return Verdict(chances > 0.5, shares, self._accuracy)

    def _chances(self, rows: Floats) -> Floats:
        """That rows are of content pictures, each by the judge that has not seen the picture in its place."""
        found = [float(self._judges[i % self._folds](rows[i : i + 1])[0]) for i in range(len(rows))]
        return np.array(found)

    def _vectors(self, seen: Sequence[Seen]) -> Floats:
        rows = self._standard.vectors(seen, "all")
        vectors: Floats = rows / np.sqrt(rows.shape[1])
        return vectors


def covered(
    style: StyleSight, probe: Probe | None, results: Sequence[Seen]
) -> tuple[list[dict[str, float]], Verdict | None]:
    """Shares of the way to a style of all results, then, if there are several, of all but each one; and what
    the probe says.

    "strokes" and "picture" as `StyleSight.covered`, "judged" as `Verdict.shares`, and "covered", their mean,
    of which each counts from 0 to 1. Distances of sets ask for the variety of the style too; the probe asks
    of each result alone to be unlike a content, which one look of a varied style can be.
    """
    found, verdict = style.covered(results), None
    if probe is not None:
        verdict = probe(results)
        for shares, judged in zip(found, verdict.shares, strict=True):
            shares["judged"] = judged
    for shares in found:
        shares["covered"] = float(np.mean(np.clip(list(shares.values()), 0.0, 1.0)))
    return found, verdict


def logistic(ours: Floats, theirs: Floats, penalty: float) -> Judge:
    """A function that gives the chance that rows (N x D) belong to those of `ours` and not of `theirs`.

    Logistic regression with a penalty on squared weights, by Newton's method (Hastie et al. 2009, section
    4.4.1) among the combinations of the rows, in which the best weights lie. Both sides weigh the same.
    """
    rows = np.concatenate([ours, theirs])
    wanted = np.repeat([1.0, 0.0], [len(ours), len(theirs)])
    weight = np.repeat([0.5 / len(ours), 0.5 / len(theirs)], [len(ours), len(theirs)])
    centre = rows.mean(0)
    left, sizes, axes = np.linalg.svd(rows - centre, full_matrices=False)
    x = np.column_stack([left * sizes, np.ones(len(rows))])
    penalties = np.append(np.full(len(sizes), penalty), 1e-6)  # the constant is free
    found = np.zeros(len(penalties))
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(x @ found, -30, 30)))
        slope = x.T @ (weight * (chance - wanted)) + penalties * found
        curvature = (x.T * (weight * chance * (1 - chance))) @ x + np.diag(penalties)
        step = np.linalg.solve(curvature, slope)
        found -= step
        if np.abs(step).max() < 1e-9:
            break
    direction, constant = axes.T @ found[:-1], found[-1]

    def judge(some: Floats) -> Floats:
        chance: Floats = 1 / (1 + np.exp(-np.clip((some - centre) @ direction + constant, -30, 30)))
        return chance

    return judge


def worse(picture: RGB) -> RGB:
    """A copy of an H x W x 3 uint8 picture, reduced by chance and saved as JPEG; always the same for the same
    one."""
    rng = np.random.default_rng([*picture.shape, int(picture.sum())])
    scale = rng.uniform(SMALLEST, 1.0)
    size = max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1)
    buffer = io.BytesIO()
    reduced = Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)
    reduced.save(buffer, "JPEG", quality=int(rng.integers(*QUALITIES)))
    return np.asarray(Image.open(buffer).convert("RGB"))
