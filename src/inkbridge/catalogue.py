"""Packs by name: the bundled ones and those in the user's folder."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path

from inkbridge.errors import PackError
from inkbridge.pack_format import SUFFIX, read_pack

BUNDLED = Path(__file__).parent / "packs"


def user_folder() -> Path:
    """Where the user's own packs are looked for: $INKBRIDGE_PACKS, else ~/.inkbridge/packs."""
    return Path(os.environ.get("INKBRIDGE_PACKS") or Path.home() / ".inkbridge" / "packs")


@dataclass
class Listed:
    """One style that can be named."""

    name: str
    title: str
    pack: Path
    bundled: bool


def list_styles() -> list[Listed]:
    """Every style of every usable pack at hand, the user's own first; packs that mend have none."""
    return scan()[0]


def scan() -> tuple[list[Listed], list[str]]:
    """The styles, and a sentence for each pack file that had to be left out.

    Of a folder's packs that with the most styles comes first: of a name that several have, it can be fused
    with most others.
    """
    listed, problems = [], []
    for folder in (user_folder(), BUNDLED):
        packs: list[list[Listed]] = []
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            try:
                info = read_pack(path).info
            except PackError as error:
                problems.append(str(error))
                continue
            if info.kind == "style":
                packs.append(
                    [Listed(style.name, style.title, path, folder == BUNDLED) for style in info.styles]
                )
        listed += [style for styles in sorted(packs, key=len, reverse=True) for style in styles]
    return listed, problems


def pack_for_writing(lang: str) -> Path | None:
    """A pack that paints writing in one of these languages as print (jpn+eng: Tesseract's names), the user's
    own first."""
    wanted = set(lang.split("+"))
    for path in dict.fromkeys(style.pack for style in list_styles()):
        if wanted & set(read_pack(path).info.languages):
            return path
    return None


def find_pack(name: str) -> tuple[Path, str | None]:
    """A pack file for a style's name, a pack's name or a path; and the style, if that was named."""
    if name.endswith(SUFFIX):
        return Path(name), None
    for folder in (user_folder(), BUNDLED):
        if "/" not in name and (folder / f"{name}{SUFFIX}").exists():
            return folder / f"{name}{SUFFIX}", None
    styles = list_styles()
    for style in styles:
        if style.name == name:
            return style.pack, name
    names = [style.name for style in styles]
    near = difflib.get_close_matches(name, names, 1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise PackError(
        f"Style '{name}' not found.{hint} Here: {', '.join(names) or 'none'}. "
        f"For a file give a path ending in {SUFFIX}."
    )
