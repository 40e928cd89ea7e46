"""What visitors can ask for: painted, mended, compared. The page and the HTTP API do the same through it."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from inkbridge.catalogue import BUNDLED, user_folder
from inkbridge.devices import chosen_device
from inkbridge.errors import ConfigError, DataError, PackError
from inkbridge.images import RGB, Picture, check_writable_name, decode, reduced, write_picture
from inkbridge.look import Look, shares
from inkbridge.pack import StylePack
from inkbridge.pack_format import SUFFIX, read_pack
from inkbridge.uses.repair.repairing import RepairPack
from inkbridge.web.desk import Desk, OnTile, Work

SHOWN = 1200
"""Short side at most of pictures that are only looked at."""
SAMPLE = Path(__file__).parent / "sample.jpg"
"""What the styles are shown on."""
FORMATS = {"jpeg": ".jpg", "png": ".png", "webp": ".webp", "tiff": ".tif"}

Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Limits:
    """What is refused."""

    max_pixels: int = 50_000_000
    max_bytes: int = 60_000_000
    seconds: float = 300.0
    """That one piece of work may take."""
    waiting: int = 60
    """Pieces of work in the queue."""
    each: int = 3
    """Of one visitor."""
    keep_seconds: float = 1800.0
    """After which pictures are removed."""
    all_bytes: int = 4_000_000_000
    """That all pictures together may take on disk."""


@dataclass(frozen=True)
class Upload:
    """A picture that a visitor gave."""

    file: Path
    name: str
    """As its owner calls it."""


@dataclass(frozen=True)
class Result:
    """What came of a picture."""

    file: Path
    """In full size, with the metadata of the picture."""
    before: RGB
    """Both as they are looked at, of one size."""
    after: RGB
    notes: tuple[str, ...] = ()
    mask: Path | None = None
    """What was found hidden."""


@dataclass
class Jobs:
    """The packs at hand, the queue, and where results lie until they are fetched."""

    limits: Limits
    folder: Path
    """Its own, private one."""
    packs: dict[str, StylePack] = field(default_factory=dict)
    """By name, those that paint pictures."""
    _repair: RepairPack | None = None
    _previews: dict[tuple[str, str], Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.desk = Desk(self.limits.waiting, self.limits.each)
        self._loading = threading.Lock()
        device = chosen_device()
        for path in [*sorted(user_folder().glob(f"*{SUFFIX}")), *sorted(BUNDLED.glob(f"*{SUFFIX}"))]:
            try:
                file = read_pack(path)
                if file.info.kind == "style" and not file.info.languages:
                    self.packs.setdefault(path.stem, StylePack(file, path.stem, device=device))
            except PackError:
                continue  # `inkbridge styles` says what is wrong with it

    def pack_for(
        self, styles: Mapping[str, float], name: str | None = None, *, with_encoder: bool = False
    ) -> StylePack:
        """The pack that has all these styles, and can follow an example; PackError when none has."""
        if name is not None:
            if name not in self.packs:
                raise PackError(f"There is no pack '{name}' here; there are {', '.join(self.packs)}.")
            return self.packs[name]
        for pack in self.packs.values():
            if set(styles) <= set(pack.styles) and (pack.file.encoder is not None or not with_encoder):
                return pack
        known = list(dict.fromkeys(style for pack in self.packs.values() for style in pack.styles))
        unknown = [style for style in styles if style not in known]
        if unknown:
            raise PackError(f"There is no style '{unknown[0]}' here; there are {', '.join(known)}.")
        if with_encoder:
            raise PackError("No pack here follows an example, and has the styles that are named too.")
        raise PackError(f"No pack has all of {', '.join(styles)}; only styles of one pack can be fused.")

    @property
    def repairer(self) -> RepairPack:
        """The bundled pack that mends, loaded when it is first asked for."""
        with self._loading:
            if self._repair is None:
                self._repair = RepairPack(read_pack(BUNDLED / f"repair{SUFFIX}"), "repair")
            return self._repair

    def preview(self, pack: StylePack, style: str) -> Path:
        """A file that shows a style on the sample picture."""
        with self._loading:
            key = pack.name, style
            if key not in self._previews:
                target = self.folder / "previews" / f"{pack.name}-{style}.jpg"
                target.parent.mkdir(exist_ok=True)
                sample = decode(SAMPLE.read_bytes(), SAMPLE.name)
                write_picture(pack.apply_to(sample, Look(style)), target, 88)
                self._previews[key] = target
            return self._previews[key]

    def paint(
        self,
        visitor: str,
        upload: Upload,
        pack: StylePack,
        styles: Mapping[str, float],
        *,
        like: Upload | None = None,
        like_weight: float = 1.0,
        mask: Mask | Upload | None = None,
        strength: float = 1.0,
        keep_colour: float = 0.0,
        stroke: float | Literal["full"] = 1.0,
        file_format: str = "",
    ) -> Work[Result]:
        """Paint a picture in a fusion of styles of a pack, and of an example's with that weight.

        A mask of another size is resized to it.
        """
        look = Look(dict(styles) or None, strength=strength, keep_colour=keep_colour, stroke=stroke)
        look.check()
        shares([*styles.values(), *([like_weight] if like else [])] or [1.0])
        if like is not None and pack.file.encoder is None:
            raise PackError(
                f"The styles of {pack.name} cannot follow an example; choose those of another pack."
            )
        suffix = _suffix(upload.name, file_format)

        def work(on_tile: OnTile) -> Result:
            picture = self._read(upload)
            examples = None if like is None else [(self._read(like).rgb, like_weight)]
            given = None if mask is None else self._mask(mask, *picture.rgb.shape[:2])
            full = replace(look, like=examples, mask=given)
            painted = pack.apply_to(picture, full, on_tile)
            return self._written(picture, painted, f"{_stem(upload.name)}-painted{suffix}")

        return self.desk.start(visitor, work, self.limits.seconds)

    def repair(
        self,
        visitor: str,
        upload: Upload,
        mask: Mask | Upload | None = None,
        *,
        only_mask: bool = False,
        colour: bool = True,
        strength: float = 1.0,
        file_format: str = "",
    ) -> Work[Result]:
        """Mend it; a mask of another size is resized to it."""
        suffix = _suffix(upload.name, file_format)
        if not 0.0 <= strength <= 1.0:
            raise ConfigError(f"strength = {strength} cannot be used: it must be from 0 to 1.")
        if only_mask and mask is None:
            raise ConfigError("Only below the mask: that needs a mask. Paint one on the picture.")

        def work(on_tile: OnTile) -> Result:
            picture, stem = self._read(upload), _stem(upload.name)
            given = None if mask is None else self._mask(mask, *picture.rgb.shape[:2])
            mended = self.repairer.repair_picture(
                picture, given, only_mask=only_mask, colour=colour, strength=strength, on_tile=on_tile
            )
            result = self._written(picture, mended.picture, f"{stem}-mended{suffix}")
            found = result.file.with_name(f"{stem}-mask.png")
            write_picture(Picture(np.repeat(mended.mask[..., None], 3, -1)), found)
            return replace(result, mask=found)

        return self.desk.start(visitor, work, self.limits.seconds)

    def beautify(self, visitor: str, upload: Upload, file_format: str = "") -> Work[Result]:
        """Make it a little more beautiful."""
        suffix = _suffix(upload.name, file_format)

        def work(on_tile: OnTile) -> Result:
            picture = self._read(upload)
            better = self.repairer.beautify_picture(picture, on_tile=on_tile)
            result = self._written(picture, better.picture, f"{_stem(upload.name)}-beautified{suffix}")
            return replace(result, notes=(*better.done, *result.notes))

        return self.desk.start(visitor, work, self.limits.seconds)

    def compare(self, visitor: str, first: Upload, second: Upload) -> Work[dict[str, float | None]]:
        """Measures of how alike two pictures are."""

        def work(on_tile: OnTile) -> dict[str, float | None]:
            from inkbridge.metrics.measures import MEASURES, measured

            one, other = (self._read(upload).rgb for upload in (first, second))
            if one.shape != other.shape:
                raise DataError(
                    f"The pictures are {one.shape[1]} x {one.shape[0]} and {other.shape[1]} x "
                    f"{other.shape[0]}; only pictures of the same size can be compared."
                )
            figures = {}
            for number, label in enumerate(MEASURES):
                on_tile(number, len(MEASURES))
                figures[label] = measured(label, one, other)
            return figures

        return self.desk.start(visitor, work, self.limits.seconds)

    def shown(self, upload: Upload) -> RGB:
        """An uploaded picture as it is looked at, the right way up."""
        return _shown(self._read(upload).rgb)

    def has_room(self) -> bool:
        """Whether the largest picture that is taken still fits, on the disk too."""
        taken = 0
        for path in self._files():
            with contextlib.suppress(FileNotFoundError):
                taken += path.stat().st_size
        left = min(self.limits.all_bytes - taken, shutil.disk_usage(self.folder).free)
        return left >= self.limits.max_bytes

    def sweep(self) -> None:
        """Remove what has lain there for too long."""
        before = time.time() - self.limits.keep_seconds
        for path in self._files():
            with contextlib.suppress(FileNotFoundError):  # it was fetched and removed just now
                if "previews" not in path.parts and path.stat().st_mtime < before:
                    path.unlink()

    def _files(self) -> Iterator[Path]:
        # Not rglob, which does not bear that a folder goes while it looks.
        for base, _, names in os.walk(self.folder):
            yield from (Path(base, name) for name in names)

    def _read(self, upload: Upload) -> Picture:
        try:
            data = upload.file.read_bytes()
        except OSError:
            raise DataError(f"{upload.name} is not here any more; give it again.") from None
        if not data:
            raise DataError(f"{upload.name} is empty (0 bytes).")
        return decode(data, upload.name, self.limits.max_pixels)

    def _mask(self, mask: Mask | Upload, height: int, width: int) -> Mask:
        grey = Image.fromarray(self._read(mask).rgb if isinstance(mask, Upload) else mask).convert("L")
        scaled: Mask = np.asarray(grey.resize((width, height), Image.Resampling.BILINEAR))
        return np.where(scaled >= 128, np.uint8(255), np.uint8(0))

    def _written(self, picture: Picture, result: Picture, name: str) -> Result:
        folder = self.folder / "results" / secrets.token_urlsafe(12)
        folder.mkdir(parents=True)
        notes = write_picture(result, folder / name)
        return Result(folder / name, _shown(picture.rgb), _shown(result.rgb), (*result.notes, *notes))


def _shown(rgb: RGB) -> RGB:
    return reduced(rgb, SHOWN)


def _stem(name: str) -> str:
    """A name's beginning, of letters, digits, - and _ alone: nothing that leads out of a folder."""
    return re.sub(r"[^\w-]+", "_", Path(name.replace("\\", "/")).stem)[:60] or "picture"


def _suffix(name: str, file_format: str) -> str:
    """The ending of the result: that of the picture unless a format is named."""
    if file_format:
        if file_format not in FORMATS:
            raise ConfigError(f"format = {file_format} cannot be used: there are {', '.join(FORMATS)}.")
        return FORMATS[file_format]
    suffix = Path(name).suffix.lower()
    try:
        check_writable_name(f"x{suffix}")
    except DataError:
        return ".png"
    return suffix
