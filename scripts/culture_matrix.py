"""Cultural distance between all folders given, as a Markdown table, and whether its order is stable.

python scripts/culture_matrix.py FOLDER FOLDER ... > table.md

On the diagonal: random halves of one folder. At most 100 pictures of each folder are looked at. Stable: the
order of all pairs by distance, measured on random halves, against that on all pictures (Spearman's rank
correlation).
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np

from inkbridge.images import find_pictures, read_picture
from inkbridge.inspect.culture import Traits, cultural_distance
from inkbridge.inspect.survey import look_at

DRAWS = 10


def main() -> None:
    folders = [Path(argument) for argument in sys.argv[1:]]
    sets: dict[str, list[Traits]] = {}
    for folder in folders:
        files = find_pictures(folder)
        files = files[:: max(1, len(files) // 100)]
        sets[folder.name] = [look_at(file, read_picture(file).rgb).traits for file in files]
    rng = np.random.default_rng(0)
    print("| | " + " | ".join(sets) + " |")
    print("|---" * (len(sets) + 1) + "|")
    for name, ours in sets.items():
        cells = []
        for other, theirs in sets.items():
            if name == other:
                halves = np.array_split(rng.permutation(len(ours)), 2)
                a, b = ([ours[i] for i in half] for half in halves)
                cells.append(f"*{cultural_distance(a, b).total:.3f}*" if len(halves[1]) > 1 else "-")
            else:
                cells.append(f"{cultural_distance(ours, theirs).total:.3f}")
        print(f"| {name} | " + " | ".join(cells) + " |")

    # Halves of fewer than four pictures say nothing of the order.
    large = {name: found for name, found in sets.items() if len(found) >= 8}
    pairs = list(itertools.combinations(large, 2))
    whole = [cultural_distance(large[a], large[b]).total for a, b in pairs]
    correlations, lowest = [], 0
    for _ in range(DRAWS):
        halves = {name: rng.permutation(len(found)) for name, found in large.items()}
        first = {n: [large[n][i] for i in order[: len(order) // 2]] for n, order in halves.items()}
        second = {n: [large[n][i] for i in order[len(order) // 2 :]] for n, order in halves.items()}
        drawn = [cultural_distance(first[a], second[b]).total for a, b in pairs]
        correlations.append(np.corrcoef(ranks(whole), ranks(drawn))[0, 1])
        own = [cultural_distance(first[name], second[name]).total for name in large]
        lowest += max(own) < min(drawn)
    print(
        f"\n{DRAWS} draws of random halves: rank correlation {min(correlations):.3f} to "
        f"{max(correlations):.3f}; every folder nearer to its own half than any pair in {lowest} of {DRAWS}."
    )


def ranks(values: list[float]) -> np.ndarray:
    return np.argsort(np.argsort(values))


if __name__ == "__main__":
    main()
