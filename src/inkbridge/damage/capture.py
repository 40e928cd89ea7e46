"""What a camera, a press, a scanner or a file format takes away from every pixel."""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image, ImageFilter

from inkbridge.damage.fields import Values


def low_resolution(values: Values, strength: float, unit: float, rng: np.random.Generator) -> Values:
    """Reduced and enlarged again."""
    image = _image(values)
    share = 1 / (1 + 3 * strength * rng.uniform(0.4, 1.0))
    small = max(round(image.width * share), 8), max(round(image.height * share), 8)
    return _values(image.resize(small, Image.Resampling.BOX).resize(image.size, Image.Resampling.BICUBIC))


def blurred(values: Values, strength: float, unit: float, rng: np.random.Generator) -> Values:
    """Out of focus."""
    radius = unit * (0.4 + 2.4 * strength * rng.uniform(0.3, 1.0))
    return _values(_image(values).filter(ImageFilter.GaussianBlur(radius)))


def grainy(values: Values, strength: float, unit: float, rng: np.random.Generator) -> Values:
    """Film grain: light and dark together, most in the middle tones, a little soft."""
    height, width = values.shape[:2]
    size = max(unit * rng.uniform(0.8, 1.6), 1.0)
    shape = max(math.ceil(height / size), 2), max(math.ceil(width / size), 2)
    coarse = Image.fromarray(rng.standard_normal(shape).astype(np.float32))
    grain = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))[..., None]
    tone = np.clip(values.mean(-1, keepdims=True) / 255, 0, 1)
    grained: Values = values + grain * (strength * rng.uniform(12, 36) * (0.3 + 2.8 * tone * (1 - tone)))
    return grained


def noisy(values: Values, strength: float, unit: float, rng: np.random.Generator) -> Values:
    """A sensor short of light: each channel of each pixel off by itself."""
    sigma = strength * rng.uniform(10, 40)
    noise = rng.standard_normal(values.shape).astype(np.float32)
    if rng.random() < 0.4:  # most of it grey
        noise = 0.35 * noise + noise.mean(-1, keepdims=True) * np.float32(1.4)
    return values + np.float32(sigma) * noise


def halftone(values: Values, strength: float, unit: float, rng: np.random.Generator) -> Values:
    """Printed in dots: a turned screen for each of the three inks."""
    height, width = values.shape[:2]
    pitch = unit * rng.uniform(2.5, 5)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    dots = np.empty_like(values)
    for channel, degrees in enumerate((15.0, 75.0, 0.0)):
        turn = math.radians(degrees + rng.uniform(-3, 3))
        u, v = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
        screen = 0.5 + 0.25 * (np.cos(2 * np.pi * u / pitch) + np.cos(2 * np.pi * v / pitch))
        light = np.clip(values[..., channel] / 255, 0, 1)
        dots[..., channel] = 255 * np.clip((light - (1 - screen)) * 4 + 0.5, 0, 1)
    printed: Values = values + np.float32(strength * rng.uniform(0.5, 0.9)) * (dots - values)
    return printed


def compressed(values: Values, strength: float, unit: float, rng: np.random.Generator) -> Values:
    """JPEG at a low quality."""
    quality = int(np.clip(95 - 90 * strength * rng.uniform(0.75, 1.0), 4, 95))
    file = io.BytesIO()
    _image(values).save(file, "JPEG", quality=quality)
    return _values(Image.open(file))


def _image(values: Values) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def _values(image: Image.Image) -> Values:
    return np.asarray(image, np.float32)
