"""A loaded repair pack: pixels mended tile by tile, then colours put right from a thumbnail.

pack = load_repair_pack("repair")
mended = pack.repair("photo.jpg")
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from inkbridge.catalogue import find_pack
from inkbridge.engine import RepairEngine
from inkbridge.errors import ConfigError, DataError, PackError
from inkbridge.images import RGB, Picture, to_network, to_pil
from inkbridge.look import AnyPicture, mix, open_picture
from inkbridge.pack_format import PackFile, PackInfo, read_pack
from inkbridge.tiling import apply_tiled
from inkbridge.uses.repair.tone import amiss, thumbnail, toned

Mask = npt.NDArray[np.uint8]
"""H x W: 255 where the picture is hidden, 0 where it can be seen."""

MIDDLE = 128
"""Of a mask: from here on a pixel counts as hidden."""
SURE = 0.5
"""Colours are put right where they are amiss by more than this chance."""


@dataclass(frozen=True)
class Repaired:
    """What came of a picture."""

    picture: Picture
    mask: Mask
    """What was taken for hidden: found, or given."""


class RepairPack:
    """Mends pictures."""

    def __init__(self, file: PackFile, name: str) -> None:
        """`name` is used in messages. Raises PackError when the pack is none that mends."""
        if file.info.kind != "repair" or file.tone is None:
            raise PackError(f"{name} is no repair pack. One is trained by recipe repair.")
        self.info: PackInfo = file.info
        self._engine = RepairEngine(file.generator, file.tone, name, file.info.size.multiple)

    def repair(
        self, picture: AnyPicture, mask: AnyPicture | None = None, **how: bool | float
    ) -> RGB | Image.Image:
        """Mend a picture: an H x W x 3 uint8 array (an array comes back), a PIL image or a path (an image
        comes back, with the input's alpha).

        `mask` is white where the picture is hidden; without one that is found. `how`: see `repair_picture`.
        """
        opened = open_picture(picture)
        given = None if mask is None else read_mask(mask, *opened.rgb.shape[:2])
        mended = self.repair_picture(opened, given, **how).picture  # type: ignore[arg-type]
        return mended.rgb if isinstance(picture, np.ndarray) else to_pil(mended)

    def repair_picture(
        self,
        picture: Picture,
        mask: Mask | None = None,
        *,
        only_mask: bool = False,
        colour: bool = True,
        strength: float = 1.0,
        on_tile: Callable[[int, int], None] = lambda done, total: None,
    ) -> Repaired:
        """The same for a decoded picture; alpha, EXIF and ICC profile come along.

        With `only_mask` every pixel outside `mask` comes back as it was, bit for bit. Without `colour`
        colours stay as they are. `strength`: 0 is the picture itself, 1 what the pack makes of it. Raises
        ConfigError for what contradicts itself, DataError for a mask of another size or that covers it all.
        """
        if not 0.0 <= strength <= 1.0:
            raise ConfigError(f"strength = {strength} cannot be used: it must be from 0 to 1.")
        if only_mask and mask is None:
            raise ConfigError("only_mask needs a mask: it says which pixels may change.")
        if 0 in picture.rgb.shape:
            raise DataError(f"The picture has no pixels ({list(picture.rgb.shape)}).")
        if mask is not None:
            _check_mask(mask, picture.rgb)
        rgb, hidden = self._mended(picture.rgb, mask, on_tile)
        if colour and not only_mask:
            light, tone = self._engine.tone(to_network(thumbnail(rgb)))
            if amiss(tone) > SURE:
                rgb = toned(rgb, light, tone)
        if strength < 1.0:
            rgb = mix(picture.rgb, rgb, strength)
        if only_mask and mask is not None:
            rgb = np.where(mask[..., None] >= MIDDLE, rgb, picture.rgb)
        return Repaired(replace(picture, rgb=rgb), hidden if mask is None else mask)

    def _mended(self, rgb: RGB, mask: Mask | None, on_tile: Callable[[int, int], None]) -> tuple[RGB, Mask]:
        height, width = rgb.shape[:2]
        given = np.zeros((height, width), np.uint8) if mask is None else mask
        # The mask travels as a fourth channel through the tiles, and what was found comes back as one.
        both = np.concatenate([rgb, np.where(given >= MIDDLE, 255, 0).astype(np.uint8)[..., None]], -1)

        def network(window: npt.NDArray[np.float32], top: int, left: int) -> npt.NDArray[np.float32]:
            result, hidden = self._engine.repair(
                window[:, :3], (window[:, 3:] + np.float32(1)) / np.float32(2)
            )
            return np.concatenate([result, hidden * 2 - 1], 1)

        size = self.info.size
        out = apply_tiled(network, both, size.overlap, size.multiple, mirror=size.mirror, on_tile=on_tile)
        found = np.where(out[..., 3] >= MIDDLE, 255, 0).astype(np.uint8)
        return np.ascontiguousarray(out[..., :3]), found


def load_repair_pack(name: str | os.PathLike[str]) -> RepairPack:
    """Load a repair pack by name, or from a path ending in .stylepack; raises PackError if there is none."""
    path, _ = find_pack(os.fspath(name))
    return RepairPack(read_pack(Path(path)), str(path))


def read_mask(mask: AnyPicture, height: int, width: int) -> Mask:
    """A mask from a picture of the same size, white where something is hidden; DataError for another size."""
    if isinstance(mask, np.ndarray) and mask.ndim == 2 and mask.dtype == np.uint8:
        grey = mask
    else:
        grey = np.asarray(Image.fromarray(open_picture(mask).rgb).convert("L"))
    if grey.shape != (height, width):
        raise DataError(
            f"The mask is {grey.shape[1]} x {grey.shape[0]}, the picture {width} x {height}; they must be of "
            "one size."
        )
    hidden: Mask = np.where(grey >= MIDDLE, 255, 0).astype(np.uint8)
    return hidden


def _check_mask(mask: Mask, rgb: RGB) -> None:
    if mask.dtype != np.uint8 or mask.shape != rgb.shape[:2]:
        raise DataError(
            f"The mask is {mask.dtype} {list(mask.shape)}; expected uint8 {list(rgb.shape[:2])}, as the "
            "picture."
        )
    if (mask >= MIDDLE).all():
        raise DataError("The mask covers the whole picture: nothing is left to repair it from.")
