"""Which pictures, and which codes, stand for a style.

A folder may hold several looks: gray ink on pale paper, gold on silk. The code that was learned for all of
them at once paints their mean, which is none of them: rose and brown, and flatter than each. With a style
encoder a style can be led by single pictures, its looks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from inkbridge.eye import Eye
from inkbridge.images import RGB
from inkbridge.look import Code
from inkbridge.pack import StylePack

MOST_LOOKS = 4
LEAST_PICTURES = 20
"""For each group that is sought."""
NEARER = 0.9
"""A group's look must be within this share of the learned one's distance: any pictures fall into groups."""
MOST_READ, MOST_PAINTED = 400, 12
MOST_WINDOWS = 9
LOOKED_AT = 160
"""Short side, in pixels, at which the eye tells pictures apart."""

Distance = Callable[[list[RGB], list[RGB]], float]
"""How far results are, taken together, from pictures."""
Distances = Callable[[list[RGB], list[RGB]], Distance]
"""Contents and all pictures of a style -> what tells how far results of those contents are from some of
these."""
Floats = npt.NDArray[np.float32]


def choose_looks(pictures: Sequence[RGB], num: int, sharp: Sequence[bool] = ()) -> list[int]:
    """Places of `num` pictures (all of fewer), one of each group, the largest group first.

    Groups are those of k-means on what the bundled eye sees of each H x W x 3 uint8 picture: the mean of each
    feature map, in units of its spread among the pictures. The picture nearest to the middle of its group
    stands for it; of a group that has some that are `sharp`, told for each of the pictures or for none, the
    nearest of those. Of many pictures up to `MOST_READ` are looked at.
    """
    if len(pictures) <= num:
        return list(range(len(pictures)))
    places = np.linspace(0, len(pictures) - 1, min(MOST_READ, len(pictures))).round().astype(int)
    eye = Eye()
    seen = np.stack([_means_and_spreads(eye, pictures[i])[0] for i in places])
    seen = (seen - seen.mean(0)) / (seen.std(0) + 1e-3 * seen.std())
    group, means = k_means(seen, num)
    sizes = np.bincount(group, minlength=len(means))
    far = _squared(seen, means)
    dull = ~np.asarray(sharp)[places] if len(sharp) else np.zeros(len(places), bool)

    def typical(i: int) -> int:
        (of_group,) = np.nonzero(group == i)
        return int(places[min(of_group, key=lambda place: (dull[place], far[place, i]))])

    return [typical(i) for i in np.argsort(-sizes) if sizes[i]]


def typical_window(picture: RGB, side: int) -> RGB:
    """Of an H x W x 3 uint8 picture the side x side window that the eye finds most like the whole, as a view.

    Windows overlap by half and more, and there are at most `MOST_WINDOWS` in each direction; a side that the
    picture has not becomes its short side. Means and spreads of feature maps are compared, those of the whole
    pooled from all windows. A bare window has its own means, and less spread. Of windows that are equally
    like the whole, the one nearest to the middle is taken.
    """
    height, width = picture.shape[:2]
    side = min(side, height, width)
    tops, lefts = (_starts(length, side) for length in (height, width))
    corners = [(top, left) for top in tops for left in lefts]
    eye = Eye()
    windows = [picture[top : top + side, left : left + side] for top, left in corners]
    means, spreads = np.stack([_means_and_spreads(eye, window) for window in windows], axis=1)
    mean = means.mean(0)
    spread = np.sqrt((np.square(spreads) + np.square(means - mean)).mean(0))
    traits, wanted = np.concatenate([means, spreads], 1), np.concatenate([mean, spread])
    far = np.square((traits - wanted) / (traits.std(0) + 1e-3 * traits.std() + 1e-9)).mean(1)
    off = [max(abs(2 * top + side - height), abs(2 * left + side - width)) for top, left in corners]
    return windows[min(range(len(windows)), key=lambda i: (round(float(far[i]), 2), off[i]))]


def _starts(length: int, side: int) -> list[int]:
    """Where windows begin along one direction: at both ends, in the middle, and between."""
    if length == side:
        return [0]
    num = min(max(1 + math.ceil(2 * (length - side) / side), 3), MOST_WINDOWS)
    starts: list[int] = np.linspace(0, length - side, num).round().astype(int).tolist()
    return starts


def best_look(
    pack: StylePack, codes: Code, pictures: Sequence[RGB], contents: Sequence[RGB], distances: Distances
) -> int:
    """Which of a style's looks (codes, num x dim) makes of `contents` what is nearest to its `pictures`.

    Of many, up to `MOST_READ` pictures and `MOST_PAINTED` contents are looked at.
    """
    read, painted = spread(pictures, MOST_READ), spread(contents, MOST_PAINTED)
    distance = distances(painted, read)
    return int(
        np.argmin([distance([pack.apply(one, code[None]) for one in painted], read) for code in codes])
    )


def choose_look(
    pack: StylePack, code: Code, pictures: Sequence[RGB], contents: Sequence[RGB], distances: Distances
) -> tuple[Code, int]:
    """The code (1 x dim) of the look that the pack paints most faithfully, and how many pictures have it.

    Looks are `code`, learned for a style, which stands for all its `pictures`, and for each group of them (at
    most `MOST_LOOKS`, by k-means of what the pack's style encoder reads) the mean reading. Most faithful is
    the one whose painted `contents` are nearest to the pictures that it stands for. Pictures and contents are
    H x W x 3 uint8; of many, up to `MOST_READ` and `MOST_PAINTED` are looked at.
    """
    read = spread(pictures, MOST_READ)
    num = min(MOST_LOOKS, len(read) // LEAST_PICTURES)
    if num < 2:
        return code, len(pictures)
    looks = [(code, read)]
    group, means = k_means(np.concatenate([pack.code(like=[picture]) for picture in read]), num)
    for i, mean in enumerate(means):
        alike = [picture for picture, of in zip(read, group, strict=True) if of == i]
        if len(alike) >= LEAST_PICTURES:
            looks.append((mean[None], alike))
    painted = spread(contents, MOST_PAINTED)
    distance = distances(painted, read)
    far = [distance([pack.apply(content, look) for content in painted], of) for look, of in looks]
    chosen = int(np.argmin(far))
    if far[chosen] > NEARER * far[0]:
        return code, len(pictures)
    look, of = looks[chosen]
    return look, round(len(of) * len(pictures) / len(read))


def k_means(rows: Floats, num: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """The group of each row, and the mean of each of up to `num` groups; the same rows give the same groups.

    Lloyd 1982, "Least squares quantization in PCM", from the starts of k-means++ (Arthur and Vassilvitskii
    2007, section 2.2), the best of ten.
    """
    rng = np.random.default_rng(0)
    best, least = (np.zeros(len(rows), np.int64), rows[:1]), np.inf
    for _ in range(10):
        means = rows[rng.integers(len(rows))][None]
        while len(means) < num and (apart := _squared(rows, means).min(1)).any():
            means = np.concatenate([means, rows[rng.choice(len(rows), 1, p=apart / apart.sum())]])
        for _ in range(50):
            group = _squared(rows, means).argmin(1)
            means = np.stack(
                [rows[group == i].mean(0) if (group == i).any() else m for i, m in enumerate(means)]
            )
        squared = _squared(rows, means)
        if squared.min(1).sum() < least:
            best, least = (squared.argmin(1), means), squared.min(1).sum()
    return best


def _means_and_spreads(eye: Eye, picture: RGB) -> tuple[Floats, Floats]:
    """Those of the eye's feature maps, but for the two deepest, which tell things."""
    maps = eye.maps(picture, LOOKED_AT)[:-2]
    means, spreads = ([of(found, axis=(1, 2)) for found in maps] for of in (np.mean, np.std))
    return np.concatenate(means), np.concatenate(spreads)


def _squared(rows: Floats, means: Floats) -> npt.NDArray[np.float64]:
    return np.square(rows[:, None].astype(np.float64) - means[None]).sum(2)


def spread(pictures: Sequence[RGB], most: int) -> list[RGB]:
    """At most so many, from the whole sequence."""
    return [
        pictures[i] for i in np.linspace(0, len(pictures) - 1, min(most, len(pictures))).round().astype(int)
    ]
