"""The generator's losses beside the adversarial one: functions that return one number to be minimised.

Each loss averages over its batch, so that its weight does not depend on the batch size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def patch_nce(query: Tensor, key: Tensor, temperature: float = 0.07) -> Tensor:
    """Patch-contrastive loss: each place of the result must know its own place in the content.

    `query` and `key` are N x P x C unit vectors of the result and of the content at the same P places;
    the P - 1 other places of the same picture are the negatives. A value for each picture. Park et al. 2020,
    Eq. 2.
    """
    similarity = torch.bmm(query, key.detach().transpose(1, 2)) / temperature
    target = torch.arange(query.shape[1], device=query.device).repeat(query.shape[0])
    return F.cross_entropy(similarity.flatten(0, 1), target, reduction="none").view(query.shape[:2]).mean(1)


def laplacian_pyramid(image: Tensor, num_levels: int) -> list[Tensor]:
    """N x C x H x W -> `num_levels` band-pass pictures, finest first; the last is the low-pass rest."""
    levels = []
    for _ in range(num_levels - 1):
        low = F.avg_pool2d(image, 2)
        levels.append(image - F.interpolate(low, scale_factor=2.0, mode="bilinear"))
        image = low
    return [*levels, image]


def random_directions(dim: int, num: int, rng: torch.Generator) -> Tensor:
    """`num` random unit vectors as the columns of a dim x num matrix."""
    return F.normalize(torch.randn(dim, num, generator=rng), dim=0)


@dataclass
class Fusion:
    """The second style of a fusion, as `sliced_wasserstein` needs it."""

    styles: Sequence[Tensor]
    earlier: Sequence[Tensor]
    share: float
    """How much of it: 0 none, 1 nothing else."""


def barycentre(first: Tensor, second: Tensor, share: float) -> Tensor:
    """Rows x n and rows x m -> rows x min(n, m): the distributions between, `share` of the way to the second.

    In one dimension the Wasserstein barycentre is the mean of values of equal rank (Agueh and Carlier 2011,
    section 6.1), and the way along it the straight one: the distance from the first grows in proportion to
    `share`, that from the second falls.
    """
    num = min(first.shape[1], second.shape[1])
    ranks = [((torch.arange(num) + 0.5) * (side.shape[1] / num)).long() for side in (first, second)]
    return torch.lerp(_sorted(first)[:, ranks[0]], _sorted(second)[:, ranks[1]], share)


def affinity(result: Tensor, content: Tensor, pool: int = 8, spread: float = 0.1) -> Tensor:
    """Places of like colour in the content are to have like colour in the result.

    mean over all pairs of places i, j of exp(-|c_i - c_j|^2 / (2 spread^2)) |r_i - r_j|, c and r being the
    mean colours of `pool` x `pool` pixels of N x 3 x H x W pictures. The affinity is that of spectral
    clustering (Shi and Malik 2000, Eq. 11), without its term of nearness: a sky is one colour from end to
    end, so a halo round a figure before it costs. Texture finer than `pool` is free.
    """
    ours, theirs = (F.avg_pool2d(side, pool).flatten(2).transpose(1, 2) for side in (result, content))
    alike = torch.exp(-torch.cdist(theirs, theirs).square() / (2 * spread**2))
    apart = ((ours[:, :, None] - ours[:, None]).square().sum(3) + 1e-6).sqrt()
    return (alike * apart).mean()


def self_similarity(result: Tensor, content: Tensor, pool: int = 8) -> Tensor:
    """Places of unlike colour in the content are to be as unlike, for the result, in the result.

    mean over all pairs of places i, j of |d(r_i, r_j) / (mean d + 0.1) - d(c_i, c_j) / (mean d + 0.1)|, r and
    c being the mean colours of `pool` x `pool` pixels of N x 3 x H x W pictures. Which colours they become is
    left to the other losses: blue and brown of one lightness are only to stay apart. The content loss of
    Kolkin et al. 2019 (there of deep features).
    """
    ours, theirs = (_relative_distances(F.avg_pool2d(side, pool)) for side in (result, content))
    return (ours - theirs).abs().mean()


def _relative_distances(colours: Tensor) -> Tensor:
    red, green, blue = colours.unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    # In photographs lightness differs far more than hue, and alone would decide.
    seen = torch.stack([luma, 2.5 * (red - luma), 2.5 * (blue - luma)], 1).flatten(2).transpose(1, 2)
    apart = ((seen[:, :, None] - seen[:, None]).square().sum(3) + 1e-6).sqrt()
    return apart / (apart.mean((1, 2), keepdim=True) + 0.1)


def redraw(result: Tensor, style: Tensor, pool: int = 8) -> Tensor:
    """mean |h(G(d(y)) - y)|: a style picture y, painted from its disguise d(y), is to be drawn as it was.

    h takes away what is coarser than `pool` pixels, the palette: d(y) does not tell it, and the safest answer
    to what cannot be known is the mean colour of the folder, a brown one for old silk. What is left are
    outlines, strokes and areas without any. The idea of denoising autoencoders (Vincent et al. 2008, Eq. 5),
    by which also image-to-image generators are prepared (Torbunov et al. 2023, section 3.2, by inpainting);
    here with the content's colours as the noise, and beside the adversarial loss throughout.
    """
    difference = result - style
    palette = F.interpolate(F.avg_pool2d(difference, pool), scale_factor=float(pool), mode="bilinear")
    return (difference - palette).abs().mean()


def sliced_wasserstein(
    results: Sequence[Tensor],
    styles: Sequence[Tensor],
    directions: Sequence[Tensor],
    rng: torch.Generator,
    earlier: Sequence[Tensor] = (),
    fused_with: Fusion | None = None,
    contents: Sequence[Tensor] = (),
    places: int = 16,
) -> Tensor:
    """Distance between the patch distributions of results and style pictures, over pyramid levels.

    Patches of each level are projected on random directions; in one dimension the Wasserstein distance
    is the mean difference of values of equal rank (Rabin et al. 2011; Karras et al. 2018, section 5, for
    the pyramid). Patches are square, of as many numbers as the level's directions have. Each direction is
    divided by the spread of the style's projections on it, so that fine levels count as much as coarse ones.
    `results`, `styles` and `earlier` hold one N x C x H x W tensor for each level, N differing as it likes;
    about `places` x `places` patches of each result are looked at, and a quarter as many of each style
    picture and of each of `earlier`, results of earlier updates among which ranks are taken too. With
    `fused_with` the target, and what is among the earlier results, are barycentres of both styles. With
    `contents`, the levels of contents, band-pass levels of results may be as empty as those (`as_empty`).
    """
    total = results[0].new_zeros(())
    for i, (result, style, direction) in enumerate(zip(results, styles, directions, strict=True)):
        patch = math.isqrt(len(direction) // result.shape[1])
        kernel = direction.t().reshape(direction.shape[1], result.shape[1], patch, patch)
        side = min(result.shape[2:]) - patch + 1
        stride, coarse = max(side // places, 1), max(2 * side // places, 1)
        ours = _projections(result, kernel, stride, rng)
        with torch.no_grad():
            empty_like = contents[i] if contents and i < len(results) - 1 else None
            theirs = _projections(style, kernel, coarse, rng, empty_like)
            others = _projections(earlier[i], kernel, coarse, rng) if earlier else ours[:, :0]
            if fused_with is not None:
                second = _projections(fused_with.styles[i], kernel, coarse, rng, empty_like)
                theirs = barycentre(theirs, second, fused_with.share)
            if fused_with is not None and earlier:
                second = _projections(fused_with.earlier[i], kernel, coarse, rng)
                others = barycentre(others, second, fused_with.share)
            spread = theirs.std(dim=1, keepdim=True).clamp_min(1e-3)
            # Each picture has the same mass, however many of its patches are looked at.
            mass = (ours.shape[1] / len(result)) / (others.shape[1] / len(earlier[i])) if earlier else 1.0
            target = equal_rank(ours, others, mass, theirs)
        total = total + ((ours - target) / spread).abs().mean()
    return total / len(results)


def sliced_activations(
    results: Sequence[Tensor],
    styles: Sequence[Tensor],
    rng: torch.Generator,
    num: int = 32,
    places: int = 256,
) -> Tensor:
    """Sliced Wasserstein distance between activations of a network at random places of both sides.

    The idea of matching a discriminator's activations instead of only its verdict is Salimans et al.
    2016, section 3.1; the sliced distance on them is Heitz et al. 2021, Eq. 3. In units of the style's
    spread on each direction.
    """
    total = results[0].new_zeros(())
    for result, style in zip(results, styles, strict=True):
        size = result.shape[2] * result.shape[3]
        chosen = torch.randperm(size, generator=rng)[:places].to(result.device)
        axes = random_directions(result.shape[1], num, rng).to(result.device)
        ours, theirs = (
            (side.flatten(2).index_select(2, chosen).transpose(1, 2).flatten(0, 1) @ axes).t().float()
            for side in (result, style.detach())
        )
        with torch.no_grad():
            spread = theirs.std(dim=1, keepdim=True).clamp_min(1e-3)
            target = equal_rank(ours, ours[:, :0], 1.0, theirs)
        total = total + ((ours - target) / spread).abs().mean()
    return total / len(results)


def equal_rank(ours: Tensor, others: Tensor, mass: float, theirs: Tensor) -> Tensor:
    """For each of `ours` the value of `theirs` that has the same rank: where optimal transport takes it.

    Rows x n, rows x k and rows x m -> rows x n, without gradient. Ranks of `ours` are taken among `ours`
    and `others` together, each of `others` counting `mass` times as much as one of `ours`.
    """
    both = torch.cat([ours.detach(), others], dim=1)
    order = _argsort(both)
    weight = torch.ones_like(both)
    weight[:, ours.shape[1] :] = mass
    weight = weight.gather(1, order)
    rank = torch.empty_like(both).scatter_(1, order, weight.cumsum(1) - 0.5 * weight)
    share = rank[:, : ours.shape[1]] / (ours.shape[1] + mass * others.shape[1])
    last = theirs.shape[1] - 1
    return _sorted(theirs).gather(1, (share * (last + 1)).long().clamp_(0, last))


def charbonnier(difference: Tensor) -> Tensor:
    """Mean of sqrt(x^2 + e^2) - e: |x| far from 0, and smooth there (Charbonnier et al. 1994)."""
    e = 0.01
    return ((difference.float().square() + e * e).sqrt() - e).mean()


def missed(found: Tensor, hidden: Tensor) -> Tensor:
    """How far logits are from a mask: cross-entropy of each pixel, and 1 - Dice's coefficient, to which a few
    hidden pixels matter as much as all others (Milletari et al. 2016, "V-Net", section 3)."""
    logits = found.float()
    both = (torch.sigmoid(logits) * hidden).sum()
    dice = (2 * both + 1) / (torch.sigmoid(logits).sum() + hidden.sum() + 1)
    return F.binary_cross_entropy_with_logits(logits, hidden) + 1 - dice


def mean_of_gradients(difference: Tensor) -> Tensor:
    """Mean |difference of neighbours|, in both directions."""
    down, right = difference.diff(dim=2), difference.diff(dim=3)
    return charbonnier(down) + charbonnier(right)


_THREADS = ThreadPoolExecutor(2, "argsort")


def _sorted(values: Tensor) -> Tensor:
    # On a processor by numpy, whose vectorised sort needs a tenth of the time of torch's.
    if values.device.type != "cpu" or values.dtype != torch.float32:
        return values.detach().sort(dim=1).values
    return torch.from_numpy(np.sort(values.detach().numpy(), axis=1))


def _argsort(values: Tensor) -> Tensor:
    if values.device.type != "cpu" or values.dtype != torch.float32:
        return values.argsort(dim=1)
    halves = _THREADS.map(lambda rows: np.argsort(rows, axis=1), np.array_split(values.numpy(), 2))
    return torch.from_numpy(np.concatenate(list(halves)))


EMPTY = (0.015, 0.03)
"""Contrasts below which a patch of a band-pass level is empty and nearly empty: paper, a clear sky."""


def as_empty(style: Tensor, content: Tensor, most: float = 2.0) -> Tensor:
    """Which patches of the style to compare results with, so that what contents leave empty may stay so.

    Contrasts (root mean square of a band-pass level of pictures in [-1, 1]) of n patches of the style and of
    any number of contents -> n indices into the former. Empty ones are taken more often than they are there,
    until their share is that of the contents, but at most `most` times as often: a style that never leaves
    anything empty stays so. Importance weighting under covariate shift (Shimodaira 2000, Eq. 3). Without it
    a smooth sky or skin, of which photographs have more than prints, has to become grain or a glow.
    """
    limits = torch.tensor(EMPTY, device=style.device)
    ours, theirs = ((side[:, None] < limits).float().mean(0) for side in (content, style))
    wanted = torch.minimum(torch.maximum(ours, theirs), most * theirs).cummax(0).values
    edges = torch.tensor([0.0, 1.0], device=style.device)
    share, wanted = (torch.cat([edges[:1], side, edges[1:]]).diff() for side in (theirs, wanted))
    weight = (wanted / share.clamp_min(1e-6))[torch.bucketize(style, limits, right=True)]
    place = (torch.arange(len(style), device=style.device) + 0.5) / len(style)
    return torch.searchsorted(weight.cumsum(0), place * weight.sum()).clamp_(max=len(style) - 1)


def decibels(result: Tensor, wanted: Tensor, floor: float = 1e-5) -> Tensor:
    """-PSNR / 10 of pictures in [-1, 1], their mean; errors far below `floor` (50 dB) count no more.

    What Chen et al. 2021, "HINet", train with. A nearly sound picture weighs as much as a ruined one, so it
    pays to leave alone what needs nothing.
    """
    error = (result - wanted).float().square().mean((1, 2, 3)) / 4
    return (error + floor).log10().mean()


def root_mean_square(difference: Tensor, floor: float = 1e-4) -> Tensor:
    """That of each picture, and their mean: between the mean square, which heeds the worst pictures alone,
    and its logarithm, which heeds the best. Squares far below `floor` (46 dB) count no more."""
    return (difference.square().mean((1, 2, 3)) + floor).sqrt().mean()


def _projections(
    level: Tensor, kernel: Tensor, stride: int, rng: torch.Generator, empty_like: Tensor | None = None
) -> Tensor:
    offset = int(torch.randint(0, stride, (1,), generator=rng))
    level = level[:, :, offset:, offset:]
    projected = F.conv2d(level, kernel, stride=stride).transpose(0, 1).flatten(1).float()
    if empty_like is None:
        return projected
    patch = kernel.shape[-1]
    return projected[:, as_empty(_contrasts(level, patch, stride), _contrasts(empty_like, patch, 2))]


def _contrasts(level: Tensor, patch: int, stride: int) -> Tensor:
    power = level.float().square().mean(1, keepdim=True)
    return F.avg_pool2d(power, patch, stride).flatten().sqrt()


Moments = tuple[Tensor, Tensor]
"""Of features: means, N x C, and covariances, N x C x C."""


def moments(features: Tensor) -> Moments:
    """Means and covariances of the C channels of N x C x H x W features over the places of each picture.

    Together they hold what the Gram matrix holds (Gatys et al. 2015, Eq. 1), but apart: after a ReLU means
    are large, and in a Gram matrix hardly anything else counts.
    """
    num, channels, height, width = features.shape
    rows = features.permute(0, 2, 3, 1).reshape(num, height * width, channels)
    means = wide(rows).mean(1)
    rows = rows - means[:, None].to(rows.dtype)
    return means, wide(torch.bmm(rows.transpose(1, 2), rows) / (height * width))


def between_moments(first: Moments, second: Moments, share: Tensor) -> Moments:
    """`share` (N) of the way from the first to the second, for each picture: what a fusion answers to."""
    return (
        torch.lerp(first[0], second[0], share[:, None]),
        torch.lerp(first[1], second[1], share[:, None, None]),
    )


def moment_distance(results: Sequence[Moments], examples: Sequence[Moments]) -> Tensor:
    """Sum over depths of |m - m*|^2 / |m*|^2 + |C - C*|^2 / (2 |C*|^2), mean over pictures.

    m and C are means and covariances of an eye's features of a result, m* and C* those of its own example.
    """
    total = results[0][0].new_zeros(())
    for (means, covariances), (wanted_means, wanted) in zip(results, examples, strict=True):
        far = (means - wanted_means).square().sum(1) / wanted_means.square().sum(1).clamp_min(1e-6)
        apart = (covariances - wanted).square().sum((1, 2)) / wanted.square().sum((1, 2)).clamp_min(1e-6)
        total = total + (far + 0.5 * apart).mean()
    return total


def normalised_distance(result: Tensor, content: Tensor) -> Tensor:
    """Mean squared difference of features N x C x H x W, each channel of a picture at mean 0 and spread 1.

    The content loss of Johnson et al. 2016, Eq. 2, of instance-normalised features (Huang and Belongie 2017,
    Eq. 5; Ulyanov et al. 2016): where a channel answers is compared, not how strongly. Channels that are
    silent in a picture count little.
    """
    ours, theirs = _normalised(wide(result)), _normalised(wide(content))
    return (ours - theirs).square().mean()


def _normalised(features: Tensor) -> Tensor:
    centred = features - features.mean((2, 3), keepdim=True)
    variance = centred.square().mean((2, 3), keepdim=True)
    return centred * torch.rsqrt(variance + 0.01 * variance.mean(1, keepdim=True) + 1e-6)


def light_distance(result: Tensor, content: Tensor, pool: int = 8) -> Tensor:
    """Mean squared difference of the light of N x 3 x H x W pictures, means of `pool` x `pool` pixels, each
    picture's brought to mean 0 and spread 1.

    Deep features alone do not know light from dark: with nothing else a run inverted lightness.
    """
    ours, theirs = (_light(F.avg_pool2d(wide(side), pool)) for side in (result, content))
    return (ours - theirs).square().mean()


def _light(image: Tensor) -> Tensor:
    red, green, blue = image.unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    luma = luma - luma.mean((1, 2), keepdim=True)
    return luma / (luma.square().mean((1, 2), keepdim=True).sqrt() + 0.1)


def colour_distance(
    result: Tensor, example: Tensor, second: Tensor, share: Tensor, rng: torch.Generator, num: int = 8
) -> Tensor:
    """Sliced Wasserstein distance between the colours of each result and those of its own example.

    N x 3 x H x W pictures of one size; colours are those of places of 2 x 2 and of 8 x 8 pixels, on `num`
    random directions (Rabin et al. 2011). The target is the barycentre of `example` and `second`, `share` (N)
    of the way to the latter.
    """
    total = wide(result.new_zeros(()))
    for pool in (2, 8):
        directions = random_directions(3, num, rng).to(result.device)
        ours, theirs, others = (
            wide(F.avg_pool2d(wide(side), pool).flatten(2).transpose(1, 2) @ directions)
            .transpose(1, 2)
            .flatten(0, 1)
            for side in (result, example, second)
        )
        with torch.no_grad():
            wanted = torch.lerp(_sorted(theirs), _sorted(others), share.repeat_interleave(num)[:, None])
            order = _argsort(ours.detach())
        total = total + (ours.gather(1, order) - wanted).abs().mean()
    return total


def wide(values: Tensor) -> Tensor:
    """In float32, or float64 if they are: sums over many places need more than half precision."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


