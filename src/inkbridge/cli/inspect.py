"""inkbridge inspect"""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def inspect(
    content: Path,
    style: Path,
    /,
    *,
    held_back: Path | None = None,
    report: Path | None = None,
    write: Annotated[Path | None, Parameter(name=["--write", "-w"])] = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Say whether two folders are fit for training, how far apart they are, and how to train on them.

    Parameters
    ----------
    content
        Folder of pictures like those to be painted.
    style
        Folder of pictures in the wanted style.
    held_back
        Folder of pictures kept for measuring; none of the others may be among them.
    report
        The HTML file to write, with the pictures concerned; it opens offline.
    write
        A TOML file with the recommended settings, for inkbridge train --config.
    json
        Print JSON instead of text.
    """
    from inkbridge.cli.progress import bar
    from inkbridge.errors import DataError
    from inkbridge.images import write_atomically
    from inkbridge.inspect.fitness import inspect_folders
    from inkbridge.inspect.report import html_report
    from inkbridge.metrics.sight import Sight

    for target in (report, write):
        if target is not None and not target.parent.is_dir():
            raise DataError(f"Folder '{target.parent}' does not exist; make it first.")
    with bar("looking at pictures") as advance:
        fitness = inspect_folders(content, style, held_back, advance, Sight())
    if report is not None:
        page = html_report(fitness).encode()
        write_atomically(report, lambda file: file.write(page))
    advice, distance = fitness.advice, fitness.distance
    if write is not None:
        text = advice.to_toml().encode()
        write_atomically(write, lambda file: file.write(text))
    if json:
        found = {
            "content": {"pictures": len(fitness.content.pictures), "unreadable": fitness.content.unreadable},
            "style": {"pictures": len(fitness.style.pictures), "unreadable": fitness.style.unreadable},
            "findings": [
                {"kind": f.kind, "message": f.message, "pictures": [str(path) for path in f.pictures]}
                for f in fitness.findings
            ],
            "cultural_distance": {
                "total": round(distance.total, 4),
                **{axis.axis: round(axis.distance, 4) for axis in distance.axes},
            },
            "eye": {level: round(value, 4) for level, value in fitness.eye.items()},
            "advice": {
                "recipe": advice.recipe,
                "settings": advice.settings,
                "minutes": advice.minutes,
                "reasons": advice.reasons,
            },
        }
        print(json_format.dumps(found, indent=1))
        return 0
    for name, side in (("content", fitness.content), ("style", fitness.style)):
        print(f"{name}: {len(side.pictures)} pictures")
    for finding in fitness.findings:
        print(f"- {finding.message}")
    print(f"Cultural distance {distance.total:.2f}, where 0 is the same culture:")
    for axis in distance.axes:
        print(f"  {axis.axis:<12} {axis.distance:.2f}")
    print("By the eye:", ", ".join(f"{level} {value:.2f}" for level, value in fitness.eye.items()))
    print(f"Recipe {advice.recipe}, {advice.minutes} minutes.", *advice.reasons)
    for path, what in ((report, "Pictures"), (write, "Settings")):
        if path is not None:
            print(f"{what}: {path}")
    return 0
