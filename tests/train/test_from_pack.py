"""Training that starts from what a pack has learned."""

import numpy as np
import pytest
from PIL import Image

import inkbridge
from conftest import TINY, made_picture, run_inkbridge
from inkbridge.errors import ConfigError, PackError
from inkbridge.train.budget import Budget
from inkbridge.train.checkpoint import read_checkpoint
from inkbridge.train.config import load_config
from inkbridge.train.export import export_run
from inkbridge.train.loop import train

# A rate at which two updates change nothing to be seen.
STILL = [
    *TINY,
    "encoder.width=4",
    "data.minimum=3",
    "optimizer.generator_lr=1e-12",
    "optimizer.ema_half_life=1e9",
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("folders")
    for name, tint in (("content", 0), ("ink", 40), ("wash", -40), ("new", 80)):
        (base / name).mkdir()
        for i in range(8):
            picture = made_picture(72, 96, i).astype(int) + np.array([tint, 0, -tint])
            Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(base / name / f"{i}.png")
    return base


@pytest.fixture(scope="module")
def pack(folders, tmp_path_factory):
    base = tmp_path_factory.mktemp("pack")
    config = load_config(None, [*STILL, "optimizer.generator_lr=2e-3"], "multistyle")
    styles = {"ink": folders / "ink", "wash": folders / "wash"}
    assert train(folders / "content", styles, base / "run", config, Budget(images=120))
    export_run(base / "run", base / "two.stylepack")
    return base / "two.stylepack"


def started(pack, folders, tmp_path, *names, recipe="multistyle", settings=STILL):
    config = load_config(None, [*settings, f"start_from={pack}"], recipe)
    styles = {name: folders / name for name in names}
    assert train(folders / "content", styles or folders / "new", tmp_path / "run", config, Budget(images=2))
    export_run(tmp_path / "run", tmp_path / "on.stylepack")
    return inkbridge.load(tmp_path / "on.stylepack")


def test_a_run_from_a_pack_paints_as_the_pack_does_before_it_has_learned(pack, folders, tmp_path):
    first, picture = inkbridge.load(pack), made_picture(96, 128, 99)
    on = started(pack, folders, tmp_path, "wash", "ink")
    for name in ("ink", "wash"):
        assert np.abs(first.apply(picture, name).astype(int) - on.apply(picture, name)).max() <= 1
    example = made_picture(96, 96, 5)
    assert np.abs(first.code(like=example) - on.code(like=example)).max() < 1e-3


def test_few_style_pictures_are_a_reason_to_start_from_a_pack(pack, folders, tmp_path):
    said: dict[str, list[str]] = {"": [], str(pack): []}
    for start, sentences in said.items():
        config = load_config(None, [*STILL, f"start_from={start}"], "multistyle")
        out = tmp_path / str(len(start))
        train(folders / "content", folders / "new", out, config, Budget(images=2), say=sentences.append)
    told = "Only 8 style pictures: from a pack (--from; see inkbridge styles)"
    assert [any(told in each for each in sentences) for sentences in said.values()] == [True, False]


def test_a_new_style_starts_where_the_encoder_puts_its_pictures(pack, folders, tmp_path):
    on = started(pack, folders, tmp_path, "ink", "new")
    pictures = [str(path) for path in sorted((folders / "new").glob("*.png"))]
    first = inkbridge.load(pack)
    apart = {name: np.abs(on.code("new") - first.code(name)).mean() for name in first.styles}
    assert np.abs(on.code("new") - first.code(like=pictures)).mean() < 0.25 * min(apart.values())


def test_one_style_can_start_from_a_pack_of_many(pack, folders, tmp_path):
    settings = [setting for setting in STILL if not setting.startswith("encoder")]
    on, picture = started(pack, folders, tmp_path, recipe="cut", settings=settings), made_picture(96, 128, 99)
    pictures = [str(path) for path in sorted((folders / "new").glob("*.png"))]
    led = inkbridge.load(pack).apply(picture, like=pictures)
    assert np.abs(led.astype(int) - on.apply(picture)).mean() < 3


def test_a_share_of_the_pack_is_kept(folders, tmp_path):
    settings = ["data.crop=48", "data.minimum=3", "sample_every=1000000", "optimizer.generator_lr=0.05"]
    for name, start in (("first", {}), ("second", {"start_from": str(tmp_path / "first.stylepack")})):
        told = [*settings, *(f"{key}={value}" for key, value in start.items())]
        config = load_config(None, told, "cut")
        assert train(folders / "content", folders / "ink", tmp_path / name, config, Budget(images=8))
        export_run(tmp_path / name, tmp_path / f"{name}.stylepack", last=True)
    picture = made_picture(96, 128, 99)
    before, after = (
        inkbridge.load(tmp_path / f"{name}.stylepack").apply(picture).astype(int)
        for name in ("first", "second")
    )
    apart = np.abs(before - after).mean()

    def kept(share):
        info = export_run(tmp_path / "second", tmp_path / "kept.stylepack", last=True, keep=share)
        assert info.provenance["kept"] == {str(tmp_path / "first.stylepack"): share}
        return inkbridge.load(tmp_path / "kept.stylepack").apply(picture).astype(int)

    assert np.abs(kept(0.999) - before).mean() < 0.05 * apart
    assert np.abs(kept(0.001) - after).mean() < 0.05 * apart
    middle = kept(0.5)
    assert min(np.abs(middle - side).mean() for side in (before, after)) > 0.1 * apart
    for run, share in (("first", 0.5), ("second", 1.0)):
        with pytest.raises(ConfigError, match=r"keep (is for runs|= 1 cannot be used)"):
            export_run(tmp_path / run, tmp_path / "no.stylepack", keep=share)
    assert not (tmp_path / "no.stylepack").exists()


def test_a_bundled_pack_can_be_started_from_by_name(folders, tmp_path):
    """With the default sizes of the networks."""
    small = ["data.crop=48", "data.minimum=3", "sample_every=1000000"]
    settings = [*small, "optimizer.generator_lr=1e-12", "optimizer.ema_half_life=1e9"]
    (folders / "ukiyo-e").symlink_to(folders / "ink")
    (folders / "another").symlink_to(folders / "wash")
    on = started("east-west", folders, tmp_path, "ukiyo-e", "another", settings=settings)
    picture = made_picture(64, 64, 99)
    first = inkbridge.load("east-west").apply(picture, "ukiyo-e", stroke="full")
    assert np.abs(first.astype(int) - on.apply(picture, "ukiyo-e", stroke="full")).max() <= 1


def test_a_pack_with_another_generator_is_no_start(folders, tmp_path):
    config = load_config(None, ["data.crop=48", "generator.width=4"], "classic")
    assert train(folders / "content", folders / "ink", tmp_path / "textbook", config, Budget(images=2))
    export_run(tmp_path / "textbook", tmp_path / "resnet.stylepack")
    with pytest.raises(PackError, match="its generator cannot learn"):
        started(tmp_path / "resnet.stylepack", folders, tmp_path, "ink", "wash")


def test_going_on_does_not_start_again(pack, folders, tmp_path):
    command = [
        *("train", "--content", folders / "content", "--style", f"ink={folders / 'ink'}"),
        *("--style", f"new={folders / 'new'}", "--out", tmp_path / "run", "--from", pack, "--eye", "none"),
        *(part for setting in STILL for part in ("--set", setting)),
    ]
    assert f"Starting from {pack}." in run_inkbridge(*command, "--images", "4").stdout
    said = run_inkbridge(*command, "--images", "8").stdout
    assert "Going on at 4 images." in said
    assert "Starting from" not in said
    assert read_checkpoint(tmp_path / "run" / "checkpoint.pt")["progress"]["images_seen"] == 8


def test_what_cannot_be_started_from_is_refused_before_anything_is_trained(
    pack, stub_pack, folders, tmp_path
):
    with pytest.raises(ConfigError, match="another size"):
        started(pack, folders, tmp_path / "a", "ink", settings=[*STILL, "generator.width=12"])
    with pytest.raises(PackError, match="cannot learn"):
        started(stub_pack, folders, tmp_path / "b", "ink")
    with pytest.raises(PackError, match="east-wset"):
        started("east-wset", folders, tmp_path / "c", "ink")
    assert not list(tmp_path.glob("*/run/checkpoint.pt"))
