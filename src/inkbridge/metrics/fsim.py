"""FSIM and FSIMc: feature similarity by phase congruency and gradient.

Zhang, Zhang, Mou and Zhang 2011, "FSIM: a feature similarity index for image quality assessment". A place
counts by how much of a feature it is to the eye, which is where the Fourier components are in phase
(Morrone and Owens 1987; computed after Kovesi 1999, "Image features from phase congruency").
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from inkbridge.metrics.similarity import check_sizes

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

T1, T2, T3, T4 = 0.85, 160.0, 200.0, 200.0
"""Constants of the similarities of phase congruency, gradient and the two chroma channels (section IV)."""
CHROMA_POWER = 0.03
NUM_SCALES, NUM_ORIENTATIONS = 4, 4
SHORTEST_WAVE = 6.0
"""Wavelength in pixels of the finest filters; each scale doubles it."""
BANDWIDTH = 0.55
"""Spread of a filter in log frequency over its centre."""
ANGULAR = 1.2
"""Angle between orientations over the spread of a filter in angle."""
NOISE_SPREADS = 2.0
"""The noise threshold lies so many standard deviations above the mean energy of noise."""
_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_SMALL = 1e-4


def fsim(picture: Pixels, result: Pixels) -> float:
    """Feature similarity of the luminances, 1 for equal pictures; Eq. 5 of Zhang et al. 2011.

    `picture` and `result` are H x W x 3 or H x W uint8. Raises ValueError when sizes differ.
    """
    return _both(picture, result)[0]


def fsimc(picture: Pixels, result: Pixels) -> float:
    """FSIM with the two chroma channels of YIQ, Eq. 8; for gray pictures the same as `fsim`."""
    return _both(picture, result)[1]


def _both(picture: Pixels, result: Pixels) -> tuple[float, float]:
    check_sizes(picture, result, 2)
    ours, theirs = _channels(picture), _channels(result)
    congruency_a, congruency_b = phase_congruency(ours[0]), phase_congruency(theirs[0])
    gradient_a, gradient_b = _scharr(ours[0]), _scharr(theirs[0])
    alike = _alike(congruency_a, congruency_b, T1) * _alike(gradient_a, gradient_b, T2)
    weight = np.maximum(congruency_a, congruency_b)
    if not weight.any():  # two pictures without any feature: every place counts the same
        weight = np.ones_like(weight)
    gray = float((alike * weight).sum() / weight.sum())
    if len(ours) == 1:
        return gray, gray
    chroma = _alike(ours[1], theirs[1], T3) * _alike(ours[2], theirs[2], T4)
    # The real part of chroma ** 0.03, which is complex where chroma is negative.
    power = np.abs(chroma) ** CHROMA_POWER
    power[chroma < 0] *= math.cos(math.pi * CHROMA_POWER)
    return gray, float((alike * power * weight).sum() / weight.sum())


def _channels(picture: Pixels) -> list[Floats]:
    """Y, or Y, I and Q, brought to a short side of about 256 pixels by box means."""
    values = picture.astype(np.float64)
    channels = [values] if picture.ndim == 2 else list(np.moveaxis(values @ _YIQ.T, 2, 0))
    factor = max(1, math.floor(min(picture.shape[:2]) / 256 + 0.5))
    return [_reduced(channel, factor) for channel in channels]


def _reduced(values: Floats, factor: int) -> Floats:
    """Every `factor`-th place of a box mean, zeros outside the picture.

    For an even factor the box reaches half a pixel further to the right and below, as in published results.
    """
    if factor == 1:
        return values
    before, after = (factor - 1) // 2, factor // 2
    padded = np.pad(values, ((before, after), (before, after)))
    for axis in (0, 1):
        size = padded.shape[axis] - factor + 1
        starts = range(0, size, factor)
        padded = np.stack(
            [np.take(padded, range(start, start + factor), axis=axis).mean(axis) for start in starts], axis
        )
    return padded


def _alike(a: Floats, b: Floats, constant: float) -> Floats:
    similarity: Floats = (2 * a * b + constant) / (a * a + b * b + constant)
    return similarity


def _scharr(values: Floats) -> Floats:
    """Gradient magnitude by the Scharr operator, zeros outside the picture (section III-B)."""
    p = np.pad(values, 1)
    smooth_y = (3 * p[:-2] + 10 * p[1:-1] + 3 * p[2:]) / 16
    smooth_x = (3 * p[:, :-2] + 10 * p[:, 1:-1] + 3 * p[:, 2:]) / 16
    return np.hypot(smooth_y[:, 2:] - smooth_y[:, :-2], smooth_x[2:] - smooth_x[:-2])


def phase_congruency(values: Floats) -> Floats:
    """How far the Fourier components are in phase at each place, 0 to 1: H x W -> H x W.

    Energy along the mean phase less what noise alone would give, over the sum of amplitudes; summed over
    orientations (Kovesi 1999, Eq. 14 and section on noise, without the weight for frequency spread).
    """
    bank = _filters(*values.shape)
    spectrum = np.fft.fft2(values)
    energies, amplitudes = np.zeros(values.shape), np.zeros(values.shape)
    for orientation in bank:
        responses = np.fft.ifft2(spectrum * orientation.filters)
        size = np.abs(responses)
        even, odd = responses.real, responses.imag
        sum_even, sum_odd = even.sum(0), odd.sum(0)
        norm = np.hypot(sum_even, sum_odd) + _SMALL
        mean_even, mean_odd = sum_even / norm, sum_odd / norm
        along = even * mean_even + odd * mean_odd
        across = np.abs(even * mean_odd - odd * mean_even)
        energy = (along - across).sum(0)
        energies += np.maximum(energy - orientation.threshold(size[0]), 0.0)
        amplitudes += size.sum(0)
    return np.divide(energies, amplitudes, out=np.zeros_like(energies), where=amplitudes > 1e-9)


class _Orientation:
    """The log-Gabor filters of one orientation, NUM_SCALES x H x W, and what noise gives through them."""

    def __init__(self, filters: Floats) -> None:
        self.filters = filters
        height, width = filters.shape[1:]
        self._finest_power = float(np.square(filters[0]).sum())
        kernels = np.fft.ifft2(filters).real * math.sqrt(height * width)
        products = np.tensordot(kernels, kernels, axes=((1, 2), (1, 2)))
        self._own, self._pairs = float(np.trace(products)), float(np.triu(products, 1).sum())

    def threshold(self, finest: Floats) -> float:
        """The energy that noise alone would hardly pass; its power is read from the finest scale."""
        # The median of a squared Rayleigh distribution is its mean times -log(1/2).
        noise_power = float(np.median(np.square(finest))) / math.log(2) / self._finest_power
        energy = 2 * noise_power * self._own + 4 * noise_power * self._pairs
        tau = math.sqrt(max(energy, 0.0) / 2)
        mean, spread = tau * math.sqrt(math.pi / 2), tau * math.sqrt(2 - math.pi / 2)
        return (mean + NOISE_SPREADS * spread) / 1.7  # the published factor that fits the estimate


@lru_cache(maxsize=4)
def _filters(height: int, width: int) -> list[_Orientation]:
    y, x = (_frequencies(num) for num in (height, width))
    radius = np.fft.ifftshift(np.hypot(y[:, None], x[None]))
    angle = np.fft.ifftshift(np.arctan2(*np.broadcast_arrays(-y[:, None], x[None])))
    low_pass = 1 / (1 + (radius / 0.45) ** 30)
    radius[0, 0] = 1.0
    scales = []
    for scale in range(NUM_SCALES):
        centre = 1 / (SHORTEST_WAVE * 2.0**scale)
        band = np.exp(-(np.log(radius / centre) ** 2) / (2 * math.log(BANDWIDTH) ** 2)) * low_pass
        band[0, 0] = 0.0
        scales.append(band)
    spread = math.pi / NUM_ORIENTATIONS / ANGULAR
    bank = []
    for orientation in range(NUM_ORIENTATIONS):
        away = angle - orientation * math.pi / NUM_ORIENTATIONS
        away = np.abs(np.arctan2(np.sin(away), np.cos(away)))
        bank.append(_Orientation(np.stack(scales) * np.exp(-(away**2) / (2 * spread**2))))
    return bank


def _frequencies(num: int) -> Floats:
    """From -1/2 to 1/2, zero in the middle; for odd sizes both ends are reached."""
    if num % 2:
        return np.arange(-(num - 1) / 2, (num - 1) / 2 + 1) / max(num - 1, 1)
    return np.arange(-num / 2, num / 2) / num
