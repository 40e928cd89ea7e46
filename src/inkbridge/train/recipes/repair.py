"""Recipe `repair`: from sound pictures alone, which it damages itself, to a network that mends them.

Stage one is faithful: results near the sound picture (Charbonnier et al. 1994), also in their gradients, and
what is hidden found (binary cross-entropy). With an adversarial weight a discriminator asks for texture as
well (stage two; Ledig et al. 2017, section 2.2). A second network puts colours right, of whole pictures as
of details, from a thumbnail.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from inkbridge.damage import KINDS, Damaged, damage, draw_kinds
from inkbridge.engine import WORN
from inkbridge.filling import filled
from inkbridge.images import RGB
from inkbridge.train.colours import changed, image_of, pictures_of, squeezed
from inkbridge.train.losses import charbonnier, decibels, mean_of_gradients, missed, root_mean_square
from inkbridge.train.networks.generator import GeneratorConfig
from inkbridge.train.networks.repairer import Repairer, ToneNets, thumbnail, toned
from inkbridge.train.recipe import AdversarialConfig, Choice, GanConfig, Recipe

SOUND = 0.1
"""Share of pictures that are left undamaged, to be left alone."""
CHANCES = 0.5, 0.9, 0.7
"""That a picture's colours, its sheet, its pixels are damaged: more sheets than the world has, for finding
what hides a picture is learned the slowest."""
TOLD = 0.35
"""Share of crops whose mask is told: to find it is the harder half."""
MENDED = 8
"""Where colours alone are learned, one of so many crops is damaged and mended as well, to know what mending
leaves; the others are seen as sound thumbnails with other colours."""


@dataclass
class RepairLossConfig(AdversarialConfig):
    """Weights of the generator's losses."""

    adversarial_weight: float = 0.0
    """0: no discriminator; results are faithful, and soft where nothing tells what was there."""
    pair_weight: float = 10.0
    """Weight of the distance of result and sound picture."""
    psnr_weight: float = 0.5
    """Weight of the mean PSNR, by which what is nearly sound counts as much as what is ruined."""
    gradient_weight: float = 5.0
    """Weight of the distance of their gradients."""
    found_weight: float = 1.0
    """Weight of the mask that is found."""
    tone_weight: float = 5.0
    """Weight of the distance of colours put right from those before the damage."""


@dataclass
class RepairConfig(GanConfig):
    """Everything that recipe `repair` can be told."""

    batch: int = 8
    generator: GeneratorConfig = field(default_factory=lambda: GeneratorConfig(kind="repairer", num_blocks=1))
    losses: RepairLossConfig = field(default_factory=RepairLossConfig)
    learn: Literal["both", "colours"] = "both"
    """`colours`: the repairer stays as it is, and the networks for colours, which need to see many more
    pictures, see nearly five times as many in the same time."""
    tone_networks: int = 3
    """Networks for colours, whose mean answers."""
    kinds: tuple[str, ...] = tuple(KINDS)
    """Kinds of damage that are made (`inkbridge damage`)."""
    strengths: tuple[float, float] = (0.1, 0.8)
    """From the faintest to the heaviest."""
    unit: tuple[float, float] = (0.5, 2.0)
    """Pixels of a unit of damage, at random: large scans and small pictures."""


