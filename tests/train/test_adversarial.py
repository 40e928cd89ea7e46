"""Adversarial losses, penalties, schedules and optimizers against numbers worked out by hand."""

import math

import pytest
import torch

from inkbridge.train.adversarial import ADVERSARIAL
from inkbridge.train.optimizers import OPTIMIZERS, Muon, orthogonal
from inkbridge.train.regularizers import PENALTIES
from inkbridge.train.schedule import SCHEDULES

REAL = torch.tensor([[[[2.0, 0.5], [-1.0, 0.0]]]])
FAKE = torch.tensor([[[[-2.0, 0.0], [1.0, 3.0]]]])


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def mean(*values: float) -> float:
    return sum(values) / len(values)


CROSS_ENTROPY = mean(softplus(-2), softplus(-0.5), softplus(1), softplus(0)) + mean(
    softplus(-2), softplus(0), softplus(1), softplus(3)
)


@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        ("minimax", CROSS_ENTROPY, -mean(softplus(-2), softplus(0), softplus(1), softplus(3))),
        ("non-saturating", CROSS_ENTROPY, mean(softplus(2), softplus(0), softplus(-1), softplus(-3))),
        ("least-squares", 0.5 * mean(1, 0.25, 4, 1) + 0.5 * mean(4, 0, 1, 9), 0.5 * mean(9, 1, 0, 4)),
        ("hinge", mean(0, 0.5, 2, 1) + mean(0, 1, 2, 4), -0.5),
        ("wasserstein", 0.5 - 0.375, -0.5),
        (
            "relativistic",
            mean(softplus(-4), softplus(-0.5), softplus(2), softplus(3)),
            mean(softplus(4), softplus(0.5), softplus(-2), softplus(-3)),
        ),
    ],
)
def test_losses_of_2_x_2_logits_by_hand(name, discriminator, generator):
    loss_d, loss_g = ADVERSARIAL[name]
    assert loss_d(REAL, FAKE).item() == pytest.approx(discriminator, rel=1e-6)
    assert loss_g(REAL, FAKE).item() == pytest.approx(generator, rel=1e-6)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_every_adversarial_loss_pulls_the_right_way(name):
    loss_d, loss_g = ADVERSARIAL[name]
    real, fake = torch.full((4,), 0.2, requires_grad=True), torch.full((4,), 0.1, requires_grad=True)
    loss_d(real, fake).backward()
    assert (real.grad < 0).all()
    assert (fake.grad > 0).all()
    fake.grad = None
    loss_g(real, fake).backward()
    assert (fake.grad < 0).all()


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_losses_do_not_depend_on_the_batch_size(name):
    for loss in ADVERSARIAL[name]:
        twice = loss(torch.cat([REAL, REAL]), torch.cat([FAKE, FAKE]))
        assert twice.item() == pytest.approx(loss(REAL, FAKE).item())


def linear_judge(image: torch.Tensor) -> list[torch.Tensor]:
    """One logit a pixel, whose gradient has the squared length 1 + 4 + 9 = 14 everywhere."""
    return [torch.nn.functional.conv2d(image, torch.tensor([1.0, -2.0, 3.0]).view(1, 3, 1, 1))]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("r1", 7.0), ("r1+r2", 14.0), ("zero-centred", 7.0), ("wasserstein", (math.sqrt(14) - 1) ** 2)],
)
def test_penalties_of_a_linear_discriminator_by_hand(name, expected):
    real, fake, share = torch.rand(2, 3, 2, 2), torch.rand(2, 3, 2, 2), torch.rand(2, 1, 1, 1)
    values = PENALTIES[name](linear_judge, real, fake, share)
    assert values.tolist() == pytest.approx([expected, expected], rel=1e-5)


def quadratic_judge(image: torch.Tensor) -> list[torch.Tensor]:
    """D(x) = sum(x^2) / 2 of a 2 x 2 picture, one logit: its gradient is the picture itself."""
    return [0.5 * image.square().sum((1, 2, 3)).view(-1, 1, 1, 1)]


def test_penalties_are_taken_where_they_should_be():
    real, fake, share = (
        torch.full((1, 1, 2, 2), 1.0),
        torch.full((1, 1, 2, 2), 3.0),
        torch.full((1, 1, 1, 1), 0.5),
    )
    values = {name: penalty(quadratic_judge, real, fake, share).item() for name, penalty in PENALTIES.items()}
    assert values["r1"] == pytest.approx(0.5 * 4)
    assert values["r1+r2"] == pytest.approx(0.5 * 4 + 0.5 * 36)
    assert values["zero-centred"] == pytest.approx(0.5 * 16)
    assert values["wasserstein"] == pytest.approx((4 - 1) ** 2)


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_teach_the_discriminator_alone(name):
    judge = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Softplus(), torch.nn.Conv2d(4, 1, 3))
    real, fake = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8, requires_grad=True)
    penalty = PENALTIES[name](lambda image: [judge(image)], real, fake, torch.rand(2, 1, 1, 1))
    penalty.mean().backward()
    assert judge[0].weight.grad.abs().sum() > 0
    assert fake.grad is None


def test_schedules_by_hand():
    values = {
        name: [schedule(progress, 0.5, 0.1) for progress in (0.0, 0.5, 0.75, 1.0)]
        for name, schedule in SCHEDULES.items()
    }
    assert values["constant"] == [1, 1, 1, 1]
    assert values["linear"] == pytest.approx([1, 1, 0.55, 0.1])
    assert values["cosine"] == pytest.approx([1, 1, 0.55, 0.1])
    assert SCHEDULES["cosine"](0.625, 0.5, 0.1) == pytest.approx(0.1 + 0.45 * (1 + math.sqrt(0.5)))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_downhill(name):
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(3, 4, 3)
    image, wanted = torch.rand(4, 3, 8, 8), torch.rand(4, 4, 6, 6)
    optimizer = OPTIMIZERS[name](conv.parameters(), 1e-2, (0.5, 0.99))
    losses = []
    for _ in range(40):
        loss = (conv(image) - wanted).square().mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.7 * losses[0]


def test_muon_makes_the_steps_of_a_kernel_orthogonal_and_as_long_as_adams():
    kernel = torch.nn.Parameter(torch.zeros(4, 2, 3, 3))
    bias = torch.nn.Parameter(torch.zeros(4))
    optimizer = Muon([kernel, bias], lr=0.1, betas=(0.5, 0.99))
    kernel.grad, bias.grad = torch.randn(4, 2, 3, 3), torch.tensor([3.0, -2.0, 0.5, -0.1])
    optimizer.step()
    singular = torch.linalg.svdvals(kernel.flatten(1)) / (0.1 * 0.2 * math.sqrt(18))
    assert singular.min() > 0.6
    assert singular.max() < 1.3
    assert torch.allclose(bias, -0.1 * bias.grad.sign(), atol=1e-6)  # Adam's first step
    exact = kernel.detach().clone()
    with torch.no_grad():
        kernel.zero_()
    optimizer.state.clear()
    with torch.autocast("cpu", torch.bfloat16):  # as recipes step
        optimizer.step()
    assert torch.equal(kernel, exact)
    tall = orthogonal(torch.randn(30, 5))
    assert torch.allclose(torch.linalg.svdvals(tall), torch.ones(5), atol=0.35)
