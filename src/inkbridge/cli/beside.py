"""Before and after in one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inkbridge.images import RGB


def beside(before: RGB, after: RGB) -> RGB:
    """Two pictures of one size side by side, wide ones one above the other."""
    import numpy as np

    return np.concatenate([before, after], 1 if before.shape[1] <= 1.5 * before.shape[0] else 0)
