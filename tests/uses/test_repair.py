"""Repair: trained on made damage from sound pictures alone, exported, and used as people use it."""

import json

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

import inkbridge
from conftest import made_picture, run_inkbridge
from inkbridge.damage import damage
from inkbridge.engine import SOUND, WORN, Sureness
from inkbridge.errors import ConfigError, DataError, PackError
from inkbridge.filling import filled
from inkbridge.pack_format import read_pack, write_pack
from inkbridge.train import colours
from inkbridge.train.budget import Budget
from inkbridge.train.colours import SQUEEZED, squeezed
from inkbridge.train.config import load_config
from inkbridge.train.export import export_run
from inkbridge.train.from_pack import network_weights
from inkbridge.train.loop import train
from inkbridge.train.networks.repairer import (
    BINS,
    KNOTS,
    TONE,
    ToneNet,
    ToneNets,
    histograms,
    thumbnail,
    toned,
)
from inkbridge.train.onnx_file import to_file
from inkbridge.train.recipes.repair import Repair
from inkbridge.train.samples import square
from inkbridge.uses.repair import repairing
from inkbridge.uses.repair import tone as at_any_size
from inkbridge.uses.repair.repairing import load_repair_pack, read_mask

SETTINGS = [
    "recipe=repair",
    "data.crop=48",
    "data.content_scale=[0.6, 1.0]",
    "generator.width=12",
    "generator.body=32",
    "generator.num_blocks=1",
    "discriminator.width=8",
    "precision=float32",
    "sample_every=1000000",
    'kinds=["holes", "noise", "yellowed"]',
    "optimizer.warm_up_images=0",
    "optimizer.generator_warm_up_images=0",
    "optimizer.ema_half_life=200",
]


