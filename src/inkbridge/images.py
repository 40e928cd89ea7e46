"""Pictures in and out: the only place that knows pixel conventions.

Outside networks a picture is RGB uint8, H x W x 3. Inside, it is float32, N x 3 x H x W in [-1, 1].
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import threading
import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from inkbridge.errors import DataError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

RGB = npt.NDArray[np.uint8]
Deep = npt.NDArray[np.uint16]
"""The same with 16 bits a channel: 65535 is white."""

MAX_PIXELS = 200_000_000
"""Pictures with more pixels than this are refused unless the caller raises the cap."""

SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".tif", ".tiff", ".gif", ".bmp", ".dib"]
)
"""File endings that a folder is searched for."""

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "DIB")

_WRITE_FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".gif": "GIF",
    ".bmp": "BMP",
}
_HAS_NO_ALPHA = frozenset({"JPEG", "BMP", "GIF"})
ORIENTATION = 0x0112


@dataclass
class Picture:
    """A decoded picture with everything that has to come out again with the result."""

    rgb: RGB
    """H x W x 3 uint8, upright (EXIF orientation already applied)."""
    alpha: npt.NDArray[np.uint8] | None = None
    """H x W uint8, or None for an opaque picture."""
    exif: bytes | None = None
    """EXIF block with its orientation set to upright."""
    icc_profile: bytes | None = None
    """The ICC profile that the RGB values are meant in; None means sRGB."""
    notes: list[str] = field(default_factory=list)
    """What decoding had to change, in words for the user."""


def read_picture(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Picture:
    """Read JPEG, PNG, WebP, AVIF, TIFF, GIF (first frame) or BMP.

    Raises DataError for a file that is missing, empty, not a picture, damaged, or larger than
    `max_pixels`.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path} does not exist. Check the name.") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder, not a picture.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    if not data:
        raise DataError(f"{path} is empty (0 bytes). Leave it out or copy it again.")
    return decode(data, str(path), max_pixels)


def read_ahead(path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS) -> Callable[[], Picture]:
    """Begin `read_picture` in the background; what is returned waits for it, and raises what it raised."""
    came: list[Picture | Exception] = []

    def read() -> None:
        try:
            came.append(read_picture(path, max_pixels))
        except Exception as error:
            came.append(error)

    def wait() -> Picture:
        thread.join()
        (result,) = came
        if isinstance(result, Exception):
            raise result
        return result

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return wait


