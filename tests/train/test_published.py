"""Networks as published, and discriminators that judge a whole picture."""

import numpy as np
import pytest
import torch

from inkbridge.engine import Engine
from inkbridge.train.export import to_onnx
from inkbridge.train.networks import DISCRIMINATORS, GENERATORS, make_discriminator, make_generator
from inkbridge.train.networks.discriminator import DiscriminatorConfig
from inkbridge.train.networks.generator import GeneratorConfig
from inkbridge.train.networks.instance_norm import InstanceNorm
from inkbridge.train.onnx_file import compare
from inkbridge.train.recipe import place


def num_parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


@pytest.mark.parametrize(("kind", "millions"), [("resnet6", 7.838), ("resnet9", 11.378), ("unet256", 54.41)])
def test_generators_have_the_published_size(kind, millions):
    generator = make_generator(GeneratorConfig(kind=kind, width=64))
    assert num_parameters(generator) / 1e6 == pytest.approx(millions, abs=5e-4)


def test_the_patch_discriminator_has_the_published_size_and_looks_at_70_pixels():
    network = make_discriminator(DiscriminatorConfig(kind="patch", width=64))
    assert num_parameters(network) / 1e6 == pytest.approx(2.765, abs=5e-4)
    for module in network.modules():  # whose statistics look at everything
        if isinstance(module, torch.nn.InstanceNorm2d):
            module.forward = lambda x: x
    image = torch.rand(1, 3, 256, 256, requires_grad=True)
    (logits,), _ = network(image)
    assert logits.shape == (1, 1, 30, 30)
    logits[0, 0, 15, 15].backward()
    rows = image.grad.abs().sum((0, 1, 3)).nonzero()
    assert rows.max() - rows.min() + 1 == 70


@pytest.mark.parametrize("kind", GENERATORS)
def test_every_generator_keeps_the_size_gives_its_features_and_exports(kind):
    torch.manual_seed(0)
    generator = make_generator(GeneratorConfig(kind=kind, width=8, body=16, style_dim=8)).eval()
    side = max(64, generator.multiple)
    image = torch.rand(2, 3, side, side) * 2 - 1
    result, found = generator.with_features(image, generator.styles)
    assert result.shape == image.shape
    assert [a.shape[1] for a in found] == generator.feature_channels
    assert all(torch.equal(a, b) for a, b in zip(found, generator.features(image), strict=True))
    model, code = to_onnx(generator), generator.styles.detach()
    assert compare(model, generator, code, kind) < 1e-4
    # A pack hands every generator a style and grain; those that take none must not mind.
    engine = Engine(model, kind, code.shape[1], generator.multiple)
    painted = engine.run(image.numpy(), code.repeat(2, 1).numpy(), np.zeros((2, 1, side, side), np.float32))
    assert (
        np.abs(painted - generator(image, code, torch.zeros(2, 1, side, side)).detach().numpy()).max() < 1e-4
    )


