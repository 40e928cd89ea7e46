"""Whose turn it is: one piece of work at a time, and nobody waits behind all the work of somebody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from inkbridge.errors import InkbridgeError

T = TypeVar("T")
OnTile = Callable[[int, int], None]
"""Called with (done, total) while work goes on; it raises `Stopped` where that is to end."""

AHEAD = 20
"""Later pieces of work of others that go before a visitor's second one; twice as many before a third."""
LOOK = 0.2
"""Seconds between two looks at how far work is."""


class BusyError(InkbridgeError):
    """Too much waits already."""


class Stopped(InkbridgeError):
    """Work was given up: nobody waits for it any more, or it took too long."""


@dataclass(frozen=True)
class Seen:
    """How far work is."""

    before: int
    """Pieces of work that come first; 0 once it is begun."""
    share: float
    """Of it that is done."""
    seconds_left: float | None
    """None before anything is done."""


class Desk:
    """A queue: first come, first served, but the more a visitor has in it the farther back goes the next."""

    def __init__(self, waiting: int, each: int) -> None:
        """At most so many wait, and so many of `each` visitor."""
        self._most, self._each = waiting, each
        self._changed = threading.Condition()
        self._waiting: list[tuple[int, int, str]] = []
        self._at_work: str | None = None
        self._number = 0

    def start(self, visitor: str, work: Callable[[OnTile], T], seconds: float) -> Work[T]:
        """Begin work when its turn comes, in a thread of its own. Raises BusyError when too much waits."""
        with self._changed:
            own = sum(who == visitor for _, _, who in self._waiting)
            if own >= self._each:
                raise BusyError(
                    f"{own} pictures of yours are waiting already; take the next when one is done."
                )
            if len(self._waiting) >= self._most:
                raise BusyError(f"{len(self._waiting)} pictures are waiting; come back in a minute.")
            self._number += 1
            own += self._at_work == visitor
            place = self._number + AHEAD * own, self._number, visitor
            self._waiting.append(place)
            self._waiting.sort()
        return Work(self, place, work, seconds)

    def before(self, place: tuple[int, int, str]) -> int:
        """Pieces of work that come before this one."""
        with self._changed:
            busy = self._at_work is not None
            return self._waiting.index(place) + busy if place in self._waiting else 0

    def take(self, place: tuple[int, int, str], given_up: threading.Event) -> None:
        """Wait for the turn; raises Stopped when the work is given up before."""
        with self._changed:
            while not given_up.is_set() and (self._at_work is not None or self._waiting[0] != place):
                self._changed.wait(LOOK)
            self._waiting.remove(place)
            if given_up.is_set():
                self._changed.notify_all()
                raise Stopped("It was stopped.")
            self._at_work = place[2]

    def leave(self) -> None:
        """The turn is over."""
        with self._changed:
            self._at_work = None
            self._changed.notify_all()


class Work(Generic[T]):
    """A piece of work that waits, goes on, or is done."""

    def __init__(
        self, desk: Desk, place: tuple[int, int, str], work: Callable[[OnTile], T], seconds: float
    ) -> None:
        self._desk, self._place, self._work, self._seconds = desk, place, work, seconds
        self._given_up = threading.Event()
        self._began = self._ended = 0.0
        self._share = 0.0
        self._result: list[T] = []
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def seconds(self) -> float:
        """That it has taken since its turn came."""
        return (self._ended or time.monotonic()) - self._began if self._began else 0.0

    @property
    def is_done(self) -> bool:
        return not self._thread.is_alive()

    def seen(self) -> Seen:
        """How far it is."""
        before = 0 if self._began else self._desk.before(self._place)
        left = None
        if self._share > 0:
            left = self.seconds * (1 - self._share) / self._share
        return Seen(before, self._share, left)

    def give_up(self) -> None:
        """End it at the next tile; it does nothing to work that is done."""
        self._given_up.set()

    def watched(self) -> Iterator[Seen]:
        """How far it is, again and again until it is done; a caller that stops listening ends it."""
        try:
            while not self.is_done:
                yield self.seen()
                self._thread.join(LOOK)
        finally:
            self.give_up()

    def result(self) -> T:
        """What came of it; raises what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result[0]

    def _run(self) -> None:
        try:
            self._desk.take(self._place, self._given_up)
        except Stopped as error:
            self._error = error
            return
        self._began = time.monotonic()
        try:
            self._result.append(self._work(self._on_tile))
        except Exception as error:  # raised again where the result is asked for
            self._error = error
        finally:
            self._ended = time.monotonic()
            self._desk.leave()

    def _on_tile(self, done: int, total: int) -> None:
        self._share = done / max(total, 1)
        if self._given_up.is_set():
            raise Stopped("It was stopped.")
        if self.seconds > self._seconds:
            raise Stopped(
                f"It took longer than the {self._seconds:.0f} seconds that are allowed here; take a smaller "
                "picture."
            )
