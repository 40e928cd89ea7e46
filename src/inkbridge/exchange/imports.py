"""`inkbridge import`: what was trained elsewhere becomes a style pack."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inkbridge import __version__
from inkbridge.errors import ConfigError, DataError, TrainingError, first_line
from inkbridge.exchange.foreign import foreign_network
from inkbridge.exchange.formats import MAX_DIFFERENCE, Floats, channels_first, keras_run, prepare_keras, quiet
from inkbridge.exchange.from_onnx import probe
from inkbridge.exchange.standalone import border_of, painted_by_pack
from inkbridge.images import to_network
from inkbridge.pack_format import PackFile, PackInfo, SizeRules, StyleEntry, check_pack_name, write_pack
from inkbridge.train.adapt import contents
from inkbridge.train.export import TILES_DIFFER, to_name, to_onnx, to_title
from inkbridge.train.networks.folded import Folded

CODE = [0.0]
"""Imported networks have one style, and take no code."""
FLAT = 0.02
"""A network whose answer to noise varies by less, on a range of 2, paints nothing."""


@dataclass
class Found:
    """A network of another toolkit, or one of ours that was trained on there."""

    generator: bytes
    """ONNX, as a pack has it."""
    size: SizeRules
    run: Callable[[Floats], Floats]
    """What it answers there: 1 x 3 x H x W in [-1, 1], of sides that fit `size`, -> the same."""
    origin: str
    """What it is, in a few words."""
    notes: list[str] = field(default_factory=list)
    """What the user is told."""


@dataclass
class Imported:
    """What became of a file."""

    info: PackInfo
    difference: float
    notes: list[str]


def import_file(
    path: Path,
    name: str,
    out: Path,
    *,
    title: str | None = None,
    license: str = "",
    source: PackFile | None = None,
    pixels: str | None = None,
) -> Imported:
    """Make a style pack of a .keras file of ours, a checkpoint of a known toolkit (.pth), or an ONNX network.

    `name` is what people will type. `source` is the pack that it was exported from: licence, preview and the
    size at which pictures are painted come from there. `pixels` is the range of pixels of an
    ONNX network, where it cannot be told (`from_onnx.RANGES`). The pack is compared with the file's own
    network at two sizes before it is written. Raises DataError for a file that is none of these, damaged or
    hostile, ConfigError for a name that cannot be typed, TrainingError when the two differ.
    """
    check_pack_name(out)
    if to_name(name) != name:
        raise ConfigError(
            f"--as {name} cannot be used: take lower case, digits and hyphens ({to_name(name)})."
        )
    if not path.is_file():
        raise DataError(f"{path} does not exist. Check the name.")
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise DataError(f"{path}: only {', '.join(_READERS)} files are imported.")
    if pixels is not None and read is not _from_onnx:
        raise ConfigError(f"--range goes with .onnx files; how {path} takes pixels is known.")
    found = read(path, pixels)
    title = title or to_title(name)
    if source is not None:
        found.size.short_side = source.info.size.short_side
        found.size.working_side = source.info.size.working_side
        license = license or source.license
    info = PackInfo(
        title,
        [StyleEntry(name, title, CODE)],
        found.size,
        "",
        provenance={
            "inkbridge": __version__,
            "imported": f"{path.name}: {found.origin}",
            **(
                {"data": source.info.provenance["data"]}
                if source and "data" in source.info.provenance
                else {}
            ),
            **({"tiles": TILES_DIFFER} if TILES_DIFFER in found.notes else {}),
            **({"notes": found.notes} if found.notes else {}),
        },
    )
    file = PackFile(info, found.generator, None, source.preview if source else None, license)
    difference = _difference(found, file, str(path))
    info.measured["largest_difference_from_imported"] = difference
    write_pack(out, file)
    return Imported(info, difference, found.notes)


def _difference(found: Found, file: PackFile, name: str) -> float:
    """From the file's own network; TrainingError when it is too large, or nothing is painted at all."""
    multiple, code = found.size.multiple, np.array([CODE], np.float32)
    rng, largest = np.random.default_rng(0), 0.0
    # Packs show a network `least_seen`, two multiples at most; earlier Keras files mirror a picture once.
    least = border_of(file) + 2 * multiple
    for sides in ((96, 128), (136, 72)):
        height, width = (-(-max(side, least) // multiple) * multiple for side in sides)
        image = rng.uniform(-1, 1, (1, 3, height, width)).astype(np.float32)
        painted = painted_by_pack(file, name, code, image)
        expected = found.run(image)
        if not np.isfinite(painted).all() or painted.std() < FLAT:
            raise TrainingError(f"{name}: the network paints all pixels alike; it was not imported.")
        if painted.shape != expected.shape:
            raise TrainingError(f"{name}: the network gives another size than it takes; it was not imported.")
        largest = max(largest, float(np.abs(painted - expected).max()))
    if not largest <= MAX_DIFFERENCE:
        raise TrainingError(
            f"{name}: the pack differs from the file by {largest:.2g} (allowed {MAX_DIFFERENCE}); "
            "nothing was written."
        )
    return largest


def _size_of(network: Any, border: int | None) -> SizeRules:
    overlap = -(-network.receptive_radius() // network.multiple) * network.multiple
    return SizeRules(network.multiple, overlap, border=border)


def _from_keras(path: Path, pixels: str | None) -> Found:
    with quiet():
        prepare_keras("keras")
        from inkbridge.exchange.from_keras import network_from_keras

        network, border, model = network_from_keras(path)
    run = channels_first(keras_run(model))
    notes = [] if isinstance(network, Folded) else [TILES_DIFFER]
    return Found(to_onnx(network), _size_of(network, border), run, "a generator of Inkbridge's", notes)


def _from_torch(path: Path, pixels: str | None) -> Found:
    try:
        # Nothing but tensors is unpickled, so that nothing that came along is executed.
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and torch raise many kinds on broken and hostile files
        said = (
            "it holds more than weights" if isinstance(error, pickle.UnpicklingError) else first_line(error)
        )
        raise DataError(f"{path} cannot be read as weights of PyTorch ({said}).") from None
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        raise DataError(f"{path} is no state dict (names of layers and their weights).")
    network, layout = foreign_network(state, str(path))

    def run(image: Floats) -> Floats:
        with torch.no_grad():
            result: Floats = network(torch.from_numpy(image)).numpy()
        return result

    norms = {type(module) for module in network.modules()}
    notes = [TILES_DIFFER] if nn.InstanceNorm2d in norms else []
    if nn.BatchNorm2d in norms:
        notes.append("Batch norms take the statistics of training (as with --eval there).")
    return Found(to_onnx(network), _size_of(network, network.border), run, layout.title, notes)


def _from_onnx(path: Path, pixels: str | None) -> Found:
    photographs = [to_network(photograph) for photograph in contents()[:4]]
    probed = probe(path, photographs, pixels)
    order = "N x 3 x H x W" if probed.channels_first else "N x H x W x 3"
    notes = [
        f"Found by trying: {order}, pixels from {probed.pixels}, sides in multiples of {probed.multiple}."
    ]
    if probed.everywhere:
        notes.append(TILES_DIFFER)
    size = SizeRules(probed.multiple, probed.overlap, border=0)
    return Found(probed.model, size, probed.run, "ONNX", notes)


_READERS: dict[str, Callable[[Path, str | None], Found]] = {
    ".keras": _from_keras,
    ".pth": _from_torch,
    ".pt": _from_torch,
    ".onnx": _from_onnx,
}
