"""Very large pictures, and those of 16 bits a channel, from file to file through constant memory.

What is read, changed and written goes through libvips in pieces (extra [big]); what is painted lies in a file
beside the result until it is whole, so that a painting that was stopped or killed goes on tile by tile.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from inkbridge.enlarge import (
    FACTOR,
    OVERLAP,
    TILE,
    block_of,
    from_blocks,
    identity,
    is_cut,
    plan_sizes,
)
from inkbridge.errors import DataError, MissingExtraError
from inkbridge.images import (
    FORMATS,
    ORIENTATION,
    RGB,
    bits_per_channel,
    check_writable_name,
    from_network,
    hold,
    to_network,
    too_large,
    write_atomically,
)
from inkbridge.look import LUMA, AnyPicture, Code, Look, open_picture
from inkbridge.tiling import Tile, plan_tiles

if TYPE_CHECKING:
    from inkbridge.pack import StylePack

LARGE = 40_000_000
"""Pictures with more pixels are painted in pieces, and resized in pieces."""
KEEPS_16_BITS = frozenset({".png", ".tif", ".tiff"})
SOFT = 4.0
"""A mask's softened edge, in pixels of the smaller copy in which it is softened."""
ROWS = 256
"""Rows of a picture that are reduced at a time, about."""
WRITING = 0.1
"""What writing the result takes, as a share of the time of painting."""
_SAVERS: dict[str, tuple[str, dict[str, Any]]] = {
    ".jpg": (".jpg", {"subsample_mode": "off"}),
    ".png": (".png", {}),
    ".webp": (".webp", {}),
    ".avif": (".avif", {}),
    ".tif": (".tif", {"tile": True, "compression": "deflate", "predictor": "horizontal", "bigtiff": True}),
}
_SAME = {".jpeg": ".jpg", ".jpe": ".jpg", ".jfif": ".jpg", ".tiff": ".tif"}

OnTile = Callable[[float, float], None]


def wants_pieces(source: Path, target: Path) -> bool:
    """Whether a picture is so large, or so deep and its target too, that it is to be painted in pieces."""
    if importlib.util.find_spec("pyvips") is None or _saver(target) is None:
        return False
    try:
        with warnings.catch_warnings(), source.open("rb") as file:
            warnings.simplefilter("ignore")  # Pillow's about size: there is a limit of our own
            data = file.read(32)
            file.seek(0)
            with Image.open(file, formats=FORMATS) as image:
                if image.format in {"GIF", "BMP", "DIB"}:  # libvips reads no BMP
                    return False
                deep = bits_per_channel(image, data) == 16 and not image.mode.startswith("F")
                return image.width * image.height > LARGE or (deep and target.suffix.lower() in KEEPS_16_BITS)
    except Image.DecompressionBombError:
        return True
    except Exception:  # whoever reads it says what is wrong
        return False


def paint_in_pieces(
    pack: StylePack,
    source: Path,
    target: Path,
    look: Look,
    quality: int = 95,
    max_pixels: int = 200_000_000,
    on_tile: OnTile = lambda done, total: None,
) -> list[str]:
    """Paint a picture from file to file in constant memory; returns notes for the user.

    JPEG, PNG, WebP, AVIF and TIFF. 16 bits a channel stay where PNG or TIFF is written; EXIF, ICC profile and
    transparency too; CMYK becomes sRGB by its profile. What is painted is what `StylePack.apply_to` paints,
    but for the rounding of float sums (and of resizing: of masks, of 16 bits, of what is too large to be
    resized in memory). The
    same call goes on after the last tile that was painted, from files beside the target, which go when it is
    whole. Raises DataError for an unusable picture, MissingExtraError without pyvips.
    """
    look.check()
    check_writable_name(target)
    if _saver(target) is None:
        raise DataError(f"{target}: large pictures are written as JPEG, PNG, WebP, AVIF or TIFF.")
    vips = _vips()
    paintings: list[_Painting] = []
    try:
        original = _read(source, max_pixels)
        picture = original.upright
        size = picture.width, picture.height
        worked = _resized(picture, *pack.working_size(*size, look))
        passes = [pack.code(look.style, look.like)] if look.strength else []
        if look.mask is not None and look.outside is not None and passes:
            passes.append(pack.code(look.outside))
        paintings += [
            _Painting(pack, worked, size, code, target, number, original.key)
            for number, code in enumerate(passes)
        ]
        num = sum(painting.num_tiles for painting in paintings)
        total, done = num * (1 + WRITING) or 1.0, 0
        for painting in paintings:
            for number in painting.paint():
                on_tile(done + number, total)
            done += painting.num_tiles
    except vips.Error as error:
        for painting in paintings:
            painting.forget()
        raise DataError(f"{source} is damaged or cut short ({_said(error)}).") from None
    pack.rest()  # writing takes memory too
    try:
        painted = [each.picture() for each in paintings]
        result, notes = _looked(picture, painted, look)
        if original.alpha is not None:
            result = result.bandjoin(original.alpha)
        tiles = pack.notes_for(picture.width, picture.height, look)
        notes = [*original.notes, *tiles, *notes, *_what_changes(result, target)]
        result = _with_metadata(result, original.upright)
        _write(result, target, quality, lambda share: on_tile(done + (total - done) * share, total))
    except vips.Error as error:
        raise DataError(f"{target} cannot be written ({_said(error)}).") from None
    for painting in paintings:
        painting.forget()
    return notes


