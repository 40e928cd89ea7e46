"""The server: page and HTTP API behind one guard, with a private folder that is gone when it ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

# Gradio reads these when it is imported: it asks no other machine for anything, and never reports.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"

import gradio as gr
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import RedirectResponse, Response
from PIL import Image

from inkbridge.images import hold
from inkbridge.web.api import api
from inkbridge.web.guard import Guard
from inkbridge.web.jobs import Jobs, Limits
from inkbridge.web.page import page
from inkbridge.web.words import WORDS

SWEEP_SECONDS = 60.0
PREFIX = "inkbridge-web-"
HELD = b"held"
"""In the lock of a folder once a server holds it."""
LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})
SEAL = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'><rect width='8' height='8' rx='1' "
    "fill='#9c2a1c'/></svg>"
)
FIRST = "en"
"""The language of visitors whose browser asks for none of ours."""


def application(jobs: Jobs, runs: Path | None = None, *, password: str = "", is_local: bool = True) -> Guard:
    """The ASGI application: pages at /en/ and /zh/, the HTTP API below /api."""
    ended = threading.Event()
    os.environ["GRADIO_TEMP_DIR"] = str(jobs.folder)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        threading.Thread(target=_sweep, args=(jobs, ended), daemon=True).start()
        yield
        ended.set()

    app = FastAPI(title="Inkbridge", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.include_router(api(jobs))

    @app.get("/", include_in_schema=False)
    def first(request: Request) -> RedirectResponse:
        return RedirectResponse(f"{_language(request.headers.get('accept-language', ''))}/", 307)

    @app.get("/favicon.ico", include_in_schema=False)
    def icon() -> Response:
        return Response(SEAL, media_type="image/svg+xml")

    for language in WORDS:
        gr.mount_gradio_app(
            app,
            page(jobs, language, runs),
            f"/{language}",
            max_file_size=jobs.limits.max_bytes,
            footer_links=[],
            run_history=False,
            show_error=False,
            ssr_mode=False,
            enable_monitoring=False,
            pwa=False,
            mcp_server=False,
            theme=_theme(),
            css_paths=Path(__file__).parent / "page.css",
            head=_head(language),
        )
    # Uploads of Gradio itself are opened by Pillow, which refuses twice this.
    Image.MAX_IMAGE_PIXELS = jobs.limits.max_pixels // 2
    return Guard(
        app,
        max_bytes=jobs.limits.max_bytes,
        hosts=LOCAL if is_local else frozenset(),
        password=password,
        has_room=jobs.has_room,
    )


def serve(host: str, port: int, limits: Limits, runs: Path | None, password: str, is_local: bool) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    # Uvicorn shuts down and sends the signal again, which would end the process before its folder is gone.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    with _private_folder() as folder:
        app = application(Jobs(limits, folder), runs, password=password, is_local=is_local)
        uvicorn.run(app, host=host, port=port, log_level="warning", timeout_graceful_shutdown=2)


@contextlib.contextmanager
def _private_folder() -> Iterator[Path]:
    """What visitors give lies there until this server ends; what killed ones left goes now."""
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name:
        folder = Path(name)
        with (folder / "lock").open("wb") as lock:
            hold(lock)
            lock.write(HELD)
            lock.flush()
            _remove_leftovers(folder.parent)
            (folder / "files").mkdir()
            yield folder / "files"


def _remove_leftovers(parent: Path) -> None:
    for lock in filter(Path.is_file, parent.glob(f"{PREFIX}*/lock")):
        with contextlib.suppress(OSError):  # a server holds it, or another is removing it
            with lock.open("rb") as file:
                hold(file)
                is_left = file.read() == HELD
            if is_left:
                lock.unlink()  # not while it is open, where files cannot be held
                shutil.rmtree(lock.parent)


def _sweep(jobs: Jobs, ended: threading.Event) -> None:
    while not ended.wait(SWEEP_SECONDS):
        jobs.sweep()


def _language(accepted: str) -> str:
    for entry in accepted.lower().split(","):
        code = entry.partition(";")[0].strip().partition("-")[0]
        if code in WORDS:
            return code
    return FIRST


def _head(language: str) -> str:
    """Gradio's own words follow the browser's language; here they follow the page's."""
    tag = {"en": "en", "zh": "zh-CN"}[language]
    return (
        "<script>Object.defineProperty(navigator,'language',{get:()=>'" + tag + "'});"
        "Object.defineProperty(navigator,'languages',{get:()=>['" + tag + "']});"
        f"document.documentElement.lang='{tag}';</script>"
    )


def _theme() -> gr.themes.Base:
    fonts = ["Iowan Old Style", "Palatino", "Noto Serif", "Noto Serif CJK SC", "Songti SC", "serif"]
    theme = gr.themes.Base(
        primary_hue=gr.themes.colors.stone,
        neutral_hue=gr.themes.colors.stone,
        font=[gr.themes.Font(name) for name in fonts],
        font_mono=[gr.themes.Font("monospace")],
        radius_size=gr.themes.sizes.radius_sm,
    )
    return theme.set(
        body_background_fill="#faf7f0",
        body_background_fill_dark="#181614",
        body_text_color="#25211c",
        body_text_color_dark="#ece6da",
        body_text_color_subdued="#5d564c",
        body_text_color_subdued_dark="#b8b0a2",
        block_background_fill="#fffdf8",
        block_background_fill_dark="#211e1b",
        block_label_text_color="#4a443b",
        block_label_text_color_dark="#d6cebf",
        block_title_text_color="#3a352e",
        block_title_text_color_dark="#e2dacb",
        button_primary_background_fill="#9c2a1c",
        button_primary_background_fill_hover="#7f2015",
        button_primary_background_fill_dark="#b23a2a",
        button_primary_background_fill_hover_dark="#9c2a1c",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#ffffff",
        slider_color="#9c2a1c",
        slider_color_dark="#f0957f",
    )
