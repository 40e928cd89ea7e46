"""The whole experiment of docs/text.md: fonts and text in, a pack and its error rates out.

    python scripts/brush_to_print.py WORK [--minutes 60]

Every step leaves its result in the folder WORK and is not done again; stopped, the same command goes on.
Needs the extras [train], [ocr] and [rapidocr], the Debian packages below and, for the other fonts, the
program npm. All fonts are under free licences and none is copied into a pack.
"""

from __future__ import annotations

import argparse
import gzip
import random
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

PACKAGES = [
    *("tesseract-ocr", "tesseract-ocr-jpn", "manpages-ja", "fonts-ipafont-gothic", "fonts-ipafont-mincho"),
    *("fonts-kouzan-mouhitsu", "fonts-aoyagi-kouzan-t", "fonts-aoyagi-soseki", "fonts-kiloji", "fonts-seto"),
    *("fonts-yozvox-yozfont", "fonts-klee", "fonts-lxgw-wenkai", "fonts-oradano-mincho-gsrr"),
    *("fonts-dejima-mincho",),
]
ROOT = Path(__file__).parent.parent
SYSTEM = Path("/usr/share/fonts")
PLAIN = SYSTEM / "opentype/ipafont-gothic/ipag.ttf"
HANDS = [
    *("kouzan-mouhitsu/kouzan-mouhitsu.ttf", "kouzan-mouhitsu/kouzan-mouhitsu-gyosho.ttf"),
    *("aoyagi-kouzan-t/AoyagiKouzanT.ttf", "kiloji/kiloji.ttf", "seto/setofont.ttf"),
    *("yozvox-yozfont/YOzRNX.ttf", "klee/KleeOne-Regular.ttf", "lxgw-wenkai/LXGWWenKai-Regular.ttf"),
    *("oradano-mincho/OradanoGSRR.ttf", "dejima-mincho/dejima-mincho-r227.ttf"),
]
FETCHED = [
    *("yuji-syuku", "yuji-boku", "yomogi", "zen-kurenaido", "hina-mincho", "kaisei-tokumin", "yusei-magic"),
    *("yuji-mai", "new-tegomin", "zen-antique"),
]
UNSEEN = ["yuji-mai", "new-tegomin", "zen-antique"]
"""Fonts of FETCHED that are only read; and so are Aoyagi Soseki and IPA Mincho."""
LICENCE = "CC BY 4.0"
DATA = (
    "Lines of the Japanese manual pages and of random common kanji, drawn in 17 fonts under free licences "
    "and, as print, in IPA Gothic; worn at random."
)
HELD_OUT = 300
"""Kanji that are in no line of training."""
MANUAL = Path("/usr/share/man/ja")
JAPANESE = re.compile("[々〆぀-ヿ一-鿿、。・ー]{8,}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--pairs", type=int, default=20_000)
    arguments = parser.parse_args()
    work: Path = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    check_packages()
    fetched = fetch_fonts(work / "fonts")
    write_texts(work)
    seen = [SYSTEM / "truetype" / name for name in HANDS]
    seen += [path for name, path in fetched.items() if name not in UNSEEN]
    plain = ["--plain", PLAIN]
    drawn = work / "pairs"
    told = ("--text", work / "train.txt", "--pairs", arguments.pairs, "-o", drawn)
    inkbridge("hands", *seen, *plain, *told)
    classifier = work / "glyphs.pt"
    if not classifier.exists():
        inkbridge("glyphs", *seen, *plain, "--text", work / "train.txt", "-o", classifier)
    pack = work / "brush-to-print.stylepack"
    if not pack.exists():
        folders = ("--content", drawn / "hand", "--style", drawn / "print", "--out", work / "run")
        recipe = ("--config", ROOT / "recipes/writing.toml", "--set", f"losses.classifier={classifier}")
        inkbridge("train", *folders, *recipe, "--minutes", arguments.minutes)
        told = ("--name", "brush-to-print", "--title", "Brush to print", "--language", "jpn")
        inkbridge("export", work / "run", "--last", "-o", pack, *told, "--license", LICENCE, "--data", DATA)
    unseen = [SYSTEM / "truetype/aoyagi-soseki/aoyagi-soseki.ttf"]
    unseen += [fetched[name] for name in UNSEEN if name in fetched]
    unseen += [SYSTEM / "opentype/ipafont-mincho/ipam.ttf"]
    draw_sheet(work, pack, unseen)
    for text in ("test-seen.txt", "test-unseen.txt"):
        for reader in ("tesseract", "rapidocr"):
            told = ("--reader", reader, "--lang", "jpn", *plain, "--text", work / text, "--lines", 30)
            print(f"\n{reader}, {text}", flush=True)
            name = f"{reader}, characters {'seen' if text == 'test-seen.txt' else 'not seen'}"
            run(ROOT / "benchmarks/read_hands.py", pack, *unseen, *told, "--into-pack", name)


