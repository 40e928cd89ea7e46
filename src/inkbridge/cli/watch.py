"""inkbridge watch"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from inkbridge.train.run_folder import RunFolder

NOT_LOSSES = {"images_seen", "seconds", "progress", "finished", "images_per_second"}
"""Of a line of the log."""
BARS = "▁▂▃▄▅▆▇█"
COLUMNS = 48
REFRESH_SECONDS = 2.0


def watch(
    run: Path,
    /,
    *,
    once: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Show how a training goes, from another terminal or another machine that sees its folder.

    Parameters
    ----------
    run
        The run folder given to `inkbridge train --out`.
    once
        Print it once instead of following until Ctrl-C.
    """
    import sys

    from inkbridge.errors import TrainingError
    from inkbridge.train.run_folder import RunFolder

    folder = RunFolder(run)
    if not folder.config.exists():
        raise TrainingError(f"'{run}' holds no config.json; it is not a run folder.")
    if once or not sys.stdout.isatty():
        print("\n".join(_lines(folder)))
        return
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False) as live:
        while True:
            live.update(Text("\n".join(_lines(folder))), refresh=True)
            time.sleep(REFRESH_SECONDS)


def _lines(run: RunFolder) -> list[str]:
    from inkbridge.train.scores import best_moment, over_styles

    logged = run.read_log()
    if not logged:
        return [f"{run.path}: no update was logged yet."]
    now = logged[-1]
    ago = time.time() - run.log.stat().st_mtime
    seconds_left = now["seconds"] * (1 - now["progress"]) / max(now["progress"], 1e-9)
    left = time.strftime("%H:%M:%S", time.gmtime(seconds_left))
    full = round(COLUMNS * now["progress"])
    state = "done" if now.get("finished", now["progress"] >= 1) else f"{left} left"
    lines = [
        f"{run.path}: {state}; last heard of {_ago(ago)} ago",
        f"{'━' * full}{'─' * (COLUMNS - full)}  {now['progress']:.0%}  {now['images_seen']:,} images  "
        f"{now['images_per_second']:.1f}/s",
    ]
    losses = [name for name in now if name not in NOT_LOSSES]
    lines += [
        f"  {name:<14} {_bars([line.get(name, 0.0) for line in logged])} {now[name]:8.3f}" for name in losses
    ]
    by_style: dict[str, list[dict[str, float]]] = {}
    for entry in run.read_quality():
        by_style.setdefault(entry["style"], []).append(entry)
    for style, entries in by_style.items():
        lines.append(f"quality {style}".rstrip())
        for name in ("score", "covered", "edges"):
            values = [entry[name] for entry in entries]
            lines.append(f"  {name:<14} {_bars(values, 0.0, 1.0)} {values[-1]:8.3f}")
    moments = over_styles(run.read_quality())
    if moments:
        best = best_moment(moments)
        lines.append(f"best after {best:,} images: score {moments[best][0]:.3f}")
    return lines + [f"! {sign['said']}" for sign in run.read_health()]


def _bars(values: list[float], low: float | None = None, high: float | None = None) -> str:
    """A curve in one line of text, the mean of neighbours where there are too many."""
    import numpy as np

    means = np.array([part.mean() for part in np.array_split(values, min(len(values), COLUMNS))])
    low = float(means.min()) if low is None else low
    high = float(means.max()) if high is None else high
    share = np.clip((means - low) / max(high - low, 1e-9), 0, 1)
    return "".join(BARS[int(value)] for value in np.round(share * (len(BARS) - 1))).ljust(COLUMNS)


def _ago(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
