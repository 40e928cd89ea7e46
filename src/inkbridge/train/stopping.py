"""Ctrl-C without loss."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Within, Ctrl-C and SIGTERM only raise a flag, so that no update is cut in half."""
    asked = False

    def ask(*_: object) -> None:
        nonlocal asked
        asked = True

    previous = {}
    # Signals belong to the main thread; elsewhere the caller stops us its own way.
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, ask)
    try:
        yield lambda: asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
