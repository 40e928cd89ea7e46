"""inkbridge glyphs"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def glyphs(
    fonts: list[Path],
    /,
    *,
    plain: Path,
    text: Path,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    updates: int = 1500,
    seed: int = 0,
) -> int:
    """Train the classifier of characters that painting writing as print is judged by, while it is trained.

    Stopped, the same command goes on where it was.

    Parameters
    ----------
    fonts
        Font files as writers' hands: those that `inkbridge hands` is given.
    plain
        The font file whose print the recogniser knows best.
    text
        A text file; its characters are what is told apart.
    out
        The file to write, for --set losses.classifier=FILE of recipe `paired`.
    updates
        Updates of 16 lines each.
    seed
        Another number draws other lines.
    """
    from inkbridge.cli.progress import bar
    from inkbridge.errors import ConfigError, DataError, MissingExtraError

    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingExtraError("Training", "train") from None
    from inkbridge.uses.text_recognition.glyphs import GlyphLines, train_classifier
    from inkbridge.uses.text_recognition.writing import Hand, read_texts

    if updates < 1:
        raise ConfigError(f"--updates {updates} cannot be used: it must be at least 1.")
    if not out.parent.is_dir():
        raise DataError(f"Folder '{out.parent}' does not exist; make it first.")
    lines = GlyphLines(read_texts(text), [Hand(font) for font in fonts], Hand(plain))
    with bar("learning glyphs") as advance:
        share = train_classifier(lines, out, updates, seed, lambda done, right: advance(done, updates))
    print(
        f"{out} tells {len(lines.characters)} characters apart; of glyphs never seen it reads {share:.0%}. "
        f"Next: inkbridge train --recipe paired --set losses.classifier={out} ..."
    )
    return 0