@dataclass
class _Original:
    """A picture file, opened but not yet read."""

    upright: Any
    """Its pixels without alpha: RGB, uchar or ushort."""
    alpha: Any
    key: str
    """Changes when the file does."""
    notes: list[str] = field(default_factory=list)


def _read(source: Path, max_pixels: int) -> _Original:
    vips = _vips()
    image = vips.Image.new_from_file(str(source), access="random", fail_on="error", revalidate=True)
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise too_large(str(source), f"{image.width} x {image.height} =", max_pixels, pixels)
    notes = []
    if image.get_typeof("n-pages") and image.get("n-pages") > 1:
        notes.append(f"only the first of {image.get('n-pages')} frames is used")
    image = image.autorot()
    alpha = None
    if image.hasalpha():
        alpha, image = image[image.bands - 1], image[: image.bands - 1]
    if image.interpretation in {"cmyk", "lab"}:
        notes.append(f"{image.interpretation.upper()} becomes RGB")
        if image.interpretation == "cmyk":
            image = image.icc_transform("srgb", embedded=True, input_profile="cmyk")
        else:
            image = image.colourspace("srgb")
    elif image.bands < 3:
        if image.get_typeof("icc-profile-data"):
            image = image.copy()
            image.remove("icc-profile-data")  # of grey: wrong on the result
        image = image.colourspace("rgb16" if image.format == "ushort" else "srgb")
    if image.format not in {"uchar", "ushort"} or image.bands != 3:
        raise DataError(
            f"{source} has {image.bands} bands of kind {image.format}; large pictures must have 8 or 16 bits "
            "a channel."
        )
    if alpha is not None and alpha.format != image.format:
        alpha = alpha.cast(image.format)
    stat = source.stat()
    key = (
        f"{source.resolve()} {stat.st_size} {stat.st_mtime_ns} {image.width} x {image.height} {image.format}"
    )
    return _Original(image, alpha, key, notes)


