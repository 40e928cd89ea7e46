"""The experiments of docs/text.md: fonts and text in, a pack and its error rates out.

    python scripts/writing_to_print.py han WORK [--minutes 60]
    python scripts/writing_to_print.py latin WORK

`han` makes the bundled pack brush-to-print, of Japanese and Chinese hands; `latin` pen-to-print, of
blackletter, secretary and running hands, which is not bundled. Every step leaves its result in the folder
WORK and is not done again; stopped, the same command goes on. Needs the extras [train], [ocr] and [rapidocr],
Debian packages that are named where they are missing, and, for most of the fonts, the program npm. All fonts
are under free licences and none is copied into a pack.
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
SYSTEM = Path("/usr/share/fonts")
MANUALS = Path("/usr/share/man")
FORTUNES = Path("/usr/share/games/fortunes")
HELD_OUT = 300
"""Characters of a script that are in no line of training, where it has thousands."""
HANZI = re.compile("[一-鿿，。、]{8,}")  # noqa: RUF001
RARE = '0123456789ſ()"'  # noqa: RUF001
"""Characters that are added to those of Latin lines."""
LINES = 12_000
"""Lines of a language to train with, and as many again of random characters."""

Tests = dict[str, tuple[str, list[str]]]
"""By the name of a file of lines: Tesseract's language and the fonts that it is read in."""


@dataclass
class Script:
    """What an experiment is made of. Fonts are files below SYSTEM or, without an ending, packages of npm."""

    pack: str
    title: str
    languages: list[str]
    plain: str
    hands: list[str]
    """Of training."""
    tests: Tests
    packages: list[str]
    """Of Debian."""
    write_texts: Callable[[Path], None]
    """Writes train.txt and the files of `tests` into a folder."""
    data: str
    updates: int
    """Of the classifier of glyphs."""
    of: int
    """Characters of a line that is read."""


