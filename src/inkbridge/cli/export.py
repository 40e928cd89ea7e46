"""inkbridge export"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def export(
    source: Path,
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
    to: str | None = None,
    style: Annotated[list[str] | None, Parameter(name=["--style", "-s"], negative=())] = None,
    eye: str = "squeezenet11",
) -> None:
    """Make a style pack of a training run, or with --to of a pack what other frameworks load.

    Of a style with several looks the pack takes the one painted best.

    Parameters
    ----------
    source
        The run folder given to `inkbridge train --out`; with --to a name from `inkbridge styles` or a file.
    out
        The pack to write; its name ends in .stylepack. With --to the file, or for savedmodel the folder.
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
        Take the state of the end of training instead of the best moment that was measured (recipe exemplar:
        always).
    keep
        Of a run that started --from a pack: this share of what the pack had is kept, 0.5 for half.
    rich
        Of recipe repair: a second run folder, whose network paints with `inkbridge repair --rich`.
    to
        Of a pack: keras (a Keras 3 model), savedmodel (TensorFlow), tflite (LiteRT), onnx or torchscript.
    style
        With --to: the style; repeat it, with weights, to fuse several (default: the pack's first).
    eye
        The network that judges what is painted best: an ONNX file in place of the bundled one; none: pixels.
    """
    from inkbridge.cli.progress import bar
    from inkbridge.errors import ConfigError, MissingExtraError

    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingExtraError("Exporting", "train") from None
    if to is not None:
        _export_pack(source, to, out, style or [])
        return
    if style:
        raise ConfigError("--style goes with --to; the styles of a run were named when it was started.")
    if source.suffix == ".stylepack":
        raise ConfigError(f"{source} is a pack already. For other frameworks say --to keras, onnx, ...")
    from inkbridge.metrics.quality import Quality
    from inkbridge.train.export import export_run

    quality = Quality(eye)
    said: list[str] = []
    with bar("exporting") as advance:
        info = export_run(
            source,
            out,
            name=name,
            title=title,
            license=license,
            data=data,
            languages=language or (),
            last=last,
            keep=keep,
            rich=rich,
            distances=quality.distance,
            measure=quality,
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


def _export_pack(source: Path, to: str, out: Path, style: list[str]) -> None:
    from inkbridge.exchange.formats import export_pack
    from inkbridge.look import weighted_name
    from inkbridge.pack import load

    pack = load(source)
    styles = dict(weighted_name(entry) for entry in style)
    code = pack.code(styles or None)
    difference = export_pack(pack.file, pack.name, code, to, out)
    size = sum(path.stat().st_size for path in [out, *out.rglob("*")] if path.is_file())
    print(
        f"{out}: {size / 1e6:.1f} MB, {' and '.join(styles) or pack.default_style}, "
        f"within {difference:.1e} of the pack. How to load it: docs/keras.md"
    )
    if side := pack.info.size.working_side:
        print(
            "The generator alone, without the enlarger: strokes are as broad as in the style in pictures "
            f"whose short side is {side} pixels."
        )
    licence = pack.license.strip() or "the pack names none"
    print(f"Licence: {licence.splitlines()[0]}")
