"""Damage made from a seed: what each kind does, and where its mask says it is."""

import numpy as np
import pytest
from PIL import Image

from conftest import made_picture, run_inkbridge
from inkbridge.damage import CAPTURE, KINDS, SURFACE, TONE, damage, draw_kinds
from inkbridge.errors import ConfigError

PICTURE = made_picture(200, 260, 5)


def off(one, other):
    return float(np.abs(one.astype(float) - other).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_damages_from_its_seed_and_more_of_it_damages_more(kind):
    made = [damage(PICTURE, {kind: strength}, seed=1) for strength in (0.3, 0.3, 0.9)]
    assert np.array_equal(made[0].rgb, made[1].rgb)
    assert made[0].rgb.shape == PICTURE.shape
    assert off(made[0].rgb, PICTURE) > 0.01
    several = range(6)
    little, much = (
        np.mean([off(damage(PICTURE, {kind: s}, seed).rgb, PICTURE) for seed in several]) for s in (0.15, 1.0)
    )
    assert much > 1.2 * little
    assert not np.array_equal(damage(PICTURE, {kind: 0.3}, seed=2).rgb, made[0].rgb)


@pytest.mark.parametrize("kind", SURFACE)
def test_the_mask_is_where_the_sheet_was_hurt(kind):
    made = damage(PICTURE, {kind: 0.8}, seed=3)
    changed = np.abs(made.rgb.astype(int) - PICTURE).max(-1)
    assert 0 < (made.mask > 0).mean() < 0.9
    assert set(np.unique(made.mask)) == {0, 255}
    assert changed[made.mask == 0].max() <= 11
    assert changed[made.mask > 0].min() >= 9
    assert np.array_equal(made.toned, PICTURE)


@pytest.mark.parametrize("kind", [*TONE, *CAPTURE])
def test_what_is_everywhere_is_in_no_mask(kind):
    made = damage(PICTURE, {kind: 0.8})
    assert not made.mask.any()
    assert np.array_equal(made.toned, made.rgb if kind in TONE else PICTURE)


def test_a_kind_stays_as_it_is_whatever_comes_beside_it():
    alone, both = damage(PICTURE, {"holes": 0.5}, 4), damage(PICTURE, {"holes": 0.5, "faded": 0.6}, 4)
    agree = ((alone.mask > 0) == (both.mask > 0)).mean()
    assert agree > 0.98  # a hole as light as the faded picture hides nothing
    assert off(both.toned, PICTURE) > 10


def test_no_damage_is_the_picture_itself():
    made = damage(PICTURE, {})
    assert np.array_equal(made.rgb, PICTURE)
    assert not made.mask.any()


def test_a_large_scan_is_hurt_as_a_small_one():
    large = np.asarray(Image.fromarray(PICTURE).resize((780, 600)))

    def share(picture, kind):
        return np.mean([(damage(picture, {kind: 0.6}, seed).mask > 0).mean() for seed in range(8)])

    for kind in ("scratches", "holes"):
        assert share(large, kind) == pytest.approx(share(PICTURE, kind), rel=0.5)


def test_mixtures_are_of_what_is_allowed():
    rng = np.random.default_rng(0)
    mixtures = [draw_kinds(rng, ("faded", "holes", "jpeg"), (0.2, 0.4)) for _ in range(200)]
    assert {name for mixture in mixtures for name in mixture} == {"faded", "holes", "jpeg"}
    assert all(0.2 <= strength <= 0.4 for mixture in mixtures for strength in mixture.values())
    assert any(not mixture for mixture in mixtures)
    assert any(len(mixture) == 3 for mixture in mixtures)


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ({"scratch": 0.5}, "'scratch' is no kind of damage. Did you mean scratches"),
        ({"holes": 0.0}, "holes = 0 cannot be used"),
        ({"holes": 1.5}, "holes = 1.5 cannot be used"),
        ({"holes": float("nan")}, "holes = nan cannot be used"),
    ],
)
def test_what_cannot_be_made_is_one_sentence(kinds, message):
    with pytest.raises(ConfigError, match=message):
        damage(PICTURE, kinds)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 2), (9, 9)])
def test_pictures_of_any_size_are_damaged(shape):
    picture = made_picture(*shape)
    for kind in KINDS:
        assert damage(picture, {kind: 1.0}).rgb.shape == picture.shape


class TestTheCommand:
    def test_it_writes_picture_and_mask_and_leaves_the_original(self, tmp_path):
        photo = tmp_path / "a.png"
        Image.fromarray(PICTURE).save(photo)
        before = photo.read_bytes()
        done = run_inkbridge(
            *("damage", photo, "-o", tmp_path / "b.png", "--mask", tmp_path / "m.png"),
            *("--kinds", "scratches,faded:0.8", "--seed", "5"),
        )
        assert done.returncode == 0, done.stderr
        assert "scratches 0.5, faded 0.8" in done.stdout
        expected = damage(PICTURE, {"scratches": 0.5, "faded": 0.8}, 5)
        assert np.array_equal(np.asarray(Image.open(tmp_path / "b.png")), expected.rgb)
        assert np.array_equal(np.asarray(Image.open(tmp_path / "m.png"))[..., 0], expected.mask)
        assert photo.read_bytes() == before

    def test_bad_input_is_one_sentence(self, tmp_path):
        photo = tmp_path / "a.png"
        Image.fromarray(PICTURE).save(photo)
        for extra, message in (
            (["-o", photo], "is the picture itself"),
            (["-o", tmp_path / "b.png", "--kinds", "scratch"], "Did you mean scratches"),
            (["-o", tmp_path / "b.png", "--kinds", "holes:lots"], "KIND:STRENGTH"),
            (["-o", tmp_path / "b.xyz"], "b.xyz"),
            (["-o", tmp_path / "no" / "b.png"], "make it first"),
        ):
            done = run_inkbridge("damage", photo, *extra)
            assert done.returncode == 1
            assert message in done.stderr
            assert len(done.stderr.strip().splitlines()) == 1
        assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