class _Painting:
    """A picture as a style code paints it: a folder beside the target, with a file for each tile, first of
    the generator, then of each enlargement."""

    def __init__(
        self,
        pack: StylePack,
        worked: Any,
        size: tuple[int, int],
        code: Code,
        target: Path,
        number: int,
        key: str,
    ) -> None:
        """`worked` is the picture at the size at which it is painted, `size` the (width, height) wanted."""
        self._pack, self._worked, self._size, self._code, self._target = pack, worked, size, code, target
        begin = worked.width, worked.height
        self._sizes = [begin, *plan_sizes(begin, size)]
        self.num_tiles = sum(len(self._tiles(step)) for step in range(len(self._sizes)))
        facts = [key, pack.info.generator_sha256, identity(), repr(pack.info.size), code.tolist()]
        facts += [worked.width, worked.height]
        self._key = hashlib.sha256(json.dumps([*facts, str(pack.device)]).encode()).hexdigest()
        self._folder = target.with_name(f".{target.name}.painting-{number}")

    def paint(self) -> Iterator[int]:
        """Paint what is not painted yet; yields how many tiles there are."""
        self._folder.mkdir(exist_ok=True)
        with (self._folder / "lock").open("wb") as lock:
            try:
                hold(lock)
            except OSError:
                raise DataError(f"{self._target} is being painted by another process; wait for it.") from None
            self._begin()
            done = 0
            for step in range(len(self._sizes)):
                tiles = self._tiles(step)
                if step == 1:
                    self._pack.rest()
                # What an enlargement begins with is far smaller than the result, so it may lie in memory.
                network = self._pack.enlarger.network if step else self._pack.network(self._code)
                picture = self._painted(step - 1).copy_memory() if step else self._worked
                region = _vips().Region.new(picture)
                for number, tile in enumerate(tiles, 1):
                    place = self._tile(done + number)
                    if not place.exists():
                        window = self._seen(region, tile)
                        result = network(to_network(window), tile.first_row, tile.first_column)
                        kept = tile.kept(result, FACTOR if step else 1)
                        self._put(place, from_network(kept, window.dtype))
                    yield done + number
                done += len(tiles)

    def picture(self) -> Any:
        """All of it, once it is painted, to be read once from top to bottom."""
        return _resized(self._painted(len(self._sizes) - 1), *self._size)

    def _tiles(self, step: int) -> list[Tile]:
        """Of the generator, or of the enlarger's `step`."""
        if step:
            width, height = self._sizes[step - 1]
            return plan_tiles(height, width, OVERLAP, 1, TILE)
        return self._pack.tiles(self._worked.height, self._worked.width)

    def _painted(self, step: int) -> Any:
        """What came of a step, at the size to which it is brought."""
        vips = _vips()
        tiles, before = self._tiles(step), sum(len(self._tiles(earlier)) for earlier in range(step))
        across = sum(tile.top == 0 for tile in tiles)
        parts = [
            vips.Image.new_from_file(str(self._tile(before + number)), access="sequential", revalidate=True)
            for number in range(1, len(tiles) + 1)
        ]
        factor = FACTOR if step else 1
        width, height = self._sizes[max(step - 1, 0)]
        # Tiles at the right and the bottom are smaller; they are joined as if they were not.
        joined = vips.Image.arrayjoin(parts, across=across).crop(0, 0, factor * width, factor * height)
        width, height = self._sizes[step]
        if is_cut((joined.width, joined.height), (width, height)):
            return joined.crop(0, 0, width, height)
        return _resized(joined, width, height)

    def forget(self) -> None:
        """Remove its files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _begin(self) -> None:
        """Leave what an earlier start of the same painting left, and nothing else."""
        note = self._folder / "key"
        if note.exists() and note.read_text() == self._key:
            return
        for path in self._folder.glob("*.tif"):
            path.unlink()
        write_atomically(note, lambda file: file.write(self._key.encode()))

    def _tile(self, number: int) -> Path:
        return self._folder / f"{number:06d}.tif"

    def _seen(self, region: Any, tile: Tile) -> npt.NDArray[Any]:
        kind = np.uint16 if self._worked.format == "ushort" else np.uint8

        def fetch(rows: slice, columns: slice) -> npt.NDArray[Any]:
            height, width = rows.stop - rows.start, columns.stop - columns.start
            pixels = region.fetch(columns.start, rows.start, width, height)
            return np.frombuffer(pixels, kind).reshape(height, width, 3)

        return tile.window(fetch)

    def _put(self, place: Path, painted: npt.NDArray[Any]) -> None:
        vips = _vips()
        image = vips.Image.new_from_array(np.ascontiguousarray(painted))
        image = image.copy(interpretation=self._worked.interpretation)
        write_atomically(
            place,
            lambda file: image.write_to_target(vips.Target.new_to_descriptor(file.fileno()), ".tif"),
        )


def _resized(image: Any, width: int, height: int) -> Any:
    """At another size; of 8 bits pixel by pixel as `inkbridge.enlarge.resized` has it, if memory allows."""
    if (width, height) == (image.width, image.height):
        return image
    blocks = block_of((image.width, image.height), (width, height))
    held = max(image.width * image.height // (blocks[0] * blocks[1]), width * height)
    if image.format == "uchar" and image.bands == 3 and held <= LARGE:
        found = np.ascontiguousarray(_resized_by_rows(image, blocks, width, height))
        return _vips().Image.new_from_array(found).copy(interpretation=image.interpretation)
    across, down = width / image.width, height / image.height
    if across < 1.0 or down < 1.0:
        smaller = image.resize(across, vscale=down, kernel="lanczos3")
        return smaller.gravity("north-west", width, height, extend="copy")
    # `resize` moves what it enlarges by half a pixel.
    return image.affine(
        [across, 0, 0, down],
        interpolate=_vips().Interpolate.new("bicubic"),
        oarea=[0, 0, width, height],
        odx=(across - 1) / 2,
        ody=(down - 1) / 2,
        extend="copy",
    )


def _resized_by_rows(image: Any, blocks: tuple[int, int], width: int, height: int) -> RGB:
    num = blocks[1] * max(ROWS // blocks[1], 1)  # so many rows at a time that blocks are whole
    region, parts = _vips().Region.new(image), []
    for top in range(0, image.height, num):
        rows = min(num, image.height - top)
        pixels = np.frombuffer(region.fetch(0, top, image.width, rows), np.uint8)
        parts.append(np.asarray(Image.fromarray(pixels.reshape(rows, image.width, 3)).reduce(blocks)))
    whole = Image.fromarray(np.concatenate(parts))
    return from_blocks(whole, (image.width, image.height), width, height)


def _looked(picture: Any, painted: list[Any], look: Look) -> tuple[Any, list[str]]:
    """What `StylePack.apply_to` makes of the pixels that the generator painted, pixel by pixel the same."""
    kind = picture.format

    def finished(one: Any) -> Any:
        if look.keep_colour:
            # Its own colour is what is left of a pixel without its luma.
            colour = np.eye(3) - np.tile(LUMA.astype(np.float64), (3, 1))
            moved = (picture.cast("float") - one).recomb(_matrix(colour * look.keep_colour))
            one = (moved + one).rint().cast(kind)
        if look.strength != 1.0:
            one = (picture + (one.cast("float") - picture) * look.strength).rint().cast(kind)
        return one

    results = [finished(one) for one in painted]
    result = results[0] if results else picture
    if look.mask is None:
        return result, []
    mask, notes = _soft_mask(look.mask, picture)
    ground = results[1] if len(results) > 1 else picture
    return (ground + (result.cast("float") - ground) * mask).rint().cast(kind), notes


def _soft_mask(mask: AnyPicture, picture: Any) -> tuple[Any, list[str]]:
    """The mask from 0 to 1 at the picture's size, softened as `look.soft_mask` does."""
    vips = _vips()
    if isinstance(mask, np.ndarray) and mask.ndim == 2:
        grey = mask
    else:
        grey = np.asarray(Image.fromarray(open_picture(mask).rgb).convert("L"))
    notes, image = [], vips.Image.new_from_array(np.ascontiguousarray(grey))
    if (image.width, image.height) != (picture.width, picture.height):
        notes.append(
            f"the mask was resized from {image.width} x {image.height} to {picture.width} x {picture.height}"
        )
    # Softened in a small copy: the edge of a large picture is hundreds of pixels wide.
    sigma = max(min(picture.width, picture.height) / 200, 1.0)
    factor = min(SOFT / sigma, 1.0)
    width, height = (max(round(side * factor), 1) for side in (picture.width, picture.height))
    small = _resized(image, width, height)
    small = small.cast("float").gaussblur(sigma * factor)
    return _resized(small, picture.width, picture.height) / 255.0, notes


