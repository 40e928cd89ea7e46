"""The page, of Gradio: a tab for painting, one for mending, one for comparing, one that watches trainings."""

from __future__ import annotations

import html
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
import numpy as np

from inkbridge.errors import ConfigError, DataError, InkbridgeError
from inkbridge.images import read_picture, reduced
from inkbridge.look import MAX_STRENGTH
from inkbridge.pack import StylePack
from inkbridge.web.desk import Seen, Stopped, Work
from inkbridge.web.jobs import FORMATS, SHOWN, Jobs, Mask, Result, Upload
from inkbridge.web.training import run_shown, runs_below
from inkbridge.web.words import STYLES, WORDS

T = TypeVar("T")
Updates = Iterator[dict[Any, Any]]

REFRESH_SECONDS = 3.0
"""Between two looks at a training."""

_log = logging.getLogger(__name__)


def page(jobs: Jobs, language: str, runs: Path | None = None) -> gr.Blocks:
    """The page in a language of `WORDS`; `runs` is a folder whose runs may be watched."""
    words = WORDS[language]
    blocks: gr.Blocks
    with gr.Blocks(title=words["title"], analytics_enabled=False) as blocks:
        gr.HTML(_head(language))
        with gr.Tabs():
            with gr.Tab(words["paint_tab"]):
                _Paint(jobs, words, language).build(blocks)
            with gr.Tab(words["mend_tab"]):
                _Mend(jobs, words).build()
            with gr.Tab(words["compare_tab"]):
                _compare_tab(jobs, words)
            with gr.Tab(words["training_tab"]):
                _training_tab(words, runs)
    return blocks


def _head(language: str) -> str:
    words = WORDS[language]
    others = " ".join(
        f"<a href='../{code}/' hreflang='{code}' lang='{code}'>{other['language']}</a>"
        for code, other in WORDS.items()
        if code != language
    )
    return (
        f"<div id='ink-head'><div class='ink-row'><h1>{words['title']}</h1><nav>{others}</nav></div>"
        f"<p>{words['subtitle']}</p></div>"
    )


