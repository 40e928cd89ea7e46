"""A page read as it is and in the style that the recogniser knows, and of each line the surer reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inkbridge.errors import ConfigError, DataError
from inkbridge.images import RGB
from inkbridge.pack import StylePack
from inkbridge.uses.text_recognition.classical import METHODS
from inkbridge.uses.text_recognition.columns import as_line, find_characters, paste_column
from inkbridge.uses.text_recognition.page import (
    DIRECTIONS,
    Box,
    cut_line,
    find_lines,
    flat,
    paste_line,
    upright,
)
from inkbridge.uses.text_recognition.recogniser import Reading, Recogniser

SURER = 0.05
"""Of 180 lines in hands of training, gating at 0 makes 17 worse and at this 4, at as many errors in all; of
those that RapidOCR reads 8 and none."""


@dataclass
class LineReadings:
    """One line, read in several ways."""

    raw: Reading
    normalised: Reading
    picture: RGB
    """The normalised line."""
    classical: dict[str, Reading]
    """By method; empty where it was not asked for."""
    distance: float
    """How far the writing is from what the recogniser was trained on: 0 for print, 1 for what shares no
    stroke with it."""

    @property
    def gated(self) -> Reading:
        """The normalised reading where the recogniser is surer of it by SURER, else the raw one."""
        return self.normalised if self.normalised.confidence > self.raw.confidence + SURER else self.raw

    @property
    def best_classical(self) -> Reading:
        """The one of the classical readings that the recogniser is surest of."""
        return max(self.classical.values(), key=lambda reading: reading.confidence)


def read_lines(
    lines: Sequence[RGB], recogniser: Recogniser, pack: StylePack, classical: bool = False
) -> list[LineReadings]:
    """Read lines (LINE_HEIGHT x W x 3 uint8, as `page.cut_line` gives them); `classical`: so too."""
    pictures = [pack.apply(line) for line in lines]
    raw, normalised = recogniser.read(lines), recogniser.read(pictures)
    methods = METHODS if classical else {}
    others = {name: recogniser.read([method(line) for line in lines]) for name, method in methods.items()}
    return [
        LineReadings(
            raw[at],
            normalised[at],
            pictures[at],
            {name: readings[at] for name, readings in others.items()},
            distance_from(pictures[at], line),
        )
        for at, line in enumerate(lines)
    ]


def distance_from(normalised: RGB, line: RGB) -> float:
    """1 less the correlation of a line's ink with that of its normalised picture."""
    ours, theirs = (1.0 - flat(rgb).ravel() for rgb in (normalised, line))
    spread = float(ours.std() * theirs.std())
    return 1.0 - float(((ours - ours.mean()) * (theirs - theirs.mean())).mean()) / spread if spread else 1.0


@dataclass
class Page:
    """What was read on a page."""

    boxes: list[Box]
    lines: list[LineReadings]
    distance: float
    """The mean of that of its lines."""
    picture: RGB
    """The page with each line as the recogniser saw it where that was surer."""
    notes: list[str]
    """In words for the user."""

    @property
    def raw_confidence(self) -> float:
        """How sure the recogniser is of the lines as they are, on average: the less, the more normalising
        helps."""
        return float(np.mean([line.raw.confidence for line in self.lines]))


def read_page(
    rgb: RGB,
    recogniser: Recogniser,
    pack: StylePack,
    name: str = "The page",
    classical: bool = False,
    direction: str = "auto",
) -> Page:
    """Find the lines or columns of a page (H x W x 3 uint8) and read them; `name` is used in messages only.

    `direction` is one of page.DIRECTIONS. Raises DataError when there are none, ConfigError for another
    direction.
    """
    if direction not in DIRECTIONS:
        raise ConfigError(f"direction {direction} cannot be used: it must be {', '.join(DIRECTIONS)}.")
    found = find_lines(rgb, direction)
    if not found.boxes:
        raise DataError(f"{name}: no text found; the page is empty, or its ink is too faint.")
    notes, columns, standing = [], [], rgb
    if found.columns:
        notes.append(
            f"{name} is read in columns, from right to left. For lines on their side turn it; for lines that "
            "look like columns there is --direction lines."
        )
        standing = upright(rgb, found.lean)
        grey = flat(standing)
        columns = find_characters(grey, found.boxes)
        pictures = [as_line(grey, column) for column in columns]
    else:
        pictures = [cut_line(rgb, box) for box in found.boxes]
    lines = read_lines(pictures, recogniser, pack, classical)
    distance = float(np.mean([line.distance for line in lines]))
    page = standing.copy()
    for at, (box, line) in enumerate(zip(found.boxes, lines, strict=True)):
        if line.gated is not line.normalised:
            continue
        if columns:
            paste_column(page, columns[at], line.picture)
        else:
            paste_line(page, box, line.picture)
    boxes = [_leaning(box, found.lean, *rgb.shape[:2]) for box in found.boxes]
    return Page(boxes, lines, distance, upright(page, -found.lean), notes)


def _leaning(box: Box, lean: float, height: int, width: int) -> Box:
    """The box of a column on the page as it leans."""
    ends = [round(lean * (row - (height - 1) / 2)) for row in (box.top, box.bottom)]
    left, right = max(box.left + min(ends), 0), min(box.right + max(ends), width)
    return Box(left, box.top, right, box.bottom)
