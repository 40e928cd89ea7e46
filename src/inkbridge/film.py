"""Moving pictures: painted frame by frame, held steady, the sound left as it is (extra [video]).

A generator paints each frame by itself, and what it makes of a noisy or slightly moved one differs: lines and
washes flicker. Here a frame is blended with the one before, moved along by the motion between the two, where
that motion explains the picture (after Ruder et al. 2016, "Artistic style transfer for videos", who have it
as a term of a loss; here nothing has to be learned).
"""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from inkbridge.enlarge import identity
from inkbridge.errors import ConfigError, DataError, MissingExtraError
from inkbridge.images import RGB, Picture, hold, write_atomically
from inkbridge.look import Look, open_picture

if TYPE_CHECKING:
    from inkbridge.pack import StylePack

FILMS = frozenset([".mp4", ".m4v", ".mov", ".mkv", ".webm"])
"""Endings of the films that are read and written."""
CODECS = {".webm": "libvpx-vp9"}
"""By ending; the others get H.264."""
PART_SECONDS = 4.0
"""Frames are kept in parts of about this length, so that a film that was stopped goes on."""
FLOW_SIDE = 480
"""Motion is sought at this short side at most."""
MISSING = 0.1
"""A film that ends this share of its length too early is said to."""
LIKE = 8.0
"""So much, of 255, may a pixel differ from where it came from before the blend gives it up."""
STEADY = 0.8
"""Share of the frame before in a blend, where motion explains the picture."""

OnFrame = Callable[[float, float], None]
Flow = npt.NDArray[np.float32]


def is_film(path: Path) -> bool:
    """Whether a file is a film by its ending."""
    return path.suffix.lower() in FILMS


def check_film_name(path: Path) -> None:
    """Raise DataError when no film can be written under this name."""
    if not is_film(path):
        raise DataError(f"{path}: a film's name ends in one of {' '.join(sorted(FILMS))}.")
    if path.is_dir():
        raise DataError(f"{path} is a folder; give the result a file name.")


@dataclass(frozen=True)
class FilmConfig:
    """How a film is painted."""

    steady: float = STEADY
    """From 0, each frame by itself, to just below 1."""
    quality: int = 15
    """The constant rate factor of the encoder: lower is larger and better, 15 is hard to tell apart."""

    def check(self) -> None:
        """Raises ConfigError for a number out of its range."""
        if not 0.0 <= self.steady <= 0.95:
            raise ConfigError(f"steady = {self.steady:g} cannot be used: it must be from 0 to 0.95.")
        if not 0 <= self.quality <= 51:
            raise ConfigError(f"quality = {self.quality} cannot be used: it must be from 0 to 51.")


def paint_film(
    pack: StylePack,
    source: Path,
    target: Path,
    look: Look | None = None,
    config: FilmConfig | None = None,
    on_frame: OnFrame = lambda done, total: None,
) -> list[str]:
    """Paint a film from file to file; returns notes for the user.

    Sound and subtitles are copied, byte for byte; each frame keeps its time, and the film its size, shape of
    pixels and colours (turned upright where a film says that it lies). Of a film that is broken midway what
    comes before is painted. The same call goes on where it was stopped or killed, from a folder beside the
    target that goes when it is whole. Raises DataError for what is no film, ConfigError for a number out of
    its range, MissingExtraError without PyAV and OpenCV.
    """
    look, config = look or Look(), config or FilmConfig()
    look.check()
    config.check()
    av, _ = _libraries()
    check_film_name(target)
    with _opened(av, source):
        pass  # says what is wrong with it before anything is made
    code = pack.code(look.style, look.like)
    ground = None if look.outside is None else pack.code(look.outside)
    mask = None if look.mask is None else open_picture(look.mask).rgb
    look = replace(look, style=code, like=None, outside=ground, mask=mask)
    stat = source.stat()
    facts = [
        str(source.resolve()),
        stat.st_size,
        stat.st_mtime_ns,
        pack.info.generator_sha256,
        identity(),
        repr(pack.info.size),
        str(pack.device),
    ]
    said = [repr(config), repr(replace(look, style=None, outside=None, mask=None)), code.tolist()]
    rest = [None if x is None else x.tolist() for x in (ground, mask)]
    key = hashlib.sha256(json.dumps([facts, said, rest]).encode()).hexdigest()
    folder = target.with_name(f".{target.name}.parts")
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("wb") as lock:
        try:
            hold(lock)
        except OSError:
            raise DataError(f"{target} is being painted by another process; wait for it.") from None
        parts = _Parts(folder, key, target.suffix.lower(), config)
        try:
            notes = _paint_parts(pack, source, look, config, parts, on_frame)
            notes += _put_together(av, source, parts, target)
        except DataError:
            if not parts.done:
                shutil.rmtree(folder, ignore_errors=True)
            raise
    shutil.rmtree(folder, ignore_errors=True)
    return notes


