"""A training run as a piece of the page: how far, how well, what is amiss in words, and its curves."""

from __future__ import annotations

import html
import time
from pathlib import Path

from inkbridge.errors import InkbridgeError
from inkbridge.train.watching import Watched, watched

WIDTH, HEIGHT = 320, 72
"""Of a curve, in its own units."""
POINTS = 200
"""Of a curve at most."""


def runs_below(folder: Path | None) -> list[str]:
    """Names of the runs directly below a folder, the latest first."""
    if folder is None or not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if (path / "config.json").is_file()]
    return [path.name for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)]


def run_shown(folder: Path | None, name: str | None, words: dict[str, str]) -> tuple[str, Path | None]:
    """(HTML, the latest sample) of the run `name` below a folder."""
    if folder is None or name not in runs_below(folder):
        return f"<p>{html.escape(words['no_runs'])}</p>", None
    try:
        now = watched(folder / str(name))
    except InkbridgeError as error:
        return f"<p>{html.escape(str(error))}</p>", None
    if now is None:
        return f"<p>{html.escape(words['no_update'])}</p>", None
    return _html(now, words), now.sample


def _html(now: Watched, words: dict[str, str]) -> str:
    if now.finished:
        state = words["finished"].format(images=f"{now.images_seen:,}")
    else:
        state = words["going"].format(
            share=f"{now.progress:.0%}",
            left=time.strftime("%H:%M:%S", time.gmtime(now.seconds_left)),
            speed=f"{now.images_per_second:.1f}",
            ago=f"{now.seconds_ago:.0f} s",
        )
    parts = [
        f"<p class='ink-state'><strong>{html.escape(state)}</strong></p>",
        f"<progress value='{now.progress:.4f}' max='1' aria-label='{html.escape(state)}'></progress>",
    ]
    if now.signs:
        parts += [f"<p class='ink-bad'>{html.escape(said)}</p>" for said in now.signs[-5:]]
    else:
        parts.append(f"<p>{html.escape(words['healthy'])}</p>")
    if now.best is not None:
        said = words["best"].format(images=f"{now.best[0]:,}", score=f"{now.best[1]:.3f}")
        parts.append(f"<p>{html.escape(said)}</p>")
    curves = [
        (f"{words['quality']} {style}".strip(), [entry["score"] for entry in entries])
        for style, entries in now.quality.items()
    ]
    curves += [(name, values) for name, values in now.losses.items()]
    return "".join(parts) + f"<div class='ink-curves'>{''.join(_curve(*curve) for curve in curves)}</div>"


def _curve(name: str, values: list[float]) -> str:
    step = max(len(values) // POINTS, 1)
    means = [sum(part) / len(part) for part in (values[i : i + step] for i in range(0, len(values), step))]
    low, high = min(means), max(means)
    across = WIDTH / max(len(means) - 1, 1)
    points = " ".join(
        f"{number * across:.1f},{HEIGHT - 4 - (value - low) / max(high - low, 1e-12) * (HEIGHT - 8):.1f}"
        for number, value in enumerate(means)
    )
    label = html.escape(f"{name}: {values[-1]:.3f}")
    return (
        f"<figure><svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{label}' "
        f"preserveAspectRatio='none'><polyline points='{points}'/></svg>"
        f"<figcaption>{label}</figcaption></figure>"
    )
