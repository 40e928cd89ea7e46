"""Where the lines of a page are, by its ink alone.

Paper is what is lightest in the neighbourhood, ink what is clearly darker (Otsu 1979). Rows of ink are lines;
wide gaps within a row part two lines. Columns are the rows of the page lying on its side. Written for pages
without pictures among their lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from inkbridge.images import RGB
from inkbridge.uses.text_recognition.writing import EM, LINE_HEIGHT

NEIGHBOURHOOD = 48
"""Paper is looked for in squares of this many pixels."""
FAINTEST = 0.12
"""Ink that takes away less of the paper's light than this is none."""
WORKING_PIXELS = 6_000_000
"""Lines are looked for on a page reduced to about so many pixels."""
GRAIN = 1.5
"""The grain of paper is smoothed away over so many pixels where lines are looked for."""
INK_OF_EM = 0.9
"""Height of the ink of a line, as a share of its character size."""
COLUMNS_CLEARER = 1.1
"""A page whose columns are parted so many times more clearly than its rows is written in columns."""
LEANS = np.linspace(-0.16, 0.16, 33)
"""Pixels that a column may move aside for each that it goes down."""
COARSE = 500
"""Pixels in the short side of a page from which its lean is judged."""
SLENDER = 2.5
"""Columns are at least so many times taller than wide."""
DIRECTIONS = "auto", "lines", "columns"

Grey = npt.NDArray[np.float32]
"""H x W; share of the paper's light, 0 to 1."""
_Sides = tuple[int, int, int, int]
PixelT = TypeVar("PixelT", bound=np.generic)


@dataclass(frozen=True)
class Box:
    """A line's place on its page, in pixels; right and bottom are outside."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass
class Lines:
    """What was found on a page: lines from top to bottom or columns from right to left."""

    boxes: list[Box]
    columns: bool
    """The page looks as if written in columns."""
    lean: float = 0.0
    """Pixels that columns move to the right for each down; `boxes` are those of the page made `upright`."""


def flat(rgb: RGB) -> Grey:
    """The page with its paper made white: every pixel's light as a share of the paper's around it."""
    light = np.asarray(Image.fromarray(rgb).convert("L"), np.float32)
    rows, columns = (max(side // NEIGHBOURHOOD, 1) for side in light.shape)
    blocks = light[: light.shape[0] // rows * rows, : light.shape[1] // columns * columns]
    blocks = blocks.reshape(rows, blocks.shape[0] // rows, columns, -1)
    paper = np.percentile(blocks, 90, axis=(1, 3)).astype(np.float32)
    # A square that is all ink has no paper of its own.
    paper = np.maximum(paper, 0.6 * np.median(paper))
    spread = Image.fromarray(paper).resize((rgb.shape[1], rgb.shape[0]), Image.Resampling.BICUBIC)
    grey: Grey = np.clip(light / np.maximum(np.asarray(spread), 1.0), 0.0, 1.0)
    return grey


def ink_threshold(grey: Grey) -> float | None:
    """The light below which a pixel is ink (Otsu); None where there is no ink to speak of."""
    counts, edges = np.histogram(grey, 64, (0.0, 1.0))
    centres = (edges[:-1] + edges[1:]) / 2
    below = counts.cumsum()
    above = below[-1] - below
    sums = (counts * centres).cumsum()
    with np.errstate(invalid="ignore", divide="ignore"):
        dark, bright = sums / below, (sums[-1] - sums) / above
        between = np.nan_to_num(below * above * (bright - dark) ** 2)
    at = int(between.argmax())
    if not between[at] or bright[at] - dark[at] < FAINTEST:
        return None
    return float(edges[at + 1])


def find_lines(rgb: RGB, direction: str = "auto") -> Lines:
    """The lines or columns of a page; none on an empty one. `direction` is one of DIRECTIONS."""
    share = min((WORKING_PIXELS / (rgb.shape[0] * rgb.shape[1])) ** 0.5, 1.0)
    if share < 1.0:
        size = max(round(rgb.shape[1] * share), 1), max(round(rgb.shape[0] * share), 1)
        rgb = np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BOX))
    grey = flat(np.asarray(Image.fromarray(rgb).filter(ImageFilter.GaussianBlur(GRAIN))))
    threshold = ink_threshold(grey)
    if threshold is None:
        return Lines([], False)
    ink = grey < threshold
    boxes = _boxes(ink)
    # A lean, and whether columns stand apart, show on a small page as well.
    step = max(min(ink.shape) // COARSE, 1)
    coarse = ink[::step, ::step]
    lean = _lean(coarse)
    # From the right: the rows of the page turned by a quarter, and back again.
    turned = _boxes(np.rot90(upright(ink, lean)))
    standing = [
        (ink.shape[1] - bottom, left, ink.shape[1] - top, right) for left, top, right, bottom in turned
    ]
    columns = direction == "columns" or (direction == "auto" and _in_columns(coarse, lean, boxes, standing))
    found = [Box(*(round(side / share) for side in box)) for box in (standing if columns else boxes)]
    return Lines(found, columns, lean if columns else 0.0)


def upright(page: npt.NDArray[PixelT], lean: float) -> npt.NDArray[PixelT]:
    """A page (H x W or H x W x 3) with columns that lean made upright: rows are moved aside by whole pixels,
    and what leaves one edge comes back at the other; `-lean` undoes it."""
    if not lean:
        return page
    rows = np.arange(len(page))
    aside = np.rint(lean * (rows - (len(page) - 1) / 2)).astype(int)
    columns = (np.arange(page.shape[1])[None] + aside[:, None]) % page.shape[1]
    moved: npt.NDArray[PixelT] = page[rows[:, None], columns]
    return moved


def _in_columns(ink: npt.NDArray[np.bool_], lean: float, rows: list[_Sides], columns: list[_Sides]) -> bool:
    """Whether a page is written in columns, of what its rows or its columns would be."""
    if not rows or not columns:
        return False
    tall = float(np.median([bottom - top for _, top, _, bottom in rows]))
    # A single column has no other beside it: each of its rows is one character.
    if len(rows) > 2 and all(right - left < 1.6 * tall for left, _, right, _ in rows):
        return len(columns) == 1
    slender = float(np.median([(bottom - top) / (right - left) for left, top, right, bottom in columns]))
    apart, rows_apart = _evenness(_profile(ink, lean)), _evenness(_profile(ink.T, _lean(ink.T)))
    return slender >= SLENDER and apart > COLUMNS_CLEARER * rows_apart


def _lean(ink: npt.NDArray[np.bool_]) -> float:
    """How columns lean: the lean along which ink is most unevenly spread (projection profile, Baird 1987)."""
    if not ink.any():
        return 0.0
    sums = [float(np.square(_profile(ink, lean).astype(np.float64)).sum()) for lean in LEANS]
    return float(LEANS[int(np.argmax(sums))])


def _profile(ink: npt.NDArray[np.bool_], lean: float) -> npt.NDArray[np.int_]:
    """Ink along columns that lean."""
    down, right = np.nonzero(ink)
    places = np.rint(right - lean * (down - (len(ink) - 1) / 2)).astype(int)
    return np.bincount(places - places.min())


def _boxes(ink: npt.NDArray[np.bool_]) -> list[_Sides]:
    """Left, top, right and bottom of the rows of ink, parted at wide gaps."""
    boxes = []
    for top, bottom in _runs(ink.sum(1)) if ink.any() else []:
        height = bottom - top
        for left, right in _joined(_spans(ink[top:bottom].sum(0)), 1.5 * height):
            inside = np.flatnonzero(ink[top:bottom, left:right].any(1))
            boxes.append((left, int(top + inside[0]), right, int(top + inside[-1] + 1)))
    tall = float(np.median([bottom - top for _, top, _, bottom in boxes])) if boxes else 0.0
    # Specks of dust and rules are no lines.
    return [box for box in boxes if box[3] - box[1] >= max(0.35 * tall, 6) and box[2] - box[0] >= 0.3 * tall]


def cut_line(rgb: RGB, box: Box) -> RGB:
    """A line, LINE_HEIGHT pixels high, its characters of about EM pixels, with some paper around it."""
    left, top, right, bottom = _cut(box)
    pad = [
        (max(-top, 0), max(bottom - rgb.shape[0], 0)),
        (max(-left, 0), max(right - rgb.shape[1], 0)),
        (0, 0),
    ]
    cut = rgb[max(top, 0) : bottom, max(left, 0) : right]
    cut = np.pad(cut, pad, "edge")
    width = max(round(cut.shape[1] * LINE_HEIGHT / cut.shape[0]), 1)
    return np.asarray(Image.fromarray(cut).resize((width, LINE_HEIGHT), Image.Resampling.LANCZOS))


def paste_line(page: RGB, box: Box, line: RGB) -> None:
    """Put a line as `cut_line` gives it back in its place, in place."""
    left, top, right, bottom = _cut(box)
    size = right - left, bottom - top
    whole = np.asarray(Image.fromarray(line).resize(size, Image.Resampling.LANCZOS))
    rows = slice(max(top, 0), min(bottom, page.shape[0]))
    columns = slice(max(left, 0), min(right, page.shape[1]))
    page[rows, columns] = whole[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
    ]


def _cut(box: Box) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what belongs to a line with the paper around it."""
    scale = EM * INK_OF_EM / (box.bottom - box.top)
    middle = (box.top + box.bottom) / 2
    reach, side = LINE_HEIGHT / 2 / scale, EM / 2 / scale
    return round(box.left - side), round(middle - reach), round(box.right + side), round(middle + reach)