def _paint_parts(
    pack: StylePack, source: Path, look: Look, config: FilmConfig, parts: _Parts, on_frame: OnFrame
) -> list[str]:
    av, _ = _libraries()
    notes: list[str] = []
    with _opened(av, source) as container:
        stream = container.streams.video[0]
        total = _num_frames(container, stream)
        steady = Steadied(config.steady)
        steady.before = parts.before
        number = 0
        for frame, rgb in _frames(av, container, stream, notes):
            number += 1
            if number <= parts.frames:
                continue  # painted by an earlier start
            painted = steady.next(rgb, pack.apply_to(Picture(rgb), look).rgb)
            parts.add(frame, stream, painted)
            if parts.seconds >= PART_SECONDS:
                parts.close(steady.before)
            on_frame(number, max(total, number))
        if not number:
            raise DataError(f"{source} has no frame that can be read. Copy it again or leave it out.")
        parts.close(steady.before)
        notes += _missing(container, stream, frame)
    return notes


class Steadied:
    """Painted frames of a film in turn, blended with the one before, moved along."""

    def __init__(self, share: float) -> None:
        """`share` of the frame before, where motion explains the picture."""
        self.share = share
        self.before: tuple[RGB, RGB] | None = None
        """The frame before and its result, each H x W x 3 uint8."""

    def next(self, frame: RGB, painted: RGB) -> RGB:
        """The frame's result."""
        result = painted
        if self.share and self.before is not None and self.before[0].shape == frame.shape:
            last, last_result = self.before
            flow = motion(frame, last)
            weight = self.share * explained(frame, moved(last, flow))[..., None]
            blend = painted + weight * (moved(last_result, flow).astype(np.float32) - painted)
            result = np.clip(np.rint(blend), 0, 255).astype(np.uint8)
        self.before = frame, result
        return result


