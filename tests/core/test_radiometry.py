import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodetect.radiometry import Normaliser, Stretch

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def canvas(pixels, stretch, valid=None, size=8, mean=(0.0,) * 3, std=(1.0,) * 3):
    out = np.full((3, size, size), np.nan, np.float32)
    Normaliser(stretch, mean, std, fill=114)(pixels, valid, out)
    return out


def test_eight_bit_pixels_are_divided_by_255_and_standardised():
    pixels = np.arange(192, dtype=np.uint8).reshape(3, 8, 8)
    out = canvas(pixels, Stretch.identity(3), mean=MEAN, std=STD)
    expected = (pixels / 255 - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))
    np.testing.assert_allclose(out, expected, atol=1e-6)


@given(st.sampled_from(["uint8", "uint16", "int16", "float32", "float64"]), st.integers(0, 2**31))
def test_a_stretch_is_monotonic_and_stays_in_range(dtype, seed):
    pixels = np.random.default_rng(seed).integers(0, 250, (3, 8, 8)).astype(dtype)
    out = canvas(pixels, Stretch((10.0,) * 3, (100.0,) * 3))
    assert out.min() >= 0
    assert out.max() <= 1 + 1e-6
    order = np.argsort(pixels[0].ravel(), kind="stable")
    assert (np.diff(out[0].ravel()[order]) >= 0).all()


def test_sixteen_bits_do_not_wrap():
    pixels = np.full((3, 8, 8), 256, np.uint16)  # modulo 256 this would be black
    assert canvas(pixels, Stretch((0.0,) * 3, (512.0,) * 3)) == pytest.approx(0.5)


def test_equal_ground_has_equal_values_in_every_tile():
    stretch = Stretch((0.0,) * 3, (2000.0,) * 3)
    dark, bright = np.full((3, 8, 8), 100, np.uint16), np.full((3, 8, 8), 1900, np.uint16)
    dark[:, 0, 0] = bright[:, 0, 0] = 700
    assert canvas(dark, stretch)[0, 0, 0] == canvas(bright, stretch)[0, 0, 0]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16"])
def test_the_table_of_short_integers_equals_the_formula(dtype):
    info = np.iinfo(dtype)
    pixels = np.random.default_rng(0).integers(info.min, info.max, (3, 8, 8), endpoint=True).astype(dtype)
    stretch = Stretch((info.min / 2,) * 3, (info.max * 0.7,) * 3)
    np.testing.assert_array_equal(
        canvas(pixels, stretch, mean=MEAN, std=STD), canvas(pixels.astype(np.float64), stretch, mean=MEAN, std=STD)
    )


def test_invalid_pixels_and_the_rest_of_the_canvas_are_fill():
    pixels = np.full((3, 4, 6), 200, np.uint8)
    valid = np.ones((4, 6), bool)
    valid[1, 2] = False
    out = canvas(pixels, Stretch.identity(3), valid)
    assert out[:, 1, 2] == pytest.approx(114 / 255)
    assert out[:, 4:, :] == pytest.approx(114 / 255)
    assert out[:, :, 6:] == pytest.approx(114 / 255)
    assert out[:, 0, 0] == pytest.approx(200 / 255)


def test_nan_never_reaches_the_network():
    pixels = np.full((3, 8, 8), np.nan, np.float32)
    pixels[:, 0, 0] = np.inf
    assert np.isfinite(canvas(pixels, Stretch((0.0,) * 3, (1.0,) * 3))).all()


def test_percentiles_count_valid_pixels_only():
    pixels = np.concatenate(
        [np.full((3, 1000), -9999.0), np.random.default_rng(0).uniform(300, 400, (3, 1000))], axis=1
    )
    stretch = Stretch.from_percentiles(pixels, pixels[0] > 0, (0, 100))
    assert 300 <= stretch.low[0] < 301
    assert 399 < stretch.high[0] <= 400


@pytest.mark.parametrize("value", [0.0, 5.0, 1e30, -1e30])
def test_a_flat_scene_has_a_stretch_too(value):
    stretch = Stretch.from_percentiles(np.full((3, 9), value), np.ones(9, bool))
    assert all(high > low for low, high in zip(stretch.low, stretch.high, strict=True))
    assert np.isfinite(canvas(np.full((3, 8, 8), value), stretch)).all()
