"""The quality curve of a run as a picture, for those who would rather look than read."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from inkbridge.images import write_atomically
from inkbridge.train.run_folder import RunFolder
from inkbridge.train.scores import KEPT, judged_by, kept_by


def draw_curve(run: RunFolder, best: int) -> None:
    """Write RUN/quality.png: score with its interval, style covered and content kept, a panel a style."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    by_style: dict[str, list[dict[str, Any]]] = {}
    for line in judged_by(run.read_quality()):
        by_style.setdefault(line["style"], []).append(line)
    figure = Figure(figsize=(8, 3.2 * len(by_style)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(by_style), squeeze=False)[:, 0]
    for panel, (style, lines) in zip(panels, by_style.items(), strict=True):
        seen, kept = [line["images_seen"] for line in lines], kept_by(lines[-1])
        panel.fill_between(seen, _of(lines, "from"), _of(lines, "to"), alpha=0.2, linewidth=0)
        panel.plot(seen, _of(lines, "score"), marker=".", label="score")
        panel.plot(seen, _of(lines, "covered"), linestyle="--", label="style covered")
        panel.plot(seen, _of(lines, kept), linestyle=":", label=KEPT[kept])
        panel.axvline(best, color="black", linewidth=0.8)
        title = f"{style}: best after {best:,} images".removeprefix(": ")
        panel.set(ylim=(0, 1.25), title=title, xlabel="images seen")
        panel.legend(loc="upper center", ncols=3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_atomically(run.curve, lambda file: file.write(buffer.getvalue()))


def _of(lines: Sequence[dict[str, Any]], name: str) -> list[float]:
    return [line[name] for line in lines]
