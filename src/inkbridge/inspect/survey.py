"""One look at every picture of a folder: size, frame, colour, line; and what all pictures share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from inkbridge.errors import DataError
from inkbridge.images import RGB, find_pictures, read_picture, reduced
from inkbridge.inspect.culture import traits
from inkbridge.metrics.colour import to_lab
from inkbridge.metrics.line import Line, measure_line
from inkbridge.metrics.sight import Seen, Sight

Floats = npt.NDArray[np.float64]

SIDE = 256
"""Pictures are looked at with this short side."""
KEPT_SIDE = 128
"""Short side of what is kept of each picture."""
GRAY_CHROMA = 4.0
FADED_RANGE = 45.0
"""A picture whose lightness (0 to 100) has less than this between its 2nd and 98th percentile is faded."""
CAST = 18.0
"""A picture whose mean colour is farther from gray than this, and that has hardly another hue, has a cast."""
_CALM, _STEP = 7.0, 10.0
"""A frame's rows vary by less than the first (standard deviation, of 255) and end in a step of the second."""
MARK_SHARE = 0.001
_MARK_SIGMAS, _MARK_AGREEMENT = 4.5, 0.4
_ANCHORS = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5))
"""Where marks are put: how far down and right, as shares."""


@dataclass(frozen=True)
class Facts:
    """What is known of one picture."""

    path: Path
    width: int
    height: int
    frame: float
    """Width of a plain frame or mat as a share of the short side; 0 without one."""
    chroma: float
    """Mean CIELAB chroma: below GRAY_CHROMA the picture is gray."""
    light_range: float
    """Lightness from dark to light, of 100."""
    cast: float
    """How far the mean colour is from gray, in CIELAB."""
    line: Line
    traits: dict[str, Floats]
    """A short vector for each axis of `culture.AXES`."""
    small: RGB
    """The picture with a short side of at most KEPT_SIDE."""
    seen: Seen | None = None
    """What the eye sees of it, if one looks."""

    @property
    def is_gray(self) -> bool:
        return self.chroma < GRAY_CHROMA

    @property
    def is_faded(self) -> bool:
        return self.light_range < FADED_RANGE

    @property
    def is_of_one_hue(self) -> bool:
        # Hues that differ cancel in the mean colour.
        return self.cast > max(CAST, 0.9 * self.chroma)


@dataclass(frozen=True)
class Survey:
    """What is known of a folder."""

    folder: Path
    pictures: list[Facts]
    unreadable: list[str]
    """One sentence for each file that cannot be used."""


def survey(
    folder: Path,
    report: Callable[[int, int], None] = lambda done, total: None,
    sight: Sight | None = None,
) -> Survey:
    """Look at every picture of `folder`, through an eye too if there is one.

    Raises DataError when the folder does not exist.
    """
    files = find_pictures(folder)
    facts, unreadable = [], []
    for i, file in enumerate(files):
        try:
            facts.append(look_at(file, read_picture(file).rgb, sight))
        except DataError as error:
            unreadable.append(str(error))
        report(i + 1, len(files))
    return Survey(folder, facts, unreadable)


def look_at(path: Path, rgb: RGB, sight: Sight | None = None) -> Facts:
    """The facts of one decoded picture."""
    picture = reduced(rgb, SIDE)
    lab = to_lab(picture).reshape(-1, 3)
    low, high = np.percentile(lab[:, 0], [2, 98])
    line = measure_line(picture)
    return Facts(
        path,
        rgb.shape[1],
        rgb.shape[0],
        frame_width(picture),
        float(np.hypot(lab[:, 1], lab[:, 2]).mean()),
        float(high - low),
        float(np.hypot(*lab[:, 1:].mean(0))),
        line,
        traits(picture, lab, line),
        reduced(picture, KEPT_SIDE),
        None if sight is None else sight.see(rgb),
    )


def frame_width(picture: RGB) -> float:
    """Mean width of a plain frame as a share of the short side, 0 when there is none.

    A frame has one colour and ends in a straight step, on at least three sides or on two opposite ones.
    """
    gray = np.asarray(Image.fromarray(picture).convert("L"), np.float32)
    # Each side in turn as the top.
    sides = [gray, np.rot90(gray), np.rot90(gray, 2), np.rot90(gray, 3)]
    widths = [_plain_rows(side) for side in sides]
    framed = [width > 0 for width in widths]
    if sum(framed) < 3 and not (framed[0] and framed[2]) and not (framed[1] and framed[3]):
        return 0.0
    colours = [float(side[0].mean()) for side, width in zip(sides, widths, strict=True) if width]
    if max(colours) - min(colours) > 2 * _STEP:
        return 0.0
    found = [width for width in widths if width]
    width: float = np.mean(found) / min(gray.shape)
    return width


def _plain_rows(gray: npt.NDArray[np.float32]) -> int:
    """Rows from the top that are plain and of one colour, if a step along most of the side ends them."""
    colour = np.median(gray[0])
    limit = len(gray) // 3
    rows = 0
    # The corners belong to the frame at the sides; what is inside begins further in.
    inner = gray[:, gray.shape[1] // 12 : -(gray.shape[1] // 12) or None]
    while rows < limit and inner[rows].std() < _CALM and abs(np.median(inner[rows]) - colour) < _CALM:
        rows += 1
    if rows < max(3, round(0.015 * min(gray.shape))) or rows == limit:
        return 0
    after = inner[min(rows + 1, len(gray) - 1)]
    return rows if (np.abs(after - colour) > _STEP).mean() > 0.6 else 0


def shared_mark(pictures: Sequence[RGB]) -> float:
    """Share of a corner or the centre in which fine detail agrees between pictures: a watermark, a stamp.

    Above MARK_SHARE there is one. 0 for fewer than 24 pictures, too few to tell.
    """
    if len(pictures) < 24:
        return 0.0
    margin = KEPT_SIDE // 16  # mounts and frames end at the same place in many pictures
    total = np.zeros((len(_ANCHORS), KEPT_SIDE, KEPT_SIDE))
    for picture in pictures:
        gray = Image.fromarray(picture).convert("L")
        # Marks keep their shape, and their distance from a corner, however long the picture is.
        scale = KEPT_SIDE / min(gray.size)
        size = (round(gray.width * scale), round(gray.height * scale))
        gray = gray.resize(size, Image.Resampling.BOX)
        detail = np.asarray(gray, np.float32) - np.asarray(
            gray.filter(ImageFilter.GaussianBlur(1.5)), np.float32
        )
        signs = np.sign(detail) * (np.abs(detail) > 1.0)
        for k, (down, right) in enumerate(_ANCHORS):
            top, left = (
                round(share * (side - KEPT_SIDE))
                for share, side in zip((down, right), signs.shape, strict=True)
            )
            total[k] += signs[top : top + KEPT_SIDE, left : left + KEPT_SIDE]
    agreement = np.abs(total[:, margin:-margin, margin:-margin]) / len(pictures)
    # Of many pictures of one kind, faces say, some agree a little at each place.
    least = max(_MARK_SIGMAS / np.sqrt(len(pictures)), _MARK_AGREEMENT)
    return float((agreement > least).mean((1, 2)).max())
