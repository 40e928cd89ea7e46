"""The best moment: how good the averaged generator is now and then, its best state, and when to stop.

GANs do not end where they are best: from few style pictures a long training gets worse again. So the run
keeps what was best (`RUN/best.pt`), and that is exported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from inkbridge.images import RGB, read_picture
from inkbridge.train.checkpoint import Progress, read_checkpoint, save_state
from inkbridge.train.curve import draw_curve
from inkbridge.train.data import PictureSet
from inkbridge.train.health import Health
from inkbridge.train.recipe import Recipe
from inkbridge.train.run_folder import RunFolder
from inkbridge.train.samples import choose, choose_unseen, painted, square
from inkbridge.train.scores import KEPT, PIXELS, best_moment, interval, judged_by, over_styles, score

Figures = dict[str, float]
Meter = Callable[[list[RGB]], list[Figures]]
"""Results -> figures of all of them ("covered", "recognised" or "edges", and more), then of all but each
one."""
Measure = Callable[[list[RGB], list[RGB]], Meter]
"""Contents and style pictures -> what measures results of those contents in that style. Its attribute
`judge`, if it has one, is the name of who judges (`inkbridge.metrics.quality.Quality`)."""

NUM_CONTENTS, NUM_STYLES, NUM_UNSEEN_STYLES = 12, 32, 8
FEWEST = 12
"""Moments before a run is said to stand still. The score of a run that gets better for long falls in between:
after 6 moments one was stopped at 0.64 and another at 0.66 that reached 0.72 without."""
LEAST_GAIN = 0.01
"""By which the second half of a run must have raised the score for more training to help."""


class Moments:
    """Measures a run on the contents that it held back, and keeps the best state."""

    def __init__(
        self,
        run: RunFolder,
        recipe: Recipe,
        content: PictureSet,
        styles: dict[str, PictureSet],
        measure: Measure,
        health: Health,
    ) -> None:
        self._health = health
        self._run, self._recipe = run, recipe
        self._contents = choose_unseen(content, NUM_CONTENTS)
        self._styles = {name: _pictures(style) for name, style in styles.items()}
        self._measure, self._judge = measure, getattr(measure, "judge", PIXELS)
        self._meters: list[Meter] = []
        self.best = -1
        """Images seen at the best moment, -1 before the first."""
        self._best_score = np.full(1, -np.inf)
        # Scores of another judge cannot be compared: then the best is sought anew.
        ours = judged_by(run.read_quality(), self._judge)
        self._scores = over_styles(ours)
        if run.best.exists():
            state = read_checkpoint(run.best)
            if state.get("judge", PIXELS) == self._judge:
                self.best = state["progress"]["images_seen"]
                self._best_score = np.array(state["scores"])

    def measure(self, done: Progress, progress: float) -> dict[str, Figures]:
        """Paint, measure, write a line of the quality curve for each style, and keep the state if it is best.

        What looks wrong is said by `health`. Returns the figures of each style.
        """
        if not self._meters:
            self._meters = [
                self._measure(self._contents, [*known, *unseen]) for known, unseen in self._styles.values()
            ]
        results: dict[str, list[RGB]] = {}
        found: dict[str, Figures] = {}
        scores = []
        for i, (name, meter) in enumerate(zip(self._styles, self._meters, strict=True)):
            results[name] = [painted(self._recipe, content, i) for content in self._contents]
            figures = meter(results[name])
            scores.append([score(some) for some in figures])
            low, high = interval(np.array(scores[-1]))
            found[name] = {**figures[0], "score": scores[-1][0], "from": low, "to": high}
            rounded: dict[str, Any] = {figure: round(value, 4) for figure, value in found[name].items()}
            self._run.append_quality(
                {
                    "images_seen": done.images_seen,
                    "style": name,
                    "judge": self._judge,
                    **rounded,
                    "scores": [round(value, 6) for value in scores[-1]],
                }
            )
        self._scores[done.images_seen] = np.mean(np.round(scores, 6), axis=0)
        if best_moment(self._scores) == done.images_seen:
            self.best, self._best_score = done.images_seen, self._scores[done.images_seen]
            save_state(
                self._run.best,
                {
                    "progress": vars(done),
                    "modules": self._recipe.averaged_states(),
                    "scores": self._best_score.tolist(),
                    "judge": self._judge,
                },
            )
        draw_curve(self._run, self.best)
        self._health.look(done.images_seen, progress, self._contents, results, self._styles)
        return found

    def summary(self) -> str:
        """Which moment was best, and how good."""
        low, high = interval(self._best_score)
        kept = KEPT["edges" if self._judge == PIXELS else "recognised"]
        return (
            f"Best measured: after {self.best:,} images, score {self._best_score[0]:.2f} ({low:.2f} to "
            f"{high:.2f}; of style covered and {kept}, 1 is all). "
            f"{'The last' if self._recipe.ends_best else 'That'} state will be exported."
        )

    def advice(self, images_seen: int) -> str:
        """What to do when a run stands still."""
        kept = f"The best state, after {self.best:,} images, is kept and will be exported."
        if self._recipe.ends_best:
            kept = "The last state will be exported."
        return (
            f"More training hardly helps any longer: the second half of {images_seen:,} images has raised "
            f"the score by less than {LEAST_GAIN}. {kept} Stop with Ctrl-C; --until-good stops by itself."
        )

    def stands_still(self, images_seen: int) -> bool:
        """Whether the second half of the run so far has brought less than `LEAST_GAIN`.

        Not said before there are `FEWEST` moments, half of them in each half, nor while nothing is reached.
        """
        first = [scores for at, scores in self._scores.items() if at <= images_seen / 2]
        second = [scores for at, scores in self._scores.items() if images_seen / 2 < at <= images_seen]
        if min(len(first), len(second)) < FEWEST // 2:
            return False
        before, after = (max(half, key=lambda scores: scores[0]) for half in (first, second))
        return bool(after[0] > 0 and after[0] - before[0] < LEAST_GAIN)


def _pictures(style: PictureSet) -> tuple[list[RGB], list[RGB]]:
    """Of training, and held back."""
    unseen = [square(read_picture(path).rgb) for path in style.held_back[:NUM_UNSEEN_STYLES]]
    return choose(style, NUM_STYLES), unseen
