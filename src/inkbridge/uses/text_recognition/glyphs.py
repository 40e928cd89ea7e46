"""Training the classifier that a normaliser of writing is judged by (`losses.classifier`).

It learns from drawn lines to read print, hands, and what lies between the two, blurred, bent, thick and thin:
what a normaliser paints while it learns is all of that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from torch import Tensor

from inkbridge.errors import DataError, TrainingError
from inkbridge.images import RGB
from inkbridge.train.checkpoint import save_state
from inkbridge.train.networks.glyphs import STRIDE, GlyphClassifier, save_classifier
from inkbridge.train.precision import mixed, resolve_precision
from inkbridge.train.recipe import place
from inkbridge.uses.text_recognition.wear import bent, paint, thickened
from inkbridge.uses.text_recognition.writing import DRAWN, LINE_HEIGHT, PRINT, Hand, draw_pair, reduced

BATCH = 16
"""Lines of an update."""
WIDTH = 288
"""Pixels of a line that are looked at."""
LEARNING_RATE = 2e-3
SAVE_EVERY = 100
"""Updates between states that a stopped training goes on from."""


@dataclass
class Batch:
    """Drawn lines and where which character stands."""

    pictures: Tensor
    """N x 3 x LINE_HEIGHT x WIDTH in [-1, 1]."""
    lines: Tensor
    columns: Tensor
    classes: Tensor
    """Of each glyph: which picture, which column of logits, which character."""


class GlyphLines:
    """Lines of random characters, each as frequent as any that the line's hand can write."""

    def __init__(self, texts: Sequence[str], hands: Sequence[Hand], plain: Hand) -> None:
        """Raises DataError where a font of `hands` can write none of the characters that `plain` can."""
        found = sorted({char for text in texts for char in text if not char.isspace() and plain.writes(char)})
        self.characters = "".join(found)
        self._classes = {char: at for at, char in enumerate(self.characters)}
        self._able = {hand: [char for char in found if hand.writes(char)] for hand in hands}
        self._hands, self._plain = list(hands), plain
        self.told = [self.characters, *(f"{hand.path} {hand.index}" for hand in [*hands, plain])]
        """What lines depend on beside random numbers."""
        for hand, able in self._able.items():
            if not able:
                raise DataError(
                    f"'{hand.path}' has none of the {len(found)} characters of the text that "
                    f"'{plain.path}' has."
                )

    def draw(self, rng: np.random.Generator, num: int = BATCH) -> Batch:
        """`num` lines."""
        pictures, glyphs = [], []
        for line in range(num):
            picture, places = self._draw_line(rng)
            pictures.append(picture)
            glyphs += [(line, column, at) for column, at in places]
        images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
        return Batch(
            images.contiguous(memory_format=torch.channels_last),
            *(torch.tensor(part) for part in zip(*glyphs, strict=True)),
        )

    def _draw_line(self, rng: np.random.Generator) -> tuple[RGB, list[tuple[int, int]]]:
        """A picture, and the column and class of each glyph whose middle is in it."""
        hand = self._hands[rng.integers(len(self._hands))]
        text = "".join(rng.choice(self._able[hand], 10).tolist())
        pair = draw_pair(text, hand, self._plain, rng)
        kind = rng.random()
        share = 1.0 if kind < 0.4 else 0.0 if kind < 0.6 else rng.random()
        ink = (share * pair.printed + (1 - share) * pair.hand).astype(np.float32)
        if rng.random() < 0.5:
            ink = bent(ink, rng)
        if rng.random() < 0.5:
            ink = thickened(ink, rng.uniform(-0.6, 1.0), 1.0)
        image = Image.fromarray(paint(ink, *PRINT))
        if rng.random() < 0.5:
            image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 3.0)))
        rgb = reduced(np.asarray(image))
        left = int(rng.integers(-STRIDE, max(rgb.shape[1] - WIDTH, 0) + STRIDE))
        picture = np.full((LINE_HEIGHT, WIDTH, 3), PRINT[0], np.uint8)
        start, end = max(left, 0), min(left + WIDTH, rgb.shape[1])
        picture[:, start - left : end - left] = rgb[:, start:end]
        # A glyph is to be read from beside its middle too.
        columns = (
            (int((middle / DRAWN - left) // STRIDE) + int(rng.integers(-1, 2)), self._classes[char])
            for char, middle in pair.glyphs
        )
        return picture, [(column, at) for column, at in columns if 0 <= column < WIDTH // STRIDE]


def train_classifier(
    lines: GlyphLines,
    out: Path,
    updates: int,
    seed: int = 0,
    on_update: Callable[[int, float], None] = lambda done, right: None,
) -> float:
    """Train a `GlyphClassifier` and write it to `out`; returns the share of unseen glyphs that it reads.

    A training that was stopped goes on from the file beside `out` that ends in .training, when it is told the
    same. `on_update` is given the updates done and the share read rightly of late. Raises DataError where the
    files cannot be written.
    """
    torch.manual_seed(seed)
    device = torch.device("cpu")
    precision = resolve_precision("auto", device)
    classifier = GlyphClassifier(lines.characters)
    optimizer = torch.optim.Adam(place(classifier, device), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, updates, pct_start=0.1)
    told = hashlib.sha256(json.dumps([lines.told, updates, seed]).encode()).hexdigest()
    state_file, done, right = out.with_name(out.name + ".training"), 0, 0.0
    parts: dict[str, Any] = {"classifier": classifier, "optimizer": optimizer, "schedule": schedule}
    if state_file.exists():
        done, right = _restore(state_file, told, parts)
    classifier.train()
    while done < updates:
        batch = lines.draw(np.random.default_rng([seed, done]))
        with mixed(precision, device):
            logits = classifier(batch.pictures)[0][:, :, 0]
        found = logits.float()[batch.lines, :, batch.columns]
        loss = F.cross_entropy(found, batch.classes, label_smoothing=0.05)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        done += 1
        share = float((found.detach().argmax(1) == batch.classes).float().mean())
        right += (share - right) / min(done, 50)
        on_update(done, right)
        if done % SAVE_EVERY == 0:
            states = {name: part.state_dict() for name, part in parts.items()}
            save_state(state_file, {"told": told, "done": done, "right": right, **states})
    save_classifier(out, classifier.eval())
    state_file.unlink(missing_ok=True)
    return share_read(classifier, lines, seed)


@torch.no_grad()
def share_read(classifier: GlyphClassifier, lines: GlyphLines, seed: int = 0, batches: int = 8) -> float:
    """The share of glyphs in lines not drawn in training with `seed` that are read rightly."""
    right: list[Tensor] = []
    for at in range(batches):
        batch = lines.draw(np.random.default_rng([seed, at, 1]))
        found = classifier(batch.pictures)[0][:, :, 0][batch.lines, :, batch.columns]
        right.append(found.argmax(1) == batch.classes)
    return float(torch.cat(right).float().mean())


def _restore(state_file: Path, told: str, parts: dict[str, Any]) -> tuple[int, float]:
    try:
        state = torch.load(state_file, weights_only=True)
        if state["told"] != told:
            raise DataError(
                f"'{state_file}' belongs to a training with other fonts, characters, updates or seed. "
                "Remove it, or say the same again."
            )
        for name, part in parts.items():
            part.load_state_dict(state[name])
        return state["done"], state["right"]
    except (OSError, RuntimeError, KeyError, EOFError) as error:
        raise TrainingError(f"'{state_file}' cannot be read: {error}. Remove it to start anew.") from None
