"""What happens to the sheet: scratches, creases, dust, stains, holes. These hide the picture in places."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageFilter

from inkbridge.damage.fields import Field, Strokes, Values, blob, clouds, over, wobbly


def scratches(values: Values, strength: float, unit: float, rng: np.random.Generator) -> Values:
    """Fine lines, most of them in one direction, where the picture's layer is gone or dirt lies in."""
    height, width = values.shape[:2]
    main = rng.uniform(0, math.pi)
    light = rng.random() < 0.7
    for _ in range(_count(values, 10 * strength, unit, rng)):
        sheet = Strokes(height, width)
        angle = main + rng.normal(0, 0.15) if rng.random() < 0.7 else rng.uniform(0, math.pi)
        length = rng.uniform(20, 320) * unit
        points = wobbly(_place(values, rng), angle, length, 12, rng.uniform(0, 0.12), rng)
        thick = unit * rng.uniform(0.4, 1.0 + 1.2 * strength)
        sheet.line(points, thick, rng.uniform(0.5, 1.0))
        cover = sheet.cover()
        if rng.random() < 0.4:  # it skips
            cover = cover * (clouds((height, width), 12 * unit, rng) > rng.uniform(0.2, 0.5))
        tone = rng.uniform(200, 255) if light else rng.uniform(0, 60)
        values = over(values, cover, tone + rng.normal(0, 8, 3))
    return values


def creases(values: Values, strength: float, unit: float, rng: np.random.Generator) -> Values:
    """Folds from side to side: the layer broken along a line, shade on one flank."""
    height, width = values.shape[:2]
    for _ in range(1 + rng.poisson(1.2 * strength)):
        sheet, flank = Strokes(height, width), Strokes(height, width)
        angle = rng.uniform(0, math.pi)
        x, y = _place(values, rng)
        reach = height + width
        start = x - reach / 2 * math.cos(angle), y - reach / 2 * math.sin(angle)
        points = wobbly(start, angle, reach, 60, 0.02 + 0.03 * strength, rng)
        thick = unit * rng.uniform(0.6, 1.0 + 2.5 * strength)
        sheet.line(points, thick)
        flank.line([(px + 2 * thick, py + thick) for px, py in points], 4 * thick, 0.6)
        broken = sheet.cover() * (clouds((height, width), 4 * unit, rng) > rng.uniform(0.1, 0.5))
        shade = _blurred(flank.cover(), 1.5 * unit)[..., None]
        values = values * (1 - rng.uniform(0.1, 0.5) * strength * shade)
        values = over(values, broken, rng.uniform(190, 250) + rng.normal(0, 6, 3))
    return values


def dust(values: Values, strength: float, unit: float, rng: np.random.Generator) -> Values:
    """Specks and hairs, light on a print from a dusty negative, dark on a scanner's glass."""
    height, width = values.shape[:2]
    sheet = Strokes(height, width)
    for _ in range(_count(values, 250 * strength, unit, rng)):
        x, y = _place(values, rng)
        if rng.random() < 0.12:
            hair = wobbly((x, y), rng.uniform(0, 2 * math.pi), rng.uniform(5, 25) * unit, 8, 0.5, rng)
            sheet.line(hair, 0.7 * unit, rng.uniform(0.5, 1.0))
        else:
            sheet.spot(x, y, unit * min(rng.exponential(0.5) + 0.3, 2.5), rng.uniform(0.5, 1.0))
    tone = rng.uniform(200, 255) if rng.random() < 0.6 else rng.uniform(0, 70)
    return over(values, sheet.cover(), tone + rng.normal(0, 6, 3))


def stains(values: Values, strength: float, unit: float, rng: np.random.Generator) -> Values:
    """Spilled coffee, tea, oil, ink: brown or grey, darker at the rim, the picture shining through."""
    height, width = values.shape[:2]
    for _ in range(1 + rng.poisson(1.5 * strength)):
        sheet = Strokes(height, width)
        x, y = _place(values, rng)
        sheet.patch(blob(x, y, rng.uniform(8, 60) * unit, rng))
        inside = sheet.cover()
        soft = _blurred(inside, rng.uniform(1, 5) * unit)
        rim = np.clip(4 * soft * (1 - soft), 0, 1)
        depth = strength * (rng.uniform(0.2, 0.8) * soft + rng.uniform(0.0, 0.5) * rim * inside)
        depth *= 0.6 + 0.4 * clouds((height, width), 10 * unit, rng)
        values = _soaked(values, depth, rng)
    return values


