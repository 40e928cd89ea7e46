"""inkbridge hands"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def hands(
    fonts: list[Path],
    /,
    *,
    plain: Path,
    text: Path,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    pairs: int = 6000,
    shuffled: float = 0.5,
    seed: int = 0,
) -> int:
    """Draw training pairs for `inkbridge read`: lines of text in the hands of fonts, and the same in print.

    Stopped, the same command goes on where it was.

    Parameters
    ----------
    fonts
        Font files as writers' hands.
    plain
        The font file whose print the recogniser knows best.
    text
        A text file; each line is a line to write.
    out
        The folder to make, with the folders hand and print for recipe `paired`.
    pairs
        How many lines to draw.
    shuffled
        Share of lines that are made of random characters of the text, so that rare ones are seen as often.
    seed
        Another number draws other lines.
    """
    import numpy as np

    from inkbridge.cli.progress import bar
    from inkbridge.errors import ConfigError
    from inkbridge.uses.text_recognition.writing import (
        Hand,
        LinePairs,
        read_texts,
        shuffled_lines,
        write_pairs,
    )

    if pairs < 1:
        raise ConfigError(f"--pairs {pairs} cannot be used: it must be at least 1.")
    if not 0.0 <= shuffled <= 1.0:
        raise ConfigError(f"--shuffled {shuffled} cannot be used: it must be from 0 to 1.")
    lines = read_texts(text)
    rng = np.random.default_rng(seed)
    # Both kinds are drawn from alike, so as many of one as the shares ask for.
    num = round(len(lines) * shuffled / (1 - shuffled)) if shuffled < 1 else len(lines)
    texts = (lines if shuffled < 1 else []) + shuffled_lines(lines, num, rng)
    with bar("drawing lines") as advance:
        drawn = LinePairs(texts, [Hand(font) for font in fonts], Hand(plain), seed)
        write_pairs(out, drawn, pairs, lambda done: advance(done, pairs))
    print(
        f"{pairs} pairs in {out}. Next: inkbridge train --recipe paired --content {out / 'hand'} "
        f"--style {out / 'print'} --config recipes/writing.toml --out RUN"
    )
    return 0
