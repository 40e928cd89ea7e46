"""What the processes of one run tell each other: the leading one decides, the others follow."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from inkbridge.errors import DataError
from inkbridge.train.checkpoint import Progress, restore_state, to_bytes, whole_state
from inkbridge.train.config import from_dict
from inkbridge.train.cost import build
from inkbridge.train.data import PictureSet
from inkbridge.train.processes import Processes
from inkbridge.train.recipe import Recipe
from inkbridge.train.run_folder import RunFolder
from inkbridge.train.settle import load_sides
from inkbridge.train.stopping import stop_requests
from inkbridge.train.updates import Updates

END, STATE, UPDATE = range(3)


class Leader:
    """The leading process's word to the others; alone it says nothing."""

    def __init__(self, updates: Updates, settled: Mapping[str, Any], content: PictureSet, done: Progress):
        self._updates, self._processes = updates, updates.processes
        self._processes.tell((settled, content.names))
        self.share_state(done)

    def share_state(self, done: Progress) -> None:
        """Bring the others to the state of this one."""
        if self._processes.count > 1:
            self._processes.tell_numbers(STATE, 0, 0)
            self._processes.tell(bytes(to_bytes(whole_state(self._updates.recipe, done))))

    def update(self, images_seen: int, progress: float) -> dict[str, torch.Tensor]:
        """The next update, of all processes; returns its loss parts."""
        self._processes.tell_numbers(UPDATE, images_seen, progress)
        return self._updates.run(images_seen, progress)

    def end(self, finished: bool) -> None:
        """Let the others end, with training over or stopped before."""
        self._processes.tell_numbers(END, finished, 0)


def follow(
    run: RunFolder,
    content_dir: Path,
    folders: Mapping[str, Path],
    place: torch.device,
    processes: Processes,
) -> bool:
    """Take part in the run that the leading process leads, until that ends it.

    Nothing is written but the decoded pictures, where this machine does not see those of the leading one.
    Returns whether training is over, or was stopped. Raises DataError when the pictures are others than
    there.
    """
    settled, names = processes.tell(None)
    config = from_dict(settled, str(run.config))
    recipe = build(config, len(folders), place)
    recipe.passes.processes = processes
    content, styles = load_sides(content_dir, dict(folders), config, run.cache)
    if content.names != names:
        raise DataError(
            f"'{content_dir}' has other pictures for process {processes.rank} than for the first. Give all "
            "machines the same folders."
        )
    recipe.meet([found.looks for found in styles.values()])
    updates = Updates(config, recipe, content, list(styles.values()), place, processes)
    with stop_requests():  # the leading process hears them too, and ends the run in good order
        while (told := processes.tell_numbers(0, 0, 0))[0] != END:
            if told[0] == STATE:
                _restore(processes.tell(None), recipe, run)
            else:
                updates.run(int(told[1]), told[2])
    return bool(told[1])


def _restore(state: bytes, recipe: Recipe, run: RunFolder) -> None:
    restore_state(torch.load(io.BytesIO(state), weights_only=True), recipe, run.checkpoint)
