"""inkbridge styles"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

app = App(name="styles", help="List the styles that are at hand; fetch, share and remove packs.")


@app.default
def styles() -> None:
    """List the styles that are at hand."""
    from inkbridge.catalogue import scan, user_folder

    found, problems = scan()
    width = max((len(style.name) for style in found), default=0)
    for style in found:
        origin = f"bundled pack {style.pack.stem}" if style.bundled else str(style.pack)
        print(f"{style.name:<{width}}  {style.title}  ({origin})")
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr)
    print(f"Your own packs are looked for in {user_folder()}.")


@app.command
def pull(
    packs: list[str] | None = None,
    /,
    *,
    from_: Annotated[str, Parameter(name="--from")],
    again: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Fetch packs of a collection; without names, show what it has.

    Parameters
    ----------
    packs
        Names of packs in the collection.
    from_
        A folder or an address that has an index.json, or hf://USER/NAME on a model hub.
    again
        Put it in the place of a pack of that name that is there and differs.
    """
    from inkbridge.cli.progress import bar
    from inkbridge.hub.collection import open_collection, pull

    collection = open_collection(from_)
    if not packs:
        for entry in collection.index.packs:
            print(f"{entry.name}: {entry.title}, {entry.bytes / 1e6:.1f} MB, {', '.join(entry.styles)}")
            print(f"  licence: {entry.license or 'none is named'}")
        print(f"{len(collection.index.packs)} packs; nothing was fetched. Name those that you want.")
        return
    for entry in [collection.entry(name) for name in packs]:
        licence = entry.license or "none is named"
        print(f"{entry.name}: {entry.bytes / 1e6:.1f} MB; licence: {licence}", flush=True)
        with bar(f"fetching {entry.name}") as advance:
            pulled = pull(collection, entry.name, again=again, on_bytes=advance)
        if pulled.was_there:
            print(f"{pulled.path} is there already.")
        else:
            print(f"{pulled.path}. Try it: inkbridge apply photo.jpg --style {entry.name} -o out.jpg")


@app.command
def push(
    packs: list[str],
    /,
    *,
    to: str,
) -> None:
    """Put packs where others can pull them, with a list, previews and a card.

    Parameters
    ----------
    packs
        Names from `inkbridge styles`, or .stylepack files.
    to
        A folder, which any web server can serve, or hf://USER/NAME on a model hub.
    """
    import tempfile

    from inkbridge.hub.collection import HUB
    from inkbridge.hub.push import upload, write_repository

    if to.startswith(HUB):
        with tempfile.TemporaryDirectory() as folder:
            index = write_repository(packs, Path(folder))
            place = upload(Path(folder), to)
    else:
        index = write_repository(packs, Path(to))
        place = to
    print(f"{place}: {len(index.packs)} packs. Others: inkbridge styles pull --from {to}")


@app.command
def remove(packs: list[str], /) -> None:
    """Remove packs from your own folder.

    Parameters
    ----------
    packs
        Names of packs there.
    """
    from inkbridge.hub.collection import remove

    for name in packs:
        print(f"{remove(name)} removed.")
