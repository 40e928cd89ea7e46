"""inkbridge distill"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def distill(
    pack: str,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    budget: float = 0.5,
    content: Path | None = None,
    minutes: float = 60.0,
) -> None:
    """Teach a pack's generator to a smaller one, which paints nearly the same in less time.

    Stopped with Ctrl-C, or killed, the same command goes on where it was.

    Parameters
    ----------
    pack
        A pack's name or the path of a .stylepack file; all of its styles are taught.
    out
        The pack to write; its name ends in .stylepack.
    budget
        How much of the time of the pack's own generator the smaller one may take, on this machine.
    content
        A folder of photographs like those that will be painted (default: 24 small ones that come along).
    minutes
        Teach for this long.
    """
    from inkbridge.errors import ConfigError, MissingExtraError

    if minutes <= 0:
        raise ConfigError(f"--minutes {minutes:g} cannot be used: it must be more than 0.")
    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingExtraError("Distilling", "train") from None
    from inkbridge.catalogue import find_pack
    from inkbridge.cli.progress import bar
    from inkbridge.train.distill import distill as teach

    path, _ = find_pack(pack)
    with bar(f"teaching {path.stem}") as advance:
        done = teach(
            path,
            out,
            budget=budget,
            content=content,
            minutes=minutes,
            report=lambda progress, _: advance(int(1000 * progress), 1000),
            say=print,
        )
    unseen = (
        f"; {done.difference:.1f} of 255 off on photographs that it did not see" if done.held_back else ""
    )
    print(f"{out}: {done.share:.2f} of the time of {path.name}, after {done.crops_seen:,} crops{unseen}.")
