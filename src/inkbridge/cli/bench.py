"""inkbridge bench"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from inkbridge.images import RGB


def bench(
    pack: str = "ukiyo-e",
    /,
    *,
    picture: Path | None = None,
    keep: Annotated[bool, Parameter(negative=())] = False,
    forget: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Measure on what a pack paints fastest on this machine, and how far that is off.

    Parameters
    ----------
    pack
        The name of a style or of a pack, or the path of a .stylepack file.
    picture
        What is painted (default: a photograph that comes along, enlarged to one megapixel).
    keep
        Paint on the best from now on, wherever --device and --precision do not say otherwise: the fastest of
        those whose difference nobody sees.
    forget
        Paint on the processor again, in float32, and measure nothing.
    """
    from inkbridge.catalogue import find_pack
    from inkbridge.cli.progress import bar
    from inkbridge.devices import devices_here, keep_device
    from inkbridge.errors import ConfigError
    from inkbridge.images import read_picture
    from inkbridge.metrics.colour import to_lab
    from inkbridge.pack import StylePack
    from inkbridge.pack_format import read_pack
    from inkbridge.speed import VISIBLE, best, measure

    if forget:
        if keep:
            raise ConfigError("--keep and --forget cannot be had together.")
        keep_device(None)
        print("Networks run on the processor again, in float32.")
        return 0
    path, _ = find_pack(pack)
    file = read_pack(path)
    StylePack(file, str(path))  # says what is wrong with it, once
    rgb = _a_megapixel() if picture is None else read_picture(picture).rgb
    with bar("painting in turns") as advance:
        speeds = measure(file, str(path), rgb, devices_here(), to_lab, advance)
    print(f"{file.info.title}, a picture of {rgb.shape[1]} x {rgb.shape[0]}:\n")
    print(f"{'device':22}{'s/megapixel':>13}{'times as fast':>15}{'memory, MB':>13}{'difference':>13}")
    first = speeds[0]
    for speed in speeds:
        if speed.error:
            print(f"{speed.device!s:22}  {speed.error}")
            continue
        print(
            f"{speed.device!s:22}{speed.seconds:13.3f}{first.seconds / speed.seconds:15.2f}"
            f"{speed.memory / 1e6:13.0f}{speed.difference:13.2f}"
        )
    print(
        f"\nDifference: of colours from those of the first line, what 999 of 1,000 pixels stay below; from "
        f"{VISIBLE:g} on people see it."
    )
    chosen = best(speeds)
    if chosen is None:
        print("inkbridge: nothing here paints this pack (see above).", file=sys.stderr)
        return 1
    if keep:
        place = keep_device(chosen.device)
        print(f"Networks run on {chosen.device} from now on ({place}; inkbridge bench --forget).")
    else:
        precise = f" --precision {chosen.device.precision}" if chosen.device.precision != "float32" else ""
        print(f"Best: --device {chosen.device.name}{precise}; inkbridge bench --keep makes it the default.")
    return 0


def _a_megapixel() -> RGB:
    import numpy as np
    from PIL import Image

    import inkbridge

    with Image.open(Path(inkbridge.__file__).parent / "web" / "sample.jpg") as sample:
        scale = (1e6 / (sample.width * sample.height)) ** 0.5
        size = round(sample.width * scale), round(sample.height * scale)
        return np.asarray(sample.convert("RGB").resize(size, Image.Resampling.LANCZOS))
