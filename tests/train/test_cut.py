import copy

import numpy as np
import pytest
import torch

from conftest import TINY, made_picture
from inkbridge.train import losses
from inkbridge.train.adversarial import ADVERSARIAL
from inkbridge.train.augment import augment, disguise, fade
from inkbridge.train.config import load_config
from inkbridge.train.networks.generator import draw_grain
from inkbridge.train.parts import with_disguised
from inkbridge.train.recipe import Choice
from inkbridge.train.recipes.cut import Cut
from inkbridge.train.recipes.multistyle import Multistyle


@pytest.fixture
def recipe() -> Cut:
    torch.manual_seed(0)
    return Cut(load_config(None, TINY).model, torch.device("cpu"))


def batch(seed: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return (torch.rand(2, 3, 48, 48, generator=rng) * 2 - 1).contiguous(memory_format=torch.channels_last)


def made_batch(num: int) -> torch.Tensor:
    pictures = np.stack([made_picture(48, 48, i) for i in range(num)])
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def changed(before: dict, module: torch.nn.Module) -> bool:
    return any(not torch.equal(before[name], value) for name, value in module.state_dict().items())


@pytest.mark.parametrize("spectral_norm", [True, False])
def test_each_network_learns_from_its_own_loss_alone(spectral_norm):
    """Without what the generator minimises only the discriminator moves, and the other way round."""
    minimised = ("adversarial", "content", "texture", "affinity", "similarity", "redraw")
    only = [f"losses.{name}_weight=0" for name in minimised]
    settings = [*TINY, f"discriminator.spectral_norm={str(spectral_norm).lower()}", *only]
    recipe = Cut(load_config(None, [*settings, "losses.activation_weight=0"]).model, torch.device("cpu"))
    before = {name: copy.deepcopy(module.state_dict()) for name, module in recipe.modules().items()}
    rng = torch.Generator().manual_seed(0)
    recipe.update(batch(1), batch(2), Choice(), 0.1, 100, rng)
    assert changed(before["discriminator"], recipe.discriminator)
    assert not changed(before["generator"], recipe.generator)
    assert not changed(before["heads"], recipe.heads)

    recipe = Cut(load_config(None, [*TINY, "optimizer.discriminator_lr=0"]).model, torch.device("cpu"))
    before = {name: copy.deepcopy(module.state_dict()) for name, module in recipe.modules().items()}
    _, parts = recipe.update(batch(1), batch(2), Choice(), 0.1, 100, rng)
    assert all(
        torch.equal(before["discriminator"][name], parameter)
        for name, parameter in recipe.discriminator.named_parameters()
    )
    for name in ("generator", "heads", "generator_ema"):
        assert changed(before[name], recipe.modules()[name]), name
    assert {"adversarial", "content", "activation", "texture"} <= set(parts)


def test_one_update_has_the_gradients_of_two_separate_ones(recipe):
    """The shared passes change nothing: gradients as if each network were updated on its own."""
    content, style = batch(1), batch(2)
    reference = copy.deepcopy(recipe)
    recipe.update(
        content, style, Choice(), 0.1, 100, torch.Generator().manual_seed(0)
    )  # 100 / 2: no R1 penalty

    rng = torch.Generator().manual_seed(0)
    content, _ = with_disguised(fade(content, rng), style, reference.config.losses.redraw_weight, rng)
    result = reference.generator(content, reference.generator.styles, draw_grain(content, rng)).detach()
    fake = reference.discriminator(augment(result, reference.config.augmentations, rng))[0]
    real = reference.discriminator(augment(style, reference.config.augmentations, rng))[0]
    loss_d, _ = ADVERSARIAL[reference.config.losses.adversarial]
    loss = torch.stack([loss_d(r, f) for r, f in zip(real, fake, strict=True)]).mean()
    loss.backward()
    for ours, theirs in zip(
        recipe.discriminator.parameters(), reference.discriminator.parameters(), strict=True
    ):
        assert torch.allclose(ours.grad, theirs.grad, atol=1e-6)


def test_the_discriminator_learns_to_tell_the_two_apart(recipe):
    style = batch(1) * 0.2 + 0.5
    rng = torch.Generator().manual_seed(0)
    recipe.config.optimizer.generator_lr = 0  # the generator stays as it is
    for seen in range(100, 160, 2):
        parts = recipe.update(batch(2), style, Choice(), 0.1, seen, rng)[1]
    assert parts["real_logit"] > parts["fake_logit"] + 0.5


def test_the_memory_holds_the_last_pictures_and_survives_a_checkpoint():
    config = load_config(None, [*TINY, "losses.memory=5"]).model
    recipe, other = Cut(config, torch.device("cpu")), Cut(config, torch.device("cpu"))
    rng = torch.Generator().manual_seed(0)
    for seen in range(0, 8, 2):
        recipe.update(batch(1), batch(seen), Choice(), 0.1, seen, rng)
    kept = recipe.style_memory.levels()
    assert [len(level) for level in kept] == [5] * 4
    shown = torch.cat([batch(seen) for seen in (2, 4, 6)])[1:]
    last = losses.laplacian_pyramid(shown, 4)[0]
    assert sorted(kept[0].abs().sum((1, 2, 3)).tolist()) == pytest.approx(
        sorted(last.abs().sum((1, 2, 3)).tolist())
    )
    other.style_memory.load_state_dict(recipe.style_memory.state_dict())
    recipe.style_memory.add(losses.laplacian_pyramid(batch(7), 4))
    other.style_memory.add(losses.laplacian_pyramid(batch(7), 4))
    for ours, theirs in zip(recipe.style_memory.levels(), other.style_memory.levels(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_style_picture_in_disguise_is_redrawn_better_and_better():
    """The same style pictures at every update; what is learned is measured on another disguise of theirs."""
    others = ("adversarial", "content", "texture", "activation", "affinity", "similarity")
    off = [f"losses.{name}_weight=0" for name in others]
    torch.manual_seed(0)
    off.append("fade=false")
    settings = [*TINY, *off, "losses.redraw_weight=20", "optimizer.name=adam", "optimizer.generator_lr=3e-3"]
    recipe = Cut(load_config(None, settings).model, torch.device("cpu"))
    contents = made_batch(4)
    # Noise cannot be known from a disguise that has lost it.
    styles = torch.nn.functional.avg_pool2d(made_batch(4).flip(1), 3, 1, 1)

    def apart() -> float:
        disguised = disguise(styles, contents, torch.Generator().manual_seed(1))
        with torch.no_grad():
            return float(losses.redraw(recipe.generator(disguised, recipe.generator.styles), styles))

    before = apart()
    for seen in range(0, 240, 4):
        parts = recipe.update(contents, styles, Choice(), 0.1, seen, torch.Generator().manual_seed(seen))[1]
    assert "redraw" in parts
    assert apart() < 0.7 * before


@pytest.mark.parametrize("settings", [[], ["fade=false"]])
@pytest.mark.parametrize("kind", [Cut, Multistyle])
def test_contents_are_painted_in_another_light_each_time_unless_told_not_to(kind, settings):
    torch.manual_seed(0)
    still = ["optimizer.generator_lr=0", "losses.redraw_weight=0", "precision=float32"]
    config = load_config(None, [f"recipe={kind.name}", *TINY, *still, *settings])
    recipe = kind(config.model, torch.device("cpu"))
    torch.nn.init.zeros_(recipe.generator.surface.to_rgb.weight)  # grain, the other thing that is drawn
    content = made_batch(2)
    painted = [
        recipe.update(content, batch(2), Choice(), 0.1, 4, torch.Generator().manual_seed(seed))[0]
        for seed in (0, 1)
    ]
    with torch.no_grad():
        as_they_are = recipe.generator(content, recipe.generator.styles)
    alike = [torch.allclose(result, as_they_are, atol=1e-5) for result in painted]
    assert alike == ([True, True] if settings else [False, False])
    assert torch.allclose(*painted, atol=1e-5) == bool(settings)


def test_without_redrawing_and_for_a_single_picture_all_contents_are_painted():
    rng = torch.Generator().manual_seed(0)
    config = load_config(None, [*TINY, "losses.redraw_weight=1"]).model.losses
    assert with_disguised(batch(1), batch(2), config.redraw_weight, rng)[1] == 1
    for content, style, losses_config in (
        (batch(1)[:1], batch(2)[:1], config),
        (batch(1), batch(2), load_config(None, [*TINY, "losses.redraw_weight=0"]).model.losses),
    ):
        kept, num = with_disguised(content, style, losses_config.redraw_weight, rng)
        assert num == len(content)
        assert torch.equal(kept, content)


def test_the_learning_rate_follows_the_schedule(recipe):
    rng = torch.Generator().manual_seed(0)
    rates = []
    for progress, seen in ((0.0, 0), (0.1, 1000), (0.75, 2000), (1.0, 3000)):
        recipe.update(batch(1), batch(2), Choice(), progress, seen, rng)
        rates.append(recipe.optimizer_g.param_groups[0]["lr"] / 1e-3)
    assert rates == pytest.approx([1 / 8, 1.0, 1 - 0.95 / 2, 0.05])


@pytest.mark.parametrize(("settings", "rate"), [([], 3e-4), (["optimizer.generator_lr=1e-5"], 1e-5)])
def test_another_optimizer_brings_a_rate_that_suits_it_unless_one_is_given(settings, rate):
    """At Muon's 1e-3 Adam turned results white."""
    config = load_config(None, [*TINY, "optimizer.name=adam", *settings])
    recipe = Cut(config.model, torch.device("cpu"))
    recipe.update(batch(1), batch(2), Choice(), 0.1, 1000, torch.Generator().manual_seed(0))
    assert recipe.optimizer_g.param_groups[0]["lr"] == rate
