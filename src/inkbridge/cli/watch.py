"""inkbridge watch"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

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

    lines = _lines(run)
    if once or not sys.stdout.isatty():
        print("\n".join(lines))
        return
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False) as live:
        while True:
            live.update(Text("\n".join(_lines(run))), refresh=True)
            time.sleep(REFRESH_SECONDS)


def _lines(run: Path) -> list[str]:
    from inkbridge.train.scores import kept_by
    from inkbridge.train.watching import watched

    now = watched(run)
    if now is None:
        return [f"{run}: no update was logged yet."]
    left = time.strftime("%H:%M:%S", time.gmtime(now.seconds_left))
    full = round(COLUMNS * now.progress)
    state = "done" if now.finished else f"{left} left"
    lines = [
        f"{run}: {state}; last heard of {_ago(now.seconds_ago)} ago",
        f"{'━' * full}{'─' * (COLUMNS - full)}  {now.progress:.0%}  {now.images_seen:,} images  "
        f"{now.images_per_second:.1f}/s",
    ]
    lines += [f"  {name:<14} {_bars(values)} {values[-1]:8.3f}" for name, values in now.losses.items()]
    for style, entries in now.quality.items():
        lines.append(f"quality {style}".rstrip())
        for name in ("score", "covered", kept_by(entries[-1])):
            values = [entry[name] for entry in entries]
            lines.append(f"  {name:<14} {_bars(values, 0.0, 1.0)} {values[-1]:8.3f}")
    if now.best is not None:
        lines.append(f"best after {now.best[0]:,} images: score {now.best[1]:.3f}")
    return lines + [f"! {said}" for said in now.signs]


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
