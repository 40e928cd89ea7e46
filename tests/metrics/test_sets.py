"""Measures of sets of pictures: features, colour, line, memory, and how sure a mean is."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image, ImageDraw

from conftest import made_picture
from inkbridge.errors import ConfigError
from inkbridge.metrics.colour import colour_distance, palette, to_lab
from inkbridge.metrics.features import Extractor, fid, kid
from inkbridge.metrics.interval import bootstrap_interval
from inkbridge.metrics.line import measure_line
from inkbridge.metrics.memorisation import Layouts


def gaussian(seed, num=400, dim=6, shift=0.0, scale=1.0):
    return np.random.default_rng(seed).standard_normal((num, dim)) * scale + shift


def test_fid_of_known_gaussians():
    """N(0, I) to N(m, s^2 I): |m|^2 + dim (1 - s)^2."""
    a, b = gaussian(0, 200_000), gaussian(1, 200_000, shift=0.5, scale=2.0)
    assert fid(a, b) == pytest.approx(6 * 0.25 + 6, rel=0.02)
    assert fid(a, a) == pytest.approx(0, abs=1e-8)
    assert fid(a, b) == pytest.approx(fid(b, a), rel=1e-9)


def test_fid_and_kid_equal_another_program():
    """torchmetrics 1.9 on the same features."""
    a, b = gaussian(0), gaussian(1, shift=0.5, scale=2.0)
    assert fid(a, b) == pytest.approx(7.8489384356, rel=1e-9)
    assert kid(a, b) == pytest.approx(9.2578390659, rel=1e-9)


def test_kid_is_unbiased_and_grows_with_the_shift():
    same = [kid(gaussian(2 * i, 60), gaussian(2 * i + 1, 60)) for i in range(40)]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(40)
    values = [kid(gaussian(0), gaussian(1, shift=s)) for s in (0, 0.3, 1.0)]
    assert values == sorted(values)


@pytest.mark.parametrize("measure", [fid, kid])
def test_features_that_do_not_fit_are_refused(measure):
    with pytest.raises(ValueError, match="the same D"):
        measure(gaussian(0), gaussian(0, dim=5))
    with pytest.raises(ValueError, match="at least 2"):
        measure(gaussian(0), gaussian(0, num=1))


def colour_means(path, channels=3):
    """An ONNX network: a picture -> its mean colour."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", channels, "h", "w"])
    mean = helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["n", channels, 1, 1])
    node = helper.make_node("GlobalAveragePool", ["image"], ["mean"])
    graph = helper.make_graph([node], "colour_means", [image], [mean])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def test_an_extractor_gives_features_and_says_which_it_is(tmp_path):
    extractor = Extractor(colour_means(tmp_path / "colours.onnx"))
    features = extractor.of([np.full((9, 7, 3), 255, np.uint8), np.zeros((300, 400, 3), np.uint8)])
    assert features == pytest.approx(np.array([[1, 1, 1], [-1, -1, -1]]))
    assert extractor.name.startswith("colours-")
    assert len(extractor.name) == len("colours-") + 8


def test_an_extractor_of_the_wrong_shape_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="has one, N x 3 x H x W"):
        Extractor(colour_means(tmp_path / "gray.onnx", channels=1))
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(ConfigError, match="cannot be used as a feature extractor"):
        Extractor(tmp_path / "text.onnx")


def test_lab_of_known_colours():
    colours = np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8)
    expected = [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20], [32.30, 79.19, -107.86]]
    assert to_lab(colours) == pytest.approx(np.array(expected), abs=0.02)


def test_colour_distance_is_the_length_of_a_shift_and_0_for_the_same_colours():
    a, b = np.full((20, 20, 3), 119, np.uint8), np.full((30, 10, 3), 130, np.uint8)
    shift = to_lab(b[0, 0])[0] - to_lab(a[0, 0])[0]
    assert colour_distance([a], [b]) == pytest.approx(shift, rel=1e-6)
    pictures = [made_picture(60, 80, i) for i in range(4)]
    mirrored = [picture[:, ::-1] for picture in pictures]
    assert colour_distance(pictures, mirrored) < 2.0  # other pixels are drawn
    assert colour_distance(pictures, [255 - picture for picture in pictures]) > 10


def test_a_palette_has_the_colours_and_their_shares():
    picture = np.zeros((40, 100, 3), np.uint8) + np.array([200, 30, 30], np.uint8)
    picture[:, 75:] = (20, 40, 160)
    (red, most), (blue, rest) = palette(picture)
    assert np.abs(np.array(red) - (200, 30, 30)).max() <= 4
    assert np.abs(np.array(blue) - (20, 40, 160)).max() <= 4
    assert most == pytest.approx(0.75, abs=0.01)
    assert rest == pytest.approx(0.25, abs=0.01)


def drawing(width, num):
    image = Image.new("L", (256, 256), 235)
    draw = ImageDraw.Draw(image)
    for i in range(num):
        x = 20 + 24 * i
        draw.rectangle((x, 20, x + width - 1, 235), fill=40)
    return np.asarray(image)


def test_line_and_void_of_known_drawings():
    blank = measure_line(np.full((64, 80, 3), 210, np.uint8))
    assert (blank.void, blank.line_density, blank.stroke_width) == (1.0, 0.0, 0.0)
    few, many = measure_line(drawing(4, 2)), measure_line(drawing(4, 8))
    assert few.void > many.void + 0.2
    assert few.line_density == pytest.approx(2 * 4 * 216 / 256**2, rel=0.2)
    assert many.line_density == pytest.approx(4 * few.line_density, rel=0.1)
    widths = [measure_line(drawing(width, 5)).stroke_width for width in (2, 4, 8, 12)]
    assert widths == sorted(widths)
    assert widths == pytest.approx([1.5, 3.5, 8.5, 12.5], abs=0.6)
    # Light lines on a dark ground are no ink.
    assert measure_line(255 - drawing(4, 2)).line_density < 0.01


def test_a_repeated_training_picture_is_found_even_mirrored():
    training = [made_picture(90, 120, i) for i in range(5)]
    noise = np.random.default_rng(0).integers(-20, 20, (90, 120, 3))
    repeated = np.clip(training[3][:, ::-1].astype(int) // 2 + 60 + noise, 0, 255).astype(np.uint8)
    layouts = Layouts(training)
    found, other = layouts.nearest(repeated), layouts.nearest(made_picture(90, 120, 99))
    assert found.index == 3
    assert found.correlation > 0.9
    assert other.correlation < 0.8
    assert layouts.nearest(np.zeros((4, 4, 3), np.uint8)).correlation == 0.0


def test_the_interval_holds_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for i in range(200):
        low, high = bootstrap_interval(rng.standard_normal(30), seed=i, resamples=400)
        hits += low <= 0 <= high
    assert 175 <= hits <= 198
    assert bootstrap_interval([0.5]) == (0.5, 0.5)
    with pytest.raises(ValueError, match="no values"):
        bootstrap_interval([])
