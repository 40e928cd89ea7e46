"""What goes wrong in training, named once, in words, with cause and cure; and the way back when it breaks.

Nothing can be learned from a loss that is no number, and one weight of that kind soon makes all others so.
Training then goes back to its last checkpoint, which is sound because only sound states are saved, and on at
half the learning rates. Everything else that is noticed is said, and written to the run folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from inkbridge.errors import TrainingError
from inkbridge.images import RGB, to_network
from inkbridge.train.adversarial import ADVERSARIAL
from inkbridge.train.checkpoint import Progress, restore_checkpoint, save_checkpoint
from inkbridge.train.recipe import GanConfig, Recipe
from inkbridge.train.run_folder import RunFolder
from inkbridge.train.signs import Eye

MOST_SETBACKS = 4
"""Times a run goes back before it ends: a sixteenth of the learning rates does not mend it either."""
SETTLING = 0.25
"""Share of a run in which it may look like anything."""
LASTING = 3
"""Moments in a row at which a sign must be seen before it is named."""
RECENT = 20
"""Logged updates over which losses are averaged."""

SIGNS = {
    "copies": (
        "Results are hardly other than their contents ({value:.1f} of 255 levels). The style does not pull: "
        "give the adversarial and texture losses more weight, or the content loss less."
    ),
    "inverted": (
        "Results are light where contents are dark (correlation {value:.2f}). Training began inverted or fell"
        " into it, and no loss leads out: start a new run with another seed, and make sure that no style "
        "picture is a negative."
    ),
    "cast": (
        "Results have a colour that no style picture has ({value:.1f} standard deviations from theirs). "
        "Learning rates are too high for this run, or the texture loss weighs too little: lower "
        "optimizer.generator_lr."
    ),
    "collapse": (
        "Results are nearly all alike ({value:.0%} of the variety of their contents). The generator has "
        "collapsed: lower optimizer.generator_lr, or give the content loss more weight, and start a new run."
    ),
    "mesh": (
        "Results have a mesh that repeats itself every few pixels ({value:.0%} of their finest detail). Train"
        ' on with augmentations = ["resample"], or lower optimizer.generator_lr.'
    ),
    "spots": (
        "Results are full of spots ({value:.1%} of their pixels stand out, more than in contents and style "
        "pictures). Lower optimizer.generator_lr, or raise losses.penalty_weight."
    ),
    "by-heart": (
        "{value:.0%} of the results repeat a style picture instead of their content. The style pictures are "
        "learned by heart: add pictures, give the content loss more weight, or stop earlier (--until-good)."
    ),
    "overfitting": (
        "The discriminator knows its style pictures by heart: those held back are {value:.0%} of the way to "
        "results. Add pictures, set adaptive = true, or stop earlier (--until-good)."
    ),
    "discriminator-strong": (
        "The discriminator is too strong: it is sure of nearly every picture (logits {value:.1f} apart), "
        "and the generator learns little. Lower optimizer.discriminator_lr or raise losses.penalty_weight."
    ),
    "discriminator-weak": (
        "The discriminator tells results from style pictures no better than guessing (loss {value:.0%} of "
        "that). Raise optimizer.discriminator_lr or lower losses.penalty_weight; are the two folders alike?"
    ),
    "discriminator-still": (
        "The discriminator does not learn: its weights have not changed. "
        "Set optimizer.discriminator_lr above 0."
    ),
    "generator-still": (
        "The generator does not learn: its weights have not changed. Set optimizer.generator_lr above 0."
    ),
    "exploding": (
        "The generator's gradients explode ({value:.0f} times what they were). Lower optimizer.generator_lr "
        "or the weight of the loss that grows (log.jsonl)."
    ),
}
"""What can be noticed, by name, each with cause and cure."""

OPINIONS = 8
"""Pictures of each kind that the discriminator is asked about."""
MOST_OVERFITTING = 0.75
STRONG, WEAK = 0.05, 0.995
"""Loss of the discriminator, of what guessing gives, below and above which something is wrong."""
MOST_APART = 8.0
"""Logits of style pictures and results, in losses made of the logistic function, which is flat there."""
MOST_GROWTH = 100.0
"""Of the gradients."""


class Health:
    """Watches one run. What was said of it before, also before a stop, is not said again."""

    def __init__(self, run: RunFolder, recipe: Recipe, adversarial: str, say: Callable[[str], None]) -> None:
        self._run, self._recipe, self._say = run, recipe, say
        self._told = {(line["sign"], line.get("style", "")) for line in run.read_health()}
        self._lasting: dict[tuple[str, str], int] = {}
        self._losses: list[Mapping[str, float]] = []
        self._norms: list[float] = []
        self._weights: dict[str, list[Tensor]] = {}
        self._eyes: dict[str, Eye] = {}
        zero = torch.zeros(1)
        self._guessing = float(ADVERSARIAL[adversarial][0](zero, zero))
        self._is_logistic = adversarial in {"minimax", "non-saturating", "relativistic"}

    def observe(self, losses: Mapping[str, float]) -> None:
        """Take note of the losses of an update that is logged, and of the gradients it left."""
        self._losses.append(losses)
        gradients = [
            p.grad for g in self._recipe.optimizer_g.param_groups for p in g["params"] if p.grad is not None
        ]
        self._norms.append(float(torch.stack(torch._foreach_norm(gradients)).norm()))

    def look(
        self,
        images_seen: int,
        progress: float,
        contents: Sequence[RGB],
        results: Mapping[str, Sequence[RGB]],
        styles: Mapping[str, tuple[Sequence[RGB], Sequence[RGB]]],
    ) -> None:
        """Name what is wrong at a measured moment, if it was so at those before too, or if it is the last.

        `results` by style; `styles` by style, those trained on and those held back.
        """
        seen: dict[tuple[str, str], float] = {}
        for index, (style, painted) in enumerate(results.items()):
            known, unseen = styles[style]
            if style not in self._eyes:
                self._eyes[style] = Eye(contents, [*known, *unseen])
            found = self._eyes[style].seen(painted)
            if len(unseen) >= 4 and not self._recipe.pairs:
                gap = _overfitting(partial(self._recipe.logits, index=index), known, unseen, painted)
                if gap > MOST_OVERFITTING:
                    found["overfitting"] = gap
            seen |= {(name, style): value for name, value in found.items()}
        seen |= {(name, ""): value for name, value in self._of_the_networks().items()}
        self._lasting = {sign: self._lasting.get(sign, 0) + 1 for sign in seen}
        for (name, style), value in seen.items():
            lasts = progress >= SETTLING and self._lasting[name, style] >= LASTING
            if (lasts or progress >= 1.0) and (name, style) not in self._told:
                self._told.add((name, style))
                said = SIGNS[name].format(value=value)
                said = f"At {images_seen:,} images{f', style {style}' if style else ''}: {said}"
                self._run.append_health(
                    {"images_seen": images_seen, "sign": name, "style": style, "said": said}
                )
                self._say(said)

    def _of_the_networks(self) -> dict[str, float]:
        found: dict[str, float] = {}
        recent = [losses for losses in self._losses[-RECENT:] if "discriminator" in losses]
        networks: dict[str, nn.Module] = {"generator": self._recipe.generator}
        if recent:
            networks["discriminator"] = self._recipe.discriminator
        for name, network in networks.items():
            weights = [p.detach().clone() for p in network.parameters() if p.requires_grad]
            before = self._weights.get(name, [])
            if before and all(torch.equal(a, b) for a, b in zip(weights, before, strict=True)):
                found[f"{name}-still"] = 0.0
            self._weights[name] = weights
        # Of pairs the pair itself teaches the generator, and a sure discriminator does no harm.
        if (
            len(recent) == RECENT
            and self._guessing
            and not self._recipe.pairs
            and "discriminator-still" not in found
        ):
            share = float(np.mean([losses["discriminator"] for losses in recent])) / self._guessing
            apart = float(np.mean([losses["real_logit"] - losses["fake_logit"] for losses in recent]))
            if share < STRONG or (self._is_logistic and apart > MOST_APART):
                found["discriminator-strong"] = apart
            elif share > WEAK and abs(apart) < 0.05:
                found["discriminator-weak"] = share
        if len(self._norms) > 2 * RECENT:
            growth = float(np.median(self._norms[-RECENT:]) / max(np.median(self._norms[:RECENT]), 1e-12))
            if growth > MOST_GROWTH:
                found["exploding"] = growth
        return found


def _overfitting(
    logits: Callable[[Tensor], list[Tensor]],
    known: Sequence[RGB],
    unseen: Sequence[RGB],
    results: Sequence[RGB],
) -> float:
    """How far unseen style pictures are, for the discriminator, on the way from known ones to results.

    1 where it takes what it does not know for generated (the comparison of Karras et al. 2020a, Eq. 1, in
    terms of that with results).
    """
    sides = known[:: max(len(known) // OPINIONS, 1)], unseen, results
    ours, theirs, made = (_opinion(logits, side[:OPINIONS]) for side in sides)
    return (ours - theirs) / (ours - made) if ours - made > 0.1 else 0.0


@torch.no_grad()
def _opinion(logits: Callable[[Tensor], list[Tensor]], pictures: Sequence[RGB]) -> float:
    values = []
    for picture in pictures:
        found = logits(torch.from_numpy(to_network(picture)))
        values.append(np.mean([float(logit.float().mean()) for logit in found]))
    return float(np.mean(values))


def what_broke(losses: Mapping[str, Tensor], recipe: Recipe) -> str | None:
    """Which loss, or the weights of which network, are not finite; None if all is well."""
    for name, value in losses.items():
        if not bool(torch.isfinite(value)):
            return f"the {name} loss"
    for name, network in recipe.modules().items():
        weights: list[Tensor] = list(network.parameters())
        if weights and not all(bool(torch.isfinite(norm)) for norm in torch._foreach_norm(weights)):
            return f"a weight of the {name.replace('_', ' ')}"
    return None


def go_back(
    run: RunFolder, recipe: Recipe, done: Progress, broken: str, say: Callable[[str], None]
) -> Progress:
    """Put networks and optimizers back to the run's checkpoint, at half the learning rates, and say so.

    Returns the progress to go on from; the time spent since counts. Raises TrainingError after
    `MOST_SETBACKS`; the checkpoint stays, and can be exported.
    """
    at = restore_checkpoint(run.checkpoint, recipe)
    found = f"At {done.images_seen:,} images {broken} became infinite or no number"
    if done.setbacks >= MOST_SETBACKS:
        raise TrainingError(
            f"{found}, as {MOST_SETBACKS} times before at higher learning rates. The state after "
            f"{at.images_seen:,} images is kept in '{run.path}'. Start a new run with far lower "
            "optimizer.generator_lr and optimizer.discriminator_lr, or lower loss weights (--set)."
        )
    at.seconds, at.setbacks = done.seconds, done.setbacks + 1
    recipe.lr_factor = at.lr_factor
    sentence = (
        f"{found}, most often because learning rates or loss weights are too high. Gone back to "
        f"{at.images_seen:,} images, on at half the learning rates ({at.setbacks} of {MOST_SETBACKS} times)."
    )
    return _on_from(run, recipe, at, "not-finite", sentence, say)


def take_fewer(
    run: RunFolder, recipe: Recipe, done: Progress, model: GanConfig, say: Callable[[str], None]
) -> Progress:
    """Go back to the run's checkpoint, networks seeing half as many pictures at once, and say so.

    The update is the same as before, and takes longer. Returns the progress to go on from; the time spent
    since counts. Raises TrainingError when they cannot see fewer; the checkpoint stays.
    """
    before = recipe.passes.at_once or 2 * model.batch  # all of them, remembered: twice what one by one takes
    found = f"At {done.images_seen:,} images memory ran out"
    if before == 1 or model.discriminator.spectral_norm or recipe.passes.processes.count > 1:
        raise TrainingError(
            f"{found}. What was trained up to the last checkpoint is kept in '{run.path}'. Start a new run "
            f"with a lower batch (= {model.batch}), data.crop or --size."
        )
    for optimizer in recipe.optimizers().values():
        optimizer.zero_grad(set_to_none=True)
    at = restore_checkpoint(run.checkpoint, recipe)
    at.seconds, at.at_once = done.seconds, before // 2
    recipe.passes.at_once = at.at_once
    if recipe.device.type == "cuda":
        torch.cuda.empty_cache()
    sentence = (
        f"{found}. On from {at.images_seen:,} images with networks that see {at.at_once} pictures at once: "
        f"the same updates of {model.batch}, more slowly."
    )
    return _on_from(run, recipe, at, "memory", sentence, say)


def _on_from(
    run: RunFolder, recipe: Recipe, at: Progress, sign: str, sentence: str, say: Callable[[str], None]
) -> Progress:
    """Save the state that was gone back to, with what has changed in it, and say what happened."""
    save_checkpoint(run.checkpoint, recipe, at)
    run.cut_logs(at.images_seen)
    run.append_health({"images_seen": at.images_seen, "sign": sign, "said": sentence})
    say(sentence)
    return at
