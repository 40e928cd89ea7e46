"""What time and light do to a picture's colours: everywhere, and leaving every line in place."""

from __future__ import annotations

import numpy as np

from inkbridge.damage.fields import Values, clouds


def faded(values: Values, strength: float, unit: float, rng: np.random.Generator) -> Values:
    """Dyes that have lost density, some more than others, on paper that is no longer white."""
    kept = 1 - strength * np.clip(rng.uniform(0.35, 0.75) + rng.normal(0, 0.12, 3), 0.1, 0.95)
    paper = 255 - strength * np.array([10, 18, 40]) * rng.uniform(0.0, 1.0)
    pale: Values = (paper - (255 - values) * kept.astype(np.float32) * (paper / 255)).astype(np.float32)
    return pale


def yellowed(values: Values, strength: float, unit: float, rng: np.random.Generator) -> Values:
    """Varnish or paper that has turned yellow to brown: light is lost, blue most of all."""
    lost = strength * np.array([0.08, 0.22, 0.6]) * rng.uniform(0.6, 1.1)
    patchy = 1 - rng.uniform(0.0, 0.3) * clouds(values.shape[:2], 60 * unit, rng)[..., None]
    yellow: Values = (values * (1 - lost * patchy)).astype(np.float32)
    return yellow


def cast(values: Values, strength: float, unit: float, rng: np.random.Generator) -> Values:
    """The wrong film or lamp: each colour channel brighter or darker, and bent."""
    gains = np.exp(rng.normal(0.0, 0.28 * strength, 3))
    bent = np.exp(rng.normal(0.0, 0.25 * strength, 3))
    tinted: Values = (255 * (np.clip(values, 0, 255) / 255) ** bent * gains).astype(np.float32)
    return tinted


def uneven(values: Values, strength: float, unit: float, rng: np.random.Generator) -> Values:
    """Light that falls off to one side, to the corners, or in patches."""
    height, width = values.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    which = rng.integers(3)
    if which == 0:
        angle = rng.uniform(0, 2 * np.pi)
        dark = 0.5 + 0.35 * (x * np.cos(angle) + y * np.sin(angle))
    elif which == 1:
        dark = 0.5 * (x * x + y * y)
    else:
        dark = clouds((height, width), min(height, width) * rng.uniform(0.3, 0.8), rng)
    shaded: Values = (values * (1 - strength * rng.uniform(0.4, 0.75) * dark[..., None])).astype(np.float32)
    return shaded
