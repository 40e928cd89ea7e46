"""Recipe `repair`: from sound pictures alone, which it damages itself, to a network that mends them.

Stage one is faithful: results near the sound picture (Charbonnier et al. 1994), also in their gradients, and
what is hidden found (binary cross-entropy). With an adversarial weight a discriminator asks for texture as
well (stage two; Ledig et al. 2017, section 2.2). A second network puts colours right, of whole pictures as
of details, from a thumbnail.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from inkbridge.damage import KINDS, Damaged, damage, draw_kinds
from inkbridge.images import RGB
from inkbridge.train.networks.generator import GeneratorConfig
from inkbridge.train.networks.repairer import Repairer, ToneNet, thumbnail, toned
from inkbridge.train.recipe import AdversarialConfig, Choice, GanConfig, Recipe

SOUND = 0.1
"""Share of pictures that are left undamaged, to be left alone."""


@dataclass
class RepairLossConfig(AdversarialConfig):
    """Weights of the generator's losses."""

    adversarial_weight: float = 0.0
    """0: no discriminator; results are faithful, and soft where nothing tells what was there."""
    pair_weight: float = 10.0
    """Weight of the distance of result and sound picture."""
    gradient_weight: float = 5.0
    """Weight of the distance of their gradients."""
    found_weight: float = 0.2
    """Weight of the mask that is found."""
    tone_weight: float = 5.0
    """Weight of the distance of colours put right from those before the damage."""


@dataclass
class RepairConfig(GanConfig):
    """Everything that recipe `repair` can be told."""

    batch: int = 8
    generator: GeneratorConfig = field(default_factory=lambda: GeneratorConfig(kind="repairer"))
    losses: RepairLossConfig = field(default_factory=RepairLossConfig)
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
        self.tone = ToneNet()
        self.taught_with_generator("tone", self.tone)
        self.averaged("tone_ema", self.tone)

    def given(self, content: RGB, index: int) -> RGB:
        """The content as it is to be repaired."""
        return self._damaged(content, index, whole=True).rgb

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
        seeds = torch.randint(1 << 62, (len(content),), generator=rng).tolist()
        pictures = (
            ((content + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        )
        made = [self._damaged(picture, seed) for picture, seed in zip(pictures, seeds, strict=True)]
        image, wanted = (
            self._whole(np.stack([getattr(one, side) for one in made]), content) for side in ("rgb", "toned")
        )
        hidden = torch.from_numpy(np.stack([one.mask for one in made])[:, None]).to(content) / 255
        result, found = self.passes(self.repairer.repair, image, self._told(hidden, rng))
        parts = {
            "pair": charbonnier(result - wanted),
            "gradient": mean_of_gradients(result - wanted),
            "found": F.binary_cross_entropy_with_logits(found.float(), hidden),
        }
        loss = config.pair_weight * parts["pair"] + config.gradient_weight * parts["gradient"]
        loss = loss + config.found_weight * parts["found"]
        parts["tone"] = self._tone_loss(result.detach(), wanted, content)
        loss = loss + config.tone_weight * parts["tone"]
        if not config.adversarial_weight:
            self.learn_alone(loss, len(content), progress, images_seen)
            return result.detach(), {name: part.detach() for name, part in parts.items()}
        verdict = self.judge(result, wanted, rng)
        parts["adversarial"] = verdict.loss_g
        loss = loss + config.adversarial_weight * parts["adversarial"]
        parts |= self.learn(loss, [verdict], progress, images_seen, rng)
        return result.detach(), {name: part.detach() for name, part in parts.items()}

    def _damaged(self, picture: RGB, seed: int, whole: bool = False) -> Damaged:
        rng = np.random.default_rng(seed)
        low, high = self.config.unit
        unit = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        kinds: dict[str, float] = {}
        if rng.random() >= SOUND:
            kinds = draw_kinds(rng, self.config.kinds, self.config.strengths)
        return damage(picture, kinds, seed, None if whole else unit)

    def _told(self, hidden: Tensor, rng: torch.Generator) -> Tensor:
        """The mask as somebody gave it, of half of the pictures: drawn more or less generously."""
        masks = []
        for mask in hidden.split(1):
            reach = int(torch.randint(4, (), generator=rng))
            given = bool(torch.rand((), generator=rng) < 0.5)
            grown = F.max_pool2d(mask, 2 * reach + 1, stride=1, padding=reach)
            masks.append(grown if given else torch.zeros_like(mask))
        return torch.cat(masks)

    def _tone_loss(self, result: Tensor, wanted: Tensor, content: Tensor) -> Tensor:
        """Distance of light and colour from the picture's before the damage; and what is amiss, is known."""
        ours, before, sound = (thumbnail(side) for side in (result, wanted, content))
        light, tone = self.tone(ours)
        amiss = ((before - sound).abs().amax((1, 2, 3)) > 0.02).float()
        known = F.binary_cross_entropy_with_logits(tone[:, -1].float(), amiss)
        return charbonnier(toned(ours, light, tone).float() - sound) + 0.1 * known

    def _whole(self, pictures: RGB, like: Tensor) -> Tensor:
        image = torch.from_numpy(pictures).to(like.device).permute(0, 3, 1, 2).to(like.dtype)
        return image.div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)


def charbonnier(difference: Tensor) -> Tensor:
    """Mean of sqrt(x^2 + e^2) - e: |x| far from 0, and smooth there (Charbonnier et al. 1994)."""
    e = 0.01
    return ((difference.float().square() + e * e).sqrt() - e).mean()


def mean_of_gradients(difference: Tensor) -> Tensor:
    """Mean |difference of neighbours|, in both directions."""
    down, right = difference.diff(dim=2), difference.diff(dim=3)
    return charbonnier(down) + charbonnier(right)
