import pytest

from inkbridge.metrics.text import character_error_rate, character_errors, edit_distance


def test_edits_are_counted_as_by_hand():
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance("", "abc") == edit_distance("abc", "") == 3
    assert edit_distance("abc", "abc") == 0
    assert character_errors("漢 字", "漢子") == (1, 2)


def test_the_rate_is_over_characters_and_its_interval_over_lines():
    rate, low, high = character_error_rate([(1, 10), (3, 30)])
    assert (rate, low, high) == pytest.approx((0.1, 0.1, 0.1))
    rate, low, high = character_error_rate([(0, 10), (10, 10)] * 10)
    assert rate == 0.5
    assert low < 0.35
    assert high > 0.65
    with pytest.raises(ValueError, match="no characters"):
        character_error_rate([(0, 0)])
