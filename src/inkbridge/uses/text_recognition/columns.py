"""A column of writing as a line: cut into characters, which are put side by side from left to right.

Where characters end is what costs least over the whole column (dynamic programming, Bellman 1957): a cut
costs the ink that it goes through, a character what its height differs from the pitch. Written for scripts
whose characters are of about one size and do not join; their paper is made white, so that no seams are seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from inkbridge.images import RGB
from inkbridge.uses.text_recognition.page import INK_OF_EM, Box, Grey, ink_threshold
from inkbridge.uses.text_recognition.writing import EM, LINE_HEIGHT

WORKING_EM = 24
"""Pixels of a character while cuts are looked for."""
PITCHES = 0.7, 0.78, 0.85, 0.95, 1.05, 1.15, 1.25, 1.4
"""From one character to the next, as shares of a column's width; the one that costs least is taken, itself at
the cost of its squared logarithm, so that it is not two characters that are taken for one."""
HEIGHTS = 0.45, 1.6
"""Of a character, as shares of the pitch."""
INK_CUT = 8.0
"""What a cut through ink as wide as a character costs; a character of twice the pitch would cost 1."""
SMALL = 0.45
"""Ink smaller than this share of a character both ways is a mark: lines have it at the lower left."""


@dataclass(frozen=True)
class Column:
    """Where the characters of a column are, from top to bottom, and how large."""

    cells: list[Box]
    em: float
    """Size of a character in pixels of the page."""


def find_characters(grey: Grey, boxes: list[Box]) -> list[Column]:
    """The characters of the columns of a page that `page.flat` made flat."""
    em = float(np.median([box.right - box.left for box in boxes])) / INK_OF_EM
    # What leans is wider than its characters: their own size is the better measure, once they are found.
    # Many are smaller than the square that they are written in, which shows in half of them.
    rough = [_characters(grey, box, em) for box in boxes]
    em = _size(rough, 50, em)
    found = [_characters(grey, box, em) for box in boxes]
    em = _size(found, 75, em)
    return [Column(cells, em) for cells, _ in found]


def _size(found: list[tuple[list[Box], list[int]]], percent: float, em: float) -> float:
    """The size of a character, of what `_characters` found; `em` where ink was too faint to find any."""
    sizes = [size for _, column in found for size in column]
    return float(np.percentile(sizes, percent)) / INK_OF_EM if sizes else em


def _characters(grey: Grey, box: Box, em: float) -> tuple[list[Box], list[int]]:
    """Those of one column, and of each the larger side of its ink; `em`: their size in pixels."""
    scale = WORKING_EM / em
    part = Image.fromarray(grey[box.top : box.bottom, box.left : box.right])
    size = max(round(part.width * scale), 1), max(round(part.height * scale), 1)
    small = np.asarray(part.resize(size, Image.Resampling.BOX))
    threshold = ink_threshold(small) or 0.5
    # Half a character of paper at both ends: the first and last one need not fill their height with ink.
    rows = np.pad((small < threshold).sum(1) / WORKING_EM, WORKING_EM // 2)
    ways = [(share, *_parted(rows, share * WORKING_EM)) for share in PITCHES]
    cuts = min(ways, key=lambda way: way[1] + np.log(way[0]) ** 2)[2]
    start = box.top - WORKING_EM // 2 / scale
    cells, sizes = [], []
    for a, b in cuts:
        top, bottom = max(round(start + a / scale), 0), min(round(start + b / scale), len(grey))
        # Each stands where its own ink is: columns lean.
        here = grey[top:bottom, box.left : box.right] < threshold
        across, down = np.flatnonzero(here.any(0)), np.flatnonzero(here.any(1))
        if len(across):
            cells.append(Box(box.left + int(across[0]), top, box.left + int(across[-1]) + 1, bottom))
            sizes.append(max(int(np.ptp(across)), int(np.ptp(down))) + 1)
    return cells, sizes


def as_line(grey: Grey, column: Column) -> RGB:
    """The characters of a column side by side, black on white: LINE_HEIGHT x W x 3."""
    scale = EM / column.em
    line = Image.new("L", (EM * (len(column.cells) + 1), LINE_HEIGHT), 255)
    for at, cell in enumerate(column.cells):
        part = Image.fromarray(np.rint(_cut(grey, cell, column.em) * 255).astype(np.uint8))
        size = max(round(part.width * scale), 1), max(round(part.height * scale), 1)
        part = part.resize(size, Image.Resampling.LANCZOS)
        left, top = round(EM * (at + 1) - size[0] / 2), round((LINE_HEIGHT - size[1]) / 2)
        inked = part.point(lambda value: 255 * (value < 128)).getbbox()
        if inked is not None and max(inked[2] - inked[0], inked[3] - inked[1]) < SMALL * EM:
            left, top = round(EM * (at + 0.55)) - inked[0], round(LINE_HEIGHT / 2 + 0.42 * EM) - inked[3]
        # Neighbours may overlap: the darker one counts.
        under = line.crop((left, top, left + size[0], top + size[1]))
        line.paste(Image.fromarray(np.minimum(np.asarray(under), np.asarray(part))), (left, top))
    return np.repeat(np.asarray(line)[..., None], 3, -1)


def paste_column(page: RGB, column: Column, line: RGB) -> None:
    """Put a line as `as_line` gives it back in its column, in place: each character as wide as it is in the
    line, not as it was."""
    for at, cell in enumerate(column.cells):
        top, bottom = max(cell.top, 0), min(cell.bottom, len(page))
        width, middle = round(column.em), (cell.left + cell.right) / 2
        rise = min(round((bottom - top) * EM / column.em / 2), LINE_HEIGHT // 2)
        part = line[LINE_HEIGHT // 2 - rise : LINE_HEIGHT // 2 + rise, round(EM * (at + 0.5)) :][:, :EM]
        if bottom > top and part.size:
            size = width, bottom - top
            whole = np.asarray(Image.fromarray(part.copy()).resize(size, Image.Resampling.LANCZOS))
            left = round(middle - width / 2)
            inside = slice(max(left, 0), min(left + width, page.shape[1]))
            page[top:bottom, inside] = whole[:, inside.start - left : inside.stop - left]


def _cut(grey: Grey, cell: Box, em: float) -> Grey:
    """A cell with a little of what is beside it, where strokes may reach."""
    side = round(0.06 * em)
    return grey[max(cell.top, 0) : cell.bottom, max(cell.left - side, 0) : cell.right + side]


def _parted(rows: npt.NDArray[np.float64], pitch: float) -> tuple[float, list[tuple[int, int]]]:
    """The cheapest way to part rows of ink (shares of a character's width) into characters: its cost for
    each, and where each starts and ends."""
    num = len(rows)
    low, high = (max(round(share * pitch), 1) for share in HEIGHTS)
    # A cut between two rows goes through what both of them share.
    through = INK_CUT * np.minimum(np.append(rows, 0.0), np.insert(rows, 0, 0.0))
    ink = np.insert(rows.cumsum(), 0, 0.0)
    best, came = np.full(num + 1, np.inf), np.full(num + 1, -1)
    best[0] = 0.0
    for end in range(1, num + 1):
        if rows[end - 1] == 0:
            best[end], came[end] = best[end - 1], end - 1
        starts = np.arange(max(end - high, 0), max(end - low + 1, 0))
        costs = best[starts] + ((end - starts) / pitch - 1) ** 2 + through[starts] + through[end]
        # A character has ink.
        costs[ink[end] - ink[starts] <= 0] = np.inf
        if len(costs) and costs.min() < best[end]:
            best[end], came[end] = costs.min(), starts[costs.argmin()]
    cuts: list[tuple[int, int]] = []
    end = num
    while end > 0 and came[end] >= 0:
        start = int(came[end])
        if end - start > 1 or rows[start]:
            cuts.append((start, end))
        end = start
    return float(best[num]) / max(len(cuts), 1), cuts[::-1]
