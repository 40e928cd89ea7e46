"""inkbridge repair"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def repair(
    picture: Path,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    pack: str = "repair",
    mask: Path | None = None,
    only_mask: Annotated[bool, Parameter(negative=())] = False,
    save_mask: Path | None = None,
    colour: bool = True,
    strength: float = 1.0,
    rich: Annotated[bool, Parameter(negative="--faithful")] = False,
    compare: Path | None = None,
    quality: int = 95,
    max_megapixels: float = 200.0,
) -> None:
    """Mend a damaged picture: scratches, stains, holes, noise, blocks, faded colours.

    Parameters
    ----------
    picture
        The picture to mend; it stays as it is.
    out
        The mended picture to write.
    pack
        A repair pack: its name or the path of a .stylepack file.
    mask
        A picture of the same size, white where something is hidden (default: it is found).
    only_mask
        Leave every pixel outside the mask as it is, bit for bit.
    save_mask
        Write what was found, to look at, change, and give back with --mask.
    colour
        Put colours right as well.
    strength
        From 0, the picture itself, to 1.
    rich
        Make up texture where nothing tells what was there; --faithful, the default, stays soft there.
    compare
        A picture to write too: before and after side by side.
    quality
        JPEG, WebP and AVIF quality, 1 to 100.
    max_megapixels
        Larger pictures are refused.
    """
    import numpy as np

    from inkbridge.cli.beside import beside
    from inkbridge.cli.progress import bar
    from inkbridge.errors import ConfigError
    from inkbridge.images import Picture, check_writable_beside, read_picture, write_picture
    from inkbridge.uses.repair.repairing import load_repair_pack, read_mask

    if not 1 <= quality <= 100:
        raise ConfigError(f"--quality {quality} cannot be used: it must be from 1 to 100.")
    if only_mask and mask is None:
        raise ConfigError("--only-mask needs --mask: it says which pixels may change.")
    for path in (out, save_mask, compare):
        if path is not None:
            check_writable_beside(path, picture)
    opened = read_picture(picture, int(max_megapixels * 1e6))
    given = None if mask is None else read_mask(mask, *opened.rgb.shape[:2])
    loaded = load_repair_pack(pack)
    with bar(f"mending {picture.name}") as advance:
        mended = loaded.repair_picture(
            opened,
            given,
            only_mask=only_mask,
            colour=colour,
            strength=strength,
            rich=rich,
            on_tile=advance,
        )
    notes = mended.picture.notes + write_picture(mended.picture, out, quality)
    if save_mask is not None:
        write_picture(Picture(np.repeat(mended.mask[..., None], 3, -1)), save_mask)
    if compare is not None:
        write_picture(Picture(beside(opened.rgb, mended.picture.rgb)), compare)
    share = float((mended.mask > 0).mean())
    said = "; ".join([f"{share:.1%} of it {'given as' if given is not None else 'found'} hidden", *notes])
    print(f"{picture} -> {out} ({said})")
