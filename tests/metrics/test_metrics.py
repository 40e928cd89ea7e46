import numpy as np
import pytest
from PIL import Image, ImageFilter

from conftest import made_picture
from inkbridge.metrics.distribution import StyleDistance, laplacian_levels
from inkbridge.metrics.similarity import edge_correlation


def test_a_set_is_at_no_distance_from_itself_and_far_from_another():
    a = [made_picture(96, 128, i) for i in range(6)]
    b = [made_picture(96, 128, 50 + i) for i in range(6)]
    dark = [(picture * 0.3).astype(np.uint8) for picture in a]
    near = StyleDistance(a, short_side=96, num_levels=3).of(b)
    far = StyleDistance(a, short_side=96, num_levels=3).of(dark)
    assert all(x < 0.15 for x in near)
    assert far[-1] > 5 * near[-1]


def test_each_level_answers_to_its_own_scale():
    a = [made_picture(128, 128, i) for i in range(4)]
    soft = [np.asarray(Image.fromarray(p).filter(ImageFilter.GaussianBlur(1.2))) for p in a]
    distances = StyleDistance(a, short_side=128, num_levels=4).of(soft)
    assert distances[0] > 3 * distances[-1]


def test_twice_the_shift_is_twice_the_distance_and_belongs_to_the_coarsest_level():
    a = [made_picture(64, 64, i).clip(40, 200) for i in range(3)]
    once, twice = (
        StyleDistance(a, short_side=64, num_levels=3).of([picture + shift for picture in a])
        for shift in (25, 50)
    )
    assert twice[-1] == pytest.approx(2 * once[-1], rel=0.15)
    assert twice[0] < 0.1 * twice[-1]


def test_laplacian_levels_have_halving_sizes():
    levels = laplacian_levels(made_picture(100, 200), short_side=64, num_levels=3)
    assert [level.shape[:2] for level in levels] == [(64, 128), (32, 64), (16, 32)]
    assert abs(levels[0].mean()) < 0.02


def test_edges():
    picture = made_picture(128, 128)
    assert edge_correlation(picture, picture) == pytest.approx(1.0)
    assert edge_correlation(picture, 255 - picture) == pytest.approx(1.0, abs=1e-6)
    assert abs(edge_correlation(picture, made_picture(128, 128, 9))) < 0.5
    assert edge_correlation(picture, np.full_like(picture, 9)) == 0.0
    with pytest.raises(ValueError, match="sizes differ"):
        edge_correlation(picture, picture[:-1])
