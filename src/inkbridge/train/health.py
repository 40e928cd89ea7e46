"""When training breaks: a loss or a weight that is no number any more, and the way back.

Nothing can be learned from such a number, and one weight of it soon makes all others so. Training goes back
to its last checkpoint, which is sound because only sound states are saved, and on at half the learning rates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from inkbridge.errors import TrainingError
from inkbridge.train.checkpoint import Progress, restore_checkpoint, save_checkpoint
from inkbridge.train.recipe import Recipe
from inkbridge.train.run_folder import RunFolder

MOST_SETBACKS = 4
"""Times a run goes back before it ends: a sixteenth of the learning rates does not mend it either."""


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
    save_checkpoint(run.checkpoint, recipe, at)
    recipe.lr_factor = at.lr_factor
    run.cut_logs(at.images_seen)
    sentence = (
        f"{found}, most often because learning rates or loss weights are too high. Gone back to "
        f"{at.images_seen:,} images, on at half the learning rates ({at.setbacks} of {MOST_SETBACKS} times)."
    )
    run.append_health({"images_seen": at.images_seen, "sign": "not-finite", "said": sentence})
    say(sentence)
    return at
