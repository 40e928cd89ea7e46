"""A loaded repair pack: pixels mended tile by tile, then colours put right from a thumbnail.

pack = inkbridge.load_repair_pack("repair")
mended = pack.repair("photo.jpg")
better = pack.beautify("photo.jpg")
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from inkbridge.catalogue import find_pack
from inkbridge.engine import SOUND, WORN, RepairEngine
from inkbridge.errors import ConfigError, DataError, PackError
from inkbridge.filling import Mask, filled
from inkbridge.images import RGB, Picture, reduced, to_network, to_pil
from inkbridge.look import AnyPicture, mix, open_picture
from inkbridge.pack_format import PackFile, PackInfo, read_pack
from inkbridge.tiling import apply_tiled
from inkbridge.uses.repair.tone import amiss, thumbnail, toned, with_contrast

MIDDLE = 128
"""Of a mask: from here on a pixel counts as hidden."""
LARGE = 800
"""Short side, in pixels, above which a picture is looked at reduced to it first: training showed scratches,
holes and stains as wide as they are there, and on a larger scan the network would see no end of them."""
SURELY = 166
"""Of a mask that was found: from here on a pixel is told to the network in a second pass."""
ENOUGH = 0.003
"""Share of a picture that must be told for that pass to be worth it."""
SLIGHT, PLAIN = 3.0, 6.0
"""Root mean square, of 255, by which pixels that can be seen are off: up to the first they stay as they are,
from the second on they are mended wholly. Silk, paper and brushwork look like a little noise, and of damage
as faint as that mending takes more than it gives."""
MARGIN = 7
"""Side, in pixels, of what is mended wholly round each hidden pixel."""
MENDED = 2.0
"""Root mean square, of 255, by which pixels must be mended for a picture to count as worn."""
SEEN = 1_000_000
"""Pixels, at most, of which that is the mean."""
MILD = 0.6
"""Share of the way that beautify takes colours."""


@dataclass(frozen=True)
class Repaired:
    """What came of a picture."""

    picture: Picture
    mask: Mask
    """What was taken for hidden: found, or given."""


@dataclass(frozen=True)
class Beautified:
    """What came of a picture that was only to look better."""

    picture: Picture
    done: tuple[str, ...]
    """In words; empty where nothing was needed."""


class RepairPack:
    """Mends pictures, and makes them more beautiful."""

    def __init__(self, file: PackFile, name: str) -> None:
        """`name` is used in messages. Raises PackError when the pack is none that mends."""
        if file.info.kind != "repair" or file.tone is None:
            raise PackError(f"{name} is no repair pack. One is trained by recipe repair.")
        self.info: PackInfo = file.info
        self._name, self._file = name, file
        self._engine = RepairEngine(file.generator, file.tone, name, file.info.size.multiple)
        self._rich: RepairEngine | None = None

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
        rich: bool = False,
        on_tile: Callable[[int, int], None] = lambda done, total: None,
    ) -> Repaired:
        """The same for a decoded picture; alpha, EXIF and ICC profile come along.

        With `only_mask` every pixel outside `mask` comes back as it was, bit for bit. Without `colour`
        colours stay as they are. `strength`: 0 is the picture itself, 1 what the pack makes of it. `rich`:
        where nothing tells what was there texture is made up; without it results are as near as they can be,
        and soft there. Raises ConfigError for what contradicts itself, DataError for a mask of another size
        or that covers it all, PackError for a pack that has no rich network.
        """
        _check(picture, strength)
        if only_mask and mask is None:
            raise ConfigError("only_mask needs a mask: it says which pixels may change.")
        if mask is not None:
            _check_mask(mask, picture.rgb)
        engine = self._richly() if rich else self._engine
        mended, found = self._mended(engine, picture.rgb, mask, on_tile)
        hidden = found if mask is None else mask
        coloured = self._with_colours(mended, picture.rgb) if colour and not only_mask else mended
        # Amiss colours tell of a picture that is worn, and put right they would show what noise it has more.
        is_worn = coloured is not mended
        rgb = coloured if is_worn else _unless_slight(picture.rgb, mended, _whole(hidden))
        if strength < 1.0:
            rgb = mix(picture.rgb, rgb, strength)
        if only_mask and mask is not None:
            rgb = np.where(mask[..., None] >= MIDDLE, rgb, picture.rgb)
        return Repaired(replace(picture, rgb=rgb), hidden)

    def beautify(self, picture: AnyPicture, strength: float = 1.0) -> RGB | Image.Image:
        """Make a picture a little better: arrays, images and paths as in `repair`; see `beautify_picture`."""
        better = self.beautify_picture(open_picture(picture), strength).picture
        return better.rgb if isinstance(picture, np.ndarray) else to_pil(better)

    def beautify_picture(
        self,
        picture: Picture,
        strength: float = 1.0,
        on_tile: Callable[[int, int], None] = lambda done, total: None,
    ) -> Beautified:
        """Noise and blocks taken away, light and colour put right by part of the way, a little more contrast;
        each only where it is needed, and a picture that needs nothing comes back bit for bit.

        Nothing is painted anew. `strength`: 0 is the picture itself. Raises as `repair_picture` does.
        """
        _check(picture, strength)
        rgb, done = picture.rgb, []
        mended, found = self._mended(self._engine, rgb, None, on_tile)
        smooth = np.where(found[..., None] > 0, rgb, mended)
        smooth = _unless_slight(rgb, smooth, np.zeros_like(found))
        if (smooth != rgb).any():
            rgb = smooth
            done.append("pixels")
        coloured = self._with_colours(rgb, picture.rgb)
        if coloured is not rgb:
            rgb = mix(rgb, coloured, MILD)
            done.append("light and colour")
        stretched = with_contrast(rgb)
        if stretched is not rgb:
            rgb = stretched
            done.append("contrast")
        if strength < 1.0:
            rgb = mix(picture.rgb, rgb, strength)
        return Beautified(replace(picture, rgb=rgb), tuple(done))

    def _with_colours(self, rgb: RGB, before: RGB) -> RGB:
        """Colours put right where they are surely amiss; else the very same array. `before`: the picture
        before anything was mended."""
        needed = WORN if _distance(rgb, before) > MENDED else SOUND
        small = thumbnail(rgb)
        light, tone = self._engine.tone(to_network(small))
        if amiss(tone) <= needed.sure or _distance(toned(small, light, tone), small) <= needed.faint:
            return rgb
        return toned(rgb, light, tone)

    def _richly(self) -> RepairEngine:
        if self._rich is None:
            if self._file.rich is None or self._file.tone is None:
                raise PackError(f"{self._name} has no rich network; mend without rich, or take another pack.")
            size = self.info.size
            self._rich = RepairEngine(self._file.rich, self._file.tone, self._name, size.multiple)
        return self._rich

    def _mended(
        self, engine: RepairEngine, rgb: RGB, mask: Mask | None, on_tile: Callable[[int, int], None]
    ) -> tuple[RGB, Mask]:
        """Without a mask what the network finds is told to it in a second pass, as somebody would; where it
        finds little, that is often none, and the second pass is left out."""
        height, width = rgb.shape[:2]
        nothing = np.zeros((height, width), np.uint8)
        if min(height, width) > LARGE:
            small = reduced(rgb, LARGE)
            given = None if mask is None else _shrunk(mask, *small.shape[:2])
            mended, found = (
                _enlarged(side, height, width) for side in self._mended(engine, small, given, _silent)
            )
            hidden = _whole(found if mask is None else mask)
            # What is hidden is painted as the reduced picture has it; only then is each pixel looked at.
            rgb = np.where(hidden[..., None] > 0, mended, rgb)
            mended, found = self._passed(engine, rgb, nothing, rgb, on_tile)
            return mended, np.maximum(hidden, _whole(found))
        if mask is None:
            mended, found = self._passed(engine, rgb, nothing, rgb, _half(on_tile, 0))
            hidden, told = _whole(found), _whole(found, SURELY)
            if told.mean() <= 255 * ENOUGH:
                return mended, hidden
            on_tile = _half(on_tile, 1)
        else:
            hidden = told = _whole(mask)
        mended, _ = self._passed(engine, rgb, told, filled(rgb, told), on_tile)
        return mended, hidden

    def _passed(
        self,
        engine: RepairEngine,
        rgb: RGB,
        mask: Mask,
        filling: RGB,
        on_tile: Callable[[int, int], None],
    ) -> tuple[RGB, Mask]:
        """Through the network, tile by tile: the picture, and from 0 to 255 how surely a pixel is hidden.
        Below the mask it paints on `filling`."""
        # Mask and filling travel as channels through the tiles, and what was found comes back as one.
        together = np.concatenate([rgb, _whole(mask)[..., None], filling], -1)

        def network(window: npt.NDArray[np.float32], top: int, left: int) -> npt.NDArray[np.float32]:
            image, mask, filling = np.split(window, [3, 4], 1)
            result, hidden = engine.repair(image, (mask + np.float32(1)) / np.float32(2), filling)
            return np.concatenate([result, hidden * 2 - 1, filling], 1)

        size = self.info.size
        out = apply_tiled(network, together, size.overlap, size.multiple, border=size.border, on_tile=on_tile)
        return np.ascontiguousarray(out[..., :3]), np.ascontiguousarray(out[..., 3])


def _shrunk(mask: Mask, height: int, width: int) -> Mask:
    """A mask at a smaller size that covers whatever it covered."""
    share = np.asarray(Image.fromarray(_whole(mask)).resize((width, height), Image.Resampling.BOX))
    shrunk: Mask = np.where(share > 0, 255, 0).astype(np.uint8)
    return shrunk


def _whole(mask: npt.NDArray[np.uint8], least: int = MIDDLE) -> Mask:
    """A mask of nothing between hidden and seen."""
    whole: Mask = np.where(mask >= least, 255, 0).astype(np.uint8)
    return whole


def _enlarged(pixels: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))


def _half(on_tile: Callable[[int, int], None], which: int) -> Callable[[int, int], None]:
    """What tells how far the first or the second of two passes is."""
    return lambda done, total: on_tile(which * total + done, 2 * total)


def _unless_slight(rgb: RGB, mended: RGB, hidden: Mask) -> RGB:
    """What was mended; but where it can be seen the picture stays as it was when little is amiss with it."""
    near = np.asarray(Image.fromarray(hidden).filter(ImageFilter.MaxFilter(MARGIN))) > 0
    share = (_distance(rgb, mended, ~near) - SLIGHT) / (PLAIN - SLIGHT)
    return mended if share >= 1 else np.where(near[..., None], mended, mix(rgb, mended, max(share, 0.0)))


def _distance(one: RGB, other: RGB, where: npt.NDArray[np.bool_] | None = None) -> float:
    """Root mean square, of 255, of all or of what is marked in `where`, H x W; of large pictures, of every so
    manieth row and column."""
    step = math.ceil(math.sqrt(one.shape[0] * one.shape[1] / SEEN))
    squared = np.square(one[::step, ::step].astype(np.float32) - other[::step, ::step]).mean(2)
    marked = np.ones(squared.shape, bool) if where is None else where[::step, ::step]
    return float(np.sqrt(squared[marked].sum() / max(marked.sum(), 1)))


def _silent(done: int, total: int) -> None:
    """Of the reduced picture nothing is reported: it takes a small part of the time."""


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
    return _whole(np.asarray(grey))


def _check(picture: Picture, strength: float) -> None:
    if not 0.0 <= strength <= 1.0:
        raise ConfigError(f"strength = {strength} cannot be used: it must be from 0 to 1.")
    if 0 in picture.rgb.shape:
        raise DataError(f"The picture has no pixels ({list(picture.rgb.shape)}).")


def _check_mask(mask: Mask, rgb: RGB) -> None:
    if mask.dtype != np.uint8 or mask.shape != rgb.shape[:2]:
        raise DataError(
            f"The mask is {mask.dtype} {list(mask.shape)}; expected uint8 {list(rgb.shape[:2])}, as the "
            "picture."
        )
    if (mask >= MIDDLE).all():
        raise DataError("The mask covers the whole picture: nothing is left to repair it from.")
