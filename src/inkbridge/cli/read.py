"""inkbridge read"""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from inkbridge.uses.text_recognition.reading import Page


def read(
    page: Path,
    /,
    *,
    pack: str | None = None,
    lang: str | None = None,
    reader: str = "tesseract",
    direction: str = "auto",
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    compare: Annotated[bool, Parameter(negative=())] = False,
    truth: Path | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Read a page, each line also in the style that the recogniser knows; the surer reading counts.

    Parameters
    ----------
    page
        A picture of a page: lines, or columns from right to left.
    pack
        A pack that paints writing as print: a name from `inkbridge styles` or the path of a .stylepack file.
        By default one that was made for the language, or brush-to-print.
    lang
        The language as Tesseract names it: jpn, chi_sim, eng, jpn+eng.
    reader
        tesseract, or rapidocr, which knows Chinese, Japanese and Latin writing without being told.
    direction
        auto, or lines or columns where that is known.
    out
        The picture to write: the page, and the same with its lines as the recogniser saw them.
    compare
        Print beside it what comes of the lines as they are, of classical methods and of the pack alone.
    truth
        A text file with what the page says, line by line; --compare then prints error rates.
    json
        Print JSON with places and confidences instead of text.
    """
    from inkbridge.catalogue import pack_for_writing
    from inkbridge.cli.beside import beside
    from inkbridge.errors import ConfigError, DataError
    from inkbridge.images import Picture, check_writable_name, read_picture, write_picture
    from inkbridge.pack import load
    from inkbridge.uses.text_recognition.reading import read_page
    from inkbridge.uses.text_recognition.recogniser import recogniser
    from inkbridge.uses.text_recognition.writing import read_texts

    if out is not None:
        check_writable_name(out)
        if not out.parent.is_dir():
            raise DataError(f"Folder '{out.parent}' does not exist; make it first.")
    if truth is not None and not compare:
        raise ConfigError("--truth is what --compare counts errors against; add --compare.")
    wanted = read_texts(truth) if truth is not None else None
    asked = recogniser(reader, lang)
    pack = pack or str((lang and pack_for_writing(lang)) or "brush-to-print")
    loaded = load(pack)
    picture = read_picture(page)
    if lang is not None and not set(lang.split("+")) & set(loaded.languages):
        known = f"was made for {', '.join(loaded.languages)}" if loaded.languages else "names no language"
        print(f"Pack '{pack}' {known}: of {lang}, what it paints may say something else.", file=sys.stderr)
    found = read_page(picture.rgb, asked, loaded, str(page), compare, direction)
    for note in found.notes:
        print(note, file=sys.stderr)
    if wanted is not None and len(wanted) != len(found.lines):
        raise DataError(
            f"{truth} has {len(wanted)} lines with text, {page} {len(found.lines)}; errors cannot be counted."
        )
    if out is not None:
        write_picture(Picture(beside(picture.rgb, found.picture)), out)
    if json:
        print(json_format.dumps(_as_json(found), indent=1, ensure_ascii=False))
    elif compare:
        _print_comparison(found, wanted)
    else:
        print("\n".join(line.gated.text for line in found.lines))
    return 0


def _as_json(found: Page) -> dict[str, object]:
    lines = [
        {
            "box": [box.left, box.top, box.right, box.bottom],
            "text": line.gated.text,
            "confidence": round(line.gated.confidence, 4),
            "from": "raw" if line.gated is line.raw else "normalised",
            **{
                name: {"text": reading.text, "confidence": round(reading.confidence, 4)}
                for name, reading in {
                    "raw": line.raw,
                    "normalised": line.normalised,
                    **line.classical,
                }.items()
            },
        }
        for box, line in zip(found.boxes, found.lines, strict=True)
    ]
    return {
        "distance_from_print": round(found.distance, 4),
        "raw_confidence": round(found.raw_confidence, 4),
        "lines": lines,
    }


def _print_comparison(found: Page, wanted: list[str] | None) -> None:
    from inkbridge.metrics.text import character_error_rate, character_errors

    print(
        f"Distance from print: {found.distance:.2f}. Of the page as it is the recogniser is "
        f"{found.raw_confidence:.0%} sure.\n"
    )
    columns = {
        "raw": [line.raw for line in found.lines],
        "classical": [line.best_classical for line in found.lines],
        "normalised": [line.normalised for line in found.lines],
        "gated": [line.gated for line in found.lines],
    }
    for at in range(len(found.lines)):
        for name, readings in columns.items():
            print(f"{name:<11}{readings[at].confidence:4.0%}  {readings[at].text}")
        print(f"{'truth':<17}{wanted[at]}\n" if wanted else "")
    if wanted:
        print("Character errors:")
        errors: dict[str, list[int]] = {}
        for name, readings in columns.items():
            pairs = zip(readings, wanted, strict=True)
            counts = [character_errors(reading.text, text) for reading, text in pairs]
            rate, low, high = character_error_rate(counts)
            print(f"  {name:<11}{rate:6.1%}  ({low:.1%} to {high:.1%})")
            errors[name] = [wrong for wrong, _ in counts]
        less = [at for at, wrong in enumerate(errors["gated"], 1) if wrong < errors["raw"][at - 1]]
        more = [at for at, wrong in enumerate(errors["gated"], 1) if wrong > errors["raw"][at - 1]]
        print(f"Gated, {_lines(less)} better than raw and {_lines(more)} worse.")


def _lines(numbers: list[int]) -> str:
    if not numbers:
        return "no line is"
    shown = ", ".join(map(str, numbers))
    return f"line {shown} is" if len(numbers) == 1 else f"{len(numbers)} lines ({shown}) are"
