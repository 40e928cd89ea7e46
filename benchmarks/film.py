"""How much a painted film flickers, and whether it is still the style, for several strengths of the blend.

    python benchmarks/film.py PRINTS [STYLE_OR_PACK] [--frames 60] [--write FILM]

A film of 1280 x 720 is made whose motion is known: a camera that pans, turns and nears over the photographs
of `samples/`, a disc that moves before them, and the noise of a sensor. Each frame is painted once. Warping
error: the mean difference (of 255) of a result from the one before moved along by the true motion, where both
show the same place. Style: sliced Wasserstein distance of every fifth result from the pictures of PRINTS
(five levels at 256 pixels), as share of the way from the film's own frames to the prints' floor.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from PIL import Image

import inkbridge
from inkbridge.film import Steadied
from inkbridge.images import RGB, find_pictures, read_picture, trimmed
from inkbridge.metrics.distribution import StyleDistance
from inkbridge.metrics.evaluation import style_floor

SAMPLES = Path(__file__).parents[1] / "samples" / "photos"
WIDTH, HEIGHT, RATE, DISC = 1280, 720, 25, 260
NOISE = 3.0
Shots = list[tuple[RGB, np.ndarray, tuple[int, int]]]


def made_film(num: int) -> Shots:
    """Frames, where each one's pixels are on the wall of photographs (2 x 3), and where the disc is."""
    rng = np.random.default_rng(0)
    photographs = [read_picture(path).rgb for path in find_pictures(SAMPLES)]
    wall = np.zeros((2400, 4000, 3), np.uint8)
    for i in range(60):
        photograph = photographs[i % len(photographs)]
        side = min(photograph.shape[:2])
        cell = cv2.resize(photograph[:side, :side], (400, 400), interpolation=cv2.INTER_CUBIC)
        row, column = 400 * (i // 10), 400 * (i % 10)
        wall[row : row + 400, column : column + 400] = np.rot90(cell, i // len(photographs))
    disc = np.float32(wall[1000 : 1000 + DISC, 1000 : 1000 + DISC])
    shape = _disc()[..., None]
    shots = []
    for i in range(num):
        t = i / 250
        scale, angle = 1.25 - 0.35 * t, 0.06 * np.sin(2 * np.pi * t)
        to_wall = scale * np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0]])
        middle = np.array([4000 * (0.4 + 0.2 * t), 2400 * (0.5 + 0.05 * np.sin(4 * t))])
        to_wall[:, 2] = middle - to_wall[:, :2] @ [WIDTH / 2, HEIGHT / 2]
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        frame = np.float32(cv2.warpAffine(wall, to_wall, (WIDTH, HEIGHT), flags=flags))
        x, y = int(100 + 700 * t), int(300 + 150 * np.sin(5 * t))
        part = frame[y : y + DISC, x : x + DISC]
        part += shape * (disc - part)
        noisy = frame + rng.normal(0, NOISE, frame.shape)
        shots.append((np.clip(np.rint(noisy), 0, 255).astype(np.uint8), to_wall, (x, y)))
    return shots


def warping_error(shots: Shots, results: list[RGB]) -> float:
    """Mean over frames of the difference from the result before, moved along, away from what is uncovered."""
    errors = []
    columns, rows = np.meshgrid(np.arange(WIDTH, dtype=np.float64), np.arange(HEIGHT, dtype=np.float64))
    ones = np.ones_like(columns)
    for i in range(1, len(results)):
        (_, now, place), (_, before, last) = shots[i], shots[i - 1]
        back = np.linalg.inv(np.vstack([before, [0, 0, 1]])) @ np.vstack([now, [0, 0, 1]])
        x, y = np.tensordot(back[:2], np.stack([columns, rows, ones]), 1)
        inside, edge = _on_disc(place)
        x = np.where(inside, columns + last[0] - place[0], x)
        y = np.where(inside, rows + last[1] - place[1], y)
        _, edge_before = _on_disc(last)
        hidden = edge | (_on_disc(last)[0] ^ inside) | edge_before
        seen = ~hidden & (x >= 1) & (x <= WIDTH - 2) & (y >= 1) & (y <= HEIGHT - 2)
        moved = cv2.remap(results[i - 1], np.float32(x), np.float32(y), cv2.INTER_CUBIC)
        errors.append(np.abs(np.float32(results[i]) - moved)[seen].mean())
    return float(np.mean(errors))


def _disc() -> np.ndarray:
    rows, columns = np.mgrid[:DISC, :DISC]
    return np.float32((columns - DISC / 2) ** 2 + (rows - DISC / 2) ** 2 < (DISC / 2 - 2) ** 2)


def _on_disc(place: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Where the disc is, and the ring round its edge."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[place[1] : place[1] + DISC, place[0] : place[0] + DISC] = _disc()
    wide = cv2.dilate(mask, np.ones((17, 17), np.uint8))
    narrow = cv2.erode(mask, np.ones((17, 17), np.uint8))
    return mask > 0, (wide > 0) & (narrow == 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prints", type=Path)
    parser.add_argument("style", nargs="?", default="ukiyo-e")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    shots = made_film(arguments.frames)
    frames = [frame for frame, _, _ in shots]
    if arguments.write is not None:
        write_film(arguments.write, frames)
        return
    pack = inkbridge.load(arguments.style)
    prints = [trimmed(read_picture(path).rgb, 0.04) for path in find_pictures(arguments.prints)]
    distance, floor = StyleDistance(prints), np.sum(style_floor(prints))
    start = np.sum(distance.of(frames[::5]))
    painted = [pack.apply(frame) for frame in frames]
    print(f"{len(frames)} frames; the film itself: warping error {warping_error(shots, frames):.2f}")
    first = 0.0
    for share in (0.0, 0.5, 0.6, 0.7, 0.8, 0.9):
        steady = Steadied(share)
        results = [steady.next(*pair) for pair in zip(frames, painted, strict=True)]
        error = warping_error(shots, results)
        first = first or error
        levels = np.array(distance.of(results[::5]))
        covered = (start - levels.sum()) / (start - floor)
        print(
            f"steady {share:.1f}: warping error {error:.2f} ({error / first - 1:+.0%}), style covered "
            f"{covered:.1%}, levels {' '.join(f'{level:.3f}' for level in levels)}",
            flush=True,
        )
        Image.fromarray(results[-1]).save(f"film-{share:.1f}.png")


def write_film(path: Path, frames: list[RGB]) -> None:
    """The film, with a tone."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=RATE, options={"crf": "20"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = out.add_stream("aac", rate=44100, layout="mono")
        num = 44100 * len(frames) // RATE
        tone = np.float32(0.3 * np.sin(2 * np.pi * 440 * np.arange(num) / 44100))
        for first in range(0, num, 1024):
            piece = av.AudioFrame.from_ndarray(tone[None, first : first + 1024], format="fltp", layout="mono")
            piece.sample_rate, piece.pts, piece.time_base = 44100, first, Fraction(1, 44100)
            out.mux(audio.encode(piece))
        out.mux(audio.encode(None))
        for frame in frames:
            out.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(video.encode(None))


if __name__ == "__main__":
    main()