def check_packages() -> None:
    query = ["dpkg-query", "-W", "-f", "${Package} ${Status}\n", *PACKAGES]
    found = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    missing = [name for name in PACKAGES if f"{name} install ok installed" not in found]
    if missing:
        sys.exit(f"Install these first: apt-get install {' '.join(missing)}")


def fetch_fonts(folder: Path) -> dict[str, Path]:
    """Fonts under the SIL Open Font License, by name; none without npm."""
    fonts = {name: folder / f"{name}.woff" for name in FETCHED}
    if shutil.which("npm") is None:
        print("Without npm there are fewer hands to learn from and to test with.", file=sys.stderr)
        return {name: path for name, path in fonts.items() if path.exists()}
    folder.mkdir(exist_ok=True)
    for name, path in fonts.items():
        if not path.exists():
            packed = subprocess.run(
                ["npm", "pack", "--silent", f"@fontsource/{name}"],
                cwd=folder,
                capture_output=True,
                text=True,
                check=True,
            )
            archive = folder / packed.stdout.split()[-1]
            with tarfile.open(archive) as tar:
                file = tar.extractfile(f"package/files/{name}-japanese-400-normal.woff")
                assert file is not None
                path.write_bytes(file.read())
            archive.unlink()
    return fonts


def write_texts(work: Path) -> None:
    """train.txt without the held-out kanji, test-seen.txt without them too, test-unseen.txt with them."""
    kanji = list(common_kanji())
    rng = random.Random(7)
    held_out = set(rng.sample(kanji, HELD_OUT))
    lines = sorted(set(manual_lines()))
    rng.shuffle(lines)
    known = [line for line in lines if not held_out & set(line)]
    num = len(known) // 10
    # Every common kanji once: lines of random characters then have each as often as any.
    rest = [char for char in kanji if char not in held_out]
    rows = ["".join(rest[at : at + 14]) for at in range(0, len(rest), 14)]
    parts = {
        "train.txt": [*known[num:], *rows],
        "test-seen.txt": known[:num],
        "test-unseen.txt": with_held_out(lines, sorted(held_out), rng),
    }
    for name, part in parts.items():
        (work / name).write_text("".join(f"{line}\n" for line in part), encoding="utf-8")


def with_held_out(lines: list[str], held_out: list[str], rng: random.Random) -> list[str]:
    """Lines of manuals that have some of these characters, and random lines of which they are a third."""
    found = [line for line in lines if set(line[:14]) & set(held_out)]
    around = [char for line in found for char in line]
    made = []
    for _ in range(len(found)):
        line = [*rng.sample(held_out, 5), *rng.sample(around, 9)]
        rng.shuffle(line)
        made.append("".join(line))
    return found + made


def common_kanji() -> Iterator[str]:
    """The first level of JIS X 0208."""
    for row in range(16, 48):
        for cell in range(1, 95):
            try:
                yield bytes([0xA0 + row, 0xA0 + cell]).decode("euc_jp")
            except UnicodeDecodeError:
                continue


def manual_lines() -> Iterator[str]:
    """Runs of Japanese in the manual pages, of 8 characters and more, cut to 28."""
    for page in sorted(MANUAL.glob("man*/*.gz")):
        text = gzip.decompress(page.read_bytes()).decode("utf-8", "ignore")
        for line in text.splitlines():
            if not line.startswith("."):
                for run_of in JAPANESE.findall(line):
                    yield run_of[:28]


def draw_sheet(work: Path, pack: Path, fonts: list[Path]) -> None:
    """WORK/sheet.png: of each font two lines, one of them worn, above what the pack makes of them."""
    import numpy as np
    from PIL import Image

    import inkbridge as package
    from inkbridge.uses.text_recognition.writing import Hand, draw_line, read_texts

    loaded, rng = package.load(str(pack)), np.random.default_rng(1)
    texts = [line[:14] for line in read_texts(work / "test-seen.txt") if len(line) >= 14]
    rows = []
    for font in fonts:
        able = [text for text in texts[:200] if Hand(font).writes(text)]
        for at in range(2):
            line = draw_line(able[at], Hand(font), Hand(PLAIN), rng, wear=bool(at))
            both = np.concatenate([line, loaded.apply(line)])
            rows.append(
                np.pad(both[:, :620], ((0, 6), (0, max(620 - both.shape[1], 0)), (0, 0)), constant_values=255)
            )
    Image.fromarray(np.concatenate(rows)).save(work / "sheet.png")


def inkbridge(*told: object) -> None:
    run("-m", "inkbridge", *told)


def run(*told: object) -> None:
    done = subprocess.run([sys.executable, *map(str, told)], check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
