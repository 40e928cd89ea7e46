"""Evaluations as one HTML file that opens offline: figures, curves and pictures inside."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Sequence

from inkbridge.metrics.evaluation import CONTENT_FIGURES, Evaluation, OnePicture

LEVELS = ("finest", "2", "3", "4", "coarsest")
SHOWN = 4
"""Pictures shown at each end, best and worst."""
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fbfaf7; max-width: 1080px;
       margin: 2em auto; padding: 0 1em; }
small { white-space: nowrap; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { padding: .3em .8em; text-align: right; border-bottom: 1px solid #ddd; }
th:first-child, td:first-child { text-align: left; }
figure { display: inline-block; margin: 0 1em 1em 0; vertical-align: top; }
figure img { height: 180px; margin-right: 3px; }
figcaption { font-size: 12px; color: #555; max-width: 40em; }
.note { color: #555; max-width: 46em; }
"""


def html_report(evaluations: Sequence[Evaluation]) -> str:
    """The report of one evaluation, or of several side by side."""
    titles = ", ".join(html.escape(evaluation.title) for evaluation in evaluations)
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        f"<title>Evaluation of {titles}</title><style>{_STYLE}</style>",
        f"<h1>Evaluation of {titles}</h1>",
        _by_eye(evaluations),
    ]
    for evaluation in evaluations:
        parts.append(f"<h2>{html.escape(evaluation.title)}</h2>")
        parts.append(_pictures(evaluation))
        parts.append(_curve(evaluation))
    parts += ["<h2>For information: pixels</h2>", _by_pixels(evaluations)]
    for evaluation in evaluations:
        parts.append(f"<h3>{html.escape(evaluation.title)}</h3>")
        parts.append(_levels(evaluation))
        parts.append(_line_and_colour(evaluation))
    return "\n".join([*parts, "</html>"])


def _by_eye(evaluations: Sequence[Evaluation]) -> str:
    """What decides; nothing, if no eye has looked."""
    columns = (
        "",
        "style covered",
        "strokes",
        "picture",
        "judged",
        "content recognised",
        "taken for content",
        "pictures",
    )
    rows, nan = [], math.nan
    for evaluation in evaluations:
        eye = evaluation.eye
        if eye is None:
            return ""
        value, low, high = evaluation.mean("recognised")
        judged = "-"
        if eye.as_content is not None and eye.judged_right is not None:
            judged = f"{_percent(eye.as_content)} <small>(judge right: {_percent(eye.judged_right)})</small>"
        cells = [
            html.escape(evaluation.title),
            *(
                _percent(share)
                for share in (
                    eye.covered,
                    eye.strokes,
                    eye.picture,
                    nan if eye.judged is None else eye.judged,
                )
            ),
            f"{value:.2f} <small>({low:.2f} to {high:.2f})</small>",
            judged,
            f"{len(evaluation.pictures)} on {evaluation.num_style}",
        ]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{name}</th>" for name in columns)
    names = html.escape(", ".join(dict.fromkeys(each.eye.name for each in evaluations if each.eye)))
    return (
        f"<table><tr>{head}</tr>{''.join(rows)}</table>"
        f"<p class='note'>By a network that was trained to see ({names}). Strokes, picture: share of the way "
        "from the content pictures (0%) to the style (100%) at its early and at its deepest layers. Judged: "
        "the same by a small judge that learned the two folders apart. Below 0% leads away. Covered: their "
        "mean, each from 0% to 100%. Content recognised: 1 for the content itself, 0 for any other picture "
        "(95% bootstrap interval); 0.5 is enough. Taken for content: by the same judge. No judge is an "
        "oracle: look at the pictures.</p>"
    )


def _by_pixels(evaluations: Sequence[Evaluation]) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("", "style covered", *CONTENT_FIGURES, "pictures"))
    rows = []
    for evaluation in evaluations:
        cells = [_percent(evaluation.pixels_covered)]
        for name in CONTENT_FIGURES:
            value, low, high = evaluation.mean(name)
            cells.append(f"{value:.3f} <small>({low:.3f} to {high:.3f})</small>")
        cells.append(f"{len(evaluation.pictures)} on {evaluation.num_style}")
        title = html.escape(evaluation.title)
        rows.append(f"<tr><td>{title}</td>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return (
        f"<table><tr>{head}</tr>{''.join(rows)}</table>"
        "<p class='note'>Style covered: share of the way from the content pictures to the style, by "
        "sliced Wasserstein distance over five Laplacian levels; 0% is the untouched content, 100% the "
        "floor, which is one half of the style pictures measured against the other. SSIM, FSIM, structure "
        "and edges say how much of the content is left (1 = all; means with 95% bootstrap intervals). A "
        "tinted photograph can score high here.</p>"
    )


