"""inkbridge damage"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def damage(
    picture: Path,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    kinds: str | None = None,
    strength: float = 0.5,
    seed: int = 0,
    mask: Path | None = None,
) -> None:
    """Damage a picture as time, hands and machines do: to see what repair learns from, and to try it.

    Parameters
    ----------
    picture
        The picture to damage; it stays as it is.
    out
        The damaged picture to write.
    kinds
        Which, with commas between and with strengths if you like: scratches,faded:0.8 (default: some, at
        random). faded, yellowed, cast, uneven; stains, foxing, water, dust, scratches, creases, holes, tears;
        low-resolution, blur, grain, noise, halftone, jpeg.
    strength
        Of kinds without one of their own: above 0, up to 1.
    seed
        Another number damages it elsewhere.
    mask
        A picture to write too: white where the sheet was hurt.
    """
    import numpy as np

    from inkbridge.damage import damage as damaged_by
    from inkbridge.damage import draw_kinds
    from inkbridge.errors import ConfigError
    from inkbridge.images import Picture, check_writable_beside, read_picture, write_picture

    for path in (out, mask):
        if path is not None:
            check_writable_beside(path, picture)
    chosen: dict[str, float] = {}
    for entry in kinds.split(",") if kinds else []:
        name, colon, own = entry.strip().partition(":")
        try:
            chosen[name] = float(own) if colon else strength
        except ValueError:
            raise ConfigError(f"--kinds {entry}: write it as KIND or KIND:STRENGTH.") from None
    opened = read_picture(picture)
    rng = np.random.default_rng(seed)
    # What is drawn may be nothing; whoever asks for damage wants some.
    while not chosen:
        chosen = dict.fromkeys(draw_kinds(rng), strength)
    made = damaged_by(opened.rgb, chosen, seed)
    opened.rgb = made.rgb
    notes = opened.notes + write_picture(opened, out)
    if mask is not None:
        write_picture(Picture(np.repeat(made.mask[..., None], 3, -1)), mask)
    named = ", ".join(f"{name} {value:g}" for name, value in chosen.items())
    print(f"{picture} -> {out} ({'; '.join([named, *notes])})")
