"""How near is the enlarger to real scans: shrunk to a quarter and brought back, beside other ways?

    python benchmarks/enlarge.py --scans NAME=DIR ... [--shrunk OUT] [--other NAME=DIR ...] [--sheet PNG]

Of each scan (up to `--num` a folder) the middle 512 x 512 pixels are taken (256 x 256 of a smaller one),
reduced by a Lanczos filter, and enlarged: by Lanczos, by the bundled enlarger, and by others, whose results,
four times as large as the files that `--shrunk` wrote, lie in DIR under the same names.

eye     distance to the scan by the bundled eye: squared difference of features, of length 1 at each place,
        summed over four depths (Zhang et al. 2018, Eq. 1; no learned weights)
finest  power of light in the finest octave (over a quarter of the sampling rate), in dB over the scan's;
        then in the next octave
shrunk  mean difference from what was given, of 255, reduced again
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from inkbridge.enlarge import FACTOR, Enlarger, resized
from inkbridge.eye import Eye
from inkbridge.images import RGB, find_pictures, read_picture
from inkbridge.look import LUMA

DEPTHS = 4
SIDES = (512, 256)
SHOWN = 256


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scans", nargs="+", required=True)
    parser.add_argument("--other", nargs="+", default=[])
    parser.add_argument("--shrunk", type=Path)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--num", type=int, default=12)
    given = parser.parse_args()
    eye, enlarger = Eye(), Enlarger()
    ways: dict[str, Callable[[str, RGB], RGB]] = {
        "lanczos": lambda _, small: resized(small, FACTOR * small.shape[1], FACTOR * small.shape[0]),
        "enlarger": lambda _, small: enlarger.once(small),
    }
    for entry in given.other:
        other, _, place = entry.partition("=")
        ways[other] = lambda name, _, place=place: read_picture(Path(place) / f"{name}.png").rgb  # type: ignore[misc]
    print(f"{'':12}{'':>4}" + "".join(f"{way:>36}" for way in ways))
    rows, all_figures = [], []
    for entry in given.scans:
        culture, _, place = entry.partition("=")
        figures = []
        for path in find_pictures(place):
            scan = middle(read_picture(path).rgb)
            if scan is None or len(figures) == given.num:
                continue
            name = f"{culture}-{path.stem}"
            small = resized(scan, scan.shape[1] // FACTOR, scan.shape[0] // FACTOR)
            if given.shrunk:
                given.shrunk.mkdir(parents=True, exist_ok=True)
                Image.fromarray(small).save(given.shrunk / f"{name}.png")
            results = [way(name, small) for way in ways.values()]
            figures.append([measured(eye, scan, small, result) for result in results])
            if len(figures) <= 2:
                shown = np.repeat(np.repeat(small, FACTOR, 0), FACTOR, 1)
                rows.append(np.concatenate([each[:SHOWN, :SHOWN] for each in (shown, *results, scan)], 1))
        all_figures += figures
        print_row(culture, figures)
    print_row("all", all_figures)
    if given.sheet:
        Image.fromarray(np.concatenate(rows)).save(given.sheet)


def print_row(name: str, figures: list[list[tuple[float, ...]]]) -> None:
    means = np.mean(figures, 0)
    said = (f"eye {m[0]:.3f}, {m[1]:+5.1f} {m[2]:+5.1f} dB, shrunk {m[3]:.1f}" for m in means)
    print(f"{name:12}{len(figures):4}" + "".join(f"{one:>36}" for one in said), flush=True)


def middle(rgb: RGB) -> RGB | None:
    """The largest of `SIDES` in the middle of a picture, if one fits."""
    for side in SIDES:
        if min(rgb.shape[:2]) >= side:
            top, left = ((length - side) // 2 for length in rgb.shape[:2])
            return np.ascontiguousarray(rgb[top : top + side, left : left + side])
    return None


def measured(eye: Eye, scan: RGB, small: RGB, result: RGB) -> tuple[float, ...]:
    far = 0.0
    for ours, wanted in zip(eye.maps_of(result)[:DEPTHS], eye.maps_of(scan)[:DEPTHS], strict=True):
        far += float(np.square(unit(ours) - unit(wanted)).sum(0).mean())
    ratios = 10 * np.log10(octaves(result) / octaves(scan))
    back = resized(result, small.shape[1], small.shape[0])
    return far, *ratios[:2], float(np.abs(back.astype(float) - small).mean())


def unit(maps: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    length: npt.NDArray[np.float32] = np.sqrt(np.square(maps).sum(0, keepdims=True)) + np.float32(1e-6)
    return maps / length


def octaves(rgb: RGB) -> npt.NDArray[np.float64]:
    """Power of light in the finest octaves, finest first."""
    light = rgb.astype(np.float64) @ LUMA
    window = np.hanning(light.shape[0])[:, None] * np.hanning(light.shape[1])
    power = np.abs(np.fft.fft2((light - light.mean()) * window)) ** 2
    rate = np.hypot(np.fft.fftfreq(light.shape[0])[:, None], np.fft.fftfreq(light.shape[1]))
    return np.array([power[(rate > low) & (rate <= 2 * low)].sum() for low in (0.25, 0.125, 0.0625)])


if __name__ == "__main__":
    main()
