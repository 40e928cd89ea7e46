"""Many pictures: painted in processes of their own, each with a network of one thread.

A picture that cannot be painted never stops the others, nor does a process that is killed.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from inkbridge.devices import CPU, Device
from inkbridge.errors import DataError, InkbridgeError
from inkbridge.film import FilmConfig, is_film, paint_film
from inkbridge.images import Picture, check_not_itself, read_picture, write_picture
from inkbridge.large import paint_in_pieces, wants_pieces
from inkbridge.look import Look
from inkbridge.pack import StylePack
from inkbridge.pack_format import PackFile
from inkbridge.tiling import TILE

AHEAD = 2
"""Pictures that wait for each process, so that none is idle."""


Place = Path | str
"""Of a picture: a path, or an address in an object store (`inkbridge.scale_out`)."""


@dataclass(frozen=True)
class Job:
    """A picture, and where the painted one goes."""

    source: Place
    target: Place


@dataclass(frozen=True)
class Done:
    """What came of a job."""

    job: Job
    notes: tuple[str, ...] = ()
    error: str = ""
    """Why nothing was written, in a sentence; empty where it was."""


@dataclass(frozen=True)
class Painter:
    """What paints pictures; it can be sent to another process."""

    file: PackFile
    name: str
    """Of the pack, in messages."""
    look: Look
    quality: int
    max_pixels: int
    device: Device = CPU
    film: FilmConfig = field(default_factory=FilmConfig)

    def alone(self) -> StylePack:
        """The pack, for a process that is one of several: on one thread."""
        return StylePack(self.file, self.name, threads=1, device=self.device)

    def paint(
        self,
        pack: StylePack,
        job: Job,
        on_tile: Callable[[float, float], None] = lambda done, total: None,
        read: Callable[[], Picture] | None = None,
    ) -> Done:
        """One picture from file to file; what is wrong with it is told, not raised.

        `read` gives the picture where somebody began to read it (`read_ahead`).
        """
        source, target = Path(job.source), Path(job.target)
        try:
            check_not_itself(target, source)
            if is_film(source):
                make_folder(target.parent)
                return Done(job, tuple(paint_film(pack, source, target, self.look, self.film, on_tile)))
            if wants_pieces(source, target):
                make_folder(target.parent)
                said = paint_in_pieces(
                    pack, source, target, self.look, self.quality, self.max_pixels, on_tile
                )
                return Done(job, tuple(said))
            picture = read() if read is not None else read_picture(source, self.max_pixels)
            painted = pack.apply_to(picture, self.look, on_tile)
            make_folder(target.parent)
            with _resting(pack, painted):
                notes = write_picture(painted, target, self.quality)
        except InkbridgeError as error:
            return Done(job, error=str(error))
        except Exception as error:  # no picture, whatever is wrong with it, stops the others
            return Done(job, error=f"{job.source} cannot be painted ({type(error).__name__}: {error}).")
        return Done(job, (*painted.notes, *notes))


def paint_many(painter: Painter, jobs: Iterable[Job], processes: int) -> Iterator[Done]:
    """Paint pictures in so many processes; what is done is told in the order in which it is.

    A picture at which a process was killed is tried once more, alone, before it is left out. What is painted
    is the same, bit for bit, for any number of processes. When the caller stops early what is begun is
    finished first; when it is killed no process stays.
    """
    waiting = deque(jobs)
    while waiting:
        suspects = yield from _in_a_pool(painter, waiting, processes)
        for job in suspects:
            again = deque([job])
            if (yield from _in_a_pool(painter, again, 1)):
                yield Done(job, error=f"{job.source} cannot be painted: its process was killed (memory?).")


@contextmanager
def _resting(pack: StylePack, painted: Picture) -> Iterator[None]:
    """The memory that a large picture took is given back meanwhile: it takes an ending process longer."""
    if painted.rgb.shape[0] * painted.rgb.shape[1] <= TILE**2:
        yield
        return
    resting = threading.Thread(target=pack.rest)
    resting.start()
    try:
        yield
    finally:
        resting.join()


def make_folder(folder: Path) -> None:
    """The folder, with those above it; DataError where it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"Folder '{folder}' cannot be made: {error.strerror}.") from None


def _in_a_pool(painter: Painter, waiting: deque[Job], processes: int) -> Generator[Done, None, list[Job]]:
    """Until all is done or a process is killed; returns the jobs that were begun then."""
    # Not forked: ONNX Runtime's threads would not come along.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, _start, (painter,))
    running: dict[Future[Done], Job] = {}
    try:
        while waiting or running:
            while waiting and len(running) < AHEAD * processes:
                job = waiting.popleft()
                running[pool.submit(_paint, job)] = job
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            broken = []
            for future in finished:
                job = running.pop(future)
                try:
                    yield future.result()
                except BrokenProcessPool:
                    broken.append(job)
            if broken:
                return [*broken, *running.values()]
    except BrokenProcessPool:  # by `submit`
        return [job, *running.values()]
    finally:
        # What is begun is finished, so that nothing is left half done.
        pool.shutdown(cancel_futures=True)
    return []


_ready: list[tuple[Painter, StylePack]] = []
"""In a process of the pool: what paints there."""


def _start(painter: Painter) -> None:
    """In a process of the pool, before its first picture."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us stops us
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _ready.append((painter, painter.alone()))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _paint(job: Job) -> Done:
    ((painter, pack),) = _ready
    return painter.paint(pack, job)
