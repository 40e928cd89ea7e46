"""Fusion, examples, strength, colour, stroke and masks, on a pack whose answers are known exactly."""

import numpy as np
import pytest
from PIL import Image

import inkbridge
from conftest import made_picture, tinting_pack
from inkbridge.errors import ConfigError, PackError
from inkbridge.look import Look, open_picture, with_colour_of
from inkbridge.pack_format import write_pack

GRAY = np.full((40, 60, 3), 128, np.uint8)


def tint(picture, red, green, blue):
    """What the stub does with a code that begins with these numbers."""
    return np.clip(np.rint(picture + 127.5 * np.array([red, green, blue])), 0, 255).astype(np.uint8)


def same(a, b, off=1):
    return np.abs(np.asarray(a).astype(int) - np.asarray(b)).max() <= off


def test_one_style_by_name_and_the_default(tints):
    pack = inkbridge.load(tints)
    assert same(pack.apply(GRAY, "redder"), tint(GRAY, 0.4, 0, -0.2))
    assert same(pack.apply(GRAY), tint(GRAY, -0.4, -0.4, -0.4))


def test_a_fusion_is_the_weighted_mean_of_the_codes(tints):
    pack = inkbridge.load(tints)
    fused = pack.apply(GRAY, {"darker": 3, "redder": 1})
    assert same(fused, tint(GRAY, -0.2, -0.3, -0.35))
    assert same(pack.apply(GRAY, {"darker": 0, "redder": 2}), pack.apply(GRAY, "redder"))


def test_an_example_gives_its_style_and_examples_fuse(tints, tmp_path):
    pack = inkbridge.load(tints)
    red = np.zeros((70, 50, 3), np.uint8) + np.array([255, 128, 128], np.uint8)
    Image.fromarray(red).save(tmp_path / "red.png")
    assert same(pack.apply(GRAY, like=tmp_path / "red.png"), tint(GRAY, 1, 0, 0), 1)
    black = np.zeros((300, 70, 3), np.uint8)
    assert same(pack.apply(GRAY, like=[(red, 1.0), (black, 3.0)]), tint(GRAY, -0.5, -0.75, -0.75), 1)
    assert same(pack.apply(GRAY, "redder", like=red), tint(GRAY, 0.7, 0, -0.1), 1)


def test_a_code_stands_for_the_look_that_it_was_made_of(tints):
    pack = inkbridge.load(tints)
    red = np.zeros((70, 50, 3), np.uint8) + np.array([255, 128, 128], np.uint8)
    code = pack.code({"redder": 3.0, "darker": 1.0}, like=red)
    assert np.array_equal(pack.apply(GRAY, code), pack.apply(GRAY, {"redder": 3.0, "darker": 1.0}, like=red))
    assert same(pack.apply(GRAY, 0.5 * pack.code("redder")), tint(GRAY, 0.2, 0, -0.1))
    for wrong in (code[:, :-1], code[0], code * np.float32("nan")):
        with pytest.raises(ConfigError, match="The code is"):
            pack.apply(GRAY, wrong)


def test_strength_goes_from_the_picture_to_beyond_the_style(tints):
    pack = inkbridge.load(tints)
    picture = made_picture(30, 50)
    assert np.array_equal(pack.apply(picture, strength=0.0), picture)
    values = [float(pack.apply(GRAY, strength=s).mean()) for s in (0, 0.25, 0.5, 1.0, 1.3)]
    assert values == sorted(values, reverse=True)
    assert same(pack.apply(GRAY, strength=1.3), tint(GRAY, -0.52, -0.52, -0.52), 1)


def test_keep_colour_keeps_the_colours_and_takes_the_light(tints):
    pack = inkbridge.load(tints)
    picture = made_picture(30, 50) // 2 + 64
    luma = np.array([0.299, 0.587, 0.114])
    painted, kept = pack.apply(picture, "redder"), pack.apply(picture, "redder", keep_colour=1.0)
    assert same(kept @ luma, painted @ luma, 2)
    assert same(kept - (kept @ luma)[..., None], picture - (picture @ luma)[..., None], 2)
    half = pack.apply(picture, "redder", keep_colour=0.5)
    assert same(half, (painted.astype(int) + kept) / 2, 1)
    assert np.array_equal(with_colour_of(picture, painted, 0.0), painted)


def test_a_stroke_changes_the_scale_but_not_the_size(tints):
    """The stub has no strokes; but what is painted at a quarter of the scale has lost its fine detail."""
    pack = inkbridge.load(tints)
    fine = np.zeros((64, 96, 3), np.uint8)
    fine[:, ::2] = 255
    steps = {}
    for stroke in (4.0, 1.0, 0.5):
        painted = pack.apply(fine, "redder", stroke=stroke)
        assert painted.shape == fine.shape
        steps[stroke] = np.abs(np.diff(painted[..., 1].astype(int), axis=1)).mean()
    assert steps[4.0] < 20
    assert steps[1.0] > 200
    assert steps[0.5] > 100


