"""Collections of packs in a folder, at an address or on a model hub, and what is pulled from them."""

from __future__ import annotations

import contextlib
import os
import shutil
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from inkbridge.catalogue import user_folder
from inkbridge.errors import DataError, MissingExtraError, PackError
from inkbridge.hub.download import check_address, fetch, fetch_small, sha256_of
from inkbridge.hub.index import MAX_INDEX_BYTES, NAME, PLAIN, Index, IndexEntry, read_index
from inkbridge.images import hold
from inkbridge.pack_format import SUFFIX, read_pack

HUB = "hf://"


@dataclass(frozen=True)
class Collection:
    """A list of packs, and where it was found."""

    place: str
    """Of the list: a path, or an address that ends in its name."""
    index: Index
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent to the host of the list, and to no other."""

    def entry(self, name: str) -> IndexEntry:
        """PackError, with what there is, for a name that is not there."""
        for entry in self.index.packs:
            if entry.name == name:
                return entry
        there = ", ".join(entry.name for entry in self.index.packs)
        raise PackError(f"{self.place} has no pack '{name}'. It has: {there or 'none'}.")

    def address(self, name: str) -> str:
        """Of a file that an entry names: an address, or a path."""
        if is_address(self.place):
            return urllib.parse.urljoin(self.place, name)
        if is_address(name):
            return name
        # A list is not to say which other files of this machine are read.
        if Path(name).name != name:
            raise PackError(f"{self.place}: '{name}' is not beside the list; refused.")
        return str(Path(self.place).parent / name)


@dataclass(frozen=True)
class Pulled:
    """A pack that came."""

    path: Path
    was_there: bool
    """The very same was there before, and nothing was fetched."""


def is_address(place: str) -> bool:
    """Whether it is one, and no path."""
    return "://" in place


def open_collection(place: str) -> Collection:
    """The list of packs at `place`.

    A folder, an index.json in one, the address of either, or hf://USER/NAME (or hf://USER/NAME@REVISION) on a
    model hub (extra [hub]). Raises DataError when it cannot be had, PackError when it is broken or hostile.
    """
    headers: dict[str, str] = {}
    if place.startswith(HUB):
        place, headers = _on_the_hub(place)
    if is_address(place):
        if not place.endswith(".json"):
            place = f"{place.rstrip('/')}/{NAME}"
        check_address(place)
        return Collection(place, read_index(fetch_small(place, MAX_INDEX_BYTES, headers), place), headers)
    path = Path(place)
    path = path / NAME if path.is_dir() else path
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    return Collection(str(path), read_index(data, str(path)))


def pull(
    collection: Collection,
    name: str,
    *,
    again: bool = False,
    on_bytes: Callable[[float, float], None] = lambda done, total: None,
) -> Pulled:
    """Fetch a pack of a collection into the user's folder, where `inkbridge.load` finds it by name.

    What was begun and cut goes on. The pack is there only when its size and SHA-256 are those of the list and
    it is a valid pack. Another pack of that name stays, unless it is to be fetched `again`. Raises DataError
    or PackError for what is not had or not valid.
    """
    entry = collection.entry(name)
    folder = user_folder()
    target = folder / f"{entry.name}{SUFFIX}"
    if target.exists() and not again:
        if sha256_of(target) == entry.sha256:
            return Pulled(target, True)
        raise DataError(f"{target} is there already and differs; --again puts the new one in its place.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"Folder '{folder}' cannot be made: {error.strerror}.") from None
    part = folder / f".{entry.name}.{entry.sha256[:16]}.part"
    with _alone(part, name):
        _bring(collection, entry, part, on_bytes)
        try:
            read_pack(part)
        except PackError as error:
            part.unlink()
            said = str(error).removeprefix(f"{part}: ").removeprefix(f"{part} ")
            raise PackError(
                f"{collection.place}: '{name}' is no usable pack ({said}); nothing was kept."
            ) from None
        part.replace(target)
    return Pulled(target, False)


def remove(name: str) -> Path:
    """Remove a pack from the user's folder; PackError when it is not there."""
    target = user_folder() / f"{name}{SUFFIX}"
    if not PLAIN.fullmatch(name) or not target.is_file():
        own = ", ".join(sorted(path.stem for path in user_folder().glob(f"*{SUFFIX}")))
        raise PackError(f"There is no pack '{name}' in {user_folder()}. There: {own or 'none'}.")
    target.unlink()
    return target


def _bring(
    collection: Collection, entry: IndexEntry, part: Path, on_bytes: Callable[[float, float], None]
) -> None:
    address = collection.address(entry.file)
    if is_address(address):
        same = urllib.parse.urlsplit(address).netloc == urllib.parse.urlsplit(collection.place).netloc
        fetch(address, part, entry.bytes, entry.sha256, collection.headers if same else {}, on_bytes)
        return
    try:
        shutil.copyfile(address, part)
    except OSError as error:
        raise DataError(f"{address} cannot be read: {error.strerror}.") from None
    if part.stat().st_size != entry.bytes or sha256_of(part) != entry.sha256:
        part.unlink()
        raise DataError(f"{address} is not the file that the list names (SHA-256); nothing was kept.")


@contextlib.contextmanager
def _alone(part: Path, name: str) -> Iterator[None]:
    """DataError while another process fetches the same."""
    lock = part.with_suffix(".lock")
    with lock.open("wb") as file:
        try:
            hold(file)
        except OSError:
            raise DataError(f"Another process is fetching '{name}'; wait until it is done.") from None
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _on_the_hub(place: str) -> tuple[str, dict[str, str]]:
    """The address of a repository's list, and what is sent along with it."""
    try:
        import huggingface_hub
    except ImportError:
        raise MissingExtraError("hf://", "hub") from None
    repository, _, revision = place.removeprefix(HUB).partition("@")
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise DataError(f"{place} is no repository: hf://USER/NAME, or hf://USER/NAME@REVISION.")
    endpoint = os.environ.get("HF_ENDPOINT")
    url = huggingface_hub.hf_hub_url(repository, NAME, revision=revision or None, endpoint=endpoint)
    token = huggingface_hub.get_token()
    return url, {"Authorization": f"Bearer {token}"} if token else {}
