"""Text recognisers: something that reads pictures of single lines and says how sure it is."""

from __future__ import annotations

import os
import shutil
import tempfile
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from inkbridge.errors import ConfigError, DataError, MissingExtraError
from inkbridge.images import RGB

AT_ONCE = 200
"""Lines given to one process."""
READERS = "tesseract", "rapidocr"


@dataclass(frozen=True)
class Reading:
    """What a recogniser made of a line."""

    text: str
    """Empty where it found nothing."""
    confidence: float
    """How sure it is, 0 to 1: the mean over the characters; 0 for an empty text."""


class Recogniser(Protocol):
    """Reads lines."""

    def read(self, lines: Sequence[RGB]) -> list[Reading]:
        """One reading for each line."""
        ...


class Tesseract:
    """The Tesseract program of this machine, told that each picture is a single line of text."""

    def __init__(self, lang: str) -> None:
        """`lang` as Tesseract names it: jpn, chi_sim, eng, jpn+eng.

        Raises MissingExtraError without the extra [ocr], ConfigError where the program or the data of a
        language are missing, with the line that installs them.
        """
        try:
            import pytesseract
        except ImportError:
            raise MissingExtraError("Reading text", "ocr") from None
        if shutil.which("tesseract") is None:
            raise ConfigError(
                "The program tesseract is not installed. Install it with: apt-get install tesseract-ocr"
            )
        installed = pytesseract.get_languages()
        for one in lang.split("+"):
            if one not in installed:
                here = ", ".join(sorted(set(installed) - {"osd"})) or "none"
                raise ConfigError(
                    f"Tesseract has no data for language '{one}' (here: {here}). Install them with: "
                    f"apt-get install tesseract-ocr-{one.replace('_', '-')}"
                )
        # Its threads wait for one another longer than they work on a line.
        os.environ.setdefault("OMP_THREAD_LIMIT", "1")
        self.lang = lang
        self._program: Any = pytesseract

    def read(self, lines: Sequence[RGB]) -> list[Reading]:
        """One reading for each line; one process for many."""
        readings: list[Reading] = []
        for start in range(0, len(lines), AT_ONCE):
            readings += self._read(lines[start : start + AT_ONCE])
        return readings

    def _read(self, lines: Sequence[RGB]) -> list[Reading]:
        words: list[list[tuple[str, float]]] = [[] for _ in lines]
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder, f"{at}.png") for at in range(len(lines))]
            for file, rgb in zip(files, lines, strict=True):
                Image.fromarray(rgb).save(file, dpi=(300, 300), compress_level=1)
            names = Path(folder, "lines.txt")
            names.write_text("".join(f"{file}\n" for file in files))
            try:
                found = self._program.image_to_data(
                    str(names), self.lang, "--psm 7", output_type=self._program.Output.DICT
                )
            except self._program.TesseractError as error:
                raise DataError(f"Tesseract could not read: {error.message.strip()}.") from error
        for page, text, confidence in zip(found["page_num"], found["text"], found["conf"], strict=True):
            if text.strip() and float(confidence) >= 0:
                words[page - 1].append((text.strip(), float(confidence) / 100))
        return [_reading(line) for line in words]


class RapidOcr:
    """PP-OCR's recogniser of Chinese, Japanese and Latin writing, through the package rapidocr.

    A second opinion: a network quite unlike Tesseract, which no training here has seen.
    """

    def __init__(self) -> None:
        """Raises MissingExtraError without the extra [rapidocr]."""
        try:
            from rapidocr import RapidOCR
        except ImportError:
            raise MissingExtraError("Reading with RapidOCR", "rapidocr") from None
        self._program: Any = RapidOCR(params={"Global.log_level": "error"})

    def read(self, lines: Sequence[RGB]) -> list[Reading]:
        """One reading for each line."""
        readings = []
        for rgb in lines:
            found = self._program(np.ascontiguousarray(rgb[..., ::-1]), use_det=False, use_cls=False)
            text = found.txts[0] if found.txts else ""
            readings.append(Reading(text, float(found.scores[0]) if text else 0.0))
        return readings


def recogniser(reader: str, lang: str | None) -> Recogniser:
    """The one of READERS; `lang` is for Tesseract alone, which needs it. Raises ConfigError."""
    if reader not in READERS:
        raise ConfigError(f"--reader {reader} cannot be used: it must be one of {', '.join(READERS)}.")
    if reader == "rapidocr":
        return RapidOcr()
    if lang is None:
        raise ConfigError("Tesseract must be told the language: add --lang, for example --lang jpn.")
    return Tesseract(lang)


def _reading(words: list[tuple[str, float]]) -> Reading:
    text = ""
    for word, _ in words:
        # Scripts of wide characters put no spaces between words; recognisers part them all the same.
        if text and not (_is_wide(text[-1]) and _is_wide(word[0])):
            text += " "
        text += word
    num = sum(len(word) for word, _ in words)
    return Reading(text, sum(len(word) * sure for word, sure in words) / num if num else 0.0)


def _is_wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF"
