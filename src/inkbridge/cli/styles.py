"""inkbridge styles"""

from __future__ import annotations

import sys


def styles() -> None:
    """List the styles that are at hand."""
    from inkbridge.catalogue import scan, user_folder

    found, problems = scan()
    width = max((len(style.name) for style in found), default=0)
    for style in found:
        origin = f"bundled pack {style.pack.stem}" if style.bundled else str(style.pack)
        print(f"{style.name:<{width}}  {style.title}  ({origin})")
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr)
    print(f"Your own packs are looked for in {user_folder()}.")
