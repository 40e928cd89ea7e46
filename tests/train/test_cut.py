import copy

import pytest
import torch

from conftest import TINY
from inkbridge.train.config import load_config
from inkbridge.train.recipes.cut import Cut


@pytest.fixture
def recipe() -> Cut:
    torch.manual_seed(0)
    return Cut(load_config(None, TINY).model, torch.device("cpu"))


def batch(seed: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return (torch.rand(2, 3, 48, 48, generator=rng) * 2 - 1).contiguous(memory_format=torch.channels_last)


def changed(before: dict, module: torch.nn.Module) -> bool:
    return any(not torch.equal(before[name], value) for name, value in module.state_dict().items())


@pytest.mark.parametrize("spectral_norm", [True, False])
def test_each_update_leaves_the_other_network_untouched(spectral_norm):
    config = load_config(None, [*TINY, f"discriminator.spectral_norm={str(spectral_norm).lower()}"]).model
    recipe = Cut(config, torch.device("cpu"))
    rng = torch.Generator().manual_seed(0)
    before = {name: copy.deepcopy(module.state_dict()) for name, module in recipe.modules().items()}
    result, parts = recipe.update_generator(batch(1), batch(2), 0.1, 100, rng)
    assert not changed(before["discriminator"], recipe.discriminator)
    assert all(p.grad is None for p in recipe.discriminator.parameters())
    for name in ("generator", "heads", "generator_ema"):
        assert changed(before[name], recipe.modules()[name]), name
    assert {"adversarial", "content", "activation", "texture", "identity"} >= set(parts)

    before = {name: copy.deepcopy(module.state_dict()) for name, module in recipe.modules().items()}
    recipe.update_discriminator(result, batch(2), 0.1, 100, rng)
    assert changed(before["discriminator"], recipe.discriminator)
    for name in ("generator", "heads", "generator_ema"):
        assert not changed(before[name], recipe.modules()[name]), name


def test_the_discriminator_learns_to_tell_the_two_apart(recipe):
    real, fake = batch(1) * 0.2 + 0.5, batch(2) * 0.2 - 0.5
    rng = torch.Generator().manual_seed(0)
    for seen in range(100, 160, 2):
        parts = recipe.update_discriminator(fake, real, 0.1, seen, rng)
    assert parts["real_logit"] > parts["fake_logit"] + 0.5


def test_the_identity_loss_ends_when_its_time_is_over():
    config = load_config(None, [*TINY, "losses.identity_weight=5.0", "losses.identity_until=0.3"]).model
    recipe = Cut(config, torch.device("cpu"))
    rng = torch.Generator().manual_seed(0)
    assert "identity" in recipe.update_generator(batch(1), batch(2), 0.29, 100, rng)[1]
    assert "identity" not in recipe.update_generator(batch(1), batch(2), 0.3, 100, rng)[1]


def test_the_learning_rate_follows_the_schedule(recipe):
    rng = torch.Generator().manual_seed(0)
    rates = []
    for progress, seen in ((0.0, 0), (0.1, 1000), (0.75, 2000), (1.0, 3000)):
        recipe.update_generator(batch(1), batch(2), progress, seen, rng)
        rates.append(recipe.optimizer_g.param_groups[0]["lr"] / recipe.config.optimizer.generator_lr)
    assert rates == pytest.approx([1 / 8, 1.0, 1 - 0.95 / 2, 0.05])
