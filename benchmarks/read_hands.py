"""How well lines in the hands of fonts are read raw, by classical methods, painted as print, and gated.

    python benchmarks/read_hands.py PACK --lang jpn --plain GOTHIC.ttf --text LINES.txt FONT ...

Each font writes other lines of the text, cut to `--of` characters, every second one worn. Character error
rates of the reader with 95% intervals over lines; how many lines gating made better and worse than raw;
milliseconds that painting a line takes. Fonts and texts should be none of the training.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

import inkbridge
from inkbridge.images import RGB
from inkbridge.metrics.text import character_error_rate, character_errors
from inkbridge.pack import StylePack
from inkbridge.pack_format import read_pack, write_pack
from inkbridge.uses.text_recognition.reading import LineReadings, read_lines
from inkbridge.uses.text_recognition.recogniser import READERS, Reading, recogniser
from inkbridge.uses.text_recognition.writing import Hand, draw_line, read_texts

COLUMNS = {
    "raw": lambda line: line.raw,
    "classical": lambda line: line.best_classical,
    "normalised": lambda line: line.normalised,
    "gated": lambda line: line.gated,
}
Counts = dict[str, list[tuple[int, int]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pack")
    parser.add_argument("fonts", type=Path, nargs="+")
    parser.add_argument("--reader", choices=READERS, default="tesseract")
    parser.add_argument("--lang")
    parser.add_argument("--plain", type=Path, required=True)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--of", type=int, default=14)
    parser.add_argument("--lines", type=int, default=40)
    parser.add_argument("--into-pack", metavar="NAME", help="write the rates of all into the pack, as NAME")
    arguments = parser.parse_args()
    pack, reader = inkbridge.load(arguments.pack), recogniser(arguments.reader, arguments.lang)
    texts = [line[: arguments.of] for line in read_texts(arguments.text)]
    texts = [text for text in texts if len(text) == arguments.of]
    rng, plain = np.random.default_rng(0), Hand(arguments.plain)
    print(f"| font | {' | '.join(COLUMNS)} | better, worse | distance |\n|{'---|' * (len(COLUMNS) + 3)}")
    total: Counts = {name: [] for name in COLUMNS}
    for font in arguments.fonts:
        able = [text for text in texts if Hand(font).writes(text)]
        chosen = rng.choice(able, arguments.lines, replace=False).tolist()
        lines = [draw_line(text, Hand(font), plain, rng, bool(i % 2)) for i, text in enumerate(chosen)]
        readings = read_lines(lines, reader, pack, classical=True)
        counts = counts_of(chosen, readings)
        for name, some in counts.items():
            total[name] += some
        print(row(font.stem, counts, float(np.mean([line.distance for line in readings]))), flush=True)
    print(row("all", total))
    print(f"Painting a line takes {milliseconds(pack, lines):.0f} ms.")
    if arguments.into_pack:
        rates = {name: round(character_error_rate(some)[0], 4) for name, some in total.items()}
        file = read_pack(Path(arguments.pack))
        file.info.measured[arguments.into_pack] = {"lines": len(total["raw"]), **rates}
        write_pack(Path(arguments.pack), file)


def counts_of(texts: list[str], readings: list[LineReadings]) -> Counts:
    def of(reading: Reading, text: str) -> tuple[int, int]:
        return character_errors(reading.text, text)

    return {
        name: [of(column(line), text) for line, text in zip(readings, texts, strict=True)]
        for name, column in COLUMNS.items()
    }


def row(name: str, counts: Counts, distance: float | None = None) -> str:
    rates = [character_error_rate(some) for some in counts.values()]
    shown = [f"{100 * rate:.1f}% ({100 * low:.0f}-{100 * high:.0f})" for rate, low, high in rates]
    pairs = list(zip(counts["gated"], counts["raw"], strict=True))
    better, worse = (sum(sign * (raw[0] - ours[0]) > 0 for ours, raw in pairs) for sign in (1, -1))
    far = "" if distance is None else f"{distance:.2f}"
    return f"| {name} | {' | '.join(shown)} | {better}, {worse} | {far} |"


def milliseconds(pack: StylePack, lines: list[RGB]) -> float:
    start = time.perf_counter()
    for line in lines:
        pack.apply(line)
    return 1000 * (time.perf_counter() - start) / len(lines)


if __name__ == "__main__":
    main()
