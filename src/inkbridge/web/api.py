"""The HTTP API: what the page does, for programs. Pictures come as files of a form and go as files."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Form, HTTPException, Request, UploadFile
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from inkbridge.errors import DataError, InkbridgeError
from inkbridge.look import no_detail, stroke_of, weighted_name
from inkbridge.web.desk import LOOK, BusyError, Work
from inkbridge.web.jobs import Jobs, Result, Upload

T = TypeVar("T")

Number = Annotated[float, Form()]
Text = Annotated[str, Form()]
Yes = Annotated[bool, Form()]


def api(jobs: Jobs) -> APIRouter:
    """Routes below /api: styles, apply, repair, beautify, compare."""
    routes = APIRouter(prefix="/api")

    @routes.get("/styles")
    def styles() -> list[dict[str, object]]:
        """The packs at hand with their styles."""
        return [
            {
                "pack": name,
                "title": pack.info.title,
                "styles": {style.name: style.title for style in pack.info.styles},
                "follows_examples": pack.file.encoder is not None,
            }
            for name, pack in jobs.packs.items()
        ]

    @routes.post("/apply")
    async def apply(
        request: Request,
        picture: UploadFile,
        style: Annotated[list[str] | None, Form()] = None,
        like: UploadFile | None = None,
        like_weight: Number = 1.0,
        mask: UploadFile | None = None,
        pack: Text = "",
        strength: Number = 1.0,
        keep_colour: Number = 0.0,
        stroke: Text = "1",
        detail: Annotated[str | None, Form(include_in_schema=False)] = None,
        format: Text = "",
    ) -> FileResponse:
        """Paint a picture. `style` is NAME or NAME:WEIGHT, as often as wanted; `like` an example picture."""
        async with _kept(jobs, picture, like, mask) as (file, example, shape):
            with _said():
                no_detail(detail)
                wanted = dict(weighted_name(entry) for entry in style or [])
                if not wanted and example is None and not pack:
                    raise DataError(
                        "Say which style: style=NAME (see /api/styles), or give a picture in like."
                    )
                work = jobs.paint(
                    _visitor(request),
                    _there(file),
                    jobs.pack_for(wanted, pack or None, with_encoder=example is not None),
                    wanted,
                    like=example,
                    like_weight=like_weight,
                    mask=shape,
                    strength=strength,
                    keep_colour=keep_colour,
                    stroke=stroke_of(stroke),
                    file_format=format,
                )
            return _sent(await _done(request, work))

    @routes.post("/repair")
    async def repair(
        request: Request,
        picture: UploadFile,
        mask: UploadFile | None = None,
        only_mask: Yes = False,
        colour: Yes = True,
        strength: Number = 1.0,
        format: Text = "",
    ) -> FileResponse:
        """Mend a picture; what is hidden is white in `mask`, or found."""
        async with _kept(jobs, picture, mask) as (file, given):
            with _said():
                work = jobs.repair(
                    _visitor(request),
                    _there(file),
                    given,
                    only_mask=only_mask,
                    colour=colour,
                    strength=strength,
                    file_format=format,
                )
            return _sent(await _done(request, work))

    @routes.post("/beautify")
    async def beautify(request: Request, picture: UploadFile, format: Text = "") -> FileResponse:
        """Make a picture a little more beautiful."""
        async with _kept(jobs, picture) as (file,):
            with _said():
                work = jobs.beautify(_visitor(request), _there(file), format)
            return _sent(await _done(request, work))

    @routes.post("/compare")
    async def compare(request: Request, a: UploadFile, b: UploadFile) -> dict[str, float | None]:
        """How alike two pictures of one size are."""
        async with _kept(jobs, a, b) as (first, second):
            with _said():
                work = jobs.compare(_visitor(request), _there(first), _there(second))
            return await _done(request, work)

    return routes


def _visitor(request: Request) -> str:
    return request.client.host if request.client else ""


def _there(upload: Upload | None) -> Upload:
    assert upload is not None  # FastAPI asked for it
    return upload


@contextlib.asynccontextmanager
async def _kept(jobs: Jobs, *forms: UploadFile | None) -> AsyncIterator[list[Upload | None]]:
    """Uploads as files, for as long as they are needed."""
    folder = jobs.folder / "uploads" / secrets.token_urlsafe(12)
    folder.mkdir(parents=True)
    uploads: list[Upload | None] = []
    try:
        for number, form in enumerate(forms):
            if form is None:
                uploads.append(None)
                continue
            name = form.filename or "picture"
            with (folder / str(number)).open("wb") as file:
                while part := await form.read(1 << 20):
                    file.write(part)
                    if file.tell() > jobs.limits.max_bytes:
                        raise HTTPException(413, f"{name} is larger than is taken here.")
            uploads.append(Upload(folder / str(number), name))
        yield uploads
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


@contextlib.contextmanager
def _said() -> Iterator[None]:
    """What is wrong, as an answer of HTTP."""
    try:
        yield
    except BusyError as error:
        raise HTTPException(503, str(error), {"retry-after": "30"}) from None
    except InkbridgeError as error:
        raise HTTPException(422, str(error)) from None


async def _done(request: Request, work: Work[T]) -> T:
    """What comes of work; where nobody waits for it any more it is given up."""
    try:
        while not work.is_done:
            if await request.is_disconnected():
                raise HTTPException(499, "Nobody waits for it any more.")
            await asyncio.sleep(LOOK / 4)
    finally:
        work.give_up()
    with _said():
        return work.result()


def _sent(result: Result) -> FileResponse:
    """The file, which is removed when it is sent; what had to be changed is said in a header."""
    notes = quote("; ".join(result.notes), safe=" ;,()%")

    def remove() -> None:
        shutil.rmtree(result.file.parent, ignore_errors=True)

    return FileResponse(
        result.file,
        filename=result.file.name,
        headers={"x-inkbridge-notes": notes} if notes else {},
        background=BackgroundTask(remove),
    )
