"""How a run goes, read from its folder: for those who look on, in a terminal or on the page."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inkbridge.errors import TrainingError
from inkbridge.train.run_folder import RunFolder
from inkbridge.train.scores import best_moment, judged_by, over_styles

NOT_LOSSES = {"images_seen", "seconds", "progress", "finished", "images_per_second"}
"""Of a line of the log."""


@dataclass
class Watched:
    """A run at one moment."""

    progress: float
    """0 to 1."""
    finished: bool
    images_seen: int
    images_per_second: float
    seconds_left: float
    seconds_ago: float
    """Since it was last heard of."""
    seen: list[int]
    """Images seen at each line of the log."""
    losses: dict[str, list[float]]
    """Each by its name, at each line of the log."""
    quality: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """The points of each style's quality curve, with images_seen."""
    best: tuple[int, float] | None = None
    """Images seen at the best moment, and its score."""
    signs: list[str] = field(default_factory=list)
    """What goes wrong, with cause and cure."""
    sample: Path | None = None
    """The latest one."""


def watched(run: Path) -> Watched | None:
    """None while no update was logged; TrainingError for what is no run folder."""
    folder = RunFolder(run)
    if not folder.config.exists():
        raise TrainingError(f"'{run}' holds no config.json; it is not a run folder.")
    logged = folder.read_log()
    if not logged:
        return None
    now = logged[-1]
    judged = judged_by(folder.read_quality())
    moments = over_styles(judged)
    best = best_moment(moments) if moments else None
    quality: dict[str, list[dict[str, Any]]] = {}
    for entry in judged:
        quality.setdefault(entry["style"], []).append(entry)
    samples = sorted(folder.samples.glob("*.jpg")) if folder.samples.is_dir() else []
    return Watched(
        progress=now["progress"],
        finished=bool(now.get("finished", now["progress"] >= 1)),
        images_seen=now["images_seen"],
        images_per_second=now["images_per_second"],
        seconds_left=now["seconds"] * (1 - now["progress"]) / max(now["progress"], 1e-9),
        seconds_ago=time.time() - folder.log.stat().st_mtime,
        seen=[line["images_seen"] for line in logged],
        losses={name: [line.get(name, 0.0) for line in logged] for name in now if name not in NOT_LOSSES},
        quality=quality,
        best=None if best is None else (best, moments[best][0]),
        signs=[sign["said"] for sign in folder.read_health()],
        sample=samples[-1] if samples else None,
    )
