"""The style pack as a file: read, write, validate. docs/style-pack.md is the specification.

A pack is a zip of stored entries. Nothing in it is executed or unpickled, and nothing is extracted to
disk: entries are read into memory by their fixed names.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydantic

from inkbridge.errors import PackError
from inkbridge.images import write_atomically

FORMAT = 1
SUFFIX = ".stylepack"
ENTRIES = {"pack.json", "generator.onnx", "encoder.onnx", "tone.onnx", "rich.onnx", "preview.jpg", "LICENSE"}
OPTIONAL = ("encoder", "tone", "rich")
"""Networks that a pack may have beside its generator."""
KINDS = ("style", "repair")
MAX_BYTES = 512 * 1024 * 1024
MAX_SHORT_SIDE = 4096


@dataclass
class StyleEntry:
    """One named look."""

    name: str
    """Lower case, digits and hyphens: what people type."""
    title: str
    code: list[float]
    """The style code."""


@dataclass
class SizeRules:
    """What the generator asks of the size of its input."""

    multiple: int
    """Height and width must be multiples of this."""
    overlap: int
    """How far, in pixels, an output pixel looks; a multiple of `multiple`."""
    short_side: int = 0
    """Pictures with a smaller short side are painted enlarged to this one, and reduced again; 0: never."""
    working_side: int = 0
    """The short side at which a picture is painted, whatever its size: there its strokes are as broad as in
    the style. The painting is then enlarged. 0: a picture is painted as large as it is."""
    border: int | None = None
    """How many pixels of a picture, mirrored, the network sees beyond its border; a multiple of `multiple`.
    0: it ends there, as all did in training; None: `overlap`."""


@dataclass
class PackInfo:
    """The content of pack.json."""

    title: str
    styles: list[StyleEntry]
    size: SizeRules
    generator_sha256: str
    encoder_sha256: str = ""
    """Empty for a pack without a style encoder."""
    tone_sha256: str = ""
    """Empty for a pack without a tone network."""
    rich_sha256: str = ""
    """Empty for a pack without a second generator."""
    kind: str = "style"
    """style, or repair: a pack that mends."""
    format: int = FORMAT
    pixel_range: tuple[float, float] = (-1.0, 1.0)
    provenance: dict[str, Any] = field(default_factory=dict)
    """Data, licence, recipe, how trained."""
    measured: dict[str, Any] = field(default_factory=dict)
    """Figures the pack was measured at."""

    @property
    def languages(self) -> list[str]:
        """Of the writing that it paints as print, as Tesseract names them; empty for other packs."""
        named = self.provenance.get("languages", [])
        return list(map(str, named)) if isinstance(named, list) else []


@dataclass
class PackFile:
    """A pack in memory."""

    info: PackInfo
    generator: bytes
    encoder: bytes | None = None
    """A picture (N x 3 x H x W in [-1, 1]) -> its style code."""
    preview: bytes | None = None
    license: str = ""
    tone: bytes | None = None
    """A thumbnail -> what puts the colours of its picture right."""
    rich: bytes | None = None
    """A second generator of a pack that mends: one that paints texture where nothing tells what was there."""


def check_pack_name(path: Path) -> None:
    """Raise PackError, before hours of work, when no pack could be written there later."""
    if path.suffix != SUFFIX:
        raise PackError(f"{path}: a style pack's name ends in {SUFFIX}.")
    if not path.parent.is_dir():
        raise PackError(f"Folder '{path.parent}' does not exist; make it first.")


def write_pack(path: Path, pack: PackFile) -> None:
    """Write a pack atomically."""
    check_pack_name(path)
    pack.info.generator_sha256 = hashlib.sha256(pack.generator).hexdigest()
    for name in OPTIONAL:
        network = getattr(pack, name)
        setattr(pack.info, f"{name}_sha256", hashlib.sha256(network).hexdigest() if network else "")
    text = json.dumps(dataclasses.asdict(pack.info), indent=1, ensure_ascii=False)
    entries: dict[str, bytes] = {"pack.json": text.encode(), "generator.onnx": pack.generator}
    for name in OPTIONAL:
        if (network := getattr(pack, name)) is not None:
            entries[f"{name}.onnx"] = network
    if pack.preview is not None:
        entries["preview.jpg"] = pack.preview
    if pack.license:
        entries["LICENSE"] = pack.license.encode()

    def write(file: Any) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, data in entries.items():
                # A fixed date: the same content gives the same file.
                archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data)

    write_atomically(path, write)


def read_pack(path: Path) -> PackFile:
    """Read and validate a pack; raises PackError with the reason it is refused."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = _read_entries(path, archive)
    except FileNotFoundError:
        raise PackError(f"{path} does not exist. Check the name.") from None
    except zipfile.BadZipFile:
        raise PackError(
            f"{path} is not a style pack, or is damaged or cut short (not a whole zip file). Copy it again."
        ) from None
    except (OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise PackError(f"{path} cannot be read as a style pack: {error}.") from None
    info = _parse_info(path, entries["pack.json"])
    if "generator.onnx" not in entries:
        raise PackError(f"{path} is not a style pack: it has no generator.onnx.")
    generator = entries["generator.onnx"]
    if hashlib.sha256(generator).hexdigest() != info.generator_sha256:
        raise PackError(f"{path} is damaged: its generator does not match its checksum.")
    for name in OPTIONAL:
        network, checksum = entries.get(f"{name}.onnx"), getattr(info, f"{name}_sha256")
        if checksum and network is None:
            raise PackError(f"{path} is damaged: its {name}.onnx is missing.")
        if network is not None and hashlib.sha256(network).hexdigest() != checksum:
            raise PackError(f"{path} is damaged: its {name} does not match its checksum.")
    text = entries.get("LICENSE", b"").decode("utf-8", "replace")
    networks = {name: entries.get(f"{name}.onnx") for name in OPTIONAL}
    return PackFile(info, generator, preview=entries.get("preview.jpg"), license=text, **networks)


def _read_entries(path: Path, archive: zipfile.ZipFile) -> dict[str, bytes]:
    names = [entry.filename for entry in archive.infolist()]
    strange = [name for name in names if name not in ENTRIES]
    if strange:
        raise PackError(f"{path} holds '{strange[0]}', which does not belong in a style pack; refused.")
    if len(set(names)) != len(names):
        raise PackError(f"{path} holds an entry twice; refused.")
    if "pack.json" not in names:
        raise PackError(f"{path} is not a style pack: it has no pack.json.")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
        raise PackError(f"{path} has compressed entries; a style pack stores them plain. Refused.")
    size = sum(entry.file_size for entry in archive.infolist())
    if size > MAX_BYTES:
        raise PackError(f"{path} holds {size / 1e6:.0f} MB; the limit is {MAX_BYTES / 1e6:.0f} MB.")
    return {name: archive.read(name) for name in names}


def _parse_info(path: Path, data: bytes) -> PackInfo:
    try:
        values = json.loads(data)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PackError(f"{path}: its pack.json is not valid JSON ({error}).") from None
    version = values.get("format") if isinstance(values, dict) else None
    if not isinstance(version, int):
        raise PackError(f"{path}: its pack.json does not say which format it is in.")
    if version > FORMAT:
        raise PackError(
            f"{path} is in format {version}; this Inkbridge reads up to {FORMAT}. "
            "Update it: pip install --upgrade inkbridge"
        )
    size = values.get("size")
    if isinstance(size, dict) and size.get("mirror") is False:  # as packs said it before there was `border`
        size.setdefault("border", 0)
    try:
        info = pydantic.TypeAdapter(PackInfo).validate_python(values)
    except pydantic.ValidationError as error:
        raise PackError(f"{path}: in its pack.json, {first_problem(error)}.") from None
    _check_info(path, info)
    return info


def first_problem(error: pydantic.ValidationError) -> str:
    """Where values are not what they should be, and why, to be put into a sentence."""
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg'].lower()}"


def _check_info(path: Path, info: PackInfo) -> None:
    if info.kind not in KINDS:
        raise PackError(f"{path} is a pack of kind '{info.kind}', which this Inkbridge does not know.")
    if not info.styles:
        raise PackError(f"{path}: its pack.json names no style.")
    lengths = {len(style.code) for style in info.styles}
    if len(lengths) != 1 or 0 in lengths:
        raise PackError(f"{path}: its style codes have different or no lengths.")
    multiple, overlap = info.size.multiple, info.size.overlap
    if not (1 <= multiple <= 256 and 0 <= overlap <= 1024 and overlap % multiple == 0):
        raise PackError(f"{path}: its size rules (multiple {multiple}, overlap {overlap}) make no sense.")
    border = info.size.border
    if border is not None and not (0 <= border <= overlap and border % multiple == 0):
        raise PackError(
            f"{path}: its size rules make no sense: border {border} is no multiple of {multiple} "
            f"from 0 to {overlap}."
        )
    for what, side in (("short side", info.size.short_side), ("working side", info.size.working_side)):
        if not 0 <= side <= MAX_SHORT_SIDE:
            raise PackError(
                f"{path}: its size rules make no sense: {what} {side} is not from 0 to {MAX_SHORT_SIDE}."
            )
    if info.pixel_range != (-1.0, 1.0):
        raise PackError(f"{path}: pixel range {list(info.pixel_range)} is not [-1, 1].")