def foxing(values: Values, strength: float, unit: float, rng: np.random.Generator) -> Values:
    """Rust-brown freckles of old paper."""
    height, width = values.shape[:2]
    sheet = Strokes(height, width)
    for _ in range(_count(values, 90 * strength, unit, rng)):
        sheet.spot(*_place(values, rng), unit * min(rng.exponential(1.6) + 0.6, 7), rng.uniform(0.3, 1.0))
    depth = strength * rng.uniform(0.4, 0.9) * _blurred(sheet.cover(), rng.uniform(0.5, 1.5) * unit)
    return _soaked(values, depth, rng)


def water(values: Values, strength: float, unit: float, rng: np.random.Generator) -> Values:
    """Where water stood: a tint that ends in a thin brown tide line."""
    height, width = values.shape[:2]
    field = clouds((height + 2, width + 2), rng.uniform(50, 150) * unit, rng)
    level = float(np.quantile(field, rng.uniform(0.3, 0.8)))
    steep = np.maximum(np.hypot(*np.gradient(field)), 1e-4)
    away = ((field - level) / steep)[1:-1, 1:-1]  # in pixels, positive where it was wet
    line = np.exp(-np.maximum(away, 0) / (rng.uniform(1.5, 5) * unit)) * (away > -0.7)
    depth = strength * (rng.uniform(0.3, 0.8) * line + rng.uniform(0.05, 0.25) * (away > 0))
    return _soaked(values, _blurred(depth.astype(np.float32), 0.4 * unit), rng)


def holes(values: Values, strength: float, unit: float, rng: np.random.Generator) -> Values:
    """Pieces that are gone: worms, flaked paint, a hole; what lies below is flat."""
    height, width = values.shape[:2]
    sheet = Strokes(height, width)
    for _ in range(1 + rng.poisson(3 * strength)):
        x, y = _place(values, rng)
        sheet.patch(blob(x, y, unit * min(rng.exponential(7) + 2, 10 + 20 * strength), rng, 0.5))
    return over(values, sheet.cover(), _ground(rng))


def tears(values: Values, strength: float, unit: float, rng: np.random.Generator) -> Values:
    """Wedges torn into the sheet from its border."""
    height, width = values.shape[:2]
    sheet = Strokes(height, width)
    for _ in range(1 + rng.poisson(strength)):
        side, along = rng.integers(4), rng.random()
        start = [
            (along * width, 0.0),
            (along * width, float(height)),
            (0.0, along * height),
            (float(width), along * height),
        ]
        angle = [math.pi / 2, -math.pi / 2, 0.0, math.pi][side] + rng.normal(0, 0.4)
        length = rng.uniform(25, 60 + 120 * strength) * unit
        middle = wobbly(start[side], angle, length, 14, 0.25, rng)
        opening = unit * rng.uniform(4, 10 + 20 * strength)
        across = math.cos(angle + math.pi / 2), math.sin(angle + math.pi / 2)
        flanks = []
        for sign in (-1, 1):
            half = [sign * opening / 2 * (1 - i / 14) * rng.uniform(0.6, 1.3) for i in range(15)]
            flanks.append(
                [(x + h * across[0], y + h * across[1]) for (x, y), h in zip(middle, half, strict=True)]
            )
        sheet.patch([*flanks[0], *reversed(flanks[1])])
    return over(values, sheet.cover(), _ground(rng))


def _soaked(values: Values, depth: Field, rng: np.random.Generator) -> Values:
    brown = np.array([rng.uniform(0.25, 0.5), rng.uniform(0.45, 0.7), rng.uniform(0.7, 1.0)])
    if rng.random() < 0.2:
        brown = np.full(3, rng.uniform(0.5, 0.9)) + rng.normal(0, 0.05, 3)
    soaked: Values = (values * (1 - depth[..., None] * brown)).astype(np.float32)
    return soaked


def _ground(rng: np.random.Generator) -> Values:
    tone = rng.choice([250.0, 225.0, 20.0]) + rng.uniform(-15, 5)
    warm = np.array([1.0, rng.uniform(0.9, 1.0), rng.uniform(0.75, 1.0)])
    ground: Values = (tone * warm).astype(np.float32)
    return ground


def _count(values: Values, on_whole: float, unit: float, rng: np.random.Generator) -> int:
    """How many there are, of which `on_whole` lie on a picture of 400 x 600 units on average."""
    area = values.shape[0] * values.shape[1] / (unit * unit * 400 * 600)
    # At least one, so that a small picture that is to be damaged is.
    return max(int(rng.poisson(on_whole * area * rng.uniform(0.5, 1.5))), 1)


def _place(values: Values, rng: np.random.Generator) -> tuple[float, float]:
    return float(rng.uniform(0, values.shape[1])), float(rng.uniform(0, values.shape[0]))


def _blurred(field: Field, radius: float) -> Field:
    image = Image.fromarray((np.clip(field, 0, 1) * 255).astype(np.uint8))
    blurred: Field = np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32) / np.float32(255)
    return blurred