def _runs(profile: npt.NDArray[np.int_]) -> list[tuple[int, int]]:
    """Rows of ink, dots and accents joined to the line they stand at."""
    spans = _spans(np.where(profile > 0.04 * np.percentile(profile[profile > 0], 95), profile, 0))
    heights = np.array([end - start for start, end in spans])
    tall = float(np.median(heights[heights > 0.4 * heights.max()]))
    runs: list[tuple[int, int]] = []
    for start, end in spans:
        small = min(end - start, runs[-1][1] - runs[-1][0] if runs else 0) < 0.5 * tall
        if runs and small and start - runs[-1][1] < 0.3 * tall and end - runs[-1][0] < 1.4 * tall:
            runs[-1] = runs[-1][0], end
        else:
            runs.append((start, end))
    return [_with_tails(profile, run, round(0.3 * tall)) for run in runs]


def _with_tails(profile: npt.NDArray[np.int_], run: tuple[int, int], most: int) -> tuple[int, int]:
    """A run with the few strokes that reach above and below it."""
    start, end = run
    while start > 0 and profile[start - 1] and run[0] - start < most:
        start -= 1
    while end < len(profile) and profile[end] and end - run[1] < most:
        end += 1
    return start, end


def _spans(profile: npt.NDArray[np.int_]) -> list[tuple[int, int]]:
    """Where it is above 0, from start to end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (profile > 0).astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _joined(spans: list[tuple[int, int]], gap: float) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start - joined[-1][1] <= gap:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    return joined


def _evenness(profile: npt.NDArray[np.int_]) -> float:
    """How deep the valleys of a profile are: its deviation as a share of its mean, where there is ink."""
    found = np.flatnonzero(profile)
    part = profile[found[0] : found[-1] + 1].astype(np.float64)
    return float(part.std() / part.mean())
