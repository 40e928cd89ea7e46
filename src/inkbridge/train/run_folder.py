"""What a run leaves on disk.

RUN/config.json        every setting, as resolved, and the folders it was started with
RUN/checkpoint.pt      the latest state, replaced atomically
RUN/best.pt            the averaged networks at the best moment measured, replaced atomically
RUN/log.jsonl          one line of losses and speed every few seconds
RUN/quality.jsonl      one line for each style and point of the quality curve
RUN/quality.png        the quality curve to look at
RUN/health.jsonl       one line for each time that something went wrong
RUN/samples/*.jpg      content | result | nearest style picture
RUN/tensorboard/       the same numbers for TensorBoard
RUN/cache/             decoded pictures
RUN/run.lock           held while a process trains here
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import IO, Any

from inkbridge.errors import TrainingError
from inkbridge.images import write_atomically


class RunFolder:
    """Paths and small files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoint = path / "checkpoint.pt"
        self.best = path / "best.pt"
        self.config = path / "config.json"
        self.log = path / "log.jsonl"
        self.quality = path / "quality.jsonl"
        self.curve = path / "quality.png"
        self.health = path / "health.jsonl"
        self.samples = path / "samples"
        self.tensorboard = path / "tensorboard"
        self.cache = path / "cache"
        self._lock: IO[str] | None = None

    def open(self) -> None:
        """Create the folder and take its lock; raises TrainingError when another run holds it."""
        try:
            for folder in (self.path, self.samples, self.cache):
                folder.mkdir(parents=True, exist_ok=True)
            self._lock = open(self.path / "run.lock", "w")  # noqa: SIM115  (held while training)
        except OSError as error:
            raise TrainingError(f"Run folder '{self.path}' cannot be written: {error.strerror}.") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise TrainingError(
                f"Another process is training in '{self.path}'. Wait for it or choose another --out."
            ) from None
        for leftover in self.path.rglob(".*.part"):
            leftover.unlink()

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def read_config(self) -> dict[str, Any] | None:
        """The settings the run was started with, or None for a new run."""
        if not self.config.exists():
            return None
        values: dict[str, Any] = json.loads(self.config.read_text(encoding="utf-8"))
        return values

    def write_config(self, values: dict[str, Any]) -> None:
        """Record the settings."""
        text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
        write_atomically(self.config, lambda file: file.write(text.encode()))

    def append_log(self, entry: dict[str, Any]) -> None:
        """Add a line to the log."""
        _append(self.log, entry)

    def append_quality(self, entry: dict[str, Any]) -> None:
        """Add a line to the quality curve."""
        _append(self.quality, entry)

    def read_log(self) -> list[dict[str, Any]]:
        """The lines of the log."""
        return _read(self.log)

    def read_quality(self) -> list[dict[str, Any]]:
        """The lines of the quality curve; those of runs of before, which have no score, are left out."""
        return [line for line in _read(self.quality) if "score" in line]

    def read_health(self) -> list[dict[str, Any]]:
        """What went wrong, a line each time."""
        return _read(self.health)

    def append_health(self, entry: dict[str, Any]) -> None:
        """Add a line on what went wrong; unlike the others it stays when training goes back."""
        _append(self.health, entry)

    def cut_logs(self, images_seen: int) -> None:
        """Drop lines written after the checkpoint that training goes on from."""
        for log in (self.log, self.quality):
            if log.exists():
                _cut(log, images_seen)


def _append(log: Path, entry: dict[str, Any]) -> None:
    try:
        with open(log, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
    except OSError as error:
        raise TrainingError(f"{log} cannot be written: {error.strerror}.") from None


def _read(log: Path) -> list[dict[str, Any]]:
    if not log.exists():
        return []
    found = []
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            break  # the line that a kill cut short, or is still being written, is the last one
    return found


def _cut(log: Path, images_seen: int) -> None:
    kept = [json.dumps(line) for line in _read(log) if line["images_seen"] <= images_seen]
    text = "".join(line + os.linesep for line in kept)
    write_atomically(log, lambda file: file.write(text.encode()))
