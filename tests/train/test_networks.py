from dataclasses import replace

import pytest
import torch

from inkbridge.train.networks.discriminator import Discriminator, DiscriminatorConfig
from inkbridge.train.networks.generator import (
    STRIDE,
    Generator,
    GeneratorConfig,
    ModulatedConv,
    draw_grain,
)
from inkbridge.train.networks.projection import ProjectionHeads, sample_positions


def small() -> Generator:
    torch.manual_seed(0)
    return Generator(GeneratorConfig(width=8, body=16, num_blocks=2, style_dim=8), num_styles=2).eval()


def test_default_generator_has_one_to_three_million_parameters():
    assert 1e6 < sum(p.numel() for p in Generator(GeneratorConfig()).parameters()) < 3e6


def test_one_style_folded_into_the_weights_is_the_same_function_as_scaled_activations():
    generator = small()
    image = torch.rand(2, 3, 48, 64) * 2 - 1
    code = generator.styles[:1]
    folded, scaled = generator(image, code), generator(image, code.repeat(2, 1))
    assert torch.allclose(folded, scaled, atol=1e-5)


def test_modulated_convolution_by_hand():
    torch.manual_seed(0)
    conv = ModulatedConv(2, 3, 4)
    style, x = torch.randn(1, 4), torch.randn(1, 2, 5, 5)
    scale = conv.affine(style)[0]
    weight = conv.weight * scale[None, :, None, None]
    weight = weight / torch.sqrt((weight**2).sum((1, 2, 3), keepdim=True) + 1e-8)
    expected = torch.nn.functional.conv2d(x, weight, conv.bias, padding=1)
    assert torch.allclose(conv(x, style), expected, atol=1e-5)


def test_styles_change_the_picture_and_the_size_stays():
    generator = small()
    image = torch.rand(1, 3, 40, 56) * 2 - 1
    first, second = generator(image, generator.styles[:1]), generator(image, generator.styles[1:])
    assert first.shape == image.shape
    assert (first - second).abs().mean() > 1e-3


def test_features_for_the_price_of_the_result_are_the_features():
    generator = small()
    image = torch.rand(1, 3, 48, 48)
    result, found = generator.with_features(image, generator.styles[:1])
    assert torch.equal(result, generator(image, generator.styles[:1]))
    for a, b, channels in zip(found, generator.features(image), generator.feature_channels, strict=True):
        assert torch.equal(a, b)
        assert a.shape[1] == channels


