"""The last pictures of one side: for distances between distributions, and to be judged again.

The idea of the picture history of Shrivastava et al. 2017 and of the queue of He et al. 2020 (MoCo): a
distribution is better described by many pictures than by the few of one update.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Memory(nn.Module):
    """The pyramid levels of the last `size` pictures, or of the last batch if that is larger."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self._levels: list[Tensor] = []
        self._num_added = 0

    def levels(self) -> list[Tensor]:
        """One N x C x H x W tensor for each level, without gradient; empty before the first `add`."""
        return [level[: self._num_added] for level in self._levels]

    @torch.no_grad()
    def add(self, levels: Sequence[Tensor]) -> None:
        """Remember the levels of these pictures in the places of the oldest."""
        num = len(levels[0])
        if not self._levels:
            size = max(self.size, num)
            self._levels = [level.new_zeros((size, *level.shape[1:])) for level in levels]
        size = len(self._levels[0])
        places = (torch.arange(num, device=levels[0].device) + self._num_added) % size
        for kept, level in zip(self._levels, levels, strict=True):
            kept[places] = level
        self._num_added += num

    def get_extra_state(self) -> dict[str, Any]:
        """What `state_dict` holds."""
        return {"levels": self._levels, "num_added": self._num_added}

    def set_extra_state(self, state: Any) -> None:
        """What `load_state_dict` puts back."""
        self._levels, self._num_added = [level.clone() for level in state["levels"]], state["num_added"]


class History(nn.Module):
    """The last `size` pictures, some to be judged again; Shrivastava et al. 2017, section 2.3."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self._pictures: list[Tensor] = []

    @torch.no_grad()
    def exchange(self, pictures: Tensor, rng: torch.Generator) -> Tensor:
        """Of N pictures about half, the others in exchange for earlier ones; all of them until it is full."""
        shown = []
        for picture in pictures.detach():
            if len(self._pictures) < self.size:
                self._pictures.append(picture)
                shown.append(picture)
            elif torch.rand(1, generator=rng) < 0.5:
                place = int(torch.randint(self.size, (1,), generator=rng))
                shown.append(self._pictures[place])
                self._pictures[place] = picture
            else:
                shown.append(picture)
        return torch.stack(shown)

    def get_extra_state(self) -> list[Tensor]:
        """What `state_dict` holds."""
        return self._pictures

    def set_extra_state(self, state: Any) -> None:
        """What `load_state_dict` puts back."""
        self._pictures = [picture.clone() for picture in state]