SMOOTH = 0.03
"""Contrast of a window of the content, in [-1, 1], at which it counts as smooth by a share of 1 / e."""


def emptiness(result: Tensor, content: Tensor, example: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """How much more contrast results have, where contents are smooth, than their examples where these are.

    Contrast is the root mean square of the light, in windows of 16 x 16 pixels, of two band-pass levels of
    N x 3 x H x W pictures. All windows of a content count, by the weight exp(-(contrast / SMOOTH)^2); of an
    example the quarter with the least contrast, `share` (N) of the way to that of `second`. Moments ask for
    as much texture as an example has on the whole, wherever: skies and skin became a lattice. Where an
    example is brushwork all over, so may a sky be.
    """
    total = wide(result.new_zeros(()))
    for size in (2, 4):
        ours, theirs, wanted, others = (_contrast(side, size) for side in (result, content, example, second))
        with torch.no_grad():
            smooth = torch.exp(-(theirs / SMOOTH).square())
            least, beside = (side.flatten(1).quantile(0.25, dim=1) for side in (wanted, others))
            allowed = torch.lerp(least, beside, share)[:, None, None]
        total = total + (smooth * F.relu(ours - allowed)).mean()
    return total


def _contrast(image: Tensor, size: int) -> Tensor:
    red, green, blue = wide(image).unbind(1)
    light = (0.299 * red + 0.587 * green + 0.114 * blue)[:, None]
    low = F.interpolate(F.avg_pool2d(light, size), scale_factor=float(size), mode="bilinear")
    return (F.avg_pool2d((light - low).square(), 16, 8)[:, 0] + 1e-6).sqrt()
