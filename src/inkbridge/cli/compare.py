"""inkbridge compare"""

from __future__ import annotations

import json as json_format
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from inkbridge.images import RGB


def compare(
    a: Path,
    b: Path,
    /,
    *,
    json: Annotated[bool, Parameter(negative=())] = False,
    difference: Annotated[Path | None, Parameter(name=["--difference", "-d"])] = None,
) -> int:
    """Measure how alike two pictures are, or two folders of pictures paired by name.

    SSIM, MS-SSIM, FSIM, FSIMc, structure and edges are 1 for equal pictures; PSNR is in decibels. A dash
    stands where there is no number: the PSNR of equal pictures, the MS-SSIM of those below 176 pixels.

    Parameters
    ----------
    a
        A picture, or a folder.
    b
        The same of the other side. In folders, names must be equal but for the ending.
    json
        Print JSON instead of a table.
    difference
        Write where they differ: black where equal, brighter the more they differ. For folders, a folder.
    """
    from inkbridge.errors import DataError
    from inkbridge.metrics.interval import bootstrap_interval
    from inkbridge.metrics.measures import MEASURES, measured

    pairs = _pair(a, b)
    if difference is not None:
        _check_target(difference, is_folder=a.is_dir())
    rows: dict[str, dict[str, float | None]] = {}
    for name, first, second in pairs:
        ours, theirs = _read(first), _read(second)
        if ours.shape != theirs.shape:
            raise DataError(
                f"{first} is {ours.shape[1]} x {ours.shape[0]} and {second} {theirs.shape[1]} x "
                f"{theirs.shape[0]}; only pictures of the same size can be compared. Resize one."
            )
        rows[name] = {label: measured(label, ours, theirs) for label in MEASURES}
        if difference is not None:
            _write_difference(ours, theirs, difference / f"{name}.png" if a.is_dir() else difference)
    means: dict[str, dict[str, float | list[float] | None]] = {}
    for label in MEASURES:
        values = [value for row in rows.values() if (value := row[label]) is not None]
        finite = [value for value in values if math.isfinite(value)]
        interval = list(bootstrap_interval(finite)) if len(finite) > 1 else None
        means[label] = {"mean": sum(finite) / len(finite) if finite else None, "interval95": interval}
    if json:
        print(json_format.dumps({"pairs": rows, "all": means} if a.is_dir() else rows[pairs[0][0]], indent=1))
    else:
        _print_table(rows, means if len(rows) > 1 else None)
    return 0


def _pair(a: Path, b: Path) -> list[tuple[str, Path, Path]]:
    from inkbridge.errors import DataError
    from inkbridge.images import find_pictures

    if a.is_dir() != b.is_dir():
        raise DataError(f"One of {a} and {b} is a folder; give two pictures or two folders.")
    if not a.is_dir():
        return [(a.name, a, b)]
    sides = []
    for folder in (a, b):
        files = {str(path.relative_to(folder).with_suffix("")): path for path in find_pictures(folder)}
        if not files:
            raise DataError(f"Folder '{folder}' holds no pictures.")
        sides.append(files)
    unpaired = sorted(sides[0].keys() ^ sides[1].keys())
    if unpaired:
        more = f" and {len(unpaired) - 3} more" if len(unpaired) > 3 else ""
        raise DataError(
            f"{', '.join(unpaired[:3])}{more}: only in one of '{a}' and '{b}'. "
            "Pictures are paired by name; take the others out or rename them."
        )
    return [(name, sides[0][name], sides[1][name]) for name in sorted(sides[0])]


def _read(path: Path) -> RGB:
    from inkbridge.images import read_picture

    return read_picture(path).rgb


def _check_target(target: Path, *, is_folder: bool) -> None:
    from inkbridge.errors import DataError
    from inkbridge.images import check_writable_name

    if not is_folder:
        check_writable_name(target)
    elif target.exists() and not target.is_dir():
        raise DataError(f"{target} is a file; two folders need a folder for their difference pictures.")


def _write_difference(a: RGB, b: RGB, target: Path) -> None:
    import numpy as np

    from inkbridge.images import Picture, write_picture

    target.parent.mkdir(parents=True, exist_ok=True)
    write_picture(Picture(np.maximum(a, b) - np.minimum(a, b)), target)


def _print_table(
    rows: dict[str, dict[str, float | None]],
    means: dict[str, dict[str, float | list[float] | None]] | None,
) -> None:
    labels = list(next(iter(rows.values())))
    width = max(*(len(name) for name in rows), len("95% from"))

    def line(name: str, cells: list[str]) -> str:
        return f"{name:<{width}}" + "".join(f"{cell:>11}" for cell in cells)

    def shown(value: float | None) -> str:
        return "-" if value is None else f"{value:.4f}"

    print(line("", labels))
    for name, row in rows.items():
        print(line(name, [shown(row[label]) for label in labels]))
    if means is None:
        return
    print(line("mean", [shown(means[label]["mean"]) for label in labels]))  # type: ignore[arg-type]
    for i, end in enumerate(("95% from", "to")):
        ends = [means[label]["interval95"] for label in labels]
        print(line(end, [shown(interval[i] if isinstance(interval, list) else None) for interval in ends]))
