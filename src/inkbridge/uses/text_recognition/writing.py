"""Lines of text in a hand and, aligned glyph by glyph, in print: what a normaliser of writing learns from.

A hand is a font. No script is known by name: whatever characters both fonts have can be drawn, each by
itself, from left to right; writing whose letters must be joined or reordered cannot.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from inkbridge.errors import DataError
from inkbridge.images import RGB, find_pictures
from inkbridge.uses.text_recognition.wear import Ink, paint, worn

LINE_HEIGHT = 48
"""Lines are normalised this many pixels high, to which Tesseract and PP-OCR reduce lines themselves: at 64
neither print nor brush is read better, and a line costs 1.8 times as much."""
EM = 32
"""Size of print within them, in pixels."""
PRINT = (240.0, 240.0, 240.0), (15.0, 15.0, 15.0)
"""Paper and ink of print, 0 to 255: at the ends of its range a generator has hardly a gradient left."""
DRAWN = 2
"""Lines are drawn, and worn, so many times larger."""
SIZES = 0.88, 0.96, 1.04, 1.12
"""Of writing, as shares of EM: few, because to open a font at a size takes longer than to draw a line."""
_NO_CHARACTER = "\U0010ffff"


@dataclass(frozen=True)
class Hand:
    """A font as a writer's hand."""

    path: Path
    index: int = 0
    """Which of the fonts of a collection (.ttc)."""

    @cached_property
    def _missing(self) -> bytes:
        return self._mask(_NO_CHARACTER)

    def writes(self, text: str) -> bool:
        """Whether it can write all of a text; spaces count as written."""
        return all(self._has(char) for char in text if not char.isspace())

    def _mask(self, char: str) -> bytes:
        return bytes(self.at(32).getmask(char, mode="1"))

    @lru_cache(maxsize=20_000)  # noqa: B019 - hands are few and live as long as the program
    def _has(self, char: str) -> bool:
        """Whether it can write the character (and not only a box in its place)."""
        mask = self._mask(char)
        return any(mask) and mask != self._missing

    @lru_cache(maxsize=256)  # noqa: B019
    def at(self, size: int) -> ImageFont.FreeTypeFont:
        """The font at a size in pixels; raises DataError for a file that is none."""
        try:
            return ImageFont.truetype(os.fspath(self.path), size, self.index)
        except OSError as error:
            raise DataError(f"'{self.path}' cannot be read as a font: {error}.") from None


@dataclass(frozen=True)
class Pair:
    """A line in a hand and, aligned glyph by glyph, in print."""

    hand: Ink
    """DRAWN LINE_HEIGHT x W of ink, 0 (none) to 1."""
    printed: Ink
    """The same shape."""
    glyphs: list[tuple[str, float]]
    """Each character and the pixel from the left at which its middle is, in both."""


def draw_pair(text: str, hand: Hand, plain: Hand, rng: np.random.Generator) -> Pair:
    """A line of `text` in a hand, its spacing and size varied, and in print.

    Each printed glyph has the centre, from left to right, of the written one; all stand on one line at DRAWN
    EM pixels. Writing is spread until printed glyphs do not touch.
    """
    em, height = round(EM * DRAWN), round(LINE_HEIGHT * DRAWN)
    size = round(em * rng.choice(SIZES))
    written, printed = hand.at(size), plain.at(em)
    loose = rng.uniform(-0.02, 0.15) * size
    baseline = height * 0.5 + em * 0.38
    places: list[tuple[str, float, float]] = []
    glyphs: list[tuple[str, float]] = []
    cursor, print_end = em / 2, 0.0
    for char in text:
        advance = written.getlength(char)
        if char.isspace():
            cursor += max(advance, 0.25 * em)
            continue
        left, _, right, _ = written.getbbox(char, anchor="ls")
        print_left, _, print_right, _ = printed.getbbox(char, anchor="ls")
        half = (print_right - print_left) / 2
        centre = cursor + (left + right) / 2
        held = max(print_end + 0.04 * em + half - centre, 0.0)
        cursor, centre = cursor + held, centre + held
        places.append((char, cursor, centre - (print_left + print_right) / 2))
        glyphs.append((char, centre))
        print_end = centre + half
        cursor += advance + loose + rng.normal(0.0, 0.015) * size
    width = round(max(cursor, print_end) + em / 2)
    ink, print_ink = (Image.new("L", (width, height)) for _ in range(2))
    for char, at, print_at in places:
        shift = rng.normal(0.0, 0.012) * size
        ImageDraw.Draw(ink).text((at, baseline + shift), char, fill=255, font=written, anchor="ls")
        ImageDraw.Draw(print_ink).text((print_at, baseline), char, fill=255, font=printed, anchor="ls")
    return Pair(_as_ink(ink), _as_ink(print_ink), glyphs)