class _Paint:
    """The tab that paints."""

    def __init__(self, jobs: Jobs, words: dict[str, str], language: str) -> None:
        self.jobs, self.words, self.language = jobs, words, language
        self.packs = list(jobs.packs.values())
        self.shares: list[list[gr.Slider]] = []
        self.cards: list[gr.Image] = []

    def build(self, blocks: gr.Blocks) -> None:
        words = self.words
        with gr.Row():
            with gr.Column(scale=5, min_width=300):
                self.picture = _upload(words["picture"], words["drop"], "picture")
                with gr.Accordion(words["how"], open=False):
                    self.strength = gr.Slider(0, MAX_STRENGTH, 1.0, step=0.05, label=words["strength"])
                    self.keep_colour = gr.Slider(0, 1, 0.0, step=0.05, label=words["keep_colour"])
                    self.detail = gr.Slider(0.25, 4, 1.0, step=0.25, label=words["detail"])
                    self.format = _formats(words)
                self.part, self.brush = _brush(words["part"], words["part_hint"])
            with gr.Column(scale=6, min_width=300):
                gr.Markdown(f"## {words['styles']}\n{words['styles_hint']}")
                self.pack = gr.State(0)
                with gr.Tabs():
                    for number, pack in enumerate(self.packs):
                        with gr.Tab(words["pack"].format(pack.name)) as tab:
                            self._styles(pack, is_first=number == 0)
                        tab.select(_constant(number), None, self.pack, api_visibility="private")
                with gr.Accordion(words["like"], open=False):
                    gr.Markdown(words["like_hint"])
                    self.like = _upload(words["like"], words["drop"], "like")
                    self.like_share = gr.Slider(0, 100, 100, step=5, label=words["like_share"])
        with gr.Row():
            go = gr.Button(words["paint"], variant="primary", elem_id="ink-paint")
            stop = gr.Button(words["stop"], elem_id="ink-stop")
        self.status = _status()
        self.slider = _before_after(words["result"])
        self.file = gr.DownloadButton(words["download"], visible=False, elem_id="ink-download")
        shares = [share for pack in self.shares for share in pack]
        inputs = [
            *(self.picture, self.pack, self.like, self.like_share, self.strength, self.keep_colour),
            *(self.detail, self.format, self.part, self.brush, *shares),
        ]
        outputs = [self.status, self.slider, self.file]
        _wire(go, stop, self._paint, inputs, outputs, self.status, words)
        _brush_wired(self.jobs, self.picture, self.part, self.brush)
        blocks.load(self._previews, None, self.cards, api_visibility="private", show_progress="hidden")

    def _styles(self, pack: StylePack, is_first: bool) -> None:
        sliders, buttons, cards = [], [], []
        with gr.Row(elem_classes="ink-cards"):
            for number, style in enumerate(pack.info.styles):
                title = STYLES[self.language].get(style.name, style.title)
                with gr.Column(elem_classes="ink-card", min_width=0):
                    cards.append(
                        gr.Image(
                            show_label=False,
                            interactive=False,
                            height=110,
                            buttons=[],
                            container=False,
                            alt_text=title,
                        )
                    )
                    buttons.append(gr.Button(title, size="sm", elem_classes="ink-name"))
                    start = 100 if number == 0 else 0
                    sliders.append(
                        gr.Slider(0, 100, start, step=5, label=self.words["share"].format(title), buttons=[])
                    )
        for number, button in enumerate(buttons):
            alone = [100 if other == number else 0 for other in range(len(sliders))]
            only: Any = alone[0] if len(alone) == 1 else alone
            for choose in (button.click, cards[number].select):
                choose(_constant(only), None, sliders, api_visibility="private", show_progress="hidden")
        self.shares.append(sliders)
        self.cards += cards

    def _previews(self) -> Any:
        files = [
            str(self.jobs.preview(pack, style.name)) for pack in self.packs for style in pack.info.styles
        ]
        return files[0] if len(files) == 1 else files

    def _paint(self, request: gr.Request, *given: Any) -> Updates:
        picture, number, like, like_share, strength, keep, detail, file_format, part, brush, *shares = given

        def begin() -> Work[Result]:
            pack = self.packs[number]
            first = sum(len(sliders) for sliders in self.shares[:number])
            here = zip(pack.styles, shares[first : first + len(pack.styles)], strict=True)
            styles = {name: share for name, share in here if share > 0}
            example = _uploaded(self.jobs, like) if like and like_share > 0 else None
            if not styles and example is None:
                raise ConfigError(self.words["need_style"])
            if example is not None and pack.file.encoder is None:
                raise ConfigError(self.words["cannot_follow"])
            return self.jobs.paint(
                _visitor(request),
                self._needed(picture),
                pack,
                styles,
                like=example,
                like_weight=like_share,
                mask=_painted(brush, self.words) if part else None,
                strength=strength,
                keep_colour=keep,
                detail=detail,
                file_format=file_format,
            )

        for seen, result in _followed(begin, self.words):
            update: dict[Any, Any] = {self.status: seen}
            if result is not None:
                update |= _looked_at(result, self.slider, self.file)
            yield update

    def _needed(self, picture: str | None) -> Upload:
        if not picture:
            raise DataError(self.words["need_picture"])
        return _uploaded(self.jobs, picture)


