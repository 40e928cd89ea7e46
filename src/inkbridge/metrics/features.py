"""FID and KID: distances between two sets of feature vectors, and where features come from.

Values from different extractors cannot be compared, so an extractor has a name with a hash, to stand beside
every number. The user gives an ONNX file of a network with one vector a picture. What decides (`sight`) is
the same kernel distance of what the bundled eye sees; `distribution.StyleDistance` needs no network at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from PIL import Image

from inkbridge.errors import ConfigError

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


class Extractor:
    """Feature vectors from an ONNX network: N x 3 x H x W in, N x D or N x D x 1 x 1 out."""

    def __init__(self, path: Path, pixel_range: tuple[float, float] = (-1.0, 1.0)) -> None:
        """`pixel_range` is black and white as the network wants them. Raises ConfigError if unfit."""
        try:
            model = path.read_bytes()
            self._session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions have no common base but Exception
            raise ConfigError(
                f"{path} cannot be used as a feature extractor: {_first_line(error)}."
            ) from None
        self.name = f"{path.stem}-{hashlib.sha256(model).hexdigest()[:8]}"
        self._low, self._high = pixel_range
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].shape[1] != 3:
            shapes = "; ".join(f"{entry.name} {entry.shape}" for entry in inputs)
            raise ConfigError(f"{path} has the inputs {shapes}; a feature extractor has one, N x 3 x H x W.")
        self._input = inputs[0].name
        sides = inputs[0].shape[2:]
        self._size = (sides[1], sides[0]) if all(isinstance(side, int) for side in sides) else (299, 299)
        if self.of([np.zeros((8, 8, 3), np.uint8)]).shape[0] != 1:
            raise ConfigError(f"{path} does not give one feature vector a picture.")

    def of(self, pictures: Iterable[Pixels]) -> Floats:
        """N x D features of H x W x 3 uint8 pictures, looked at one by one; resized antialiased."""
        found = []
        for picture in pictures:
            image = Image.fromarray(picture).resize(self._size, Image.Resampling.BICUBIC)
            values = np.asarray(image, np.float32).transpose(2, 0, 1)[None] / 255
            values = values * np.float32(self._high - self._low) + np.float32(self._low)
            try:
                output = self._session.run(None, {self._input: values})[0]
            except Exception as error:
                raise ConfigError(f"{self.name} cannot read a picture: {_first_line(error)}.") from None
            found.append(np.asarray(output, np.float64).reshape(output.shape[0], -1))
        return np.concatenate(found)


def fid(ours: Floats, theirs: Floats) -> float:
    """Frechet distance between Gaussians fitted to two N x D sets of features; Heusel et al. 2017, Eq. 6.

    Biased upwards for few pictures, more than any other measure here: below a few thousand use `kid`. Raises
    ValueError for sets that cannot be compared.
    """
    _check(ours, theirs)
    covariance_a, covariance_b = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (ours, theirs))
    # The trace of (A B)^(1/2) is that of (A^(1/2) B A^(1/2))^(1/2), which is symmetric.
    values, vectors = np.linalg.eigh(covariance_a)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    mixed = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ covariance_b @ root), 0.0)).sum()
    means = np.square(ours.mean(0) - theirs.mean(0)).sum()
    return float(means + np.trace(covariance_a) + np.trace(covariance_b) - 2 * mixed)


def kid(ours: Floats, theirs: Floats) -> float:
    """Kernel distance between two N x D sets of features; Binkowski et al. 2018, section 3.

    The squared maximum mean discrepancy with the kernel (x y / D + 1)^3. Unbiased, so it may be slightly
    below 0, and fit for small sets.
    """
    _check(ours, theirs)
    within_a, within_b, across = (kernel(x, y) for x, y in ((ours, ours), (theirs, theirs), (ours, theirs)))
    return mean_of_pairs(within_a) + mean_of_pairs(within_b) - 2 * float(across.mean())


def kernel(x: Floats, y: Floats) -> Floats:
    """N x D and M x D -> N x M: (x y / D + 1)^3 of each pair."""
    values: Floats = (x @ y.T / x.shape[1] + 1) ** 3
    return values


def mean_of_pairs(within: Floats) -> float:
    """Mean of an N x N kernel over pairs of different rows: unbiased, unlike with each row paired with
    itself.

    One row has no pairs; its kernel with itself then stands for them.
    """
    n = len(within)
    return float((within.sum() - np.trace(within)) / (n * (n - 1))) if n > 1 else float(within.mean())


def _check(ours: Floats, theirs: Floats) -> None:
    if ours.ndim != 2 or theirs.ndim != 2 or ours.shape[1] != theirs.shape[1]:
        raise ValueError(f"features are {ours.shape} and {theirs.shape}; both must be N x the same D")
    if min(len(ours), len(theirs)) < 2:
        raise ValueError("each set needs at least 2 pictures")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".")
