"""Pictures that are the same one: re-encoded, rescaled, mirrored, or cropped a little.

Two steps. Each picture's coarse layout is compared with those of cut-outs of every other, which leaves few
pairs; these are verified on fine detail, where different pictures of one scene or one school disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

Gray = Image.Image
Floats = npt.NDArray[np.float32]
Cut = tuple[float, float, float, float]
"""Left, top, right and bottom in shares of a picture's sides."""

COARSE, FINE = 16, 64
CANDIDATE, SAME = 0.8, 0.74
"""Correlations from which a pair is looked at closely, and from which it is the same picture."""
PROMISING = 0.25
"""From here on it is worth looking whether another cut-out fits better."""
_KEPT = (1.0, 0.9, 0.8)
"""Shares of a side that a cut-out may keep."""


@dataclass(frozen=True)
class Duplicate:
    """Two pictures that are the same one, by their places in the list."""

    first: int
    second: int
    correlation: float
    """Of fine detail, from SAME to 1."""


def find_duplicates(pictures: Sequence[Gray]) -> list[Duplicate]:
    """Pairs of pictures (gray PIL images) that are the same one.

    Found are copies of other size, quality, brightness and contrast, mirrored ones, and cut-outs that keep at
    least about 0.8 of each side. Time grows with the square of their number: some seconds for 500.
    """
    if len(pictures) < 2:
        return []
    small = [
        picture.resize((2 * FINE, 2 * FINE), Image.Resampling.BOX, reducing_gap=2) for picture in pictures
    ]
    whole = np.stack([_unit(_pixels(picture, None, COARSE)) for picture in small])
    cuts = _cut_outs()
    fine_whole = [_detail(picture, None) for picture in small]
    found: dict[tuple[int, int], float] = {}
    for i, picture in enumerate(small):
        turned = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        variants = [(image, cut) for image in (picture, turned) for cut in cuts]
        layouts = np.stack([_unit(_pixels(image, cut, COARSE)) for image, cut in variants])
        alike = layouts @ whole.T
        alike[:, i] = -1.0
        for j in np.flatnonzero(alike.max(0) >= CANDIDATE):
            best = np.argsort(-alike[:, j])[:3]
            correlation = max(_best_correlation(variants[k], fine_whole[j]) for k in best)
            pair = (min(i, int(j)), max(i, int(j)))
            if correlation >= SAME and correlation > found.get(pair, 0.0):
                found[pair] = correlation
    return [Duplicate(*pair, correlation) for pair, correlation in sorted(found.items())]


def _cut_outs() -> list[Cut]:
    """Boxes in shares of a picture's sides: every kept share at both ends and in the middle."""
    spans = {(0.0, 1.0)}
    for kept in _KEPT[1:]:
        spans |= {(start, start + kept) for start in (0.0, (1 - kept) / 2, 1 - kept)}
    return [(x0, y0, x1, y1) for x0, x1 in sorted(spans) for y0, y1 in sorted(spans)]


def _pixels(image: Gray, cut: Cut | None, side: int) -> Floats:
    x0, y0, x1, y1 = (share * 2 * FINE for share in cut or (0.0, 0.0, 1.0, 1.0))
    return np.asarray(image.resize((side, side), Image.Resampling.BOX, box=(x0, y0, x1, y1)), np.float32)


def _detail(image: Gray, cut: Cut | None = None) -> Floats:
    """The FINE x FINE picture without its coarse layout, zero mean and unit length.

    Divided by its strength round about: the outline of a fan or a mount, which many pictures share, counts no
    more than what is painted inside.
    """
    resized = Image.fromarray(_pixels(image, cut, FINE).astype(np.uint8))
    fine, coarse = (np.asarray(resized.filter(ImageFilter.GaussianBlur(r)), np.float32) for r in (0.7, 3))
    detail = fine - coarse
    strength = Image.fromarray(np.abs(detail).astype(np.uint8)).filter(ImageFilter.GaussianBlur(4))
    return _unit(detail / (np.asarray(strength, np.float32) + 2.0))


def _best_correlation(variant: tuple[Gray, Cut], wanted: Floats) -> float:
    """The correlation of fine detail, the cut-out's edges moved a little where that makes it better."""
    image, cut = variant
    best = _shifted_correlation(_detail(image, cut), wanted)
    if best < PROMISING:
        return best
    x0, y0, x1, y1 = cut
    edges = [x0, y0, x1, y1]
    for step in (0.05, 0.025):
        for i in range(4):
            for moved in (edges[i] - step, edges[i] + step):
                if not 0.0 <= moved <= 1.0 or best >= SAME:
                    continue
                x0, y0, x1, y1 = (moved if k == i else edges[k] for k in range(4))
                found = _shifted_correlation(_detail(image, (x0, y0, x1, y1)), wanted)
                if found > best:
                    best, edges[i] = found, moved
    return best


def _shifted_correlation(a: Floats, b: Floats) -> float:
    """The best correlation over shifts of up to three pixels."""
    product = np.fft.irfft2(
        np.fft.rfft2(a.reshape(FINE, FINE)) * np.conj(np.fft.rfft2(b.reshape(FINE, FINE)))
    )
    near = np.r_[-3:4]
    return float(product[np.ix_(near, near)].max())


def _unit(values: Floats) -> Floats:
    flat = values.ravel() - values.mean()
    length = float(np.linalg.norm(flat))
    unit: Floats = flat / length if length > 1e-3 else np.zeros_like(flat)
    return unit
