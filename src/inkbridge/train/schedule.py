"""Schedules: pure functions of progress (0 at the start of training, 1 at its end)."""

from __future__ import annotations

import math
from collections.abc import Callable


def ramp(progress: float, start: float, stop: float, final: float) -> float:
    """1 until `start`, then a straight line to `final` at `stop`, and `final` from there on."""
    if progress <= start:
        return 1.0
    return 1.0 - (1.0 - final) * min((progress - start) / max(stop - start, 1e-9), 1.0)


def constant(progress: float, start: float, final: float) -> float:
    """1 throughout."""
    return 1.0


def linear(progress: float, start: float, final: float) -> float:
    """1 until `start`, then a straight line to `final` at the end (Zhu et al. 2017, section 4)."""
    return ramp(progress, start, 1.0, final)


def cosine(progress: float, start: float, final: float) -> float:
    """1 until `start`, then half a cosine to `final` at the end (Loshchilov and Hutter 2017, Eq. 5)."""
    way = 1.0 - ramp(progress, start, 1.0, 0.0)
    return final + (1.0 - final) * 0.5 * (1.0 + math.cos(math.pi * way))


SCHEDULES: dict[str, Callable[[float, float, float], float]] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
}
"""Factors of a learning rate, by name; each takes (progress, start of the fall, value at the end)."""


def warm_up(images_seen: int, images: int) -> float:
    """A straight line from near 0 to 1 over the first `images`."""
    return min((images_seen + 1) / max(images, 1), 1.0)


def ema_decay(images_seen: int, batch: int, half_life: float, ramp: float = 0.1) -> float:
    """Decay of one averaging update for a half-life in images, shorter early on (Karras et al. 2020b)."""
    half_life = min(half_life, max(images_seen * ramp, 1e-8))
    return float(0.5 ** (batch / half_life))
