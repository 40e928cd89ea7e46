"""inkbridge import"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def import_(
    file: Path,
    /,
    *,
    as_: Annotated[str, Parameter(name="--as")],
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    title: str | None = None,
    license: str = "",
    range: str | None = None,
) -> None:
    """Make a style pack of a network that was trained elsewhere.

    Parameters
    ----------
    file
        A .keras file that `inkbridge export --to keras` wrote and that was trained on in Keras; a checkpoint
        of a generator (.pth) of pytorch-CycleGAN-and-pix2pix, CUT or PyTorch's fast-neural-style; or an .onnx
        file that makes a picture of a picture.
    as_
        What people will type after --style.
    out
        The pack to write (default: that name, where packs are looked for: see docs/style-pack.md).
    from_
        The pack that the file was exported from: its licence, preview and sizes come along.
    title
        The style's name for people (default: from the name).
    license
        Licence text to put into the pack.
    range
        Of an .onnx file: its pixels, -1..1, 0..1 or 0..255 (default: found by trying).
    """
    from inkbridge.catalogue import find_pack, user_folder
    from inkbridge.errors import ConfigError, MissingExtraError
    from inkbridge.pack_format import SUFFIX, read_pack

    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingExtraError("Importing", "train") from None
    from inkbridge.exchange.imports import import_file

    source = read_pack(find_pack(from_)[0]) if from_ is not None else None
    if out is None:
        user_folder().mkdir(parents=True, exist_ok=True)
        out = user_folder() / f"{as_}{SUFFIX}"
        if out.exists():
            raise ConfigError(f"{out} is there already; take another name, or say with -o where it goes.")
    imported = import_file(file, as_, out, title=title, license=license, source=source, pixels=range)
    for note in imported.notes:
        print(note)
    print(
        f"{out}: {out.stat().st_size / 1e6:.1f} MB, style '{as_}', within "
        f"{imported.difference:.1e} of {file}. "
        f"Try it: inkbridge apply photo.jpg --style {as_ if out.parent == user_folder() else out} -o out.jpg"
    )
