"""Smooth noise and drawn strokes: what damage is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Field = npt.NDArray[np.float32]
"""H x W, mostly from 0 to 1."""
Values = npt.NDArray[np.float32]
"""A picture at work: H x W x 3, 0 to 255."""

FINER = 3
"""Strokes are drawn so many times larger and reduced, for soft edges."""


def clouds(shape: tuple[int, int], scale: float, rng: np.random.Generator, along: float = 1.0) -> Field:
    """Smooth noise from 0 to 1, its spots `scale` pixels high and `along` times as wide."""
    height = max(math.ceil(shape[0] / scale), 1) + 1
    width = max(math.ceil(shape[1] / (scale * along)), 1) + 1
    coarse = Image.fromarray(rng.random((height, width), np.float32))
    fine = coarse.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    noise: Field = np.clip(np.asarray(fine), 0.0, 1.0)
    return noise


class Strokes:
    """A sheet on which lines, spots and patches are drawn, with soft edges; 0 where there is none."""

    def __init__(self, height: int, width: int) -> None:
        self.shape = height, width
        self._sheet = Image.new("L", (width * FINER, height * FINER))
        self._draw = ImageDraw.Draw(self._sheet)

    def line(self, points: Sequence[tuple[float, float]], width: float, value: float = 1.0) -> None:
        """A line through (x, y) points, `width` pixels wide; `value` of it, 0 to 1, covers."""
        enlarged = [(x * FINER, y * FINER) for x, y in points]
        # Thinner than the sheet can draw: fainter instead.
        drawn = max(width * FINER, 1.0)
        shade = round(255 * value * min(width * FINER / drawn, 1.0))
        self._draw.line(enlarged, shade, round(drawn), joint="curve")

    def spot(self, x: float, y: float, radius: float, value: float = 1.0) -> None:
        """A round spot."""
        box = [(x - radius) * FINER, (y - radius) * FINER, (x + radius) * FINER, (y + radius) * FINER]
        self._draw.ellipse(box, round(255 * value))

    def patch(self, points: Sequence[tuple[float, float]], value: float = 1.0) -> None:
        """The inside of a line through (x, y) points."""
        self._draw.polygon([(x * FINER, y * FINER) for x, y in points], round(255 * value))

    def cover(self) -> Field:
        """How much of each pixel is covered."""
        height, width = self.shape
        cover: Field = np.asarray(self._sheet.reduce(FINER), np.float32)[:height, :width] / np.float32(255)
        return cover


def wobbly(
    start: tuple[float, float], angle: float, length: float, num: int, bend: float, rng: np.random.Generator
) -> list[tuple[float, float]]:
    """(x, y) points of a line from `start` in about one direction, which turns by about `bend` a step."""
    angles = angle + np.cumsum(rng.normal(0.0, bend, num))
    steps = length / num * np.stack([np.cos(angles), np.sin(angles)], 1)
    points = np.concatenate([[start], np.array(start) + np.cumsum(steps, 0)])
    return [(float(x), float(y)) for x, y in points]


def blob(
    x: float, y: float, radius: float, rng: np.random.Generator, rough: float = 0.3
) -> list[tuple[float, float]]:
    """(x, y) points of a closed outline about `radius` from its middle."""
    num = 24
    turns = np.arange(num) * (2 * math.pi / num)
    radii = np.ones(num)
    for wave in range(2, 8):
        radii += rough / wave * rng.normal() * np.cos(wave * turns + rng.uniform(0, 2 * math.pi))
    radii = radius * np.clip(radii, 0.3, 2.0)
    return [
        (x + float(r * math.cos(t)), y + float(r * math.sin(t))) for r, t in zip(radii, turns, strict=True)
    ]


def over(values: Values, cover: Field, colour: npt.NDArray[np.floating]) -> Values:
    """The picture with a colour laid over it where `cover` says."""
    share = cover[..., None]
    laid: Values = values + share * (colour.astype(np.float32) - values)
    return laid