def decode(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode the bytes of a picture file; `name` is used in error messages only."""
    with warnings.catch_warnings():
        # Of what Pillow warns of: our own cap replaces its cap, which cannot be lifted for one file, and what
        # is broken in metadata is left out.
        warnings.simplefilter("ignore")
        image = _opened(data, name, max_pixels)
        try:
            notes = _notes_before_decoding(image, data)
            image.load()
            return _from_loaded(image, notes)
        except Exception as error:
            raise DataError(
                f"{name} is damaged or cut short and cannot be read: {error}. Copy it again or leave it out."
            ) from error


def _opened(data: bytes, name: str, max_pixels: int) -> Image.Image:
    """A picture whose header was read, of a size that is allowed."""
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise too_large(name, "more than", max_pixels) from None
    except UnidentifiedImageError:
        raise DataError(
            f"{name} is not a picture that Inkbridge reads (JPEG, PNG, WebP, AVIF, TIFF, GIF, BMP)."
        ) from None
    except Exception as error:  # Pillow's plugins raise many kinds on hostile headers
        raise DataError(f"{name} is damaged and cannot be read: {error}.") from error
    width, height = image.size
    if width * height > max_pixels:
        raise too_large(name, f"{width} x {height} =", max_pixels, width * height)
    if width * height == 0:
        raise DataError(f"{name} has no pixels ({width} x {height}).")
    return image


def from_pil(image: Image.Image) -> Picture:
    """A Picture from a PIL image of any mode."""
    return _from_loaded(image, [])


def to_pil(picture: Picture) -> Image.Image:
    """A PIL image of its pixels, with its alpha if it has any."""
    image = Image.fromarray(picture.rgb)
    if picture.alpha is not None:
        image.putalpha(Image.fromarray(picture.alpha))
    return image


def too_large(name: str, size: str, max_pixels: int, pixels: int = 0) -> DataError:
    """What to raise for a picture of `size` (WIDTH x HEIGHT =) and so many pixels."""
    found = f"{size} {pixels / 1e6:.0f}" if pixels else f"{size} {max_pixels / 1e6:.0f}"
    return DataError(
        f"{name} has {found} million pixels; the limit is {max_pixels / 1e6:.0f} million. "
        "If you trust the file, raise it with --max-megapixels (max_pixels in Python)."
    )


def _notes_before_decoding(image: Image.Image, data: bytes) -> list[str]:
    notes = []
    if getattr(image, "n_frames", 1) > 1 and image.format in {"GIF", "WEBP", "AVIF", "PNG", "TIFF"}:
        notes.append(f"only the first of {image.n_frames} frames is used")  # type: ignore[attr-defined]
    if bits_per_channel(image, data) > 8:
        notes.append("16 bits a channel become 8")
    return notes


def bits_per_channel(image: Image.Image, data: bytes) -> int:
    """Of a picture whose header was read; `data` is how its file begins."""
    # Pillow opens 16-bit RGB as 8-bit without a word, so the file header is asked.
    if image.mode.startswith(("I", "F")):
        return 16
    if image.format == "PNG" and len(data) > 24:
        return int(data[24])
    if image.format == "TIFF":
        bits = image.tag_v2.get(258, (8,))  # type: ignore[attr-defined]
        return max(bits) if isinstance(bits, tuple) else int(bits)
    return 8


def _from_loaded(image: Image.Image, notes: list[str]) -> Picture:
    exif = image.getexif()
    icc_profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    exif_bytes = None
    if len(exif):
        exif.pop(ORIENTATION, None)
        exif_bytes = exif.tobytes()

    mode = image.mode
    if mode.startswith("I") or mode == "F":
        image = _to_8_bits(image)
    elif mode in {"CMYK", "LAB"}:
        image, icc_profile = _to_srgb(image, icc_profile, mode), None
        notes.append(f"{mode} becomes RGB")
    elif mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    elif (mode in {"L", "1"} and "transparency" in image.info) or mode == "PA":
        image = image.convert("RGBA")
    if image.mode in {"L", "LA", "La", "1"} and icc_profile is not None:
        icc_profile = None  # a gray profile would be wrong on the RGB result
    alpha = None
    if image.mode in {"RGBA", "LA", "La", "RGBa", "PA"}:
        image = image.convert("RGBA")
        alpha = np.asarray(image.getchannel("A")).copy()
    rgb = np.asarray(image.convert("RGB")).copy()
    return Picture(rgb, alpha, exif_bytes, icc_profile, notes)


def _to_8_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.float64)
    broken = values.size - int(np.isfinite(values).sum())
    if broken:
        raise DataError(f"{broken:,} of {values.size:,} pixels are no number (NaN or infinite)")
    if image.mode == "F" and values.size and values.max() <= 1.0:
        values = values * 255.0
    elif values.size and values.max() > 255.0:
        values = values / 257.0
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def _to_srgb(image: Image.Image, icc_profile: bytes | None, mode: str) -> Image.Image:
    if mode == "LAB":
        source = ImageCms.createProfile("LAB")
    elif icc_profile:
        source = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile))  # type: ignore[assignment]
    else:
        return image.convert("RGB")
    converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    return converted if converted is not None else image.convert("RGB")


def check_writable_name(path: str | os.PathLike[str]) -> None:
    """Raise DataError now, before hours of work, when `path` could not be written later."""
    path = Path(path)
    if path.suffix.lower() not in _WRITE_FORMATS:
        raise DataError(
            f"{path}: '{path.suffix}' is not a picture ending that Inkbridge writes. "
            f"Use one of {' '.join(sorted(_WRITE_FORMATS))}."
        )
    if path.is_dir():
        raise DataError(f"{path} is a folder; give the result a file name.")


def check_writable_beside(path: Path, picture: Path) -> None:
    """Raise DataError when `path` could not be written, has no folder, or is `picture` itself."""
    check_writable_name(path)
    check_place_beside(path, picture)


def check_place_beside(path: Path, picture: Path) -> None:
    """Raise DataError when `path` has no folder, or is `picture` itself."""
    if not path.parent.is_dir():
        raise DataError(f"Folder '{path.parent}' does not exist; make it first.")
    check_not_itself(path, picture)


def check_not_itself(path: Path, picture: Path) -> None:
    """Raise DataError when `path` is the file `picture`."""
    if path.exists() and picture.exists() and path.samefile(picture):
        raise DataError(f"{path} is the picture itself; give the result another name.")


def write_picture(picture: Picture, path: str | os.PathLike[str], quality: int = 95) -> list[str]:
    """Write a picture in the format of its ending, atomically; returns notes for the user.

    EXIF and ICC profile are written where the format has room for them. Raises DataError when the
    place cannot be written; then nothing is left there.
    """
    path = Path(path)
    check_writable_name(path)
    file_format = _WRITE_FORMATS[path.suffix.lower()]
    notes: list[str] = []
    image = Image.fromarray(picture.rgb)
    if picture.alpha is not None:
        if file_format in _HAS_NO_ALPHA:
            notes.append(f"{file_format} has no alpha channel: transparent parts lie on white")
            white = Image.new("RGB", image.size, "white")
            white.paste(image, mask=Image.fromarray(picture.alpha))
            image = white
        else:
            image.putalpha(Image.fromarray(picture.alpha))
    options: dict[str, object] = {}
    if file_format in {"JPEG", "WEBP", "AVIF"}:
        options["quality"] = quality
    if file_format == "JPEG":
        options["subsampling"] = 0  # fine coloured lines suffer visibly from halved chroma
    if file_format == "TIFF":
        options["compression"] = "tiff_deflate"
    if picture.exif and file_format in {"JPEG", "PNG", "WEBP", "AVIF", "TIFF"}:
        options["exif"] = picture.exif
    if picture.icc_profile and file_format not in {"GIF", "BMP"}:
        options["icc_profile"] = picture.icc_profile
    try:
        write_atomically(path, lambda file: image.save(file, format=file_format, **options))
    except ValueError as error:  # larger than the format allows, for instance
        raise DataError(f"{path} cannot be written as {file_format}: {error}.") from None
    return notes


_PART = ".part"


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Call `write(file)` on a temporary file beside `path`, then rename it into place.

    Raises DataError when the place cannot be written; neither a half file nor the temporary one stays.
    """
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", suffix=_PART, delete=False
        ) as file:
            temporary = Path(file.name)
            with contextlib.suppress(OSError):  # not on every file system
                hold(file)
            write(file)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path, names: Collection[str]) -> None:
    """Remove temporary files of writers of files of these names that were killed; those at work stay."""
    for path in folder.glob(f".*{_PART}"):
        if path.name[1:].rsplit(".", 2)[0] not in names:
            continue
        try:
            with path.open("rb") as file:
                hold(file)
            path.unlink()
        except OSError:
            continue  # somebody holds it, or it is renamed by now


