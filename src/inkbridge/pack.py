"""A loaded style pack: start reading here to see how a picture is painted.

pack = inkbridge.load("ukiyo-e-tokaido")
painting = pack.apply("photo.jpg")        # a PIL image
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import overload

import numpy as np
from PIL import Image

from inkbridge.catalogue import find_pack
from inkbridge.engine import Engine
from inkbridge.errors import ConfigError, DataError, PackError
from inkbridge.images import RGB, Picture, from_pil, read_picture
from inkbridge.pack_format import PackFile, PackInfo, read_pack
from inkbridge.tiling import apply_tiled


class StylePack:
    """One or more styles, ready to be applied."""

    def __init__(self, file: PackFile, name: str, default_style: str | None = None) -> None:
        """`name` is used in messages; `default_style` is what `apply` takes when none is named."""
        self.info: PackInfo = file.info
        self.license: str = file.license
        self._name = name
        self._default = default_style or self.styles[0]
        self._engine = Engine(file.generator, name, len(file.info.styles[0].code))

    @property
    def styles(self) -> list[str]:
        """The names of the pack's styles."""
        return [style.name for style in self.info.styles]

    @overload
    def apply(self, picture: RGB, style: str | None = None, *, strength: float = 1.0) -> RGB: ...
    @overload
    def apply(
        self,
        picture: str | os.PathLike[str] | Image.Image,
        style: str | None = None,
        *,
        strength: float = 1.0,
    ) -> Image.Image: ...
    def apply(
        self,
        picture: RGB | Image.Image | str | os.PathLike[str],
        style: str | None = None,
        *,
        strength: float = 1.0,
    ) -> RGB | Image.Image:
        """Paint a picture in a style of this pack.

        `picture` is an H x W x 3 uint8 array (an array comes back) or a PIL image or a path (a PIL image
        comes back, with the input's alpha). `strength` runs from 0, the picture itself, to 1. Raises
        DataError for an unusable picture, PackError for an unknown style, ConfigError for a strength
        outside 0..1.
        """
        if isinstance(picture, np.ndarray):
            if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
                raise DataError(
                    f"The array is {picture.dtype} {list(picture.shape)}; expected uint8, height x width x 3."
                )
            return self.apply_to(Picture(picture), style, strength=strength).rgb
        opened = from_pil(picture) if isinstance(picture, Image.Image) else read_picture(picture)
        painted = self.apply_to(opened, style, strength=strength)
        image = Image.fromarray(painted.rgb)
        if painted.alpha is not None:
            image.putalpha(Image.fromarray(painted.alpha))
        return image

    def apply_to(
        self,
        picture: Picture,
        style: str | None = None,
        *,
        strength: float = 1.0,
        on_tile: Callable[[int, int], None] = lambda done, total: None,
    ) -> Picture:
        """The same for a decoded `Picture`; alpha, EXIF and ICC profile come along."""
        if not 0.0 <= strength <= 1.0:
            raise ConfigError(f"strength = {strength} cannot be used: it must be from 0 to 1.")
        code = np.array([self._find(style)], np.float32)
        if 0 in picture.rgb.shape:
            raise DataError(f"The picture has no pixels ({list(picture.rgb.shape)}).")
        if strength == 0.0:
            return replace(picture, rgb=picture.rgb.copy())
        rgb = apply_tiled(
            lambda image: self._engine.run(image, code),
            picture.rgb,
            self.info.size.overlap,
            self.info.size.multiple,
            on_tile=on_tile,
        )
        if strength < 1.0:
            rgb = _mix(picture.rgb, rgb, strength)
        return replace(picture, rgb=rgb)

    def _find(self, style: str | None) -> list[float]:
        wanted = style or self._default
        for entry in self.info.styles:
            if entry.name == wanted:
                return entry.code
        raise PackError(f"{self._name} has no style '{wanted}'. It has: {', '.join(self.styles)}.")


def load(name: str | os.PathLike[str]) -> StylePack:
    """Load a pack by the name of a style or of a pack, or from a path ending in .stylepack.

    Raises PackError when it is not found, damaged, hostile or too new.
    """
    path, style = find_pack(os.fspath(name))
    return StylePack(read_pack(Path(path)), str(path), style)


def _mix(first: RGB, second: RGB, share: float, rows: int = 256) -> RGB:
    # In bands, so that a large picture needs no large float copy.
    out = np.empty_like(first)
    for top in range(0, len(first), rows):
        band = slice(top, top + rows)
        mixed = first[band] + (second[band].astype(np.float32) - first[band]) * np.float32(share)
        out[band] = np.rint(mixed).astype(np.uint8)
    return out
