"""The generator's losses against numbers worked out by hand."""

import math

import pytest
import torch

from inkbridge.train import losses


def test_patch_nce_of_two_orthogonal_places():
    key = torch.eye(2)[None]
    t = 0.07
    right = losses.patch_nce(key, key, t).mean().item()
    assert right == pytest.approx(math.log1p(math.exp(-1 / t)), abs=1e-6)
    swapped = losses.patch_nce(key.flip(1), key, t).mean().item()
    assert swapped == pytest.approx(1 / t + math.log1p(math.exp(-1 / t)), rel=1e-5)


def test_patch_nce_gives_no_gradient_to_the_content():
    query, key = torch.randn(1, 4, 3, requires_grad=True), torch.randn(1, 4, 3, requires_grad=True)
    losses.patch_nce(query, key).mean().backward()
    assert query.grad is not None
    assert key.grad is None


def test_laplacian_pyramid_adds_up_to_the_picture():
    image = torch.rand(1, 3, 32, 32)
    levels = losses.laplacian_pyramid(image, 3)
    assert [level.shape[-1] for level in levels] == [32, 16, 8]
    rebuilt = levels[-1]
    for level in reversed(levels[:-1]):
        rebuilt = level + torch.nn.functional.interpolate(rebuilt, scale_factor=2.0, mode="bilinear")
    assert torch.allclose(rebuilt, image, atol=1e-6)


def sliced(a: torch.Tensor, b: torch.Tensor) -> float:
    rng = torch.Generator().manual_seed(0)
    directions = [losses.random_directions(75, 8, rng)]
    return losses.sliced_wasserstein([a], [b], directions, rng).item()


def test_sliced_wasserstein_of_a_shift_is_the_shift_over_the_spread():
    rng = torch.Generator().manual_seed(1)
    picture = torch.rand(2, 3, 132, 132, generator=rng)
    assert sliced(picture, picture.flip(0)) < 0.15
    direction = torch.full((75, 1), 75**-0.5)
    distance = losses.sliced_wasserstein([picture + 0.25], [picture], [direction], rng)
    projected = torch.nn.functional.conv2d(picture, direction.reshape(1, 3, 5, 5))
    assert distance.item() == pytest.approx(0.25 * 75**0.5 / projected.std().item(), rel=0.05)


def test_ranks_are_taken_among_earlier_results_too():
    ours, theirs = torch.tensor([[5.0, 1.0]]), torch.tensor([[40.0, 10.0, 30.0, 20.0]])
    none = ours[:, :0]
    # Alone: the larger of two is at 3/4 of the mass, the smaller at 1/4.
    assert losses.equal_rank(ours, none, 1.0, theirs).tolist() == [[40.0, 20.0]]
    # Two earlier ones above both, each with the mass of three: ranks 1.5/8 and 0.5/8.
    above = torch.tensor([[8.0, 9.0]])
    assert losses.equal_rank(ours, above, 3.0, theirs).tolist() == [[10.0, 10.0]]
    below = torch.tensor([[-8.0, -9.0]])
    assert losses.equal_rank(ours, below, 1.0, theirs).tolist() == [[40.0, 30.0]]
    many = torch.randn(7, 50, dtype=torch.float64)
    assert torch.equal(losses.equal_rank(many, many[:, :0], 1.0, many.flip(1)), many)


def test_a_dark_result_is_not_asked_for_the_light_of_the_whole_style():
    """Half of the style is dark, half is light; the light was painted before: nothing is to be done."""
    rng = torch.Generator().manual_seed(0)
    noise = torch.rand(4, 3, 68, 68, generator=rng) * 0.2
    dark, light = noise[:2] - 1.0, noise[:2] + 1.0
    styles, brightness = torch.cat([noise[2:] - 1.0, noise[2:] + 1.0]), [torch.full((75, 1), 75**-0.5)]
    alone = losses.sliced_wasserstein([dark], [styles], brightness, rng).item()
    together = losses.sliced_wasserstein([dark], [styles], brightness, rng, [light]).item()
    assert together < 0.1 * alone


def test_distances_of_half_precision_pictures_are_taken_in_full_precision():
    """Equal ranks are found by sorting, which numpy does ten times as fast, and bfloat16 knows few ranks."""
    rng = torch.Generator().manual_seed(0)
    result, style = torch.randn(2, 3, 32, 32, generator=rng), torch.randn(2, 3, 32, 32, generator=rng) + 1
    for distance in (
        lambda: losses.sliced_activations([result], [style], torch.Generator().manual_seed(1)),
        lambda: losses.sliced_wasserstein(
            [result], [style], [losses.random_directions(75, 8, rng)], torch.Generator().manual_seed(1)
        ),
    ):
        rng.manual_seed(2)
        full = distance()
        rng.manual_seed(2)
        with torch.autocast("cpu", torch.bfloat16):
            half = distance()
        assert half.dtype == torch.float32
        assert half.item() == pytest.approx(full.item(), rel=0.02)


