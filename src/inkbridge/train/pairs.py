"""Aligned pairs for recipe `paired`: two folders whose pictures have the same names, or side-by-side files.

Pairs are brought to one size and written as PNGs into the run's cache, where they are two ordinary folders.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from inkbridge.errors import DataError
from inkbridge.images import RGB, find_pictures, read_picture, write_atomically
from inkbridge.train.data import DataConfig, PictureSet, load_pictures

MAX_STRETCH = 1.02
"""Pictures of a pair may differ by this much in shape; the style picture is then stretched."""


def load_pairs(
    content_dir: Path, style_dir: Path, config: DataConfig, cache_dir: Path, seed: int
) -> tuple[PictureSet, PictureSet]:
    """Contents and style pictures, pair by pair of one size.

    The two are paired by file name without its ending. If both folders are the same one, each of its files
    is a pair: content at the left, style picture at the right. What makes no pair is left out; raises
    DataError when fewer than `config.minimum` pairs remain.
    """
    files = sorted({*find_pictures(content_dir), *find_pictures(style_dir)})
    facts = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    key = hashlib.sha256(json.dumps([facts, config.short_side]).encode()).hexdigest()
    folder = cache_dir / "pairs"
    if not (folder / key).exists():
        shutil.rmtree(folder, ignore_errors=True)
        left_out = _write_all(content_dir, style_dir, config, folder)
        write_atomically(folder / key, lambda file: file.write(json.dumps(left_out).encode()))
    left_out = json.loads((folder / key).read_text())
    num = len(list((folder / "content").iterdir()))
    if num < config.minimum:
        first = f" {left_out[0]}" if left_out else ""
        raise DataError(
            f"Recipe paired needs at least {config.minimum} pairs of pictures; '{content_dir}' and "
            f"'{style_dir}' make {num}. Pairs have the same name in both folders, or stand side by side in "
            f"the files of one folder that is given twice.{first}"
        )
    config = dataclasses.replace(config, trim=0.0)
    content, style = (
        load_pictures(folder / side, side, config, cache_dir, seed) for side in ("content", "style")
    )
    content.left_out += left_out
    return content, style


def _write_all(content_dir: Path, style_dir: Path, config: DataConfig, folder: Path) -> list[str]:
    left_out: list[str] = []
    for side in ("content", "style"):
        (folder / side).mkdir(parents=True)
    for name, first, second in _pairs(content_dir, style_dir, left_out):
        shapes = [rgb.shape[1] / rgb.shape[0] for rgb in (first, second)]
        if max(shapes) > MAX_STRETCH * min(shapes):
            left_out.append(f"{name}: the two pictures differ in shape.")
            continue
        scale = min(config.short_side / min(first.shape[:2]), 1.0)
        size = max(round(first.shape[1] * scale), 1), max(round(first.shape[0] * scale), 1)
        for side, rgb in (("content", first), ("style", second)):
            image = Image.fromarray(rgb)
            if image.size != size:
                image = image.resize(size, Image.Resampling.LANCZOS)
            image.save(folder / side / f"{name}.png", compress_level=1)
    return left_out


def _pairs(content_dir: Path, style_dir: Path, left_out: list[str]) -> Iterator[tuple[str, RGB, RGB]]:
    if content_dir.resolve() == style_dir.resolve():
        for file in find_pictures(content_dir):
            try:
                rgb = read_picture(file).rgb
            except DataError as error:
                left_out.append(str(error))
                continue
            half = rgb.shape[1] // 2
            yield (
                _name(file, content_dir),
                np.ascontiguousarray(rgb[:, :half]),
                np.ascontiguousarray(rgb[:, -half:]),
            )
        return
    contents, styles = (
        {_name(file, side): file for file in find_pictures(side)} for side in (content_dir, style_dir)
    )
    for name in sorted({*contents, *styles}):
        if name not in contents or name not in styles:
            missing = content_dir if name not in contents else style_dir
            left_out.append(f"{name}: has no partner in '{missing}'.")
            continue
        try:
            yield name, read_picture(contents[name]).rgb, read_picture(styles[name]).rgb
        except DataError as error:
            left_out.append(str(error))


def _name(file: Path, folder: Path) -> str:
    """The same for both pictures of a pair, and for files that differ in nothing but their endings."""
    return "__".join(file.relative_to(folder).with_suffix("").parts)
