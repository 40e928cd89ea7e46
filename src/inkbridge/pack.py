"""A loaded style pack: start reading here to see how a picture is painted.

pack = inkbridge.load("ukiyo-e-tokaido")
painting = pack.apply("photo.jpg")        # a PIL image
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import numpy as np
from PIL import Image

from inkbridge.catalogue import find_pack, list_styles
from inkbridge.devices import CPU, Device, chosen_device
from inkbridge.engine import EncoderEngine, Engine
from inkbridge.enlarge import enlarger_for, resized, tiles_of
from inkbridge.errors import ConfigError, DataError, PackError
from inkbridge.images import RGB, Picture, to_network, to_pil
from inkbridge.look import (
    FULL,
    AnyPicture,
    Code,
    Examples,
    Look,
    Styles,
    mix,
    no_detail,
    open_picture,
    shares,
    soft_mask,
    weighted_examples,
    weighted_styles,
    with_colour_of,
)
from inkbridge.pack_format import PackFile, PackInfo, read_pack
from inkbridge.tiling import TILE, Network, Tile, apply_tiled, grain, plan_tiles

EXAMPLE_SIDE = 320
"""Examples are read at this short side, about the scale of the style pictures of training."""
MOST_ENLARGED = 2.0
"""So many times at most is a small picture enlarged to be painted."""


class StylePack:
    """One or more styles, ready to be applied."""

    def __init__(
        self,
        file: PackFile,
        name: str,
        default_style: str | None = None,
        threads: int = 0,
        device: Device = CPU,
    ) -> None:
        """`name` is used in messages; `default_style` is what `apply` takes when none is named. With 0
        `threads` the network has one for each core. Generator and enlarger run on `device`."""
        if file.info.kind != "style":
            raise PackError(
                f"{name} is no style but a {file.info.kind} pack: use inkbridge {file.info.kind}."
            )
        self.file: PackFile = file
        self.info: PackInfo = file.info
        self.license: str = file.license
        self.name = name
        self.device = device
        self._default = default_style or self.styles[0]
        dim = len(file.info.styles[0].code)
        self._engine = Engine(file.generator, name, dim, file.info.size.multiple, threads, device)
        self._encoder = EncoderEngine(file.encoder, name, dim) if file.encoder is not None else None
        self.enlarger = enlarger_for(threads, device)

    @property
    def default_style(self) -> str:
        """The style that `apply` takes when none is named."""
        return self._default

    @property
    def languages(self) -> list[str]:
        """Of the writing that it paints as print, as Tesseract names them; empty for other packs."""
        return self.info.languages

    @property
    def styles(self) -> list[str]:
        """The names of the pack's styles."""
        return [style.name for style in self.info.styles]

    @overload
    def apply(self, picture: RGB, style: Styles | None = None, **look: Any) -> RGB: ...
    @overload
    def apply(
        self,
        picture: str | os.PathLike[str] | Image.Image,
        style: Styles | None = None,
        **look: Any,
    ) -> Image.Image: ...
    def apply(self, picture: AnyPicture, style: Styles | None = None, **look: Any) -> RGB | Image.Image:
        """Paint a picture in a style of this pack, or in a fusion of several.

        `picture` is an H x W x 3 uint8 array (an array comes back) or a PIL image or a path (a PIL image
        comes back, with the input's alpha). `style` is a name, a dict of names and weights, or a code from
        `code`, which spares reading the same examples for every picture; what else can be said (`like`,
        `strength`, `keep_colour`, `stroke`, `mask`, `outside`) is in `inkbridge.Look`.
        Raises DataError for an unusable picture, PackError for an unknown style or a pack without a style
        encoder, ConfigError for a number out of its range.
        """
        no_detail(look.pop("detail", None))
        painted = self.apply_to(open_picture(picture), Look(style, **look))
        return painted.rgb if isinstance(picture, np.ndarray) else to_pil(painted)

    def apply_to(
        self,
        picture: Picture,
        look: Look | None = None,
        on_tile: Callable[[int, int], None] = lambda done, total: None,
    ) -> Picture:
        """The same for a decoded `Picture`; alpha, EXIF and ICC profile come along."""
        look = look or Look()
        look.check()
        code = self.code(look.style, look.like)
        if 0 in picture.rgb.shape:
            raise DataError(f"The picture has no pixels ({list(picture.rgb.shape)}).")
        notes = [*picture.notes, *self.notes_for(picture.rgb.shape[1], picture.rgb.shape[0], look)]
        num = 1 if look.mask is None or look.outside is None else 2
        rgb = self._paint(picture.rgb, code, look, lambda done, total: on_tile(done, num * total))
        if look.mask is not None:
            mask, said = soft_mask(look.mask, *picture.rgb.shape[:2])
            notes += said
            ground = picture.rgb
            if look.outside is not None:
                outside = self.code(look.outside)
                ground = self._paint(
                    ground, outside, look, lambda done, total: on_tile(total + done, num * total)
                )
            rgb = mix(ground, rgb, mask)
        return replace(picture, rgb=rgb, notes=notes)

    def code(self, style: Styles | None = None, like: Examples | None = None) -> Code:
        """The style code (1 x dim) of a style, of examples, or of the fusion of all that is named.

        A fusion is the mean of the codes by weight. Examples are averaged over mirrored copies too, so that
        which way a picture faces does not count.
        """
        named, examples = weighted_styles(style), weighted_examples(like)
        if not named and not examples:
            named = [(self._default, 1.0)]
        codes = [self._find(name) if isinstance(name, str) else self._checked(name) for name, _ in named]
        codes += [self._read(example) for example, _ in examples]
        weights = shares([weight for _, weight in [*named, *examples]])
        fused: Code = sum(np.float32(w) * code for w, code in zip(weights, codes, strict=True))  # type: ignore[assignment]
        return fused[None]

    def working_size(self, width: int, height: int, look: Look) -> tuple[int, int]:
        """The width and height at which a picture is painted, before that is brought to its size."""
        rules = self.info.size
        wanted = max(rules.short_side, min(width, height))
        if look.stroke != FULL and rules.working_side:
            wanted = rules.working_side
        scale = min(wanted / min(width, height), MOST_ENLARGED)
        if look.stroke != FULL:
            scale /= look.stroke
        return max(round(width * scale), 1), max(round(height * scale), 1)

    def notes_for(self, width: int, height: int, look: Look) -> list[str]:
        """What is to be said of a picture of that size: that its tiles may differ, where they may."""
        largest = max(self.working_size(width, height, look))
        if "tiles" not in self.info.provenance or largest <= TILE or look.strength == 0.0:
            return []
        return ["painted in tiles, which may differ in tone: this network looks at all that it is given"]

    def network(self, code: Code) -> Network:
        """The generator with a style code (1 x dim), as tiles are painted with it."""
        return lambda image, top, left: self._engine.run(image, code, grain(top, left, *image.shape[2:]))

    def tiles(self, height: int, width: int) -> list[Tile]:
        """The tiles in which a picture of that size is painted."""
        size = self.info.size
        return plan_tiles(height, width, size.overlap, size.multiple, border=size.border)

    def rest(self) -> None:
        """Give the memory back that painting a large picture took."""
        self._engine.rest()
        self.enlarger.rest()

    def _paint(self, rgb: RGB, code: Code, look: Look, on_tile: Callable[[int, int], None]) -> RGB:
        if look.strength == 0.0:
            return rgb.copy()
        size = rgb.shape[1], rgb.shape[0]
        worked = resized(rgb, *self.working_size(*size, look))
        later = sum(tiles_of((worked.shape[1], worked.shape[0]), size))
        total = later + len(self.tiles(*worked.shape[:2]))
        painted = apply_tiled(
            self.network(code),
            worked,
            self.info.size.overlap,
            self.info.size.multiple,
            border=self.info.size.border,
            on_tile=lambda done, _: on_tile(done, total),
        )
        painted = self.enlarger.enlarged(
            painted, *size, on_tile=lambda done, _: on_tile(total - later + done, total)
        )
        if look.keep_colour:
            painted = with_colour_of(rgb, painted, look.keep_colour)
        return painted if look.strength == 1.0 else mix(rgb, painted, look.strength)

    def _checked(self, code: Code) -> Code:
        length = len(self.info.styles[0].code)
        if code.shape != (1, length) or not np.isfinite(code).all():
            raise ConfigError(f"The code is {list(code.shape)}; codes here are 1 x {length} finite numbers.")
        flat: Code = code[0].astype(np.float32)
        return flat

    def _find(self, wanted: str) -> Code:
        for entry in self.info.styles:
            if entry.name == wanted:
                return np.array(entry.code, np.float32)
        near = difflib.get_close_matches(wanted, self.styles, 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise PackError(f"{self.name} has no style '{wanted}'.{hint} It has: {', '.join(self.styles)}.")

    def _read(self, example: AnyPicture) -> Code:
        if self._encoder is None:
            raise PackError(
                f"{self.name} cannot take a style from an example: it has no style encoder. "
                "Packs trained with recipe exemplar or multistyle have one."
            )
        rgb = open_picture(example).rgb
        scale = EXAMPLE_SIDE / min(rgb.shape[:2])
        # A strip is not blown up without end along its long side.
        sides = (min(max(round(side * scale), 64), 4 * EXAMPLE_SIDE) for side in (rgb.shape[1], rgb.shape[0]))
        image = to_network(resized(rgb, *sides))
        both = self._encoder.run(np.concatenate([image, image[..., ::-1]]))
        code: Code = both.mean(0)
        return code


def load(
    name: str | os.PathLike[str], *, device: str | None = None, precision: str | None = None
) -> StylePack:
    """Load a pack by the name of a style or of a pack, or from a path ending in .stylepack.

    What it runs on, and in which numbers, is said by `device` and `precision` (`inkbridge.devices.Device`),
    else by what `inkbridge bench --keep` wrote down. Raises PackError when the pack is not found, damaged,
    hostile or too new, ConfigError or MissingExtraError for a device that is not there.
    """
    path, style = find_pack(os.fspath(name))
    return StylePack(read_pack(Path(path)), str(path), style, device=chosen_device(device, precision))


def load_for(
    styles: Mapping[str, float],
    name: str | None = None,
    *,
    with_encoder: bool = False,
    device: str | None = None,
    precision: str | None = None,
) -> tuple[StylePack, dict[str, float]]:
    """The pack that has all of `styles`, and the styles by their names in it.

    A single entry of `styles` may also name a pack or a file. `name` chooses the pack; without it and without
    styles it is the first at hand, with `with_encoder` the first that can take a style from an example.
    `device` and `precision` are those of `load`. Raises PackError when there is none.
    """
    if name is not None:
        pack = load(name, device=device, precision=precision)
        for style in styles:
            pack.code(style)
        return pack, dict(styles)
    if len(styles) == 1:
        ((only, weight),) = styles.items()
        pack = load(only, device=device, precision=precision)
        return pack, {pack.default_style: weight}
    candidates = {listed.pack: None for listed in list_styles()}
    for path in candidates:
        file = read_pack(path)
        names = {style.name for style in file.info.styles}
        if set(styles) <= names and not (with_encoder and file.encoder is None):
            return StylePack(file, str(path), device=chosen_device(device, precision)), dict(styles)
    if not styles:
        raise PackError("No pack at hand can take a style from an example. Name one with --pack.")
    for style in styles:
        find_pack(style)  # says which one does not exist at all
    raise PackError(
        f"No pack has all of {', '.join(styles)}; only styles of one pack can be fused (inkbridge styles)."
    )
