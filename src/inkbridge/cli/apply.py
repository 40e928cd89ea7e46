"""inkbridge apply"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from inkbridge.many import Done, Job, Painter
    from inkbridge.pack import StylePack


def apply(
    pictures: list[Path],
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    style: Annotated[list[str] | None, Parameter(name=["--style", "-s"], negative=())] = None,
    like: Annotated[list[str] | None, Parameter(negative=())] = None,
    pack: str | None = None,
    strength: float = 1.0,
    keep_colour: float = 0.0,
    detail: float = 1.0,
    mask: Path | None = None,
    outside: str | None = None,
    quality: int = 95,
    max_megapixels: float = 200.0,
    again: Annotated[bool, Parameter(negative=())] = False,
    processes: int | None = None,
) -> int:
    """Paint one or more pictures in a style, in a fusion of styles, or like an example.

    Several are painted side by side, and those whose results are there are left alone: the same command goes
    on where it was stopped.

    Parameters
    ----------
    pictures
        A picture, several, or a folder (then the tree below it is kept).
    out
        For one picture a file name; for several, or a folder, a folder.
    style
        A name from `inkbridge styles`, or the path of a .stylepack file. Repeat it to fuse styles, with
        weights if you like: --style ukiyo-e:0.6 --style vangogh-drawing:0.4
    like
        A picture whose style is wanted; repeat it to fuse several, with weights if you like.
    pack
        The pack that --style and --like are about (default: the first that has them).
    strength
        From 0, the picture itself, to 1, the full style, and beyond it to 1.3.
    keep_colour
        From 0, the colours of the style, to 1, those of the picture.
    detail
        Above 1 strokes become finer, below 1 broader (0.25 to 4).
    mask
        A picture that is white where the style is to go.
    outside
        The style where the mask is black (default: the picture stays as it is).
    quality
        JPEG, WebP and AVIF quality, 1 to 100.
    max_megapixels
        Larger pictures are refused.
    again
        Of several: paint those too whose results are there.
    processes
        Of several: how many are painted at a time (default: one for each core).
    """
    from inkbridge.errors import ConfigError
    from inkbridge.look import Look, weighted_name
    from inkbridge.many import Job, Painter
    from inkbridge.pack import load_for

    if not 1 <= quality <= 100:
        raise ConfigError(f"--quality {quality} cannot be used: it must be from 1 to 100.")
    if not style and not like and pack is None:
        raise ConfigError("Say which style: --style NAME (see inkbridge styles) or --like PICTURE.")
    if processes is not None and processes < 1:
        raise ConfigError(f"--processes {processes} cannot be used: one is needed at least.")
    styles = dict(weighted_name(entry) for entry in style or [])
    if len(styles) < len(style or []):
        raise ConfigError("A style is named twice; give each once, with its weight.")
    jobs = _plan(pictures, out)
    loaded, styles = load_for(styles, pack, with_encoder=bool(like))
    # Once for all pictures: what is wrong with it is said once, and examples are read once.
    code = loaded.code(styles or None, [weighted_name(entry) for entry in like] if like else None)
    ground = None if outside is None else loaded.code(outside)
    look = Look(
        code,
        outside=ground,
        strength=strength,
        keep_colour=keep_colour,
        detail=detail,
        mask=mask,
    )
    look.check()
    painter = Painter(loaded.file, loaded.name, look, quality, int(max_megapixels * 1e6))
    if len(pictures) == 1 and not pictures[0].is_dir():
        _apply_one(loaded, painter, Job(*jobs[0]))
        return 0
    return _apply_many(loaded, painter, [Job(*job) for job in jobs], again, processes)


def _plan(pictures: list[Path], out: Path) -> list[tuple[Path, Path]]:
    """(source, target) for every picture; folders come into being only when there is work."""
    from inkbridge.errors import DataError
    from inkbridge.images import check_writable_beside, find_pictures

    if len(pictures) == 1 and not pictures[0].is_dir():
        if out.is_dir():
            return [(pictures[0], out / pictures[0].name)]
        check_writable_beside(out, pictures[0])
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


def _apply_one(pack: StylePack, painter: Painter, job: Job) -> None:
    from inkbridge.cli.progress import bar
    from inkbridge.errors import DataError

    with bar(f"painting {job.source.name}") as advance:
        done = painter.paint(pack, job, advance)
    if done.error:
        raise DataError(done.error)
    print(_said(done))


def _apply_many(
    pack: StylePack, painter: Painter, jobs: list[Job], again: bool, processes: int | None
) -> int:
    from inkbridge.cli.progress import bar
    from inkbridge.images import remove_leftovers
    from inkbridge.many import paint_many, usable_cores

    names: dict[Path, set[str]] = {}
    for job in jobs:
        names.setdefault(job.target.parent, set()).add(job.target.name)
    for folder, here in names.items():
        remove_leftovers(folder, here)
    waiting = [job for job in jobs if again or not _is_there(job)]
    processes = min(processes or usable_cores(), max(len(waiting), 1))
    work: Iterator[Done]
    if processes == 1:
        work = (painter.paint(pack, job) for job in waiting)
    else:
        work = paint_many(painter, waiting, processes)
    left_out = 0
    with bar(f"painting {len(waiting):,} pictures") as advance:
        for number, done in enumerate(work, 1):
            advance(number, len(waiting))
            if done.error:
                left_out += 1
                print(f"left out: {done.error}", file=sys.stderr)
            else:
                print(_said(done), flush=True)
    there = len(jobs) - len(waiting)
    said = f"; {there:,} were there already (--again paints them anew)" if there else ""
    print(f"{len(waiting) - left_out:,} of {len(jobs):,} pictures painted{said}.")
    if left_out:
        print(
            f"inkbridge: {left_out} of {len(jobs)} pictures could not be painted (see above).",
            file=sys.stderr,
        )
    return 1 if left_out else 0


def _is_there(job: Job) -> bool:
    return job.target.exists() and not (job.source.exists() and job.target.samefile(job.source))


def _said(done: Done) -> str:
    notes = f" ({'; '.join(done.notes)})" if done.notes else ""
    return f"{done.job.source} -> {done.job.target}{notes}"
