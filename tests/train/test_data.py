from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from conftest import made_picture
from inkbridge.errors import DataError
from inkbridge.train.augment import augment, cutout, disguise, fade, resample, translate
from inkbridge.train.data import Crops, DataConfig, load_pictures, median_short_side
from inkbridge.train.schedule import ema_decay, ramp, warm_up


def fill(folder, num, size=(80, 100)):
    folder.mkdir(exist_ok=True)
    for i in range(num):
        Image.fromarray(made_picture(*size, i)).save(folder / f"{i:02}.png")
    return folder


CONFIG = DataConfig(crop=48)


def test_unreadable_files_are_named_and_left_out(tmp_path):
    folder = fill(tmp_path / "in", 9)
    (folder / "text.jpg").write_text("no picture")
    (folder / "zero.png").write_bytes(b"")
    loaded = load_pictures(folder, "content", CONFIG, tmp_path / "cache", 0)
    assert len(loaded.pictures) == 9
    assert len(loaded.left_out) == 2
    assert "text.jpg" in loaded.left_out[0]
    assert "zero.png" in loaded.left_out[1]


def test_a_folder_without_pictures_is_not_helped_by_a_smaller_minimum(tmp_path):
    folder = fill(tmp_path / "in", 0)
    for minimum in (8, 1):
        config = replace(CONFIG, minimum=minimum)
        with pytest.raises(DataError, match=f"0 usable pictures; at least {minimum} needed") as raised:
            load_pictures(folder, "style", config, tmp_path / "cache", 0)
        assert "data.minimum" not in str(raised.value)


@pytest.mark.parametrize("num", [1, 7])
def test_too_few_pictures_are_an_error_that_says_how_to_go_on(tmp_path, num):
    folder = fill(tmp_path / "in", num)
    with pytest.raises(DataError, match=f"has {num} usable.*at least 8.*data.minimum={num}"):
        load_pictures(folder, "style", CONFIG, tmp_path / "cache", 0)


def test_the_cache_is_used_until_a_file_changes(tmp_path):
    folder, cache = fill(tmp_path / "in", 8), tmp_path / "cache"
    first = load_pictures(folder, "content", CONFIG, cache, 0)
    stamp = (cache / "content.pixels").stat().st_mtime_ns
    again = load_pictures(folder, "content", CONFIG, cache, 0)
    assert (cache / "content.pixels").stat().st_mtime_ns == stamp
    assert all(np.array_equal(a, b) for a, b in zip(first.pictures, again.pictures, strict=True))
    Image.fromarray(made_picture(80, 100, 99)).save(folder / "03.png")
    changed = load_pictures(folder, "content", CONFIG, cache, 0)
    assert not np.array_equal(changed.pictures[3], first.pictures[3])


def test_pictures_are_held_back_from_forty_on_and_by_the_seed(tmp_path):
    folder = fill(tmp_path / "in", 40, (50, 50))
    loaded = load_pictures(folder, "content", CONFIG, tmp_path / "a", 0)
    other = load_pictures(folder, "content", CONFIG, tmp_path / "b", 1)
    assert len(loaded.pictures) == 36
    assert len(loaded.held_back) == 4
    assert not {path.name for path in loaded.held_back} & set(loaded.names)
    assert loaded.held_back != other.held_back


@pytest.mark.parametrize("size", [(20, 30), (48, 48), (47, 400), (700, 500)])
def test_pictures_of_any_size_give_crops(tmp_path, size):
    folder = fill(tmp_path / "in", 8, size)
    for side in ("content", "style"):
        loaded = load_pictures(folder, side, CONFIG, tmp_path / "cache", 0)
        assert min(loaded.pictures[0].shape[:2]) <= CONFIG.short_side
        assert Crops(loaded.pictures, side, CONFIG, 0).batch(0, range(20)).shape == (20, 48, 48, 3)


def test_style_pictures_are_brought_to_the_scale_of_the_content(tmp_path):
    contents = load_pictures(
        fill(tmp_path / "content", 8, (90, 60)), "content", CONFIG, tmp_path / "cache", 0
    )
    side = median_short_side(contents.pictures)
    assert side == 60
    for size, expected in (((300, 200), 60), ((75, 50), 60), ((45, 30), 48)):
        folder = fill(tmp_path / f"style{size[0]}", 8, size)
        style = load_pictures(folder, "style", CONFIG, tmp_path / "cache", 0, f"s{size[0]}", side)
        assert min(style.pictures[0].shape[:2]) == expected, size