class _Mend:
    """The tab that mends."""

    def __init__(self, jobs: Jobs, words: dict[str, str]) -> None:
        self.jobs, self.words = jobs, words

    def build(self) -> None:
        words = self.words
        with gr.Row():
            with gr.Column(min_width=300):
                self.picture = _upload(words["picture"], words["drop"], "hurt")
            with gr.Column(min_width=300):
                kinds = [(words["repair"], "repair"), (words["beautify"], "beautify")]
                self.kind = gr.Radio(kinds, value="repair", label=words["kind"])
                self.colour = gr.Checkbox(True, label=words["colour"])
                self.only_mask = gr.Checkbox(False, label=words["only_mask"])
                self.strength = gr.Slider(0, 1, 1.0, step=0.05, label=words["strength"])
                self.format = _formats(words)
        self.hidden, self.brush = _brush(words["hidden"], words["hidden_hint"])
        with gr.Row():
            go = gr.Button(words["mend"], variant="primary", elem_id="ink-mend")
            stop = gr.Button(words["stop"])
        self.status = _status()
        self.slider = _before_after(words["result"])
        with gr.Row():
            self.file = gr.DownloadButton(words["download"], visible=False, elem_id="ink-mended")
            self.mask = gr.DownloadButton(words["download_mask"], visible=False, elem_id="ink-mask")
        inputs = [
            *(self.picture, self.kind, self.colour, self.only_mask, self.strength, self.format),
            *(self.hidden, self.brush),
        ]
        outputs = [self.status, self.slider, self.file, self.mask]
        _wire(go, stop, self._mend, inputs, outputs, self.status, words)
        _brush_wired(self.jobs, self.picture, self.hidden, self.brush)

    def _mend(self, request: gr.Request, *given: Any) -> Updates:
        picture, kind, colour, only_mask, strength, file_format, hidden, brush = given

        def begin() -> Work[Result]:
            if not picture:
                raise DataError(self.words["need_picture"])
            upload, visitor = _uploaded(self.jobs, picture), _visitor(request)
            if kind == "beautify":
                return self.jobs.beautify(visitor, upload, file_format)
            return self.jobs.repair(
                visitor,
                upload,
                _painted(brush, self.words) if hidden else None,
                only_mask=only_mask,
                colour=colour,
                strength=strength,
                file_format=file_format,
            )

        for seen, result in _followed(begin, self.words):
            update: dict[Any, Any] = {self.status: seen}
            if result is not None:
                update |= _looked_at(result, self.slider, self.file)
                there = result.mask is not None
                update[self.mask] = gr.update(value=str(result.mask) if there else None, visible=there)
            yield update


def _compare_tab(jobs: Jobs, words: dict[str, str]) -> None:
    with gr.Row():
        first = _upload(words["first"], words["drop"], "first")
        second = _upload(words["second"], words["drop"], "second")
    with gr.Row():
        go = gr.Button(words["compare"], variant="primary", elem_id="ink-compare")
        stop = gr.Button(words["stop"])
    status = _status()
    table = gr.HTML()

    def compare(request: gr.Request, a: str | None, b: str | None) -> Updates:
        def begin() -> Work[dict[str, float | None]]:
            if not a or not b:
                raise DataError(words["need_two"])
            return jobs.compare(_visitor(request), _uploaded(jobs, a), _uploaded(jobs, b))

        for seen, figures in _followed(begin, words):
            yield {status: seen} if figures is None else {status: seen, table: _figures(figures, words)}

    _wire(go, stop, compare, [first, second], [status, table], status, words)


def _training_tab(words: dict[str, str], runs: Path | None) -> None:
    names = runs_below(runs)
    choice = gr.Dropdown(names, value=names[0] if names else None, label=words["run"], interactive=True)
    shown = gr.HTML(run_shown(runs, names[0] if names else None, words)[0])
    sample = gr.Image(label=words["sample"], interactive=False, buttons=["fullscreen"], visible=False)
    shown_sample = gr.State(None)

    def refreshed(name: str | None, known: str | None) -> tuple[Any, ...]:
        there = runs_below(runs)
        name = name if name in there else (there[0] if there else None)
        said, picture = run_shown(runs, name, words)
        here = None if picture is None else f"{picture} {picture.stat().st_mtime}"
        update = gr.skip()
        if here != known:
            value = None if picture is None else reduced(read_picture(picture).rgb, SHOWN)
            update = gr.update(value=value, visible=picture is not None)
        return gr.update(choices=there, value=name), said, update, here

    if runs is not None:
        timer = gr.Timer(REFRESH_SECONDS)
        for event in (timer.tick, choice.change):
            event(
                refreshed,
                [choice, shown_sample],
                [choice, shown, sample, shown_sample],
                api_visibility="private",
                show_progress="hidden",
            )


