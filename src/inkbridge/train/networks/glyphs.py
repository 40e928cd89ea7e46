"""A frozen classifier of glyphs as a judge of legibility: two pictures of a line should read the same."""

from __future__ import annotations

import io
import pickle
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from inkbridge.errors import DataError
from inkbridge.images import write_atomically

LEAST_HEIGHT = 48
"""Lines are so many pixels high; what is lower is given more of its lowest row."""
STRIDE = 8
"""Pixels from one place that is read to the next."""
_WIDTHS = 3, 32, 64, 128, 128


class GlyphClassifier(nn.Module):
    """Says at every eighth column which character stands there; fully convolutional.

    N x 3 x H x W in [-1, 1] -> logits N x K x H/8 - 5 x W/8 of the K `characters`, and activations at 1/4, at
    1/8 and of columns.
    """

    def __init__(self, characters: str) -> None:
        super().__init__()
        self.characters = characters
        convs = [
            nn.Conv2d(a, b, 5 if a == 3 else 3, 1 if at == 3 else 2, 2 if a == 3 else 1, bias=False)
            for at, (a, b) in enumerate(pairwise(_WIDTHS))
        ]
        convs.append(nn.Conv2d(_WIDTHS[-1], 256, (LEAST_HEIGHT // STRIDE, 5), padding=(0, 2), bias=False))
        self.convs = nn.ModuleList(convs)
        self.norms = nn.ModuleList(nn.BatchNorm2d(conv.out_channels) for conv in convs)
        self.head = nn.Conv2d(256, len(characters), 1)

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        # By light alone: what is painted in shades of gray would learn colours that please a classifier.
        light = image.mean(1, keepdim=True).expand_as(image)
        x = F.pad(light, (0, 0, 0, max(LEAST_HEIGHT - image.shape[2], 0)), mode="replicate")
        activations = []
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.relu(norm(conv(x)))
            activations.append(x)
        return self.head(x), [activations[at] for at in (1, 3, 4)]


def reads_otherwise(classifier: GlyphClassifier, result: Tensor, wanted: Tensor) -> Tensor:
    """How differently a frozen classifier sees two pictures of one line, N x 3 x H x W in [-1, 1].

    The cross-entropy of what it reads in `result` from what it reads in `wanted`, less the least that it can
    be (Hinton et al. 2015, Eq. 1), and the mean difference of its activations at three depths, as shares of
    the wanted ones (Johnson et al. 2016, Eq. 2). Needs no labels; 0 where both are alike.
    """
    with torch.no_grad():
        sure, goals = classifier(wanted)
    logits, activations = classifier(result)
    reading = F.kl_div(logits.float().log_softmax(1), sure.float().softmax(1), reduction="none").sum(1).mean()
    apart = [
        (ours - goal).abs().mean() / goal.abs().mean().clamp_min(1e-3)
        for ours, goal in zip(activations, goals, strict=True)
    ]
    return reading + torch.stack(apart).sum()


def save_classifier(path: Path, classifier: GlyphClassifier) -> None:
    """Write it and its characters, atomically."""
    buffer = io.BytesIO()
    torch.save({"glyphs": classifier.characters, "state": classifier.state_dict()}, buffer)
    write_atomically(path, lambda file: file.write(buffer.getbuffer()))


def load_classifier(path: Path) -> GlyphClassifier:
    """A classifier as `inkbridge glyphs` wrote it, frozen; raises DataError for any other file."""
    try:
        found = torch.load(path, weights_only=True)
        classifier = GlyphClassifier(found["glyphs"])
        # Assigned, for what only counts a run's parameters builds its networks without memory.
        classifier.load_state_dict(found["state"], assign=True)
    except OSError as error:
        raise DataError(f"Glyph classifier '{path}' cannot be read: {error.strerror or error}.") from None
    except (RuntimeError, KeyError, TypeError, ValueError, EOFError, pickle.UnpicklingError):
        raise DataError(f"'{path}' is no glyph classifier. Make one with: inkbridge glyphs") from None
    return classifier.requires_grad_(False).eval()
