"""What the eye makes of pictures: how far apart sets are, what is recognised, what passes as content."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inkbridge.metrics.probe import Probe, covered, logistic, look_twice, worse
from inkbridge.metrics.quality import Quality
from inkbridge.metrics.sight import LEVELS, Sight, Standard, StyleSight, distances, recognised

SAMPLES = Path(__file__).parents[2] / "samples"
PHOTOS = ("beach", "college", "forest", "palms", "portrait")
PRINTS = ("hiroshige-kanbara", "hiroshige-shinagawa")
OILS = (
    "monet-etretat",
    "monet-haystacks",
    "turner-shipwreck",
    "van-gogh-girl-in-white",
    "van-gogh-starry-night",
)


def pieces(folder: str, names: tuple[str, ...], num: int, side: int = 160) -> list[np.ndarray]:
    """So many squares of each sample."""
    found = []
    for name in names:
        image = Image.open(SAMPLES / folder / f"{name}.jpg").convert("RGB")
        image.thumbnail((500, 500))
        picture, rng = np.asarray(image), np.random.default_rng(0)
        for _ in range(num):
            top, left = (rng.integers(0, length - side + 1) for length in picture.shape[:2])
            found.append(picture[top : top + side, left : left + side])
    return found


def tinted(photos: list[np.ndarray], styles: list[np.ndarray], grain: float) -> list[np.ndarray]:
    """Photographs with three quarters of a style's colours (their quantiles), and noise for texture."""
    colours = np.concatenate([picture.reshape(-1, 3) for picture in styles]).astype(float)
    rng, found = np.random.default_rng(0), []
    for photo in photos:
        flat = photo.reshape(-1, 3).astype(float)
        other = np.empty_like(flat)
        for channel, order in enumerate(np.argsort(flat, axis=0).T):
            other[order, channel] = np.quantile(colours[:, channel], np.linspace(0, 1, len(flat)))
        mixed = (0.75 * other + 0.25 * flat).reshape(photo.shape)
        found.append(np.clip(mixed + rng.normal(0, grain, (*photo.shape[:2], 1)), 0, 255).astype(np.uint8))
    return found


@pytest.fixture(scope="module")
def sight() -> Sight:
    return Sight(threads=1)


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    return pieces("photos", PHOTOS, 2)


@pytest.fixture(scope="module")
def prints() -> list[np.ndarray]:
    return pieces("paintings", PRINTS, 10)


@pytest.fixture(scope="module")
def oils() -> list[np.ndarray]:
    return pieces("paintings", OILS, 2)


def test_a_tinted_photograph_covers_the_way_for_pixels_but_not_for_the_eye(photos, prints):
    meter = Quality(threads=1)(photos, prints[::2])
    assert meter(photos)[0]["covered"] == pytest.approx(0, abs=1e-6)
    tint = meter(tinted(photos, prints[::2], 8))[0]
    assert tint["pixels"] > 0.7  # the old measure: nearly a print
    assert tint["edges"] > 0.7
    assert tint["covered"] < 0.35
    assert np.mean([tint["strokes"], tint["picture"]]) < 0.2
    assert tint["recognised"] > 0.5
    assert tint["as_content"] >= 0.5
    painted = meter(prints[1::2])[0]
    assert painted["covered"] > 0.8
    assert painted["recognised"] < 0.2
    assert painted["as_content"] <= 0.1
    assert painted["judged_right"] > 0.85


def test_photographs_are_far_from_prints_and_near_to_each_other(sight, photos, prints, oils):
    seen_photos, seen_prints, seen_oils = ([sight.see(p) for p in side] for side in (photos, prints, oils))
    standard = Standard(seen_photos, seen_prints)
    for level in LEVELS:
        between = distances(standard, seen_photos, seen_prints)[level]
        assert 0.3 < between < 1
        # Below 0 here, for both halves have pieces of the same pictures.
        assert distances(standard, seen_photos[::2], seen_photos[1::2])[level] < 0.1 * between
        assert distances(standard, seen_prints[::2], seen_prints[1::2])[level] < 0.1 * between
        assert distances(standard, seen_oils, seen_prints)[level] > 0.5 * between