def test_sliced_wasserstein_has_a_gradient_towards_the_style():
    result = torch.zeros(1, 3, 24, 24, requires_grad=True)
    style = torch.rand(1, 3, 24, 24) + 1
    rng = torch.Generator().manual_seed(0)
    direction = torch.full((75, 1), 75**-0.5)
    losses.sliced_wasserstein([result], [style], [direction], rng).backward()
    assert (result.grad[:, :, 8:16, 8:16] < 0).all()


def test_sliced_activations_are_zero_for_equal_sets_and_count_in_units_of_spread():
    rng = torch.Generator().manual_seed(0)
    a = torch.randn(2, 5, 8, 8, generator=rng)
    assert losses.sliced_activations([a], [a.flip(0)], rng).item() == pytest.approx(0, abs=1e-6)
    moved = losses.sliced_activations([a + 1], [a], rng).item()
    scaled = losses.sliced_activations([10 * a + 10], [10 * a], rng).item()
    assert moved > 0.2
    assert scaled == pytest.approx(moved, rel=0.3)


def test_a_barycentre_lies_as_far_from_both_as_its_share_says():
    first, second = torch.tensor([[3.0, 1.0, 2.0]]), torch.tensor([[10.0, 30.0, 20.0]])
    assert losses.barycentre(first, second, 0.0).tolist() == [[1, 2, 3]]
    assert losses.barycentre(first, second, 0.25).tolist() == [[3.25, 6.5, 9.75]]
    assert losses.barycentre(first, second, 1.0).tolist() == [[10, 20, 30]]


def test_a_barycentre_of_unequally_many_values_keeps_their_distribution():
    many, few = torch.linspace(0, 1, 1000)[None], torch.tensor([[5.0, 5.0]])
    assert torch.allclose(losses.barycentre(many, few, 0.0), torch.tensor([[0.25, 0.75]]), atol=2e-3)
    assert losses.barycentre(few, many, 0.0).tolist() == [[5, 5]]


def test_a_fusion_is_at_home_between_its_styles():
    """What is distributed as the barycentre is nearer to it than either style."""
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(4, 3, 32, 32, generator=rng)
    first, second, between = 0.2 * noise - 0.5, 0.4 * noise + 0.5, 0.3 * noise
    directions = [losses.random_directions(75, 16, rng)]

    def distance(pictures):
        fusion = losses.Fusion([second], [], 0.5)
        draw = torch.Generator().manual_seed(1)
        return losses.sliced_wasserstein([pictures], [first], directions, draw, fused_with=fusion).item()

    assert distance(between) < 0.1
    assert min(distance(first), distance(second)) > 10 * distance(between)


def test_affinity_asks_of_like_places_alone_to_stay_alike():
    content = torch.zeros(1, 3, 16, 16)
    content[..., 8:] = 1.0  # two places, each 8 x 16, of two colours
    halo = content.clone()
    halo[:, :, :8] += 0.5  # the same colour painted in two
    recoloured = content * -0.7 + 0.2
    assert losses.affinity(recoloured, content).item() == pytest.approx(0.5 * 1e-3, rel=0.01)
    # Of 16 pairs of 4 places 4 are alike but not the same; they are sqrt(3) / 2 apart.
    assert losses.affinity(halo, content).item() == pytest.approx(4 / 16 * math.sqrt(0.75), rel=0.01)


def test_texture_is_free_of_affinity():
    content = torch.zeros(1, 3, 32, 32)
    stripes = content.clone()
    stripes[..., ::2], stripes[..., 1::2] = 0.5, -0.5
    assert losses.affinity(stripes, content).item() < 2e-3


def test_self_similarity_asks_of_unlike_places_to_stay_apart():
    content = torch.zeros(1, 3, 8, 16)
    content[..., 8:] = 1.0  # black and white
    same = torch.zeros(1, 3, 8, 16)
    # Two of four pairs are 1 apart, 1 / (1/2 + 0.1) in terms of their mean; in one colour they are not.
    assert losses.self_similarity(same, content).item() == pytest.approx(0.5 / 0.6, rel=0.02)
    assert losses.self_similarity(-content, content).item() == pytest.approx(0.0, abs=1e-3)


