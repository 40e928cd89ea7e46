"""Inkbridge moves the style of one picture culture onto another's pictures.

import inkbridge
inkbridge.load("ukiyo-e").apply("photo.jpg").save("painting.png")
inkbridge.load_repair_pack("repair").repair("scratched.jpg").save("mended.png")
"""

import os as _os
from typing import TYPE_CHECKING

from inkbridge.errors import (
    ConfigError,
    DataError,
    InkbridgeError,
    MissingExtraError,
    PackError,
    TrainingError,
)

if TYPE_CHECKING:
    from inkbridge.catalogue import list_styles
    from inkbridge.look import Look
    from inkbridge.pack import StylePack, load
    from inkbridge.uses.repair.repairing import RepairPack, load_repair_pack

# ONNX Runtime reports to its maker from 1.29 on unless this is set before it is loaded. Pictures are nobody
# else's business; who wants to report sets it to 0.
_os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "DataError",
    "InkbridgeError",
    "Look",
    "MissingExtraError",
    "PackError",
    "RepairPack",
    "StylePack",
    "TrainingError",
    "__version__",
    "list_styles",
    "load",
    "load_repair_pack",
]


def __getattr__(name: str) -> object:
    # numpy and ONNX Runtime take a quarter of a second to import; `inkbridge --help` needs neither.
    if name == "list_styles":
        from inkbridge.catalogue import list_styles

        return list_styles
    if name == "Look":
        from inkbridge.look import Look

        return Look
    if name in {"StylePack", "load"}:
        from inkbridge import pack

        return pack.StylePack if name == "StylePack" else pack.load
    if name in {"RepairPack", "load_repair_pack"}:
        from inkbridge.uses.repair import repairing

        return repairing.RepairPack if name == "RepairPack" else repairing.load_repair_pack
    raise AttributeError(f"module 'inkbridge' has no attribute '{name}'")