def draw_line(text: str, hand: Hand, plain: Hand, rng: np.random.Generator, wear: bool) -> RGB:
    """A line as a normaliser is given it: LINE_HEIGHT x W x 3, clean black on white or worn."""
    ink = draw_pair(text, hand, plain, rng).hand
    return reduced(worn(ink, rng) if wear else paint(ink))


class LinePairs:
    """A random text in the hand of a random font that can write it, worn and on paper, and the same in clean
    print: as many as wanted."""

    def __init__(self, texts: Sequence[str], hands: Sequence[Hand], plain: Hand, seed: int = 0) -> None:
        """Raises DataError when no hand can write any of the texts."""
        needed = [frozenset(char for char in text if not char.isspace()) for text in texts]
        known = {
            hand: {char for char in frozenset().union(*needed) if hand.writes(char)}
            for hand in [plain, *hands]
        }
        possible = [
            (text, [hand for hand in hands if characters <= known[hand]])
            for text, characters in zip(texts, needed, strict=True)
            if characters <= known[plain]
        ]
        # Text first: languages then come as often as their lines do, whatever the number of their fonts.
        self._able = [(text, able) for text, able in possible if able]
        self._plain, self._seed = plain, seed
        if not self._able:
            raise DataError(
                f"None of the {len(hands)} fonts has all characters of any of the {len(texts)} texts."
            )
        facts = [seed, *texts, *(f"{hand.path.resolve()} {hand.index}" for hand in [*hands, plain])]
        self.told = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        """Differs where pairs do."""

    def draw(self, at: int) -> tuple[RGB, RGB]:
        """The pair of a number, hand and print, each LINE_HEIGHT x W x 3."""
        rng = np.random.default_rng([self._seed, at])
        text, hands = self._able[rng.integers(len(self._able))]
        pair = draw_pair(text, hands[rng.integers(len(hands))], self._plain, rng)
        return reduced(worn(pair.hand, rng)), reduced(paint(pair.printed, *PRINT))


def read_texts(path: Path) -> list[str]:
    """The lines of a text file that have text; raises DataError where there are none to be had."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text: {error}.") from None
    if not lines:
        raise DataError(f"{path} has no lines with text.")
    return lines


def shuffled_lines(lines: Sequence[str], num: int, rng: np.random.Generator) -> list[str]:
    """`num` lines of random characters, as long as lines here are; every character is as frequent as any."""
    characters = sorted({char for line in lines for char in line if not char.isspace()})
    lengths = [len(line) for line in lines]
    return ["".join(rng.choice(characters, lengths[rng.integers(len(lengths))]).tolist()) for _ in range(num)]


def write_pairs(
    out_dir: Path, pairs: LinePairs, num: int, on_pair: Callable[[int], None] = lambda done: None
) -> None:
    """Write the first `num` pairs as PNGs of equal names into `out_dir`/hand and `out_dir`/print, for recipe
    `paired`.

    Those that are there are not drawn again. Raises DataError when there are pictures of another kind.
    """
    folders = [out_dir / side for side in ("hand", "print")]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    note = out_dir / "drawn-from.sha256"
    if not note.exists() or note.read_text() != pairs.told:
        if any(find_pictures(folder) for folder in folders):
            raise DataError(f"'{out_dir}' has pictures of another command already. Give another folder.")
        note.write_text(pairs.told)
    for at in range(num):
        files = [folder / f"{at:06d}.png" for folder in folders]
        if not all(file.exists() for file in files):
            for file, rgb in zip(files, pairs.draw(at), strict=True):
                part = file.with_suffix(".part")
                Image.fromarray(rgb).save(part, "PNG", compress_level=1)
                part.replace(file)
        on_pair(at + 1)


def reduced(rgb: RGB) -> RGB:
    """A drawn line at LINE_HEIGHT."""
    size = round(rgb.shape[1] / DRAWN), LINE_HEIGHT
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))


def _as_ink(image: Image.Image) -> Ink:
    return np.asarray(image, np.float32) / np.float32(255.0)
