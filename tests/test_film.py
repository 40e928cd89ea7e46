"""Films: real ones, encoded and decoded by FFmpeg's libraries, and a killed process."""

import os
import signal
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from conftest import made_picture, pack_file, run_inkbridge, tinting_pack
from inkbridge.errors import ConfigError, DataError
from inkbridge.film import FilmConfig, Steadied, explained, motion, moved, paint_film
from inkbridge.look import Look
from inkbridge.pack import StylePack
from inkbridge.pack_format import write_pack

HEIGHT, WIDTH, RATE = 96, 160, 10


@pytest.fixture
def pack():
    return StylePack(pack_file(), "stub")


def frames_of(num, seed=0):
    """A view that moves over a made picture by 2 pixels a frame."""
    wide = made_picture(HEIGHT, WIDTH + 2 * num, seed)
    return [wide[:, 2 * i : 2 * i + WIDTH].copy() for i in range(num)]


def write_film(path, frames, times=None, sound=True, rotation=0, **stream_options):
    """`times` in tenths of a second."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264" if path.suffix != ".webm" else "libvpx-vp9", rate=RATE)
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = stream_options.get("pix_fmt", "yuv420p")
        video.options = {"crf": "4"}
        video.codec_context.time_base = Fraction(1, RATE)
        if rotation:
            video.set_display_rotation(rotation)
        if sound:
            audio = out.add_stream("aac" if path.suffix != ".webm" else "libopus", rate=48000, layout="mono")
        for i, frame in enumerate(frames):
            made = av.VideoFrame.from_ndarray(frame, format="rgb24")
            made.pts, made.time_base = i if times is None else times[i], Fraction(1, RATE)
            out.mux(video.encode(made))
        out.mux(video.encode(None))
        if sound:
            tone = np.float32(0.3 * np.sin(np.arange(48000 * len(frames) // RATE) / 17))
            for first in range(0, len(tone) - 959, 960):
                piece = av.AudioFrame.from_ndarray(
                    tone[None, first : first + 960], format="fltp", layout="mono"
                )
                piece.sample_rate, piece.pts, piece.time_base = 48000, first, Fraction(1, 48000)
                out.mux(audio.encode(piece))
            out.mux(audio.encode(None))
    return path


def frames_in(path):
    with av.open(str(path)) as container:
        return [
            (float(frame.pts * frame.time_base), frame.to_ndarray(format="rgb24"))
            for frame in container.decode(video=0)
        ]


def sound_in(path):
    with av.open(str(path)) as container:
        return b"".join(bytes(packet) for packet in container.demux(audio=0) if packet.size)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov", "webm"])
def test_every_frame_is_painted_and_the_sound_is_copied(tmp_path, pack, ending):
    source = write_film(tmp_path / f"in.{ending}", frames_of(23))
    target = tmp_path / f"out.{ending}"
    steps = []
    assert paint_film(pack, source, target, on_frame=lambda *step: steps.append(step)) == []
    before, after = frames_in(source), frames_in(target)
    assert [t for t, _ in after] == pytest.approx([t for t, _ in before], abs=2e-3)
    assert len(sound_in(source)) > 1000
    assert sound_in(target) == sound_in(source)
    for (_, frame), (_, painted) in zip(before, after, strict=True):
        assert np.abs(painted.astype(int) - (255 - frame.astype(int))).mean() < 6
    assert steps[-1] == (23, 23)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"in.{ending}", f"out.{ending}"]


def test_times_that_are_not_even_stay(tmp_path, pack):
    times = [0, 1, 4, 5, 11, 12, 20]
    source = write_film(tmp_path / "in.mp4", frames_of(7), times, sound=False)
    paint_film(pack, source, tmp_path / "out.mp4")
    assert [t for t, _ in frames_in(tmp_path / "out.mp4")] == pytest.approx(
        [t / RATE for t in times], abs=1e-3
    )


@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_a_film_that_lies_is_turned_upright(tmp_path, pack, rotation):
    source = write_film(tmp_path / "in.mp4", frames_of(3), sound=False, rotation=rotation)
    with av.open(str(source)) as container:
        turned = next(container.decode(video=0))
        assert abs(turned.rotation) == abs(rotation)
        upright = np.rot90(turned.to_ndarray(format="rgb24"), turned.rotation // 90)
    paint_film(pack, source, tmp_path / "out.mp4")
    (_, painted), *_ = frames_in(tmp_path / "out.mp4")
    assert painted.shape == upright.shape
    assert np.abs(painted.astype(int) - (255 - upright.astype(int))).mean() < 6


@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv420p10le", "gray", "yuvj420p"])
def test_kinds_of_pixels(tmp_path, pack, pix_fmt):
    source = write_film(tmp_path / "in.mkv", frames_of(3), sound=False, pix_fmt=pix_fmt)
    notes = paint_film(pack, source, tmp_path / "out.mkv")
    assert notes == (["more than 8 bits a channel become 8"] if "10" in pix_fmt else [])
    for (_, frame), (_, painted) in zip(frames_in(source), frames_in(tmp_path / "out.mkv"), strict=True):
        assert np.abs(painted.astype(int) - (255 - frame.astype(int))).mean() < 8


def test_odd_sizes_stay(tmp_path, pack):
    frames = [frame[:95, :157] for frame in frames_of(3)]
    source = write_film(tmp_path / "in.mkv", frames, sound=False, pix_fmt="yuv444p")
    paint_film(pack, source, tmp_path / "out.mp4")
    assert frames_in(tmp_path / "out.mp4")[0][1].shape == (95, 157, 3)


def test_of_a_broken_film_what_is_good_is_kept_and_said(tmp_path, pack):
    source = write_film(tmp_path / "in.mkv", frames_of(40))
    (tmp_path / "cut.mkv").write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    (note,) = paint_film(pack, tmp_path / "cut.mkv", tmp_path / "out.mkv")
    assert "of 4.0 seconds; what there is is painted" in note
    assert 5 <= len(frames_in(tmp_path / "out.mkv")) < 35


def test_each_frame_has_the_strokes_of_a_picture(tmp_path):
    """Of lines two pixels wide nothing is left at a third of the size at which they were drawn."""
    file = tinting_pack()
    file.info.size.working_side = HEIGHT // 3
    lines = 80 + 100 * (np.arange(WIDTH) // 2 % 2)
    frames = [
        np.broadcast_to(np.roll(lines, i)[:, None], (HEIGHT, WIDTH, 3)).astype(np.uint8) for i in range(3)
    ]
    write_film(tmp_path / "in.mp4", frames)

    def steps(stroke):
        pack, look = StylePack(file, "share"), Look(stroke=stroke)
        paint_film(pack, tmp_path / "in.mp4", tmp_path / "out.mp4", look, FilmConfig(steady=0.0))
        return [np.abs(np.diff(rgb.astype(int), axis=1)).mean() for _, rgb in frames_in(tmp_path / "out.mp4")]

    assert max(steps(1.0)) < 0.3 * min(steps("full"))


def test_what_is_no_film_is_refused_and_nothing_is_left(tmp_path, pack):
    (tmp_path / "text.mp4").write_text("no film")
    with av.open(str(tmp_path / "sound.mp4"), "w") as out:
        audio = out.add_stream("aac", rate=48000, layout="mono")
        piece = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        piece.sample_rate, piece.pts = 48000, 0
        out.mux(audio.encode(piece))
        out.mux(audio.encode(None))
    for name, said in (
        ("text.mp4", "is no film that can be read"),
        ("sound.mp4", "there is no video stream in it"),
        ("none.mp4", "does not exist"),
    ):
        with pytest.raises(DataError, match=said):
            paint_film(pack, tmp_path / name, tmp_path / "out.mp4")
    source = write_film(tmp_path / "in.mp4", frames_of(2), sound=False)
    with pytest.raises(DataError, match="a film's name ends in one of"):
        paint_film(pack, source, tmp_path / "out.jpg")
    with pytest.raises(ConfigError, match=r"steady = 1 cannot be used"):
        paint_film(pack, source, tmp_path / "out.mp4", config=FilmConfig(steady=1.0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "sound.mp4", "text.mp4"]


def test_from_the_command_line(tmp_path):
    write_pack(tmp_path / "stub.stylepack", pack_file())
    source = write_film(tmp_path / "in.mp4", frames_of(5))
    style = ("--style", tmp_path / "stub.stylepack")
    done = run_inkbridge("apply", source, *style, "--steady", "0", "-o", tmp_path / "out.mp4")
    assert done.returncode == 0, done.stderr
    assert len(frames_in(tmp_path / "out.mp4")) == 5
    for arguments, said in (
        (("-o", tmp_path / "out.png"), "a film's name ends in"),
        (("-o", tmp_path / "none" / "out.mp4"), "does not exist; make it first"),
        (("-o", source), "is the picture itself"),
        (("--steady", "2", "-o", tmp_path / "out.mp4"), "steady = 2 cannot be used"),
    ):
        done = run_inkbridge("apply", source, *style, *arguments)
        assert done.returncode == 1
        assert said in done.stderr


def test_a_killed_one_goes_on_and_gives_the_same(tmp_path, pack):
    """Really killed after its first part; what that holds is not painted again."""
    write_pack(tmp_path / "stub.stylepack", pack_file())
    source = write_film(tmp_path / "in.mp4", frames_of(100))
    script = (
        "import sys; from pathlib import Path; import inkbridge; from inkbridge.film import paint_film\n"
        "paint_film(inkbridge.load(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]),\n"
        "           on_frame=lambda done, total: print(done, flush=True))\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "stub.stylepack"), str(source)]
    process = subprocess.Popen([*command, str(tmp_path / "out.mp4")], stdout=subprocess.PIPE, text=True)
    while (process.stdout.readline() or "end").strip() not in {"60", "end"}:
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not (tmp_path / "out.mp4").exists()
    again = subprocess.run([*command, str(tmp_path / "out.mp4")], capture_output=True, text=True, check=True)
    assert 40 < int(again.stdout.split()[0]) <= 60
    subprocess.run([*command, str(tmp_path / "whole.mp4")], capture_output=True, check=True)
    gone_on, whole = frames_in(tmp_path / "out.mp4"), frames_in(tmp_path / "whole.mp4")
    assert len(whole) == 100
    assert [t for t, _ in gone_on] == [t for t, _ in whole]
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(gone_on, whole, strict=True))


def test_motion_is_found_and_followed():
    """Cubic interpolation of a picture moved by known steps gives it back, away from its border."""
    rng = np.random.default_rng(0)
    import cv2

    wide = cv2.GaussianBlur(rng.integers(0, 255, (200, 320, 3), np.uint8), (0, 0), 3)
    wide = cv2.normalize(wide, None, 0, 255, cv2.NORM_MINMAX)
    before, now = wide[20:180, 20:290], wide[23:183, 25:295]
    flow = motion(now, before)
    inner = flow[20:-20, 20:-20]
    assert np.abs(inner - [5, 3]).mean() < 0.3
    off = np.abs(moved(before, flow).astype(int) - now)[20:-20, 20:-20]
    assert off.mean() < 3
    assert explained(now, moved(before, flow))[20:-20, 20:-20].mean() > 0.7
    assert explained(now, 255 - now).mean() < 0.2


def test_flicker_is_held_down_and_a_cut_is_not_blended():
    rng = np.random.default_rng(0)
    frame = made_picture(120, 160)
    painted = [np.clip(frame + rng.normal(0, 20, frame.shape), 0, 255).astype(np.uint8) for _ in range(8)]

    def flicker(share):
        steady = Steadied(share)
        results = [steady.next(frame, one).astype(float) for one in painted]
        return np.mean([np.abs(a - b).mean() for a, b in pairwise(results[2:])])

    assert flicker(0.8) < 0.35 * flicker(0.0)
    steady = Steadied(0.8)
    steady.next(frame, painted[0])
    other = made_picture(120, 160, seed=5)
    assert np.abs(steady.next(other, 255 - other).astype(int) - (255 - other)).mean() < 4


def test_a_mask_and_a_mixture_hold_for_films(tmp_path, pack):
    source = write_film(tmp_path / "in.mp4", frames_of(2), sound=False)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    paint_film(pack, source, tmp_path / "out.mp4", Look(mask=np.dstack([mask] * 3)))
    assert np.abs(frames_in(tmp_path / "out.mp4")[1][1].astype(int) - frames_in(source)[1][1]).mean() < 6
