"""inkbridge adapt"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def adapt(
    pack: str,
    /,
    *,
    style: str,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    minutes: float = 5.0,
) -> None:
    """Add a style to a finished pack from 1 to 20 pictures; the old styles stay what they were.

    Parameters
    ----------
    pack
        A pack's name or the path of a .stylepack file.
    style
        NAME=FOLDER: what people will type, and the folder of pictures.
    out
        The pack to write; its name ends in .stylepack.
    minutes
        Learn for this long.
    """
    from inkbridge.errors import ConfigError, MissingExtraError

    name, equals, folder = style.partition("=")
    if not equals or not name:
        raise ConfigError(f"--style {style}: write it as NAME=FOLDER, for example --style hokusai=prints/")
    if minutes <= 0:
        raise ConfigError(f"--minutes {minutes:g} cannot be used: it must be more than 0.")
    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingExtraError("Adapting", "train") from None
    from inkbridge.catalogue import find_pack
    from inkbridge.cli.progress import bar
    from inkbridge.train.adapt import adapt as learn

    path, _ = find_pack(pack)
    with bar(f"learning {name}") as advance:
        written = learn(
            path,
            name,
            Path(folder),
            out,
            minutes=minutes,
            report=lambda progress, _: advance(int(1000 * progress), 1000),
            say=print,
        )
    print(
        f"{out}: {len(written.info.styles)} styles. "
        f"Try it: inkbridge apply photo.jpg --pack {out} --style {name} -o out.jpg"
    )