def _matrix(values: npt.NDArray[np.float64]) -> Any:
    return _vips().Image.new_from_list(values.tolist())


def _what_changes(result: Any, target: Path) -> list[str]:
    ending = target.suffix.lower()
    notes = []
    if result.format == "ushort" and ending not in KEEPS_16_BITS:
        notes.append("16 bits a channel become 8")
    if result.hasalpha() and _SAME.get(ending, ending) == ".jpg":
        notes.append("JPEG has no alpha channel: transparent parts lie on white")
    return notes


def _with_metadata(result: Any, picture: Any) -> Any:
    copied = result.copy()
    blob = _vips().GValue.blob_type
    for name in ("icc-profile-data", "xmp-data"):
        if picture.get_typeof(name):
            copied.set_type(blob, name, picture.get(name))
    if picture.get_typeof("exif-data"):
        exif = Image.Exif()
        exif.load(bytes(picture.get("exif-data")))
        exif.pop(ORIENTATION, None)
        copied.set_type(blob, "exif-data", exif.tobytes())
    return copied


def _said(error: Exception) -> str:
    return str(error).strip().splitlines()[-1].strip()


def _write(result: Any, target: Path, quality: int, tell: Callable[[float], None]) -> None:
    saver = _saver(target)
    assert saver is not None
    ending, options = saver
    options = dict(options)
    if ending in {".jpg", ".webp", ".avif"}:
        options["Q"] = quality
    deep = result.format == "ushort" and ending not in KEEPS_16_BITS
    if deep:
        result = (result >> 8).cast("uchar").copy(interpretation="srgb")
    if ending == ".jpg" and result.hasalpha():
        result = result.flatten(background=[255, 255, 255])
    stopped: list[BaseException] = []

    def told(image: Any, now: Any) -> None:
        try:
            tell(now.percent / 100)
        except BaseException as error:  # libvips would print it and go on
            stopped.append(error)
            image.set_kill(True)

    result.set_progress(True)
    result.signal_connect("eval", told)
    vips = _vips()
    try:
        write_atomically(
            target,
            lambda file: result.write_to_target(
                vips.Target.new_to_descriptor(file.fileno()), ending, **options
            ),
        )
    except vips.Error:
        if stopped:
            raise stopped[0] from None
        raise


def _saver(target: Path) -> tuple[str, dict[str, Any]] | None:
    ending = target.suffix.lower()
    return _SAVERS.get(_SAME.get(ending, ending))


def _vips() -> Any:
    try:
        import pyvips
    except (ImportError, OSError):
        raise MissingExtraError("Painting in pieces, and 16 bits a channel,", "big") from None
    return pyvips
