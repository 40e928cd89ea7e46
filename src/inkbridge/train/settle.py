"""The start of a run: its settings, which must be those it was started with, and its pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from inkbridge.errors import ConfigError, DataError
from inkbridge.images import find_pictures
from inkbridge.inspect.fitness import FEW_STYLES
from inkbridge.train.config import TrainConfig, from_dict, to_dict
from inkbridge.train.data import PictureSet, load_pictures, median_short_side
from inkbridge.train.pairs import load_pairs
from inkbridge.train.precision import resolve_precision
from inkbridge.train.recipes import RECIPES
from inkbridge.train.run_folder import RunFolder

LEFT_OPEN = {"precision": "auto", "sample_every": None, "evaluate_every": None, "at_once": 0}
"""What is settled by a measurement on this machine when a run starts."""
FLAT = 3.0
"""Standard deviation, of 255, below which a picture shows one colour."""
SAMPLE_SECONDS, EVALUATE_SECONDS = 120.0, 60.0


def settle_config(
    run: RunFolder,
    config: TrainConfig,
    content_dir: Path,
    styles: Mapping[str, Path],
    device: torch.device,
) -> tuple[dict[str, Any], bool]:
    """The settings this run was started with, or the new ones; and whether they are new."""
    wanted = _plain(to_dict(config))
    recorded = run.read_config()
    if recorded is None:
        wanted["title"] = config.title or ", ".join(
            name or folder.resolve().name for name, folder in styles.items()
        )
        wanted["precision"] = resolve_precision(config.precision, device)
        return wanted, True
    if recorded.pop("folders") != sources(content_dir, styles):
        raise ConfigError(
            f"'{run.path}' was started with other folders. Give the same ones or another --out."
        )
    wanted["title"] = config.title or recorded["title"]
    for name, left_open in LEFT_OPEN.items():
        if wanted[name] == left_open:
            wanted[name] = recorded.get(name, left_open)
    # What an earlier version did not record yet was as it is by default.
    complete = _plain(to_dict(from_dict(recorded, str(run.config))))
    differing = [name for name in complete if complete[name] != wanted[name]]
    if differing:
        raise ConfigError(
            f"'{run.path}' was started with other settings ({', '.join(differing)}). "
            "Give the same ones to go on, or another --out."
        )
    return recorded, False


def check_sides(
    content_dir: Path,
    folders: Mapping[str, Path],
    content: PictureSet,
    styles: Mapping[str, PictureSet],
    config: TrainConfig,
    say: Callable[[str], None],
) -> None:
    """Raises DataError for folders from which nothing can be learned.

    Says which is which, what lies in both, and what helps where there are few pictures.
    """
    for side, folder, found in [
        ("content", content_dir, content),
        *((f"style {name}".rstrip(), folders[name], style) for name, style in styles.items()),
    ]:
        flat = sum(bool(picture.std(axis=(0, 1)).max() < FLAT) for picture in found.pictures)
        if flat > len(found.pictures) / 2:
            raise DataError(
                f"{side}: {flat} of {len(found.pictures)} pictures in '{folder}' are of one colour; nothing "
                "can be learned from them. Put pictures into it."
            )
    if RECIPES[config.recipe].alone:
        return
    for folder in folders.values():
        say(f"Pictures like those in '{content_dir}' will be painted like those in '{folder}'.")
    if RECIPES[config.recipe].pairs:  # they belong together, and may lie in one folder
        return
    fewest = min(len(found.pictures) for found in styles.values())
    if fewest < FEW_STYLES and not config.start_from and config.model.generator.kind == "modulated":
        say(
            f"Only {fewest} style pictures: from a pack (--from; see inkbridge styles) a short run gets "
            "farther with them."
        )
    ours = _digests(content_dir)
    for name, folder in folders.items():
        theirs = _digests(folder)
        both = len(ours & theirs)
        if both > len(theirs) / 2:
            raise DataError(
                f"{both} of the {len(theirs)} style pictures in '{folder}' are in the content folder "
                f"'{content_dir}' too; there is nothing to learn. Give two different folders."
            )
        if both:
            say(
                f"{both} style pictures{f' of {name}' if name else ''} are content pictures too; "
                "take them out of one of the folders."
            )


def _digests(folder: Path) -> set[str]:
    return {hashlib.sha256(file.read_bytes()).hexdigest() for file in find_pictures(folder)}


def settle_pace(settled: dict[str, Any], images_per_second: float) -> dict[str, Any]:
    """The settings with numbers of images, of two digits, between samples and between measured moments."""
    seconds = {"sample_every": SAMPLE_SECONDS, "evaluate_every": EVALUATE_SECONDS}
    paced = {
        name: max(int(float(f"{images_per_second * wait:.1e}")), 1)
        for name, wait in seconds.items()
        if settled[name] is None
    }
    return settled | paced


def load_sides(
    content_dir: Path, folders: Mapping[str, Path], config: TrainConfig, cache: Path
) -> tuple[PictureSet, dict[str, PictureSet]]:
    """The contents, and the pictures of each style; of recipe `paired` pair by pair."""
    if RECIPES[config.recipe].pairs:
        (name,) = folders
        content, style = load_pairs(content_dir, folders[name], config.data, cache, config.seed)
        return content, {name: style}
    content = load_pictures(content_dir, "content", config.data, cache, config.seed)
    if RECIPES[config.recipe].alone:
        return content, dict.fromkeys(folders, content)
    side = median_short_side(content.pictures)
    return content, {
        name: load_pictures(folder, "style", config.data, cache, config.seed, name, side)
        for name, folder in folders.items()
    }


def sources(content_dir: Path, styles: Mapping[str, Path]) -> dict[str, Any]:
    """The folders of a run, as its config.json names them."""
    by_name = {name: str(folder.resolve()) for name, folder in styles.items()}
    return {"content": str(content_dir.resolve()), "styles": by_name}


def _plain(value: Any) -> Any:
    """As JSON gives it back: tuples become lists."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]
    return value


def tell_data(content: PictureSet, styles: Mapping[str, PictureSet], say: Callable[[str], None]) -> None:
    """Say how many pictures each side has, and what was left out."""
    named = [(f"style {name}".rstrip(), own) for name, own in styles.items() if own is not content]
    for side, pictures in [("content", content), *named]:
        for sentence in pictures.left_out:
            say(f"Left out: {sentence}")
        held = f", {len(pictures.held_back)} held back" if pictures.held_back else ""
        say(f"{side}: {len(pictures.pictures)} pictures{held}.")
