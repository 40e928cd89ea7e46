"""inkbridge train"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from inkbridge.train.budget import Report
    from inkbridge.train.config import TrainConfig


def train(
    *,
    content: Path,
    style: Annotated[list[str] | None, Parameter(negative=())] = None,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    recipe: str | None = None,
    eye: str | None = None,
    size: str | None = None,
    config: Path | None = None,
    set: Annotated[list[str] | None, Parameter(negative=())] = None,
    minutes: float | None = None,
    images: int | None = None,
    until_good: Annotated[bool, Parameter(negative=())] = False,
    device: str | None = None,
) -> int:
    """Train a generator that paints the content in one style or many. The same command goes on later.

    Parameters
    ----------
    content
        Folder of pictures like those to be painted.
    style
        Folder of pictures in the wanted style; for several styles in one pack, NAME=FOLDER for each. Recipe
        repair needs none.
    out
        Run folder: checkpoints, samples, logs.
    from_
        Start from what a pack has learned, a bundled one by name or a file: style shows within minutes.
    recipe
        exemplar (one style or several, the default), cut (one, without an eye), multistyle (several, without
        an eye), fastcut, cyclegan, paired, classic or repair.
    eye
        The trained network whose features recipe exemplar compares: squeezenet11 (bundled, the default), an
        ONNX file, or torchvision weights of vgg16, vgg19 or squeezenet1_1. none: train on pixels alone, by
        recipe cut or multistyle.
    size
        tiny, small or base: of the networks.
    config
        TOML file of settings.
    set
        One setting as key=value; can be repeated.
    minutes
        Train for this long (default 60).
    images
        Train on this many images instead.
    until_good
        Stop before that when more training does not help any longer.
    device
        cpu, cuda, ... (default: cuda if there is one).
    """
    from inkbridge.errors import ConfigError, MissingExtraError
    from inkbridge.eye import BUNDLED

    if minutes is not None and images is not None:
        raise ConfigError("Give --minutes or --images, not both.")
    if any(value is not None and value <= 0 for value in (minutes, images)):
        raise ConfigError("--minutes and --images must be more than 0.")
    try:
        import torch  # noqa: F401
    except ImportError:
        raise MissingExtraError("Training", "train") from None
    from inkbridge.metrics.quality import NO_EYE, Quality
    from inkbridge.train.budget import Budget
    from inkbridge.train.loop import train as run_training
    from inkbridge.train.processes import leads
    from inkbridge.train.recipes import RECIPES

    styles = _style_folders(style) if style else None
    assignments = [
        *(set or []),
        *([f"start_from={json.dumps(from_)}"] if from_ else []),
        *([f"recipe={json.dumps(recipe)}"] if recipe else []),
    ]
    settings = _settings(config, assignments, isinstance(styles, dict), eye, size)
    alone = RECIPES[settings.recipe].alone
    if alone == (styles is not None):
        raise ConfigError(
            f"Recipe {settings.recipe} learns from contents alone: leave --style out."
            if alone
            else f"Recipe {settings.recipe} needs --style: a folder of pictures in the wanted style."
        )
    if images is None:
        minutes = minutes or 60.0
    budget = Budget(images, minutes, until_good)
    judge = NO_EYE if eye == NO_EYE else getattr(settings.model, "eye", BUNDLED)
    with _Display() as display:
        finished = run_training(
            content,
            styles or content,
            out,
            settings,
            budget,
            display.show,
            display.say,
            device,
            Quality(judge),
        )
    if leads():
        print(
            f"Done. Now: inkbridge export {out} -o NAME.stylepack"
            if finished
            else f"Stopped; saved in {out}. The same command goes on from here."
        )
    return 0 if finished else 130


def _settings(
    config: Path | None, assignments: list[str], many: bool, eye: str | None, size: str | None
) -> TrainConfig:
    """The settings of a run, by the recipe that fits the eye where none is named."""
    from inkbridge.errors import ConfigError
    from inkbridge.train.config import load_config

    unaided = "multistyle" if many else "cut"
    settings = load_config(config, assignments, unaided if eye == "none" else "exemplar", size)
    if eye is None or (eye == "none" and settings.recipe != "exemplar"):
        return settings
    if eye == "none":
        raise ConfigError(f"--eye none cannot be used with recipe exemplar: take recipe {unaided}.")
    if settings.recipe != "exemplar":
        raise ConfigError(
            f"--eye {eye} cannot be used with recipe {settings.recipe}: only exemplar has an eye."
        )
    return load_config(config, [*assignments, f"eye={json.dumps(eye)}"], "exemplar", size)


def _style_folders(arguments: list[str]) -> Path | dict[str, Path]:
    """One folder, or several by name."""
    from inkbridge.errors import ConfigError

    if len(arguments) == 1 and ("=" not in arguments[0] or Path(arguments[0]).is_dir()):
        return Path(arguments[0])
    folders: dict[str, Path] = {}
    for argument in arguments:
        name, equals, folder = argument.partition("=")
        if not equals or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
            raise ConfigError(
                f"--style {argument}: with several styles write each as NAME=FOLDER, the name in lower-case "
                "letters, digits and hyphens: --style ukiyo-e=prints/"
            )
        if name in folders:
            raise ConfigError(f"--style {name} is given twice.")
        folders[name] = Path(folder)
    return folders


class _Display:
    """A live line on a terminal; elsewhere a line every half minute."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._last = 0.0

    def __enter__(self) -> _Display:
        if self._live:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            self._bar = Progress(BarColumn(), TextColumn("{task.description}"), console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task("starting", total=1.0)
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._bar.stop()

    def say(self, sentence: str) -> None:
        if self._live:
            self._bar.console.print(sentence, highlight=False, markup=False)
        else:
            print(sentence, flush=True)

    def show(self, report: Report) -> None:
        left = time.strftime("%H:%M:%S", time.gmtime(report.seconds_left))
        losses = "  ".join(f"{name} {value:.2f}" for name, value in report.losses.items())
        line = (
            f"{report.progress:4.0%}  {report.images_seen:,} images  "
            f"{report.images_per_second:.1f}/s  {left} left"
        )
        if self._live:
            self._bar.update(self._task, completed=report.progress, description=line)
        elif time.monotonic() - self._last >= 30 or report.progress >= 1.0:
            self._last = time.monotonic()
            print(f"{line}  {losses}", flush=True)
