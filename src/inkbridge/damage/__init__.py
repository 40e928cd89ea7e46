"""Damage, made: what time, hands and machines do to pictures, from a seed, with the mask of what is hidden.

    damaged = damage(rgb, {"scratches": 0.5, "faded": 0.8}, seed=3)
    damaged.rgb, damaged.mask

Kinds come in the order in which they befall a picture: its colours change, then its sheet is hurt, then it is
photographed or scanned and stored.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inkbridge.damage.capture import blurred, compressed, grainy, halftone, low_resolution, noisy
from inkbridge.damage.fields import Values
from inkbridge.damage.surface import creases, dust, foxing, holes, scratches, stains, tears, water
from inkbridge.damage.tone import cast, faded, uneven, yellowed
from inkbridge.errors import ConfigError
from inkbridge.images import RGB

Kind = Callable[[Values, float, float, np.random.Generator], Values]
"""(picture, strength from 0 to 1, pixels of a unit, random numbers) -> the picture damaged."""

TONE: dict[str, Kind] = {"faded": faded, "yellowed": yellowed, "cast": cast, "uneven": uneven}
"""Everywhere, in colours alone."""
SURFACE: dict[str, Kind] = {
    "stains": stains,
    "foxing": foxing,
    "water": water,
    "dust": dust,
    "scratches": scratches,
    "creases": creases,
    "holes": holes,
    "tears": tears,
}
"""In places; these are in the mask."""
CAPTURE: dict[str, Kind] = {
    "low-resolution": low_resolution,
    "blur": blurred,
    "grain": grainy,
    "noise": noisy,
    "halftone": halftone,
    "jpeg": compressed,
}
"""Everywhere, in each pixel."""
KINDS: dict[str, Kind] = {**TONE, **SURFACE, **CAPTURE}

VISIBLE = 10.0
"""A pixel is in the mask where damage to the sheet changed a channel of it by more than this, of 255."""
UNITS = 400
"""Units in a picture's short side: what is hurt is as large on a large scan as on a small one."""


@dataclass(frozen=True)
class Damaged:
    """A picture, damaged."""

    rgb: RGB
    mask: npt.NDArray[np.uint8]
    """H x W: 255 where damage to the sheet can be seen, else 0."""
    toned: RGB
    """The picture with changed colours, and nothing else."""


def damage(rgb: RGB, kinds: Mapping[str, float], seed: int = 0, unit: float | None = None) -> Damaged:
    """Damage a picture, H x W x 3 uint8, by kinds (names in `KINDS`) of a strength above 0, up to 1.

    The same seed gives the same damage. `unit` is the size of things in pixels; by default 1/400 of the short
    side. Raises ConfigError for an unknown kind or a strength out of its range.
    """
    for name, strength in kinds.items():
        if name not in KINDS:
            near = difflib.get_close_matches(name, KINDS, 1, 0.5)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ConfigError(f"'{name}' is no kind of damage.{hint} There are: {', '.join(KINDS)}.")
        if not 0.0 < strength <= 1.0:
            raise ConfigError(f"{name} = {strength:g} cannot be used: a strength is above 0 and at most 1.")
    unit = min(rgb.shape[:2]) / UNITS if unit is None else unit
    values = rgb.astype(np.float32)

    def befall(values: Values, table: Mapping[str, Kind]) -> Values:
        for name, kind in table.items():
            if name in kinds:
                # Its own numbers for each kind: leaving one out leaves the others as they are.
                rng = np.random.default_rng([seed, *name.encode()])
                values = kind(values, kinds[name], unit, rng)
        clipped: Values = np.clip(values, 0, 255).astype(np.float32)
        return clipped

    toned = befall(values, TONE)
    hurt = befall(toned, SURFACE)
    mask = (np.abs(hurt - toned).max(-1) > VISIBLE).astype(np.uint8) * np.uint8(255)
    taken = befall(hurt, CAPTURE)
    return Damaged(_whole(taken), mask, _whole(toned))


def draw_kinds(
    rng: np.random.Generator,
    names: tuple[str, ...] = tuple(KINDS),
    strengths: tuple[float, float] = (0.1, 1.0),
    chances: tuple[float, float, float] = (0.5, 0.7, 0.7),
) -> dict[str, float]:
    """A mixture of some of `names`, as pictures have them together; now and then none.

    `chances` are those that a picture's colours, its sheet and its pixels are damaged at all; then by one
    kind, or by two or three.
    """
    found: dict[str, float] = {}
    for table, chance in zip((TONE, SURFACE, CAPTURE), chances, strict=True):
        here = [name for name in table if name in names]
        if here and rng.random() < chance:
            num = min(int(rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15])), len(here))
            for name in rng.choice(here, num, replace=False):
                found[str(name)] = float(rng.uniform(*strengths))
    return found


def _whole(values: Values) -> RGB:
    return np.rint(values).astype(np.uint8)
