"""What the tabs of the page share: places for pictures, a brush, a button that begins work, what is said."""

from __future__ import annotations

import html
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from inkbridge.errors import ConfigError, DataError, InkbridgeError
from inkbridge.web.desk import Seen, Stopped, Work
from inkbridge.web.jobs import FORMATS, Jobs, Mask, Result, Upload

_log = logging.getLogger(__name__)


def upload_of(label: str, placeholder: str, name: str) -> gr.Image:
    image = gr.Image(
        label=label,
        elem_id=f"ink-{name}",
        type="filepath",
        image_mode=None,
        sources=["upload", "clipboard"],
        placeholder=placeholder,
        height=320,
        buttons=["fullscreen"],
    )
    # Gradio would open the file first, with its own words for what is wrong; our work opens it, in its turn.
    image.preprocess = lambda payload: payload.path if payload else None  # type: ignore[method-assign]
    return image


def formats(words: dict[str, str]) -> gr.Dropdown:
    choices = [(words["format_same"], ""), *((name.upper(), name) for name in FORMATS)]
    return gr.Dropdown(choices, value="", label=words["format"])


def status_line() -> gr.HTML:
    return gr.HTML("<div role='status' aria-live='polite'></div>", elem_classes="ink-status")


def before_and_after(label: str) -> gr.ImageSlider:
    return gr.ImageSlider(
        label=label, interactive=False, buttons=["fullscreen"], max_height=620, visible=False
    )


def brush(label: str, hint: str) -> tuple[gr.Checkbox, gr.ImageEditor]:
    """Where something is to happen, painted on the picture."""
    wanted = gr.Checkbox(False, label=label)
    editor = gr.ImageEditor(
        label=hint,
        visible=False,
        type="numpy",
        sources=(),
        transforms=(),
        layers=False,
        brush=gr.Brush(colors=["#d03a26"], default_size=30, color_mode="fixed"),
    )
    return wanted, editor


def show_brush(jobs: Jobs, picture: gr.Image, wanted: gr.Checkbox, editor: gr.ImageEditor) -> None:
    def shown(path: str | None, yes: bool) -> Any:
        if not yes or not path:
            return gr.update(visible=yes, value=None)
        try:
            return gr.update(visible=True, value=jobs.shown(uploaded(jobs, path)))
        except InkbridgeError as error:
            raise gr.Error(str(error), print_exception=False) from None

    for event in (wanted.change, picture.change):
        event(shown, [picture, wanted], editor, api_visibility="private", show_progress="hidden")


def wire(
    go: gr.Button,
    stop: gr.Button,
    work: Any,
    inputs: list[Any],
    outputs: list[Any],
    status: gr.HTML,
    words: dict[str, str],
) -> None:
    running = go.click(
        work,
        inputs,
        outputs,
        api_visibility="private",
        show_progress="hidden",
        concurrency_limit=None,  # the desk knows whose turn it is
        trigger_mode="once",
    )
    stop.click(
        constant(_said(words["stopped"])),
        None,
        status,
        cancels=[running],
        api_visibility="private",
        show_progress="hidden",
    )


def followed(begin: Any, words: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """What is said while work goes on, and at the end what came of it. A visitor who leaves ends the work."""
    try:
        work: Work[Any] = begin()
        for seen in work.watched():
            yield _going(seen, words), None
        result = work.result()
    except Stopped as error:
        yield _said(str(error)), None
    except InkbridgeError as error:
        yield _said(str(error), is_bad=True), None
    except Exception:
        _log.exception("A visitor's picture could not be worked on.")
        yield _said(words["failed"], is_bad=True), None
    else:
        notes = "; ".join(getattr(result, "notes", ()))
        done = words["done"].format(f"{work.seconds:.2f}")
        yield _said(f"{done} {notes}".strip()), result


def _going(seen: Seen, words: dict[str, str]) -> str:
    if seen.before:
        return _said(words["waiting"].format(seen.before))
    left = ""
    if seen.seconds_left is not None:
        left = words["left"].format(time.strftime("%M:%S", time.gmtime(seen.seconds_left)))
    said = words["working"].format(share=f"{seen.share:.0%}", left=left)
    bar = f"<progress value='{seen.share:.3f}' max='1' aria-label='{html.escape(said)}'></progress>"
    return f"<div role='status' aria-live='polite'>{html.escape(said)}{bar}</div>"


def _said(text: str, is_bad: bool = False) -> str:
    kind = " class='ink-bad'" if is_bad else ""
    return f"<div role='status' aria-live='polite'{kind}>{html.escape(text)}</div>"


def looked_at(result: Result, slider: gr.ImageSlider, file: gr.DownloadButton) -> dict[Any, Any]:
    return {
        slider: gr.update(value=(result.before, result.after), visible=True),
        file: gr.update(value=str(result.file), visible=True),
    }


def painted_over(editor: dict[str, Any] | None, words: dict[str, str]) -> Mask:
    """The mask that was painted over a picture; ConfigError where nothing was."""
    layers = [np.asarray(layer) for layer in (editor or {}).get("layers") or []]
    covers = [layer[..., 3] for layer in layers if layer.ndim == 3 and layer.shape[2] == 4]
    if not any(cover.any() for cover in covers):
        raise ConfigError(words["need_part"])
    mask: Mask = np.where(np.max(covers, axis=0) > 0, 255, 0).astype(np.uint8)
    return mask


def uploaded(jobs: Jobs, path: str) -> Upload:
    """A file that was uploaded to this server; nothing else of this machine is opened."""
    file = Path(path).resolve()
    if not file.is_relative_to(jobs.folder.resolve()):
        raise DataError("That picture was not uploaded here.")
    return Upload(file, file.name)


def needed(jobs: Jobs, path: str | None, words: dict[str, str]) -> Upload:
    """The picture that work is about; DataError where none was given."""
    if not path:
        raise DataError(words["need_picture"])
    return uploaded(jobs, path)


def visitor_of(request: gr.Request) -> str:
    return str(request.session_hash)


def constant(value: Any) -> Any:
    return lambda: value