@pytest.mark.parametrize("num_blocks", [1, 2])
def test_no_output_pixel_looks_further_than_the_receptive_radius(num_blocks):
    torch.manual_seed(0)
    generator = (
        Generator(GeneratorConfig(width=4, body=8, num_blocks=num_blocks, style_dim=4)).double().eval()
    )
    size = (2 * generator.receptive_radius() + 64) // STRIDE * STRIDE
    image = torch.rand(1, 3, 16, size, dtype=torch.float64, requires_grad=True)
    for column in range(size // 2, size // 2 + 8):
        image.grad = None
        generator(image, generator.styles)[..., column].sum().backward()
        touched = image.grad.abs().sum((0, 1, 2)).nonzero().flatten()
        assert column - touched.min() <= generator.receptive_radius()
        assert touched.max() - column <= generator.receptive_radius()


@pytest.mark.parametrize("spectral_norm", [True, False])
def test_discriminator_judges_patches_at_each_scale(spectral_norm):
    config = DiscriminatorConfig(width=8, num_scales=2, spectral_norm=spectral_norm)
    logits, activations = Discriminator(config)(torch.rand(2, 3, 64, 48))
    assert [tuple(logit.shape) for logit in logits] == [(2, 1, 8, 6), (2, 1, 4, 3)]
    assert [a.shape[1] for a in activations] == [16, 32, 16, 32]


def test_projections_are_unit_vectors_at_different_places():
    features = [torch.randn(2, 5, 6, 6), torch.randn(2, 7, 3, 3)]
    positions = sample_positions(features, 16, torch.Generator().manual_seed(0))
    assert [len(set(p.tolist())) for p in positions] == [16, 9]
    for vectors in ProjectionHeads([5, 7], 4)(features, positions):
        assert torch.allclose(vectors.norm(dim=2), torch.ones(2, vectors.shape[1]), atol=1e-5)


def test_grain_is_as_strong_as_the_style_wants_it():
    generator = small()
    image, grain = torch.zeros(1, 3, 48, 48), torch.rand(1, 1, 48, 48)

    def effect():
        code = generator.styles[:1]
        return (generator(image, code, grain) - generator(image, code)).abs().mean().item()

    before = effect()
    assert before > 0
    torch.nn.init.zeros_(generator.surface.gain.bias)
    assert effect() == 0


def test_no_stroke_depends_on_grain():
    """What grain adds, before the last nonlinearity, is the same on every picture."""
    generator = small()
    grain = torch.rand(1, 1, 48, 48)

    def added(image):
        with torch.no_grad():
            return (
                generator(image, generator.styles, grain).atanh() - generator(image, generator.styles).atanh()
            )

    plain, busy = added(torch.zeros(1, 3, 48, 48)), added(torch.rand(1, 3, 48, 48) * 2 - 1)
    assert plain.abs().max() > 1e-3
    assert torch.allclose(plain, busy, atol=1e-5)
    torch.nn.init.normal_(generator.surface.to_rgb.weight, std=10.0)
    assert added(torch.zeros(1, 3, 48, 48)).abs().max() < 0.31


def test_the_discriminator_sees_fine_detail_from_the_first_update():
    """A faint mesh moves the logits of a new discriminator as much as a plain change of colour."""
    torch.manual_seed(0)
    discriminator = Discriminator(DiscriminatorConfig(width=32, num_scales=1))
    plain = torch.zeros(1, 3, 64, 64)
    mesh = plain.clone()
    mesh[..., ::2, ::2], mesh[..., 1::2, 1::2] = 0.1, -0.1
    (logits,), _ = discriminator(plain)
    (meshed,), _ = discriminator(mesh)
    (lighter,), _ = discriminator(plain + 0.1)
    assert (meshed - logits).abs().mean() > (lighter - logits).abs().mean()


def test_an_even_picture_is_painted_along_spots_of_grain():
    torch.manual_seed(0)
    config = GeneratorConfig(width=8, body=16, num_blocks=1, style_dim=4, uneven=0.1)
    generator, even = Generator(config).eval(), Generator(replace(config, uneven=0.0)).eval()
    torch.nn.init.zeros_(generator.surface.to_rgb.weight)  # no paper
    even.load_state_dict(generator.state_dict(), strict=False)
    flat = torch.full((1, 3, 96, 96), 0.2)
    first, second = (draw_grain(flat, torch.Generator().manual_seed(seed)) for seed in (1, 2))
    with torch.no_grad():
        spots = generator.uneven(first)
        assert abs(float(spots[..., 12:-12, 12:-12].std()) - 0.1) < 0.02
        assert abs(generator.uneven.amount - 0.1) < 1e-6
        # A pixel and its neighbour belong to one spot, those 13 away to two.
        assert float((spots[..., 1:] * spots[..., :-1]).mean()) > 0.008
        assert abs(float((spots[..., 13:] * spots[..., :-13]).mean())) < 0.004
        style = generator.styles
        assert torch.equal(even(flat, style, first), even(flat, style, second))
        assert (generator(flat, style, first) - generator(flat, style, second)).std() > 1e-3
        assert torch.equal(generator(flat, style), even(flat, style))
    assert not any(parameter.requires_grad for parameter in generator.uneven.parameters())


def test_a_network_of_before_unevenness_is_read_and_stays_even():
    config = GeneratorConfig(width=8, body=16, num_blocks=1, style_dim=4)
    before, after = Generator(config), Generator(replace(config, uneven=0.1))
    after.load_state_dict(before.state_dict())
    assert after.uneven.amount == 0.0
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    grain = draw_grain(image, torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(before(image, before.styles, grain), after(image, before.styles, grain))
