"""Training pictures: two folders of any sizes -> a compact cache -> random crops.

Everything random is a pure function of (seed, side, images seen): a resumed run draws exactly the crops
that an uninterrupted one would have drawn, and nothing about it has to be saved.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from inkbridge.errors import DataError
from inkbridge.images import RGB, find_pictures, read_picture, trimmed, write_atomically
from inkbridge.train.looks import choose_looks, typical_window

LOOKS_FOLDER = "looks"
"""Within a style's folder: pictures that are its looks."""


@dataclass
class DataConfig:
    """What is cut out of the pictures."""

    crop: int = 96
    """Side of the training crops in pixels; a multiple of 16."""
    short_side: int = 384
    """Larger content pictures are cached with this short side; smaller ones as they are."""
    enlarge: float = 1.5
    """Style pictures are cached with the content's median short side, so that a stroke keeps its size within
    the picture; smaller ones are enlarged by at most this much."""
    content_scale: tuple[float, float] = (0.8, 1.25)
    """Crops of content are taken at a random scale in this range (1 = cached size, at which pictures will be
    painted). Smaller ones have more contrast than what will be painted: results then have too little."""
    style_scale: tuple[float, float] = (0.8, 1.0)
    """The same for style pictures: narrow, for the size of a stroke belongs to the style."""
    trim: float = 0.04
    """This share of each side of a style picture is cut off: mounts, frames, the scanner's bed."""
    mirror: bool = True
    minimum: int = 8
    """Fewer readable pictures than this on either side is an error."""
    hold_back: float = 0.1
    """Share of the pictures of each side that training never sees, kept for measuring."""
    looks: int = 0
    """So many pictures of a style, unlike one another, are its looks (`inkbridge.train.looks`); with a folder
    named "looks" within the style's, the pictures in it, however many. 0: there are none."""
    look_share: float = 0.5
    """Share of a style's crops that are cut out of its looks, each of them as often; the others are cut out
    of all pictures alike."""
    look_detail: float = 1.0
    """Below 1 a look that was chosen is a square window, a close-up, with this share of its picture's short
    side, or a larger one where the file lacks the pixels: strokes are then wider. 1, and those given in a
    folder "looks": the whole picture."""


@dataclass
class PictureSet:
    """The decoded pictures of one side."""

    names: list[str]
    pictures: list[RGB]
    held_back: list[Path]
    """Files that training does not see."""
    left_out: list[str]
    """One sentence for each file that could not be read."""
    looks: list[RGB] = field(default_factory=list)
    """The style's looks: some of the pictures, or close-ups of some."""


def load_pictures(
    folder: Path,
    side: str,
    config: DataConfig,
    cache_dir: Path,
    seed: int,
    name: str = "",
    short_side: int | None = None,
) -> PictureSet:
    """Decode the pictures of `folder`, or take them from the cache of an earlier start.

    `side` ("content" or "style") and the style's `name`, if there are several, are used in messages and file
    names. With `short_side` pictures are brought to that one, else to `config.short_side` if they are larger.
    Raises DataError when fewer than `config.minimum` pictures remain after the held-back ones are set
    aside.
    """
    files = find_pictures(folder)
    key = _cache_key(files, side, config, seed, short_side)
    stem = f"{side}-{name}" if name else side
    index_file, pixel_file = cache_dir / f"{stem}.json", cache_dir / f"{stem}.pixels"
    index = _read_index(index_file, pixel_file, key)
    if index is None:
        index = _decode_all(folder, files, side, config, seed, pixel_file, short_side)
        index["key"] = key
        write_atomically(index_file, lambda file: file.write(json.dumps(index).encode()))
    written = _pictures(index, pixel_file)
    pictures = written[: len(index["names"])]
    loaded = PictureSet(
        index["names"],
        pictures,
        [Path(name) for name in index["held_back"]],
        index["left_out"],
        [written[i] for i in index["looks"]],
    )
    if len(pictures) < config.minimum:
        noun = "picture" if len(pictures) == 1 else "pictures"
        unread = f" ({len(loaded.left_out)} files could not be read)" if loaded.left_out else ""
        found = f"{f'{side} {name}'.rstrip()}: folder '{folder}' has {len(pictures)} usable {noun}{unread}"
        if not pictures:
            raise DataError(f"{found}; at least {config.minimum} needed. Put pictures into it.")
        raise DataError(
            f"{found}; training needs at least {config.minimum}. Add pictures, or go on anyway with "
            f"--set data.minimum={len(pictures)}, best from a pack (--from)."
        )
    return loaded


