"""Published values, and what every such measure must do."""

import math

import numpy as np
import pytest
from PIL import Image, ImageFilter

from conftest import made_picture
from inkbridge.metrics.fsim import fsim, fsimc, phase_congruency
from inkbridge.metrics.similarity import ms_ssim, psnr, ssim, structure_correlation

MEASURES = (ssim, ms_ssim, fsim, fsimc, structure_correlation)


def waves(height, width):
    """A pair of pictures made of a formula, for which values of other programs are known."""
    y, x = np.mgrid[:height, :width].astype(float)
    a = np.stack(
        [
            128 + 60 * np.sin(x / 7) + 40 * np.cos(y / 11),
            128 + 70 * np.cos((x + y) / 13),
            128 + 50 * np.sin(x * y / 5000),
        ],
        axis=-1,
    )
    squares = 10 * ((x // 8 + y // 8) % 2)
    b = a + (20 * np.sin(x / 3))[..., None] * np.array([1, -0.5, 0.25]) + squares[..., None]
    return tuple(np.clip(np.round(values), 0, 255).astype(np.uint8) for values in (a, b))


@pytest.mark.parametrize(
    ("size", "gray", "colour"),
    [
        ((128, 160), 0.897733, 0.892418),
        ((256, 256), 0.892384, 0.886887),
        ((201, 255), 0.894152, 0.888662),
        ((512, 640), 0.925305, 0.919676),
        ((771, 900), 0.963935, 0.958307),
    ],
)
def test_fsim_equals_published_programs(size, gray, colour):
    pair = waves(*size)
    assert fsim(*pair) == pytest.approx(gray, abs=5e-5)
    assert fsimc(*pair) == pytest.approx(colour, abs=5e-5)


def test_ssim_equals_another_program():
    """scikit-image 0.26 with gaussian_weights and population covariance, mean over the channels."""
    a, b = waves(256, 256)
    channels = [ssim(a[..., i], b[..., i]) for i in range(3)]
    assert np.mean(channels) == pytest.approx(0.788434, abs=1e-6)


@pytest.mark.parametrize(
    ("size", "value"),
    [((256, 256), 0.9476762465), ((201, 255), 0.9473921798), ((512, 640), 0.9486442831)],
)
def test_ms_ssim_equals_other_programs(size, value):
    """Contrasts of torchmetrics 1.9 at the four fine scales, at the last one SSIM of scikit-image 0.26.

    SSIM of torchmetrics itself counts places beyond the border, by mirroring; Wang et al. 2003 do not.
    """
    assert ms_ssim(*waves(*size)) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("measure", MEASURES)
def test_equal_pictures_are_1_and_order_does_not_matter(measure):
    a, b = waves(200, 230)
    assert measure(a, a) == pytest.approx(1.0, abs=1e-12)
    assert measure(a, b) == pytest.approx(measure(b, a), abs=1e-12)
    assert measure(a, b) < 0.99


@pytest.mark.parametrize("measure", [*MEASURES, psnr])
def test_more_noise_and_more_blur_are_less_alike(measure):
    picture = made_picture(200, 220)
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(picture.shape)
    noisy = [np.clip(picture + s * noise, 0, 255).astype(np.uint8) for s in (2, 8, 30)]
    image = Image.fromarray(picture)
    soft = [np.asarray(image.filter(ImageFilter.GaussianBlur(s))) for s in (0.6, 1.5, 4)]
    for worse in (noisy, soft):
        values = [measure(picture, other) for other in worse]
        assert values == sorted(values, reverse=True)
        assert len(set(values)) == 3


def test_structure_is_blind_to_brightness_and_contrast_where_ssim_is_not():
    picture = made_picture(120, 140)
    faded = (picture * 0.5 + 100).astype(np.uint8)
    assert structure_correlation(picture, faded) > 0.97
    assert ssim(picture, faded) < 0.9


@pytest.mark.parametrize("measure", [*MEASURES, psnr])
def test_constant_pictures_have_a_number(measure):
    black, gray = np.zeros((180, 190, 3), np.uint8), np.full((180, 190, 3), 128, np.uint8)
    for a, b in ((black, black), (black, gray), (gray, made_picture(180, 190))):
        value = measure(a, b)
        assert not math.isnan(value)
        assert value <= 1.0 or measure is psnr
    assert measure(black, black) == (math.inf if measure is psnr else 1.0)


def test_psnr_of_a_known_error():
    black = np.zeros((5, 5, 3), np.uint8)
    assert psnr(black, black + 5) == pytest.approx(20 * math.log10(255 / 5))


@pytest.mark.parametrize("measure", [*MEASURES, psnr])
def test_what_cannot_be_compared_is_said(measure):
    with pytest.raises(ValueError, match="sizes differ"):
        measure(made_picture(200, 200), made_picture(200, 201))
    dot = np.zeros((1, 1, 3), np.uint8)
    if measure is not psnr:
        with pytest.raises(ValueError, match="is needed"):
            measure(dot, dot)


def test_phase_congruency_finds_an_edge_whatever_its_contrast():
    weak, strong = np.full((64, 64), 100.0), np.full((64, 64), 20.0)
    weak[:, 32:], strong[:, 32:] = 120.0, 220.0
    found = [phase_congruency(step)[32] for step in (weak, strong)]
    for row in found:
        assert row[31:33].min() > max(0.75, row[6:28].max())
    assert np.abs(found[0] - found[1]).max() < 0.05
