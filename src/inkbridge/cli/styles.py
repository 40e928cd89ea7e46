"""inkbridge styles"""

from __future__ import annotations


def styles() -> None:
    """List the styles that are at hand."""
    from inkbridge.catalogue import list_styles, user_folder

    found = list_styles()
    width = max((len(style.name) for style in found), default=0)
    for style in found:
        origin = "bundled" if style.bundled else str(style.pack)
        print(f"{style.name:<{width}}  {style.title}  ({origin})")
    print(f"Your own packs are looked for in {user_folder()}.")
