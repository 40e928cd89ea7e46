import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

import inkbridge
from conftest import TINY, made_picture, run_inkbridge
from inkbridge.catalogue import find_pack
from inkbridge.errors import ConfigError
from inkbridge.eye import read_eye
from inkbridge.images import read_picture
from inkbridge.pack_format import read_pack
from inkbridge.train import losses
from inkbridge.train.budget import Budget
from inkbridge.train.checkpoint import read_checkpoint
from inkbridge.train.config import load_config
from inkbridge.train.data import Crops, cached_pictures, load_pictures, median_short_side
from inkbridge.train.export import export_run
from inkbridge.train.from_pack import generator_of, network_weights
from inkbridge.train.looks import choose_looks, typical_window
from inkbridge.train.loop import train
from inkbridge.train.networks.eye import Eye
from inkbridge.train.onnx_file import to_file
from inkbridge.train.recipes.exemplar import Exemplar

OF_CUT = ("projection=", "losses.content_places=")
SETTINGS = [s for s in TINY if not s.startswith(OF_CUT)]
SETTINGS += ["encoder.width=4", "data.crop=64", "data.minimum=3", "batch=4"]
COLOURS = {"red-ink": (170, 40, 30), "blue-ink": (30, 50, 160)}


@pytest.fixture(scope="module")
def eye() -> Eye:
    return Eye(read_eye("squeezenet11"), "squeezenet11")


def recipe(num_styles: int = 2, *settings: str) -> Exemplar:
    torch.manual_seed(0)
    config = load_config(None, [*SETTINGS, *settings], "exemplar")
    return Exemplar(config.model, torch.device("cpu"), num_styles)


def batch(seed: int, num: int = 4, size: int = 64) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return (torch.rand(num, 3, size, size, generator=rng) * 2 - 1).contiguous(
        memory_format=torch.channels_last
    )