def cached_pictures(cache_dir: Path, side: str, name: str = "") -> list[RGB]:
    """What `load_pictures` once put into the cache, wherever its folder is now; none if it is gone."""
    stem = f"{side}-{name}" if name else side
    index_file, pixel_file = cache_dir / f"{stem}.json", cache_dir / f"{stem}.pixels"
    if not (index_file.exists() and pixel_file.exists()):
        return []
    index = json.loads(index_file.read_text())
    whole = pixel_file.stat().st_size == index["bytes"]
    return _pictures(index, pixel_file)[: len(index["names"])] if whole else []


def _pictures(index: dict[str, Any], pixel_file: Path) -> list[RGB]:
    if not index["bytes"]:
        return []
    pixels = np.memmap(pixel_file, dtype=np.uint8, mode="r")
    pictures, start = [], 0
    for height, width in index["sizes"]:
        stop = start + height * width * 3
        pictures.append(pixels[start:stop].reshape(height, width, 3))
        start = stop
    return pictures


def _cache_key(files: list[Path], side: str, config: DataConfig, seed: int, short_side: int | None) -> str:
    facts = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(json.dumps([facts, side, asdict(config), seed, short_side]).encode()).hexdigest()


def _read_index(index_file: Path, pixel_file: Path, key: str) -> dict[str, Any] | None:
    if not (index_file.exists() and pixel_file.exists()):
        return None
    index: dict[str, Any] = json.loads(index_file.read_text())
    complete = index["key"] == key and pixel_file.stat().st_size == index["bytes"]
    return index if complete else None


def _decode_all(
    folder: Path,
    files: list[Path],
    side: str,
    config: DataConfig,
    seed: int,
    pixel_file: Path,
    short_side: int | None,
) -> dict[str, Any]:
    decoded: list[tuple[Path, RGB]] = []
    sharp: list[bool] = []
    left_out: list[str] = []
    for file in files:
        try:
            rgb = read_picture(file).rgb
            trim = config.trim if side == "style" else 0.0
            decoded.append((file, _prepare(rgb, trim, config, short_side)))
            sharp.append((1 - 2 * trim) * min(rgb.shape[:2]) >= (short_side or 0))
        except DataError as error:
            left_out.append(str(error))
    has_looks = side == "style" and config.looks > 0
    given = {
        i
        for i, (path, _) in enumerate(decoded)
        if has_looks and path.relative_to(folder).parts[0] == LOOKS_FOLDER
    }
    held = _held_back(len(decoded), config, seed) - given
    numbers = [i for i in range(len(decoded)) if i not in held]
    kept = [decoded[i] for i in numbers]
    written = [rgb for _, rgb in kept]
    looks = [place for place, i in enumerate(numbers) if i in given]
    if has_looks and not looks:
        looks = choose_looks(written, config.looks, [sharp[i] for i in numbers])
        if config.look_detail < 1:
            close_ups = [_from_near(*kept[place], config, short_side) for place in looks]
            looks = list(range(len(written), len(written) + len(close_ups)))
            written += close_ups

    def write(file: IO[bytes]) -> None:
        for rgb in written:
            file.write(rgb.tobytes())

    pixel_file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(pixel_file, write)
    return {
        "names": [str(path.relative_to(folder)) for path, _ in kept],
        "sizes": [list(rgb.shape[:2]) for rgb in written],
        "bytes": sum(rgb.size for rgb in written),
        "held_back": [str(decoded[i][0].resolve()) for i in sorted(held)],
        "left_out": left_out,
        "looks": looks,
    }