def test_traits_are_means_and_spreads_brought_to_one_length(sight, photos, prints):
    seen = sight.see(photos[0])
    assert [len(traits) for traits in seen.traits] == [
        2 * n for n in (64, 128, 128, 256, 256, 384, 384, 512, 512)
    ]
    standard = Standard([sight.see(p) for p in photos[:3]], [sight.see(p) for p in prints[:3]])
    for level, size in (("strokes", 2 * 832), ("picture", 2 * 1024)):
        vectors = standard.vectors([seen, sight.see(prints[5])], level)
        assert vectors.shape == (2, size)
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.sqrt(size))
    # Of a picture that is very long the middle is looked at.
    long = np.concatenate([photos[0]] * 5, axis=1)
    assert np.allclose(sight.see(long).traits[8], sight.see(long[:, 240:560]).traits[8])


def test_few_style_pictures_do(sight, photos, prints):
    contents, seen = [sight.see(photo) for photo in photos], [sight.see(print_) for print_ in prints]
    tints = [sight.see(p) for p in tinted(photos, prints[::2], 8)]
    chosen = np.random.default_rng(0).permutation(20)
    for num in (3, 5, 10):
        style = StyleSight(contents, [seen[i] for i in chosen[:num]])
        near, tint = (covered(style, None, some)[0][0] for some in ([seen[i] for i in chosen[10:]], tints))
        assert near["covered"] > 0.7
        assert tint["covered"] < 0.2
        assert style.covered(contents)[0] == pytest.approx({"strokes": 0, "picture": 0}, abs=1e-9)
    # Of a single one less seems covered, but a print is still nearer than a photograph.
    meter = Quality(threads=1)(photos, prints[:1])
    near, tint = (meter(some)[0] for some in (prints[1:11], tinted(photos, prints[::2], 8)))
    assert near["covered"] > tint["covered"] + 0.05
    assert "as_content" not in near


def test_without_each_picture_it_is_as_if_it_had_not_been_there(sight, photos, prints):
    contents, styles = ([sight.see(p) for p in side] for side in (photos[:4], prints[::5]))
    results = [contents[0], *(sight.see(p) for p in prints[1:20:7])]
    style = StyleSight(contents, styles)
    every, *without = style.covered(results)
    assert len(without) == 4
    by_hand = {}
    for level in LEVELS:
        before, after = (distances(style.standard, side[:3], styles)[level] for side in (contents, results))
        by_hand[level] = (before - after) / before
    assert without[3]["strokes"] == pytest.approx(by_hand["strokes"])
    assert without[3]["picture"] == pytest.approx(by_hand["picture"])
    probe = Probe(style.standard, [(seen, seen) for seen in contents], [(seen, seen) for seen in styles])
    (whole, *_, last), verdict = covered(style, probe, results)
    assert {level: whole[level] for level in LEVELS} == every
    assert whole["covered"] == pytest.approx(
        np.mean([min(max(whole[share], 0), 1) for share in (*LEVELS, "judged")])
    )
    assert (whole["judged"], last["judged"]) == (verdict.shares[0], verdict.shares[-1])
    assert probe(contents).shares == pytest.approx([0] * 5, abs=1e-9)


