"""inkbridge apply"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from inkbridge.images import Picture
    from inkbridge.many import Done, Job, Painter
    from inkbridge.pack import StylePack


def apply(
    pictures: list[str],
    /,
    *,
    out: Annotated[str, Parameter(name=["--out", "-o"])],
    style: Annotated[list[str] | None, Parameter(name=["--style", "-s"], negative=())] = None,
    like: Annotated[list[str] | None, Parameter(negative=())] = None,
    pack: str | None = None,
    strength: float = 1.0,
    keep_colour: float = 0.0,
    stroke: str = "1",
    detail: Annotated[str | None, Parameter(show=False)] = None,
    mask: Path | None = None,
    outside: str | None = None,
    quality: int = 95,
    max_megapixels: float = 200.0,
    again: Annotated[bool, Parameter(negative=())] = False,
    processes: int | None = None,
    ray: str | None = None,
    device: str | None = None,
    precision: str | None = None,
    steady: float = 0.8,
) -> int:
    """Paint one or more pictures, or a film, in a style, in a fusion of styles, or like an example.

    Several are painted side by side, and those whose results are there are left alone: the same command goes
    on where it was stopped.

    Parameters
    ----------
    pictures
        A picture, a film, several, or a folder of pictures (then the tree below it is kept).
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
    stroke
        How broad strokes are: 1 as in the style, whatever the size of the picture, 2 twice as broad, 0.5 half
        (0.25 to 4). `full` paints pixel by pixel; in a large picture strokes are then too fine to be seen.
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
    ray
        Paint on the Ray cluster at this address (`auto` finds the one that this machine is part of; `local`
        makes one of this machine). PICTURES and --out may then be addresses of object stores (s3://...).
    device
        What the network runs on: cpu, openvino, cuda, coreml or directml (default: what `inkbridge bench
        --keep` chose, else cpu).
    precision
        Of the numbers in the network: float32, or on openvino bfloat16 or float16, which are faster where the
        processor has them.
    steady
        Of films: how much of the frame before stays where motion explains the picture, from 0 (each frame by
        itself, which flickers) to 0.95.
    """
    from inkbridge.errors import ConfigError
    from inkbridge.look import no_detail

    no_detail(detail)
    if not 1 <= quality <= 100:
        raise ConfigError(f"--quality {quality} cannot be used: it must be from 1 to 100.")
    most_pixels = int(max_megapixels * 1e6)
    alone = ray is None and len(pictures) == 1 and not Path(pictures[0]).is_dir()
    # While the rest of Inkbridge and the pack are loaded.
    read = _begin_reading(Path(pictures[0]), Path(out), most_pixels) if alone else None

    from inkbridge.engine import usable_cores
    from inkbridge.film import FilmConfig
    from inkbridge.images import read_picture
    from inkbridge.look import Look, stroke_of, weighted_name
    from inkbridge.many import Painter, paint_many
    from inkbridge.pack import load_for
    from inkbridge.scale_out import is_address, paint_on_ray, plan, there

    if not style and not like and pack is None:
        raise ConfigError("Say which style: --style NAME (see inkbridge styles) or --like PICTURE.")
    if processes is not None and processes < 1:
        raise ConfigError(f"--processes {processes} cannot be used: one is needed at least.")
    styles = dict(weighted_name(entry) for entry in style or [])
    if len(styles) < len(style or []):
        raise ConfigError("A style is named twice; give each once, with its weight.")
    far = [place for place in [*pictures, out] if is_address(place)]
    if far and ray is None:
        raise ConfigError(f"'{far[0]}' is in an object store; paint there with --ray (docs/many.md).")
    if far and len(far) <= len(pictures):
        raise ConfigError("Either all of PICTURES and --out are in object stores, or none is.")
    jobs = plan(pictures, out) if far else _plan([Path(place) for place in pictures], Path(out))
    loaded, styles = load_for(styles, pack, with_encoder=bool(like), device=device, precision=precision)
    # Once for all pictures: what is wrong with it is said once, and examples are read once.
    code = loaded.code(styles or None, [weighted_name(entry) for entry in like] if like else None)
    ground = None if outside is None else loaded.code(outside)
    look = Look(
        code,
        outside=ground,
        strength=strength,
        keep_colour=keep_colour,
        stroke=stroke_of(stroke),
        # Other machines may not see the file.
        mask=read_picture(mask).rgb if mask is not None and ray is not None else mask,
    )
    look.check()
    film = FilmConfig(steady)
    film.check()
    painter = Painter(loaded.file, loaded.name, look, quality, most_pixels, loaded.device, film)
    if ray is not None:
        known = there(out) if far else None
        return _apply_many(jobs, again, lambda waiting: paint_on_ray(painter, waiting, ray), known)
    if alone:
        _apply_one(loaded, painter, jobs[0], read)
        return 0

    def here(waiting: list[Job]) -> Iterator[Done]:
        num = min(processes or usable_cores(), max(len(waiting), 1))
        if num == 1:
            return (painter.paint(loaded, job) for job in waiting)
        return paint_many(painter, waiting, num)

    return _apply_many(jobs, again, here)


def _begin_reading(source: Path, target: Path, max_pixels: int) -> Callable[[], Picture] | None:
    """Read a picture in the background, if it is one that is read whole."""
    from inkbridge.film import is_film
    from inkbridge.images import read_ahead
    from inkbridge.large import wants_pieces

    if is_film(source) or wants_pieces(source, target / source.name if target.is_dir() else target):
        return None
    return read_ahead(source, max_pixels)


def _plan(pictures: list[Path], out: Path) -> list[Job]:
    """A job for every picture; folders come into being only when there is work."""
    from inkbridge.errors import DataError
    from inkbridge.film import FILMS, check_film_name, is_film
    from inkbridge.images import SUFFIXES, check_place_beside, check_writable_beside, find_files
    from inkbridge.many import Job

    if len(pictures) == 1 and not pictures[0].is_dir():
        if out.is_dir():
            return [Job(pictures[0], out / pictures[0].name)]
        if is_film(pictures[0]):
            check_film_name(out)
            check_place_beside(out, pictures[0])
        else:
            check_writable_beside(out, pictures[0])
        return [Job(pictures[0], out)]
    jobs = []
    for picture in pictures:
        if picture.is_dir():
            there = find_files(picture, SUFFIXES | FILMS)
            films = [path for path in there if is_film(path)]
            found = [path for path in there if not is_film(path)]
            if not found:
                but = f", but films; give {films[0]} by its name" if films else ""
                raise DataError(f"Folder '{picture}' holds no pictures{but}.")
            if films:
                print(
                    f"Folder '{picture}' holds films too, which are left alone: give {films[0]} by its name.",
                    file=sys.stderr,
                )
            jobs += [Job(path, out / path.relative_to(picture)) for path in found]
        else:
            jobs.append(Job(picture, out / picture.name))
    counts = Counter(job.target for job in jobs)
    target, times = counts.most_common(1)[0]
    if times > 1:
        raise DataError(f"{times} pictures would be written to {target}; apply them one at a time.")
    if out.exists() and not out.is_dir():
        raise DataError(f"{out} is a file; several pictures need a folder.")
    return jobs


def _apply_one(pack: StylePack, painter: Painter, job: Job, read: Callable[[], Picture] | None) -> None:
    from inkbridge.cli.progress import bar
    from inkbridge.errors import DataError

    with bar(f"painting {Path(job.source).name}") as advance:
        done = painter.paint(pack, job, advance, read)
    if done.error:
        raise DataError(done.error)
    print(_said(done))


def _apply_many(
    jobs: list[Job],
    again: bool,
    paint: Callable[[list[Job]], Iterator[Done]],
    known: set[str] | None = None,
) -> int:
    """`known` are addresses that exist; without it targets are paths."""
    from inkbridge.cli.progress import bar
    from inkbridge.images import remove_leftovers

    names: dict[Path, set[str]] = {}
    for job in jobs if known is None else []:
        target = Path(job.target)
        names.setdefault(target.parent, set()).add(target.name)
    for folder, here in names.items():
        remove_leftovers(folder, here)
    waiting = [job for job in jobs if again or not _is_there(job, known)]
    work = paint(waiting) if waiting else iter(())
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


def _is_there(job: Job, known: set[str] | None) -> bool:
    if known is not None:
        return job.target in known
    source, target = Path(job.source), Path(job.target)
    return target.exists() and not (source.exists() and target.samefile(source))


def _said(done: Done) -> str:
    notes = f" ({'; '.join(done.notes)})" if done.notes else ""
    return f"{done.job.source} -> {done.job.target}{notes}"