def stripes(colour: tuple[int, int, int], i: int, height: int = 80, width: int = 100) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    ink = ((x + (2 + i % 3) * y) // 5) % 2
    return np.where(ink[..., None] == 1, np.array(colour), np.array([235, 225, 200])).astype(np.uint8)


@pytest.fixture(scope="module")
def inks(tmp_path_factory):
    """Contents, and two styles that are stripes of one colour each."""
    base = tmp_path_factory.mktemp("inks")
    (base / "content").mkdir()
    for i in range(10):
        Image.fromarray(made_picture(72, 96, i)).save(base / "content" / f"{i}.png")
    for name, colour in COLOURS.items():
        (base / name).mkdir()
        for i in range(6):
            Image.fromarray(stripes(colour, i)).save(base / name / f"{i}.png")
    return base / "content", {name: base / name for name in COLOURS}


@pytest.fixture(scope="module")
def inks_pack(inks, tmp_path_factory):
    base = tmp_path_factory.mktemp("trained")
    fast = ["optimizer.generator_lr=4e-3", "optimizer.ema_half_life=200", "losses.adversarial_weight=0.1"]
    config = load_config(None, [*SETTINGS, *fast, "generator.width=16", "generator.body=32"], "exemplar")
    assert train(*inks, base / "run", config, Budget(images=1200))
    export_run(base / "run", base / "inks.stylepack")
    return base / "inks.stylepack"


def test_the_eye_sees_in_training_what_it_sees_in_measures(eye):
    image = batch(1, 2, 96)
    session = onnxruntime.InferenceSession(read_eye("squeezenet11"), providers=["CPUExecutionProvider"])
    for ours, theirs in zip(eye(image), session.run(None, {"image": image.numpy()}), strict=True):
        assert np.abs(ours.numpy() - theirs).max() < 1e-3 * np.abs(theirs).max()


def test_the_eye_never_learns_and_hands_gradients_on(eye):
    assert not list(eye.parameters())
    assert not eye.state_dict()
    image = batch(1, 1).requires_grad_(True)
    eye(image)[4].square().mean().backward()
    assert image.grad is not None
    assert image.grad.abs().max() > 0
    own = recipe()
    assert not any("eye" in name for name in own.modules())


def test_an_eye_with_other_operations_is_refused_in_a_sentence(tmp_path):
    class Odd(torch.nn.Module):
        def forward(self, x):
            y = torch.nn.functional.avg_pool2d(x, 2)
            return y, y.cumsum(2), torch.nn.functional.avg_pool2d(y, 2)

    path = tmp_path / "odd.onnx"
    shapes = {"image": {0: "n", 2: "h", 3: "w"}}
    path.write_bytes(to_file(Odd(), (torch.zeros(1, 3, 64, 64),), ["image"], ["a", "b", "c"], shapes))
    with pytest.raises(ConfigError, match=r"odd\.onnx: training cannot look through .* kind CumSum"):
        recipe(1, f'eye="{path}"')


def test_every_style_has_as_many_pictures_of_a_run_and_the_same_ones_again():
    own = recipe(3)
    chosen = [own.choose(7, update).styles for update in range(30)]
    assert {len(styles) for styles in chosen} == {4}
    every = [style for styles in chosen for style in styles]
    assert [every.count(style) for style in range(3)] == [40, 40, 40]
    assert chosen == [own.choose(7, update).styles for update in range(30)]
    assert chosen != [own.choose(8, update).styles for update in range(30)]


def test_moments_tell_examples_apart_and_fusions_lie_between(eye):
    pictures = torch.from_numpy(
        np.stack([stripes(colour, 0, 64, 64) for colour in COLOURS.values()]).astype(np.float32)
    ).permute(0, 3, 1, 2)
    found = [losses.moments(some) for some in eye(pictures / 127.5 - 1)]

    def between(share: float) -> list[losses.Moments]:
        part = torch.full((2,), share)
        return [losses.between_moments(some, (some[0].flip(0), some[1].flip(0)), part) for some in found]

    far = [float(losses.moment_distance(between(share), found)) for share in (0.0, 0.25, 0.5, 1.0)]
    assert far[0] == 0.0
    assert far == sorted(far)
    assert float(losses.moment_distance(between(0.5), between(0.5))) == 0.0


def test_normalised_features_mind_where_and_not_how_strongly(eye):
    image = torch.from_numpy(made_picture(96, 96, 3)).permute(2, 0, 1)[None] / 127.5 - 1
    paler = 0.5 * image
    same, other = eye(image)[4], eye(image.flip(3))[4]
    assert losses.normalised_distance(eye(paler)[4], same) < 0.5 * losses.normalised_distance(other, same)
    assert losses.light_distance(paler, image) < 0.05
    assert losses.light_distance(-image, image) > 1.0


def test_colours_of_a_result_are_compared_with_those_of_its_own_example():
    red, blue = (torch.tensor(c).view(1, 3, 1, 1).expand(1, 3, 32, 32) / 127.5 - 1 for c in COLOURS.values())
    none, rng = torch.zeros(2), torch.Generator().manual_seed(0)
    both = torch.cat([red, blue])
    assert losses.colour_distance(both, both, both, none, rng) == 0.0
    assert losses.colour_distance(both.flip(0), both, both, none, rng) > 0.2
    assert losses.colour_distance(both.flip(0), both, both.flip(0), none + 1, rng) == 0.0


def test_what_is_smooth_may_have_as_much_texture_as_the_example_where_it_has_least():
    flat, none = torch.zeros(1, 3, 64, 64), torch.zeros(1)
    lattice = 0.4 * (torch.arange(64) // 2 % 2).float().expand(1, 3, 64, 64) - 0.2
    half_empty = torch.cat([flat[..., :32], lattice[..., 32:]], 3)
    busy = batch(3, 1)

    def of(result, content, example, second=None, share=none):
        second = example if second is None else second
        return float(losses.emptiness(result, content, example, second, share))

    assert of(lattice, flat, half_empty) > 0.1
    assert of(flat, flat, half_empty) == 0
    assert of(lattice, flat, lattice) < 0.01
    assert of(lattice, busy, half_empty) < 0.01
    assert 0 < of(lattice, flat, half_empty, lattice, none + 0.5) < of(lattice, flat, half_empty)


def test_a_name_is_what_is_read_from_its_first_look():
    own = recipe(2, "optimizer.generator_lr=0")
    shades = [[40, 90], [200]]
    own.meet([[np.full((64, 80, 3), shade, np.uint8) for shade in style] for style in shades])
    for style, known in enumerate(shades):
        for place in range(2):
            level = known[min(place, len(known) - 1)] / 127.5 - 1
            with torch.no_grad():
                read = own.encoder(torch.full((1, 3, 64, 80), level))[0]
            assert torch.allclose(own.looks.codes[style, place], read, atol=1e-5)
        assert torch.equal(own.generator_ema.styles[style], own.looks.codes[style, 0])
    best = own.averaged_states()  # what the best moment of a run is exported from
    assert torch.equal(best["looks"]["codes"], own.looks.codes)


def test_looks_are_one_of_each_kind_of_picture():
    kinds = [made_picture(72, 96, 1), stripes((170, 40, 30), 0, 72, 96), np.full((72, 96, 3), 230, np.uint8)]
    pictures = [np.roll(kinds[i % 3], 5 * i, axis=1) for i in range(30)]
    looks = choose_looks(pictures, 3)
    assert sorted(i % 3 for i in looks) == [0, 1, 2]
    assert looks == choose_looks(pictures, 3)
    assert choose_looks(pictures[:2], 3) == [0, 1]


def test_most_crops_are_of_looks_which_a_folder_may_name(tmp_path):
    (tmp_path / "style" / "looks").mkdir(parents=True)
    for i in range(20):
        Image.fromarray(np.full((64, 64, 3), 4 * i, np.uint8)).save(tmp_path / "style" / f"{i}.png")
    for shade in (200, 250):
        path = tmp_path / "style" / "looks" / f"{shade}.png"
        Image.fromarray(np.full((64, 64, 3), shade, np.uint8)).save(path)
    config = load_config(None, [*SETTINGS, "data.looks=4"], "exemplar").data
    found = load_pictures(tmp_path / "style", "style", config, tmp_path / "cache", 0)
    assert [int(picture[0, 0, 0]) for picture in found.looks] == [200, 250]
    crops = Crops(found.pictures, "style", config, 0, 0, found.looks)
    shades = [int(crops.at(i)[0, 0, 0]) for i in range(2000)]
    assert load_pictures(tmp_path / "style", "content", config, tmp_path / "cache", 0).looks == []
    assert 0.8 < np.mean([shade >= 200 for shade in shades]) < 0.92
    assert len(set(shades)) == 22


def across(seed: int, side: int, width: int | None = None) -> Image.Image:
    """The red of a pixel tells how far to the right it is, from 0 to 255."""
    red = np.tile(np.linspace(0, 255, width or side).round().astype(np.uint8), (side, 1))
    return Image.fromarray(np.stack([red, red // 2, np.full_like(red, 60 * seed)], 2))


def widths(folder, side: int, *settings: str) -> list[int]:
    """How much of its picture's width each look shows, of 255."""
    config = load_config(None, [*SETTINGS, "data.trim=0", *settings], "exemplar").data
    found = load_pictures(folder, "style", config, folder.parent / "cache", 0, short_side=side)
    assert [picture.shape[:2] for picture in found.pictures] == [found.pictures[0].shape[:2]] * 3
    assert all(np.ptp(picture[..., 0]) >= 250 for picture in found.pictures)  # which stay whole
    return [int(np.ptp(look[..., 0])) for look in found.looks]


def test_a_look_that_is_chosen_is_a_close_up_as_far_as_the_file_has_the_pixels(tmp_path):
    (tmp_path / "style").mkdir()
    for i in range(3):
        across(i, 256).save(tmp_path / "style" / f"{i}.png")
    folder = tmp_path / "style"
    assert all(145 <= width <= 160 for width in widths(folder, 64))  # the default, 0.6 of the side
    assert all(60 <= width <= 66 for width in widths(folder, 64, "data.look_detail=0.25"))
    assert all(188 <= width <= 194 for width in widths(folder, 192))  # not enlarged
    assert all(width >= 250 for width in widths(folder, 300))
    assert all(width >= 250 for width in widths(folder, 64, "data.look_detail=1"))


def test_looks_that_are_given_and_those_of_detail_1_are_whole_pictures_of_any_shape(tmp_path):
    for name in ("style", "style/looks", "other"):
        (tmp_path / name).mkdir()
    for i in range(3):
        across(i, 128, 384).save(tmp_path / "style" / f"{'looks/' * (i < 2)}{i}.png")
        across(i, 128, 384).save(tmp_path / "other" / f"{i}.png")
    given = widths(tmp_path / "style", 64)
    assert len(given) == 2
    assert all(width >= 250 for width in given)
    assert all(width >= 250 for width in widths(tmp_path / "other", 64, "data.look_detail=1"))
    assert all(45 <= width <= 56 for width in widths(tmp_path / "other", 64))


@pytest.mark.parametrize("bare", [1 / 3, 0.6])
def test_a_typical_window_is_no_piece_of_the_sky(bare):
    picture = np.full((240, 240, 3), 200, np.uint8)
    sky = int(240 * bare)
    picture[sky:] = made_picture(240 - sky, 240, 3)
    window = typical_window(picture, 80)
    assert window.shape == (80, 80, 3)
    assert (window.std((1, 2)) > 10).mean() > 0.15  # rows in which something is drawn
    assert typical_window(picture, 500).shape == (240, 240, 3)


def test_of_windows_that_are_alike_the_middle_one_is_taken():
    picture = np.tile(made_picture(80, 20, 1), (1, 6, 1))
    assert np.array_equal(typical_window(picture, 80), picture[:, 20:100])


def test_of_a_group_a_picture_that_is_not_enlarged_is_the_look(tmp_path):
    kinds = [made_picture(90, 90, 1), stripes((170, 40, 30), 0, 90, 90)]
    large = {"20.png", "21.png", "30.png", "31.png"}
    for i in range(44):  # some are held back
        side = 90 if f"{i}.png" in large else 70
        picture = Image.fromarray(np.roll(kinds[i % 2], 5 * i, axis=1))
        picture.resize((side, side)).save(tmp_path / f"{i:02d}.png")
    told = [*SETTINGS, "data.looks=2", "data.look_detail=1", "data.trim=0", "data.hold_back=0.1"]
    config = load_config(None, told, "exemplar").data
    found = load_pictures(tmp_path, "style", config, tmp_path / "cache", 0, short_side=80)
    assert len(found.held_back) == 4
    for look in found.looks:
        own = zip(found.names, found.pictures, strict=True)
        assert {name for name, picture in own if np.array_equal(picture, look)} <= large
    assert len(found.looks) == 2


def test_an_eye_looks_no_deeper_than_it_is_asked_to(eye, monkeypatch):
    convolved = []
    real = torch.nn.functional.conv2d
    monkeypatch.setattr(torch.nn.functional, "conv2d", lambda *given: [convolved.append(1), real(*given)][1])
    every, num_all = eye(batch(3)), len(convolved)
    two, num_two = eye(batch(3), 2), len(convolved) - num_all
    assert len(two) == 2
    assert all(torch.equal(a, b) for a, b in zip(every, two, strict=False))
    assert num_two < num_all / 4


def test_a_pack_of_before_shifts_is_read_as_if_they_were_nothing():
    path, _ = find_pack("brush-to-print")
    file = read_pack(path)
    assert not any("shift" in name for name in network_weights(file.generator))
    generator = generator_of(file, "brush-to-print")  # compares what both paint
    shifts = [value for name, value in generator.state_dict().items() if ".shift." in name]
    assert shifts
    assert not any(shift.any() for shift in shifts)


def test_names_examples_and_fusions_paint_in_their_colours(inks_pack, tmp_path):
    pack, content = inkbridge.load(inks_pack), made_picture(96, 128, 77)
    assert pack.styles[:2] == list(COLOURS)
    assert [name for name in pack.styles if name.startswith("red-ink-")] == [f"red-ink-{i}" for i in (2, 3)]

    def redness(picture: np.ndarray) -> float:
        return float((picture[..., 0].astype(float) - picture[..., 2]).mean())

    red, blue = (redness(pack.apply(content, name)) for name in COLOURS)
    assert red > blue + 10
    between = redness(pack.apply(content, {"red-ink": 0.5, "blue-ink": 0.5}))
    assert blue < between < red
    led = [redness(pack.apply(content, like=stripes(colour, 1))) for colour in COLOURS.values()]
    assert led[0] > led[1] + 10


def test_a_run_that_holds_pictures_back_is_measured_and_its_best_moment_has_looks(inks, tmp_path):
    content, _ = inks
    (tmp_path / "prints").mkdir()
    for i in range(44):
        Image.fromarray(stripes((170, 40, 30), i, 64 + i)).save(tmp_path / "prints" / f"{i}.png")
    settings = ["evaluate_every=4", "data.hold_back=0.1"]
    settings = [part for setting in [*SETTINGS, *settings] for part in ("--set", setting)]
    folders = ["--content", str(content), "--style", str(tmp_path / "prints"), "--out", str(tmp_path / "run")]
    done = run_inkbridge("train", *folders, "--images", "8", *settings)
    assert done.returncode == 0, done.stderr
    assert "looks" in read_checkpoint(tmp_path / "run" / "best.pt")["modules"]
    done = run_inkbridge("export", str(tmp_path / "run"), "-o", str(tmp_path / "red.stylepack"))
    assert done.returncode == 0, done.stderr
    assert "painted most faithfully" in done.stdout
    assert len(inkbridge.load(tmp_path / "red.stylepack").styles) == 3


def test_the_last_state_is_exported_though_an_earlier_one_had_a_higher_score(inks, tmp_path):
    content, styles = inks
    scores = iter([0.7, 0.2])

    def measure(contents, pictures):
        def meter(results):
            value = next(scores)  # asked for twice, and no more
            return [{"covered": value, "edges": value, "repeats": 0.1} for _ in range(1 + len(results))]

        return meter

    said: list[str] = []
    config = load_config(None, [*SETTINGS, "evaluate_every=4"], "exemplar")
    run = tmp_path / "run"
    assert train(content, styles["red-ink"], run, config, Budget(images=8), say=said.append, measure=measure)
    assert read_checkpoint(run / "best.pt")["progress"]["images_seen"] == 4
    info = export_run(run, tmp_path / "red.stylepack", measure=measure)
    assert info.provenance["images_seen"] == 8
    # Nor is it asked at which size strokes are broad enough: looks were shown at that of the contents.
    assert info.size.working_side == median_short_side(cached_pictures(tmp_path / "run" / "cache", "content"))
    assert any("after 4 images" in told and "The last state will be exported" in told for told in said)


def test_an_example_leads_a_pack_of_one_style_too(inks, tmp_path):
    content, styles = inks
    settings = [part for setting in [*SETTINGS, "evaluate_every=0"] for part in ("--set", setting)]
    folders = ["--content", str(content), "--style", str(styles["red-ink"])]
    done = run_inkbridge("train", *folders, "--out", str(tmp_path / "run"), "--images", "16", *settings)
    assert done.returncode == 0, done.stderr
    assert '"recipe": "exemplar"' in (tmp_path / "run" / "config.json").read_text()
    done = run_inkbridge("export", str(tmp_path / "run"), "-o", str(tmp_path / "red.stylepack"))
    assert done.returncode == 0, done.stderr
    picture = tmp_path / "photo.png"
    Image.fromarray(made_picture(70, 90, 5)).save(picture)
    example = next(styles["blue-ink"].glob("*.png"))
    told = [
        "--pack",
        str(tmp_path / "red.stylepack"),
        "--like",
        str(example),
        "-o",
        str(tmp_path / "out.png"),
    ]
    done = run_inkbridge("apply", str(picture), *told)
    assert done.returncode == 0, done.stderr
    assert read_picture(tmp_path / "out.png").rgb.shape == (70, 90, 3)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (["--eye", "nowhere.onnx"], "Eye 'nowhere.onnx' does not exist"),
        (["--eye", "none", "--recipe", "exemplar"], "--eye none cannot be used with recipe exemplar"),
        (["--eye", "squeezenet11", "--recipe", "cut"], "only exemplar has an eye"),
        (["--set", "discriminator.kind=patch"], "only eye learns many styles"),
        (["--set", "data.looks=0"], "data.looks = 0 cannot be used with recipe exemplar"),
        (["--set", "data.look_share=85"], "data.look_share = 85.0 cannot be used"),
        (["--set", "data.look_detail=0"], "data.look_detail = 0.0 cannot be used"),
        (["--recipe", "paired", "--set", "data.looks=2"], "data.looks = 2 cannot be used with recipe paired"),
    ],
)
def test_eyes_that_do_not_fit_are_refused_before_anything_is_made(told, said, inks, tmp_path):
    content, styles = inks
    folders = ["--content", str(content), "--style", str(styles["red-ink"])]
    done = run_inkbridge("train", *folders, "--out", str(tmp_path / "run"), "--images", "8", *told)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "config.json").exists()


def test_without_an_eye_training_is_as_before(inks, tmp_path):
    content, styles = inks
    folders = ["--content", str(content), "--style", str(styles["red-ink"]), "--out", str(tmp_path / "run")]
    settings = [part for setting in [*TINY, "data.minimum=3"] for part in ("--set", setting)]
    done = run_inkbridge("train", *folders, "--images", "4", "--eye", "none", *settings)
    assert done.returncode == 0, done.stderr
    assert '"recipe": "cut"' in (tmp_path / "run" / "config.json").read_text()
