"""The page, of Gradio: a tab for painting, one for mending, one for comparing, one that watches trainings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr

from inkbridge.errors import ConfigError, DataError
from inkbridge.images import read_picture, reduced
from inkbridge.look import MAX_STRENGTH
from inkbridge.pack import StylePack
from inkbridge.web.desk import Work
from inkbridge.web.jobs import SHOWN, Jobs, Result
from inkbridge.web.parts import (
    before_and_after,
    brush,
    constant,
    followed,
    formats,
    looked_at,
    needed,
    painted_over,
    show_brush,
    status_line,
    upload_of,
    uploaded,
    visitor_of,
    wire,
)
from inkbridge.web.training import run_shown, runs_below
from inkbridge.web.words import STYLES, WORDS

T = TypeVar("T")
Updates = Iterator[dict[Any, Any]]

REFRESH_SECONDS = 3.0
"""Between two looks at a training."""


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
                self.picture = upload_of(words["picture"], words["drop"], "picture")
                with gr.Accordion(words["how"], open=False):
                    self.strength = gr.Slider(0, MAX_STRENGTH, 1.0, step=0.05, label=words["strength"])
                    self.keep_colour = gr.Slider(0, 1, 0.0, step=0.05, label=words["keep_colour"])
                    self.stroke = gr.Slider(0.5, 3, 1.0, step=0.25, label=words["stroke"])
                    self.format = formats(words)
                self.part, self.brush = brush(words["part"], words["part_hint"])
            with gr.Column(scale=6, min_width=300):
                gr.Markdown(f"## {words['styles']}\n{words['styles_hint']}")
                self.pack = gr.State(0)
                with gr.Tabs():
                    for number, pack in enumerate(self.packs):
                        with gr.Tab(words["pack"].format(pack.name)) as tab:
                            self._styles(pack)
                        # Said as the page loads too, while `load` asks for the previews; of two that wait in
                        # the queue at once Gradio may leave the second's stream open for ever.
                        tab.select(constant(number), None, self.pack, api_visibility="private", queue=False)
                with gr.Accordion(words["like"], open=False):
                    gr.Markdown(words["like_hint"])
                    self.like = upload_of(words["like"], words["drop"], "like")
                    self.like_share = gr.Slider(0, 100, 100, step=5, label=words["like_share"])
        with gr.Row():
            go = gr.Button(words["paint"], variant="primary", elem_id="ink-paint")
            stop = gr.Button(words["stop"], elem_id="ink-stop")
        self.status = status_line()
        self.slider = before_and_after(words["result"])
        self.file = gr.DownloadButton(words["download"], visible=False, elem_id="ink-download")
        shares = [share for pack in self.shares for share in pack]
        inputs = [
            *(self.picture, self.pack, self.like, self.like_share, self.strength, self.keep_colour),
            *(self.stroke, self.format, self.part, self.brush, *shares),
        ]
        outputs = [self.status, self.slider, self.file]
        wire(go, stop, self._paint, inputs, outputs, self.status, words)
        show_brush(self.jobs, self.picture, self.part, self.brush)
        blocks.load(self._previews, None, self.cards, api_visibility="private", show_progress="hidden")

    def _styles(self, pack: StylePack) -> None:
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
                choose(constant(only), None, sliders, api_visibility="private", show_progress="hidden")
        self.shares.append(sliders)
        self.cards += cards

    def _previews(self) -> Any:
        files = [
            str(self.jobs.preview(pack, style.name)) for pack in self.packs for style in pack.info.styles
        ]
        return files[0] if len(files) == 1 else files

    def _paint(self, request: gr.Request, *given: Any) -> Updates:
        picture, number, like, like_share, strength, keep, stroke, file_format, part, brush, *shares = given

        def begin() -> Work[Result]:
            pack = self.packs[number]
            first = sum(len(sliders) for sliders in self.shares[:number])
            here = zip(pack.styles, shares[first : first + len(pack.styles)], strict=True)
            styles = {name: share for name, share in here if share > 0}
            example = uploaded(self.jobs, like) if like and like_share > 0 else None
            if not styles and example is None:
                raise ConfigError(self.words["need_style"])
            if example is not None and pack.file.encoder is None:
                raise ConfigError(self.words["cannot_follow"])
            return self.jobs.paint(
                visitor_of(request),
                needed(self.jobs, picture, self.words),
                pack,
                styles,
                like=example,
                like_weight=like_share,
                mask=painted_over(brush, self.words) if part else None,
                strength=strength,
                keep_colour=keep,
                stroke=stroke,
                file_format=file_format,
            )

        for seen, result in followed(begin, self.words):
            update: dict[Any, Any] = {self.status: seen}
            if result is not None:
                update |= looked_at(result, self.slider, self.file)
            yield update


class _Mend:
    """The tab that mends."""

    def __init__(self, jobs: Jobs, words: dict[str, str]) -> None:
        self.jobs, self.words = jobs, words

    def build(self) -> None:
        words = self.words
        with gr.Row():
            with gr.Column(min_width=300):
                self.picture = upload_of(words["picture"], words["drop"], "hurt")
            with gr.Column(min_width=300):
                kinds = [(words["repair"], "repair"), (words["beautify"], "beautify")]
                self.kind = gr.Radio(kinds, value="repair", label=words["kind"])
                self.colour = gr.Checkbox(True, label=words["colour"])
                self.only_mask = gr.Checkbox(False, label=words["only_mask"])
                self.strength = gr.Slider(0, 1, 1.0, step=0.05, label=words["strength"])
                self.format = formats(words)
        self.hidden, self.brush = brush(words["hidden"], words["hidden_hint"])
        with gr.Row():
            go = gr.Button(words["mend"], variant="primary", elem_id="ink-mend")
            stop = gr.Button(words["stop"])
        self.status = status_line()
        self.slider = before_and_after(words["result"])
        with gr.Row():
            self.file = gr.DownloadButton(words["download"], visible=False, elem_id="ink-mended")
            self.mask = gr.DownloadButton(words["download_mask"], visible=False, elem_id="ink-mask")
        inputs = [
            *(self.picture, self.kind, self.colour, self.only_mask, self.strength, self.format),
            *(self.hidden, self.brush),
        ]
        outputs = [self.status, self.slider, self.file, self.mask]
        wire(go, stop, self._mend, inputs, outputs, self.status, words)
        show_brush(self.jobs, self.picture, self.hidden, self.brush)

    def _mend(self, request: gr.Request, *given: Any) -> Updates:
        picture, kind, colour, only_mask, strength, file_format, hidden, brush = given

        def begin() -> Work[Result]:
            upload, visitor = needed(self.jobs, picture, self.words), visitor_of(request)
            if kind == "beautify":
                return self.jobs.beautify(visitor, upload, file_format)
            return self.jobs.repair(
                visitor,
                upload,
                painted_over(brush, self.words) if hidden else None,
                only_mask=only_mask,
                colour=colour,
                strength=strength,
                file_format=file_format,
            )

        for seen, result in followed(begin, self.words):
            update: dict[Any, Any] = {self.status: seen}
            if result is not None:
                update |= looked_at(result, self.slider, self.file)
                there = result.mask is not None
                update[self.mask] = gr.update(value=str(result.mask) if there else None, visible=there)
            yield update


def _compare_tab(jobs: Jobs, words: dict[str, str]) -> None:
    with gr.Row():
        first = upload_of(words["first"], words["drop"], "first")
        second = upload_of(words["second"], words["drop"], "second")
    with gr.Row():
        go = gr.Button(words["compare"], variant="primary", elem_id="ink-compare")
        stop = gr.Button(words["stop"])
    status = status_line()
    table = gr.HTML()

    def compare(request: gr.Request, a: str | None, b: str | None) -> Updates:
        def begin() -> Work[dict[str, float | None]]:
            if not a or not b:
                raise DataError(words["need_two"])
            return jobs.compare(visitor_of(request), uploaded(jobs, a), uploaded(jobs, b))

        for seen, figures in followed(begin, words):
            yield {status: seen} if figures is None else {status: seen, table: _figures(figures, words)}

    wire(go, stop, compare, [first, second], [status, table], status, words)


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


def _figures(figures: dict[str, float | None], words: dict[str, str]) -> str:
    shown = {name: words["no_value"] if value is None else f"{value:.4f}" for name, value in figures.items()}
    rows = "".join(f"<tr><th scope='row'>{name}</th><td>{said}</td></tr>" for name, said in shown.items())
    head = f"<tr><th scope='col'>{words['measure']}</th><th scope='col'>{words['value']}</th></tr>"
    return f"<table>{head}{rows}</table><p>{words['compare_hint']}</p>"