def test_style_pictures_lose_their_frame_and_content_does_not(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    framed = np.zeros((100, 100, 3), np.uint8)
    framed[3:-3, 3:-3] = 255
    for i in range(8):
        Image.fromarray(framed).save(folder / f"{i}.png")
    style = load_pictures(folder, "style", CONFIG, tmp_path / "cache", 0)
    content = load_pictures(folder, "content", CONFIG, tmp_path / "cache", 0)
    assert style.pictures[0].min() == 255
    assert content.pictures[0].min() == 0


def test_a_crop_depends_on_its_number_alone():
    pictures = [made_picture(90, 120, i) for i in range(5)]
    crops = Crops(pictures, "content", CONFIG, 3)
    forward = [crops.at(i) for i in range(12)]
    fresh = Crops(pictures, "content", CONFIG, 3)
    backward = [fresh.at(i) for i in reversed(range(12))][::-1]
    assert all(np.array_equal(a, b) for a, b in zip(forward, backward, strict=True))
    other = Crops(pictures, "content", CONFIG, 4)
    assert not all(np.array_equal(a, other.at(i)) for i, a in enumerate(forward))


def test_every_picture_is_seen_once_an_epoch():
    pictures = [np.full((60, 60, 3), i, np.uint8) for i in range(7)]
    crops = Crops(pictures, "style", CONFIG, 0)
    for epoch in range(3):
        seen = sorted(int(crops.at(7 * epoch + i)[0, 0, 0]) for i in range(7))
        assert seen == list(range(7))


def test_augmentations_are_differentiable_and_change_no_colour():
    import torch

    image = torch.full((2, 3, 32, 32), 0.5, requires_grad=True)
    rng = torch.Generator().manual_seed(0)
    for change in (translate, cutout):
        out = change(image, rng)
        assert out.shape == image.shape
        assert set(out.unique().tolist()) <= {0.0, 0.5}
    augment(image, ("translate", "cutout"), rng).sum().backward()
    assert image.grad.abs().sum() > 0
    assert torch.equal(augment(image, (), rng), image)


def test_resampling_shows_windows_of_the_picture_and_nothing_else():
    import torch

    rng = torch.Generator().manual_seed(0)
    ramp_across = torch.linspace(-1, 1, 48).expand(40, 3, 48, 48).clone().requires_grad_(True)
    out = resample(ramp_across, rng)
    assert out.shape == ramp_across.shape
    assert out.min() >= -1
    assert out.max() <= 1
    untouched = (out == ramp_across).flatten(1).all(1) | (out - ramp_across).abs().flatten(1).amax(1).lt(1e-4)
    assert 4 <= untouched.sum() <= 20  # three in ten
    # Where a window was taken, no row or column is seen twice, as mirrored ones would be.
    steps = out[~untouched].diff(dim=3)
    assert (steps > 0).all()
    out.sum().backward()
    assert ramp_across.grad.abs().sum() > 0
    assert torch.allclose(resample(ramp_across, rng, share=0.0), ramp_across, atol=1e-4)


def test_a_style_picture_in_disguise_has_the_contents_colours_and_less_detail():
    import torch

    rng = torch.Generator().manual_seed(0)
    style = torch.rand(6, 3, 48, 48, generator=rng) * 0.4 + 0.3
    content = torch.rand(6, 3, 48, 48, generator=rng) * torch.tensor([0.2, 0.6, 0.4]).view(3, 1, 1) - 0.6
    disguised = disguise(style, content, rng)
    assert torch.allclose(disguised.mean((2, 3)), content.mean((2, 3)), atol=0.05)
    fine = [(side.diff(dim=2).std() / side.std()).item() for side in (style, disguised)]
    assert fine[1] < 0.8 * fine[0]
    plain = disguise(torch.full_like(style, 0.5), content, rng)  # a picture of one colour divides by nothing
    assert plain.isfinite().all()


def test_faded_contents_are_paler_on_the_whole_and_otherwise_the_same():
    import torch

    rng = torch.Generator().manual_seed(0)
    content = 0.4 * torch.rand(1, 3, 8, 8, generator=rng).expand(400, 3, 8, 8) - 0.2
    faded = fade(content, rng)

    def gray(pictures):
        return pictures.mean(1, keepdim=True)

    contrast = gray(faded).std((1, 2, 3)) / gray(content).std((1, 2, 3))
    saturation = (faded - gray(faded)).std((1, 2, 3)) / (content - gray(content)).std((1, 2, 3)) / contrast
    for factor, low, middle, high in ((contrast, 0.545, 0.84, 1.30), (saturation, 0.29, 0.71, 1.69)):
        assert low < factor.min() < 0.75 * middle
        assert 1.25 * middle < factor.max() < high
        assert factor.log().mean().exp().item() == pytest.approx(middle, rel=0.1)
    shift = (faded - content).mean((1, 2, 3))
    assert 0.15 < shift.max() < 0.201
    assert -0.201 < shift.min() < -0.15
    # What was lighter is lighter still.
    order = gray(content)[0].flatten().argsort()
    assert (gray(faded).flatten(1)[:, order].diff(dim=1) >= -1e-6).all()
    assert fade(torch.ones(20, 3, 8, 8), rng).max() <= 1


def test_schedules():
    assert [ramp(p, 0.5, 0.9, 0.2) for p in (0, 0.5, 0.7, 0.9, 1.0)] == pytest.approx([1, 1, 0.6, 0.2, 0.2])
    assert warm_up(0, 100) == pytest.approx(0.01)
    assert warm_up(500, 100) == 1.0
    assert ema_decay(10**6, 4, 4.0) == pytest.approx(0.5)
    assert ema_decay(0, 4, 1000) == 0.0
