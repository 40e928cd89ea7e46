"""What every request passes first: who may ask, for how much, and that nothing is fetched from elsewhere."""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_WORDS = 1_000_000
"""Bytes of a request that carries no file."""
FETCHED = re.compile(r"/proxy=|/file[=/]\s*[a-z][a-z0-9+.-]+:", re.IGNORECASE)
"""Of a path: where Gradio would fetch what it is told."""
TAKES_FILES = re.compile(r"^/api/|/upload$")
"""Of a path: where forms with files are read."""
ADDRESS = re.compile(r"^\s*[a-z][a-z0-9+.-]+:", re.IGNORECASE)
"""http://, ftp://, data:, file: and the like; not a drive of Windows."""

HEADERS = {
    "content-security-policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' "
        "'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
        "connect-src 'self' blob: data:; frame-ancestors 'self'; form-action 'self'; object-src 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
"""Sent with every answer: the page may not ask other machines for anything."""


class Guard:
    """An ASGI application before another one."""

    def __init__(
        self,
        app: App,
        *,
        max_bytes: int,
        hosts: frozenset[str],
        password: str = "",
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        """`hosts` are the names under which the server may be asked, empty for any: a page from elsewhere
        whose name was turned to this machine gets nothing. With a `password` everything needs it (HTTP
        Basic, any user name). No file is taken while there is no room for one of `max_bytes`."""
        self._app, self._max_bytes, self._hosts, self._password = app, max_bytes, hosts, password
        self._has_room = has_room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # the page uses no web sockets
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
        }
        refused = self._refused(scope, headers)
        if refused is not None:
            await _answer(send, *refused)
            return
        is_form = headers.get("content-type", "").startswith("multipart/form-data")
        carries_file = is_form and TAKES_FILES.search(scope["path"]) is not None
        most = self._max_bytes + MOST_WORDS if carries_file else MOST_WORDS
        declared = headers.get("content-length", "0")
        if not declared.isdigit() or int(declared) > most:
            await _answer(send, 413, _too_large(most))
            return
        if carries_file and not self._has_room():
            await _answer(send, 503, "There is no room for more pictures now; come back in some minutes.")
            return
        if carries_file:
            receive = _counted(receive, most)
        elif scope["method"] not in {"GET", "HEAD"}:
            body = await _whole(receive, most)
            if body is None:
                await _answer(send, 413, _too_large(most))
                return
            if _names_address(body):
                await _answer(send, 400, "Pictures are uploaded; addresses are not fetched.")
                return
            receive = _again(body, receive)
        await self._app(scope, receive, _with_headers(send))

    def _refused(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        host = re.sub(r":\d+$", "", headers.get("host", "")).lower()
        if self._hosts and host not in self._hosts:
            return 421, f"This server does not answer to the name '{host[:100]}'."
        if self._password and not _knows(headers.get("authorization", ""), self._password):
            return 401, "A password is needed."
        if FETCHED.search(scope["path"]):
            return 400, "Pictures are uploaded; addresses are not fetched."
        return None


def _knows(authorization: str, password: str) -> bool:
    kind, _, value = authorization.partition(" ")
    try:
        given = base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
    except ValueError:
        return False
    return kind.lower() == "basic" and secrets.compare_digest(given.encode(), password.encode())


def _names_address(body: bytes) -> bool:
    """Whether a request in JSON names a file by an address. The page's own requests carry the address under
    which the browser shows a picture, in `url`, which the server does not use."""
    try:
        waiting = [json.loads(body or b"null")]
    except (ValueError, RecursionError):
        return False  # no JSON: it goes no further than where it is read
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            path, url = value.get("path"), value.get("url")
            if isinstance(path, str) and ADDRESS.match(path):
                return True
            if isinstance(url, str) and url.lower().lstrip().startswith("data:"):
                return True
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return False


async def _whole(receive: Receive, most: int) -> bytes | None:
    """The body of a request; None when it is larger."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > most:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """What gives a body that was read already, and then what comes after it."""
    given = False

    async def told() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return told


def _counted(receive: Receive, most: int) -> Receive:
    """A request that ends, as if the visitor had gone, where it grows too large."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return {"type": "http.disconnect"} if seen > most else message

    return counted


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            known = {name.lower() for name, _ in message.get("headers", [])}
            message["headers"] = [
                *message.get("headers", []),
                *((n.encode(), v.encode()) for n, v in HEADERS.items() if n.encode() not in known),
            ]
        await send(message)

    return sent


def _too_large(most: int) -> str:
    return f"The request is larger than the {most / 1e6:.0f} million bytes that are taken here."


async def _answer(send: Send, status: int, said: str) -> None:
    body = json.dumps({"detail": said}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="Inkbridge", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