def motion(frame: RGB, before: RGB) -> Flow:
    """Where each pixel of `frame` was in `before`: H x W x 2 pixels to the right and down.

    Dense inverse search (Kroeger et al. 2016), as OpenCV has it, in pictures reduced to `FLOW_SIDE`.
    """
    _, cv2 = _libraries()
    height, width = frame.shape[:2]
    scale = min(FLOW_SIDE / min(height, width), 1.0)
    size = max(round(width * scale), 16), max(round(height * scale), 16)
    grey = [
        cv2.resize(cv2.cvtColor(each, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
        for each in (frame, before)
    ]
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    small = search.calc(*grey, None)
    flow: Flow = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    flow *= np.array([width / size[0], height / size[1]], np.float32)
    return flow


def moved(picture: RGB, flow: Flow) -> RGB:
    """What of `picture` is now where `flow` says that it came from; its border goes on beyond it."""
    _, cv2 = _libraries()
    height, width = flow.shape[:2]
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    places = columns + flow[..., 0], rows + flow[..., 1]
    result: RGB = cv2.remap(picture, *places, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return result


def explained(frame: RGB, expected: RGB) -> npt.NDArray[np.float32]:
    """How well each pixel is what was expected there: H x W from 0 to 1, by a blurred difference."""
    _, cv2 = _libraries()
    off = np.abs(frame.astype(np.float32) - expected).max(-1)
    off = cv2.GaussianBlur(off, (0, 0), 2.0)
    result: npt.NDArray[np.float32] = np.exp(-np.square(off / np.float32(LIKE)))
    return result


class _Parts:
    """What is painted of a film, in files that hold some seconds each, whole ones only."""

    def __init__(self, folder: Path, key: str, ending: str, config: FilmConfig) -> None:
        self.folder, self.config = folder, config
        self.codec = CODECS.get(ending, "libx264")
        self.done: list[str] = []
        self.frames = 0
        self.before: tuple[RGB, RGB] | None = None
        self._key, self._notes = key, folder / "parts.json"
        self._file: Any = None
        self._first, self.seconds = 0.0, 0.0
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            noted = json.loads(self._notes.read_text())
            if noted["key"] == key:
                with np.load(folder / noted["state"]) as state:
                    self.before = state["frame"], state["result"]
                self.done, self.frames = list(noted["done"]), int(noted["frames"])

    def add(self, frame: Any, stream: Any, rgb: RGB) -> None:
        """Encode a painted frame at the time of the one it was made of."""
        av, _ = _libraries()
        if self._file is None:
            self._begin(stream, rgb)
            self._first = float(frame.pts * frame.time_base)
        made = av.VideoFrame.from_ndarray(rgb, format="rgb24")
        context = self._stream.codec_context
        made = made.reformat(format=context.pix_fmt, dst_colorspace=_matrix_of(frame), dst_color_range="MPEG")
        made.pts, made.time_base = frame.pts, frame.time_base
        made.color_primaries, made.color_trc = frame.color_primaries, frame.color_trc
        self._file.mux(self._stream.encode(made))
        self._pending += 1
        self.seconds = float(frame.pts * frame.time_base) - self._first

    def close(self, before: tuple[RGB, RGB] | None) -> None:
        """The part is whole: write down that it is."""
        if self._file is None:
            return
        self._file.mux(self._stream.encode(None))
        self._file.close()
        self._file = None
        assert before is not None
        number = len(self.done)
        state = f"{number}.npz"
        write_atomically(self.folder / state, lambda file: np.savez(file, frame=before[0], result=before[1]))
        self.done.append(self._name)
        self.frames += self._pending
        self.seconds = 0.0
        noted = {"key": self._key, "done": self.done, "frames": self.frames, "state": state}
        write_atomically(self._notes, lambda file: file.write(json.dumps(noted).encode()))
        if number:
            (self.folder / f"{number - 1}.npz").unlink(missing_ok=True)

    def _begin(self, stream: Any, rgb: RGB) -> None:
        av, _ = _libraries()
        self._name, self._pending = f"{len(self.done):06d}.nut", 0  # Matroska would round times
        self._file = av.open(str(self.folder / self._name), "w")
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        # No frames that wait for later ones: parts can be put together as they are.
        options = {"crf": str(self.config.quality)}
        # With x264's macroblock tree the same frames made another file in one run of a hundred.
        h264, vp9 = {"bf": "0", "mbtree": "0"}, {"b": "0", "cpu-used": "4", "row-mt": "1"}
        options |= h264 if self.codec == "libx264" else vp9
        made = self._file.add_stream(self.codec, rate=rate, options=options)
        made.height, made.width = rgb.shape[:2]
        made.pix_fmt = "yuv420p" if made.height % 2 == 0 and made.width % 2 == 0 else "yuv444p"
        made.codec_context.time_base = stream.time_base
        made.time_base = stream.time_base
        source = stream.codec_context
        if source.sample_aspect_ratio:
            made.codec_context.sample_aspect_ratio = source.sample_aspect_ratio
        for name in ("color_primaries", "color_trc", "colorspace"):
            setattr(made.codec_context, name, getattr(source, name))
        self._stream = made


@contextlib.contextmanager
def _opened(av: Any, source: Path) -> Iterator[Any]:
    try:
        container = av.open(str(source))
    except FileNotFoundError:
        raise DataError(f"{source} does not exist. Check the name.") from None
    except (av.FFmpegError, OSError, ValueError) as error:
        raise DataError(f"{source} is no film that can be read ({_said(error)}).") from None
    with container:
        if not container.streams.video:
            raise DataError(f"{source} has no pictures: there is no video stream in it.")
        yield container


def _frames(av: Any, container: Any, stream: Any, notes: list[str]) -> Iterator[tuple[Any, RGB]]:
    """Each frame and its pixels, upright; what ends them early is added to `notes`."""
    stream.thread_type = "AUTO"
    last: int | None = None
    deep = False
    try:
        for frame in container.decode(stream):
            if frame.is_corrupt:
                notes.append("the film is broken")
                return
            if frame.pts is None or (last is not None and frame.pts <= last):
                continue  # shown at no time of its own
            last = frame.pts
            deep = deep or frame.format.components[0].bits > 8
            rgb = frame.to_ndarray(format="rgb24") if frame.format.name == "rgb24" else _rgb(frame)
            yield frame, np.ascontiguousarray(np.rot90(rgb, frame.rotation // 90))
    except (av.FFmpegError, OSError, ValueError) as error:
        notes.append(f"the film is broken ({_said(error)})")
    if deep:
        notes.append("more than 8 bits a channel become 8")


def _rgb(frame: Any) -> RGB:
    pixels: RGB = frame.reformat(
        format="rgb24", src_colorspace=_matrix_of(frame), src_color_range=_range_of(frame)
    ).to_ndarray()
    return pixels


def _matrix_of(frame: Any) -> str:
    """How the film's numbers make colours: as it says, else by its height as players guess."""
    names = {1: "ITU709", 5: "ITU601", 6: "SMPTE170M", 7: "SMPTE240M", 9: "BT2020"}
    return names.get(int(frame.colorspace), "ITU709" if frame.height >= 720 else "ITU601")


def _range_of(frame: Any) -> str:
    return "JPEG" if int(frame.color_range) == 2 or frame.format.name.startswith("yuvj") else "MPEG"


def _missing(container: Any, stream: Any, last: Any) -> list[str]:
    """A note where the pictures end long before the film should."""
    whole = float(stream.duration * stream.time_base) if stream.duration else (container.duration or 0) / 1e6
    there = float((last.pts - (stream.start_time or 0)) * last.time_base)
    if whole - there < max(MISSING * whole, 0.5):
        return []
    return [f"its pictures end after {there:.1f} of {whole:.1f} seconds; what there is is painted"]


def _num_frames(container: Any, stream: Any) -> int:
    if stream.frames:
        return int(stream.frames)
    seconds = (
        float(stream.duration * stream.time_base) if stream.duration else (container.duration or 0) / 1e6
    )
    return round(seconds * float(stream.average_rate or stream.guessed_rate or 25))


def _put_together(av: Any, source: Path, parts: _Parts, target: Path) -> list[str]:
    """The painted parts and the film's own sound and subtitles in one file."""
    notes: list[str] = []
    temporary = parts.folder / f"whole{target.suffix.lower()}"
    with _opened(av, source) as original, av.open(str(temporary), "w") as out:
        first = av.open(str(parts.folder / parts.done[0]))
        video = out.add_stream_from_template(first.streams.video[0])
        first.close()
        copied = {}
        for stream in original.streams:
            if stream.type in {"audio", "subtitle"}:
                try:
                    copied[stream.index] = out.add_stream_from_template(stream)
                except (av.FFmpegError, ValueError) as error:
                    notes.append(f"its {stream.type} is left out ({_said(error)})")
        out.metadata.update(original.metadata)
        for packet in _in_order(av, original, list(copied), parts):
            packet.stream = video if packet.stream.type == "video" else copied[packet.stream.index]
            out.mux(packet)
    temporary.replace(target)
    return notes


def _in_order(av: Any, original: Any, copied: list[int], parts: _Parts) -> Iterator[Any]:
    """Packets of the painted parts, and of the streams that are copied, by their time."""

    def painted() -> Iterator[Any]:
        for name in parts.done:
            with av.open(str(parts.folder / name)) as part:
                for packet in part.demux(video=0):
                    if packet.pts is not None:
                        packet.dts = packet.pts  # no frame waits for a later one
                        yield packet

    def sound() -> Iterator[Any]:
        streams = [original.streams[index] for index in copied]
        if streams:
            with contextlib.suppress(av.FFmpegError):  # a film that is broken midway
                yield from (packet for packet in original.demux(streams) if packet.dts is not None)

    yield from heapq.merge(painted(), sound(), key=lambda packet: float(packet.dts * packet.time_base))


def _said(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error).splitlines()[0]


def _libraries() -> tuple[Any, Any]:
    try:
        import av
        import cv2
    except ImportError:
        raise MissingExtraError("Painting films", "video") from None
    return av, cv2
