"""inkbridge apply"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from inkbridge.pack import StylePack


def apply(
    pictures: list[Path],
    /,
    *,
    style: Annotated[str, Parameter(name=["--style", "-s"])],
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    strength: float = 1.0,
    quality: int = 95,
    max_megapixels: float = 200.0,
) -> int:
    """Paint one or more pictures in a style.

    Parameters
    ----------
    pictures
        A picture, several, or a folder (then the tree below it is kept).
    style
        A name from `inkbridge styles`, or the path of a .stylepack file.
    out
        For one picture a file name; for several, or a folder, a folder.
    strength
        From 0, the picture itself, to 1, the full style.
    quality
        JPEG, WebP and AVIF quality, 1 to 100.
    max_megapixels
        Larger pictures are refused.
    """
    from inkbridge.errors import ConfigError, InkbridgeError
    from inkbridge.pack import load

    if not 1 <= quality <= 100:
        raise ConfigError(f"--quality {quality} cannot be used: it must be from 1 to 100.")
    if not 0.0 <= strength <= 1.0:
        raise ConfigError(f"--strength {strength} cannot be used: it must be from 0 to 1.")
    jobs = _plan(pictures, out)
    pack = load(style)
    failures = []
    for source, target in jobs:
        try:
            _apply_one(pack, source, target, strength, quality, int(max_megapixels * 1e6))
        except InkbridgeError as error:
            if len(jobs) == 1:
                raise
            failures.append(str(error))
            print(f"left out: {error}", file=sys.stderr)
    if failures:
        print(
            f"inkbridge: {len(failures)} of {len(jobs)} pictures could not be painted (see above).",
            file=sys.stderr,
        )
    return 1 if failures else 0


def _plan(pictures: list[Path], out: Path) -> list[tuple[Path, Path]]:
    """(source, target) for every picture; folders come into being only when there is work."""
    from inkbridge.errors import DataError
    from inkbridge.images import check_writable_name, find_pictures

    if len(pictures) == 1 and not pictures[0].is_dir():
        if out.is_dir():
            return [(pictures[0], out / pictures[0].name)]
        check_writable_name(out)
        if not out.parent.is_dir():
            raise DataError(f"Folder '{out.parent}' does not exist; make it first.")
        return [(pictures[0], out)]
    jobs = []
    for picture in pictures:
        if picture.is_dir():
            found = find_pictures(picture)
            if not found:
                raise DataError(f"Folder '{picture}' holds no pictures.")
            jobs += [(path, out / path.relative_to(picture)) for path in found]
        else:
            jobs.append((picture, out / picture.name))
    counts = Counter(target for _, target in jobs)
    target, times = counts.most_common(1)[0]
    if times > 1:
        raise DataError(f"{times} pictures would be written to {target}; apply them one at a time.")
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file; several pictures need a folder.")
    return jobs


def _apply_one(
    pack: StylePack, source: Path, target: Path, strength: float, quality: int, max_pixels: int
) -> None:
    from inkbridge.cli.progress import bar
    from inkbridge.errors import DataError
    from inkbridge.images import read_picture, write_picture

    if target.exists() and target.samefile(source):
        raise DataError(f"{target} is the picture itself; give the result another name.")
    picture = read_picture(source, max_pixels)
    notes = list(picture.notes)
    with bar(f"painting {source.name}") as advance:
        painted = pack.apply_to(picture, strength=strength, on_tile=advance)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"Folder '{target.parent}' cannot be made: {error.strerror}.") from None
    notes += write_picture(painted, target, quality)
    said = f" ({'; '.join(notes)})" if notes else ""
    print(f"{source} -> {target}{said}")
