"""The list of a collection of packs: index.json, format 1, described in docs/catalogue.md."""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydantic

from inkbridge.errors import PackError
from inkbridge.images import write_atomically
from inkbridge.pack_format import MAX_BYTES, first_problem

FORMAT = 1
NAME = "index.json"
MAX_INDEX_BYTES = 4_000_000
PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]*")
"""Names of packs: nothing that could lead out of a folder."""
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass
class IndexEntry:
    """One pack of a collection."""

    name: str
    """What it is called here: lower case, digits, hyphens, dots, underscores."""
    title: str
    styles: list[str]
    file: str
    """Where it is: an address, or a name beside the index."""
    bytes: int
    sha256: str
    license: str = ""
    """In one line."""
    data: str = ""
    """What it was trained on, in one line."""
    preview: str = ""
    """A picture of what it does: an address, or a name beside the index; empty for none."""


@dataclass
class Index:
    """A collection of packs."""

    packs: list[IndexEntry] = field(default_factory=list)
    format: int = FORMAT


def read_index(data: bytes, place: str) -> Index:
    """An index from its bytes; PackError, naming `place`, for one that is broken, hostile or too new."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:  # also of wrong UTF-8
        raise PackError(f"{place} is no list of packs (it is not JSON: {error}).") from None
    if not isinstance(found, dict) or not isinstance(found.get("format"), int):
        raise PackError(f"{place} is no list of packs (it does not say its format).")
    if found["format"] > FORMAT:
        raise PackError(
            f"{place} has format {found['format']}, newer than this version reads: update Inkbridge."
        )
    try:
        index = pydantic.TypeAdapter(Index).validate_python(found)
    except pydantic.ValidationError as error:
        raise PackError(f"{place} is no list of packs ({first_problem(error)}).") from None
    for entry in index.packs:
        _check(entry, place)
    names = [entry.name for entry in index.packs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise PackError(f"{place} has '{twice}' twice.")
    return index


def write_index(path: Path, index: Index) -> None:
    """Write it atomically."""
    text = json.dumps(dataclasses.asdict(index), indent=1, ensure_ascii=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def _check(entry: IndexEntry, place: str) -> None:
    def refuse(what: str) -> Any:
        raise PackError(f"{place}: pack '{entry.name[:80]}' {what}; refused.")

    if not PLAIN.fullmatch(entry.name):
        refuse("has a name that is not one of lower case letters, digits and hyphens")
    if not SHA256.fullmatch(entry.sha256):
        refuse("has no SHA-256 of 64 hexadecimal digits")
    if not 0 < entry.bytes <= MAX_BYTES:
        refuse(f"has {entry.bytes:,} bytes; packs have up to {MAX_BYTES:,}")
    if not entry.file:
        refuse("does not say where it is")