@pytest.mark.parametrize(("size", "enlarged"), [((64, 96), 1.5), ((20, 30), 2.0), ((96, 64), 1.5)])
def test_a_small_picture_is_painted_as_large_as_the_pack_says(tints, tmp_path, size, enlarged):
    file = tinting_pack()
    file.info.size.short_side = 96
    write_pack(tmp_path / "larger.stylepack", file)
    as_it_is, larger = inkbridge.load(tints), inkbridge.load(tmp_path / "larger.stylepack")
    noise = np.random.default_rng(0).integers(60, 200, (*size, 3)).astype(np.uint8)
    painted = larger.apply(noise)
    assert painted.shape == noise.shape
    assert np.array_equal(painted, as_it_is.apply(noise, stroke=1 / enlarged))
    assert not np.array_equal(painted, as_it_is.apply(noise))
    assert np.array_equal(larger.apply(noise, stroke=2.0), as_it_is.apply(noise, stroke=2.0 / enlarged))
    assert np.array_equal(larger.apply(noise, stroke="full"), painted)
    large = made_picture(96, 140)
    assert np.array_equal(larger.apply(large), as_it_is.apply(large))


def test_a_mask_says_where_with_soft_edges(tints):
    pack = inkbridge.load(tints)
    picture = made_picture(80, 120)
    mask = np.zeros((80, 120), np.uint8)
    mask[:, 60:] = 255
    masked, whole = pack.apply(picture, mask=mask), pack.apply(picture)
    assert np.array_equal(masked[:, :50], picture[:, :50])
    assert np.array_equal(masked[:, 70:], whole[:, 70:])
    edge = pack.apply(np.full((80, 120, 3), 200, np.uint8), mask=mask)[40, 56:64, 0].astype(int)
    assert (np.diff(edge) <= 0).all()
    assert len(set(edge.tolist())) > 3
    two = pack.apply(picture, "darker", mask=mask, outside="redder")
    assert np.array_equal(two[:, :50], pack.apply(picture, "redder")[:, :50])
    assert np.array_equal(two[:, 70:], whole[:, 70:])


def test_a_mask_of_another_size_is_resized_and_that_is_said(tints):
    pack = inkbridge.load(tints)
    picture = open_picture(made_picture(80, 120))
    mask = Image.new("L", (30, 20), 255)
    painted = pack.apply_to(picture, Look(mask=mask))
    assert painted.notes == ["the mask was resized from 30 x 20 to 120 x 80"]
    assert np.array_equal(painted.rgb, pack.apply(picture.rgb))


@pytest.mark.parametrize(
    ("look", "reason"),
    [
        ({"style": {"darker": -1.0, "redder": 2.0}}, "weights are 0 or more"),
        ({"style": {"darker": 0.0}}, "All weights are 0"),
        ({"style": {"darker": float("nan")}}, "weights are 0 or more"),
        ({"style": "darkerr"}, "Did you mean darker"),
        ({"strength": 1.31}, "from 0 to 1.3"),
        ({"keep_colour": -0.1}, "keep_colour"),
        ({"stroke": 0.1}, "from 0.25 to 4, or full"),
        ({"outside": "redder"}, "needs a mask"),
        ({"like": "nowhere.png"}, "does not exist"),
    ],
)
def test_what_cannot_be_done_is_said(tints, look, reason):
    with pytest.raises(inkbridge.InkbridgeError, match=reason):
        inkbridge.load(tints).apply(GRAY, **look)


def test_a_pack_without_encoder_says_that_it_cannot_follow_an_example(stub_pack):
    with pytest.raises(PackError, match="no style encoder"):
        inkbridge.load(stub_pack).apply(GRAY, like=GRAY)


def test_an_encoder_that_was_changed_is_refused(tmp_path):
    pack = tinting_pack()
    write_pack(tmp_path / "a.stylepack", pack)
    data = (tmp_path / "a.stylepack").read_bytes()
    place = data.rindex(b"ReduceMean")
    (tmp_path / "a.stylepack").write_bytes(data[:place] + b"ReduceXean" + data[place + 10 :])
    with pytest.raises(PackError):
        inkbridge.load(tmp_path / "a.stylepack")
    pack.encoder = pack.generator
    write_pack(tmp_path / "b.stylepack", pack)
    with pytest.raises(PackError, match="its encoder has inputs"):
        inkbridge.load(tmp_path / "b.stylepack")


def test_only_styles_of_one_pack_can_be_fused(own_pack_folder, stub_pack, tints):
    for file in (stub_pack, tints):
        (own_pack_folder / file.name).write_bytes(file.read_bytes())
    from inkbridge.pack import load_for

    pack, styles = load_for({"darker": 1.0, "redder": 2.0})
    assert pack.styles == ["darker", "redder"]
    assert styles == {"darker": 1.0, "redder": 2.0}
    with pytest.raises(PackError, match="No pack has all of"):
        load_for({"darker": 1.0, "inverted": 1.0})
    with pytest.raises(PackError, match="not found"):
        load_for({"darker": 1.0, "blacker": 1.0})
    assert load_for({}, with_encoder=True)[0].styles == ["darker", "redder"]
    assert load_for({"redder": 0.5})[1] == {"redder": 0.5}
    with pytest.raises(ConfigError, match="All weights"):
        pack.code({"darker": 0.0})