def _from_near(file: Path, rgb: RGB, config: DataConfig, short_side: int | None) -> RGB:
    """A close-up of a style picture that is prepared as `rgb`; that, should its file be gone by now."""
    try:
        whole = trimmed(read_picture(file).rgb, config.trim)
    except DataError:
        return rgb
    share = config.look_detail * min(whole.shape[:2])
    return _prepare(typical_window(whole, round(max(share, short_side or 1))), 0.0, config, short_side)


def _prepare(rgb: RGB, trim: float, config: DataConfig, short_side: int | None) -> RGB:
    image = Image.fromarray(trimmed(rgb, trim))
    # A crop must fit at the smallest scale as well as at scale 1.
    smallest = config.crop
    most = config.enlarge if short_side is not None else 1.0
    scale = min((short_side or config.short_side) / min(image.size), most)
    scale = max(scale, smallest / min(image.size))
    if scale != 1.0:
        size = (
            max(round(image.width * scale), smallest),
            max(round(image.height * scale), smallest),
        )
        image = image.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(image)


def _held_back(num: int, config: DataConfig, seed: int) -> set[int]:
    # Below 40 pictures each one is worth more in training than in measuring.
    if num < 40:
        return set()
    order = np.random.default_rng([seed, num]).permutation(num)
    return set(order[: round(num * config.hold_back)].tolist())


def median_short_side(pictures: list[RGB]) -> int:
    """The short side, in pixels, that half of the pictures are below."""
    return int(np.median([min(picture.shape[:2]) for picture in pictures]))


class Crops:
    """Random crops of one side; `at(i)` is the i-th crop of the run, whatever came before."""

    def __init__(
        self,
        pictures: list[RGB],
        side: str,
        config: DataConfig,
        seed: int,
        index: int = 0,
        looks: Sequence[RGB] = (),
    ) -> None:
        """`index` tells several styles apart; `looks` are pictures that `config.look_share` of crops are cut
        out of."""
        self.pictures = pictures
        self.looks = looks
        self.config = config
        self.scale = config.style_scale if side == "style" else config.content_scale
        self.seed = [seed, 1 + index if side == "style" else 0]
        self._epoch = -1
        self._order: npt.NDArray[np.int64] = np.empty(0, np.int64)

    def at(self, i: int) -> RGB:
        """The i-th crop: crop x crop x 3 uint8."""
        epoch, place = divmod(i, len(self.pictures))
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = np.random.default_rng([*self.seed, 0, epoch]).permutation(len(self.pictures))
        rng = np.random.default_rng([*self.seed, 1, i])
        picture = self.pictures[self._order[place]]
        if self.looks and rng.random() < self.config.look_share:
            picture = self.looks[int(rng.integers(len(self.looks)))]
        return self._crop(picture, rng)

    def batch(self, start: int, places: Iterable[int]) -> RGB:
        """Crops start + i of each i of `places` as num x crop x crop x 3 uint8."""
        return np.stack([self.at(start + i) for i in places])

    def of_one_picture(self, start: int, places: Iterable[int]) -> RGB:
        """As many crops, all from the picture that crop `start` is from."""
        self.at(start)
        picture = self.pictures[self._order[start % len(self.pictures)]]
        rngs = [np.random.default_rng([*self.seed, 2, start + i]) for i in places]
        return np.stack([self._crop(picture, rng) for rng in rngs])

    def _crop(self, picture: RGB, rng: np.random.Generator) -> RGB:
        size = self.config.crop
        height, width = picture.shape[:2]
        low, high = self.scale
        scale = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        side = min(size / scale, height, width)
        left = rng.uniform(0, width - side)
        top = rng.uniform(0, height - side)
        x0, y0 = int(left), int(top)
        x1, y1 = min(int(np.ceil(left + side)), width), min(int(np.ceil(top + side)), height)
        window = Image.fromarray(picture[y0:y1, x0:x1])
        box = (left - x0, top - y0, min(left - x0 + side, x1 - x0), min(top - y0 + side, y1 - y0))
        crop = np.asarray(window.resize((size, size), Image.Resampling.BICUBIC, box=box))
        if self.config.mirror and rng.random() < 0.5:
            crop = crop[:, ::-1]
        return crop
