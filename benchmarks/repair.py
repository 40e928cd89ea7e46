"""A repair pack against classical methods at their best, on damage made of what its run held back.

    python benchmarks/repair.py RUN PACK [--pictures 40] [--sheet FILE.png]

(needs OpenCV and scikit-image: pip install opencv-python-headless scikit-image)

Three kinds of damage, each mixed (colours, sheet and pixels): as in training; stronger than in training; of
kinds that training never made. Once the mask of what is hidden is given to all, once to none. Classical: an
inpainting (Telea, Navier-Stokes, biharmonic, or none; with a mask), a smoothing (non-local means, median,
bilateral, or none) and a correction of colours (grey world, CLAHE, both, stretched, or none), in each row
whichever combination is best there in PSNR: chosen on the very pictures that it is measured on.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from skimage.restoration import inpaint_biharmonic

from inkbridge.damage import KINDS, Damaged, damage, draw_kinds
from inkbridge.images import RGB, read_picture, reduced
from inkbridge.metrics.fsim import fsim
from inkbridge.metrics.similarity import psnr, ssim
from inkbridge.uses.repair.repairing import load_repair_pack

SHORT_SIDE = 256


def inpaintings(rgb: RGB, mask: np.ndarray) -> dict[str, RGB]:
    grown = cv2.dilate(mask, np.ones((3, 3), np.uint8))
    whole = inpaint_biharmonic(rgb, grown > 0, channel_axis=-1, split_into_regions=True)
    return {
        "": rgb,
        "telea": cv2.inpaint(rgb, grown, 3, cv2.INPAINT_TELEA),
        "navier-stokes": cv2.inpaint(rgb, grown, 3, cv2.INPAINT_NS),
        "biharmonic": np.clip(whole * 255 + 0.5, 0, 255).astype(np.uint8),
    }


def smoothings(rgb: RGB) -> dict[str, RGB]:
    return {
        "": rgb,
        **{f"nlm{h}": cv2.fastNlMeansDenoisingColored(rgb, None, h, h, 5, 15) for h in (3, 6, 10)},
        "median3": cv2.medianBlur(rgb, 3),
        "bilateral": cv2.bilateralFilter(rgb, 5, 25, 3),
    }


def corrections(rgb: RGB) -> dict[str, RGB]:
    grey = grey_world(rgb)
    return {
        "": rgb,
        "grey-world": grey,
        "clahe": equalised(rgb),
        "grey-world+clahe": equalised(grey),
        "stretched": stretched(rgb),
    }


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


def mixture(
    rng: np.random.Generator, names: tuple[str, ...], strengths: tuple[float, float]
) -> dict[str, float]:
    """Something of each: a mixture that hides nothing is no test of a mask."""
    return draw_kinds(rng, names, strengths, chances=(0.5, 1.0, 0.7))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    config = json.loads((arguments.run / "config.json").read_text())
    known, (low, high) = tuple(config["kinds"]), config["strengths"]
    held_back = json.loads((arguments.run / "cache" / "content.json").read_text())["held_back"]
    chosen = np.random.default_rng(0).permutation(held_back)[: arguments.pictures]
    pack = load_repair_pack(arguments.pack)
    groups = {
        "as in training": (known, (low, high)),
        "stronger": (known, (high, 1.0)),
        "other kinds": (tuple(name for name in KINDS if name not in known), (low, high)),
    }
    scores: dict[tuple[str, str], dict[str, list[tuple[float, ...]]]] = defaultdict(lambda: defaultdict(list))
    found: dict[str, list[np.ndarray]] = defaultdict(list)
    rows, seconds, pixels = [], 0.0, 0
    for at, path in enumerate(chosen):
        sound = reduced(read_picture(path).rgb, SHORT_SIDE)
        culture = Path(path).parent.name
        for group, (names, strengths) in groups.items():
            if not names:
                continue
            rng = np.random.default_rng([at, len(group)])
            hurt = damage(sound, mixture(rng, names, strengths), at, unit=1.0)
            for given in (True, False):
                key = group, "mask given" if given else "no mask"
                start = time.perf_counter()
                mended = pack.repair(hurt.rgb, hurt.mask if given else None)
                seconds, pixels = seconds + time.perf_counter() - start, pixels + sound.size // 3
                note(scores, key, culture, "nothing", sound, hurt.rgb)
                note(scores, key, culture, "ours", sound, mended)
                for name, result in classical(hurt, given):
                    note(scores, key, culture, name, sound, result)
            found[group].append(counts(pack, hurt))
            if len(rows) < 6 and group != "stronger":
                rows.append([hurt.rgb, mended, sound])
        key, undamaged = ("undamaged", "no mask"), pack.repair(sound)
        scores[key]["", "ours"].append(
            (min(psnr(sound, undamaged), 60.0), ssim(sound, undamaged), fsim(sound, undamaged))
        )
    report(scores, found)
    print(f"\n{seconds / (pixels / 1e6):.2f} s a megapixel")
    if arguments.sheet:
        write_sheet(arguments.sheet, rows)


def classical(hurt: Damaged, given: bool) -> list[tuple[str, RGB]]:
    filled = inpaintings(hurt.rgb, hurt.mask) if given else {"": hurt.rgb}
    results = []
    for first, rgb in filled.items():
        for second, smooth in smoothings(rgb).items():
            for third, result in corrections(smooth).items():
                results.append((" ".join(filter(None, (first, second, third))) or "left alone", result))
    return results


def finer(value: tuple) -> tuple[float, float]:
    """SSIM and FSIM of what `note` kept: worked out there, or of the pictures."""
    return value[1:] if isinstance(value[1], float) else (ssim(value[2], value[1]), fsim(value[2], value[1]))


def note(scores: dict, key: tuple[str, str], culture: str, method: str, sound: RGB, result: RGB) -> None:
    slow = method in {"ours", "nothing"}
    figures = (psnr(sound, result), *((ssim(sound, result), fsim(sound, result)) if slow else ()))
    scores[key][culture, method].append(figures if slow else (figures[0], result, sound))


def counts(pack: object, hurt: Damaged) -> np.ndarray:
    from inkbridge.images import Picture

    seen = pack.repair_picture(Picture(hurt.rgb)).mask > 0
    wanted = hurt.mask > 0
    near = cv2.dilate(hurt.mask, np.ones((3, 3), np.uint8)) > 0
    return np.array([(seen & near).sum(), seen.sum(), (seen & wanted).sum(), wanted.sum()])


def report(scores: dict, found: dict) -> None:
    for (group, told), methods in scores.items():
        cultures = sorted({culture for culture, _ in methods})
        if group == "undamaged":
            (values,) = methods.values()
            each = np.array(values)
            means = (
                f"PSNR {each[:, 0].mean():.1f} (lowest {each[:, 0].min():.1f}), SSIM {each[:, 1].mean():.3f}"
            )
            print(f"\nundamaged: {means}")
            continue
        print(f"\n{group}, {told}")
        for culture in [*cultures, "all"]:
            mine = {
                method: list(
                    itertools.chain(
                        *(v for (c, m), v in methods.items() if m == method and culture in (c, "all"))
                    )
                )
                for method in dict.fromkeys(m for _, m in methods)
            }
            means = {method: float(np.mean([v[0] for v in values])) for method, values in mine.items()}
            best = max((m for m in means if m not in {"ours", "nothing"}), key=means.__getitem__)
            line = [f"{culture:<22} n={len(mine['ours']):<3}"]
            for name in ("nothing", best, "ours"):
                shown = f"classical ({name})" if name == best else name
                rest = np.mean([finer(value) for value in mine[name]], 0)
                line.append(f"{shown} {means[name]:.2f} {rest[0]:.3f} {rest[1]:.3f}")
            gains = np.array([o[0] - b[0] for o, b in zip(mine["ours"], mine[best], strict=True)])
            half = 1.96 * gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.nan
            print(" | ".join(line), f"| gain {gains.mean():+.2f} dB (+-{half:.2f})")
    print("\nhidden pixels found (within a pixel):")
    for group, each in found.items():
        right, said, hit, wanted = np.sum(each, 0)
        print(f"  {group}: precision {right / max(said, 1):.2f}, recall {hit / max(wanted, 1):.2f}")


def write_sheet(path: Path, rows: list[list[RGB]]) -> None:
    cells = [[np.asarray(Image.fromarray(p).resize((320, 320))) for p in row] for row in rows]
    Image.fromarray(np.concatenate([np.concatenate(row, 1) for row in cells], 0)).save(path)


if __name__ == "__main__":
    main()
