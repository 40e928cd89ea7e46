"""The training loop: counts images, calls the recipe's two updates, logs, samples, saves.

It knows no recipe. A run that was stopped or killed goes on where its last checkpoint was; because all
random numbers are functions of the seed and of the images seen, it then does on a CPU, bit for bit, what
an uninterrupted run would have done (with a budget in images; a budget in minutes follows the clock).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inkbridge.images import find_pictures
from inkbridge.train.budget import Budget, Report
from inkbridge.train.checkpoint import Progress, restore_checkpoint, save_checkpoint
from inkbridge.train.config import TrainConfig, from_dict
from inkbridge.train.cost import build, is_out_of_memory, measure_cost
from inkbridge.train.data import PictureSet
from inkbridge.train.following import Leader, follow
from inkbridge.train.from_pack import start_from
from inkbridge.train.health import Health, go_back, take_fewer, what_broke
from inkbridge.train.moments import Measure, Moments
from inkbridge.train.passes import Passes
from inkbridge.train.processes import Processes, joined
from inkbridge.train.recipe import Recipe
from inkbridge.train.run_folder import RunFolder
from inkbridge.train.samples import choose_shown, write_samples
from inkbridge.train.settle import check_sides, load_sides, settle_config, settle_pace, sources, tell_data
from inkbridge.train.stopping import stop_requests
from inkbridge.train.updates import Updates

LOG_SECONDS = 5.0


def train(
    content_dir: Path,
    styles: Path | Mapping[str, Path],
    out: Path,
    config: TrainConfig,
    budget: Budget,
    report: Callable[[Report], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
    device: str | None = None,
    measure: Measure | None = None,
) -> bool:
    """Train in the run folder `out`, going on from its checkpoint if it has one.

    `styles` is one folder of style pictures, or several by the names of their styles. With `measure`
    quality is measured every `config.evaluate_every` images, and the best state kept beside the last.
    Returns True when training is over, False when it was stopped by Ctrl-C or SIGTERM (a checkpoint
    was saved). Raises DataError, ConfigError or TrainingError.
    """
    run = RunFolder(out)
    folders = {"": styles} if isinstance(styles, Path) else dict(styles)
    with joined(device) as (processes, place):
        if processes.leads:
            return _lead(run, content_dir, folders, config, budget, report, say, place, measure, processes)
        return follow(run, content_dir, folders, place, processes)


def _lead(
    run: RunFolder,
    content_dir: Path,
    folders: dict[str, Path],
    config: TrainConfig,
    budget: Budget,
    report: Callable[[Report], None],
    say: Callable[[str], None],
    place: torch.device,
    measure: Measure | None,
    processes: Processes,
) -> bool:
    run.open()
    try:
        settled, is_new = settle_config(run, config, content_dir, folders, place)
        config = from_dict(settled, str(run.config))
        recipe = build(config, len(folders), place)
        for folder in (content_dir, *folders.values()):
            find_pictures(folder)  # says at once what it cannot find
        if is_new:
            cost = measure_cost(recipe, config, place, processes.count)
            say(cost.sentence())
            settled = settle_pace(settled, cost.images_per_second) | {"at_once": cost.at_once}
            config = from_dict(settled, str(run.config))
        recipe.passes = Passes(config.model.at_once, processes)
        content, style = load_sides(content_dir, folders, config, run.cache)
        if is_new:
            check_sides(content_dir, folders, content, style, config, say)
            # Only now: a mistyped folder must not claim the run folder.
            run.write_config({**settled, "folders": sources(content_dir, folders)})
            say(f"New run in {run.path} ({config.precision}, {processes.on(place)}).")
        tell_data(content, style, say)
        say(f"Pictures: {run.samples}; curves: tensorboard --logdir {run.tensorboard}")
        looks = [found.looks for found in style.values()]
        recipe.meet(looks)
        done = Progress()
        if run.checkpoint.exists():
            done = restore_checkpoint(run.checkpoint, recipe)
            say(f"Going on at {done.images_seen:,} images.")
        elif config.start_from:
            start_from(recipe, config.start_from, style)
            recipe.meet(looks)  # again, by the pack's encoder
            say(f"Starting from {config.start_from}.")
        run.cut_logs(done.images_seen)
        if not run.checkpoint.exists():  # what a run that breaks at once goes back to
            save_checkpoint(run.checkpoint, recipe, done)
        health = Health(run, recipe, config.model.losses.adversarial, say)
        moments = None
        if measure is not None and config.evaluate_every and not recipe.alone:
            moments = Moments(run, recipe, content, style, measure, health)
        styles = list(style.values())
        leader = Leader(Updates(config, recipe, content, styles, place, processes), settled, content, done)
        loop = _Loop(run, config, budget, recipe, content, styles, done, leader, moments, health, say)
        return loop.run_all(report)
    finally:
        run.close()


class _Loop:
    """State that the parts of the loop share."""

    def __init__(
        self,
        run: RunFolder,
        config: TrainConfig,
        budget: Budget,
        recipe: Recipe,
        content: PictureSet,
        styles: list[PictureSet],
        done: Progress,
        leader: Leader,
        moments: Moments | None,
        health: Health,
        say: Callable[[str], None],
    ) -> None:
        self.run, self.config, self.budget, self.recipe = run, config, budget, recipe
        self.styles, self.done, self.leader = styles, done, leader
        self.moments, self.health, self.say = moments, health, say
        self.stands_still = moments is not None and moments.stands_still(done.images_seen)
        self.sample_contents = choose_shown(content)
        self.started_at, self.started_seconds = done.images_seen, done.seconds

    def run_all(self, report: Callable[[Report], None]) -> bool:
        """Update until the budget is spent or a stop is asked for."""
        writer = _tensorboard(self.run.tensorboard, self.done.images_seen)
        clock = last_saved = last_logged = time.perf_counter()
        next_sample = self._next(self.config.sample_every)
        next_measured = self._next(self.config.evaluate_every)
        with stop_requests() as stopped:
            while not self._is_over() and not stopped():
                parts = self._update()
                if parts is None:
                    continue
                now = time.perf_counter()
                self.done.seconds += now - clock
                clock = now
                spent = self.budget.progress(self.done) >= 1.0
                saving = spent or now - last_saved >= self.config.checkpoint_seconds
                logging = spent or now - last_logged >= LOG_SECONDS
                measuring = spent or self.done.images_seen >= next_measured
                if (saving or logging or measuring) and self._went_back(parts):
                    continue
                if measuring and self.moments is not None:
                    next_measured = self._next(self.config.evaluate_every)
                    self._measure(self.moments, writer)
                finished = self._is_over()
                if logging or finished:
                    last_logged = now
                    self._log(parts, report, writer)
                if self.done.images_seen >= next_sample or finished:
                    next_sample = self._next(self.config.sample_every)
                    name = f"{self.done.images_seen:07d}.jpg"
                    write_samples(self.run.samples / name, self.recipe, self.sample_contents, self.styles)
                if saving or finished:
                    last_saved = now
                    save_checkpoint(self.run.checkpoint, self.recipe, self.done)
            if not self._is_over() and not self._went_back({}):
                save_checkpoint(self.run.checkpoint, self.recipe, self.done)
        self.leader.end(self._is_over())
        writer.close()
        if self._is_over() and self.moments is not None and self.moments.best >= 0:
            self.say(self.moments.summary())
        return self._is_over()

    def _is_over(self) -> bool:
        good = self.budget.until_good and self.stands_still
        return good or self.budget.progress(self.done) >= 1.0

    def _update(self) -> dict[str, Tensor] | None:
        """Loss parts, or None when memory ran out."""
        model = self.config.model
        try:
            parts = self.leader.update(self.done.images_seen, self.budget.progress(self.done))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            self.done.images_seen += model.batch
            return parts
        # Out here, where the error no longer holds what the update had made.
        self.done = take_fewer(self.run, self.recipe, self.done, model, self.say)
        return None

    def _went_back(self, parts: dict[str, Tensor]) -> bool:
        broken = what_broke(parts, self.recipe)
        if broken is not None:
            self.done = go_back(self.run, self.recipe, self.done, broken, self.say)
            self.leader.share_state(self.done)
        return broken is not None

    def _log(self, parts: dict[str, Tensor], report: Callable[[Report], None], writer: Any) -> None:
        losses = {name: float(part) for name, part in parts.items()}
        self.health.observe(losses)
        done, budget = self.done, self.budget
        speed = (done.images_seen - self.started_at) / max(done.seconds - self.started_seconds, 1e-9)
        progress = budget.progress(done)
        entry = {
            "images_seen": done.images_seen,
            "seconds": round(done.seconds, 2),
            "progress": round(progress, 5),
            "finished": self._is_over(),
            "images_per_second": round(speed, 3),
            **{name: round(value, 5) for name, value in losses.items()},
        }
        self.run.append_log(entry)
        for name, value in losses.items():
            writer.add_scalar(name, value, done.images_seen)
        report(Report(progress, done.images_seen, speed, budget.seconds_left(done, speed), losses))

    def _measure(self, moments: Moments, writer: Any) -> None:
        for name, figures in moments.measure(self.done, self.budget.progress(self.done)).items():
            for figure, value in figures.items():
                writer.add_scalar("/".join(filter(None, (figure, name))), value, self.done.images_seen)
        stood_still, self.stands_still = self.stands_still, moments.stands_still(self.done.images_seen)
        if self.stands_still and not stood_still:
            self.say(moments.advice(self.done.images_seen))

    def _next(self, every: int | None) -> float:
        """The next multiple of `every` images; never, if that is 0."""
        return (self.done.images_seen // every + 1) * every if every else math.inf


def _tensorboard(folder: Path, images_seen: int) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=images_seen or None)
