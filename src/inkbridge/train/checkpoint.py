"""Saving and restoring all that changes during training.

Random numbers need no place here: they are pure functions of the seed and of the images seen.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from inkbridge.errors import TrainingError, first_line
from inkbridge.images import write_atomically
from inkbridge.train.recipe import Recipe


@dataclass
class Progress:
    """How far training is."""

    images_seen: int = 0
    seconds: float = 0.0
    """Time spent in training so far, over all starts."""
    setbacks: int = 0
    """Times that training broke and went back, each at half the learning rates (`inkbridge.train.health`)."""
    at_once: int = 0
    """Pictures that a network sees together since memory ran out; 0: as set."""

    @property
    def lr_factor(self) -> float:
        """By which learning rates are multiplied from here on."""
        return 0.5**self.setbacks


def save_checkpoint(path: Path, recipe: Recipe, progress: Progress) -> None:
    """Write networks, optimizers and progress, atomically."""
    save_state(path, whole_state(recipe, progress))


def whole_state(recipe: Recipe, progress: Progress) -> dict[str, Any]:
    """All that changes during training: networks, optimizers and progress."""
    return {
        "progress": vars(progress),
        "modules": {name: module.state_dict() for name, module in recipe.modules().items()},
        "optimizers": {name: opt.state_dict() for name, opt in recipe.optimizers().items()},
    }


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values by name, atomically."""
    # Through memory: torch turns a full disk into an error of its own that names no file.
    written = to_bytes(state)
    write_atomically(path, lambda file: file.write(written))


def to_bytes(state: dict[str, Any]) -> memoryview:
    """What `torch.load` reads."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getbuffer()


def restore_checkpoint(path: Path, recipe: Recipe) -> Progress:
    """Put the state of `path` into the recipe's networks and optimizers."""
    return restore_state(read_checkpoint(path), recipe, path)


def restore_state(state: dict[str, Any], recipe: Recipe, path: Path) -> Progress:
    """The same with a `whole_state`, read from `path`."""
    try:
        for name, module in recipe.modules().items():
            module.load_state_dict(state["modules"][name])
        for name, optimizer in recipe.optimizers().items():
            optimizer.load_state_dict(state["optimizers"][name])
    except (KeyError, RuntimeError, ValueError) as error:
        raise TrainingError(
            f"{path} does not fit the settings of its run ({first_line(error)}). Start in a new folder."
        ) from None
    progress = Progress(**state["progress"])
    recipe.lr_factor = progress.lr_factor
    recipe.passes.at_once = progress.at_once or recipe.passes.at_once
    return progress


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The raw state; nothing in the file is executed. Raises TrainingError when it is damaged."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise TrainingError(
            f"'{path.parent}' holds no checkpoint yet. Train there first: inkbridge train --out {path.parent}"
        ) from None
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        raise TrainingError(f"{path} is damaged: {first_line(error)}") from None
    return state
