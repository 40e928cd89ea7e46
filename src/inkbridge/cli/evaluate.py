"""inkbridge evaluate"""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from inkbridge.images import RGB
    from inkbridge.metrics.evaluation import Evaluation

LEAST_SIDE = 16


def evaluate(
    packs: list[str],
    /,
    *,
    content: Path,
    style: Annotated[list[str], Parameter(name=["--style", "-s"], negative=())],
    report: Path | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
    eye: str = "squeezenet11",
) -> int:
    """Paint a folder with one or several packs and measure content kept and style reached, side by side.

    Parameters
    ----------
    packs
        Names or files of style packs.
    content
        A folder of pictures to paint; ones that were not trained on.
    style
        A folder of pictures of the style, for a pack of one; NAME=FOLDER for a style by name; repeatable.
    report
        The HTML file to write: figures, curves, best and worst pictures; it opens offline.
    json
        Print JSON instead of a table.
    eye
        The trained network that judges: an ONNX file instead of the bundled one; none: pixels alone.
    """
    from inkbridge.cli.progress import bar
    from inkbridge.errors import DataError
    from inkbridge.images import find_pictures, write_atomically
    from inkbridge.metrics.evaluation import evaluate as measure
    from inkbridge.metrics.quality import Quality
    from inkbridge.metrics.report import html_report
    from inkbridge.pack import load

    if report is not None and not report.parent.is_dir():
        raise DataError(f"Folder '{report.parent}' does not exist; make it first.")
    files = find_pictures(content)
    if not files:
        raise DataError(f"Folder '{content}' holds no pictures.")
    sight = Quality(eye).sight
    loaded = [(name, load(name)) for name in packs]
    jobs = []
    for name, pack in loaded:
        for wanted, folder in _named(style, pack.default_style):
            pack.code(wanted)  # an unknown style is said before anything is painted
            jobs.append((name, pack, wanted, folder))
    folders = {folder: list(_pictures(find_pictures(folder), folder, 512)) for *_, folder in jobs}
    for folder, pictures in folders.items():
        if len(pictures) < 2:
            raise DataError(
                f"Folder '{folder}' holds {len(pictures)} usable pictures; at least 2 are needed."
            )
    found: list[Evaluation] = []
    for name, pack, wanted, folder in jobs:
        title = wanted if len(loaded) == 1 else f"{Path(name).stem}: {wanted}"
        with bar(f"measuring {title}") as advance:
            try:
                found.append(
                    measure(
                        title,
                        lambda rgb, pack=pack, wanted=wanted: pack.apply(rgb, wanted),  # type: ignore[misc]
                        _pictures(files, content),
                        len(files),
                        folders[folder],
                        advance,
                        sight,
                    )
                )
            except ValueError:
                raise DataError(f"Folder '{content}' holds no usable pictures.") from None
    if report is not None:
        page = html_report(found).encode()
        write_atomically(report, lambda file: file.write(page))
    if json:
        print(json_format.dumps([evaluation.to_dict() for evaluation in found], indent=1))
    else:
        _print_table(found)
        if report is not None:
            print(f"Pictures and curves: {report}")
    return 0


def _named(styles: list[str], default: str) -> list[tuple[str, Path]]:
    """NAME=FOLDER -> (NAME, FOLDER); FOLDER alone is for the pack's default style."""
    found = []
    for entry in styles:
        name, equals, folder = entry.partition("=")
        found.append((name, Path(folder)) if equals and not Path(entry).exists() else (default, Path(entry)))
    return found


def _pictures(files: list[Path], folder: Path, short_side: int | None = None) -> Iterator[tuple[str, RGB]]:
    """Name and picture of each file that can be used; the others are said."""
    from inkbridge.errors import DataError
    from inkbridge.images import read_picture, reduced

    for file in files:
        try:
            rgb = read_picture(file).rgb
        except DataError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        if min(rgb.shape[:2]) < LEAST_SIDE:
            print(
                f"left out: {file} is {rgb.shape[1]} x {rgb.shape[0]}; at least {LEAST_SIDE} x {LEAST_SIDE} "
                "is needed.",
                file=sys.stderr,
            )
            continue
        yield str(file.relative_to(folder)), rgb if short_side is None else reduced(rgb, short_side)


def _print_table(evaluations: list[Evaluation]) -> None:
    """What the eye finds stands first; without one it is what pixels say."""
    from inkbridge.metrics.evaluation import CONTENT_FIGURES

    width = max(len("style"), *(len(evaluation.title) for evaluation in evaluations))
    if evaluations[0].eye is not None:
        names = ("covered", "strokes", "picture", "judged", "recognised", "as content")
        print(f"{'style':<{width}}" + "".join(f"{name:>12}" for name in names))
        for evaluation in evaluations:
            eye, recognised = evaluation.eye, evaluation.mean("recognised")[0]
            assert eye is not None
            shares = "".join(f"{100 * share:>11.0f}%" for share in (eye.covered, eye.strokes, eye.picture))
            judged = "-" if eye.judged is None else f"{100 * eye.judged:.0f}%"
            taken = "-" if eye.as_content is None else f"{100 * eye.as_content:.0f}%"
            print(f"{evaluation.title:<{width}}{shares}{judged:>12}{recognised:>12.2f}{taken:>12}")
        eye = evaluations[0].eye
        right = (
            "" if eye.judged_right is None else f" Its probe judges {100 * eye.judged_right:.0f}% rightly."
        )
        print(f"\nBy the eye {eye.name}.{right} For information, by pixels:\n")
    print(f"{'style':<{width}}  covered" + "".join(f"{name:>11}" for name in CONTENT_FIGURES))
    for evaluation in evaluations:
        cells = "".join(f"{evaluation.mean(name)[0]:>11.3f}" for name in CONTENT_FIGURES)
        print(f"{evaluation.title:<{width}}  {100 * evaluation.pixels_covered:>6.0f}%{cells}")
