import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodetect.letterbox import Letterbox
from geodetect.window import Window

sides = st.integers(1, 5000)


@given(sides, sides, st.sampled_from([320, 640]), st.sampled_from(["letterbox", "stretch"]))
def test_there_and_back_is_exact(width, height, size, resize):
    box = Letterbox.fit(width, height, size, resize)
    boxes = np.array([[0, 0, width, height], [width * 0.25, height * 0.5, width * 0.75, height * 0.6]])
    canvas = box.to_canvas(boxes)
    np.testing.assert_allclose(box.to_tile(canvas), boxes, rtol=1e-12, atol=1e-9)
    assert canvas.max() <= size * (1 + 1e-12)


def test_letterbox_keeps_the_aspect_and_stretch_does_not():
    tile = np.array([[0.0, 0, 200, 100]])
    assert Letterbox.fit(200, 100, 640).to_canvas(tile).tolist() == [[0, 0, 640, 320]]
    assert Letterbox.fit(200, 100, 640, "stretch").to_canvas(tile).tolist() == [[0, 0, 640, 640]]


def test_windows_know_what_they_share():
    assert Window(0, 0, 10, 10).intersection(Window(5, 8, 10, 10)) == Window(5, 8, 5, 2)
    assert Window(0, 0, 10, 10).intersection(Window(10, 0, 5, 5)) is None  # half-open: no pixel in common
    with pytest.raises(ValueError, match="positive"):
        Window(0, 0, 0, 5)
