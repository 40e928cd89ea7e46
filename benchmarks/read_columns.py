"""How well pages written in columns are read: by Tesseract's own data for columns, cut into lines, and gated.

    python benchmarks/read_columns.py PACK --lang jpn --text LINES.txt FONT ... [--pages 3] [--sheet FILE.png]

(needs apt-get install tesseract-ocr-jpn-vert)

Each font writes pages of six columns of sixteen characters, every second page worn. Character error rates
with 95% intervals over columns. A page read by --psm 5 is one text: its errors are counted over the page.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytesseract
from PIL import Image, ImageDraw, ImageFont

import inkbridge
from inkbridge.errors import InkbridgeError
from inkbridge.images import RGB
from inkbridge.metrics.text import character_error_rate, character_errors
from inkbridge.uses.text_recognition.reading import read_page
from inkbridge.uses.text_recognition.recogniser import recogniser
from inkbridge.uses.text_recognition.wear import paint, worn
from inkbridge.uses.text_recognition.writing import Hand, read_texts

COLUMNS, OF, SIZE = 6, 16, 44
MARKS = "。、"
"""Stand in the upper right of their square where writing goes down."""


def draw_page(texts: list[str], font: Path, rng: np.random.Generator, wear: bool) -> RGB:
    """Columns from right to left, characters not quite evenly placed."""
    hand = ImageFont.truetype(str(font), SIZE)
    pitch = rng.uniform(1.0, 1.2) * SIZE
    image = Image.new("L", (round(len(texts) * SIZE * 1.6) + 100, round(OF * pitch) + 140), 0)
    for column, text in enumerate(texts):
        for row, char in enumerate(text):
            middle = image.width - 90 - 1.6 * SIZE * column, 80 + pitch * row
            aside = 0.55 * SIZE if char in MARKS else 0.0
            place = np.array(middle) + (aside, -aside) + rng.normal(0, 0.03, 2) * SIZE
            ImageDraw.Draw(image).text(
                (place[0] - hand.getlength(char) / 2, place[1] + 0.38 * SIZE), char, 255, hand, anchor="ls"
            )
    ink = np.asarray(image, np.float32) / np.float32(255)
    return worn(ink, rng) if wear else paint(ink)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pack")
    parser.add_argument("fonts", type=Path, nargs="+")
    parser.add_argument("--lang", required=True)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--pages", type=int, default=4)
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    pack, reader = inkbridge.load(arguments.pack), recogniser("tesseract", arguments.lang)
    texts = [text[:OF] for text in read_texts(arguments.text) if len(text) >= OF]
    rng = np.random.default_rng(0)
    print("| font | read as columns | raw | gated | pages found in columns |\n|---|---|---|---|---|")
    total: dict[str, list[tuple[int, int]]] = {"columns": [], "raw": [], "gated": []}
    sheet = []
    for font in arguments.fonts:
        able = [text for text in texts if Hand(font).writes(text)]
        counts: dict[str, list[tuple[int, int]]] = {name: [] for name in total}
        right = 0
        for page in range(arguments.pages):
            wanted = rng.choice(able, COLUMNS, replace=False).tolist()
            rgb = draw_page(wanted, font, rng, bool(page % 2))
            whole = pytesseract.image_to_string(Image.fromarray(rgb), f"{arguments.lang}_vert", "--psm 5")
            counts["columns"].append(character_errors("".join(whole.split()), "".join(wanted)))
            try:
                found = read_page(rgb, reader, pack)
            except InkbridgeError:
                found = None
            good = found is not None and len(found.lines) == COLUMNS
            right += good
            for name in ("raw", "gated"):
                lines = [getattr(line, name).text for line in found.lines] if good and found else []
                # A page whose columns were not found is read as nothing.
                counts[name] += [
                    character_errors(lines[at] if lines else "", text) for at, text in enumerate(wanted)
                ]
            if page < 2 and found is not None:
                sheet.append(np.concatenate([rgb, found.picture], 1))
        for name, some in counts.items():
            total[name] += some
        print(row(font.stem, counts), f"{right} of {arguments.pages} |", flush=True)
    print(row("all", total), " |")
    if arguments.sheet:
        width, height = max(part.shape[1] for part in sheet), max(part.shape[0] for part in sheet)
        padded = [
            np.pad(
                part,
                ((0, height - part.shape[0]), (0, width - part.shape[1]), (0, 0)),
                constant_values=255,
            )
            for part in sheet
        ]
        Image.fromarray(np.concatenate(padded)).save(arguments.sheet)


def row(name: str, counts: dict[str, list[tuple[int, int]]]) -> str:
    rates = [character_error_rate(some) for some in counts.values()]
    shown = [f"{100 * rate:.1f}% ({100 * low:.0f}-{100 * high:.0f})" for rate, low, high in rates]
    return f"| {name} | {' | '.join(shown)} |"


if __name__ == "__main__":
    main()