def test_self_similarity_sees_hue_and_leaves_it_free():
    """Blue and brown of one lightness: gray loses them, any other two hues as far apart do not."""
    content = torch.zeros(1, 3, 8, 16)
    brown = torch.tensor([0.4, 0.0, -0.4 * 0.299 / 0.114]) * 0.5
    content[..., :8], content[..., 8:] = brown[:, None, None], -brown[:, None, None]
    luma = (content * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    assert losses.self_similarity(luma.expand(-1, 3, -1, -1), content) > 0.5
    assert losses.self_similarity(content.flip(3), content) < 1e-3


def test_redrawing_is_of_lines_not_of_the_palette():
    style = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1
    other_colours = style + torch.tensor([0.3, -0.2, 0.1])[:, None, None]
    blurred = torch.nn.functional.avg_pool2d(style, 3, 1, 1)
    assert losses.redraw(style, style).item() == 0
    assert losses.redraw(other_colours, style).item() < 1e-6
    assert losses.redraw(blurred, style).item() > 0.1


@pytest.mark.parametrize(("in_contents", "expected"), [(0.05, 0.1), (0.15, 0.15), (0.5, 0.2)])
def test_style_patches_are_as_empty_as_contents_within_limits(in_contents, expected):
    """A tenth of the style is empty: never less of it, as much as in the contents, at most twice as much."""
    style = torch.full((1000,), 0.1)
    style[torch.randperm(1000, generator=torch.Generator().manual_seed(0))[:100]] = 0.005
    content = torch.full((400,), 0.1)
    content[: round(400 * in_contents)] = 0.001
    chosen = style[losses.as_empty(style, content)]
    assert len(chosen) == len(style)
    assert (chosen < 0.01).float().mean().item() == pytest.approx(expected, abs=0.01)


def test_a_style_that_leaves_nothing_empty_stays_so():
    style, content = torch.linspace(0.05, 0.2, 100), torch.zeros(50)
    assert torch.equal(losses.as_empty(style, content), torch.arange(100))


def test_what_is_hidden_is_missed_by_cross_entropy_and_dice():
    """Hand-computed: two of four pixels hidden, one of them found, half of another said."""
    sure, hidden = 40.0, torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 1, 2, 2)
    found = torch.tensor([sure, 0.0, -sure, -sure]).view(1, 1, 2, 2)
    dice = (2 * 1.5 + 1) / (1.5 + 2 + 1)
    assert losses.missed(found, hidden).item() == pytest.approx(math.log(2) / 4 + 1 - dice, abs=1e-5)
    assert losses.missed(torch.where(hidden > 0, sure, -sure), hidden).item() == pytest.approx(0, abs=1e-5)
    # A hundredth of the pixels hidden: leaving them all out costs as much as half of the pixels would.
    few = torch.zeros(1, 1, 100, 100)
    few[..., :1] = 1
    assert losses.missed(torch.full_like(few, -sure), few).item() > 0.9


def test_root_mean_square_is_the_mean_of_each_pictures():
    difference = torch.zeros(2, 3, 4, 4)
    difference[0] = 0.5
    difference[1, :, :2] = -1.0
    expected = (0.5 + 0.5**0.5) / 2
    assert losses.root_mean_square(difference, floor=0.0).item() == pytest.approx(expected, abs=1e-6)
    assert losses.root_mean_square(torch.zeros(1, 3, 4, 4)).item() == pytest.approx(0.01)


def test_decibels_weigh_every_picture_alike():
    wanted = torch.zeros(2, 3, 8, 8)
    result = wanted + torch.tensor([0.02, 0.2]).view(2, 1, 1, 1)  # 40 and 20 dB on a range of 2
    assert losses.decibels(result, wanted, floor=0.0).item() == pytest.approx(-3.0, abs=1e-4)
    assert losses.decibels(wanted, wanted).item() == pytest.approx(-5.0, abs=1e-4)
    better = result * torch.tensor([0.5, 1.0]).view(2, 1, 1, 1)
    assert losses.decibels(better, wanted, floor=0.0).item() == pytest.approx(-3.0 - 0.301, abs=1e-3)


def test_charbonnier_is_the_distance_and_smooth_at_none():
    assert losses.charbonnier(torch.tensor([3.0, -4.0])).item() == pytest.approx(3.49, abs=1e-3)
    assert losses.charbonnier(torch.tensor([0.0])).item() == 0
    flat, edge = torch.ones(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    edge[..., 2:] = 1
    assert losses.mean_of_gradients(flat).item() == 0
    assert losses.mean_of_gradients(edge).item() == pytest.approx(0.99 / 3, abs=1e-3)
