"""What a picture is to look like: which styles, how much of them, where."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from inkbridge.errors import ConfigError, DataError
from inkbridge.images import RGB, Picture, from_pil, read_picture

AnyPicture = RGB | Image.Image | str | os.PathLike[str]
Code = npt.NDArray[np.float32]
"""A style code: 1 x the pack's length of a code."""
Styles = str | Mapping[str, float] | Code
"""A style's name, several with their weights, or a code that `StylePack.code` gave."""
Examples = AnyPicture | Sequence[AnyPicture | tuple[AnyPicture, float]]
"""An example picture, or several, with or without weights."""

MAX_STRENGTH = 1.3
MIN_STROKE, MAX_STROKE = 0.25, 4.0
FULL: Literal["full"] = "full"
"""In place of a stroke's width: every pixel of the picture is painted, however small strokes then are."""
ROWS = 256
"""Pictures are blended in bands of this many rows, so that a large one needs no large float copy."""


LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""What red, green and blue give to the light of a pixel (Rec. 601)."""


@dataclass(frozen=True)
class Look:
    """Everything `StylePack.apply` can be told about the result."""

    style: Styles | None = None
    like: Examples | None = None
    """Examples whose style is wanted; fused with `style` if both are given."""
    outside: Styles | None = None
    """The style outside of `mask`; None leaves the picture as it is there."""
    strength: float = 1.0
    """0 is the picture itself, 1 the full style, up to 1.3 beyond it."""
    keep_colour: float = 0.0
    """1 keeps the picture's own colours and takes only light and line from the style."""
    stroke: float | Literal["full"] = 1.0
    """How broad strokes are, as a share of the picture: 1 as in the pack's style, above it broader, below
    finer, from 0.25 to 4. "full" paints pixel by pixel; of a large picture strokes are too fine to see."""
    mask: AnyPicture | None = None
    """Where the style goes: white; nowhere: black. Resized to the picture, its edges softened."""

    def check(self) -> None:
        """Raises ConfigError for a number out of its range."""
        for name, value, low, high in (
            ("strength", self.strength, 0.0, MAX_STRENGTH),
            ("keep_colour", self.keep_colour, 0.0, 1.0),
        ):
            if not low <= value <= high:
                raise ConfigError(f"{name} = {value} cannot be used: it must be from {low:g} to {high:g}.")
        stroke = self.stroke
        number = isinstance(stroke, Real) and not isinstance(stroke, bool)
        if not (isinstance(stroke, str) and stroke == FULL) and not (
            number and MIN_STROKE <= stroke <= MAX_STROKE
        ):
            raise _no_stroke(stroke)
        if self.outside is not None and self.mask is None:
            raise ConfigError("outside needs a mask: it is the style of what the mask leaves out.")


def no_detail(given: object) -> None:
    """Raises ConfigError where somebody still asks for `detail`, which `stroke` took the place of."""
    if given is not None:
        raise ConfigError(
            f"detail = {given} cannot be used any more: stroke says how broad strokes are. Above 1 they are "
            f"broader, below finer; {FULL} paints a picture as detail 1 did."
        )


def stroke_of(text: str) -> float | Literal["full"]:
    """What somebody typed as a stroke's width; ConfigError when it is none."""
    if text.strip().lower() == FULL:
        return FULL
    try:
        return float(text)
    except ValueError:
        raise _no_stroke(text) from None


def _no_stroke(given: object) -> ConfigError:
    said = f"it must be from {MIN_STROKE:g} to {MAX_STROKE:g}, or {FULL}"
    return ConfigError(f"stroke = {given} cannot be used: {said}.")


def weighted_styles(styles: Styles | None) -> list[tuple[str | Code, float]]:
    """(name or code, weight) of each style."""
    if styles is None:
        return []
    if isinstance(styles, str | np.ndarray):
        return [(styles, 1.0)]
    return [(name, styles[name]) for name in styles]


def weighted_examples(examples: Examples | None) -> list[tuple[AnyPicture, float]]:
    """(picture, weight) of each example."""
    if examples is None:
        return []
    if isinstance(examples, str | os.PathLike | Image.Image | np.ndarray):
        return [(examples, 1.0)]
    return [example if isinstance(example, tuple) else (example, 1.0) for example in examples]


def weighted_name(text: str) -> tuple[str, float]:
    """NAME:WEIGHT -> (NAME, WEIGHT); NAME alone has weight 1."""
    name, colon, weight = text.rpartition(":")
    try:
        return (name, float(weight)) if colon and name else (text, 1.0)
    except ValueError:
        return text, 1.0


def shares(weights: Sequence[float]) -> list[float]:
    """Weights scaled to a sum of 1; raises ConfigError for negative or infinite ones, or all 0."""
    for weight in weights:
        if not 0.0 <= weight < math.inf:
            raise ConfigError(f"weight {weight} cannot be used: weights are 0 or more.")
    total = sum(weights)
    if total == 0.0:
        raise ConfigError("All weights are 0; at least one must be more.")
    return [weight / total for weight in weights]


def open_picture(picture: AnyPicture) -> Picture:
    """Decode a path, take over an image or an array; raises DataError when it cannot be used."""
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise DataError(
                f"The array is {picture.dtype} {list(picture.shape)}; expected uint8, height x width x 3."
            )
        return Picture(picture)
    return from_pil(picture) if isinstance(picture, Image.Image) else read_picture(picture)


def soft_mask(mask: AnyPicture, height: int, width: int) -> tuple[npt.NDArray[np.uint8], list[str]]:
    """The mask as height x width uint8 with softened edges, and what had to be done to it, in words.

    Edges are blurred by a Gaussian of 1/200 of the short side, at least one pixel.
    """
    if isinstance(mask, np.ndarray) and mask.ndim == 2 and mask.dtype == np.uint8:
        image = Image.fromarray(mask)
    else:
        image = Image.fromarray(open_picture(mask).rgb).convert("L")
    notes = []
    if image.size != (width, height):
        notes.append(f"the mask was resized from {image.width} x {image.height} to {width} x {height}")
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    blurred = image.filter(ImageFilter.GaussianBlur(max(min(height, width) / 200, 1.0)))
    return np.asarray(blurred), notes


def mix(first: RGB, second: RGB, share: float | npt.NDArray[np.uint8]) -> RGB:
    """first + share x (second - first), clipped; `share` is a number or an H x W mask (255 is 1)."""
    out = np.empty_like(first)
    for top in range(0, len(first), ROWS):
        band = slice(top, top + ROWS)
        step = second[band].astype(np.float32) - first[band]
        if isinstance(share, np.ndarray):
            step *= share[band, :, None].astype(np.float32) / np.float32(255)
        else:
            step *= np.float32(share)
        mixed = first[band] + step
        out[band] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    return out


def with_colour_of(content: RGB, result: RGB, share: float) -> RGB:
    """The light of `result` with its colour moved by `share` towards that of `content`.

    Light is luma (Rec. 601), colour what is left of a pixel without it.
    """
    out = np.empty_like(result)
    for top in range(0, len(result), ROWS):
        band = slice(top, top + ROWS)
        ours, theirs = content[band].astype(np.float32), result[band].astype(np.float32)
        colour = (ours - (ours @ LUMA)[..., None]) - (theirs - (theirs @ LUMA)[..., None])
        out[band] = np.clip(np.rint(theirs + np.float32(share) * colour), 0, 255).astype(np.uint8)
    return out
