"""A server in a process of its own, on a port of its own, and a real browser."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright
from visiting import Launch, Start


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@pytest.fixture(scope="module")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launch]:
    """`launch(*options, **environment)` -> a new server's process and its address."""
    processes = []

    def launched(*options: str, **environment: str) -> tuple[subprocess.Popen[bytes], str]:
        port = free_port()
        home = tmp_path_factory.mktemp("home")
        process = subprocess.Popen(
            [sys.executable, "-m", "inkbridge", "web", "--port", str(port), *options],
            env=os.environ | {"INKBRIDGE_PACKS": str(home), "TMPDIR": str(home)} | environment,
        )
        processes.append(process)
        address = f"http://127.0.0.1:{port}"
        for _ in range(600):
            assert process.poll() is None, "the server ended"
            try:
                httpx.get(f"{address}/en/")
                return process, address
            except httpx.TransportError:
                time.sleep(0.1)
        raise AssertionError("the server does not answer")

    yield launched
    for process in processes:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def start(launch: Launch) -> Start:
    """`start(*options, **environment)` -> the address of a new server."""
    return lambda *options, **environment: launch(*options, **environment)[1]


@pytest.fixture(scope="module")
def server(start: Start) -> str:
    return start()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program is not None, "Install chromium: sudo apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