def _levels(evaluation: Evaluation) -> str:
    rows = zip(
        LEVELS,
        evaluation.levels_before,
        evaluation.levels_after,
        evaluation.levels_floor,
        evaluation.covered_by_level,
        strict=True,
    )
    width, height, top = 560, 34, max([*evaluation.levels_before, *evaluation.levels_after, 1e-9])
    bars = []
    for i, (name, *distances, covered) in enumerate(rows):
        y = i * height
        before, after, floor = ((width - 170) * distance / top for distance in distances)
        bars.append(
            f"<text x='0' y='{y + 19}'>{name}</text>"
            f"<rect x='70' y='{y + 4}' width='{before:.1f}' height='11' fill='#c9c2b4'/>"
            f"<rect x='70' y='{y + 16}' width='{after:.1f}' height='11' fill='#2c5a7d'/>"
            f"<path d='M{70 + floor:.1f} {y + 2}v27' stroke='#b3372c' stroke-width='2'/>"
            f"<text x='{width - 90}' y='{y + 19}'>{_percent(covered)} covered</text>"
        )
    return (
        f"<svg width='{width}' height='{5 * height}' font-size='13'>{''.join(bars)}</svg>"
        "<p class='note'>Distance from the style for each level, finest first: gray content, blue results, "
        "red line the floor.</p>"
    )


def _curve(evaluation: Evaluation) -> str:
    """Every picture as a dot: content kept against style reached."""
    width, height = 360, 260
    dots = []
    for picture in evaluation.pictures:
        x = 40 + (width - 60) * min(max(picture.covered, 0.0), 1.0)
        kept = picture.edges if picture.recognised is None else picture.recognised
        y = height - 40 - (height - 60) * min(max(kept, 0.0), 1.0)
        dots.append(
            f"<circle cx='{x:.1f}' cy='{y:.1f}' r='4' fill='#2c5a7d' fill-opacity='.6'>"
            f"<title>{html.escape(picture.name)}</title></circle>"
        )
    return (
        f"<svg width='{width}' height='{height}' font-size='12'>"
        f"<path d='M40 20V{height - 40}H{width - 20}' fill='none' stroke='#999'/>{''.join(dots)}"
        f"<text x='40' y='{height - 18}'>own distance from the style gone, by pixels: 0 to 1</text>"
        f"<text x='2' y='14'>{'content recognised' if evaluation.eye else 'edges kept'}: 0 to 1</text></svg>"
    )


def _line_and_colour(evaluation: Evaluation) -> str:
    columns = (evaluation.line_before, evaluation.line_after, evaluation.line_style)
    rows = [
        ("empty space", [f"{100 * line.void:.0f}%" for line in columns]),
        ("dark line", [f"{100 * line.line_density:.1f}%" for line in columns]),
        ("width of line, pixels of 256", [f"{line.stroke_width:.1f}" for line in columns]),
        (
            "colours from the style's (CIELAB)",
            [f"{evaluation.colour_before:.1f}", f"{evaluation.colour_after:.1f}", "0"],
        ),
    ]
    body = "".join(
        f"<tr><td>{name}</td>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        for name, cells in rows
    )
    return f"<table><tr><th></th><th>content</th><th>results</th><th>style</th></tr>{body}</table>"


def _pictures(evaluation: Evaluation) -> str:
    by_style = sorted(evaluation.pictures, key=lambda picture: picture.covered)
    by_content = sorted(
        evaluation.pictures,
        key=lambda picture: picture.edges if picture.recognised is None else picture.recognised,
    )
    repeating = [picture for picture in evaluation.pictures if picture.repeats > 0.9]
    parts = []
    for title, chosen in (
        ("Nearest to the style", by_style[::-1][:SHOWN]),
        ("Farthest from it", by_style[:SHOWN]),
        ("Least of the content left", by_content[:SHOWN]),
        ("Layout like that of a style picture: learned by heart?", repeating[:SHOWN]),
    ):
        if chosen:
            figures = "".join(_figure(picture, *evaluation.thumbnails[picture.name]) for picture in chosen)
            parts.append(f"<h3>{title}</h3>{figures}")
    return "\n".join(parts)


def _figure(picture: OnePicture, content: bytes, result: bytes) -> str:
    caption = (
        f"{html.escape(picture.name)}: SSIM {picture.ssim:.2f}, FSIM {picture.fsim:.2f}, "
        f"edges {picture.edges:.2f}, distance {picture.distance_before:.2f} to {picture.distance_after:.2f}"
    )
    if picture.recognised is not None:
        caption = f"{caption}; content recognised {picture.recognised:.2f}"
    if picture.as_content:
        caption += "; taken for content"
    if picture.repeats > 0.9:
        caption += f"; layout as {html.escape(picture.nearest)} ({picture.repeats:.2f})"
    images = "".join(
        f"<img alt='{side}' src='data:image/jpeg;base64,{base64.b64encode(data).decode()}'>"
        for side, data in (("content", content), ("result", result))
    )
    return f"<figure>{images}<figcaption>{caption}</figcaption></figure>"


def _percent(value: float) -> str:
    return f"{100 * value:.0f}%" if math.isfinite(value) else "-"
