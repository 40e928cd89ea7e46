"""How fast a pack paints on each device of this machine, how much memory that takes, how far it is off.

Each device works in a process of its own, so that its memory is its own; they take turns, so that what else
the machine does meets all of them alike.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inkbridge.devices import CPU, Device
from inkbridge.errors import ConfigError, InkbridgeError
from inkbridge.images import RGB
from inkbridge.look import FULL
from inkbridge.pack import StylePack
from inkbridge.pack_format import PackFile

TURNS = 4
"""Pictures that each device paints; the first, at which it sets itself up, does not count."""
VISIBLE = 2.3
"""The least colour difference (Euclidean, in CIELAB) that people see (Mahy, Van Eycken and Oosterlinck 1994,
"Evaluation of uniform color spaces developed after the adoption of CIELAB and CIELUV")."""
ALL_BUT = 0.999
"""This share of the pixels has to be nearer than `VISIBLE`."""

ColourSpace = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float64]]


@dataclass
class Speed:
    """Of one device."""

    device: Device
    seconds: float = 0.0
    """For a megapixel, the best of its turns."""
    memory: int = 0
    """Bytes that its process took at most."""
    difference: float = 0.0
    """Colour difference from the processor in float32 that `ALL_BUT` of the pixels stay below."""
    error: str = ""
    """Why it cannot paint, in a sentence; empty where it can."""

    @property
    def looks_the_same(self) -> bool:
        """Whether nobody sees the difference."""
        return not self.error and self.difference < VISIBLE


def measure(
    file: PackFile,
    name: str,
    rgb: RGB,
    devices: Sequence[Device],
    to_lab: ColourSpace,
    on_turn: Callable[[int, int], None] = lambda done, total: None,
) -> list[Speed]:
    """Paint `rgb` (H x W x 3 uint8) on each device in turn.

    The first must be the processor in float32 (`inkbridge.devices.CPU`), from which differences are taken in
    the colours that `to_lab` gives. `on_turn(done, total)` is called after each picture.
    """
    if list(devices[:1]) != [CPU]:
        raise ConfigError("The first device to be measured must be cpu in float32.")
    context = multiprocessing.get_context("spawn")
    pools = [ProcessPoolExecutor(1, context, _start, (file, name, device)) for device in devices]
    speeds = [Speed(device, seconds=float("inf")) for device in devices]
    painted: dict[Device, RGB] = {}
    done, total = 0, TURNS * len(devices)
    try:
        for turn in range(TURNS):
            for pool, speed in zip(pools, speeds, strict=True):
                if not speed.error:
                    try:
                        seconds, speed.memory, painted[speed.device] = pool.submit(_paint, rgb).result()
                    except InkbridgeError as error:
                        speed.error = str(error)
                    except Exception as error:  # a process that was killed, a device that fails
                        speed.error = f"{speed.device} cannot paint ({type(error).__name__})."
                    else:
                        if turn:
                            speed.seconds = min(speed.seconds, seconds / (rgb.shape[0] * rgb.shape[1] / 1e6))
                done += 1
                on_turn(done, total)
    finally:
        for pool in pools:
            pool.shutdown(cancel_futures=True)
    _compare(speeds, painted, to_lab)
    return speeds


def _compare(speeds: list[Speed], painted: dict[Device, RGB], to_lab: ColourSpace) -> None:
    if CPU not in painted:
        return
    reference = to_lab(painted[CPU])
    for speed in speeds:
        if speed.device in painted:
            off = np.sqrt(np.square(to_lab(painted[speed.device]) - reference).sum(-1))
            speed.difference = float(np.quantile(off, ALL_BUT))


def best(speeds: Sequence[Speed]) -> Speed | None:
    """The fastest of those that look the same as the processor in float32; None where nothing paints."""
    fit = [speed for speed in speeds if speed.looks_the_same]
    return min(fit, key=lambda speed: speed.seconds, default=None)


_ready: list[StylePack | Exception] = []
"""In a process of its own: what paints there, or why nothing does."""


def _start(file: PackFile, name: str, device: Device) -> None:
    try:
        _ready.append(StylePack(file, name, device=device))
    except Exception as error:
        _ready.append(error)  # a pool would not say what it was


def _paint(rgb: RGB) -> tuple[float, int, RGB]:
    (pack,) = _ready
    if isinstance(pack, Exception):
        raise pack
    start = time.perf_counter()
    # Every pixel through the generator: what a device is for.
    painted = pack.apply(rgb, stroke=FULL)
    return time.perf_counter() - start, _most_memory(), painted


def _most_memory() -> int:
    """Bytes of memory that this process has had at most."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
    except (OSError, StopIteration):  # no such file on this system
        import resource  # nor on every one this

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
