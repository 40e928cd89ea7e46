"""One file over HTTP, resumed where it was cut, checked before it is there."""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from inkbridge import __version__
from inkbridge.errors import DataError

CHUNK = 1 << 16
PATIENCE = 30.0
"""Seconds without a byte after which a connection is given up."""
TRIES = 5
"""So often it is tried again without a byte of progress,"""
PAUSE = 0.5
"""after this many seconds, twice as many each time."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

OnBytes = Callable[[float, float], None]


def check_address(address: str) -> None:
    """Raise DataError for an address that is not fetched: only https, and http of this machine itself."""
    try:
        parts = urllib.parse.urlsplit(address)
        host = parts.hostname
    except ValueError:
        raise DataError(f"{address} is no address.") from None
    if parts.scheme not in {"https", "http"} or not host:
        raise DataError(f"{address} is no address (https://...).")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise DataError(f"{address} is not fetched: http can be changed on its way, use https.")


def fetch_small(address: str, most: int, headers: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a small file; DataError when it cannot be had or has more than `most`."""
    failure = ""
    for attempt in range(TRIES):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        try:
            with _opened(address, dict(headers or {})) as answer:
                whole = answer.length
                data: bytes = answer.read(most + 1)
        except _Again as error:
            failure = str(error)
            continue
        except (OSError, http.client.HTTPException) as error:
            failure = _said(error)
            continue
        if len(data) > most:
            raise DataError(f"{address} is larger than {most:,} bytes; refused.")
        if whole is None or len(data) == whole:
            return data
        failure = "it was cut short"
    raise DataError(f"{address} cannot be fetched: {failure}.")


def fetch(
    address: str,
    part: Path,
    size: int,
    sha256: str,
    headers: Mapping[str, str] | None = None,
    on_bytes: OnBytes = lambda done, total: None,
) -> None:
    """Fetch a file of a known size and SHA-256 to `part`.

    What is in `part` already, from an earlier start that was cut or killed, is not fetched again. A file that
    is whole and not what it should be is removed; when part of it came from an earlier start it is first
    fetched anew. `on_bytes(done, size)` tells how far it is. Raises DataError for what is not had or differs.
    """
    resumed = part.exists() and part.stat().st_size > 0
    _fetch_bytes(address, part, size, dict(headers or {}), on_bytes)
    if resumed and sha256_of(part) != sha256:
        part.unlink()
        _fetch_bytes(address, part, size, dict(headers or {}), on_bytes)
    if sha256_of(part) != sha256:
        part.unlink()
        raise DataError(
            f"{address} is not the file that the list names (its SHA-256 differs); nothing was kept. Whoever "
            "keeps the list may have changed the file: ask them."
        )


def _fetch_bytes(address: str, part: Path, size: int, headers: dict[str, str], on_bytes: OnBytes) -> None:
    tries = 0
    while True:
        had = part.stat().st_size if part.exists() else 0
        if had > size:
            part.unlink()
            had = 0
        if had == size:
            return
        try:
            _continue(address, part, had, size, headers, on_bytes)
            failure = "it was cut short"
        except _Again as error:
            failure = str(error)
            if error.anew:
                part.unlink(missing_ok=True)
        except (OSError, http.client.HTTPException) as error:
            failure = _said(error)
        now = part.stat().st_size if part.exists() else 0
        tries = 0 if now > had else tries + 1
        if now != size and tries >= TRIES:
            raise DataError(
                f"{address} cannot be fetched: {failure}. {now:,} of {size:,} bytes are here; "
                "the same command goes on from there."
            )
        if tries:
            time.sleep(PAUSE * 2 ** (tries - 1))


def _continue(
    address: str, part: Path, had: int, size: int, headers: dict[str, str], on_bytes: OnBytes
) -> None:
    """Append what the server sends from byte `had` on."""
    if had:
        headers = headers | {"Range": f"bytes={had}-"}
    with _opened(address, headers) as answer:
        start = _first_byte(answer) if answer.status == 206 else 0
        if start not in (0, had):
            raise _Again("the server sends another part than it was asked for")
        announced = answer.length
        if announced is not None and start + announced != size:
            if had:  # an old part of another file, perhaps
                raise _Again("it has another size now", anew=True)
            raise DataError(f"{address} has {announced:,} bytes, not {size:,} as the list says; refused.")
        with part.open("ab" if start else "wb") as file:
            for chunk in iter(lambda: answer.read(CHUNK), b""):
                start += len(chunk)
                if start > size:
                    file.truncate(0)
                    raise DataError(
                        f"{address} has more than the {size:,} bytes that the list says; refused."
                    )
                file.write(chunk)
                on_bytes(start, size)


class _Again(Exception):
    """Something that another try may mend, perhaps from the first byte on."""

    def __init__(self, said: str, anew: bool = False) -> None:
        super().__init__(said)
        self.anew = anew


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: Any, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        check_address(newurl)
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None and _host(newurl) != _host(req.full_url):
            request.remove_header("Authorization")  # it is for the first host alone
        return request


@contextmanager
def _opened(address: str, headers: dict[str, str]) -> Iterator[Any]:
    check_address(address)
    request = urllib.request.Request(address, headers={"User-Agent": f"inkbridge/{__version__}", **headers})
    # This machine is not reached through a proxy.
    proxies: dict[str, str] | None = {} if urllib.parse.urlsplit(address).hostname in LOOPBACK else None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies), _Redirects)
    try:
        answer = opener.open(request, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        with error:
            said = f"the server says {error.code} ({error.reason})"
            if error.code in {408, 416, 425, 429} or error.code >= 500:
                raise _Again(said, anew=error.code == 416) from None
        raise DataError(f"{address} cannot be fetched: {said}.") from None
    with answer:
        yield answer


def _host(address: str) -> str:
    return urllib.parse.urlsplit(address).netloc


def _first_byte(answer: Any) -> int:
    """Of a partial answer."""
    said = answer.headers.get("Content-Range", "")
    first = said.removeprefix("bytes ").split("-")[0]
    return int(first) if first.isdigit() else -1


def _said(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return str(reason).strip() or type(error).__name__


def sha256_of(path: Path) -> str:
    """Of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
