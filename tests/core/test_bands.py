import pytest

from geodetect.bands import choose_bands
from geodetect.errors import SceneError

RGB = ("red", "green", "blue")


def choose(wanted=None, interpretations=("gray", "undefined", "undefined"), descriptions=(None,) * 9):
    return choose_bands(wanted, RGB, interpretations, descriptions[: len(interpretations)], "s.tif").indexes


def test_colour_interpretation_decides():
    assert choose(interpretations=("blue", "green", "red", "undefined")) == (3, 2, 1)
    assert choose(interpretations=("alpha", "red", "green", "blue")) == (2, 3, 4)


def test_band_descriptions_come_next():
    assert choose(interpretations=("gray",) + ("undefined",) * 3, descriptions=("NIR", "Blue", "Green", "Red")) == (
        4,
        3,
        2,
    )


def test_else_the_first_three_that_are_no_alpha():
    assert choose(interpretations=("gray", "undefined", "undefined", "alpha")) == (1, 2, 3)
    assert choose(interpretations=("alpha", "gray", "undefined", "undefined")) == (2, 3, 4)


def test_the_user_decides_by_number_or_name():
    assert choose(["3", "2", "1"]) == (3, 2, 1)
    assert choose([1, 1, 1], interpretations=("gray",)) == (1, 1, 1)
    assert choose(["red", "green", "blue"], interpretations=("blue", "green", "red")) == (3, 2, 1)


@pytest.mark.parametrize(
    ("wanted", "interpretations", "message"),
    [
        (None, ("gray",), "has 1 band, but the model takes 3.*--bands 1,1,1"),
        (None, ("gray", "alpha"), "has 1 band"),
        (["4", "1", "2"], ("red", "green", "blue"), "no band 4, only 1 to 3"),
        (["1", "2"], ("red", "green", "blue"), "2 bands were chosen"),
        (["nir", "1", "2"], ("red", "green", "blue"), "no band 'nir', only blue, green, red"),
    ],
)
def test_what_cannot_be_is_said(wanted, interpretations, message):
    with pytest.raises(SceneError, match=message):
        choose(wanted, interpretations)
