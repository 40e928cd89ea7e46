"""inkbridge beautify"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def beautify(
    picture: Path,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    pack: str = "repair",
    strength: float = 1.0,
    compare: Path | None = None,
    quality: int = 95,
    max_megapixels: float = 200.0,
) -> None:
    """Make a picture a little better: less noise, better light, colours, contrast, each where it is needed.

    A picture that needs nothing stays as it is. What is scratched or torn: inkbridge repair.

    Parameters
    ----------
    picture
        The picture to make better; it stays as it is.
    out
        The better picture to write.
    pack
        A repair pack: its name or the path of a .stylepack file.
    strength
        From 0, the picture itself, to 1.
    compare
        A picture to write too: before and after side by side.
    quality
        JPEG, WebP and AVIF quality, 1 to 100.
    max_megapixels
        Larger pictures are refused.
    """
    from inkbridge.cli.beside import beside
    from inkbridge.cli.progress import bar
    from inkbridge.errors import ConfigError
    from inkbridge.images import Picture, check_writable_beside, read_picture, write_picture
    from inkbridge.uses.repair.repairing import load_repair_pack

    if not 1 <= quality <= 100:
        raise ConfigError(f"--quality {quality} cannot be used: it must be from 1 to 100.")
    for path in (out, compare):
        if path is not None:
            check_writable_beside(path, picture)
    opened = read_picture(picture, int(max_megapixels * 1e6))
    loaded = load_repair_pack(pack)
    with bar(f"looking at {picture.name}") as advance:
        better = loaded.beautify_picture(opened, strength, advance)
    notes = better.picture.notes + write_picture(better.picture, out, quality)
    if compare is not None:
        write_picture(Picture(beside(opened.rgb, better.picture.rgb)), compare)
    said = "; ".join([", ".join(better.done) or "nothing was needed", *notes])
    print(f"{picture} -> {out} ({said})")
