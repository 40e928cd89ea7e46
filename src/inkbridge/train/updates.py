"""The next update of a run: its pictures and its random numbers, all functions of the seed and of the images
seen."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from inkbridge.images import RGB
from inkbridge.train.config import TrainConfig
from inkbridge.train.data import Crops, PictureSet
from inkbridge.train.precision import mixed
from inkbridge.train.processes import Processes
from inkbridge.train.recipe import Choice, Recipe


class Updates:
    """Takes a recipe from update to update, together with the other processes if there are any."""

    def __init__(
        self,
        config: TrainConfig,
        recipe: Recipe,
        content: PictureSet,
        styles: list[PictureSet],
        device: torch.device,
        processes: Processes,
    ) -> None:
        self.config, self.recipe, self.device, self.processes = config, recipe, device, processes
        self.content_crops = Crops(content.pictures, "content", config.data, config.seed)
        # Pairs are cropped alike: the same windows as contents.
        side = "content" if recipe.pairs else "style"
        self.style_crops = [
            Crops(style.pictures, side, config.data, config.seed, i, style.looks)
            for i, style in enumerate(styles)
        ]

    def run(self, images_seen: int, progress: float) -> dict[str, Tensor]:
        """One update; returns its loss parts."""
        config, batch, processes = self.config, self.config.model.batch, self.processes
        mine = processes.places(batch)
        content = self._whole(self.content_crops.batch(images_seen, mine))
        choice = self.recipe.choose(config.seed, images_seen // batch)
        style = content
        if not self.recipe.alone:
            style = self._whole(self._style(choice, images_seen, mine))
        rng = torch.Generator().manual_seed((config.seed << 32) + images_seen)
        torch.manual_seed((config.seed << 32) + images_seen)  # what draws for itself, as dropout does
        with mixed(config.precision, self.device):
            if images_seen < config.warm_start:
                both = torch.cat([content, style])
                return self.recipe.autoencode(both, choice.style, progress, images_seen, rng)
            _, parts = self.recipe.update(content, style, choice, progress, images_seen, rng)
        return parts

    def _style(self, choice: Choice, images_seen: int, mine: list[int]) -> RGB:
        if choice.styles:
            return np.stack([self.style_crops[choice.styles[i]].at(images_seen + i) for i in mine])
        crops = self.style_crops[choice.style]
        return (crops.of_one_picture if choice.from_one_picture else crops.batch)(images_seen, mine)

    def _whole(self, pictures: RGB) -> Tensor:
        share = torch.from_numpy(pictures).to(self.device)
        image = self.processes.gather(share, self.config.model.batch).permute(0, 3, 1, 2)
        image = image.to(torch.get_default_dtype())  # of the networks
        return image.div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)
