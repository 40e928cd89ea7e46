"""Packs as a repository that others pull from: list, card, previews and the packs themselves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import IO

from inkbridge.catalogue import find_pack
from inkbridge.errors import ConfigError, DataError, MissingExtraError, PackError, first_line
from inkbridge.hub.collection import HUB
from inkbridge.hub.download import sha256_of
from inkbridge.hub.index import NAME, PLAIN, Index, IndexEntry, read_index, write_index
from inkbridge.images import write_atomically
from inkbridge.pack_format import SUFFIX, PackFile, read_pack

CARD = "README.md"
LICENSES = {
    "CC BY-SA 4.0": "cc-by-sa-4.0",
    "CC BY 4.0": "cc-by-4.0",
    "CC0": "cc0-1.0",
    "Apache-2.0": "apache-2.0",
    "MIT": "mit",
}
"""How a licence text may begin, and the name that model hubs have for it."""


def write_repository(packs: Sequence[str], folder: Path) -> Index:
    """Put packs (names, or paths) into a folder, with index.json, previews and a card in the Hub's format.

    The folder can be served as it is by any web server. Packs that its list had before stay; one of the same
    name is replaced. Raises PackError for what is no pack or has no licence.
    """
    if folder.is_file():
        raise ConfigError(f"{folder} is a file; packs are pushed into a folder, or to {HUB}USER/NAME.")
    found = [_read(pack) for pack in packs]
    before = folder / NAME
    index = read_index(before.read_bytes(), str(before)) if before.exists() else Index()
    folder.mkdir(parents=True, exist_ok=True)
    for path, file in found:
        name = path.stem
        shutil.copyfile(path, folder / f".{path.name}.part")
        (folder / f".{path.name}.part").replace(folder / path.name)
        if file.preview is not None:
            write_atomically(folder / f"{name}.jpg", partial(_write, file.preview))
        entry = IndexEntry(
            name,
            file.info.title,
            [style.name for style in file.info.styles],
            path.name,
            path.stat().st_size,
            sha256_of(path),
            file.license.strip().splitlines()[0],
            str(file.info.provenance.get("data", "")),
            f"{name}.jpg" if file.preview is not None else "",
        )
        index.packs = [other for other in index.packs if other.name != name] + [entry]
    write_atomically(folder / CARD, partial(_write, card(index).encode()))
    # Last: whoever reads it finds all that it names.
    write_index(before, index)
    return index


def upload(folder: Path, place: str) -> str:
    """Upload such a folder to hf://USER/NAME, which is made where it is not there; its address.

    Raises MissingExtraError without the extra [hub], DataError when the hub refuses.
    """
    try:
        import huggingface_hub
    except ImportError:
        raise MissingExtraError("hf://", "hub") from None
    repository = place.removeprefix(HUB)
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise ConfigError(f"{place} is no repository: {HUB}USER/NAME.")
    try:
        api = huggingface_hub.HfApi()
        api.create_repo(repository, exist_ok=True)
        done = api.upload_folder(repo_id=repository, folder_path=folder, commit_message="Style packs")
    except Exception as error:  # the library's exceptions have no common base but Exception
        raise DataError(f"{place} does not take them ({first_line(error)}).") from None
    return str(done)


def card(index: Index) -> str:
    """A model card: what model hubs read (YAML) and what people do."""
    licenses = {entry.license for entry in index.packs}
    names = {
        next((name for start, name in LICENSES.items() if text.startswith(start)), "other")
        for text in licenses
    }
    one = names.pop() if len(names) == 1 else "other"
    head = [
        "---",
        f"license: {one}",
        *([f"license_name: {json.dumps('; '.join(sorted(licenses)))}"] if one == "other" else []),
        "library_name: inkbridge",
        "pipeline_tag: image-to-image",
        "tags:",
        "- style-transfer",
        "- gan",
        "- onnx",
        "---",
    ]
    lines = [*head, "", "# Style packs for Inkbridge", ""]
    for entry in index.packs:
        lines += [f"## {entry.title}", ""]
        lines += [f"![{entry.title}]({entry.preview})", ""] if entry.preview else []
        lines += [f"- pack `{entry.name}`, {entry.bytes / 1e6:.1f} MB, styles: {', '.join(entry.styles)}"]
        lines += [f"- licence: {entry.license}"]
        lines += [f"- trained on: {entry.data}"] if entry.data else []
        lines += ["", f"    inkbridge styles pull {entry.name} --from PLACE"]
        lines += [f"    inkbridge apply photo.jpg --style {entry.styles[0]} -o painting.jpg", ""]
    lines += ["PLACE is where this repository is: a folder, an address, or hf://USER/NAME.", ""]
    return "\n".join(lines)


def _write(data: bytes, file: IO[bytes]) -> None:
    file.write(data)


def _read(pack: str) -> tuple[Path, PackFile]:
    path, _ = find_pack(pack)
    file = read_pack(path)
    if not PLAIN.fullmatch(path.stem) or path.suffix != SUFFIX:
        raise PackError(f"{path}: rename it to lower case letters, digits and hyphens before it is pushed.")
    if not file.license.strip():
        raise PackError(f"{path} names no licence, so that nobody may use it; export it with --license.")
    return path, file
