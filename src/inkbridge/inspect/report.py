"""The fitness of two folders as one HTML file that opens offline."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path

from PIL import Image

from inkbridge.images import RGB
from inkbridge.inspect.culture import AXES
from inkbridge.inspect.fitness import Finding, Fitness
from inkbridge.inspect.survey import Survey

SHOWN = 12
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fbfaf7; max-width: 1080px;
       margin: 2em auto; padding: 0 1em; }
td, th { padding: .3em .8em; text-align: left; vertical-align: middle; border-bottom: 1px solid #ddd; }
img { height: 96px; margin: 2px; }
pre { background: #f0ede4; padding: 1em; }
.note { color: #555; max-width: 46em; }
"""


def html_report(fitness: Fitness) -> str:
    """What was found, the cultural distance axis by axis, and the recommended run."""
    content, style = fitness.content, fitness.style
    known = {facts.path: facts.small for side in (content, style) for facts in side.pictures}
    title = f"{html.escape(content.folder.name)} and {html.escape(style.folder.name)}"
    findings = "".join(_finding(finding, known) for finding in fitness.findings)
    advice = fitness.advice
    return "\n".join(
        [
            "<!doctype html><html lang='en'><meta charset='utf-8'>",
            f"<title>Inspection of {title}</title><style>{_STYLE}</style><h1>Inspection of {title}</h1>",
            f"<p>{_count(content)} content pictures, {_count(style)} style pictures.</p>",
            "<h2>What was found</h2>",
            f"<ul>{findings}</ul>" if findings else "<p>Nothing that would disturb training.</p>",
            "<h2>How far apart the two are</h2>",
            _distances(fitness),
            "<h2>How to train</h2>",
            "<ul>" + "".join(f"<li>{html.escape(reason)}</li>" for reason in advice.reasons) + "</ul>",
            f"<pre>{html.escape(advice.to_toml())}</pre></html>",
        ]
    )


def _count(side: Survey) -> str:
    return f"{len(side.pictures)} of {len(side.pictures) + len(side.unreadable)}"


def _finding(finding: Finding, known: dict[Path, RGB]) -> str:
    shown = [known[path] for path in finding.pictures[:SHOWN] if path in known]
    images = "".join(_image(picture) for picture in shown)
    return f"<li>{html.escape(finding.message)}<br>{images}</li>"


def _distances(fitness: Fitness) -> str:
    rows = []
    for axis in fitness.distance.axes:
        ours = fitness.content.pictures[axis.first].small
        theirs = fitness.style.pictures[axis.second].small
        bar = (
            "<svg width='200' height='14'><rect width='200' height='14' fill='#e6e1d5'/>"
            f"<rect width='{200 * axis.distance:.0f}' height='14' fill='#2c5a7d'/></svg>"
        )
        rows.append(
            f"<tr><td>{axis.axis}<br><small>{AXES[axis.axis]}</small></td><td>{axis.distance:.2f}</td>"
            f"<td>{bar}</td><td>{_image(ours)}{_image(theirs)}</td></tr>"
        )
    return (
        f"<p>Cultural distance: <b>{fitness.distance.total:.2f}</b></p><table>{''.join(rows)}</table>"
        "<p class='note'>0: two halves of one set; 1: two sets that share nothing and do not vary. "
        "Photographs and realistic oils are about 0.05 apart, photographs and Song landscapes 0.18, "
        "photographs and pen drawings 0.25. Beside each axis the two pictures that show it best.</p>"
        + _by_eye(fitness)
    )


def _by_eye(fitness: Fitness) -> str:
    """How far apart the eye finds the two."""
    if not fitness.eye:
        return ""
    figures = ", ".join(f"{level} <b>{value:.2f}</b>" for level, value in fitness.eye.items())
    scale = "0: two halves of one set; 1: nothing in common"
    return f"<p>By a network that was trained to see: {figures} ({scale}).</p>"


def _image(picture: RGB) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=80)
    return f"<img src='data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}'>"