def write_han(work: Path) -> None:
    """Without held-out characters train.txt, jpn-seen.txt, zho-seen.txt; with them *-unseen.txt."""
    rng = random.Random(7)
    kanji, hanzi = list(common("euc_jp", range(16, 48))), list(common("gb2312", range(16, 56)))
    held_out = set(rng.sample(kanji, HELD_OUT))
    held_out |= set(random.Random(8).sample(sorted(set(hanzi) - set(kanji)), HELD_OUT // 2))
    lines: list[str] = []
    japanese = manual_lines("ja", re.compile("[々〆぀-ヿ一-鿿、。・ー]{8,}"))
    chinese = manual_lines("zh_CN", HANZI) | poems()
    for name, found, characters in (("jpn", japanese, kanji), ("zho", chinese, hanzi)):
        runs = sorted(found)
        rng.shuffle(runs)
        known = [run for run in runs if not held_out & set(run)]
        num = len(known) // 10
        write(work / f"{name}-seen.txt", known[:num])
        write(work / f"{name}-unseen.txt", with_held_out(runs, sorted(held_out & set(characters)), rng))
        rest = sorted({*characters, *(char for run in known for char in run)} - held_out)
        chosen = known[num : num + LINES]
        lines += chosen + shuffled(rest, [len(line) for line in chosen], rng)
    write(work / "train.txt", lines)


def write_latin(work: Path) -> None:
    """train.txt, and eng.txt and deu.txt of other lines."""
    rng = random.Random(7)
    lines: list[str] = []
    for name, folder in (("eng", FORTUNES), ("deu", FORTUNES / "de")):
        found = sorted(sayings(folder))
        rng.shuffle(found)
        num = len(found) // 10
        write(work / f"{name}.txt", found[:num])
        chosen = found[num : num + LINES]
        characters = sorted({char for line in chosen for char in line} - {" "} | set(RARE))
        lines += chosen + shuffled(characters, [len(line) // 2 for line in chosen[: LINES // 3]], rng)
    write(work / "train.txt", lines)


def common(encoding: str, rows: range) -> Iterator[str]:
    """The first level of JIS X 0208 or of GB 2312."""
    for row in rows:
        for cell in range(1, 95):
            try:
                yield bytes([0xA0 + row, 0xA0 + cell]).decode(encoding)
            except UnicodeDecodeError:
                continue


def manual_lines(language: str, run: re.Pattern[str]) -> set[str]:
    """Runs of characters of a language in the manual pages, cut to 28."""
    found = set()
    for page in (MANUALS / language).glob("man*/*.gz"):
        for line in gzip.decompress(page.read_bytes()).decode("utf-8", "ignore").splitlines():
            if not line.startswith("."):
                found |= {text[:28] for text in run.findall(line)}
    return found


def poems() -> set[str]:
    """Lines of the Tang poems."""
    text = (FORTUNES / "chinese").read_text("utf-8", "ignore")
    return {line[:28] for line in HANZI.findall(re.sub(r"\x1b\[[0-9;]*m", "", text))}


def sayings(folder: Path) -> Iterator[str]:
    """Lines of letters in a folder of fortunes, cut to 40 characters."""
    for file in folder.iterdir():
        if file.is_file() and not file.suffix:
            for line in file.read_text("utf-8", "ignore").splitlines():
                text = " ".join(line.split())
                if len(text) >= 24 and re.fullmatch(r"[A-Za-zÄÖÜäöüß ,.;:'!?\-]+", text):
                    yield text[:40].strip()


def with_held_out(lines: list[str], held_out: list[str], rng: random.Random) -> list[str]:
    """Lines that have some of these characters, and random lines of which they are a third."""
    found = [line for line in lines if set(line[:14]) & set(held_out)]
    around = [char for line in found for char in line]
    made = []
    for _ in range(len(found)):
        line = [*rng.sample(held_out, 5), *rng.sample(around, 9)]
        rng.shuffle(line)
        made.append("".join(line))
    return found + made


def shuffled(characters: list[str], lengths: list[int], rng: random.Random) -> list[str]:
    """Lines of random characters: rare ones are then seen as often as any."""
    return ["".join(rng.choices(characters, k=length)) for length in lengths]


def write(file: Path, lines: list[str]) -> None:
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


JAPANESE_TESTS = [
    *("truetype/aoyagi-soseki/aoyagi-soseki.ttf", "yuji-mai", "new-tegomin", "zen-antique"),
    "opentype/ipafont-mincho/ipam.ttf",
]
CHINESE_TESTS = ["long-cang", "ma-shan-zheng", "zcool-xiaowei", "noto-serif-sc"]
LATIN_TESTS = [
    *("unifrakturmaguntia", "meddon", "homemade-apple", "uncial-antiqua", "truetype/kristi/Kristi.ttf"),
    "truetype/dejavu/DejaVuSerif.ttf",
]
SCRIPTS = {
    "han": Script(
        pack="brush-to-print",
        title="Brush to print",
        languages=["jpn", "chi_sim"],
        plain="noto-sans-sc",
        hands=[
            *("truetype/kouzan-mouhitsu/kouzan-mouhitsu.ttf",),
            *("truetype/kouzan-mouhitsu/kouzan-mouhitsu-gyosho.ttf",),
            *("truetype/aoyagi-kouzan-t/AoyagiKouzanT.ttf", "truetype/kiloji/kiloji.ttf"),
            *("truetype/seto/setofont.ttf", "truetype/yozvox-yozfont/YOzRNX.ttf"),
            *("truetype/klee/KleeOne-Regular.ttf", "truetype/lxgw-wenkai/LXGWWenKai-Regular.ttf"),
            *("truetype/oradano-mincho/OradanoGSRR.ttf", "truetype/dejima-mincho/dejima-mincho-r227.ttf"),
            *("yuji-syuku", "yuji-boku", "yomogi", "zen-kurenaido", "hina-mincho", "kaisei-tokumin"),
            *("yusei-magic", "zhi-mang-xing", "liu-jian-mao-cao", "zcool-qingke-huangyou"),
            *("zcool-kuaile", "truetype/arphic/ukai.ttc", "truetype/arphic-gkai00mp/gkai00mp.ttf"),
            "truetype/wqy/wqy-zenhei.ttc",
        ],
        tests={
            "jpn-seen.txt": ("jpn", JAPANESE_TESTS),
            "jpn-unseen.txt": ("jpn", JAPANESE_TESTS),
            "zho-seen.txt": ("chi_sim", CHINESE_TESTS),
            "zho-unseen.txt": ("chi_sim", CHINESE_TESTS),
        },
        packages=[
            *("tesseract-ocr", "tesseract-ocr-jpn", "tesseract-ocr-chi-sim", "manpages-ja", "manpages-zh"),
            *("fortunes-zh", "fonts-ipafont-mincho", "fonts-kouzan-mouhitsu", "fonts-aoyagi-kouzan-t"),
            *("fonts-aoyagi-soseki", "fonts-kiloji", "fonts-seto", "fonts-yozvox-yozfont", "fonts-klee"),
            *("fonts-lxgw-wenkai", "fonts-oradano-mincho-gsrr", "fonts-dejima-mincho"),
            *("fonts-arphic-ukai", "fonts-arphic-gkai00mp", "fonts-wqy-zenhei"),
        ],
        write_texts=write_han,
        data=(
            "Lines of the Japanese and Chinese manual pages, of Tang poems and of random common characters, "
            "drawn in 24 fonts under free licences and, as print, in Noto Sans SC; worn at random."
        ),
        updates=2500,
        of=14,
    ),
    "latin": Script(
        pack="pen-to-print",
        title="Pen to print",
        languages=["eng", "deu"],
        plain="truetype/dejavu/DejaVuSans.ttf",
        hands=[
            *("truetype/gamaliel/Gamaliel.ttf", "truetype/blankenburg/Blankenburg_UNZ1A.ttf"),
            *("opentype/joscelyn/Joscelyn-Regular.otf", "truetype/klaudia-berenika/Klaudia.ttf"),
            "opentype/gotico-antiqua/Fust&Schoeffer-Durandus-GoticoAntiqua118G.otf",
            *("opentype/gotico-antiqua/Rusch-GoticoAntiqua100G.otf", "truetype/breip/Breip.ttf"),
            *("opentype/gotico-antiqua/Zainer-GoticoAntiqua96G.otf", "truetype/fifthhorseman/dkg.ttf"),
            *("truetype/femkeklaver/femkeklaver.ttf", "truetype/rufscript/Rufscript010.ttf"),
            *("unifrakturcook", "fruktur", "jacquard-24", "manufacturing-consent", "pirata-one"),
            *("grenze-gotisch", "new-rocker", "almendra", "medievalsharp", "metamorphous", "eagle-lake"),
            *("im-fell-dw-pica", "tangerine", "pinyon-script", "italianno", "great-vibes", "alex-brush"),
            *("petit-formal-script", "monsieur-la-doulaise", "mr-de-haviland", "mr-dafoe", "ruthie"),
            *("herr-von-muellerhoff", "mrs-saint-delafield", "miss-fajardose", "league-script"),
            *("dr-sugiyama", "qwigley", "lovers-quarrel", "caveat", "reenie-beanie", "la-belle-aurore"),
            *("cedarville-cursive", "dawning-of-a-new-day", "over-the-rainbow", "zeyada", "licorice"),
            *("luxurious-script", "fuggles", "whisper", "water-brush", "nanum-brush-script"),
        ],
        tests={"eng.txt": ("eng", LATIN_TESTS), "deu.txt": ("deu", LATIN_TESTS)},
        packages=[
            *("tesseract-ocr", "tesseract-ocr-eng", "tesseract-ocr-deu", "fortunes", "fortunes-de"),
            *("fonts-dejavu-core", "fonts-gamaliel", "fonts-blankenburg", "fonts-joscelyn", "fonts-kristi"),
            *("fonts-klaudia-berenika", "fonts-gotico-antiqua", "fonts-breip", "fonts-femkeklaver"),
            *("fonts-dkg-handwriting", "fonts-rufscript"),
        ],
        write_texts=write_latin,
        data=(
            "Lines of English and German sayings and of random letters, drawn in 53 fonts under free "
            "licences and, as print, in DejaVu Sans; worn at random."
        ),
        updates=1000,
        of=28,
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("script", choices=SCRIPTS)
    parser.add_argument("work", type=Path)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--pairs", type=int, default=12_000)
    parser.add_argument("--from", dest="start", metavar="PACK", help="go on from what a pack has learned")
    arguments = parser.parse_args()
    script, work = SCRIPTS[arguments.script], arguments.work
    work.mkdir(parents=True, exist_ok=True)
    check_packages(script.packages)
    tested = {font for _, fonts in script.tests.values() for font in fonts}
    fonts = fetch_fonts(work / "fonts", [script.plain, *script.hands, *sorted(tested)])
    missing = [font for font in [script.plain, *script.hands] if font not in fonts]
    if missing:
        print(f"Without npm {len(missing)} fonts of training are missing.", file=sys.stderr)
    if script.plain in missing:
        sys.exit(f"Print is drawn in '{script.plain}' of npm: install npm, which fetches it.")
    seen = [fonts[font] for font in script.hands if font in fonts]
    plain, text = ["--plain", fonts[script.plain]], ["--text", work / "train.txt"]
    if not (work / "train.txt").exists():
        script.write_texts(work)
    # The text has random lines of its own, by language.
    inkbridge(
        "hands", *seen, *plain, *text, "--shuffled", 0, "--pairs", arguments.pairs, "-o", work / "pairs"
    )
    classifier = work / "glyphs.pt"
    if not classifier.exists():
        inkbridge("glyphs", *seen, *plain, *text, "--updates", script.updates, "-o", classifier)
    pack = work / f"{script.pack}.stylepack"
    if not pack.exists():
        folders = ("--content", work / "pairs/hand", "--style", work / "pairs/print", "--out", work / "run")
        recipe = ("--config", ROOT / "recipes/writing.toml", "--set", f"losses.classifier={classifier}")
        start = ("--from", arguments.start) if arguments.start else ()
        inkbridge("train", *folders, *recipe, *start, "--minutes", arguments.minutes)
        told = (
            "--name",
            script.pack,
            "--title",
            script.title,
            "--license",
            "CC BY 4.0",
            "--data",
            script.data,
        )
        languages = [part for language in script.languages for part in ("--language", language)]
        kept = ("--keep", 0.5) if arguments.start else ()
        inkbridge("export", work / "run", "--last", "-o", pack, *told, *languages, *kept)
    draw_sheet(work, pack, script, fonts)
    for reader in ("tesseract", "rapidocr"):
        for file, (language, tests) in script.tests.items():
            print(f"\n{reader}, {file}", flush=True)
            asked = ["--reader", reader, "--lang", language, "--text", work / file, "--of", script.of]
            able = [fonts[font] for font in tests if font in fonts]
            name = f"{reader}, {Path(file).stem}"
            run(
                ROOT / "benchmarks/read_hands.py",
                pack,
                *able,
                *plain,
                *asked,
                "--lines",
                30,
                "--into-pack",
                name,
            )


def check_packages(packages: list[str]) -> None:
    query = ["dpkg-query", "-W", "-f", "${Package} ${Status}\n", *packages]
    found = subprocess.run(query, capture_output=True, text=True, check=False).stdout
    missing = [name for name in packages if f"{name} install ok installed" not in found]
    if missing:
        sys.exit(f"Install these first: apt-get install {' '.join(missing)}")


def fetch_fonts(folder: Path, names: list[str]) -> dict[str, Path]:
    """Font files by name; those of npm, in the widest subset that they come in, only where it is there."""
    fonts = {name: SYSTEM / name if Path(name).suffix else folder / f"{name}.woff" for name in names}
    if shutil.which("npm") is not None:
        folder.mkdir(exist_ok=True)
        for name, path in fonts.items():
            if not path.exists():
                fetch(name, path)
    return {name: path for name, path in fonts.items() if path.exists()}


def fetch(name: str, path: Path) -> None:
    told = ["npm", "pack", "--silent", f"@fontsource/{name}"]
    packed = subprocess.run(told, cwd=path.parent, capture_output=True, text=True, check=True)
    archive = path.parent / packed.stdout.split()[-1]
    with tarfile.open(archive) as tar:
        inside = set(tar.getnames())
        for subset in ("japanese-400", "chinese-simplified-400", "latin-400", "latin-700"):
            file = f"package/files/{name}-{subset}-normal.woff"
            if file in inside:
                opened = tar.extractfile(file)
                assert opened is not None
                path.write_bytes(opened.read())
                break
    archive.unlink()


def draw_sheet(work: Path, pack: Path, script: Script, fonts: dict[str, Path]) -> None:
    """WORK/sheet.png: of each font of the tests a worn line above what the pack makes of it."""
    import numpy as np
    from PIL import Image

    import inkbridge as package
    from inkbridge.uses.text_recognition.writing import Hand, draw_line, read_texts

    loaded, rng = package.load(str(pack)), np.random.default_rng(1)
    plain, rows = Hand(fonts[script.plain]), []
    for file, (_, tests) in script.tests.items():
        texts = [line[: script.of] for line in read_texts(work / file) if len(line) >= script.of]
        for font in (Hand(fonts[name]) for name in tests if name in fonts):
            line = draw_line(next(text for text in texts if font.writes(text)), font, plain, rng, wear=True)
            both = np.concatenate([line, loaded.apply(line)])[:, :620]
            rows.append(np.pad(both, ((0, 6), (0, 620 - both.shape[1]), (0, 0)), constant_values=255))
    Image.fromarray(np.concatenate(rows)).save(work / "sheet.png")


def inkbridge(*told: object) -> None:
    run("-m", "inkbridge", *told)


def run(*told: object) -> None:
    done = subprocess.run([sys.executable, *map(str, told)], check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
