"""inkbridge export"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from inkbridge.images import RGB


def export(
    run: Path,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    name: str | None = None,
    title: str | None = None,
    license: str = "",
    data: str = "",
    language: list[str] | None = None,
    last: Annotated[bool, Parameter(negative=())] = False,
    keep: float | None = None,
    rich: Path | None = None,
) -> None:
    """Make a style pack of a training run. Of a style with several looks it takes the one painted best.

    Parameters
    ----------
    run
        The run folder given to `inkbridge train --out`.
    out
        The pack to write; its name ends in .stylepack.
    name
        What people will type after --style (default: from the title).
    title
        The style's name for people (default: the one the run was given).
    license
        Licence text to put into the pack.
    data
        One sentence on the pictures it was trained on.
    language
        A language whose writing it paints as print, as Tesseract names it; once for each.
    last
        Take the state of the end of training instead of the best moment that was measured.
    keep
        Of a run that started --from a pack: this share of what the pack had is kept, 0.5 for half.
    rich
        Of recipe repair: a second run folder, whose network paints with `inkbridge repair --rich`.
    """
    from inkbridge.cli.progress import bar
    from inkbridge.errors import MissingExtraError

    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingExtraError("Exporting", "train") from None
    from inkbridge.metrics.distribution import StyleDistance
    from inkbridge.metrics.quality import QualityMeter
    from inkbridge.train.export import export_run

    def distance(results: list[RGB], pictures: list[RGB]) -> float:
        return sum(StyleDistance(pictures).of(results))

    said: list[str] = []
    with bar("exporting") as advance:
        info = export_run(
            run,
            out,
            name=name,
            title=title,
            license=license,
            data=data,
            languages=language or (),
            last=last,
            keep=keep,
            rich=rich,
            distance=distance,
            measure=QualityMeter,
            say=said.append,
            advance=advance,
        )
    print(*said, sep="\n", end="\n" if said else "")
    difference = info.measured["largest_difference_from_pytorch"]
    seen = info.provenance["images_seen"]
    tried = (
        f"inkbridge repair photo.jpg --pack {out} -o out.jpg"
        if info.kind == "repair"
        else f"inkbridge apply photo.jpg --style {out} -o out.jpg"
    )
    print(f"The state after {seen:,} images{', the last' if last else ''}.")
    print(
        f"{out}: {out.stat().st_size / 1e6:.1f} MB, style '{info.styles[0].name}', "
        f"within {difference:.1e} of PyTorch. Try it: {tried}"
    )