@pytest.mark.parametrize("kind", [*GENERATORS, *DISCRIMINATORS])
def test_a_picture_alone_teaches_every_network_what_it_teaches_among_others(kind):
    """PyTorch's InstanceNorm2d misreads the gradient of a single picture in the channels-last layout."""
    torch.manual_seed(0)
    if kind in GENERATORS:
        network = make_generator(GeneratorConfig(kind=kind, width=8, body=16, style_dim=8)).double()

        def answer(pictures):
            return [network(pictures, network.styles)]

    else:
        network = make_discriminator(DiscriminatorConfig(kind=kind, width=8)).double()

        def answer(pictures):
            return network(pictures)[0]

    place(network.eval(), torch.device("cpu"))  # no dropout
    side = max(64, getattr(network, "multiple", 1))
    pictures = torch.rand(2, 3, side, side, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    wanted = [torch.rand_like(made) for made in answer(pictures)]

    def gradients(*groups: slice) -> list[torch.Tensor]:
        network.zero_grad()
        for group in groups:
            for made, weight in zip(answer(pictures[group]), wanted, strict=True):
                (made * weight[group]).sum().backward(retain_graph=True)
        return [p.grad.clone() for p in network.parameters() if p.grad is not None]

    together, apart = gradients(slice(2)), gradients(slice(1), slice(1, 2))
    largest = max(float(gradient.abs().max()) for gradient in together)
    for one, other in zip(together, apart, strict=True):
        assert float((one - other).abs().max()) < 1e-9 * largest


@pytest.mark.parametrize("spectral_norm", [False, True])
@pytest.mark.parametrize("channels", [3, 6])
@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_every_discriminator_judges_each_style_by_its_own_output(kind, channels, spectral_norm):
    torch.manual_seed(0)
    config = DiscriminatorConfig(kind=kind, width=8, spectral_norm=spectral_norm)
    network = make_discriminator(config, 2, channels).eval()
    image = torch.rand(3, channels, 48, 48) * 2 - 1
    first, activations = network(image, 0)
    second, _ = network(image, 1)
    assert all(logit.shape[:2] == (3, 1) or logit.shape == (3, 1) for logit in first)
    assert all(a.dim() == 4 for a in activations)
    assert not torch.equal(first[0], second[0])


def test_a_whole_picture_discriminator_gives_one_logit_whatever_the_size():
    for kind in ("fully-connected", "dense-head"):
        network = make_discriminator(DiscriminatorConfig(kind=kind, width=4))
        for size in ((32, 32), (96, 128), (20, 20)):
            (logits,), _ = network(torch.rand(2, 3, *size))
            assert logits.shape == (2, 1)


def test_the_pixel_discriminator_knows_colour_alone():
    network = make_discriminator(DiscriminatorConfig(kind="pixel", width=8)).eval()
    image = torch.rand(1, 3, 8, 8)
    order = torch.randperm(64)
    shuffled = image.flatten(2)[..., order].view_as(image)
    (logits,), _ = network(image)
    (moved,), _ = network(shuffled)
    assert torch.allclose(logits.flatten(2)[..., order], moved.flatten(2), atol=1e-5)


@pytest.mark.parametrize("num", [1, 2])
def test_instance_norm_is_the_published_one_and_keeps_the_layout(num):
    torch.manual_seed(0)
    norm, theirs = InstanceNorm(3), torch.nn.InstanceNorm2d(3)
    pictures = torch.rand(num, 3, 4, 5, dtype=torch.float64) * 3 + 1
    pictures = pictures.contiguous(memory_format=torch.channels_last).requires_grad_()
    normed = norm(pictures)
    assert normed.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(normed, theirs(pictures), rtol=0, atol=1e-12)
    with torch.no_grad():
        assert torch.allclose(norm(pictures), normed, rtol=0, atol=1e-12)
    (gradient,) = torch.autograd.grad(normed.square().sum() + normed.tanh().sum(), pictures)
    assert gradient.is_contiguous(memory_format=torch.channels_last)
    # By differences, the second derivatives, of which gradient penalties are made, too.
    assert torch.autograd.gradcheck(norm, (pictures,), rtol=1e-6)
    assert torch.autograd.gradgradcheck(norm, (pictures,), rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_instance_norm_in_half_precision_is_as_exact_as_its_numbers(dtype):
    torch.manual_seed(0)
    pictures = (torch.randn(1, 8, 32, 32) + 3).to(dtype).requires_grad_()
    wanted = torch.randn(1, 8, 32, 32).to(dtype)
    exact = pictures.detach().double().requires_grad_()
    InstanceNorm(8)(pictures).backward(wanted)
    torch.nn.InstanceNorm2d(8)(exact).backward(wanted.double())
    error = (pictures.grad.double() - exact.grad).norm() / exact.grad.norm()
    assert error < 3 * torch.finfo(dtype).eps
