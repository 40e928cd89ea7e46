import numpy as np
import pytest
import torch

from conftest import made_picture
from inkbridge.engine import Engine
from inkbridge.tiling import apply_tiled, grain
from inkbridge.train.export import to_onnx
from inkbridge.train.networks.generator import STRIDE, Generator, GeneratorConfig


@pytest.fixture(scope="module", params=[0.0, 0.3], ids=["even", "uneven"])
def real_network(request):
    """A generator of the real architecture with strong weights, as ONNX, and how far it looks."""
    torch.manual_seed(0)
    generator = Generator(
        GeneratorConfig(width=8, body=16, num_blocks=1, style_dim=8, uneven=request.param)
    ).eval()
    with torch.no_grad():
        generator.to_rgb.weight.mul_(3)
        generator.surface.to_rgb.weight.mul_(20)
    engine = Engine(to_onnx(generator), "test", 8)
    code = generator.styles.detach().numpy()
    overlap = -(-generator.receptive_radius() // STRIDE) * STRIDE
    return (lambda image, y, x: engine.run(image, code, grain(y, x, *image.shape[2:]))), overlap


@pytest.mark.parametrize("size", [(300, 421), (33, 500), (500, 33), (1, 1), (7, 300), (64, 64)])
def test_tiles_equal_the_whole_picture(real_network, size):
    network, overlap = real_network
    rgb = made_picture(*size)
    whole = apply_tiled(network, rgb, overlap, STRIDE, tile=1024)
    tiled = apply_tiled(network, rgb, overlap, STRIDE, tile=96)
    assert whole.shape == rgb.shape
    assert np.abs(whole.astype(int) - tiled).max() <= 1
    assert whole.std() > 3 or rgb.size == 3


@pytest.mark.parametrize("size", [(300, 421), (33, 500), (64, 200), (1, 1), (7, 300)])
def test_without_mirroring_the_network_sees_the_picture_alone(real_network, size):
    network, overlap = real_network
    rgb = made_picture(*size)
    shown = []

    def spying(image, y, x):
        shown.append(image.shape[2:])
        return network(image, y, x)

    whole = apply_tiled(spying, rgb, overlap, STRIDE, tile=1024, border=0)
    assert shown == [tuple(max(-(-side // STRIDE), 2) * STRIDE for side in size)]
    tiled = apply_tiled(network, rgb, overlap, STRIDE, tile=96, border=0)
    assert whole.shape == rgb.shape
    assert np.abs(whole.astype(int) - tiled).max() <= 1
    if min(size) > 30:
        mirrored = apply_tiled(network, rgb, overlap, STRIDE)
        assert np.abs(whole.astype(int) - mirrored)[0].max() > 3


@pytest.mark.parametrize("size", [(300, 421), (33, 500), (130, 200), (1, 1), (7, 300)])
@pytest.mark.parametrize("border", [8, 16, 40])
def test_with_a_narrow_border_tiles_equal_the_whole_picture_as_well(real_network, size, border):
    network, overlap = real_network
    rgb = made_picture(*size)
    shown = []

    def spying(image, y, x):
        shown.append((image.shape[2:], y, x, image))
        return network(image, y, x)

    whole = apply_tiled(spying, rgb, overlap, STRIDE, tile=1024, border=border)
    ((shape, y, x, image),) = shown
    assert (y, x) == (-border, -border)
    assert shape == tuple(-(-side // STRIDE) * STRIDE + 2 * border for side in size)
    if min(size) > border:
        mirrored = image[0, :, 2 * border : border : -1, border : border + size[1]]
        assert np.array_equal(image[0, :, :border, border : border + size[1]], mirrored)
    tiled = apply_tiled(network, rgb, overlap, STRIDE, tile=96, border=border)
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_grain_is_noise_that_belongs_to_a_place():
    field = grain(-40, -24, 400, 600)
    assert field.shape == (1, 1, 400, 600)
    assert field.dtype == np.float32
    assert abs(field.mean()) < 0.01
    assert field.std() == pytest.approx(1.0, abs=0.01)
    for shift in ((0, 1), (1, 0), (1, 1), (0, 8), (8, 0)):
        moved = grain(-40 + shift[0], -24 + shift[1], 400, 600)
        assert abs((field * moved).mean()) < 0.02, shift
    assert np.array_equal(grain(60, 76, 100, 100), field[:, :, 100:200, 100:200])


def test_a_generator_with_grain_textures_a_flat_picture(real_network):
    network, overlap = real_network
    flat = np.full((64, 64, 3), 128, np.uint8)
    painted = apply_tiled(network, flat, overlap, STRIDE)
    assert painted[..., 0].std() > 1
    lattice = painted[8:16, 8:16].astype(int) - painted[16:24, 16:24]
    assert np.abs(lattice).max() > 2


def test_too_little_overlap_would_show(real_network):
    network, _ = real_network
    rgb = made_picture(300, 421)
    whole = apply_tiled(network, rgb, 64, STRIDE, tile=1024)
    tiled = apply_tiled(network, rgb, 0, STRIDE, tile=96)
    assert np.abs(whole.astype(int) - tiled).max() > 1


@pytest.mark.parametrize(("width", "widths"), [(144, [80, 80, 80]), (130, [80, 80, 72])])
def test_the_border_is_mirrored_and_tiles_are_aligned_and_even(width, widths):
    seen = []

    def network(image, top, left):
        seen.append(image)
        return image

    rgb = made_picture(50, width)
    out = apply_tiled(network, rgb, 16, 8, tile=64)
    assert np.array_equal(out, rgb)
    # The last one ends with the picture, rounded up.
    assert [image.shape[2:] for image in seen] == [(88, wide) for wide in widths]
    assert all(side % 8 == 0 for side in seen[0].shape[2:])
    first = seen[0][0]
    assert np.array_equal(first[:, :16], first[:, 32:16:-1])
    assert np.array_equal(first[:, :, :16], first[:, :, 32:16:-1])


def test_a_tiny_picture_is_mirrored_many_times():
    shapes = []

    def network(image, top, left):
        shapes.append(image.shape)
        return image

    rgb = made_picture(3, 2)
    assert np.array_equal(apply_tiled(network, rgb, 104, 8), rgb)
    assert shapes == [(1, 3, 216, 216)]


def test_progress_is_told():
    told = []
    apply_tiled(lambda image, *_: image, made_picture(100, 100), 8, 8, 56, lambda *seen: told.append(seen))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
