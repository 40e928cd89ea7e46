"""The grid of pictures written during training: content | result | nearest style picture.

Of recipe `repair`: damaged | repaired | sound. Of lines of writing: each above its result.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from inkbridge.images import RGB, from_network, read_picture, to_network, write_atomically
from inkbridge.train.data import PictureSet
from inkbridge.train.networks.generator import draw_grain
from inkbridge.train.recipe import Recipe

SIDE = 256
GAP = 6
LOW = SIDE // 2, 3.0
"""Pictures lower than so many pixels and so many times as long are lines of writing, shown as they are."""
LONGEST = 768
"""Pixels that are shown of a line."""


def choose_unseen(pictures: PictureSet, num: int) -> list[RGB]:
    """Square pictures that training never sees, if enough were held back; else ones that it sees."""
    chosen = [read_picture(path).rgb for path in pictures.held_back[:num]]
    return [square(picture) for picture in chosen] if len(chosen) >= min(num, 4) else choose(pictures, num)


def choose_shown(pictures: PictureSet) -> list[RGB]:
    """What samples are made of: six squares of pictures that training never sees, or such lines at their own
    size, spread over the folder, whose names may tell several kinds apart; if too few were held back, squares
    that it sees."""
    step = max(len(pictures.held_back) // 6, 1)
    unseen = [read_picture(path).rgb for path in pictures.held_back[::step][:6]]
    if len(unseen) < 4:
        return choose(pictures, 6)
    height, longer = LOW
    if any(len(line) > height or line.shape[1] < longer * len(line) for line in unseen):
        return [square(picture) for picture in unseen]
    return [line[:, :LONGEST] for line in unseen]


def choose(pictures: PictureSet, num: int) -> list[RGB]:
    """Up to `num` square training pictures, spread over the folder."""
    step = max(len(pictures.pictures) // num, 1)
    return [square(picture) for picture in pictures.pictures[::step][:num]]


def write_samples(path: Path, recipe: Recipe, contents: list[RGB], styles: list[PictureSet]) -> None:
    """Stylise the contents with the averaged generator and write the grid.

    One style: content | result | nearest style picture, two triples a row. Several: a column for each
    style, contents at the left, and at the top a picture of the style. Lines of writing: each above its
    results.
    """
    if any(content.shape[:2] != (SIDE, SIDE) for content in contents):
        sheet = _lines(recipe, contents, len(styles))
    elif len(styles) == 1:
        sheet = _one_style(recipe, contents, styles[0])
    else:
        sheet = _many_styles(recipe, contents[:4], styles)
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "JPEG", quality=90)
    write_atomically(path, lambda file: file.write(buffer.getvalue()))


def _many_styles(recipe: Recipe, contents: list[RGB], styles: list[PictureSet]) -> RGB:
    white = np.full((SIDE, SIDE, 3), 255, np.uint8)
    rows = [[white, *(square(style.pictures[0]) for style in styles)]]
    rows += [[content, *(painted(recipe, content, i) for i in range(len(styles)))] for content in contents]
    step = SIDE + GAP
    sheet = np.full((len(rows) * step + GAP, len(rows[0]) * step + GAP, 3), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, picture in enumerate(row):
            top, left = GAP + i * step, GAP + j * step
            sheet[top : top + SIDE, left : left + SIDE] = picture
    return sheet


def painted(recipe: Recipe, content: RGB, style: int) -> RGB:
    """A picture, of sides that the generator can halve, in a style, by the averaged generator."""
    codes = recipe.generator_ema.styles
    with torch.no_grad():
        image = torch.from_numpy(to_network(content)).to(codes.device)
        grain = draw_grain(image, torch.Generator().manual_seed(0))
        result = recipe.finished(recipe.generator_ema(image, codes[style : style + 1], grain))
    return from_network(result[0].float().cpu().numpy())


def _lines(recipe: Recipe, contents: list[RGB], num_styles: int) -> RGB:
    width = max(content.shape[1] for content in contents)
    multiple, rows = recipe.generator_ema.multiple, []
    for i, content in enumerate(contents):
        height, length = content.shape[:2]
        given = recipe.given(content, i)
        padded = np.pad(given, ((0, -height % multiple), (0, -length % multiple), (0, 0)), "edge")
        results = (painted(recipe, padded, style)[:height, :length] for style in range(num_styles))
        for row in [given, *results]:
            rows.append(np.pad(row, ((0, GAP), (0, width - length), (0, 0)), constant_values=255))
        rows.append(np.full((GAP, width, 3), 255, np.uint8))
    return np.concatenate(rows)


def _one_style(recipe: Recipe, contents: list[RGB], style: PictureSet) -> RGB:
    styles = [square(picture) for picture in style.pictures[:200]]
    thumbnails = np.stack([_thumbnail(picture) for picture in styles])
    cells = []
    for i, content in enumerate(contents):
        given = recipe.given(content, i)
        result = painted(recipe, given, 0)
        distance = np.abs(thumbnails - _thumbnail(result)).mean(axis=(1, 2, 3))
        nearest = content if recipe.alone else styles[int(distance.argmin())]
        cells.append([given, result, nearest])
    rows = (len(cells) + 1) // 2
    sheet = np.full((rows * (SIDE + GAP) + GAP, 6 * (SIDE + GAP) + 2 * GAP, 3), 255, np.uint8)
    for i, cell in enumerate(cells):
        top = GAP + (i // 2) * (SIDE + GAP)
        for j, picture in enumerate(cell):
            left = GAP + (3 * (i % 2) + j) * (SIDE + GAP) + (GAP if i % 2 else 0)
            sheet[top : top + SIDE, left : left + SIDE] = picture
    return sheet


def square(picture: RGB) -> RGB:
    """The middle of a picture, at SIDE x SIDE pixels."""
    image = Image.fromarray(picture)
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=box))


def _thumbnail(picture: RGB) -> np.ndarray:
    small = Image.fromarray(picture).resize((8, 8), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32)
