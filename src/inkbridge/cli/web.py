"""inkbridge web"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def web(
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    password: str | None = None,
    no_password: Annotated[bool, Parameter(negative=())] = False,
    runs: Path | None = None,
    max_megapixels: float = 50.0,
    max_megabytes: float = 60.0,
    max_gigabytes: float = 4.0,
    seconds: float = 300.0,
) -> None:
    """Open the web page: paint, blend, mend and compare in a browser, and watch trainings.

    By default this machine alone can see it. The same is there for programs, below /api.

    Parameters
    ----------
    host
        The address to listen on; 0.0.0.0 lets other machines in, and needs --password or --no-password.
    port
        The port to listen on.
    password
        What visitors must know (any user name); $INKBRIDGE_PASSWORD is taken if it is not given.
    no_password
        Let everybody in who reaches this machine.
    runs
        A folder of run folders that the page shows.
    max_megapixels
        Larger pictures are refused.
    max_megabytes
        Larger uploads are refused.
    max_gigabytes
        That all uploads and results together may take on disk.
    seconds
        That one picture may take.
    """
    import os

    from inkbridge.errors import ConfigError, DataError, MissingExtraError

    password = password or os.environ.get("INKBRIDGE_PASSWORD", "")
    is_local = host in {"127.0.0.1", "localhost", "::1"}
    if not is_local and not password and not no_password:
        raise ConfigError(
            f"--host {host} lets other machines in: give a --password, or say --no-password if all who reach "
            "this machine may use it."
        )
    if not 0 < port < 65536:
        raise ConfigError(f"--port {port} cannot be used: it must be from 1 to 65535.")
    for name, value in (
        ("max-megapixels", max_megapixels),
        ("max-megabytes", max_megabytes),
        ("max-gigabytes", max_gigabytes),
        ("seconds", seconds),
    ):
        if not value > 0:
            raise ConfigError(f"--{name} {value:g} cannot be used: it must be above 0.")
    if max_gigabytes * 1e3 < max_megabytes:
        raise ConfigError(
            f"--max-gigabytes {max_gigabytes:g} has no room for one upload of --max-megabytes "
            f"{max_megabytes:g}."
        )
    if runs is not None and not runs.is_dir():
        raise DataError(f"Folder '{runs}' does not exist. Check the name.")
    _check_free(host, port)
    try:
        from inkbridge.web.server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"gradio", "fastapi", "uvicorn"}:
            raise
        raise MissingExtraError("The web page", "web") from None
    from inkbridge.web.jobs import Limits

    shown = f"[{host}]" if ":" in host else host
    print(f"Inkbridge is at http://{shown}:{port}  (Ctrl-C ends it)", flush=True)
    limits = Limits(
        int(max_megapixels * 1e6), int(max_megabytes * 1e6), seconds, all_bytes=int(max_gigabytes * 1e9)
    )
    serve(host, port, limits, runs, password, is_local)


def _check_free(host: str, port: int) -> None:
    """Raise ConfigError where the address cannot be listened on."""
    import socket

    from inkbridge.errors import ConfigError

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
    except OSError as error:
        raise ConfigError(
            f"{host}:{port} cannot be listened on ({error.strerror}); take another --port."
        ) from None
