"""What time, paper and a scanner do to a line of writing, at random: the source side of training pairs."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from inkbridge.damage.fields import clouds
from inkbridge.images import RGB

Ink = npt.NDArray[np.float32]
"""H x W, 0 (paper) to 1 (ink)."""


def paint(
    ink: Ink,
    paper: tuple[float, float, float] = (255.0, 255.0, 255.0),
    colour: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> RGB:
    """Ink of a colour on paper of another; both 0 to 255."""
    return _mixed(ink, np.array(paper, np.float32), np.array(colour, np.float32))


def worn(ink: Ink, rng: np.random.Generator) -> RGB:
    """A line of ink, as somebody might have scanned it.

    Strokes are bent and slanted, thickened or thinned, ink runs dry and fades, on toned paper with stains
    under uneven light, perhaps with a seal or the back page shining through; then blur, noise and JPEG.
    Each has its own chance.
    """
    ink = bent(ink, rng)
    ink = thickened(ink, rng.uniform(-0.5, 1.0), rng.uniform(0.6, 1.6))
    if rng.random() < 0.4:
        ink = dry(ink, rng)
    if rng.random() < 0.5:
        ink = ink * (1 - rng.uniform(0.1, 0.6) * clouds(ink.shape, rng.uniform(20, 80), rng))
    tone = rng.uniform(170, 255) if rng.random() < 0.6 else 255.0
    paper = np.array([tone, tone * rng.uniform(0.93, 1.0), tone * rng.uniform(0.75, 1.0)], np.float32)
    colour = np.array(rng.uniform(0, 70) + rng.uniform(0, 25, 3), np.float32)
    ground = paper * np.ones((*ink.shape, 1), np.float32)
    if rng.random() < 0.5:
        ground = ground * (
            1 - rng.uniform(0.03, 0.3) * clouds(ink.shape, rng.uniform(30, 150), rng)[..., None]
        )
    if rng.random() < 0.5:
        fibres = clouds(ink.shape, rng.uniform(1.0, 3.0), rng)[..., None] - 0.5
        ground = ground * (1 + rng.uniform(0.03, 0.2) * fibres)
    if rng.random() < 0.15:
        shining = np.roll(thickened(ink[:, ::-1], 0.0, 3.0), int(rng.integers(-9, 9)), 0)
        ground = ground * (1 - rng.uniform(0.05, 0.2) * shining[..., None])
    if rng.random() < 0.1:
        ground = sealed(ground, rng)
    rgb = _mixed(ink, ground, colour)
    return scanned(rgb, rng)


def bent(ink: Ink, rng: np.random.Generator) -> Ink:
    """Elastic strokes: a smooth displacement of some pixels, a slant and a slight turn."""
    height, width = ink.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    reach = rng.uniform(0.0, 2.5)
    scale = rng.uniform(10, 40)
    slant, turn = rng.normal(0.0, 0.06), rng.normal(0.0, 0.006)
    from_x = x + slant * (y - height / 2) + reach * 2 * (clouds(ink.shape, scale, rng) - 0.5)
    from_y = y + turn * (x - width / 2) + reach * 2 * (clouds(ink.shape, scale, rng) - 0.5)
    return _sampled(ink, from_y, from_x)


def thickened(ink: Ink, by: float, soft: float) -> Ink:
    """Strokes wider by about `by` pixels on each side (thinner if negative), edges `soft` pixels wide."""
    image = Image.fromarray((ink * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1.0 + abs(by)))
    blurred = np.asarray(image, np.float32) / 255
    threshold = 0.5 - 0.22 * by
    # However soft, paper stays paper.
    slope = max(1.6 / soft, 0.5 / threshold)
    thick: Ink = np.clip((blurred - threshold) * np.float32(slope) + 0.5, 0.0, 1.0)
    return thick


def dry(ink: Ink, rng: np.random.Generator) -> Ink:
    """A brush running dry: streaks along one direction, where paper comes through."""
    streaks = clouds(ink.shape, rng.uniform(1.0, 2.0), rng, along=rng.uniform(2.0, 8.0))
    where = clouds(ink.shape, rng.uniform(15, 50), rng)
    cut = np.clip((streaks - rng.uniform(0.45, 0.7)) * 6.0, 0.0, 1.0) * np.clip(where * 2.0 - 0.6, 0.0, 1.0)
    worn_ink: Ink = ink * (1.0 - cut * rng.uniform(0.5, 1.0))
    return worn_ink


def sealed(ground: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """A red seal, or part of one, somewhere on the paper."""
    height, width, _ = ground.shape
    side = int(rng.integers(height // 3, height))
    left, top = int(rng.integers(-side // 2, width)), int(rng.integers(-side // 2, height - side // 2))
    rows, columns = slice(max(top, 0), top + side), slice(max(left, 0), left + side)
    patch = ground[rows, columns]
    if patch.size == 0:
        return ground
    marks = clouds((patch.shape[0], patch.shape[1]), rng.uniform(3, 8), rng) > rng.uniform(0.4, 0.55)
    share = rng.uniform(0.4, 0.9) * marks[..., None].astype(np.float32)
    red = np.array([rng.uniform(170, 220), rng.uniform(30, 90), rng.uniform(30, 80)], np.float32)
    ground = ground.copy()
    ground[rows, columns] = patch * (1 - share) + red * share
    return ground


def scanned(rgb: RGB, rng: np.random.Generator) -> RGB:
    """Lower resolution, blur, noise and JPEG, or a scanner's black and white."""
    image = Image.fromarray(rgb)
    if rng.random() < 0.3:
        share = rng.uniform(0.4, 0.9)
        small = max(round(image.width * share), 1), max(round(image.height * share), 1)
        image = image.resize(small, Image.Resampling.BILINEAR).resize(image.size, Image.Resampling.BICUBIC)
    if rng.random() < 0.4:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.2)))
    values = np.asarray(image, np.float32)
    if rng.random() < 0.5:
        values = values + rng.normal(0.0, rng.uniform(1, 14), values.shape[:2]).astype(np.float32)[..., None]
    values = np.clip(values, 0, 255)
    if rng.random() < 0.1:
        grey = values.mean(-1, keepdims=True)
        values = np.repeat(np.where(grey > grey.max() * rng.uniform(0.5, 0.75), 255.0, 0.0), 3, -1)
    rgb = values.astype(np.uint8)
    if rng.random() < 0.4:
        file = io.BytesIO()
        Image.fromarray(rgb).save(file, "JPEG", quality=int(rng.integers(30, 90)))
        rgb = np.array(Image.open(file))
    return rgb


def _mixed(ink: Ink, paper: npt.NDArray[np.float32], colour: npt.NDArray[np.float32]) -> RGB:
    share = ink[..., None]
    return np.clip(paper * (1 - share) + colour * share, 0, 255).astype(np.uint8)


def _sampled(ink: Ink, y: Ink, x: Ink) -> Ink:
    """Bilinear samples at (y, x); paper outside."""
    padded = np.pad(ink, 1)
    y = np.clip(y + 1, 0, padded.shape[0] - 1.001)
    x = np.clip(x + 1, 0, padded.shape[1] - 1.001)
    top, left = y.astype(int), x.astype(int)
    down, right = y - top, x - left
    sampled: Ink = (
        padded[top, left] * (1 - down) * (1 - right)
        + padded[top, left + 1] * (1 - down) * right
        + padded[top + 1, left] * down * (1 - right)
        + padded[top + 1, left + 1] * down * right
    ).astype(np.float32)
    return sampled