def test_a_content_is_recognised_in_itself_less_in_a_blur_and_not_in_another(sight, photos, prints):
    contents = [sight.see(photo) for photo in photos]
    assert recognised(contents, contents) == pytest.approx(1, abs=1e-3)

    def blurred(photo, times):
        small = Image.fromarray(photo).resize((160 // times,) * 2, Image.Resampling.BOX)
        return np.asarray(small.resize((160, 160), Image.Resampling.BICUBIC))

    means = [recognised(contents, [sight.see(blurred(p, n)) for p in photos]).mean() for n in (2, 4, 8, 16)]
    assert means == sorted(means, reverse=True)
    assert 0.3 < means[1] < 0.95
    assert recognised(contents, contents[1:] + contents[:1]).mean() < 0.15
    assert recognised(contents, [sight.see(p) for p in prints[: len(photos)]]).mean() < 0.1
    # What is done to all alike does not count; edges alone, over another picture, are not enough.
    assert recognised(contents, [sight.see(255 - p // 2) for p in photos]).mean() > 0.4
    edges = [np.abs(np.gradient(p.mean(2))).max(0)[..., None].clip(0, 64) / 64 for p in photos]
    drawn = [(other * (1 - edge)).astype(np.uint8) for other, edge in zip(prints, edges, strict=False)]
    assert recognised(contents, [sight.see(p) for p in drawn]).mean() < 0.4
    assert recognised(contents[:1], contents[:1]) == pytest.approx([1])
    gray = [sight.see(np.full((64, 64, 3), 128, np.uint8))] * len(photos)
    assert recognised(contents, gray).mean() < 0.05


def test_the_probe_knows_photographs_from_paintings_it_has_not_seen(sight, photos, prints, oils):
    contents = [look_twice(sight.see, photo) for photo in photos]
    styles = [look_twice(sight.see, print_) for print_ in prints[::2]]
    standard = Standard([seen for seen, _ in contents], [seen for seen, _ in styles])
    probe = Probe(standard, contents, styles)
    unseen = [sight.see(p) for p in pieces("photos", PHOTOS, 4)[2::4] + pieces("photos", PHOTOS, 4)[3::4]]
    assert probe(unseen).as_content.mean() >= 0.9
    assert probe([sight.see(p) for p in prints[1::2]]).as_content.mean() <= 0.1
    # Neither sharpness nor JPEG decides.
    assert probe([sight.see(worse(p)) for p in photos]).as_content.mean() >= 0.9
    assert probe([sight.see(worse(p)) for p in prints[1::2]]).as_content.mean() <= 0.2
    assert probe(unseen).accuracy > 0.85
    with pytest.raises(ValueError, match="at least 2"):
        Probe(standard, contents[:1], styles)


def test_logistic_regression_finds_the_weights_of_least_loss():
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(0.5, 1, (30, 3)), rng.normal(-0.5, 1, (20, 3))
    judge = logistic(ours, theirs, 0.1)
    rows = np.concatenate([ours, theirs])
    chances = judge(rows)
    # Where the penalised loss is least its slope is 0: that of the constant is the balance of both sides.
    assert chances[:30].mean() + chances[30:].mean() == pytest.approx(1, abs=1e-4)
    steep = np.linalg.lstsq(np.c_[rows, np.ones(50)], np.log(chances / (1 - chances)), rcond=None)[0][:3]
    wanted = (1 - chances[:30]) @ ours / 60 - chances[30:] @ theirs / 40
    assert steep * 0.1 == pytest.approx(wanted, abs=1e-6)
    mirrored = logistic(theirs, ours, 0.1)
    assert mirrored(rows) == pytest.approx(1 - chances)


def test_without_an_eye_pixels_decide_as_before(photos, prints):
    quality = Quality("none")
    assert quality.judge == "pixels"
    meter = quality(photos[:4], prints[:6])
    figures, *without = meter(photos[:4])
    assert figures.keys() == {"covered", "edges", "repeats"}
    assert len(without) == 4
    far = quality.distance(photos[:4], prints[:6])
    assert far(photos[:4], prints[:6]) > far(prints[6:10], prints[:6])


def test_the_distance_of_looks_is_by_the_eye(photos, prints, oils):
    quality = Quality(threads=1)
    far = quality.distance(photos[:4], [*prints[:6], *oils[:6]])
    assert far(prints[6:10], prints[:6]) < far(prints[6:10], oils[:6])
    assert far(photos[:4], prints[:6]) > far(prints[6:10], prints[:6])