def hold(file: IO[bytes]) -> None:
    """While the file is open no other process can do the same; OSError when one does."""
    if fcntl is not None:  # where there is none an open file cannot be removed anyway
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def find_pictures(folder: str | os.PathLike[str]) -> list[Path]:
    """All picture files below `folder`, sorted by name; hidden files and folders are left out."""
    return find_files(folder, SUFFIXES)


def find_files(folder: str | os.PathLike[str], endings: Collection[str]) -> list[Path]:
    """The same for files of other endings, in lower case with their dots.

    Raises DataError when there is no such folder.
    """
    folder = Path(folder)
    if not folder.exists():
        raise DataError(f"Folder '{folder}' does not exist. Check the name.")
    if not folder.is_dir():
        raise DataError(f"'{folder}' is a file; a folder of pictures is needed here.")
    found = []
    for base, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in endings:
                found.append(Path(base, name))
    return sorted(found)


def reduced(rgb: RGB, short_side: int) -> RGB:
    """The picture with a short side of at most `short_side`, antialiased; smaller ones as they are."""
    scale = short_side / min(rgb.shape[:2])
    if scale >= 1:
        return rgb
    size = (max(round(rgb.shape[1] * scale), 1), max(round(rgb.shape[0] * scale), 1))
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))


def trimmed(rgb: RGB, share: float) -> RGB:
    """The picture without this share of each of its sides: a mount, a frame."""
    top, left = int(rgb.shape[0] * share), int(rgb.shape[1] * share)
    return rgb[top : rgb.shape[0] - top, left : rgb.shape[1] - left]


def to_network(rgb: RGB | Deep) -> npt.NDArray[np.float32]:
    """H x W x 3 uint8 or uint16 -> 1 x 3 x H x W float32 in [-1, 1]."""
    # Turned while they are small: one step that also converts takes half as long again.
    scaled = np.ascontiguousarray(rgb.transpose(2, 0, 1)).astype(np.float32)[None]
    scaled *= np.float32(2 / np.iinfo(rgb.dtype).max)
    scaled -= np.float32(1)
    return scaled


def from_network(values: npt.NDArray[np.float32], kind: npt.DTypeLike = np.uint8) -> RGB:
    """3 x H x W float32 in [-1, 1] -> H x W x 3 uint8, or uint16 if that is the kind; the rest is clipped."""
    most = np.iinfo(np.dtype(kind)).max
    # In place: fresh memory costs as much as what is counted.
    scaled = values.transpose(1, 2, 0) + np.float32(1)
    scaled *= np.float32(most / 2)
    np.rint(scaled, out=scaled)
    rgb: RGB = np.clip(scaled, 0, most, out=scaled).astype(kind)
    return rgb