def _upload(label: str, placeholder: str, name: str) -> gr.Image:
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


def _formats(words: dict[str, str]) -> gr.Dropdown:
    choices = [(words["format_same"], ""), *((name.upper(), name) for name in FORMATS)]
    return gr.Dropdown(choices, value="", label=words["format"])


def _status() -> gr.HTML:
    return gr.HTML("<div role='status' aria-live='polite'></div>", elem_classes="ink-status")


def _before_after(label: str) -> gr.ImageSlider:
    return gr.ImageSlider(
        label=label, interactive=False, buttons=["fullscreen"], max_height=620, visible=False
    )


def _brush(label: str, hint: str) -> tuple[gr.Checkbox, gr.ImageEditor]:
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


def _brush_wired(jobs: Jobs, picture: gr.Image, wanted: gr.Checkbox, editor: gr.ImageEditor) -> None:
    def shown(path: str | None, yes: bool) -> Any:
        if not yes or not path:
            return gr.update(visible=yes, value=None)
        try:
            return gr.update(visible=True, value=jobs.shown(_uploaded(jobs, path)))
        except InkbridgeError as error:
            raise gr.Error(str(error), print_exception=False) from None

    for event in (wanted.change, picture.change):
        event(shown, [picture, wanted], editor, api_visibility="private", show_progress="hidden")


def _wire(
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
        _constant(_said(words["stopped"])),
        None,
        status,
        cancels=[running],
        api_visibility="private",
        show_progress="hidden",
    )


def _followed(begin: Any, words: dict[str, str]) -> Iterator[tuple[str, Any]]:
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


def _looked_at(result: Result, slider: gr.ImageSlider, file: gr.DownloadButton) -> dict[Any, Any]:
    return {
        slider: gr.update(value=(result.before, result.after), visible=True),
        file: gr.update(value=str(result.file), visible=True),
    }


def _figures(figures: dict[str, float | None], words: dict[str, str]) -> str:
    shown = {name: words["no_value"] if value is None else f"{value:.4f}" for name, value in figures.items()}
    rows = "".join(f"<tr><th scope='row'>{name}</th><td>{said}</td></tr>" for name, said in shown.items())
    head = f"<tr><th scope='col'>{words['measure']}</th><th scope='col'>{words['value']}</th></tr>"
    return f"<table>{head}{rows}</table><p>{words['compare_hint']}</p>"


def _painted(editor: dict[str, Any] | None, words: dict[str, str]) -> Mask:
    """The mask that was painted over a picture; ConfigError where nothing was."""
    layers = [np.asarray(layer) for layer in (editor or {}).get("layers") or []]
    covers = [layer[..., 3] for layer in layers if layer.ndim == 3 and layer.shape[2] == 4]
    if not any(cover.any() for cover in covers):
        raise ConfigError(words["need_part"])
    mask: Mask = np.where(np.max(covers, axis=0) > 0, 255, 0).astype(np.uint8)
    return mask


def _uploaded(jobs: Jobs, path: str) -> Upload:
    """A file that was uploaded to this server; nothing else of this machine is opened."""
    file = Path(path).resolve()
    if not file.is_relative_to(jobs.folder.resolve()):
        raise DataError("That picture was not uploaded here.")
    return Upload(file, file.name)


def _visitor(request: gr.Request) -> str:
    return str(request.session_hash)


def _constant(value: Any) -> Any:
    return lambda: value