def smooth(seed: int, height: int = 96, width: int = 128) -> np.ndarray:
    """A made picture without its noise: what is to be found again."""
    return np.asarray(Image.fromarray(made_picture(4 * height, 4 * width, seed)).reduce(4))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of a few hundred updates, and its pack."""
    base = tmp_path_factory.mktemp("repair")
    (base / "sound").mkdir()
    for i in range(12):
        Image.fromarray(smooth(i)).save(base / "sound" / f"{i}.png")
    said: list[str] = []
    config = load_config(None, SETTINGS)
    assert train(base / "sound", base / "sound", base / "run", config, Budget(images=4000), say=said.append)
    assert not any("will be painted like" in line or line.startswith("style") for line in said)
    info = export_run(base / "run", base / "mend.stylepack")
    assert info.kind == "repair"
    return base


@pytest.fixture(scope="module")
def pack(trained):
    return load_repair_pack(trained / "mend.stylepack")


def error(one, other):
    return float(np.square(one.astype(float) - other).mean())


def test_unseen_pictures_with_unseen_damage_come_nearer_to_what_they_were(pack):
    for kinds in ({"holes": 0.7}, {"noise": 0.7}, {"yellowed": 0.7}, {"holes": 0.6, "noise": 0.5}):
        before = after = 0.0
        for seed in range(100, 106):
            sound = smooth(seed)
            hurt = damage(sound, kinds, seed, unit=1.0)
            before += error(hurt.rgb, sound)
            after += error(pack.repair(hurt.rgb), sound)
        assert after < 0.8 * before, kinds


def test_most_undamaged_pictures_are_nearly_left_alone(pack):
    """Made pictures say little of what their colours should be: so soon some are changed."""
    differences = [error(pack.repair(smooth(seed)), smooth(seed)) for seed in range(100, 106)]
    assert sorted(differences)[3] < 25


def test_what_is_hidden_is_found(pack):
    hits = misses = wrong = 0
    for seed in range(100, 106):
        hurt = damage(smooth(seed), {"holes": 0.8}, seed, unit=1.0)
        found = pack.repair_picture(inkbridge.images.Picture(hurt.rgb)).mask > 0
        hits += (found & (hurt.mask > 0)).sum()
        misses += (~found & (hurt.mask > 0)).sum()
        wrong += (found & (hurt.mask == 0)).sum()
    assert hits / (hits + misses) > 0.6
    assert hits / (hits + wrong) > 0.6


def test_a_given_mask_helps_and_with_only_mask_nothing_else_changes(pack):
    sound = smooth(200)
    hurt = damage(sound, {"holes": 0.8}, 1, unit=1.0)
    mended = pack.repair(hurt.rgb, hurt.mask, only_mask=True)
    outside = hurt.mask == 0
    assert np.array_equal(mended[outside], hurt.rgb[outside])
    assert error(mended[~outside], sound[~outside]) < 0.5 * error(hurt.rgb[~outside], sound[~outside])
    nothing = np.zeros_like(hurt.mask)
    assert np.array_equal(pack.repair(hurt.rgb, nothing, only_mask=True), hurt.rgb)


def test_strength_goes_from_the_picture_to_the_repaired(pack):
    hurt = damage(smooth(201), {"noise": 0.8}, 1).rgb
    whole, half, none = (pack.repair(hurt, strength=s) for s in (1.0, 0.5, 0.0))
    assert np.array_equal(none, hurt)
    assert np.abs(half.astype(float) - (hurt.astype(float) + whole) / 2).max() <= 1
    with pytest.raises(ConfigError, match=r"strength = 1\.5"):
        pack.repair(hurt, strength=1.5)


def test_tiles_are_the_whole_picture(pack, monkeypatch):
    hurt = damage(smooth(202, 200, 300), {"noise": 0.5, "holes": 0.5}, 1).rgb
    whole = pack.repair(hurt, colour=False)
    monkeypatch.setattr(inkbridge.tiling.apply_tiled, "__defaults__", (64, lambda done, total: None, None, 1))
    assert np.abs(pack.repair(hurt, colour=False).astype(int) - whole).max() <= 1


def test_a_large_scan_is_mended_as_the_small_picture_is(pack, monkeypatch):
    """Holes four times as wide as in training: found, filled and, where a mask is given, only there."""

    def left(seed, mask_given):
        small = Image.fromarray(smooth(seed))
        sound = np.asarray(small.resize((512, 384), Image.Resampling.BICUBIC))
        hurt = damage(sound, {"holes": 0.8}, seed, unit=4.0)
        hidden = hurt.mask > 0
        mended = pack.repair_picture(
            inkbridge.images.Picture(hurt.rgb), hurt.mask if mask_given else None, colour=False
        )
        found = mended.mask > 0
        if mask_given:
            kept = pack.repair(hurt.rgb, hurt.mask, only_mask=True)
            assert np.array_equal(kept[~hidden], hurt.rgb[~hidden])
        rgb = mended.picture.rgb
        return (
            error(rgb[hidden], sound[hidden]),
            (found & hidden).sum(),
            (found & ~hidden).sum(),
            hidden.sum(),
            error(hurt.rgb[hidden], sound[hidden]),
        )

    seeds = range(100, 106)
    direct = np.sum([[left(seed, told) for seed in seeds] for told in (True, False)], 1)
    monkeypatch.setattr(repairing, "LARGE", 96)
    reduced_first = np.sum([[left(seed, told) for seed in seeds] for told in (True, False)], 1)
    for rows in (direct, reduced_first):
        for mended, *_, hurt in rows:  # with the mask and without
            assert mended < 0.4 * hurt
    assert reduced_first[0, 0] < 0.7 * direct[0, 0]
    _, hits, wrong, hidden, _ = reduced_first[1]
    assert hits > 0.5 * hidden
    assert hits > 0.5 * (hits + wrong)


def test_beautify_needs_a_reason(pack, monkeypatch):
    sound = smooth(204)
    low, high = np.percentile(sound, (5, 95))
    stretched = np.clip((sound - low) * 255 / (high - low), 0, 255).astype(np.uint8)
    with monkeypatch.context() as never:
        never.setattr(repairing, "SLIGHT", 255.0)
        never.setattr(repairing, "PLAIN", 256.0)
        for needed in ("WORN", "SOUND"):
            never.setattr(repairing, needed, Sureness(1.0, 0.0))
        better = pack.beautify_picture(inkbridge.images.Picture(stretched))
    assert better.done == ()
    assert np.array_equal(better.picture.rgb, stretched)
    noisy = damage(stretched, {"noise": 0.8}, 1, unit=1.0).rgb
    made = pack.beautify_picture(inkbridge.images.Picture(noisy))
    assert "pixels" in made.done
    assert error(made.picture.rgb, stretched) < error(noisy, stretched)
    half = pack.beautify(noisy, strength=0.5)
    assert np.abs(half.astype(float) - (noisy.astype(float) + made.picture.rgb) / 2).max() <= 1
    with pytest.raises(ConfigError, match="strength = 2"):
        pack.beautify(noisy, strength=2)


def test_contrast_moves_little_and_leaves_what_has_it():
    ramp = np.repeat(np.linspace(0, 255, 256, dtype=np.uint8)[None, :, None], 3, -1).repeat(8, 0)
    assert at_any_size.with_contrast(ramp) is ramp
    dull = (60 + ramp // 2).astype(np.uint8)
    better = at_any_size.with_contrast(dull)
    assert better.min() == pytest.approx(50, abs=2)
    assert better.max() == pytest.approx(197, abs=2)
    plain = np.full((8, 8, 3), 120, np.uint8)
    assert at_any_size.with_contrast(plain) is plain


def test_another_training_goes_on_from_the_pack(trained, pack, tmp_path):
    start = f"start_from={trained / 'mend.stylepack'}"
    config = load_config(None, [*SETTINGS, start, "optimizer.generator_lr=1e-9"])
    assert train(trained / "sound", trained / "sound", tmp_path / "run", config, Budget(images=8))
    export_run(tmp_path / "run", tmp_path / "on.stylepack")
    hurt = damage(smooth(100), {"holes": 0.7, "yellowed": 0.6}, 100, unit=1.0).rgb
    on = load_repair_pack(tmp_path / "on.stylepack").repair(hurt)
    assert np.abs(on.astype(float) - pack.repair(hurt)).max() <= 1
    (tmp_path / "style").mkdir()
    for i in range(2):
        Image.fromarray(made_picture(96, 96, 50 + i)).save(tmp_path / "style" / f"{i}.png")
    with pytest.raises(ConfigError, match="recipe cut cannot start from a pack of kind repair"):
        train(
            *(trained / "sound", tmp_path / "style", tmp_path / "no"),
            load_config(None, [start, "generator.width=8", "data.minimum=2"]),
            Budget(images=8),
        )
    with pytest.raises(ConfigError, match="another size"):
        train(
            *(trained / "sound", trained / "sound", tmp_path / "no2"),
            load_config(None, [*SETTINGS, start, "generator.body=48"]),
            Budget(images=8),
        )


def test_colours_are_learned_alone_and_the_repairer_stays(trained, pack, tmp_path):
    """From a pack of an earlier version, with one network for colours that knows little."""
    file = read_pack(trained / "mend.stylepack")
    torch.manual_seed(5)
    file.tone = to_file(
        ToneNet().eval(),
        (torch.rand(1, 3, 64, 64),),
        ["thumbnail"],
        ["light", "tone"],
        {"thumbnail": {0: "n"}},
    )
    write_pack(tmp_path / "old.stylepack", file)
    start = f"start_from={tmp_path / 'old.stylepack'}"
    config = load_config(None, [*SETTINGS, start, "learn=colours", "batch=16", "tone_networks=2"])
    assert train(trained / "sound", trained / "sound", tmp_path / "run", config, Budget(images=6400))
    new = tmp_path / "new.stylepack"
    export_run(tmp_path / "run", new)
    weights, before = (network_weights(side.generator) for side in (read_pack(new), file))
    assert all(torch.equal(weights[key], before[key]) for key in before)
    assert len(read_pack(new).tone) > 1.5 * len(read_pack(trained / "mend.stylepack").tone) / 3
    ours, old = load_repair_pack(new), load_repair_pack(tmp_path / "old.stylepack")
    off = np.zeros(3)
    for seed in range(100, 108):
        sound = smooth(seed)
        hurt = damage(sound, {"yellowed": 0.8}, seed, unit=1.0).rgb
        assert np.array_equal(ours.repair(hurt, colour=False), pack.repair(hurt, colour=False))
        off += [error(result, sound) for result in (ours.repair(hurt), old.repair(hurt), hurt)]
    assert off[0] < 0.7 * off[1]
    assert off[1] > 0.9 * off[2]
    with pytest.raises(ConfigError, match="a discriminator teaches the repairer"):
        load_config(None, [*SETTINGS, start, "learn=colours", "losses.adversarial_weight=1"])


def test_what_was_not_mended_is_no_matter_of_colours(monkeypatch):
    """Networks that say of all pictures that their colours are sound are wrong about changed ones alone."""
    monkeypatch.setattr(colours, "CHANGED", 0.0)
    recipe = Repair(load_config(None, SETTINGS).model, torch.device("cpu"))
    for member in recipe.tone.members:
        torch.nn.init.constant_(member.to_tone.bias[-1:], -8.0)
    sound = torch.from_numpy(np.stack([smooth(seed, 64, 64) for seed in range(2)]) / 127.5 - 1)
    sound = sound.permute(0, 3, 1, 2).float()
    hurt = sound.clone()
    hurt[:, :, 8:24, 8:24] = 1.0

    def loss(result, wanted):
        return recipe._tone_loss(result, wanted, sound, torch.Generator().manual_seed(0)).item()

    assert loss(hurt, sound) < 0.4
    assert loss(hurt, sound * 0.7) > loss(hurt, sound) + 0.3


def test_several_networks_answer_with_their_mean_of_a_picture_and_its_mirror_image():
    tones = ToneNets(3)
    for i, member in enumerate(tones.members):
        torch.nn.init.constant_(member.to_tone.bias, float(i))
        torch.nn.init.constant_(member.to_map.bias, 2.0 * i)
    light, tone = tones(torch.rand(2, 3, 64, 64))
    assert torch.allclose(tone, torch.ones(2, TONE))
    assert torch.allclose(light, torch.full((2, 3, 8, 8), 2.0))
    for member in tones.members:
        torch.nn.init.normal_(member.to_map.weight)
        torch.nn.init.normal_(member.to_tone.weight)
    image = torch.rand(2, 3, 64, 64) * 2 - 1
    (light, tone), (mirrored, same) = tones(image), tones(image.flip(3))
    assert torch.allclose(mirrored.flip(3), light, atol=1e-5)
    assert torch.allclose(same, tone, atol=1e-5)
    assert not torch.allclose(mirrored, light, atol=1e-2)


@pytest.mark.parametrize(
    ("chance", "change", "worn", "sound"),
    [(0.8, 22, True, False), (0.97, 16, True, False), (0.97, 22, True, True), (0.5, 22, False, False)],
)
def test_colours_of_a_picture_that_needed_mending_are_changed_sooner(
    pack, monkeypatch, chance, change, worn, sound
):
    assert (WORN.sure, WORN.faint, SOUND.sure, SOUND.faint) == (0.6, 12.0, 0.95, 18.0)
    answer = np.zeros((1, TONE), np.float32)
    answer[0, [3, 7, 11]] = change / 255  # added to red, green and blue
    answer[0, -1] = np.log(chance / (1 - chance))
    monkeypatch.setattr(pack._engine, "tone", lambda small: (np.zeros((1, 3, 8, 8), np.float32), answer))
    grey = np.full((64, 64, 3), 100, np.uint8)
    for off, alone, changes in ((0, 0, sound), (4, 1, worn), (8, 8, worn)):  # where they change all is mended
        mended = grey + np.uint8(off)
        monkeypatch.setattr(pack, "_mended", lambda *_, mended=mended: (mended, np.zeros((64, 64), np.uint8)))
        assert np.array_equal(pack.repair(grey), grey + np.uint8(off + change if changes else alone))


@pytest.mark.parametrize(("off", "kept"), [(2, 0.0), (4, 1 / 3), (5, 2 / 3), (6, 1.0), (40, 1.0)])
def test_what_can_be_seen_and_is_hardly_off_stays_as_it_is(pack, monkeypatch, off, kept):
    """A margin of three pixels round what is hidden is mended with it."""
    never = np.full((1, TONE), -20, np.float32)
    monkeypatch.setattr(pack._engine, "tone", lambda small: (np.zeros((1, 3, 8, 8), np.float32), never))
    grey = np.full((64, 64, 3), 100, np.uint8)
    hidden = np.zeros((64, 64), np.uint8)
    hidden[20:30, 20:30] = 255
    mended = grey + np.uint8(off)
    mended[20:30, 20:30] = 200
    monkeypatch.setattr(pack, "_mended", lambda *_: (mended, hidden))
    wanted = np.full_like(grey, round(100 + kept * off))
    for mask in (None, hidden):
        wanted[17:33, 17:33] = mended[17:33, 17:33]
        assert np.array_equal(pack.repair(grey, mask), wanted)


def test_thumbnails_to_learn_from_are_squeezed_as_whole_pictures_are():
    """Stripes as wide as high: in a thumbnail they lie as far apart as its proportions say."""
    ramp = torch.linspace(-1, 1, 128)
    content = torch.stack([ramp.view(1, -1).expand(128, -1), ramp.view(-1, 1).expand(-1, 128)])
    content = torch.cat([content, content[:1]]).expand(40, 3, 128, 128)
    small = squeezed(content, torch.Generator().manual_seed(0))
    wide = (small[:, 0, 0, -1] - small[:, 0, 0, 0]) / 2
    high = (small[:, 1, -1, 0] - small[:, 1, 0, 0]) / 2
    assert torch.maximum(wide, high).min() > 0.95
    ratio = (wide / high).log()
    assert ratio.min() < -0.5
    assert ratio.max() > 0.5
    assert ratio.abs().max() < SQUEEZED + 0.05


def test_a_repair_pack_is_not_among_the_styles(trained, tmp_path, monkeypatch):
    write_pack(tmp_path / "mend.stylepack", read_pack(trained / "mend.stylepack"))
    monkeypatch.setenv("INKBRIDGE_PACKS", str(tmp_path))
    assert not [style for style in inkbridge.list_styles() if style.pack.parent == tmp_path]
    assert load_repair_pack("mend").info.kind == "repair"


def test_a_hole_is_filled_from_all_sides():
    ramp = np.repeat(np.linspace(20, 220, 60).astype(np.uint8)[None, :, None], 3, -1).repeat(40, 0)
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 20:40] = 255
    hurt = np.where(mask[..., None] > 0, np.uint8(255), ramp)
    smooth_again = filled(hurt, mask)
    # Where a hole ends a pixel is half seen: one more to all sides is filled.
    assert np.array_equal(smooth_again[:9], ramp[:9])
    assert np.array_equal(smooth_again[:, :19], ramp[:, :19])
    assert np.abs(smooth_again.astype(int) - ramp).max() < 20
    for odd in ((1, 7), (5, 1), (33, 17)):
        picture, hole = made_picture(*odd), np.zeros(odd, np.uint8)
        hole[:, odd[1] // 2 :] = 255
        hole[0, 0] = 0
        whole = filled(picture, hole)
        assert whole.shape == picture.shape
        far = np.asarray(Image.fromarray(hole).filter(ImageFilter.MaxFilter(3))) == 0
        assert np.array_equal(whole[far], picture[far])


def test_beneath_a_given_mask_no_shade_of_a_hole_is_left(pack):
    """White holes and black ones over the same picture end alike."""
    sound = smooth(210)
    mask = damage(sound, {"holes": 0.8}, 4, unit=1.0).mask
    results = []
    for shade in (255, 0):
        hurt = np.where(mask[..., None] > 0, np.uint8(shade), sound)
        results.append(pack.repair(hurt, mask, colour=False).astype(float))
    inside = mask > 0
    assert np.abs(results[0] - results[1])[inside].mean() < 40


def test_masks_that_cannot_be_used_are_one_sentence(pack):
    picture = smooth(0)
    with pytest.raises(DataError, match="covers the whole picture"):
        pack.repair(picture, np.full(picture.shape[:2], 255, np.uint8))
    with pytest.raises(DataError, match="The mask is 10 x 20, the picture 128 x 96"):
        pack.repair(picture, np.zeros((20, 10), np.uint8))
    with pytest.raises(ConfigError, match="only_mask needs a mask"):
        pack.repair(picture, only_mask=True)


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (17, 33), (96, 1)])
def test_pictures_of_any_size_come_back_in_their_size(pack, shape):
    picture = made_picture(*shape)
    assert pack.repair(picture).shape == picture.shape


def test_a_mask_is_read_from_any_picture(tmp_path):
    mask = np.zeros((20, 30), np.uint8)
    mask[5:9, 7:20] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    assert np.array_equal(read_mask(tmp_path / "m.png", 20, 30), mask)
    assert np.array_equal(read_mask(Image.fromarray(mask).convert("RGB"), 20, 30), mask)


def test_colours_at_any_size_are_those_of_training():
    torch.manual_seed(0)
    rgb = made_picture(300, 421, 3)
    light, tone = torch.randn(1, 3, 8, 8) * 0.2, torch.randn(1, TONE) * 0.1
    image = torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 127.5 - 1
    expected = ((toned(image, light, tone)[0].permute(1, 2, 0) + 1) * 127.5).clamp(0, 255).numpy()
    ours = at_any_size.toned(rgb, light.numpy(), tone.numpy())
    assert np.abs(ours - expected).max() < 0.6
    assert thumbnail(image).shape[2] == at_any_size.THUMBNAIL
    small = at_any_size.thumbnail(rgb).astype(float)
    assert np.abs(((thumbnail(image)[0].permute(1, 2, 0) + 1) * 127.5).numpy() - small).mean() < 3


def test_a_new_tone_network_leaves_colours_as_they_are():
    image = torch.rand(2, 3, 64, 64) * 2 - 1
    assert torch.allclose(toned(image, *ToneNets(2)(image)), image, atol=1e-6)


def test_curves_are_what_they_say():
    """Hand-computed: only the middle knot of red is lifted by 0.1."""
    tone = torch.zeros(1, TONE)
    tone[0, 12 + KNOTS // 2] = 0.1
    image = torch.tensor([0.5, 0.5 + 1 / 16, 0.25]).view(1, 1, 1, 3).expand(1, 3, 1, 3) * 2 - 1
    result = (toned(image, torch.zeros(1, 3, 8, 8), tone) + 1) / 2
    assert torch.allclose(result[0, 0, 0], torch.tensor([0.6, 0.5 + 1 / 16 + 0.05, 0.25]), atol=1e-6)
    assert torch.allclose(result[0, 1:], (image[0, 1:] + 1) / 2)


def test_histograms_are_shares_of_pixels():
    """Hand-computed: half of red black, half of it white; green between two bins; blue beyond the range."""
    image = torch.zeros(1, 3, 2, 2)
    image[0, 0] = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    image[0, 1] = 2 * (5.25 / (BINS - 1)) - 1
    image[0, 2] = 1.5
    shares = histograms(image)[0]
    assert torch.allclose(shares.sum(1), torch.ones(3), atol=1e-5)
    assert shares[0, [0, -1]].tolist() == pytest.approx([0.5, 0.5])
    assert shares[1, [5, 6]].tolist() == pytest.approx([0.75, 0.25], abs=1e-4)
    assert shares[2, -1].item() == pytest.approx(1)


def test_a_repair_pack_is_no_style_and_a_style_no_repair_pack(trained, tmp_path, stub_pack):
    with pytest.raises(PackError, match="is no style but a repair pack: use inkbridge repair"):
        inkbridge.load(trained / "mend.stylepack")
    with pytest.raises(PackError, match="is no repair pack"):
        load_repair_pack(stub_pack)
    file = read_pack(trained / "mend.stylepack")
    file.info.kind = "sculpture"
    write_pack(tmp_path / "x.stylepack", file)
    with pytest.raises(PackError, match="kind 'sculpture', which this Inkbridge does not know"):
        read_pack(tmp_path / "x.stylepack")


class OtherTone(torch.nn.Module):
    """Answers with fewer numbers than a tone network does."""

    def forward(self, small: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return small[:, :, :8, :8], small[:, 0, 0, :20]


def test_a_pack_whose_networks_answer_otherwise_is_one_sentence(trained, tmp_path):
    file = read_pack(trained / "mend.stylepack")
    file.tone = to_file(OtherTone(), (torch.rand(1, 3, 64, 64),), ["thumbnail"], ["light", "tone"], {})
    write_pack(tmp_path / "x.stylepack", file)
    with pytest.raises(PackError, match="answer with other shapes"):
        load_repair_pack(tmp_path / "x.stylepack")
    file.tone = None
    write_pack(tmp_path / "y.stylepack", file)
    with pytest.raises(PackError, match="is no repair pack"):
        load_repair_pack(tmp_path / "y.stylepack")
    file.tone = file.generator
    write_pack(tmp_path / "z.stylepack", file)
    with pytest.raises(PackError, match=r"its tone network has inputs \['filling', 'image', 'mask'\]"):
        load_repair_pack(tmp_path / "z.stylepack")


def test_samples_show_damaged_repaired_and_sound(trained, pack):
    (sheet,) = (trained / "run" / "samples").glob("*.jpg")
    picture = np.asarray(Image.open(sheet)).astype(float)

    def cell(row, column):
        top, left = 6 + 262 * row, 6 + 262 * column + 6 * (column > 2)
        return picture[top : top + 256, left : left + 256]

    assert np.abs(cell(0, 2) - square(smooth(0))).mean() < 4  # JPEG
    triples = [[cell(row, side + i) for i in range(3)] for row in range(3) for side in (0, 3)]
    # One in ten is left undamaged.
    assert sum(np.abs(damaged - sound).mean() > 4 for damaged, _, sound in triples) >= 3
    assert all(np.abs(repaired - sound).mean() < 40 for _, repaired, sound in triples)
    # Colours are put right in them as in the pack's results.
    for damaged, repaired, _ in triples:
        expected = pack.repair(damaged.astype(np.uint8)).astype(float)
        assert np.abs(repaired - expected).mean() < 8


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ('kinds=["scratch"]', "kinds = 'scratch' cannot be used.* Did you mean scratches"),
        ("kinds=[]", "one kind of damage at least"),
        ("strengths=[0.0, 0.5]", r"strengths = \[0.0, 0.5\] cannot be used.*above 0, at most 1"),
        ("strengths=[0.2, 1.5]", "at most 1, smaller first"),
        ("unit=[2.0, 1.0]", "two numbers above 0, smaller first"),
        ("generator.kind=modulated", "only repairer finds what is hidden"),
        ("learn=colors", "learn = 'colors' cannot be used: input should be 'both' or 'colours'"),
        ("learn=colours", "'colours' cannot be used without start_from"),
        ("tone_networks=0", "tone_networks = 0 cannot be used: it must be at least 1"),
    ],
)
def test_settings_that_cannot_be_used_are_one_sentence(setting, message):
    with pytest.raises(ConfigError, match=message):
        load_config(None, ["recipe=repair", setting])


def test_the_recipe_trains_with_a_discriminator_too(trained, tmp_path):
    config = load_config(None, [*SETTINGS, "losses.adversarial_weight=0.05"])
    assert train(trained / "sound", trained / "sound", tmp_path / "run", config, Budget(images=32))
    last = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])
    assert {"pair", "psnr", "gradient", "found", "tone", "adversarial", "discriminator"} <= set(last)


def test_a_pack_may_have_a_rich_network_beside_the_faithful_one(trained, pack, tmp_path):
    """The second run goes on from the pack, with a discriminator."""
    start = f"start_from={trained / 'mend.stylepack'}"
    config = load_config(None, [*SETTINGS, start, "losses.adversarial_weight=0.3"])
    assert train(trained / "sound", trained / "sound", tmp_path / "run", config, Budget(images=64))
    both = tmp_path / "both.stylepack"
    export_run(trained / "run", both, rich=tmp_path / "run")
    Image.fromarray(damage(smooth(100), {"holes": 0.7}, 100, unit=1.0).rgb).save(tmp_path / "hurt.png")
    for said, name in (("--rich", "rich"), ("--faithful", "faithful")):
        done = run_inkbridge(
            "repair", tmp_path / "hurt.png", "--pack", both, said, "-o", tmp_path / f"{name}.png"
        )
        assert done.returncode == 0, done.stderr
    rich, faithful = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("rich", "faithful"))
    assert np.array_equal(faithful, np.asarray(pack.repair(tmp_path / "hurt.png")))
    assert 0 < error(rich, faithful) < 400
    with pytest.raises(PackError, match="has no rich network"):
        pack.repair(tmp_path / "hurt.png", rich=True)
    both.write_bytes(both.read_bytes().replace(b'"rich_sha256": "', b'"rich_sha256": "0'))
    with pytest.raises(PackError, match="is damaged"):
        load_repair_pack(both)


def test_a_pack_holds_weights_in_half_precision(trained):
    file = read_pack(trained / "mend.stylepack")
    assert (
        2 * file.info.provenance["parameters"] < len(file.generator) < 3 * file.info.provenance["parameters"]
    )


class TestTheCommands:
    def test_train_needs_no_style_and_says_when_one_is_given_or_missing(self, trained, tmp_path):
        quick = [part for setting in SETTINGS[1:] for part in ("--set", setting)]
        sound = ["train", "--content", trained / "sound", "--out", tmp_path / "run", "--images", "8", *quick]
        done = run_inkbridge(*sound, "--recipe", "repair")
        assert done.returncode == 0, done.stderr
        done = run_inkbridge(*sound, "--recipe", "repair", "--style", trained / "sound")
        assert done.returncode == 1
        assert "leave --style out" in done.stderr
        done = run_inkbridge("train", "--content", trained / "sound", "--out", tmp_path / "other")
        assert done.returncode == 1
        assert "Recipe exemplar needs --style" in done.stderr

    def test_damage_repair_look_at_the_mask_and_give_it_back(self, trained, tmp_path):
        photo, hurt = tmp_path / "photo.png", tmp_path / "hurt.jpg"
        Image.fromarray(smooth(203)).save(photo)
        exif = Image.Exif()
        exif[0x010E] = "a photograph"
        made = damage(smooth(203), {"holes": 0.8}, 2, unit=1.0)
        Image.fromarray(made.rgb).save(hurt, quality=97, exif=exif)
        pack = ["--pack", trained / "mend.stylepack"]
        done = run_inkbridge(
            *("repair", hurt, *pack, "-o", tmp_path / "out.jpg", "--save-mask", tmp_path / "mask.png"),
            *("--compare", tmp_path / "both.png"),
        )
        assert done.returncode == 0, done.stderr
        assert "found hidden" in done.stdout
        with Image.open(tmp_path / "out.jpg") as mended, Image.open(tmp_path / "both.png") as both:
            assert mended.getexif()[0x010E] == "a photograph"
            assert both.size == (256, 96)
        mask = np.asarray(Image.open(tmp_path / "mask.png"))
        assert 0 < (mask > 0).mean() < 0.5
        done = run_inkbridge(
            *("repair", hurt, *pack, "-o", tmp_path / "again.png", "--mask", tmp_path / "mask.png"),
            "--only-mask",
        )
        assert done.returncode == 0, done.stderr
        again, before = np.asarray(Image.open(tmp_path / "again.png")), np.asarray(Image.open(hurt))
        assert np.array_equal(again[mask[..., 0] == 0], before[mask[..., 0] == 0])
        assert not np.array_equal(again, before)

    def test_beautify_writes_a_better_picture_and_says_what_was_done(self, trained, tmp_path):
        noisy = tmp_path / "noisy.jpg"
        exif = Image.Exif()
        exif[0x010E] = "a photograph"
        made = damage(smooth(203), {"noise": 0.9}, 2, unit=1.0).rgb
        Image.fromarray(made).save(noisy, quality=97, exif=exif)
        pack = ["--pack", trained / "mend.stylepack"]
        done = run_inkbridge(
            "beautify", noisy, *pack, "-o", tmp_path / "b.jpg", "--compare", tmp_path / "c.png"
        )
        assert done.returncode == 0, done.stderr
        assert "pixels" in done.stdout
        with Image.open(tmp_path / "b.jpg") as better, Image.open(tmp_path / "c.png") as both:
            assert better.getexif()[0x010E] == "a photograph"
            assert error(np.asarray(better), smooth(203)) < error(made, smooth(203))
            assert both.size == (256, 96)
        for arguments, message in (
            ([noisy, *pack, "-o", noisy], "is the picture itself"),
            ([noisy, *pack, "-o", tmp_path / "d.jpg", "--strength", "3"], "strength = 3"),
            ([noisy, *pack, "-o", tmp_path / "d.jpg", "--quality", "0"], "--quality 0"),
            ([tmp_path / "none.jpg", *pack, "-o", tmp_path / "d.jpg"], "does not exist"),
        ):
            done = run_inkbridge("beautify", *arguments)
            assert done.returncode == 1, message
            assert message in done.stderr
            assert len(done.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "d.jpg").exists()

    def test_bad_input_is_one_sentence(self, trained, tmp_path, stub_pack):
        photo = tmp_path / "a.png"
        Image.fromarray(smooth(0)).save(photo)
        Image.fromarray(smooth(0)[:50]).save(tmp_path / "m.png")
        pack, out = ["--pack", trained / "mend.stylepack"], ["-o", tmp_path / "b.png"]
        for arguments, message in (
            ([photo, *pack, "-o", photo], "is the picture itself"),
            ([photo, *pack, *out, "--mask", tmp_path / "m.png"], "they must be of one size"),
            ([photo, *pack, *out, "--only-mask"], "--only-mask needs --mask"),
            ([photo, "--pack", stub_pack, *out], "is no repair pack"),
            ([tmp_path / "none.png", *pack, *out], "does not exist"),
            ([tmp_path / "none.png", *pack, "-o", photo], "does not exist"),
            ([photo, *pack, "-o", tmp_path / "no" / "b.png"], "make it first"),
        ):
            done = run_inkbridge("repair", *arguments)
            assert done.returncode == 1, message
            assert message in done.stderr
            assert len(done.stderr.strip().splitlines()) == 1
        assert not (tmp_path / "b.png").exists()


def test_repair_never_loads_torch(trained):
    import subprocess
    import sys

    code = (
        "import sys\nfrom numpy import uint8, zeros\n"
        "from inkbridge.uses.repair.repairing import load_repair_pack\n"
        f"load_repair_pack({str(trained / 'mend.stylepack')!r}).repair(zeros((20, 30, 3), uint8))\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
