"""A repair pack against classical methods at their best, on damage made of what its run held back.

    python benchmarks/repair.py RUN PACK [--each N] [--draws N] [--sheet PNG] [--misses PNG] [--write]

(needs OpenCV and scikit-image: pip install opencv-python-headless scikit-image)

Three kinds of damage, each mixed (colours, sheet and pixels): as in training; stronger than in training; of
kinds that training never made. Once the mask of what is hidden is given to all, once to none. Classical: an
inpainting (Telea, Navier-Stokes, biharmonic, or none; with a mask), a smoothing (non-local means, median,
bilateral, or none) and a correction of colours (grey world, CLAHE, both, stretched, or none), in each row
whichever combination is best there in PSNR: chosen on the very pictures that it is measured on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from skimage.restoration import inpaint_biharmonic

from inkbridge.damage import KINDS, Damaged, damage, draw_kinds
from inkbridge.images import RGB, Picture, read_picture, reduced
from inkbridge.metrics.distribution import StyleDistance
from inkbridge.metrics.fsim import fsim
from inkbridge.metrics.similarity import psnr, ssim
from inkbridge.pack_format import read_pack, write_pack
from inkbridge.uses.repair.repairing import RepairPack, load_repair_pack

SHORT_SIDE = 256
ALONE = "left alone"


def biharmonic(rgb: RGB, mask: np.ndarray) -> RGB:
    whole = inpaint_biharmonic(rgb, mask > 0, channel_axis=-1, split_into_regions=True)
    return np.clip(whole * 255 + 0.5, 0, 255).astype(np.uint8)


def grey_world(rgb: RGB) -> RGB:
    means = rgb.mean((0, 1))
    return np.clip(rgb * (means.mean() / np.maximum(means, 1)) + 0.5, 0, 255).astype(np.uint8)


def equalised(rgb: RGB) -> RGB:
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(1.5, (4, 4)).apply(lab[..., 0])
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)


def stretched(rgb: RGB) -> RGB:
    low, high = np.percentile(rgb, 0.5, axis=(0, 1)), np.percentile(rgb, 99.5, axis=(0, 1))
    return np.clip((rgb - low) / np.maximum(high - low, 1) * 255 + 0.5, 0, 255).astype(np.uint8)


INPAINTINGS = {
    "telea": lambda rgb, mask: cv2.inpaint(rgb, mask, 3, cv2.INPAINT_TELEA),
    "navier-stokes": lambda rgb, mask: cv2.inpaint(rgb, mask, 3, cv2.INPAINT_NS),
    "biharmonic": biharmonic,
}
SMOOTHINGS = {
    "nlm3": lambda rgb: cv2.fastNlMeansDenoisingColored(rgb, None, 3, 3, 5, 15),
    "nlm6": lambda rgb: cv2.fastNlMeansDenoisingColored(rgb, None, 6, 6, 5, 15),
    "nlm10": lambda rgb: cv2.fastNlMeansDenoisingColored(rgb, None, 10, 10, 5, 15),
    "median3": lambda rgb: cv2.medianBlur(rgb, 3),
    "bilateral": lambda rgb: cv2.bilateralFilter(rgb, 5, 25, 3),
}
CORRECTIONS = {
    "grey-world": grey_world,
    "clahe": equalised,
    "grey-world+clahe": lambda rgb: equalised(grey_world(rgb)),
    "stretched": stretched,
}


def classical(hurt: Damaged, given: bool, only: str | None = None) -> Iterator[tuple[str, RGB]]:
    """Every combination by name, or `only` that one."""
    wanted = None if only is None else only.split()
    grown = cv2.dilate(hurt.mask, np.ones((3, 3), np.uint8))
    for first in ["", *INPAINTINGS] if given else [""]:
        if wanted is not None and first != next((name for name in wanted if name in INPAINTINGS), ""):
            continue
        filled = INPAINTINGS[first](hurt.rgb, grown) if first else hurt.rgb
        for second in ["", *SMOOTHINGS]:
            if wanted is not None and second != next((name for name in wanted if name in SMOOTHINGS), ""):
                continue
            smooth = SMOOTHINGS[second](filled) if second else filled
            for third in ["", *CORRECTIONS]:
                name = " ".join(filter(None, (first, second, third))) or ALONE
                if only in (None, name):
                    yield name, CORRECTIONS[third](smooth) if third else smooth


def mixture(
    rng: np.random.Generator, names: tuple[str, ...], strengths: tuple[float, float]
) -> dict[str, float]:
    """Something of each: a mixture that hides nothing is no test of a mask."""
    return draw_kinds(rng, names, strengths, chances=(0.5, 1.0, 0.7))


@dataclass
class Case:
    """A picture, damaged, with and without its mask."""

    path: str
    group: str
    names: tuple[str, ...]
    strengths: tuple[float, float]
    seed: int
    culture: str = ""
    figures: dict[tuple[bool, str], tuple[float, ...]] = field(default_factory=dict)
    """By whether the mask was given, and method: PSNR, and of what matters SSIM and FSIM."""
    found: np.ndarray = field(default_factory=lambda: np.zeros(4))
    seconds: float = 0.0
    pixels: int = 0

    def pictures(self) -> tuple[RGB, Damaged]:
        """Sound and damaged."""
        sound = reduced(read_picture(self.path).rgb, SHORT_SIDE)
        rng = np.random.default_rng([self.seed, len(self.group)])
        return sound, damage(sound, mixture(rng, self.names, self.strengths), self.seed, unit=1.0)


def compared(sound: RGB, result: RGB) -> tuple[float, ...]:
    return psnr(sound, result), ssim(sound, result), fsim(sound, result)


def measured(case: Case, pack_file: Path) -> Case:
    cv2.setNumThreads(1)
    pack = load_repair_pack(pack_file)
    sound, hurt = case.pictures()
    for given in (True, False):
        start = time.perf_counter()
        mended = pack.repair(hurt.rgb, hurt.mask if given else None)
        case.seconds, case.pixels = case.seconds + time.perf_counter() - start, case.pixels + sound.size // 3
        case.figures[given, "nothing"] = compared(sound, hurt.rgb)
        case.figures[given, "ours"] = compared(sound, mended)
        for name, result in classical(hurt, given):
            case.figures[given, name] = (psnr(sound, result),)
    case.found = counts(pack, hurt)
    return case


def counts(pack: RepairPack, hurt: Damaged) -> np.ndarray:
    """Found rightly (within a pixel), found, hidden and found, hidden."""
    seen = pack.repair_picture(Picture(hurt.rgb)).mask > 0
    wanted = hurt.mask > 0
    near = cv2.dilate(hurt.mask, np.ones((3, 3), np.uint8)) > 0
    return np.array([(seen & near).sum(), seen.sum(), (seen & wanted).sum(), wanted.sum()])


def textures(case: Case, pack_file: Path) -> tuple[dict[str, RGB], dict[str, tuple[float, ...]]]:
    """Pictures without and with damage, and mended both ways with the mask; of each PSNR, and the power of
    fine detail of what was hidden."""
    pack = load_repair_pack(pack_file)
    sound, hurt = case.pictures()
    ways = {name: pack.repair(hurt.rgb, hurt.mask, rich=name == "rich") for name in ("faithful", "rich")}
    shown = {"sound": sound, "damaged": hurt.rgb, **ways}
    inside = cv2.erode(hurt.mask, np.ones((3, 3), np.uint8)) > 0
    figures = {}
    for name, rgb in shown.items():
        figures[name] = min(psnr(sound, rgb), 60.0), float(np.square(fine(rgb)[inside]).sum())
    return shown, figures


def fine(rgb: RGB) -> np.ndarray:
    luma = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return luma - cv2.GaussianBlur(luma, (0, 0), 1.5)


def report_textures(pool: ProcessPoolExecutor, cases: list[Case], group: str, pack_file: Path) -> None:
    found = list(pool.map(textures, cases, [pack_file] * len(cases)))
    distance = StyleDistance([shown["sound"] for shown, _ in found])
    print(f"\n{group}, mask given: PSNR, power of fine detail where hidden, distance of patches from sound")
    power = sum(figures["sound"][1] for _, figures in found)
    for name in ("damaged", "faithful", "rich"):
        decibels = np.mean([figures[name][0] for _, figures in found])
        detail = sum(figures[name][1] for _, figures in found) / power
        off = sum(distance.of([shown[name] for shown, _ in found]))
        print(f"{name:<10} {decibels:.2f} dB, {detail:.0%}, {off:.4f}")


def undamaged(path: str, pack_file: Path) -> tuple[float, float]:
    sound = reduced(read_picture(path).rgb, SHORT_SIDE)
    mended = load_repair_pack(pack_file).repair(sound)
    return min(psnr(sound, mended), 60.0), ssim(sound, mended)


def finer(job: tuple[Case, bool, str]) -> tuple[float, ...]:
    """All figures of one classical method: only the best one's are shown."""
    case, given, method = job
    sound, hurt = case.pictures()
    return compared(sound, next(result for _, result in classical(hurt, given, method)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--each", type=int, default=16, help="pictures of a folder, at most")
    parser.add_argument("--draws", type=int, default=1, help="times that each picture is damaged")
    parser.add_argument("--sheet", type=Path, help="damaged, repaired, sound")
    parser.add_argument("--misses", type=Path, help="damaged, hidden, found, where most was missed")
    parser.add_argument("--write", action="store_true", help="figures into the pack")
    arguments = parser.parse_args()
    config = json.loads((arguments.run / "config.json").read_text())
    known, (low, high) = tuple(config["kinds"]), config["strengths"]
    held_back = json.loads((arguments.run / "cache" / "content.json").read_text())["held_back"]
    folders = defaultdict(list)
    for path in np.random.default_rng(0).permutation(held_back):
        folders[Path(path).parent].append(str(path))
    chosen = [path for folder in sorted(folders) for path in folders[folder][: arguments.each]]
    groups = {
        "as in training": (known, (low, high)),
        "stronger": (known, (high, 1.0)),
        "other kinds": (tuple(name for name in KINDS if name not in known), (low, high)),
    }
    cases = [
        Case(path, group, names, strengths, arguments.draws * at + draw, Path(path).parent.name)
        for at, path in enumerate(chosen)
        for draw in range(arguments.draws)
        for group, (names, strengths) in groups.items()
        if names
    ]
    with ProcessPoolExecutor() as pool:
        jobs = [pool.submit(measured, case, arguments.pack) for case in cases]
        cases = [job.result() for job in jobs]
        gains: dict[str, dict[str, float]] = {"gain_with_mask": {}, "gain_without_mask": {}}
        for group in dict.fromkeys(case.group for case in cases):
            for given, name in zip((True, False), gains, strict=True):
                gain = report(pool, [case for case in cases if case.group == group], group, given)
                gains[name][group] = round(gain, 2)
        alone = np.array([pool.submit(undamaged, path, arguments.pack) for path in chosen])
        alone = np.array([job.result() for job in alone])
        if read_pack(arguments.pack).rich is not None:
            for group in dict.fromkeys(case.group for case in cases):
                here = [case for case in cases if case.group == group]
                report_textures(pool, here, group, arguments.pack)
    print(
        f"\nundamaged ({len(alone)}): PSNR {alone[:, 0].mean():.1f}, lowest {alone[:, 0].min():.1f}, "
        f"below 38 dB {(alone[:, 0] < 38).sum()}; SSIM {alone[:, 1].mean():.4f}"
    )
    print("\nhidden pixels found (within a pixel):")
    for group in dict.fromkeys(case.group for case in cases):
        right, said, hit, wanted = np.sum([case.found for case in cases if case.group == group], 0)
        print(f"  {group}: precision {right / max(said, 1):.2f}, recall {hit / max(wanted, 1):.2f}")
    seconds, pixels = sum(case.seconds for case in cases), sum(case.pixels for case in cases)
    print(f"\n{seconds / (pixels / 1e6):.2f} s a megapixel of one core, small pictures, cores busy")
    pack = load_repair_pack(arguments.pack)
    if arguments.write:
        file = read_pack(arguments.pack)
        file.info.measured |= {
            "pictures": len(chosen),
            **gains,
            "undamaged_psnr": round(alone[:, 0].mean(), 1),
        }
        write_pack(arguments.pack, file)
    if arguments.sheet:
        write_sheet(arguments.sheet, [shown(case, pack) for case in cases[:18] if case.group != "stronger"])
    if arguments.misses:
        missed = sorted(cases, key=lambda case: case.found[2] - case.found[3])
        write_sheet(arguments.misses, [shown(case, pack, masks=True) for case in missed[:6]])


def report(pool: ProcessPoolExecutor, cases: list[Case], group: str, given: bool) -> float:
    """Prints a table; the mean gain over the best classical method, in dB, of all cultures."""
    print(f"\n{group}, {'mask given' if given else 'no mask'}: PSNR SSIM FSIM")
    by_culture = defaultdict(list)
    for case in cases:
        by_culture[case.culture].append(case)
    by_culture["all"] = cases
    for culture, here in by_culture.items():
        methods = {method for told, method in here[0].figures if told == given} - {"ours", "nothing"}
        means = {m: float(np.mean([case.figures[given, m][0] for case in here])) for m in methods}
        best = max(sorted(means), key=means.__getitem__)
        rows = {
            "nothing": [case.figures[given, "nothing"] for case in here],
            best: list(pool.map(finer, [(case, given, best) for case in here])),
            "ours": [case.figures[given, "ours"] for case in here],
        }
        line = [f"{culture:<22} n={len(here):<3}"]
        for name, values in rows.items():
            line.append(
                f"{name} "
                + " ".join(f"{v:.{d}f}" for v, d in zip(np.mean(values, 0), (2, 3, 3), strict=True))
            )
        gains = np.array([o[0] - b[0] for o, b in zip(rows["ours"], rows[best], strict=True)])
        half = 1.96 * gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.nan
        print(" | ".join(line), f"| gain {gains.mean():+.2f} dB (+-{half:.2f})", flush=True)
    return float(gains.mean())


def shown(case: Case, pack: RepairPack, masks: bool = False) -> list[RGB]:
    sound, hurt = case.pictures()
    mended = pack.repair_picture(Picture(hurt.rgb))
    if masks:
        return [hurt.rgb, *(np.repeat(mask[..., None], 3, -1) for mask in (hurt.mask, mended.mask))]
    return [hurt.rgb, mended.picture.rgb, sound]


def write_sheet(path: Path, rows: list[list[RGB]]) -> None:
    cells = [[np.asarray(Image.fromarray(p).resize((320, 320))) for p in row] for row in rows]
    Image.fromarray(np.concatenate([np.concatenate(row, 1) for row in cells], 0)).save(path)


if __name__ == "__main__":
    main()
