"""How well a text was read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def edit_distance(read: str, truth: str) -> int:
    """Fewest characters to insert, delete or replace to turn one into the other (Levenshtein 1966)."""
    row = list(range(len(truth) + 1))
    for done, char in enumerate(read, 1):
        before, row[0] = row[0], done
        for at, wanted in enumerate(truth, 1):
            before, row[at] = row[at], min(before + (char != wanted), row[at] + 1, row[at - 1] + 1)
    return row[-1]


def character_errors(read: str, truth: str) -> tuple[int, int]:
    """(errors, characters) of a line. Spaces do not count: recognisers and people set them differently."""
    read, truth = ("".join(text.split()) for text in (read, truth))
    return edit_distance(read, truth), len(truth)


def character_error_rate(
    lines: Sequence[tuple[int, int]], level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """Errors a character over (errors, characters) of many lines, and the ends of its interval.

    The interval is a percentile bootstrap over lines (Efron 1979): errors within a line depend on one
    another. Raises ValueError without any character.
    """
    counts = np.asarray(lines, np.float64).reshape(-1, 2)
    if not counts[:, 1].sum():
        raise ValueError("no characters")
    drawn = counts[np.random.default_rng(seed).integers(0, len(counts), (resamples, len(counts)))].sum(1)
    rates = drawn[:, 0] / np.maximum(drawn[:, 1], 1.0)
    low, high = np.quantile(rates, [(1 - level) / 2, (1 + level) / 2])
    errors, characters = counts.sum(0)
    return float(errors / characters), float(low), float(high)
