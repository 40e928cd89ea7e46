"""Many machines: the very same work as in `many`, on Ray Data. Needs the extra [ray].

Pictures and results lie in folders that all machines see, or in object stores (s3://, gs:// and what else
pyarrow knows). Each picture is painted by one thread, by the code that paints it here: the same bytes.
"""

from __future__ import annotations

import logging
import os
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from inkbridge.errors import ConfigError, DataError, MissingExtraError
from inkbridge.images import SUFFIXES
from inkbridge.many import Done, Job, Painter, Place
from inkbridge.pack import StylePack

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

LOCAL = "local"
"""The address of a cluster that is made of this machine, for this work alone."""
TRIES = 2
"""Times that a picture is tried again at which a process was killed."""
ANSWER_SECONDS = 10
"""That a cluster may take to be heard of."""
MOST = 64
"""Pictures that a worker is given at a time."""
COLUMNS = ("source", "target", "notes", "error")
"""Of what workers answer."""


def is_address(place: str) -> bool:
    """Whether it is one of an object store, not a path."""
    return "://" in place


def plan(pictures: list[str], out: str) -> list[Job]:
    """A job for every picture below addresses of folders, or that is named itself, to below `out`."""
    jobs = []
    for place in pictures:
        files, path = _store(place)
        if files.get_file_info(path).is_file:
            jobs.append(Job(place, f"{out.rstrip('/')}/{PurePosixPath(path).name}"))
            continue
        names = _names(files, path)
        if not names:
            raise DataError(f"'{place}' holds no pictures, or is not there.")
        jobs += [Job(f"{place.rstrip('/')}/{name}", f"{out.rstrip('/')}/{name}") for name in names]
    return jobs


def there(out: str) -> set[str]:
    """Addresses of what lies below `out` already."""
    files, path = _store(out)
    return {f"{out.rstrip('/')}/{name}" for name in _names(files, path)}


def paint_on_ray(painter: Painter, jobs: list[Job], address: str) -> Iterator[Done]:
    """Paint pictures on a Ray cluster: at `address`, or one of this machine alone (`local`).

    What is done is told as it comes. A worker that is killed is replaced, and what it had is done again; a
    picture that kills three is left out. Raises ConfigError when the cluster does not answer, and
    MissingExtraError without the extra.
    """
    # Before Ray is loaded: it reports to its maker unless it is told not to, and says much.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"ray", "pyarrow", "pandas"}:
            raise
        raise MissingExtraError("--ray", "ray") from None
    quiet: dict[str, Any] = {"logging_level": "error", "log_to_driver": False}
    _check_answers(address)
    try:
        if address == LOCAL:
            ray.init(address="local", include_dashboard=False, **quiet)
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        first = str(error).strip().partition("\n")[0]
        raise ConfigError(f"The Ray cluster at {address} does not answer ({first}).") from None
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield from _painted(painter, jobs)
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Raise ConfigError at once where nothing listens; Ray itself asks again for many minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
    except OSError as error:
        raise ConfigError(f"The Ray cluster at {address} does not answer ({error}).") from None


def _painted(painter: Painter, jobs: list[Job]) -> Iterator[Done]:
    """What was lost beside a picture that kills workers is painted in a second round, each by itself."""
    import ray

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # what is lost with them is found here
    shared = ray.put(painter)  # held here, so that a worker that comes for a killed one finds it
    workers = max(int(ray.cluster_resources().get("CPU", 1)), 1)  # type: ignore[no-untyped-call]
    waiting = {(_anywhere(job.source), _anywhere(job.target)): job for job in jobs}
    at_a_time = min(max(len(jobs) // (8 * workers), 1), MOST)
    for num in dict.fromkeys((at_a_time, 1)):
        rows = [{"source": source, "target": target} for source, target in waiting]
        if not rows:
            return
        data = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // num)).map_batches(
            _Worker,
            fn_constructor_args=(shared,),
            batch_size=None,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers),
            num_cpus=1,
            ray_remote_args_fn=lambda: {"max_restarts": -1, "max_task_retries": TRIES},
        )
        for batch in data.iter_batches(batch_size=None, batch_format="numpy"):
            for source, target, notes, error in zip(*(batch[name] for name in COLUMNS), strict=True):
                job = waiting.pop((str(source), str(target)))
                yield Done(job, tuple(str(notes).split("\n")) if notes else (), str(error))
    for job in waiting.values():
        yield Done(job, error=f"{job.source} cannot be painted: its process was killed (memory?).")


def _anywhere(place: Place) -> str:
    """What means the same on every machine."""
    return str(place) if is_address(str(place)) else str(Path(place).absolute())


class _Worker:
    """On a machine of the cluster."""

    def __init__(self, painter: Any) -> None:
        import ray

        self.painter: Painter = ray.get(painter) if isinstance(painter, ray.ObjectRef) else painter
        self.pack = self.painter.alone()

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        jobs = [Job(str(s), str(t)) for s, t in zip(batch["source"], batch["target"], strict=True)]
        done = [paint_anywhere(self.painter, self.pack, job) for job in jobs]
        said = [("\n".join(one.notes), one.error) for one in done]
        return batch | {
            "notes": np.array([notes for notes, _ in said], object),
            "error": np.array([error for _, error in said], object),
        }


def paint_anywhere(painter: Painter, pack: StylePack, job: Job) -> Done:
    """One picture, from and to a path or an object store; what is wrong with it is told, not raised."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            source = _fetched(job.source, Path(folder))
        except (OSError, DataError) as error:
            return Done(job, error=f"{job.source} cannot be read: {error}.")
        far = is_address(str(job.target))
        target = Path(folder, f"painted{PurePosixPath(str(job.target)).suffix}") if far else Path(job.target)
        done = painter.paint(pack, Job(source, target))
        if done.error:
            return Done(job, error=done.error.replace(str(source), str(job.source)))
        try:
            if far:
                _put(target, str(job.target))
        except OSError as error:
            return Done(job, error=f"{job.target} cannot be written: {error}.")
    return replace(done, job=job)


def _fetched(place: Place, folder: Path) -> Path:
    """A path of this machine for what lies there."""
    if not is_address(str(place)):
        return Path(place)
    files, path = _store(str(place))
    local = folder / PurePosixPath(path).name
    with files.open_input_stream(path) as stream, local.open("wb") as file:
        while part := stream.read(1 << 20):
            file.write(part)
    return local


def _put(file: Path, address: str) -> None:
    """Object stores show a file when it is whole, not before."""
    files, path = _store(address)
    with files.open_output_stream(path) as stream:
        stream.write(file.read_bytes())


def _store(address: str) -> tuple[FileSystem, str]:
    try:
        from pyarrow import fs
    except ModuleNotFoundError:
        raise MissingExtraError("An object store", "ray") from None
    try:
        files, path = fs.FileSystem.from_uri(address)
    except (ValueError, OSError) as error:
        raise DataError(f"'{address}' cannot be opened: {error}.") from None
    return files, path


def _names(files: FileSystem, path: str) -> list[str]:
    """Names of the pictures below a folder, relative to it; hidden ones are left out."""
    from pyarrow.fs import FileSelector

    found = []
    for info in files.get_file_info(FileSelector(path, allow_not_found=True, recursive=True)):
        name = PurePosixPath(info.path).relative_to(path)
        hidden = any(part.startswith(".") for part in name.parts)
        if info.is_file and name.suffix.lower() in SUFFIXES and not hidden:
            found.append(str(name))
    return sorted(found)