class Repair(Recipe):
    """Networks and the update."""

    name = "repair"
    config_class = RepairConfig
    alone = True

    def __init__(self, config: RepairConfig, device: torch.device, num_styles: int = 1) -> None:
        super().__init__(config, device, num_styles)
        assert isinstance(self.generator, Repairer)
        self.repairer = self.generator
        self.config = config
        self.tone = ToneNets(config.tone_networks)
        self.taught_with_generator("tone", self.tone)
        self.tone_ema = self.averaged("tone_ema", self.tone)

    def given(self, content: RGB, index: int) -> RGB:
        """The content as it is to be repaired."""
        return self._damaged(content, index, whole=True).rgb

    def finished(self, result: Tensor) -> Tensor:
        """With its colours put right, where they are surely amiss."""
        small = thumbnail(result)
        light, tone = self.tone_ema(small)
        change = (toned(small, light, tone) - small).square().mean((1, 2, 3)).sqrt() * 127.5
        sure = (torch.sigmoid(tone[:, -1]) > WORN.sure) & (change > WORN.faint)
        return torch.where(sure[:, None, None, None], toned(result, light, tone), result)

    def update(
        self,
        content: Tensor,
        style: Tensor,
        choice: Choice,
        progress: float,
        images_seen: int,
        rng: torch.Generator,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One step of all networks; returns (results, loss parts)."""
        config = self.config.losses
        if self.config.learn == "colours":
            return self._colours(content, progress, images_seen, rng)
        image, wanted, hidden = self._made(content, rng)
        told = self._told(hidden, rng)
        filling = self._filled(image, told)
        result, found = self.passes(self.repairer.repair, image, told, filling)
        unaided = told.amax((1, 2, 3)) == 0
        parts = {
            "pair": charbonnier(result - wanted),
            "psnr": decibels(result, wanted),
            "gradient": mean_of_gradients(result - wanted),
            "found": missed(found[unaided], hidden[unaided]) if unaided.any() else found.sum() * 0,
        }
        loss = config.pair_weight * parts["pair"] + config.gradient_weight * parts["gradient"]
        loss = loss + config.psnr_weight * parts["psnr"] + config.found_weight * parts["found"]
        parts["tone"] = self._tone_loss(result.detach(), wanted, content, rng)
        loss = loss + config.tone_weight * parts["tone"]
        if not config.adversarial_weight:
            self.learn_alone(loss, len(content), progress, images_seen)
            return result.detach(), {name: part.detach() for name, part in parts.items()}
        verdict = self.judge(result, wanted, rng)
        parts["adversarial"] = verdict.loss_g
        loss = loss + config.adversarial_weight * parts["adversarial"]
        parts |= self.learn(loss, [verdict], progress, images_seen, rng)
        return result.detach(), {name: part.detach() for name, part in parts.items()}

    def _colours(
        self, content: Tensor, progress: float, images_seen: int, rng: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """`update` of the networks for colours alone."""
        some = content[: max(len(content) // MENDED, 1)]
        image, wanted, hidden = self._made(some, rng)
        told = self._told(hidden, rng)
        with torch.no_grad():
            mended, _ = self.passes(self.repairer.repair, image, told, self._filled(image, told))
        tone = self._tone_loss(mended, wanted, content, rng)
        self.learn_alone(tone, len(content), progress, images_seen)
        return mended, {"tone": tone.detach()}

    def _damaged(self, picture: RGB, seed: int, whole: bool = False) -> Damaged:
        rng = np.random.default_rng(seed)
        low, high = self.config.unit
        unit = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        kinds: dict[str, float] = {}
        if rng.random() >= SOUND:
            kinds = draw_kinds(rng, self.config.kinds, self.config.strengths, CHANCES)
        return damage(picture, kinds, seed, None if whole else unit)

    def _made(self, content: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Contents damaged, contents with changed colours alone, and what is hidden; each process makes its
        share."""
        seeds = torch.randint(1 << 62, (len(content),), generator=rng).tolist()
        pictures, processes = pictures_of(content), self.passes.processes
        made = [self._damaged(pictures[i], seeds[i]) for i in processes.places(len(content))]
        image, wanted = (image_of([getattr(one, side) for one in made], content) for side in ("rgb", "toned"))
        hidden = torch.from_numpy(np.stack([one.mask for one in made])[:, None]).to(content) / 255
        image, wanted, hidden = (processes.gather(side, len(content)) for side in (image, wanted, hidden))
        return image, wanted, hidden

    def _filled(self, image: Tensor, told: Tensor) -> Tensor:
        """Images with what the network is told of filled; each process fills its share."""
        pictures, processes = pictures_of(image), self.passes.processes
        masks = (told[:, 0] * 255).to(torch.uint8).cpu().numpy()
        made = [filled(pictures[i], masks[i]) for i in processes.places(len(image))]
        return processes.gather(image_of(made, image), len(image))

    def _told(self, hidden: Tensor, rng: torch.Generator) -> Tensor:
        """The mask as somebody gave it, of some of the pictures: drawn more or less generously."""
        masks = []
        for mask in hidden.split(1):
            reach = int(torch.randint(4, (), generator=rng))
            given = bool(torch.rand((), generator=rng) < TOLD)
            grown = F.max_pool2d(mask, 2 * reach + 1, stride=1, padding=reach)
            masks.append(grown if given else torch.zeros_like(mask))
        return torch.cat(masks)

    def _tone_loss(self, result: Tensor, wanted: Tensor, content: Tensor, rng: torch.Generator) -> Tensor:
        """Distance of colours put right from the picture's before the damage; and what is amiss, is known.

        Thumbnails: of results, `wanted` but for what was not mended, and of contents, of all or the first of
        which those are, with nothing but their colours changed. Each network sees other views: networks that
        see the same err alike.
        """
        mended, before, sound = map(thumbnail, (result, wanted, content[: len(result)]))
        losses = []
        for network in self.tone.members:
            seen = squeezed(content, rng)
            views = changed(seen, self.config.kinds, self.config.strengths, rng, self.passes.processes)
            ours, then, now = (torch.cat(pair) for pair in ((mended, views), (before, views), (sound, seen)))
            light, tone = self.passes(network, ours)
            amiss = ((then - now).abs().amax((1, 2, 3)) > 0.02).float()
            known = F.binary_cross_entropy_with_logits(tone[:, -1].float(), amiss)
            ours, now = (F.avg_pool2d(side, 2) for side in (ours, now))
            put_right = toned(ours, light.to(ours), tone.to(ours))
            losses.append(root_mean_square(put_right - now) + 0.1 * known)
        return torch.stack(losses).mean()
