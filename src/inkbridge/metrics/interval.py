"""How sure a mean of few pictures is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def bootstrap_interval(
    values: Sequence[float], level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Lower and upper end of the `level` confidence interval of the mean (percentile bootstrap, Efron 1979).

    One value gives itself twice. Raises ValueError for none.
    """
    array = np.asarray(values, np.float64)
    if not len(array):
        raise ValueError("no values")
    drawn = np.random.default_rng(seed).integers(0, len(array), (resamples, len(array)))
    low, high = np.quantile(array[drawn].mean(1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
